//! External identifiers: the names under which a business knows a user, such as the number of an order.
//!
//! A kind and a value identify at most one user. Values are compared ignoring case and outer whitespace, because
//! people type them from a letter.

use crate::moment::Moment;

/// The maximum length of a value, in characters.
pub const VALUE_LENGTH_MAX: usize = 255;

/// An identifier and its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIdentifier {
    /// Its kind: `order`, `case`.
    pub kind: String,
    /// As entered.
    pub value: String,
    /// Record id of the user.
    pub user_id: String,
    /// When it was added.
    pub created_at: Moment,
}

/// The form in which values of identifiers and attributes are compared; `None` for an invalid value.
pub fn value_key(value: &str) -> Option<String> {
    let value = value.trim();
    let is_value = !value.is_empty()
        && value.chars().count() <= VALUE_LENGTH_MAX
        && !value.chars().any(char::is_control);
    is_value.then(|| value.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_without_case_and_outer_blanks() {
        assert_eq!(value_key(" ORD-10023 ").as_deref(), Some("ord-10023"));
        for bad in ["", "  ", "a\u{0}b", "a\nb", &"x".repeat(256)] {
            assert_eq!(value_key(bad), None, "{bad:?}");
        }
        assert!(value_key(&"x".repeat(255)).is_some());
    }
}
