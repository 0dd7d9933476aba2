//! `vestibule user identifier add|list|remove|import`: what the business knows users by.
//!
//! An import is read line by line and saved in batches. What cannot be saved is left out and reported with its
//! line; what is saved already is passed over, so the same file may be imported again.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::admin::identifier::{self, Import, Imported, NamedIdentifier};
use crate::cli::exit::Exit;
use crate::cli::noun::print_list;
use crate::cli::place::Place;
use crate::identity::User;
use crate::identity::external_identifier::ExternalIdentifier;

/// Lines of an import that are saved at once.
const BATCH: usize = 500;

/// Problems of an import that are reported one by one; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// What is done about identifiers.
#[derive(Subcommand)]
pub enum Action {
    /// Give a user an identifier
    Add(One),
    /// List the identifiers of a user
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
pub struct One {
    /// Username or record id
    user: String,
    /// What it is, such as order
    #[arg(long)]
    kind: String,
    /// The identifier, such as ORD-10023
    #[arg(long)]
    value: String,
}

impl One {
    fn request(self) -> NamedIdentifier {
        NamedIdentifier {
            user: self.user,
            kind: self.kind,
            value: self.value,
        }
    }
}

/// Runs it.
pub(super) async fn run(place: &Place, admin: &Admin<'_>, action: Action) -> Result<(), Exit> {
    match action {
        Action::Add(one) => {
            let (user, identifier) = identifier::add(admin, one.request()).await?;
            place.print(&row(&identifier), line(&user, &identifier))
        }
        Action::List { user } => {
            let (user, identifiers) = identifier::list(admin, &user).await?;
            print_list(place, "identifiers", &identifiers, row, |one| {
                line(&user, one)
            })
        }
        Action::Remove(one) => {
            let (user, identifier) = identifier::remove(admin, one.request()).await?;
            let (kind, value) = (&identifier.kind, &identifier.value);
            let json = json!({"kind": kind, "value": value, "removed": true});
            place.print(&json, format!("{}  removed", line(&user, &identifier)))
        }
        Action::Import { file, dry_run } => import(place, admin, &file, dry_run).await,
    }
}

fn row(identifier: &ExternalIdentifier) -> Value {
    json!({
        "kind": identifier.kind, "value": identifier.value, "user_id": identifier.user_id,
        "created_at": identifier.created_at.iso_seconds(),
    })
}

fn line(user: &User, identifier: &ExternalIdentifier) -> String {
    let (kind, value) = (&identifier.kind, &identifier.value);
    format!("{}  {kind}  {value}", user.username)
}

/// A line of an import.
#[derive(serde::Deserialize)]
struct Line {
    username: String,
    kind: String,
    value: String,
}

/// What has become of the lines of an import.
#[derive(Default)]
struct Tally {
    added: u64,
    present: u64,
    problems: Vec<(u64, String)>,
    problem_count: u64,
}

impl Tally {
    fn count(&mut self, number: u64, imported: Imported) {
        match imported {
            Imported::Added => self.added += 1,
            Imported::Present => self.present += 1,
            Imported::Refused(reason) => {
                self.problem_count += 1;
                if self.problems.len() < PROBLEMS_SHOWN_MAX {
                    self.problems.push((number, reason));
                }
            }
        }
    }
}

async fn import(
    place: &Place,
    admin: &Admin<'_>,
    file: &Path,
    is_dry_run: bool,
) -> Result<(), Exit> {
    let mut tally = Tally::default();
    let mut import = Import::new(is_dry_run);
    let (mut numbers, mut batch) = (Vec::new(), Vec::with_capacity(BATCH));
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
        let next = lines.next();
        let is_last = next.is_none();
        match next {
            None => {}
            Some(Ok(line)) => {
                numbers.push(number);
                batch.push(NamedIdentifier {
                    user: line.username,
                    kind: line.kind,
                    value: line.value,
                });
            }
            Some(Err(error)) if error.is_io_error() => return Err(unreadable(file, &error)),
            Some(Err(_)) => {
                let reason = String::from("not a line of these columns in UTF-8");
                tally.count(number, Imported::Refused(reason));
            }
        }
        if is_last || batch.len() == BATCH {
            let imported = import.run(admin, &batch).await?;
            for (number, imported) in numbers.drain(..).zip(imported) {
                tally.count(number, imported);
            }
            batch.clear();
        }
        if is_last {
            return report(place, file, is_dry_run, tally);
        }
    }
}

/// The file, with one kind of line ends, so that lines are counted as an editor counts them. No value has
/// a line break in it, so a quote that is not closed on its line is a slip that would swallow the rest.
fn read(file: &Path) -> Result<Vec<u8>, Exit> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
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

/// Prints the result; an import with problems ends with an error, after everything else is saved.
fn report(place: &Place, file: &Path, is_dry_run: bool, tally: Tally) -> Result<(), Exit> {
    let verb = if is_dry_run {
        "would be added"
    } else {
        "added"
    };
    let mut problems = tally.problems;
    problems.sort();
    let mut lines: Vec<String> = problems
        .iter()
        .map(|(number, reason)| format!("line {number}: {reason}"))
        .collect();
    let json = json!({
        "added": tally.added, "already_there": tally.present, "refused": tally.problem_count,
        "problems": lines, "dry_run": is_dry_run,
    });
    let text = format!(
        "{} {verb}, {} already there, {} refused",
        tally.added, tally.present, tally.problem_count
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
