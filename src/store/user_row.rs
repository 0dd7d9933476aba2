//! The columns of a user and how they are read, for every statement that loads a user with something else.

use super::row::{Record, Row};
use crate::identity::User;
use crate::refusal::Fault;

/// The columns of a user, in the order in which [`User`] reads them, of a table or its alias.
macro_rules! user_columns {
    ($table:literal) => {
        concat!(
            $table,
            ".id, ",
            $table,
            ".username, ",
            $table,
            ".username_key, ",
            $table,
            ".email, ",
            $table,
            ".email_key, ",
            $table,
            ".phone, ",
            $table,
            ".first_name, ",
            $table,
            ".last_name, ",
            $table,
            ".profile_id, ",
            $table,
            ".account_id, ",
            $table,
            ".locale, ",
            $table,
            ".timezone, ",
            $table,
            ".attributes, ",
            $table,
            ".is_integration, ",
            $table,
            ".email_verified_at, ",
            $table,
            ".phone_verified_at, ",
            $table,
            ".locked_at, ",
            $table,
            ".disabled_at, ",
            $table,
            ".session_generation, ",
            $table,
            ".created_at, ",
            $table,
            ".updated_at"
        )
    };
}
pub(super) use user_columns;

impl Record for User {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(User {
            id: row.next()?,
            username: row.next()?,
            username_key: row.next()?,
            email: row.next()?,
            email_key: row.next()?,
            phone: row.next()?,
            first_name: row.next()?,
            last_name: row.next()?,
            profile_id: row.next()?,
            account_id: row.next()?,
            locale: row.next()?,
            timezone: row.next()?,
            attributes: row.next_json()?,
            is_integration: row.next::<i64>()? == 1,
            email_verified_at: row.next()?,
            phone_verified_at: row.next()?,
            locked_at: row.next()?,
            disabled_at: row.next()?,
            session_generation: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }
}
