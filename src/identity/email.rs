//! E-mail addresses: only addresses that the server can send to are accepted.
//!
//! This file owns the one syntax rule for addresses (see [`EmailAddress::parse`]), their two keys, and the
//! canonical form of a domain name, which usernames share. Verifying that the user reads the mail is left to
//! `verification`, sending it to `delivery`.
//!
//! Follows RFC 5321 sections 4.1.2 and 4.5.3.1 and RFC 5322 section 3.2.3 for the syntax and the lengths, UTS #46
//! and RFC 5890 for international domains. Narrower than these on purpose: no quoted local part, no address
//! literal, no comment, no SMTPUTF8 (RFC 6531), at least one dot in the domain.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use vestibule_protocol::characters::is_invisible;

/// One mailbox: an ASCII local part, kept as entered, `@`, and a domain as lower-case A-labels.
///
/// Its text contains only the printable ASCII characters of an address, so it cannot add a line to a mail header or
/// a second recipient to an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

impl EmailAddress {
    /// Parses one address; nothing is trimmed.
    ///
    /// * Exactly one `@`, at most 254 octets in all, with the domain in A-label form.
    /// * Local part: 1 to 64 octets of RFC 5322 `dot-atom`: ASCII letters, digits, ``!#$%&'*+-/=?^_`{|}~`` and single
    ///   dots inside. Plus tags are part of the address.
    /// * Domain: two labels or more, no trailing dot, each valid under UTS #46 with the letter-digit-hyphen rule; the
    ///   last one alphabetic (or an A-label), which shuts out IP addresses in every notation.
    ///
    /// # Refusals
    /// Any [`EmailProblem`].
    ///
    /// Source: RFC 5321 sections 4.1.2, 4.5.3.1; RFC 5322 section 3.2.3; RFC 3696 erratum 1690 for the 254.
    pub fn parse(text: &str) -> Result<EmailAddress, EmailProblem> {
        if text.len() > OCTETS_MAX {
            return Err(EmailProblem::AddressTooLong);
        }
        let (local_part, domain) = text.split_once('@').ok_or(EmailProblem::NotOneAddress)?;
        if domain.contains('@') {
            return Err(EmailProblem::NotOneAddress);
        }
        check_local_part(local_part)?;
        let domain = canonical_domain(domain).ok_or(EmailProblem::DomainInvalid)?;
        let text = format!("{local_part}@{domain}");
        // A domain grows when it is written as A-labels.
        if text.len() > OCTETS_MAX {
            return Err(EmailProblem::AddressTooLong);
        }
        Ok(EmailAddress {
            text,
            at: local_part.len(),
        })
    }

    /// The address to send to: local part as entered, domain as A-labels.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address for look-ups and for uniqueness: all lower-case. RFC 5321 lets local parts differ by case alone;
    /// no mail service in use does.
    pub fn key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The mailbox for which messages are counted: the key without its plus tag, so that a thousand tags count as
    /// one mailbox.
    pub fn budget_key(&self) -> String {
        let (local_part, domain) = self.text.split_at(self.at);
        let mailbox = match local_part.split_once('+') {
            // `jo.+tag` is an address, `jo.` is not.
            Some((mailbox, _)) if !mailbox.is_empty() => mailbox.trim_end_matches('.'),
            _ => local_part,
        };
        format!("{mailbox}{domain}").to_ascii_lowercase()
    }

    /// The part after the `@`, as A-labels.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not an address that the server can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailProblem {
    /// More than 254 octets, with the domain as A-labels.
    #[error("the email address is longer than 254 characters")]
    AddressTooLong,
    /// No dot, a trailing dot, an IP address, a character that no host name has.
    #[error("the domain of the email address is not valid")]
    DomainInvalid,
    /// Empty, quoted, a stray dot, or a character outside RFC 5322 `atext`.
    #[error("the email address is not valid before the @")]
    LocalPartInvalid,
    /// Requires SMTPUTF8 on every hop, which cannot be relied upon.
    #[error("the email address has characters outside ASCII before the @")]
    LocalPartNotAscii,
    /// More than 64 octets.
    #[error("the email address has more than 64 characters before the @")]
    LocalPartTooLong,
    /// No `@`, or more than one.
    #[error("one email address with one @ is needed")]
    NotOneAddress,
}

fn check_local_part(local_part: &str) -> Result<(), EmailProblem> {
    if !local_part.is_ascii() {
        return Err(EmailProblem::LocalPartNotAscii);
    }
    if local_part.len() > LOCAL_PART_OCTETS_MAX {
        return Err(EmailProblem::LocalPartTooLong);
    }
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    if local_part.split('.').all(is_atom) {
        Ok(())
    } else {
        Err(EmailProblem::LocalPartInvalid)
    }
}

fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// The canonical spelling of a mail domain: lower-case A-labels without a trailing dot. `None` when the text is not
/// a domain.
///
/// Two spellings of one host (upper case, `xn--` in any case, full-width, NFD) have the same result. Invisible
/// characters are refused, although UTS #46 would merely drop them: a soft hyphen in a domain is there to deceive.
pub(super) fn canonical_domain(domain: &str) -> Option<String> {
    if domain.chars().any(is_invisible) {
        return None;
    }
    let uts46 = Uts46::new();
    let ascii = uts46
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()?
        .into_owned();
    let (rest, last) = ascii.rsplit_once('.')?;
    let is_top_level = last.starts_with("xn--")
        || last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic());
    (is_top_level && !rest.is_empty()).then_some(ascii)
}

/// RFC 5321 section 4.5.3.1.3 allows a path of 256 octets, of which two are angle brackets.
const OCTETS_MAX: usize = 254;
/// RFC 5321 section 4.5.3.1.1.
const LOCAL_PART_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> EmailProblem {
        EmailAddress::parse(text).expect_err(text)
    }

    #[test]
    fn an_address_is_kept_as_entered_and_found_in_any_case() {
        let address = EmailAddress::parse("Janice.Edwards@Example.COM").unwrap();
        assert_eq!(address.as_str(), "Janice.Edwards@example.com");
        assert_eq!(address.key(), "janice.edwards@example.com");
        assert_eq!(address.domain(), "example.com");
        assert_eq!(address.to_string(), address.as_str());
    }

    // MAIL-08
    #[test]
    fn plus_tags_are_part_of_the_address_but_not_of_the_budget() {
        for (text, budget_key) in [
            ("Jo+News@example.com", "jo@example.com"),
            ("jo+a+b@example.com", "jo@example.com"),
            ("jo@example.com", "jo@example.com"),
            ("jo.+a@example.com", "jo@example.com"),
            ("+jo@example.com", "+jo@example.com"),
        ] {
            let address = EmailAddress::parse(text).unwrap();
            assert_eq!(address.key(), text.to_lowercase());
            assert_eq!(address.budget_key(), budget_key);
        }
    }

    // USR-06
    #[test]
    fn every_spelling_of_a_domain_is_one_a_label() {
        for text in [
            "jo@bücher.example",
            "jo@BÜCHER.example",
            "jo@bu\u{308}cher.example",
            "jo@xn--bcher-kva.example",
            "jo@XN--BCHER-KVA.EXAMPLE",
            "jo@ｂücher.example",
            "jo@bücher。example",
        ] {
            assert_eq!(
                EmailAddress::parse(text).unwrap().as_str(),
                "jo@xn--bcher-kva.example",
                "{text}"
            );
        }
        assert_eq!(
            EmailAddress::parse("jo@почта.рф").unwrap().as_str(),
            "jo@xn--80a1acny.xn--p1ai"
        );
    }

    // REG-13
    #[test]
    fn lengths_are_those_of_rfc_5321() {
        let local_part = "a".repeat(64);
        assert!(EmailAddress::parse(&format!("{local_part}@example.com")).is_ok());
        assert_eq!(
            problem(&format!("{local_part}a@example.com")),
            EmailProblem::LocalPartTooLong
        );

        let label = "b".repeat(60);
        let longest = format!("{local_part}@{label}.{label}.{label}.cccccc");
        assert_eq!(longest.len(), 254);
        assert!(EmailAddress::parse(&longest).is_ok());
        assert_eq!(
            problem(&format!("{longest}c")),
            EmailProblem::AddressTooLong
        );
        assert_eq!(problem(&"a".repeat(1_000)), EmailProblem::AddressTooLong);
        assert_eq!(problem("a"), EmailProblem::NotOneAddress);
        assert_eq!(
            problem(&format!("a@{}.example", "b".repeat(64))),
            EmailProblem::DomainInvalid
        );

        // 62 octets each as A-labels.
        let grows = format!("{local_part}@{0}.{0}.{0}.com", "ü".repeat(28));
        assert!(grows.len() <= 254);
        assert!(EmailAddress::parse(&grows).is_ok_and(|address| address.as_str().len() <= 254));
    }

    // REG-13
    #[test]
    fn an_address_that_cannot_be_sent_to_is_refused() {
        for (text, expected) in [
            ("", EmailProblem::NotOneAddress),
            ("@example.com", EmailProblem::LocalPartInvalid),
            ("a@", EmailProblem::DomainInvalid),
            ("a@b", EmailProblem::DomainInvalid),
            ("a@localhost", EmailProblem::DomainInvalid),
            ("a@example.com.", EmailProblem::DomainInvalid),
            ("a@.example.com", EmailProblem::DomainInvalid),
            ("a@example..com", EmailProblem::DomainInvalid),
            ("a@-example.com", EmailProblem::DomainInvalid),
            ("a@exa_mple.com", EmailProblem::DomainInvalid),
            ("a@exa mple.com", EmailProblem::DomainInvalid),
            ("a@example.c", EmailProblem::DomainInvalid),
            ("a@192.0.2.1", EmailProblem::DomainInvalid),
            ("a@[192.0.2.1]", EmailProblem::DomainInvalid),
            ("a@[IPv6:2001:db8::1]", EmailProblem::DomainInvalid),
            ("a@１.2.3.4", EmailProblem::DomainInvalid),
            ("a@0x7f.1", EmailProblem::DomainInvalid),
            ("a@xn--zzzzzzzz.com", EmailProblem::DomainInvalid),
            ("a@exam\u{ad}ple.com", EmailProblem::DomainInvalid),
            ("a@exam\u{200b}ple.com", EmailProblem::DomainInvalid),
            (".a@example.com", EmailProblem::LocalPartInvalid),
            ("a.@example.com", EmailProblem::LocalPartInvalid),
            ("a..b@example.com", EmailProblem::LocalPartInvalid),
            ("\"a b\"@example.com", EmailProblem::LocalPartInvalid),
            ("a b@example.com", EmailProblem::LocalPartInvalid),
            (" a@example.com", EmailProblem::LocalPartInvalid),
            ("a@example.com ", EmailProblem::DomainInvalid),
            ("jörg@example.com", EmailProblem::LocalPartNotAscii),
        ] {
            assert_eq!(problem(text), expected, "{text}");
        }
    }

    // MAIL-01, MAIL-02, USR-07
    #[test]
    fn no_second_recipient_and_no_header_line_can_hide_in_an_address() {
        for text in [
            "a@b.example>,<c@d.example",
            "a@b.example,c@d.example",
            "a@b.example;c@d.example",
            "\"a@b.example,\"@c.example",
            "\"x,y\"@c.example",
            "Jo <jo@b.example>",
            "a(comment)@b.example",
            "a@b.example\r\nBcc: c@d.example",
            "a\r\nBcc:c@d.example",
            "a\n@b.example",
            "a\0@b.example",
            "a\u{7f}@b.example",
            "a@b.exa\tmple",
            "a@b.example\u{2028}",
            "a\u{feff}@b.example",
            "<a@b.example>",
            "@relay.example:a@b.example",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_plain_ascii_and_reads_back_as_itself(
            text in prop_oneof![
                any::<String>(),
                "[ -~]{1,12}@[ -~]{1,12}",
                "[a-zA-Z0-9.+]{1,8}@[a-zA-Z0-9üα。.-]{1,8}\\.[a-z]{2,3}",
            ],
        ) {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(address.as_str().len() <= OCTETS_MAX);
                prop_assert_eq!(address.as_str().matches('@').count(), 1);
                prop_assert_eq!(&EmailAddress::parse(address.as_str()), &Ok(address.clone()));
                prop_assert_eq!(EmailAddress::parse(&address.key()).map(|again| again.key()), Ok(address.key()));
                let budget = EmailAddress::parse(&address.budget_key()).map(|again| again.budget_key());
                prop_assert_eq!(budget, Ok(address.budget_key()));
            }
        }
    }
}
