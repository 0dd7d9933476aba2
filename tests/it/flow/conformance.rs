//! The conformance points that concern registration and its tokens.
