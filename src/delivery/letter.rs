//! A letter: a message that a flow sends, and its outbox row.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::VerificationMethod;

use super::template::{Language, TemplateName, Variables};
use crate::identity::User;
use crate::moment::{Entropy, Moment};
use crate::outgoing::{OutgoingMessage, Suppression};
use crate::refusal::Fault;
use crate::sealing::{Keyring, SealedKind};
use crate::settings::Site;

/// A message that a flow sends.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Mail or text message.
    pub channel: VerificationMethod,
    /// Record id of the user, if the user exists already.
    pub user_id: Option<String>,
    /// The address or number; empty if there is none, and then the letter is suppressed.
    pub recipient: String,
    /// The built-in template.
    pub template: TemplateName,
    /// Developer name of the site's custom template that replaces it, if there is one.
    pub custom: Option<String>,
    /// The recipient's locale, which selects the language.
    pub locale: String,
    /// The site.
    pub site_id: String,
    /// The host in the Message-ID, to which the code in a text message is bound.
    pub host: String,
    /// The values for the template.
    pub variables: Variables,
    /// Why it is never sent; `None` for a letter that is sent.
    pub suppressed: Option<Suppression>,
    /// The challenge of its code, by the hash of its identifier. When a newer request has closed the challenge, the
    /// message is not retried.
    pub challenge: Option<[u8; 32]>,
    /// When the message expires.
    pub expires_at: Moment,
}

/// The sealed part of a letter's row.
#[derive(Serialize, Deserialize)]
pub struct Contents {
    /// What the template is filled with.
    #[serde(flatten)]
    pub variables: Variables,
    /// The user that the letter is addressed to, where there is one.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The developer name of an administrator's template.
    #[serde(default)]
    pub custom: Option<String>,
    /// Why the letter is not sent.
    #[serde(default)]
    pub suppressed: Option<Suppression>,
    /// SHA-256 of the identifier of the challenge whose code the letter carries.
    #[serde(default)]
    pub challenge: Option<[u8; 32]>,
}

/// Makes the outbox row of a letter. The row of a suppressed letter is made by the same work and looks the same,
/// but does not contain the code.
///
/// # Faults
/// The variables cannot be written as JSON, which does not occur.
pub fn queue(
    letter: &Letter,
    at: Moment,
    entropy: &Entropy,
    keyring: &Keyring,
) -> Result<OutgoingMessage, Fault> {
    let id = message_id(at, entropy);
    let mut contents = Contents {
        variables: letter.variables.clone(),
        user_id: letter.user_id.clone(),
        custom: letter.custom.clone(),
        suppressed: letter.suppressed,
        challenge: letter.challenge,
    };
    if letter.suppressed.is_some() {
        contents.variables.code = None;
    }
    let contents = serde_json::to_vec(&contents)
        .map(zeroize::Zeroizing::new)
        .map_err(|error| Fault::new("writing a message's variables", error))?;
    Ok(OutgoingMessage {
        sealed: keyring.seal(SealedKind::OutboxMessage, &id, &contents, entropy),
        channel: letter.channel,
        template: letter.template.as_str().to_owned(),
        language: Language::from_locale(&letter.locale).tag().to_owned(),
        recipient: letter.recipient.clone(),
        site_id: letter.site_id.clone(),
        message_id: format!(
            "<{id}@{}>",
            letter.host.split(':').next().unwrap_or("localhost")
        ),
        attempts: 0,
        created_at: at,
        expires_at: letter.expires_at,
        id,
    })
}

/// The id of a message: its instant, so that rows of the same time are adjacent in the database, and 77 random
/// bits. It does not depend on the code.
fn message_id(at: Moment, entropy: &Entropy) -> String {
    let random = entropy.text(b"0123456789abcdefghijklmnopqrstuvwxyz", 15);
    format!("{:012x}{random}", at.millis())
}

/// How long the notice of a changed password is worth sending.
const NOTICE_SECONDS: i64 = 24 * 3_600;

/// Makes the outbox row of the notice to a user whose password was changed; it contains no secret and no link.
///
/// # Faults
/// As for [`queue`].
pub fn password_changed(
    site: &Site,
    user: &User,
    at: Moment,
    entropy: &Entropy,
    keyring: &Keyring,
) -> Result<OutgoingMessage, Fault> {
    let letter = Letter {
        channel: VerificationMethod::Email,
        user_id: Some(user.id.clone()),
        recipient: user.email.clone(),
        template: TemplateName::PasswordChanged,
        custom: None,
        suppressed: None,
        challenge: None,
        locale: user.locale.clone(),
        site_id: site.id.clone(),
        host: site.authority().to_owned(),
        variables: Variables {
            site_name: site.display_name().to_owned(),
            host: site.authority().to_owned(),
            code: None,
            valid_minutes: 0,
            first_name: user.first_name.clone(),
        },
        expires_at: at.plus_seconds(NOTICE_SECONDS),
    };
    queue(&letter, at, entropy, keyring)
}

/// Opens the sealed part of a claimed message.
///
/// # Faults
/// It was sealed under another key or for another row, or cannot be read.
pub fn open_contents(keyring: &Keyring, id: &str, sealed: &[u8]) -> Result<Contents, Fault> {
    let plain = keyring.open(SealedKind::OutboxMessage, id, sealed)?;
    serde_json::from_slice(&plain)
        .map_err(|_| Fault::described("reading a message's variables", id.to_owned()))
}

#[cfg(test)]
mod tests {
    use vestibule_protocol::secret::Secret;

    use super::*;

    #[test]
    fn a_suppressed_letter_carries_no_code_and_any_other_does() {
        let keyring = Keyring::new(&[7; 32]);
        for suppressed in Suppression::ALL.map(Some).into_iter().chain([None]) {
            let letter = Letter {
                channel: VerificationMethod::Email,
                user_id: None,
                recipient: String::new(),
                template: TemplateName::LoginOtp,
                custom: None,
                locale: "de_DE".into(),
                site_id: "0DB".into(),
                host: "site.example.com:8443".into(),
                variables: Variables {
                    site_name: "Shop".into(),
                    host: "site.example.com:8443".into(),
                    code: Some(Secret::from("482913".to_owned())),
                    valid_minutes: 10,
                    first_name: None,
                },
                suppressed,
                challenge: None,
                expires_at: Moment::from_millis(2),
            };
            let row = queue(&letter, Moment::from_millis(1), &Entropy::Os, &keyring).unwrap();
            assert_eq!(
                (row.template.as_str(), row.language.as_str()),
                ("login_otp", "de")
            );
            let contents = open_contents(&keyring, &row.id, &row.sealed).unwrap();
            assert_eq!(contents.suppressed, suppressed);
            assert_eq!(contents.variables.code.is_none(), suppressed.is_some());
        }
    }
}
