//! The keeper of the signing keys: takes the steps of their life, one write each.
//!
//! What is due is a rule of `token::key_life`; here it is carried out. A key is made on a thread of its
//! own and outside any transaction. Of many nodes that see the same step due one takes it, and all of
//! them have the new set within a second, as every change of the directory.

use serde_json::json;
use vestibule_protocol::identifier::RecordId;

use super::App;
use crate::algorithm::Algorithm;
use crate::moment::{Entropy, Moment};
use crate::refusal::{Fault, FaultKind};
use crate::sealing::{Keyring, Purpose};
use crate::store::audit::AuditEvent;
use crate::store::signing_key::SealedKey;
use crate::store::{self, Store, Transaction};
use crate::token::{KeyRecord, KeyRules, KeyState, KeyStep, SigningKey, key_life};

/// What the keeper works with.
#[derive(Clone, Copy)]
pub struct KeyKeeper<'k> {
    /// The database.
    pub store: &'k Store,
    /// The keys under the master key.
    pub keyring: &'k Keyring,
    /// Randomness.
    pub entropy: &'k Entropy,
    /// The present instant.
    pub at: Moment,
}

impl App {
    /// Takes the steps that are due in the life of the signing keys; how many this node took.
    ///
    /// # Faults
    /// The database is away.
    pub async fn tend_keys(&self, at: Moment) -> Result<usize, Fault> {
        let records = self.directory().keys.records();
        let steps = key_life::due(&records, self.key_rules, at);
        let keeper = KeyKeeper {
            store: &self.store,
            keyring: &self.keyring,
            entropy: &self.entropy,
            at,
        };
        let mut taken = 0;
        for step in steps {
            if keeper.take(&step, Some(self.key_rules)).await? {
                tracing::info!(?step, "signing keys: a step was due");
                taken += 1;
            }
        }
        if taken > 0 {
            self.refresh().await?;
        }
        Ok(taken)
    }
}

impl KeyKeeper<'_> {
    /// Takes a step, if it is still due by these rules, or, without rules, if it can be taken; false when
    /// it is not, or when somebody else was faster.
    ///
    /// # Faults
    /// The database is away.
    pub async fn take(&self, step: &KeyStep, rules: Option<KeyRules>) -> Result<bool, Fault> {
        let made = match step {
            KeyStep::Publish { algorithm } => Some(self.make(*algorithm).await?),
            KeyStep::Activate { .. } | KeyStep::Remove { .. } => None,
        };
        let taking = Taking {
            step: step.clone(),
            rules,
            made,
            event: self.event(step),
        };
        self.store
            .write("key.step", taking, |tx, taking| {
                Box::pin(take_within(tx, taking))
            })
            .await
    }

    /// What is known of the keys now.
    ///
    /// # Faults
    /// The database is away.
    pub async fn records(&self) -> Result<Vec<KeyRecord>, Fault> {
        let read = self.store.read("key.list", &(), |tx, ()| {
            Box::pin(store::signing_key::records(tx))
        });
        read.await
    }

    /// Makes a key, sealed, that is to be the next one.
    async fn make(&self, algorithm: Algorithm) -> Result<SealedKey, Fault> {
        let at = self.at;
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, at));
        let (key, pkcs8) = made
            .await
            .map_err(|error| Fault::new("making a signing key", error))??;
        let sealed = self
            .keyring
            .seal(Purpose::SigningKey, &key.record.id, &pkcs8, self.entropy);
        let record = KeyRecord {
            state: KeyState::Next,
            activated_at: None,
            ..key.record
        };
        Ok(SealedKey { record, sealed })
    }

    fn event(&self, step: &KeyStep) -> AuditEvent {
        AuditEvent {
            id: RecordId::from_random("0AE", self.entropy.bytes()).to_string(),
            at: self.at,
            event: match step {
                KeyStep::Activate { .. } => "key.activated",
                KeyStep::Publish { .. } => "key.published",
                KeyStep::Remove { .. } => "key.removed",
            },
            user_id: None,
            client_id: None,
            site_id: None,
            ip: None,
            request_id: None,
            detail: String::from("{}"),
        }
    }
}

/// What the write needs.
struct Taking {
    step: KeyStep,
    rules: Option<KeyRules>,
    /// The key that is published.
    made: Option<SealedKey>,
    event: AuditEvent,
}

async fn take_within(tx: &mut Transaction<'_>, taking: &Taking) -> Result<bool, Fault> {
    let at = taking.event.at;
    // The bump locks the installation's row: of two nodes the second sees what the first has done.
    store::installation::bump(tx).await?;
    let keys = store::signing_key::records(tx).await?;
    let is_wanted = match taking.rules {
        Some(rules) => key_life::due(&keys, rules, at).contains(&taking.step),
        None => key_life::is_possible(&keys, &taking.step),
    };
    if !is_wanted {
        return Ok(false);
    }
    let id = match (&taking.step, &taking.made) {
        (KeyStep::Activate { id }, _) => {
            activate(tx, &keys, id, at).await?;
            id
        }
        (KeyStep::Remove { id }, _) => {
            remove(tx, &keys, id, at).await?;
            id
        }
        (KeyStep::Publish { .. }, Some(key)) => {
            if !store::signing_key::insert(tx, key).await? {
                return Ok(false);
            }
            &key.record.id
        }
        (KeyStep::Publish { .. }, None) => return Ok(false),
    };
    let event = AuditEvent {
        detail: json!({ "kid": id }).to_string(),
        ..taking.event.clone()
    };
    store::audit::insert(tx, &event).await?;
    Ok(true)
}

/// Puts a next key in the place of the current one.
async fn activate(
    tx: &mut Transaction<'_>,
    keys: &[KeyRecord],
    id: &str,
    at: Moment,
) -> Result<(), Fault> {
    let moved = || {
        let detail = String::from("another node moved the keys on");
        Fault::described("activating a signing key", detail).with_kind(FaultKind::Conflict)
    };
    let next = keys.iter().find(|key| key.id == id).ok_or_else(moved)?;
    match store::signing_key::activate(tx, next.algorithm, id, at).await? {
        true => Ok(()),
        false => Err(moved()),
    }
}

/// Deletes a key; in the place of one that signs, the next one signs from now on.
async fn remove(
    tx: &mut Transaction<'_>,
    keys: &[KeyRecord],
    id: &str,
    at: Moment,
) -> Result<(), Fault> {
    let removed = keys.iter().find(|key| key.id == id);
    if let Some(current) = removed.filter(|key| key.state == KeyState::Current)
        && let Some(next) = key_life::next(keys, current.algorithm)
    {
        activate(tx, keys, &next.id, at).await?;
    }
    store::signing_key::delete(tx, id).await?;
    Ok(())
}
