//! Characters as people type and paste them: the decimal digits of all scripts, and what cannot be seen.

use crate::form::is_noncharacter;

/// The digit zero of every script of Unicode 16 (general category Nd). The other nine digits follow each of them.
const ZEROS: [u32; 75] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// A decimal digit of any script as an ASCII digit; any other character unchanged.
///
/// ```
/// use vestibule_protocol::characters::ascii_digit;
/// let digits: String = "٤२７x".chars().map(ascii_digit).collect();
/// assert_eq!(digits, "427x");
/// ```
pub fn ascii_digit(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let code = u32::from(c);
    let digit = ZEROS
        .into_iter()
        .find_map(|zero| code.checked_sub(zero).filter(|digit| *digit < 10));
    digit
        .and_then(|digit| char::from_digit(digit, 10))
        .unwrap_or(c)
}

/// Whether a character is not displayed or reorders its neighbours: controls, joiners, direction overrides, fillers,
/// variation selectors, tags, and noncharacters (U+FFFE and the like).
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffd}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A text without whitespace and invisible characters at its ends, which phone keyboards and pasting add. Other controls
/// and noncharacters stay, and are refused where the text is read.
///
/// ```
/// use vestibule_protocol::characters::trimmed;
/// assert_eq!(trimmed("\u{feff} janice@example.com\u{a0}\n"), "janice@example.com");
/// assert_eq!(trimmed("janice\0"), "janice\0");
/// ```
pub fn trimmed(text: &str) -> &str {
    let is_forbidden = |c: char| c.is_control() || is_noncharacter(c);
    text.trim_matches(|c: char| c.is_whitespace() || (is_invisible(c) && !is_forbidden(c)))
}

/// Whether a character only separates the others in a code or a number: whitespace, a dash, or one that cannot be seen.
pub fn is_separator(c: char) -> bool {
    let is_dash = matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    );
    is_dash || c.is_whitespace() || is_invisible(c)
}

/// Whether a text has a character that is not displayed or reorders its neighbours. The two joiners (U+200C, U+200D) are
/// letters' companions in Persian, Indian and other scripts, and count as visible.
pub fn holds_invisible(text: &str) -> bool {
    text.chars()
        .any(|c| is_invisible(c) && !matches!(c, '\u{200c}' | '\u{200d}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_zero_begins_ten_digits() {
        for zero in ZEROS {
            for digit in 0..10 {
                let c = char::from_u32(zero + digit).unwrap();
                assert!(c.is_numeric(), "{c:?}");
                assert_eq!(ascii_digit(c).to_digit(10), Some(digit), "{c:?}");
            }
        }
        for c in ['a', '½', '²', 'Ⅷ', '一'] {
            assert_eq!(ascii_digit(c), c);
        }
    }
}
