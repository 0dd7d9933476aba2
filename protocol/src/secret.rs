//! Secrets: text that is never printed.

use std::fmt;

use zeroize::Zeroize;

/// A password, a token or a code. It can be compared and passed on, but no `Debug`, `Display` or serialisation
/// shows it, and its memory is overwritten when it is dropped.
///
/// ```
/// use vestibule_protocol::secret::Secret;
/// assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "Secret(…)");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, no longer protected.
    pub fn into_inner(mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
