//! External identifiers: what the business knows a user by, such as the number of an order.
//!
//! A kind and a value name one user at most. Values are compared without regard to case and outer
//! blanks, because people type them from a letter.

use crate::moment::Moment;

/// Longest value, in characters.
pub const VALUE_LENGTH_MAX: usize = 255;

/// An identifier and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIdentifier {
    /// What it is: `order`, `case`.
    pub kind: String,
    /// As entered.
    pub value: String,
    /// Record id of the user.
    pub user_id: String,
    /// When it was added.
    pub created_at: Moment,
}

/// The form in which values of identifiers and attributes are compared; nothing for a text that
/// cannot be one.
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
