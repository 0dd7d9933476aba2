//! The recorded calls of handlers.

use crate::admin::{Admin, AdminFailure, AdminRefusal};
use crate::app::handlers::open_record;
use crate::audit::ObjectKind;
use crate::handler::record::CallRecord;
use crate::refusal::Fault;
use crate::store;
pub use crate::store::handler_call::{Filter, HandlerCall};

/// The latest calls that a filter admits.
///
/// # Faults
/// The database is away.
pub async fn calls(admin: &Admin<'_>, filter: &Filter) -> Result<Vec<HandlerCall>, Fault> {
    let read = admin.store.read("handler.calls", filter, |tx, filter| {
        Box::pin(store::handler_call::list(tx, filter))
    });
    read.await
}

/// A call, with everything that is kept of it.
///
/// # Refusals
/// There is no such call; calls are kept for some days only.
pub async fn load_call(
    admin: &Admin<'_>,
    id: &str,
) -> Result<(HandlerCall, CallRecord), AdminFailure> {
    let found = admin
        .store
        .read("handler.call", &id.to_owned(), |tx, id| {
            Box::pin(store::handler_call::find(tx, id))
        })
        .await?;
    let call = found.ok_or_else(|| AdminRefusal::Missing {
        kind: ObjectKind::Call,
        name: id.to_owned(),
        known: Vec::new(),
    })?;
    let record = open_record(admin.keyring, &call)?;
    Ok((call, record))
}
