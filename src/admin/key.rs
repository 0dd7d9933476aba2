//! Signing keys: the steps of their life, one write each.
//!
//! Which step is due is a rule of `token::key_life`; here it is carried out, for the server and for
//! administrators. A key is made on a thread of its own and outside any transaction. Of many nodes that see the
//! same step due one takes it, and all of them have the new set within a second, as every change of the
//! directory.

use serde_json::{Value, json};

use super::{Admin, AdminFailure, AdminRefusal, find as find_named};
use crate::algorithm::Algorithm;
use crate::app::App;
use crate::audit::{Actor, AuditEntry, AuditObject, AuditSource, ObjectKind};
use crate::moment::Moment;
use crate::refusal::{Fault, FaultKind};
use crate::sealing::SealedKind;
use crate::store::signing_key::SealedKey;
use crate::store::{self, AdminTransaction, Change};
use crate::token::{KeyRecord, KeyRules, KeyState, KeyStep, SigningKey, key_life};

const KIND: ObjectKind = ObjectKind::SigningKey;

/// What is known of all keys, oldest first.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<KeyRecord>, Fault> {
    let read = admin.store.read("key.list", &(), |tx, ()| {
        Box::pin(store::signing_key::records(tx))
    });
    read.await
}

/// What is known of the key with an id.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, kid: &str) -> Result<KeyRecord, AdminFailure> {
    let keys = list(admin).await?;
    Ok(find_named(KIND, keys, kid, |key| [&key.id, &key.id])?)
}

/// Publishes a next key of each of these algorithms that has none; the next keys of all of them. Verifiers
/// must have time to learn of a key before [`activate`] lets it sign.
///
/// # Faults
/// The database is away.
pub async fn publish(
    admin: &Admin<'_>,
    algorithms: &[Algorithm],
) -> Result<Vec<KeyRecord>, AdminFailure> {
    for algorithm in algorithms {
        let algorithm = *algorithm;
        take(admin, &KeyStep::Publish { algorithm }, None).await?;
    }
    let keys = list(admin).await?;
    let next = algorithms.iter();
    let next = next.filter_map(|algorithm| key_life::next(&keys, *algorithm));
    Ok(next.cloned().collect())
}

/// Lets next keys sign, each in the place of the current one of its algorithm.
///
/// # Faults
/// The database is away.
pub async fn activate(admin: &Admin<'_>, keys: &[KeyRecord]) -> Result<(), AdminFailure> {
    for key in keys {
        let id = key.id.clone();
        take(admin, &KeyStep::Activate { id }, None).await?;
    }
    Ok(())
}

/// Deletes a key: what it signed is refused within a second. In the place of one that signs the next one signs,
/// so [`publish`] one first.
///
/// # Refusals
/// There is no such key, or it cannot be deleted now: it signs, and there is no next one.
pub async fn remove(admin: &Admin<'_>, kid: &str) -> Result<(), AdminFailure> {
    let id = load(admin, kid).await?.id;
    if take(admin, &KeyStep::Remove { id }, None).await? {
        return Ok(());
    }
    let reason = "the keys were changed meanwhile: look again";
    Err(AdminRefusal::invalid("key", reason).into())
}

/// The key that [`publish`] and [`activate`] are to replace so that it signs no more; none if it signs no more
/// already.
///
/// # Refusals
/// There is no such key, or it has never signed.
pub async fn load_retiring(
    admin: &Admin<'_>,
    kid: &str,
) -> Result<Option<KeyRecord>, AdminFailure> {
    let key = load(admin, kid).await?;
    match key.state {
        KeyState::Retired => Ok(None),
        KeyState::Current => Ok(Some(key)),
        KeyState::Next => {
            let reason = "this key has never signed: `vestibule key remove` deletes it";
            Err(AdminRefusal::invalid("key", reason).into())
        }
    }
}

/// Takes the steps that are due in the life of the signing keys, as the server itself; how many this node
/// took.
///
/// # Faults
/// The database is away.
pub async fn take_due(app: &App, at: Moment) -> Result<usize, Fault> {
    let records = app.directory().keys.records();
    let steps = key_life::due(&records, app.key_rules, at);
    let admin = Admin {
        at,
        ..Admin::of(app, Actor::Server, AuditSource::Server)
    };
    let mut taken = 0;
    for step in steps {
        if take(&admin, &step, Some(app.key_rules)).await? {
            tracing::info!(?step, "signing keys: the due step was performed");
            taken += 1;
        }
    }
    if taken > 0 {
        app.refresh().await?;
    }
    Ok(taken)
}

/// Takes a step, if it is still due by these rules, or, without rules, if it can be taken; false when
/// it is not, or when another node was faster.
///
/// # Faults
/// The database is away.
pub async fn take(
    admin: &Admin<'_>,
    step: &KeyStep,
    rules: Option<KeyRules>,
) -> Result<bool, Fault> {
    let made = match step {
        KeyStep::Publish { algorithm } => Some(make(admin, *algorithm).await?),
        KeyStep::Activate { .. } | KeyStep::Remove { .. } => None,
    };
    let taking = Taking {
        step: step.clone(),
        rules,
        made,
        at: admin.at,
    };
    let taken = admin.change("key.step", KIND, taking, |tx, taking| {
        Box::pin(take_within(tx, taking))
    });
    taken.await.map_err(|failure| match failure {
        AdminFailure::Broken(fault) => fault,
        // A step is taken or it is not.
        AdminFailure::Refused(refusal) => Fault::new("taking a step of a signing key", refusal),
    })
}

/// Makes a key, sealed, that is to be the next one.
async fn make(admin: &Admin<'_>, algorithm: Algorithm) -> Result<SealedKey, Fault> {
    let at = admin.at;
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, at));
    let (key, pkcs8) = made
        .await
        .map_err(|error| Fault::new("making a signing key", error))??;
    let (id, entropy) = (&key.record.id, admin.entropy);
    let sealed = admin
        .keyring
        .seal(SealedKind::SigningKey, id, &pkcs8, entropy);
    let record = KeyRecord {
        state: KeyState::Next,
        activated_at: None,
        ..key.record
    };
    Ok(SealedKey { record, sealed })
}

/// What the write needs.
struct Taking {
    step: KeyStep,
    rules: Option<KeyRules>,
    /// The key that is published.
    made: Option<SealedKey>,
    at: Moment,
}

async fn take_within(
    tx: &mut AdminTransaction<'_, '_>,
    taking: &Taking,
) -> Result<Change<bool>, AdminFailure> {
    let at = taking.at;
    // The version is raised by now, so of two nodes the second sees what the first has done.
    let keys = store::signing_key::records(tx).await?;
    let is_wanted = match taking.rules {
        Some(rules) => key_life::due(&keys, rules, at).contains(&taking.step),
        None => key_life::is_possible(&keys, &taking.step),
    };
    if !is_wanted {
        return Ok(Change::Nothing(false));
    }
    match (&taking.step, &taking.made) {
        (KeyStep::Activate { id }, _) => put_in_place(tx, &keys, id, at).await?,
        (KeyStep::Remove { id }, _) => delete(tx, &keys, id, at).await?,
        (KeyStep::Publish { .. }, Some(key)) => {
            if !store::signing_key::insert(tx, key).await? {
                return Ok(Change::Nothing(false));
            }
        }
        (KeyStep::Publish { .. }, None) => return Ok(Change::Nothing(false)),
    }
    let after = store::signing_key::records(tx).await?;
    Ok(Change::Made {
        outcome: true,
        entries: entries(&keys, &after),
    })
}

/// Puts a next key in the place of the current one.
async fn put_in_place(
    tx: &mut AdminTransaction<'_, '_>,
    keys: &[KeyRecord],
    id: &str,
    at: Moment,
) -> Result<(), Fault> {
    let moved = || {
        let detail = String::from("another node moved the keys on");
        Fault::described("activating a signing key", detail).with_kind(FaultKind::Conflict)
    };
    let next = keys.iter().find(|key| key.id == id).ok_or_else(moved)?;
    if store::signing_key::activate(tx, next.algorithm, id, at).await? {
        Ok(())
    } else {
        Err(moved())
    }
}

/// Deletes a key; in the place of one that signs, the next one signs from now on.
async fn delete(
    tx: &mut AdminTransaction<'_, '_>,
    keys: &[KeyRecord],
    id: &str,
    at: Moment,
) -> Result<(), Fault> {
    let removed = keys.iter().find(|key| key.id == id);
    if let Some(current) = removed.filter(|key| key.state == KeyState::Current)
        && let Some(next) = key_life::next(keys, current.algorithm)
    {
        put_in_place(tx, keys, &next.id, at).await?;
    }
    store::signing_key::delete(tx, id).await?;
    Ok(())
}

/// The entries of all keys that a step has changed.
fn entries(before: &[KeyRecord], after: &[KeyRecord]) -> Vec<AuditEntry> {
    let was = |id: &str| before.iter().find(|key| key.id == id);
    let changed = after.iter().filter_map(|key| {
        let event = match (was(&key.id).map(|key| key.state), key.state) {
            (None, _) => "key.published",
            (Some(before), after) if before == after => return None,
            (Some(_), KeyState::Current) => "key.activated",
            (Some(_), _) => "key.retired",
        };
        Some(entry(event, key, was(&key.id), Some(key)))
    });
    let is_gone = |key: &&KeyRecord| !after.iter().any(|left| left.id == key.id);
    let removed = before.iter().filter(is_gone);
    let removed = removed.map(|key| entry("key.removed", key, Some(key), None));
    changed.chain(removed).collect()
}

/// The entry of one key.
pub(super) fn entry(
    event: &'static str,
    key: &KeyRecord,
    before: Option<&KeyRecord>,
    after: Option<&KeyRecord>,
) -> AuditEntry {
    let shown = |key: Option<&KeyRecord>| key.map_or(Value::Null, shown);
    let object = AuditObject::new(KIND, &key.id, key.algorithm.as_str());
    AuditEntry::new(event, object, &shown(before), &shown(after))
}

/// A key as audit events compare it.
fn shown(key: &KeyRecord) -> Value {
    let seconds = |at: Option<Moment>| at.map(|at| at.iso_seconds());
    json!({
        "algorithm": key.algorithm.as_str(), "state": key.state.as_str(),
        "activatedAt": seconds(key.activated_at), "retiredAt": seconds(key.retired_at),
    })
}
