//! vestibule dev: from nothing to a clean database.
