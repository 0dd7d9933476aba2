//! A recorded call, run again: the questions of the script are answered from the record, in the same
//! world, at the same instant and with the same randomness.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::HandlerError;
use super::contract::Contract;
use super::difference::differences;
use super::record::{CallRecord, Outcome, Question};
use super::script::{Host, HostAnswer, HostError, Program, Ran, ScriptCall, ScriptEngine};
use crate::moment::Moment;

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// What came out.
    pub outcome: Outcome,
    /// How it differs from what was recorded, in lines.
    pub output: Vec<String>,
    /// How the questions differ.
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
/// A sentence: the record is of a webhook, or does not hold everything.
pub async fn replay(
    engine: &ScriptEngine,
    program: &Arc<Program>,
    contract: Contract,
    record: &CallRecord,
) -> Result<Replayed, String> {
    let seed = record.seed.as_deref().and_then(unhex);
    let seed = seed.ok_or("this was a call of a webhook, and nobody is called for a replay")?;
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
        outcome: Outcome::of(&outcome(contract, &ran)),
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

/// What a script was answered, as a record keeps it.
pub fn questions(ran: &Ran) -> Vec<Question> {
    let questions = ran.host_calls.iter().map(|asked| Question {
        name: asked.name.to_string(),
        argument: asked.argument.clone(),
        answer: match &asked.answer {
            Ok(value) => Outcome::Result(value.clone()),
            Err(error) => Outcome::Error {
                exception: error.exception.clone(),
                message: error.message.clone(),
            },
        },
    });
    questions.collect()
}

/// What came of a script that was asked for a contract.
///
/// # Errors
/// What it threw, why it was stopped, or that its answer is not one.
pub fn outcome(contract: Contract, ran: &Ran) -> Result<Value, HandlerError> {
    let outcome = ran.outcome.as_ref();
    outcome
        .cloned()
        .map_err(|error| HandlerError::new(error.exception(), error.message()))
        .and_then(|answer| contract.check(answer))
}

/// What a script logged, as a record keeps it.
pub fn log(ran: &Ran) -> Vec<Value> {
    ran.log.iter().map(|line| json!(line.text)).collect()
}

/// Answers from a record: each recorded answer once, to the question that got it.
struct RecordedHost {
    left: Mutex<Vec<Option<Question>>>,
}

impl Host for RecordedHost {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        Box::pin(async move {
            let asked = Question::cleaned_argument(&argument);
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |question: &Question| question.name == name && question.argument == asked;
            let found = left
                .iter_mut()
                .find(|question| question.as_ref().is_some_and(is_it));
            match found.and_then(Option::take).map(|question| question.answer) {
                Some(Outcome::Result(value)) => Ok(value),
                Some(Outcome::Error { exception, message }) => {
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
