//! The binary under test: start, ready object, stop, kill.
