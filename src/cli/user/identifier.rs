//! `vestibule user identifier add|list|remove|import`: what the business knows users by.
//!
//! An import is read and checked line by line and saved in batches. What cannot be saved is told with its
//! line and left out; what is there already is passed over, so the same file may be given again.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{event, named};
use crate::cli::place::{Exit, Installation, Place};
use crate::identity::external_identifier::{ExternalIdentifier, VALUE_LENGTH_MAX, value_key};
use crate::identity::username::Username;
use crate::refusal::Fault;
use crate::settings::is_name;
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};

/// Lines of an import that are saved at once.
const BATCH: usize = 500;

/// Problems of an import that are told one by one; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// What is done about identifiers.
#[derive(Subcommand)]
pub(super) enum Action {
    /// Give a user an identifier
    Add(One),
    /// The identifiers of a user
    List {
        /// Username or record id
        user: String,
    },
    /// Take an identifier from a user
    Remove(One),
    /// Give many users identifiers, from a CSV file with the columns username, kind, value
    Import {
        /// The file; - is standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Check every line and save none
        #[arg(long)]
        dry_run: bool,
    },
}

/// One identifier.
#[derive(Args)]
pub(super) struct One {
    /// Username or record id
    user: String,
    /// What it is, such as order
    #[arg(long)]
    kind: String,
    /// The identifier, such as ORD-10023
    #[arg(long)]
    value: String,
}

/// Runs it.
pub(super) async fn run(
    place: &Place,
    installation: &Installation,
    action: Action,
) -> Result<(), Exit> {
    match action {
        Action::Add(one) => add(place, installation, &one).await,
        Action::List { user } => list(place, installation, &user).await,
        Action::Remove(one) => remove(place, installation, &one).await,
        Action::Import { file, dry_run } => import(place, installation, &file, dry_run).await,
    }
}

/// Kind and value as they are kept, with the value's compared form.
fn checked(kind: &str, value: &str) -> Result<(String, String, String), String> {
    if !is_name(kind) {
        return Err(format!(
            "kind {kind:?}: 1 to 80 printable characters without blanks"
        ));
    }
    let key = value_key(value)
        .ok_or_else(|| format!("value: 1 to {VALUE_LENGTH_MAX} printable characters"))?;
    Ok((kind.to_owned(), value.trim().to_owned(), key))
}

async fn add(place: &Place, installation: &Installation, one: &One) -> Result<(), Exit> {
    let user = named(installation, &one.user).await?;
    if user.is_integration {
        return Err(Exit::refused(
            "a service's user does not log in by an identifier",
        ));
    }
    let (kind, value, key) = checked(&one.kind, &one.value).map_err(Exit::refused)?;
    let at = installation.clock.now();
    let entry = Entry {
        key,
        event: event(installation, &user, "user.identifier_added", at),
        identifier: ExternalIdentifier {
            kind,
            value,
            user_id: user.id.clone(),
            created_at: at,
        },
    };
    let identifier = entry.identifier.clone();
    let saved = installation
        .store
        .write("identifier.add", entry, |tx, entry| {
            Box::pin(save(tx, entry))
        })
        .await?;
    if let Saved::Taken = saved {
        return Err(Exit::refused(format!(
            "the {} {:?} is another user's",
            identifier.kind, identifier.value
        )));
    }
    let text = format!(
        "{}  {}  {}",
        user.username, identifier.kind, identifier.value
    );
    place.print(&describe(&identifier), text)
}

async fn list(place: &Place, installation: &Installation, name: &str) -> Result<(), Exit> {
    let user = named(installation, name).await?;
    let identifiers = installation
        .store
        .read("identifier.list", &user.id, |tx, id| {
            Box::pin(store::external_identifier::list(tx, id))
        })
        .await?;
    let rows: Vec<Value> = identifiers.iter().map(describe).collect();
    let lines: Vec<String> = identifiers
        .iter()
        .map(|identifier| format!("{}  {}", identifier.kind, identifier.value))
        .collect();
    place.print(&json!({ "identifiers": rows }), lines.join("\n"))
}

async fn remove(place: &Place, installation: &Installation, one: &One) -> Result<(), Exit> {
    let user = named(installation, &one.user).await?;
    let (kind, value, key) = checked(&one.kind, &one.value).map_err(Exit::refused)?;
    let at = installation.clock.now();
    let event = event(installation, &user, "user.identifier_removed", at);
    let removal = (kind.clone(), key, user.id.clone(), event);
    let is_removed = installation
        .store
        .write(
            "identifier.remove",
            removal,
            |tx, (kind, key, user_id, event)| {
                Box::pin(async move {
                    let is_removed =
                        store::external_identifier::delete(tx, kind, key, user_id).await?;
                    if is_removed {
                        store::audit::insert(tx, event).await?;
                    }
                    Ok(is_removed)
                })
            },
        )
        .await?;
    if !is_removed {
        return Err(Exit::missing(format!(
            "{} has no {kind} {value:?}",
            user.username
        )));
    }
    let json = json!({"kind": kind, "value": value, "removed": true});
    place.print(
        &json,
        format!("{}  {kind}  {value}  removed", user.username),
    )
}

fn describe(identifier: &ExternalIdentifier) -> Value {
    json!({
        "kind": identifier.kind, "value": identifier.value, "user_id": identifier.user_id,
        "created_at": identifier.created_at.iso_seconds(),
    })
}

/// An identifier that is about to be saved.
struct Entry {
    key: String,
    identifier: ExternalIdentifier,
    event: AuditEvent,
}

impl Entry {
    /// Kind and compared value, and whose it is to be.
    fn owned(&self) -> ((String, String), String) {
        let identifier = &self.identifier;
        let named = (identifier.kind.clone(), self.key.clone());
        (named, identifier.user_id.clone())
    }
}

/// What came of saving one.
#[derive(Clone, Copy, PartialEq)]
enum Saved {
    /// It is the user's now.
    New,
    /// It was the user's already.
    There,
    /// It is somebody else's.
    Taken,
}

async fn save(tx: &mut Transaction<'_>, entry: &Entry) -> Result<Saved, Fault> {
    if store::external_identifier::insert(tx, &entry.identifier, &entry.key).await? {
        store::audit::insert(tx, &entry.event).await?;
        return Ok(Saved::New);
    }
    let holder = store::external_identifier::find(tx, &entry.identifier.kind, &entry.key).await?;
    Ok(match holder {
        Some(user) if user.id == entry.identifier.user_id => Saved::There,
        _ => Saved::Taken,
    })
}

/// A line of an import.
#[derive(serde::Deserialize)]
struct Line {
    username: String,
    kind: String,
    value: String,
}

/// A line that can be saved, if its user is there.
struct Wanted {
    number: u64,
    username: String,
    username_key: String,
    kind: String,
    value: String,
    key: String,
}

/// What an import has come to.
#[derive(Default)]
struct Tally {
    added: u64,
    there: u64,
    problems: Vec<(u64, String)>,
    problem_count: u64,
    /// What lines before would add, in a dry run: kind and value, and whose.
    would_be: HashMap<(String, String), String>,
}

impl Tally {
    /// What would come of a line after all before it.
    fn after_lines_before(
        &mut self,
        (named, user_id): ((String, String), String),
        found: Saved,
    ) -> Saved {
        if found != Saved::New {
            return found;
        }
        match self.would_be.get(&named) {
            Some(holder) if *holder == user_id => Saved::There,
            Some(_) => Saved::Taken,
            None => {
                self.would_be.insert(named, user_id);
                Saved::New
            }
        }
    }

    fn refuse(&mut self, number: u64, reason: &str) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_SHOWN_MAX {
            self.problems.push((number, reason.to_owned()));
        }
    }
}

async fn import(
    place: &Place,
    installation: &Installation,
    file: &Path,
    is_dry: bool,
) -> Result<(), Exit> {
    let mut tally = Tally::default();
    let mut batch = Vec::with_capacity(BATCH);
    let text = read(file)?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_slice());
    let headers = reader.headers().map_err(|error| unreadable(file, &error))?;
    for column in ["username", "kind", "value"] {
        if !headers.iter().any(|header| header == column) {
            return Err(Exit::refused(format!(
                "{}: the first line names the columns, and {column:?} is not among them",
                file.display()
            )));
        }
    }
    let mut lines = reader.into_deserialize::<Line>();
    loop {
        let number = lines.reader().position().line();
        let Some(line) = lines.next() else { break };
        match line {
            Ok(line) => match wanted(number, line) {
                Ok(wanted) => batch.push(wanted),
                Err(reason) => tally.refuse(number, &reason),
            },
            Err(error) if error.is_io_error() => return Err(unreadable(file, &error)),
            Err(_) => tally.refuse(number, "not a line of these columns in UTF-8"),
        }
        if batch.len() == BATCH {
            save_batch(installation, std::mem::take(&mut batch), is_dry, &mut tally).await?;
        }
    }
    save_batch(installation, batch, is_dry, &mut tally).await?;
    report(place, file, is_dry, tally)
}

/// The file, with one kind of line ends, so that lines are counted as an editor counts them. No value has
/// a line break in it, so a quote that is not closed on its line is a slip that would swallow the rest.
fn read(file: &Path) -> Result<Vec<u8>, Exit> {
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(file).map(|read| bytes = read),
    };
    read.map_err(|error| Exit::refused(format!("{}: {error}", file.display())))?;
    let mut lines = Vec::with_capacity(bytes.len());
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            return Err(Exit::refused(format!(
                "{}: line {}: a quote is not closed",
                file.display(),
                number + 1
            )));
        }
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn unreadable(file: &Path, error: &csv::Error) -> Exit {
    Exit::refused(format!("{}: {error}", file.display()))
}

fn wanted(number: u64, line: Line) -> Result<Wanted, String> {
    let username = Username::parse(&line.username)
        .map_err(|problem| format!("username {:?}: {problem}", line.username))?;
    let (kind, value, key) = checked(&line.kind, &line.value)?;
    Ok(Wanted {
        number,
        username_key: username.key().to_owned(),
        username: line.username,
        kind,
        value,
        key,
    })
}

/// Saves some lines in one write; a dry run looks everything up and rolls nothing forward.
async fn save_batch(
    installation: &Installation,
    batch: Vec<Wanted>,
    is_dry: bool,
    tally: &mut Tally,
) -> Result<(), Exit> {
    let at = installation.clock.now();
    let keys: Vec<String> = batch.iter().map(|w| w.username_key.clone()).collect();
    let users = installation
        .store
        .read("identifier.users", &keys, |tx, keys| {
            Box::pin(async move {
                let mut users = Vec::with_capacity(keys.len());
                for key in keys {
                    users.push(store::user::find_by_username(tx, key).await?);
                }
                Ok(users)
            })
        })
        .await?;
    let mut entries = Vec::with_capacity(batch.len());
    for (wanted, user) in batch.into_iter().zip(users) {
        let Some(user) = user.filter(|user| !user.is_integration) else {
            tally.refuse(
                wanted.number,
                &format!("there is no user {:?}", wanted.username),
            );
            continue;
        };
        entries.push((
            wanted.number,
            Entry {
                key: wanted.key,
                event: event(installation, &user, "user.identifier_added", at),
                identifier: ExternalIdentifier {
                    kind: wanted.kind,
                    value: wanted.value,
                    user_id: user.id,
                    created_at: at,
                },
            },
        ));
    }
    let names: Vec<(u64, String)> = entries
        .iter()
        .map(|(number, e)| {
            (
                *number,
                format!("{} {:?}", e.identifier.kind, e.identifier.value),
            )
        })
        .collect();
    let saved = if is_dry {
        let wanted: Vec<_> = entries.iter().map(|(_, entry)| entry.owned()).collect();
        let found = look_up(installation, entries).await?;
        let found = wanted.into_iter().zip(found);
        found
            .map(|(wanted, found)| tally.after_lines_before(wanted, found))
            .collect()
    } else {
        save_all(installation, entries).await?
    };
    for ((number, name), saved) in names.into_iter().zip(saved) {
        match saved {
            Saved::New => tally.added += 1,
            Saved::There => tally.there += 1,
            Saved::Taken => tally.refuse(number, &format!("the {name} is another user's")),
        }
    }
    Ok(())
}

async fn save_all(
    installation: &Installation,
    entries: Vec<(u64, Entry)>,
) -> Result<Vec<Saved>, Fault> {
    installation
        .store
        .write("identifier.import", entries, |tx, entries| {
            Box::pin(async move {
                let mut saved = Vec::with_capacity(entries.len());
                for (_, entry) in entries {
                    saved.push(save(tx, entry).await?);
                }
                Ok(saved)
            })
        })
        .await
}

async fn look_up(
    installation: &Installation,
    entries: Vec<(u64, Entry)>,
) -> Result<Vec<Saved>, Fault> {
    installation
        .store
        .read("identifier.check", &entries, |tx, entries| {
            Box::pin(async move {
                let mut found = Vec::with_capacity(entries.len());
                for (_, entry) in entries {
                    let kind = &entry.identifier.kind;
                    let holder = store::external_identifier::find(tx, kind, &entry.key).await?;
                    found.push(match holder {
                        None => Saved::New,
                        Some(user) if user.id == entry.identifier.user_id => Saved::There,
                        Some(_) => Saved::Taken,
                    });
                }
                Ok(found)
            })
        })
        .await
}

/// Tells what came of it; an import with problems ends with an error, after everything else is saved.
fn report(place: &Place, file: &Path, is_dry: bool, tally: Tally) -> Result<(), Exit> {
    let verb = if is_dry { "would be added" } else { "added" };
    let mut problems = tally.problems;
    problems.sort();
    let mut lines: Vec<String> = problems
        .iter()
        .map(|(number, reason)| format!("line {number}: {reason}"))
        .collect();
    let json = json!({
        "added": tally.added, "already_there": tally.there, "refused": tally.problem_count,
        "problems": lines, "dry_run": is_dry,
    });
    let text = format!(
        "{} {verb}, {} already there, {} refused",
        tally.added, tally.there, tally.problem_count
    );
    place.print(&json, text)?;
    if tally.problem_count == 0 {
        return Ok(());
    }
    let more = tally.problem_count - lines.len() as u64;
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Err(Exit::refused(format!(
        "{}: {}",
        file.display(),
        lines.join("\n  ")
    )))
}
