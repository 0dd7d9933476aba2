//! External identifiers of users: what the business knows them by, such as the number of an order.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::names::find_user;
use super::user::{self, missing};
use super::{Admin, AdminFailure, AdminRefusal};
use crate::audit::{AuditEntry, ObjectKind};
use crate::changes::Invalid;
use crate::identity::User;
use crate::identity::external_identifier::{ExternalIdentifier, VALUE_LENGTH_MAX, value_key};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::settings::is_name;
use crate::store::{self, AdminTransaction, Change, Transaction};

const KIND: ObjectKind = ObjectKind::User;

/// An identifier, and the user who has it or is to have it.
#[derive(Clone, Debug)]
pub struct NamedIdentifier {
    /// Username or record id.
    pub user: String,
    /// What it is, such as `order`.
    pub kind: String,
    /// The identifier, as entered.
    pub value: String,
}

/// The identifiers of a user, by kind and value; and the user.
///
/// # Refusals
/// There is no such user.
pub async fn list(
    admin: &Admin<'_>,
    user: &str,
) -> Result<(User, Vec<ExternalIdentifier>), AdminFailure> {
    let user = user::load(admin, user).await?.user;
    let identifiers = admin
        .store
        .read("identifier.list", &user.id, |tx, id| {
            Box::pin(store::external_identifier::list(tx, id))
        })
        .await?;
    Ok((user, identifiers))
}

/// Gives a user an identifier, unless it is theirs already; the user and the identifier.
///
/// # Refusals
/// There is no such user, or it is a service's user. Kind or value is wrong, or another user has the identifier.
pub async fn add(
    admin: &Admin<'_>,
    request: NamedIdentifier,
) -> Result<(User, ExternalIdentifier), AdminFailure> {
    let new = (Wanted::parse(&request)?, admin.at);
    let added = admin.change("identifier.add", KIND, new, |tx, (wanted, at)| {
        Box::pin(write_added(tx, wanted, *at))
    });
    added.await
}

async fn write_added(
    tx: &mut AdminTransaction<'_, '_>,
    wanted: &Wanted,
    at: Moment,
) -> Result<Change<(User, ExternalIdentifier)>, AdminFailure> {
    let user = wanted.load_user(tx).await?;
    if user.is_integration {
        let reason = "a service's user does not log in by an identifier";
        return Err(AdminRefusal::invalid("user", reason).into());
    }
    let identifier = wanted.of(&user, at);
    match insert(tx, wanted, &identifier).await? {
        Saved::New => {
            let entry = added(&user, &identifier);
            Ok(Change::made((user, identifier), entry))
        }
        Saved::Present => Ok(Change::Nothing((user, identifier))),
        Saved::Taken => Err(AdminRefusal::Taken {
            kind: KIND,
            field: wanted.kind.clone(),
            value: wanted.value.clone(),
        }
        .into()),
    }
}

/// Takes an identifier from a user; the user and the identifier.
///
/// # Refusals
/// There is no such user, or the user does not have the identifier.
pub async fn remove(
    admin: &Admin<'_>,
    request: NamedIdentifier,
) -> Result<(User, ExternalIdentifier), AdminFailure> {
    let wanted = Wanted::parse(&request)?;
    let at = admin.at;
    let removed = admin.change(
        "identifier.remove",
        KIND,
        (wanted, at),
        |tx, (wanted, at)| Box::pin(write_removed(tx, wanted, *at)),
    );
    removed.await
}

async fn write_removed(
    tx: &mut AdminTransaction<'_, '_>,
    wanted: &Wanted,
    at: Moment,
) -> Result<Change<(User, ExternalIdentifier)>, AdminFailure> {
    let user = wanted.load_user(tx).await?;
    let (kind, key) = (&wanted.kind, &wanted.key);
    if !store::external_identifier::delete(tx, kind, key, &user.id).await? {
        return Err(AdminRefusal::Missing {
            kind: ObjectKind::Identifier,
            name: format!("{kind} {} of {}", wanted.value, user.username),
            known: Vec::new(),
        }
        .into());
    }
    let identifier = wanted.of(&user, at);
    let before = shown(&identifier);
    let entry = user::entry("user.identifier_removed", &user, &before, &Value::Null);
    Ok(Change::made((user, identifier), entry))
}

/// What has become of one identifier of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is the user's now.
    Added,
    /// It was the user's already.
    Present,
    /// It was left out, for this reason.
    Refused(String),
}

/// An import of many identifiers, in batches. What is wrong is left out, and the rest is saved; so the same batches
/// may be imported again.
#[derive(Debug)]
pub struct Import {
    is_dry_run: bool,
    /// What earlier batches would add, in a dry run: kind and key, with the user's id.
    would_be: HashMap<(String, String), String>,
}

impl Import {
    /// An import; a dry run checks everything and saves nothing.
    pub fn new(is_dry_run: bool) -> Import {
        Import {
            is_dry_run,
            would_be: HashMap::new(),
        }
    }

    /// Imports a batch in one write; what has become of each identifier, in order.
    ///
    /// # Faults
    /// The database is away; then nothing of the batch is saved.
    pub async fn run(
        &mut self,
        admin: &Admin<'_>,
        batch: &[NamedIdentifier],
    ) -> Result<Vec<Imported>, AdminFailure> {
        let parsed: Vec<Result<Wanted, Invalid>> = batch.iter().map(Wanted::parse).collect();
        if self.is_dry_run {
            return self.check(admin, parsed).await;
        }
        let input = (parsed, admin.at);
        admin
            .change("identifier.import", KIND, input, |tx, (parsed, at)| {
                Box::pin(import(tx, parsed, *at))
            })
            .await
    }

    async fn check(
        &mut self,
        admin: &Admin<'_>,
        parsed: Vec<Result<Wanted, Invalid>>,
    ) -> Result<Vec<Imported>, AdminFailure> {
        let found = admin
            .store
            .read("identifier.check", &parsed, |tx, parsed| {
                Box::pin(look_up(tx, parsed))
            })
            .await?;
        let checked = parsed
            .iter()
            .zip(found)
            .map(|(wanted, found)| match (wanted, found) {
                (Err(invalid), _) => Imported::Refused(invalid.to_string()),
                (Ok(wanted), None) => Imported::Refused(no_user(wanted)),
                (Ok(wanted), Some((user_id, saved))) => {
                    let saved = match saved {
                        Saved::New => self.after_earlier(wanted, user_id),
                        other => other,
                    };
                    saved.imported(wanted)
                }
            });
        Ok(checked.collect())
    }

    /// What would become of an identifier that no user has, after everything before it.
    fn after_earlier(&mut self, wanted: &Wanted, user_id: String) -> Saved {
        let named = (wanted.kind.clone(), wanted.key.clone());
        match self.would_be.get(&named) {
            Some(other) if *other == user_id => Saved::Present,
            Some(_) => Saved::Taken,
            None => {
                self.would_be.insert(named, user_id);
                Saved::New
            }
        }
    }
}

async fn import(
    tx: &mut AdminTransaction<'_, '_>,
    parsed: &[Result<Wanted, Invalid>],
    at: Moment,
) -> Result<Change<Vec<Imported>>, AdminFailure> {
    let (mut outcome, mut entries) = (Vec::with_capacity(parsed.len()), Vec::new());
    for wanted in parsed {
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(invalid) => {
                outcome.push(Imported::Refused(invalid.to_string()));
                continue;
            }
        };
        let user = find_person(tx, wanted).await?;
        let Some(user) = user else {
            outcome.push(Imported::Refused(no_user(wanted)));
            continue;
        };
        let identifier = wanted.of(&user, at);
        let saved = insert(tx, wanted, &identifier).await?;
        if saved == Saved::New {
            entries.push(added(&user, &identifier));
        }
        outcome.push(saved.imported(wanted));
    }
    Ok(if entries.is_empty() {
        Change::Nothing(outcome)
    } else {
        Change::Made { outcome, entries }
    })
}

/// The user's id and what saving would do, of each identifier whose user exists.
async fn look_up(
    tx: &mut Transaction<'_>,
    parsed: &[Result<Wanted, Invalid>],
) -> Result<Vec<Option<(String, Saved)>>, Fault> {
    let mut found = Vec::with_capacity(parsed.len());
    for wanted in parsed {
        let Ok(wanted) = wanted else {
            found.push(None);
            continue;
        };
        let user = find_person(tx, wanted).await?;
        let Some(user) = user else {
            found.push(None);
            continue;
        };
        let saved = match holder(tx, wanted).await? {
            None => Saved::New,
            Some(id) if id == user.id => Saved::Present,
            Some(_) => Saved::Taken,
        };
        found.push(Some((user.id, saved)));
    }
    Ok(found)
}

/// The user of a line of an import, who is no service's user.
async fn find_person(tx: &mut Transaction<'_>, wanted: &Wanted) -> Result<Option<User>, Fault> {
    let user = find_user(tx, &wanted.user).await?;
    Ok(user.filter(|user| !user.is_integration))
}

fn no_user(wanted: &Wanted) -> String {
    missing(&wanted.user).to_string()
}

/// An identifier whose kind and value can be saved.
#[derive(Clone, Debug)]
struct Wanted {
    user: String,
    kind: String,
    value: String,
    /// The value as it is compared.
    key: String,
}

impl Wanted {
    /// The user who has the identifier or is to have it.
    ///
    /// # Refusals
    /// There is no such user.
    async fn load_user(&self, tx: &mut Transaction<'_>) -> Result<User, AdminFailure> {
        let user = find_user(tx, &self.user).await?;
        Ok(user.ok_or_else(|| missing(&self.user))?)
    }

    fn parse(request: &NamedIdentifier) -> Result<Wanted, Invalid> {
        if !is_name(&request.kind) {
            let kind = &request.kind;
            let reason = format!("{kind:?}: 1 to 80 printable characters without blanks");
            return Err(Invalid::new("kind", reason));
        }
        let key = value_key(&request.value).ok_or_else(|| {
            Invalid::new(
                "value",
                format!("1 to {VALUE_LENGTH_MAX} printable characters"),
            )
        })?;
        Ok(Wanted {
            user: request.user.clone(),
            kind: request.kind.clone(),
            value: request.value.trim().to_owned(),
            key,
        })
    }

    fn of(&self, user: &User, at: Moment) -> ExternalIdentifier {
        ExternalIdentifier {
            kind: self.kind.clone(),
            value: self.value.clone(),
            user_id: user.id.clone(),
            created_at: at,
        }
    }
}

/// What saving an identifier has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saved {
    /// It is the user's now.
    New,
    /// It was the user's already.
    Present,
    /// It is another user's.
    Taken,
}

impl Saved {
    fn imported(self, wanted: &Wanted) -> Imported {
        let (kind, value) = (&wanted.kind, &wanted.value);
        match self {
            Saved::New => Imported::Added,
            Saved::Present => Imported::Present,
            Saved::Taken => Imported::Refused(format!("the {kind} {value:?} is another user's")),
        }
    }
}

async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    wanted: &Wanted,
    identifier: &ExternalIdentifier,
) -> Result<Saved, Fault> {
    if store::external_identifier::insert(tx, identifier, &wanted.key).await? {
        return Ok(Saved::New);
    }
    Ok(match holder(tx, wanted).await? {
        Some(id) if id == identifier.user_id => Saved::Present,
        _ => Saved::Taken,
    })
}

/// The id of the user who has an identifier.
async fn holder(tx: &mut Transaction<'_>, wanted: &Wanted) -> Result<Option<String>, Fault> {
    let holder = store::external_identifier::find(tx, &wanted.kind, &wanted.key).await?;
    Ok(holder.map(|user| user.id))
}

fn added(user: &User, identifier: &ExternalIdentifier) -> AuditEntry {
    let after = shown(identifier);
    user::entry("user.identifier_added", user, &Value::Null, &after)
}

/// An identifier as audit events compare it.
fn shown(identifier: &ExternalIdentifier) -> Value {
    json!({ "identifier": {"kind": identifier.kind, "value": identifier.value} })
}
