//! What the store does when the database fails it.
