//! The record of a call: without secrets, sealed, stored.

use serde_json::Value;

use super::{Call, CallResult, LoadedHandler};
use crate::app::App;
use crate::handler::HandlerError;
use crate::handler::record::{CallRecord, RecordedOutcome};
use crate::refusal::Fault;
use crate::sealing::{Keyring, SealedKind};
use crate::store::handler_call::{self, HandlerCall};

/// A larger record loses the results of the host calls, and cannot be replayed.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

impl App {
    /// Stores the record of a call. A failure is logged, and the call remains valid.
    pub(super) async fn record_call(
        &self,
        handler: &LoadedHandler,
        call: Call<'_>,
        done: CallResult,
    ) {
        let row = match self.row(handler, call, done) {
            Ok(row) => row,
            Err(fault) => return self.not_recorded(&fault),
        };
        let recorded = self
            .store
            .write("handler.record", row, |tx, row| {
                Box::pin(handler_call::insert(tx, row))
            })
            .await;
        if let Err(fault) = recorded {
            self.not_recorded(&fault);
        }
    }

    fn row(
        &self,
        handler: &LoadedHandler,
        call: Call<'_>,
        done: CallResult,
    ) -> Result<HandlerCall, Fault> {
        let micros =
            |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let (cpu_micros, wall_micros) = (micros(done.cpu), micros(done.wall));
        let caller = call.caller;
        let record = CallRecord {
            argument: call.argument,
            removed: Vec::new(),
            is_whole: true,
            run_as: caller.run_as.map(str::to_owned),
            at_ms: caller.at.millis(),
            seed: done.seed.map(|seed| hex(&seed)),
            questions: done.questions,
            outcome: RecordedOutcome::of(&done.outcome),
            log: done.log,
        };
        let record = record.cleaned();
        let outcome = record.outcome.word();
        let text = to_text(record)?;
        let sealed = self
            .keyring
            .seal(SealedKind::HandlerCall, &call.id, &text, &self.entropy);
        Ok(HandlerCall {
            id: call.id,
            at: caller.at,
            handler_id: handler.id.clone(),
            version: handler.version,
            contract: call.contract,
            site_id: caller.site.site.id.clone(),
            request_id: caller.request_id.map(str::to_owned),
            outcome,
            cpu_micros,
            wall_micros,
            sealed,
        })
    }

    fn not_recorded(&self, fault: &Fault) {
        self.metrics.fault();
        tracing::error!(%fault, "a handler's call could not be recorded");
    }
}

fn to_text(record: CallRecord) -> Result<Vec<u8>, Fault> {
    let write = |record: &CallRecord| {
        serde_json::to_vec(record).map_err(|error| Fault::new("writing a handler's call", error))
    };
    let text = write(&record)?;
    if text.len() <= RECORD_BYTES_MAX {
        return Ok(text);
    }
    let mut cut = record;
    cut.is_whole = false;
    cut.questions.clear();
    cut.log.clear();
    let text = write(&cut)?;
    if text.len() <= RECORD_BYTES_MAX {
        return Ok(text);
    }
    (cut.argument, cut.removed) = (Value::Null, Vec::new());
    write(&cut)
}

/// Opens the record of a call.
///
/// # Faults
/// It was sealed under another master key, or written by a newer version of the server.
pub fn open_record(keyring: &Keyring, call: &HandlerCall) -> Result<CallRecord, Fault> {
    let text = keyring.open(SealedKind::HandlerCall, &call.id, &call.sealed)?;
    serde_json::from_slice(&text).map_err(|error| Fault::new("reading a handler's call", error))
}

/// The exception in a form suitable for the log: a name. A script may throw an error with any name, which may
/// contain data of the request.
pub fn shown_exception(error: &HandlerError) -> &str {
    let name = error.exception.as_str();
    let is_name = name.len() <= 60
        && (name.ends_with("Exception") || name.ends_with("Error"))
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    if is_name { name } else { "(another)" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_an_exception_reaches_the_log() {
        for (name, shown) in [
            ("TypeError", "TypeError"),
            ("CountryException", "CountryException"),
            ("janice@example.com", "(another)"),
            ("493817", "(another)"),
            ("a\nb Error", "(another)"),
            ("", "(another)"),
        ] {
            assert_eq!(shown_exception(&HandlerError::new(name, "m")), shown);
        }
    }
}
