//! Calls of handlers from a flow, with their records.
//!
//! A call uses one version, whatever is changed in the meantime (threat HND-12). Every problem is a
//! [`HandlerError`]: the call fails closed. A call is recorded after it has ended; a failure to record is logged,
//! and does not fail the call.

mod host;
pub(super) mod loaded;
mod record;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

pub use loaded::{Code, LoadedHandler, script_name};
pub use record::{open_record, shown_exception};
pub use rights::Reach;

use super::{App, Directory, SiteEntry, Visit};
use crate::contract::CallOutcome;
use crate::handler::contract::Contract;
use crate::handler::record::RecordedHostCall;
use crate::handler::replay;
use crate::handler::script::{Program, ScriptCall, ScriptRun};
use crate::handler::webhook::{self, WebhookCall};
use crate::handler::{CALL_PREFIX, HandlerError};
use crate::identity::{User, UserType};
use crate::moment::{Moment, Stopwatch};
use crate::settings::Settings;
use crate::store;
use host::LiveHost;

/// The context of a handler's call.
pub struct HandlerCaller<'c> {
    /// The site.
    pub site: &'c Arc<SiteEntry>,
    /// The time of the handler's clock.
    pub at: Moment,
    /// The request, if there is one.
    pub request_id: Option<&'c str>,
    /// Record id of the user whose rights the handler has; without one it can look up no user.
    pub run_as: Option<&'c str>,
    /// The rights of that user.
    pub reach: Reach,
}

/// The result of a call, before it is recorded.
struct CallResult {
    outcome: Result<Value, HandlerError>,
    questions: Vec<RecordedHostCall>,
    log: Vec<Value>,
    seed: Option<[u8; 32]>,
    cpu: Duration,
    wall: Duration,
}

/// A call in progress.
struct Call<'c> {
    id: String,
    caller: &'c HandlerCaller<'c>,
    contract: Contract,
    argument: Value,
    reach: Reach,
    directory: Arc<Directory>,
}

impl App {
    /// Calls a handler for a visit, with the rights of a *Run As* user (a record id), who must exist and be active.
    ///
    /// # Errors
    /// The handler is missing or broken, has another contract, threw, was stopped, or the user is not active. This
    /// is logged and, if the handler was called, recorded.
    pub async fn call_handler(
        &self,
        visit: &Visit,
        name: &str,
        contract: Contract,
        run_as: &str,
        argument: Value,
    ) -> Result<Value, HandlerError> {
        let reach = self.reach_of(run_as).await?;
        let run_as = (run_as, &reach);
        self.call_handler_within(visit, name, contract, run_as, argument)
            .await
    }

    /// The same, for callers that have already determined the rights of the *Run As* user.
    ///
    /// # Errors
    /// As for [`App::call_handler`].
    pub async fn call_handler_within(
        &self,
        visit: &Visit,
        name: &str,
        contract: Contract,
        (run_as, reach): (&str, &Reach),
        argument: Value,
    ) -> Result<Value, HandlerError> {
        let caller = HandlerCaller {
            site: &visit.site,
            at: visit.at,
            request_id: Some(&visit.request_id),
            run_as: Some(run_as),
            reach: reach.clone(),
        };
        self.call_handler_as(&caller, name, contract, argument)
            .await
    }

    /// The same, for callers without a visit, such as the worker.
    ///
    /// # Errors
    /// As for [`App::call_handler`].
    pub async fn call_handler_as(
        &self,
        caller: &HandlerCaller<'_>,
        name: &str,
        contract: Contract,
        argument: Value,
    ) -> Result<Value, HandlerError> {
        let directory = Arc::clone(&self.directory());
        let handler = match usable(&directory, name, contract) {
            Ok(handler) => handler,
            Err(error) => {
                self.metrics
                    .handler_called(contract.as_str(), "refused", 0.0);
                tracing::error!(
                    handler = name,
                    contract = contract.as_str(),
                    request = caller.request_id,
                    site = caller.site.site.name,
                    reason = error.detail,
                    "a handler cannot be called"
                );
                return Err(error);
            }
        };
        let call = Call {
            id: self.record_id(CALL_PREFIX),
            contract,
            argument,
            reach: caller.reach.clone(),
            directory,
            caller,
        };
        let done = self.run_handler(&handler, &call).await;
        self.report_call(&handler, &call, &done);
        let outcome = done.outcome.clone();
        self.record_call(&handler, call, done).await;
        outcome
    }

    /// The rights of a *Run As* user, by record id.
    ///
    /// # Errors
    /// `ExecutionUserException` when the user does not exist, or is not active.
    pub async fn reach_of(&self, run_as: &str) -> Result<Reach, HandlerError> {
        let inactive = || {
            let message = "the user that the handler runs as is not active";
            HandlerError::new("ExecutionUserException", message)
        };
        let user: Option<User> = self
            .store
            .read("user.find", &run_as.to_owned(), |tx, id| {
                Box::pin(store::user::find_by_id(tx, id))
            })
            .await
            .map_err(|fault| {
                self.metrics.fault();
                tracing::error!(%fault, "the user that a handler runs as could not be read");
                HandlerError::new("ServerException", "the server could not answer")
            })?;
        let user = user.filter(|user| user.check_active().is_ok());
        let user = user.ok_or_else(inactive)?;
        let user_type = self.user_type_of(&user);
        Ok(Reach::of(
            &user,
            user_type.unwrap_or(UserType::CspLitePortal),
        ))
    }

    /// Whether a user may be looked up with these rights. A user whose profile is not known yet counts as internal.
    pub fn sees(&self, reach: &Reach, settings: &Settings, user: &User) -> bool {
        let user_type = self.user_type_of(user).unwrap_or(UserType::Standard);
        reach.sees_user(settings, user, user_type)
    }

    fn user_type_of(&self, user: &User) -> Option<UserType> {
        let directory = self.directory();
        let profile = directory.profile(&user.profile_id);
        profile.map(|profile| profile.user_type)
    }

    async fn run_handler(&self, handler: &LoadedHandler, call: &Call<'_>) -> CallResult {
        match &handler.code {
            Code::Broken(reason) => CallResult::of_one_answer(Err(no_use(reason.clone()))),
            Code::Script {
                program,
                allowed_hosts,
            } => self.run_script(program, allowed_hosts, call).await,
            Code::Webhook { url, secret } => {
                let stopwatch = Stopwatch::start();
                let asked = WebhookCall {
                    url,
                    secret,
                    contract: call.contract,
                    version: handler.version,
                    call_id: &call.id,
                    argument: &call.argument,
                    at: call.caller.at,
                };
                let outcome = webhook::call(&self.handlers.outbound, asked).await;
                let outcome = outcome.and_then(|answer| call.contract.check(answer));
                let wall = Duration::from_secs_f64(stopwatch.seconds());
                CallResult {
                    wall,
                    ..CallResult::of_one_answer(outcome)
                }
            }
        }
    }

    async fn run_script(
        &self,
        program: &Arc<Program>,
        allowed_hosts: &[String],
        call: &Call<'_>,
    ) -> CallResult {
        let host = LiveHost {
            store: Arc::clone(&self.store),
            outbound: Arc::clone(&self.handlers.outbound),
            directory: Arc::clone(&call.directory),
            site: Arc::clone(call.caller.site),
            reach: call.reach.clone(),
            allowed_hosts: allowed_hosts.to_vec(),
            fetches: Semaphore::new(host::FETCHES_MAX),
        };
        let seed = self.entropy.bytes::<32>();
        let asked = ScriptCall {
            function: call.contract.as_str(),
            argument: call.argument.clone(),
            at: call.caller.at,
            seed,
        };
        let ran = self
            .handlers
            .scripts
            .run(program, asked, Arc::new(host))
            .await;
        CallResult::of(call.contract, &ran, seed)
    }

    /// Counts the call, and logs a failed one: handler, version and call, without data of the request.
    fn report_call(&self, handler: &LoadedHandler, call: &Call<'_>, done: &CallResult) {
        let outcome = match done.outcome {
            Ok(_) => CallOutcome::Ok,
            Err(_) => CallOutcome::Failed,
        };
        let contract = call.contract.as_str();
        self.metrics
            .handler_called(contract, outcome.as_str(), done.cpu.as_secs_f64());
        if let Err(error) = &done.outcome {
            tracing::warn!(
                handler = handler.name,
                version = handler.version,
                call = call.id,
                contract,
                request = call.caller.request_id,
                site = call.caller.site.site.name,
                exception = shown_exception(error),
                "a handler failed: `vestibule handler calls {}` shows why",
                call.id
            );
        }
    }
}

/// The handler with a name, if it can be called for a contract.
pub(super) fn usable(
    directory: &Directory,
    name: &str,
    contract: Contract,
) -> Result<Arc<LoadedHandler>, HandlerError> {
    let handler = directory
        .handler(name)
        .ok_or_else(|| no_use(format!("there is no handler {name:?}")))?;
    if handler.contract != contract {
        return Err(no_use(format!(
            "{name:?} is no {} handler",
            contract.as_str()
        )));
    }
    match &handler.code {
        Code::Broken(reason) => Err(no_use(format!("version {}: {reason}", handler.version))),
        _ => Ok(Arc::clone(handler)),
    }
}

fn no_use(why: String) -> HandlerError {
    HandlerError::new("HandlerException", "the handler is not available").with_detail(why)
}

impl CallResult {
    /// An outcome without host calls and log.
    fn of_one_answer(outcome: Result<Value, HandlerError>) -> CallResult {
        CallResult {
            outcome,
            questions: Vec::new(),
            log: Vec::new(),
            seed: None,
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
        }
    }

    /// The result of a script.
    fn of(contract: Contract, ran: &ScriptRun, seed: [u8; 32]) -> CallResult {
        CallResult {
            outcome: replay::outcome(contract, ran),
            questions: replay::questions(ran),
            log: replay::log(ran),
            seed: Some(seed),
            cpu: ran.cpu,
            wall: ran.wall,
        }
    }
}
