//! Migrations and backups.
