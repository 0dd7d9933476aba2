//! Codes, tokens, userinfo and the identity URL.
