//! The two encodings that the flows need. They are implemented here, so that a bug in the server's encoders is not
//! hidden by the same bug in its load generator.

/// Base64 with the standard alphabet and padding (RFC 4648 section 4).
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut padded = [0; 3];
        padded[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for position in 0..4 {
            if position > group.len() {
                text.push('=');
            } else {
                let index = (bits >> (18 - 6 * position)) & 0x3f;
                text.push(char::from(ALPHABET[index as usize]));
            }
        }
    }
    text
}

/// The bytes of unpadded URL-safe Base64 (RFC 4648 section 5); `None` if it is not that.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits: u32 = 0;
    let mut bit_count = 0;
    for letter in text.bytes() {
        let standard = match letter {
            b'-' => b'+',
            b'_' => b'/',
            b'+' | b'/' => return None,
            other => other,
        };
        let value = ALPHABET.iter().position(|known| *known == standard)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push(u8::try_from((bits >> bit_count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// A form body (`application/x-www-form-urlencoded`) of the given pairs.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        percent(value, &mut text);
    }
    text
}

/// A value for a query.
pub fn query(value: &str) -> String {
    let mut text = String::new();
    percent(value, &mut text);
    text
}

fn percent(value: &str, text: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            other => {
                text.push('%');
                text.push(char::from(HEX[usize::from(other >> 4)]));
                text.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn base64url_is_read_without_padding() {
        assert_eq!(
            from_base64url("eyJhbGciOiJFUzI1NiJ9").unwrap(),
            br#"{"alg":"ES256"}"#
        );
        assert_eq!(from_base64url("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(from_base64url("a+b="), None);
    }

    #[test]
    fn form_values_are_percent_encoded() {
        assert_eq!(
            form(&[("a", "b c&d"), ("e", "http://f")]),
            "a=b%20c%26d&e=http%3A%2F%2Ff"
        );
    }
}
