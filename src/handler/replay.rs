//! Replaying a recorded call: the host calls of the script are answered from the record, with the same data, time
//! and randomness.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::HandlerError;
use super::contract::Contract;
use super::difference::differences;
use super::record::{CallRecord, RecordedHostCall, RecordedOutcome};
use super::script::{Host, HostAnswer, HostError, Program, ScriptCall, ScriptEngine, ScriptRun};
use crate::moment::Moment;

/// The result of a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The outcome.
    pub outcome: RecordedOutcome,
    /// The differences from the recorded outcome, as lines.
    pub output: Vec<String>,
    /// The differences of the host calls.
    pub questions: Vec<String>,
    /// What the script logged.
    pub log: Vec<Value>,
}

impl Replayed {
    /// Whether the output is the recorded one.
    pub fn is_same(&self) -> bool {
        self.output.is_empty()
    }
}

/// Runs a recorded call again.
///
/// # Errors
/// A sentence: the record is of a webhook, or is not complete.
pub async fn replay(
    engine: &ScriptEngine,
    program: &Arc<Program>,
    contract: Contract,
    record: &CallRecord,
) -> Result<Replayed, String> {
    let seed = record.seed.as_deref().and_then(unhex);
    let seed = seed.ok_or("this was a call of a webhook, which cannot be replayed")?;
    if !record.is_whole {
        return Err("this record was too large to be kept whole".into());
    }
    let host = RecordedHost {
        left: Mutex::new(record.questions.iter().cloned().map(Some).collect()),
    };
    let call = ScriptCall {
        function: contract.as_str(),
        argument: record.argument.clone(),
        at: Moment::from_millis(record.at_ms),
        seed,
    };
    let ran = engine.run(program, call, Arc::new(host)).await;
    let again = CallRecord {
        questions: questions(&ran),
        outcome: RecordedOutcome::of(&outcome(contract, &ran)),
        log: log(&ran),
        removed: Vec::new(),
        ..record.clone()
    };
    let again = again.cleaned();
    let asked = |record: &CallRecord| -> Value {
        let asked = record.questions.iter();
        asked
            .map(|question| json!({ question.name.as_str(): question.argument }))
            .collect()
    };
    Ok(Replayed {
        output: differences(&json!(record.outcome), &json!(again.outcome)),
        questions: differences(&asked(record), &asked(&again)),
        outcome: again.outcome,
        log: again.log,
    })
}

/// The host calls of a run, in the form of a record.
pub fn questions(ran: &ScriptRun) -> Vec<RecordedHostCall> {
    let questions = ran.host_calls.iter().map(|asked| RecordedHostCall {
        name: asked.name.to_string(),
        argument: asked.argument.clone(),
        answer: match &asked.answer {
            Ok(value) => RecordedOutcome::Result(value.clone()),
            Err(error) => RecordedOutcome::Error {
                exception: error.exception.clone(),
                message: error.message.clone(),
            },
        },
    });
    questions.collect()
}

/// The outcome of a script for a contract.
///
/// # Errors
/// What the script threw, why it was stopped, or that its result does not fit the contract.
pub fn outcome(contract: Contract, ran: &ScriptRun) -> Result<Value, HandlerError> {
    let outcome = ran.outcome.as_ref();
    outcome
        .cloned()
        .map_err(|error| HandlerError::new(error.exception(), error.message()))
        .and_then(|answer| contract.check(answer))
}

/// The log of a run, in the form of a record.
pub fn log(ran: &ScriptRun) -> Vec<Value> {
    ran.log.iter().map(|line| json!(line.text)).collect()
}

/// Answers from a record: each recorded result once, for the call that received it.
struct RecordedHost {
    left: Mutex<Vec<Option<RecordedHostCall>>>,
}

impl Host for RecordedHost {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        Box::pin(async move {
            let asked = RecordedHostCall::cleaned_argument(&argument);
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it =
                |question: &RecordedHostCall| question.name == name && question.argument == asked;
            let found = left
                .iter_mut()
                .find(|question| question.as_ref().is_some_and(is_it));
            match found.and_then(Option::take).map(|question| question.answer) {
                Some(RecordedOutcome::Result(value)) => Ok(value),
                Some(RecordedOutcome::Error { exception, message }) => {
                    Err(HostError { exception, message })
                }
                None => Err(HostError {
                    exception: String::from("ReplayException"),
                    message: format!("the recorded call did not ask {name} this"),
                }),
            }
        })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
