//! The challenge: a request that waits for its one-time password.

use std::fmt;

use subtle::ConstantTimeEq;
use vestibule_protocol::characters::{ascii_digit, is_separator};
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::purpose::Purpose;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::words;

use super::OtpRules;
use crate::moment::{BASE62, Entropy, Moment};
use crate::refusal::Fault;
use crate::sealing::{Keyring, sha256};

/// Random characters of a request identifier: 190 bits, of which none depend on the code.
const IDENTIFIER_CHARACTERS: usize = 32;

/// The subject of a code, in the two forms in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The user, or, if there is none yet, the address or number. Its failed comparisons are counted together for all
    /// purposes.
    pub key: String,
    /// The mailbox behind it, without a plus tag: what the hourly budget counts (threat MAIL-08).
    pub budget_key: String,
}

impl Target {
    /// The record id of the user, if the code is for one. An address, a number and the subject of an unknown username
    /// are no record ids.
    pub fn user_id(&self) -> Option<&str> {
        RecordId::parse(&self.key).is_ok().then_some(&self.key)
    }
}

words! {
    /// How a request for a code is counted. The word is used in the database.
    pub enum RequesterClass {
        /// A backend with an access token: it has a budget of its own.
        Backend = "backend",
        /// An unauthenticated caller, from a network from which the user has logged in before: each such network has a
        /// budget of its own, so that no other caller can use it up.
        KnownNetwork = "known",
        /// Any other unauthenticated caller: they share one budget for each user.
        Other = "other",
    }
}

/// Who asks for a code, as far as it is counted. An unauthenticated caller sees refusals by its own requests only: by
/// the text that they named the user with, and its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Keyed hash of the text that named the user, the address or the number. Requests with one text share a code and
    /// its attempts; those with another text do not, even if it names the same user.
    pub reference_key: String,
    /// The network that the request came from.
    pub network: String,
    /// Whose budget it uses.
    pub class: RequesterClass,
}

impl Requester {
    /// Whether it is a backend with an access token.
    pub fn is_backend(&self) -> bool {
        self.class == RequesterClass::Backend
    }
}

/// A code that is valid: a repeated request sends it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCode {
    /// Random. The challenges of one code have one seed, and share its attempts.
    pub seed: [u8; 32],
    /// When the code was first sent. It is sent again for as long as one code is valid.
    pub first_sent_at: Moment,
    /// The code, sealed under the master key. It is deleted when the challenge closes.
    pub sealed: Vec<u8>,
}

impl SentCode {
    /// A new code.
    fn new(
        rules: &OtpRules,
        at: Moment,
        entropy: &Entropy,
        keyring: &Keyring,
    ) -> (SentCode, Secret) {
        let code = Secret::from(entropy.text(rules.alphabet.characters(), rules.length));
        let seed = entropy.bytes();
        let sealed = keyring.seal_code(&seed, &code, entropy);
        let sent = SentCode {
            seed,
            first_sent_at: at,
            sealed,
        };
        (sent, code)
    }
}

/// A challenge as it is stored.
#[derive(Clone)]
pub struct Challenge {
    /// SHA-256 of the identifier.
    pub identifier_hash: [u8; 32],
    /// What it was opened for.
    pub purpose: Purpose,
    /// The site that opened it.
    pub site_id: String,
    /// The channel of the code.
    pub channel: VerificationMethod,
    /// Whether the init call named the channel; then the authorization request must, too.
    pub is_channel_named: bool,
    /// The subject of the code.
    pub target: Target,
    /// Who asked for it.
    pub requester: Requester,
    /// Its code.
    pub code: SentCode,
    /// Keyed hash of the code; `None` in a decoy, which no code opens.
    pub code_mac: Option<[u8; 32]>,
    /// How often each network may present a code for it.
    pub tries: i64,
    /// What the flow needs when the code comes back, as JSON; deleted when the challenge closes.
    pub payload: Option<String>,
    /// When it was opened.
    pub created_at: Moment,
    /// When its code ends.
    pub expires_at: Moment,
}

impl fmt::Debug for Challenge {
    /// Neither the hash of the code nor the payload, which holds the hash of a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("purpose", &self.purpose)
            .field("site_id", &self.site_id)
            .field("channel", &self.channel)
            .field("class", &self.requester.class)
            .field("tries", &self.tries)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a challenge is opened for.
pub struct NewChallenge<'r> {
    /// The flow.
    pub purpose: Purpose,
    /// Record id of the site.
    pub site_id: &'r str,
    /// The channel that the request names; email where it names none.
    pub method: Option<VerificationMethod>,
    /// The subject of the code.
    pub target: Target,
    /// Who asks for it.
    pub requester: Requester,
    /// What the flow needs when the code is returned.
    pub payload: String,
}

/// A challenge just opened, with the two values that are never stored in clear.
pub struct Opened {
    /// The request identifier, for the caller.
    pub identifier: String,
    /// The code, for the message.
    pub code: Secret,
    /// The row.
    pub challenge: Challenge,
}

impl Challenge {
    /// Opens a challenge: mints an identifier, and takes the code that is live already or a new one. Identifier and
    /// code have nothing to do with each other.
    ///
    /// # Faults
    /// The live code was sealed under another master key.
    pub fn open(
        new: NewChallenge<'_>,
        live: Option<SentCode>,
        rules: &OtpRules,
        at: Moment,
        entropy: &Entropy,
        keyring: &Keyring,
    ) -> Result<Opened, Fault> {
        let identifier = format!("0RX{}", entropy.text(BASE62, IDENTIFIER_CHARACTERS));
        let identifier_hash = sha256(identifier.as_bytes());
        let (sent, code) = match live {
            Some(live) => {
                let code = keyring.open_code(&live.seed, &live.sealed)?;
                (live, code)
            }
            None => SentCode::new(rules, at, entropy, keyring),
        };
        let code_mac = Some(keyring.one_time_password_mac(&identifier_hash, code.expose()));
        let challenge = Challenge {
            identifier_hash,
            purpose: new.purpose,
            site_id: new.site_id.to_owned(),
            channel: new.method.unwrap_or(VerificationMethod::Email),
            is_channel_named: new.method.is_some(),
            target: new.target,
            requester: new.requester,
            code: sent,
            code_mac,
            tries: rules.tries,
            payload: Some(new.payload),
            created_at: at,
            expires_at: at.plus_seconds(rules.lifetime_seconds),
        };
        Ok(Opened {
            identifier,
            code,
            challenge,
        })
    }

    /// Compares a code in constant time. The stored hash is keyed and bound to the identifier, so the time of the
    /// comparison reveals nothing about the digits (threat OTP-24).
    pub fn is_opened_by(&self, presented: &Presented) -> bool {
        let stored = self.code_mac.unwrap_or([0; 32]);
        bool::from(presented.code_mac.ct_eq(&stored)) & self.code_mac.is_some()
    }

    /// Whether the channel that the authorization request names is the challenge's: it must be
    /// named there if the init call named it, and it must never contradict.
    pub fn is_channel(&self, named: ChannelNamed) -> bool {
        match named {
            ChannelNamed::Implied => true,
            ChannelNamed::AsByHeader(Some(named)) => named == self.channel,
            ChannelNamed::AsByHeader(None) => {
                !self.is_channel_named && self.channel == VerificationMethod::Email
            }
        }
    }
}

/// A presented code.
#[derive(Clone)]
pub struct Attempt {
    /// SHA-256 of the identifier as presented.
    pub identifier_hash: [u8; 32],
    /// The code, normalised.
    pub code: Secret,
    /// The channel that the request names.
    pub channel: Option<VerificationMethod>,
}

impl Attempt {
    /// Reads what the Basic header carries.
    pub fn new(identifier: &str, code: &Secret, channel: Option<VerificationMethod>) -> Attempt {
        Attempt {
            identifier_hash: sha256(identifier.as_bytes()),
            code: normalised_code(code),
            channel,
        }
    }

    /// The code as it is compared.
    pub fn present(&self, keyring: &Keyring) -> Presented {
        Presented {
            identifier_hash: self.identifier_hash,
            code_mac: keyring.one_time_password_mac(&self.identifier_hash, self.code.expose()),
            channel: ChannelNamed::AsByHeader(self.channel),
        }
    }
}

/// A code as it was meant. People paste it with blanks and dashes, and type it on keyboards with the digits of other
/// scripts; none of that can mean another code. Whitespace, dashes and characters that cannot be seen are removed, digits
/// become ASCII digits, and letters are capitalised (threat OTP-21).
pub fn normalised_code(code: &Secret) -> Secret {
    let meant = code.expose().chars().filter(|c| !is_separator(*c));
    let meant = meant.map(|c| ascii_digit(c).to_ascii_uppercase());
    Secret::from(meant.collect::<String>())
}

/// A code in the form in which it is compared, inside a write.
#[derive(Clone)]
pub struct Presented {
    /// SHA-256 of the identifier.
    pub identifier_hash: [u8; 32],
    /// Keyed hash of the code.
    pub code_mac: [u8; 32],
    /// The channel that the request names.
    pub channel: ChannelNamed,
}

/// What a request says about the channel that its code came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelNamed {
    /// What the `Auth-Verification-Type` header says.
    AsByHeader(Option<VerificationMethod>),
    /// The flow has one channel, and nothing to name it by.
    Implied,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(method: Option<VerificationMethod>) -> (Opened, Keyring) {
        let keyring = Keyring::new(&[7; 32]);
        let opened = Challenge::open(
            NewChallenge {
                purpose: Purpose::Registration,
                site_id: "0DB000000000001AAA",
                method,
                target: Target {
                    key: "a@example.com".into(),
                    budget_key: "a@example.com".into(),
                },
                requester: Requester {
                    reference_key: "a@example.com".into(),
                    network: "192.0.2.1".into(),
                    class: RequesterClass::Other,
                },
                payload: "{}".into(),
            },
            None,
            &OtpRules::default(),
            Moment::from_millis(0),
            &Entropy::seeded(1),
            &keyring,
        );
        (opened.expect("a new code is not opened"), keyring)
    }

    #[test]
    fn a_challenge_opens_for_its_own_code_only() {
        let (opened, keyring) = opened(None);
        let right = Attempt::new(&opened.identifier, &opened.code, None);
        assert!(opened.challenge.is_opened_by(&right.present(&keyring)));
        for wrong in ["", "000000", "١٢٣٤٥٦", "+12345", "12 3456", "1.2.3.4.5.6"] {
            let attempt = Attempt::new(&opened.identifier, &Secret::from(wrong.to_owned()), None);
            assert!(
                !opened.challenge.is_opened_by(&attempt.present(&keyring)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_challenge_does_not_print_its_code_or_what_it_carries() {
        let (mut opened, _) = opened(None);
        opened.challenge.code_mac = Some([251; 32]);
        opened.challenge.payload = Some("$argon2id$v=19$hush".into());
        let shown = format!("{:?}", opened.challenge);
        assert!(shown.contains("tries"), "{shown}");
        for secret in ["251", "argon2id", "a@example.com"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn otp_21_separators_and_the_digits_of_other_scripts_mean_the_same_code() {
        let (opened, keyring) = opened(None);
        let code = opened.code.expose();
        let (left, right) = code.split_at(3);
        let in_script = |zero: char| -> String {
            let digits = code.chars().filter_map(|c| c.to_digit(10));
            digits
                .filter_map(|digit| char::from_u32(u32::from(zero) + digit))
                .collect()
        };
        for typed in [
            format!("  {code} "),
            format!("{left} {right}"),
            format!("{left}-{right}\n"),
            format!("{left}\u{a0}{right}"),
            format!("{left}\u{2011}{right}\u{200b}"),
            format!("\u{202a}{code}\u{202c}"),
            in_script('٠'),
            in_script('۰'),
            in_script('०'),
            in_script('０'),
        ] {
            let attempt = Attempt::new(&opened.identifier, &Secret::from(typed.clone()), None);
            assert!(
                opened.challenge.is_opened_by(&attempt.present(&keyring)),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn a_decoy_opens_for_no_code() {
        let (mut opened, keyring) = opened(None);
        let right = Attempt::new(&opened.identifier, &opened.code, None);
        opened.challenge.code_mac = None;
        assert!(!opened.challenge.is_opened_by(&right.present(&keyring)));
    }

    #[test]
    fn otp_05_a_named_channel_must_be_named_again() {
        use VerificationMethod::{Email, Sms};
        let (unnamed, _) = opened(None);
        assert!(unnamed.challenge.is_channel(ChannelNamed::AsByHeader(None)));
        assert!(
            unnamed
                .challenge
                .is_channel(ChannelNamed::AsByHeader(Some(Email)))
        );
        assert!(
            !unnamed
                .challenge
                .is_channel(ChannelNamed::AsByHeader(Some(Sms)))
        );
        let (named, _) = opened(Some(Email));
        assert!(!named.challenge.is_channel(ChannelNamed::AsByHeader(None)));
        assert!(
            named
                .challenge
                .is_channel(ChannelNamed::AsByHeader(Some(Email)))
        );
        let (sms, _) = opened(Some(Sms));
        assert!(
            !sms.challenge
                .is_channel(ChannelNamed::AsByHeader(Some(Email)))
        );
        assert!(
            sms.challenge
                .is_channel(ChannelNamed::AsByHeader(Some(Sms)))
        );
    }
}
