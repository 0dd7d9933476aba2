//! Nothing secret in any output.
