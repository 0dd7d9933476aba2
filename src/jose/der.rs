//! DER (X.690), limited to what a certificate's key and dates need: definite lengths, one-byte tags, no trailing
//! bytes.

/// The tags that are parsed.
pub(super) mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    /// `[0] EXPLICIT`.
    pub const CONTEXT_0: u8 = 0xa0;
}

/// The unread part of an encoding.
#[derive(Clone, Copy)]
pub(super) struct Reader<'d> {
    rest: &'d [u8],
}

impl<'d> Reader<'d> {
    pub fn new(bytes: &'d [u8]) -> Reader<'d> {
        Reader { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next value.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value of any type: its tag and its contents.
    pub fn any(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.rest.split_first()?;
        // No field that is parsed has a tag of several bytes.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Indefinite lengths and lengths of more than 65,535 bytes do not occur in the DER of a certificate.
            0x81 => {
                let (&low, rest) = rest.split_first()?;
                (usize::from(low), rest)
            }
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        let is_shortest = match first {
            0x81 => length > 0x7f,
            0x82 => length > 0xff,
            _ => true,
        };
        let (contents, rest) = rest.split_at_checked(length).filter(|_| is_shortest)?;
        self.rest = rest;
        Some((tag, contents))
    }

    /// The contents of the next value, which must have the given tag.
    pub fn value(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, contents) = self.any()?;
        (found == tag).then_some(contents)
    }

    /// The next value, which must be a sequence.
    pub fn sequence(&mut self) -> Option<Reader<'d>> {
        self.value(tag::SEQUENCE).map(Reader::new)
    }

    /// A positive integer, big-endian, without its sign byte.
    pub fn positive_integer(&mut self) -> Option<&'d [u8]> {
        match self.value(tag::INTEGER)? {
            [] | [0] => None,
            [0, next, ..] if *next < 0x80 => None,
            [0, digits @ ..] => Some(digits),
            [first, ..] if *first >= 0x80 => None,
            digits => Some(digits),
        }
    }

    /// The bytes of a bit string without unused bits.
    pub fn bit_string(&mut self) -> Option<&'d [u8]> {
        match self.value(tag::BIT_STRING)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_encoding() {
        let mut reader = Reader::new(&[0x02, 0x01, 0x05]);
        assert_eq!(reader.positive_integer(), Some(&[5][..]));
        assert!(reader.is_empty());
        for bad in [
            &[0x02][..],
            &[0x02, 0x02, 0x05],
            &[0x02, 0x80, 0x05, 0x00, 0x00],
            &[0x02, 0x81, 0x01, 0x05],
            &[0x02, 0x82, 0x00, 0x01, 0x05],
            &[0x02, 0x83, 0x00, 0x00, 0x01, 0x05],
            &[0x1f, 0x81, 0x01, 0x05],
            &[0x02, 0x01, 0x85],
            &[0x02, 0x02, 0x00, 0x05],
            &[0x02, 0x01, 0x00],
            &[0x02, 0x00],
        ] {
            assert_eq!(Reader::new(bad).positive_integer(), None, "{bad:02x?}");
        }
        assert_eq!(
            Reader::new(&[0x03, 0x02, 0x00, 0x07]).bit_string(),
            Some(&[7][..])
        );
        assert_eq!(Reader::new(&[0x03, 0x02, 0x01, 0x06]).bit_string(), None);
    }
}
