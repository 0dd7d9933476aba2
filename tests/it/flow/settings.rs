//! Settings and client policies, and what they change on the wire.
