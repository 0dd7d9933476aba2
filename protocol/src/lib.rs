//! The wire of Vestibule.
