//! Attacks on one-time passwords, usernames and parsing, by their ids.
