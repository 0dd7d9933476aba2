//! A letter: what a story wants to say to somebody, and the outbox row that it becomes.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::secret::Secret;

use super::template::{Language, TemplateName};
use crate::moment::{Entropy, Moment};
use crate::outgoing::QueuedMessage;
use crate::refusal::Fault;
use crate::sealing::{Keyring, Purpose};

/// What a story wants to say.
#[derive(Clone, Debug)]
pub struct Letter {
    /// By mail or by text message.
    pub channel: VerificationMethod,
    /// To whom: an address or a number.
    pub recipient: String,
    /// In which words.
    pub template: TemplateName,
    /// In which language: the recipient's locale.
    pub locale: String,
    /// For which site.
    pub site_id: String,
    /// The host that stands in the Message-ID and binds a code in a text message.
    pub host: String,
    /// What the template fills in.
    pub variables: Variables,
    /// After which the message is of no use.
    pub expires_at: Moment,
}

/// What a template fills in. It rests sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Variables {
    /// The site's name as people know it.
    pub site_name: String,
    /// The host that a text message binds its code to.
    pub host: String,
    /// The code, if the message carries one.
    #[serde(serialize_with = "write_code", deserialize_with = "read_code")]
    pub code: Option<Secret>,
    /// How long the code lives.
    pub valid_minutes: u32,
    /// The recipient's given name.
    pub first_name: Option<String>,
}

/// Makes the outbox row of a letter.
///
/// # Faults
/// The variables cannot be written as JSON, which they can.
pub fn queue(
    letter: &Letter,
    at: Moment,
    entropy: &Entropy,
    keyring: &Keyring,
) -> Result<QueuedMessage, Fault> {
    let id = entropy.text(b"0123456789abcdefghijklmnopqrstuvwxyz", 24);
    let variables = serde_json::to_vec(&letter.variables)
        .map(zeroize::Zeroizing::new)
        .map_err(|error| Fault::new("writing a message's variables", error))?;
    Ok(QueuedMessage {
        sealed: keyring.seal(Purpose::OutboxMessage, &id, &variables, entropy),
        channel: letter.channel.as_str(),
        template: letter.template.as_str().to_owned(),
        language: Language::from_locale(&letter.locale).tag().to_owned(),
        recipient: letter.recipient.clone(),
        site_id: letter.site_id.clone(),
        message_id: format!(
            "<{id}@{}>",
            letter.host.split(':').next().unwrap_or("localhost")
        ),
        created_at: at,
        expires_at: letter.expires_at,
        id,
    })
}

/// Reads the variables of a claimed message.
pub(super) fn open(keyring: &Keyring, id: &str, sealed: &[u8]) -> Result<Variables, Fault> {
    let plain = keyring.open(Purpose::OutboxMessage, id, sealed)?;
    serde_json::from_slice(&plain)
        .map_err(|_| Fault::described("reading a message's variables", id.to_owned()))
}

// A secret does not serialise by itself; here it must, because what is written is sealed at once.
fn write_code<S: serde::Serializer>(
    code: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    code.as_ref().map(Secret::expose).serialize(serializer)
}

fn read_code<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::from))
}
