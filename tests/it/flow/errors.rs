//! Every error of the endpoints: status, headers and body, one row each.
