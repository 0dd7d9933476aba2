//! RFC 6749 and RFC 6750: requests, client authentication, errors.
