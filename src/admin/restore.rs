//! After a restore: what the backup would bring back ends, and the restore is recorded.

use serde_json::{Value, json};

use super::{Admin, AdminFailure};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::store::restore::Ended;
use crate::store::{self, Change};

/// What a restore has done to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The newest event of the audit log before: about the instant of the backup. `None` in a log without events.
    pub as_of: Option<Moment>,
    /// What was ended; `None` when the sessions were kept.
    pub ended: Option<Ended>,
}

/// Records that the database was restored from a backup, and ends every session, code and one-time password in it,
/// unless they are to be kept.
///
/// # Refusals
/// None of its own.
pub async fn complete(
    admin: &Admin<'_>,
    are_sessions_kept: bool,
) -> Result<Restored, AdminFailure> {
    let input = (admin.at, are_sessions_kept);
    admin
        .change(
            "installation.restore",
            ObjectKind::Installation,
            input,
            |tx, (at, are_kept)| {
                Box::pin(async move {
                    let installation = store::installation::find(tx).await?.ok_or_else(|| {
                        Fault::described("restoring", "the database holds no installation".into())
                    })?;
                    let newest = store::audit::list(tx, 1).await?.pop();
                    let as_of = newest.map(|event| event.at);
                    let ended = match are_kept {
                        true => None,
                        false => Some(store::restore::end_all(tx, *at).await?),
                    };
                    let kind = ObjectKind::Installation;
                    let object = AuditObject::new(kind, &installation.org_id, "installation");
                    let after = json!({
                        "dataAsOf": as_of.map(Moment::iso_seconds), "sessionsKept": are_kept,
                    });
                    let entry =
                        AuditEntry::new("installation.restored", object, &Value::Null, &after);
                    Ok(Change::made(Restored { as_of, ended }, entry))
                })
            },
        )
        .await
}
