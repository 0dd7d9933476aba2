//! Administrative changes: the only way to the statements that change sites, clients, profiles, templates,
//! handlers, signing keys and the state of users.
//!
//! Those store functions take an [`AdminTransaction`], and only [`Store::administer`] makes one. It wants to
//! know who changes the data, and its body must return the entries of the audit log with its result. It
//! raises the version first, where the data is part of the directory; that locks the installation's row, so
//! of two administrators the second one reads what the first one has written. A body that returns no entry is
//! rolled back, so nothing changes without an audit event.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;

use super::audit::{self, AuditEvent};
use super::{Store, Transaction, Write, WriteInput, WriteResult, installation};
use crate::audit::{Actor, AuditEntry, AuditSource, ObjectKind};
use crate::moment::Moment;
use crate::refusal::Fault;

/// A transaction that may change administrative data; it can do all that a [`Transaction`] can.
pub struct AdminTransaction<'t, 'c> {
    inner: &'t mut Transaction<'c>,
}

impl<'c> Deref for AdminTransaction<'_, 'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        self.inner
    }
}

impl<'c> DerefMut for AdminTransaction<'_, 'c> {
    fn deref_mut(&mut self) -> &mut Transaction<'c> {
        self.inner
    }
}

/// What an administrative body has come to.
#[derive(Debug)]
pub enum Change<T> {
    /// The data is changed; each object has its entry.
    Made {
        /// The result.
        outcome: T,
        /// What the audit log says of it: at least one entry.
        entries: Vec<AuditEntry>,
    },
    /// The data is as requested already. Nothing is kept or recorded.
    Nothing(T),
}

impl<T> Change<T> {
    /// A change of one object.
    pub fn made(outcome: T, entry: AuditEntry) -> Change<T> {
        Change::Made {
            outcome,
            entries: vec![entry],
        }
    }
}

/// Why an administrative body did not change the data. Nothing of it is kept.
#[derive(Clone, Debug)]
pub enum ChangeFailure<R> {
    /// The change is refused.
    Refused(R),
    /// The server failed.
    Broken(Fault),
}

impl<R> From<Fault> for ChangeFailure<R> {
    fn from(fault: Fault) -> Self {
        ChangeFailure::Broken(fault)
    }
}

/// The future that an administrative body makes.
pub type AdminBodyFuture<'x, T, R> =
    Pin<Box<dyn Future<Output = Result<Change<T>, ChangeFailure<R>>> + Send + 'x>>;

/// A body that changes administrative data; like [`super::TransactionBody`] it may run twice.
pub trait AdminBody<I, T, R>:
    for<'x, 'c> Fn(&'x mut AdminTransaction<'x, 'c>, &'x I) -> AdminBodyFuture<'x, T, R>
    + Send
    + Sync
    + 'static
{
}

impl<I, T, R, F> AdminBody<I, T, R> for F where
    F: for<'x, 'c> Fn(&'x mut AdminTransaction<'x, 'c>, &'x I) -> AdminBodyFuture<'x, T, R>
        + Send
        + Sync
        + 'static
{
}

/// Who performs an operation, from where, on what kind of object and when.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub source: AuditSource,
    /// The kind of object; it decides whether the version is raised.
    pub kind: ObjectKind,
    /// When.
    pub at: Moment,
    /// Randomness for the ids of the audit events, because a body that runs twice must not draw any.
    pub random: [u8; 16],
}

impl Act {
    /// The audit event of the entry with this number.
    fn event(&self, number: u128, entry: &AuditEntry) -> AuditEvent {
        let random = u128::from_be_bytes(self.random).wrapping_add(number);
        let id_if = |kind| (entry.object.kind == kind).then(|| entry.object.id.clone());
        AuditEvent {
            user_id: id_if(ObjectKind::User),
            client_id: id_if(ObjectKind::Client),
            site_id: id_if(ObjectKind::Site),
            ip: match self.source {
                AuditSource::Address(ip) => Some(ip.to_string()),
                AuditSource::CommandLine | AuditSource::Server => None,
            },
            detail: entry.detail(&self.actor, self.source).to_string(),
            ..AuditEvent::new(entry.event, self.at, random.to_be_bytes())
        }
    }
}

impl Store {
    /// Changes administrative data, all of it or nothing, with its audit events. `name` is that of the write,
    /// as in [`Store::write`].
    ///
    /// # Refusals
    /// Those of the body.
    ///
    /// # Faults
    /// Of the body, of the commit, or the database is away. A body whose entries contradict its kind, or that
    /// has none, is a defect and changes nothing.
    pub async fn administer<I: WriteInput, T: WriteResult, R: WriteResult>(
        &self,
        name: &'static str,
        act: Act,
        input: I,
        body: impl AdminBody<I, T, R>,
    ) -> Result<T, ChangeFailure<R>> {
        let is_kept = |change: &Result<_, _>| matches!(change, Ok(Change::Made { .. }));
        let input = (act, input, body);
        let write = Write::new(input, is_kept, |tx, (act, input, body)| {
            Box::pin(administer(tx, act, input, body))
        });
        let change = self.write_if(name, write).await?;
        match change {
            Ok(Change::Made { outcome, .. } | Change::Nothing(outcome)) => Ok(outcome),
            Err(refusal) => Err(ChangeFailure::Refused(refusal)),
        }
    }
}

async fn administer<I, T, R>(
    tx: &mut Transaction<'_>,
    act: &Act,
    input: &I,
    body: &impl AdminBody<I, T, R>,
) -> Result<Result<Change<T>, R>, Fault> {
    let is_in_directory = act.kind.is_in_directory();
    if is_in_directory {
        installation::bump(tx).await?;
    }
    let change = match body(&mut AdminTransaction { inner: tx }, input).await {
        Ok(change) => change,
        Err(ChangeFailure::Refused(refusal)) => return Ok(Err(refusal)),
        Err(ChangeFailure::Broken(fault)) => return Err(fault),
    };
    if let Change::Made { entries, .. } = &change {
        let is_wrong = |entry: &AuditEntry| entry.object.kind.is_in_directory() && !is_in_directory;
        if entries.is_empty() || entries.iter().any(is_wrong) {
            let detail = String::from("the change has no audit entry, or one of another kind");
            return Err(Fault::described("recording a change", detail));
        }
        for (number, entry) in (0..).zip(entries) {
            audit::insert(tx, &act.event(number, entry)).await?;
        }
    }
    Ok(Ok(change))
}
