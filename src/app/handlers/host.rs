//! The live host: answers the host calls of scripts from the database and through the guarded HTTP client, with the
//! rights of the *Run As* user.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::rights::Reach;
use crate::app::{Directory, SiteEntry};
use crate::handler::HandlerError;
use crate::handler::question::{
    AccountQuestion, FOUND_MAX, IdentifierQuestion, SeenAccount, SeenUser, UserQuestion,
    seen_identifier, too_many,
};
use crate::handler::script::{Host, HostAnswer, HostError};
use crate::identity::external_identifier::value_key;
use crate::identity::{Account, User, UserType};
use crate::outbound::{FetchRequest, Outbound};
use crate::refusal::Fault;
use crate::store::{self, Store};

/// The maximum number of rows that one look-up reads; more are too many, whatever the script may see.
const ROWS_MAX: i64 = 500;

/// Answers the host calls of one call.
pub struct LiveHost {
    /// The database.
    pub store: Arc<Store>,
    /// The guarded HTTP client.
    pub outbound: Arc<Outbound>,
    /// The profiles, at the time of the call.
    pub directory: Arc<Directory>,
    /// The site.
    pub site: Arc<SiteEntry>,
    /// The rights of the *Run As* user.
    pub reach: Reach,
    /// The hosts that this version of the handler may call.
    pub allowed_hosts: Vec<String>,
    /// Limits its concurrent requests to other servers, so that one script does not use up the client's limit.
    pub fetches: Semaphore,
}

/// The maximum number of concurrent requests of one script to other servers; more wait.
pub const FETCHES_MAX: usize = 4;

/// Whether there may be more rows than were read. For users with an address or a number, only those who have
/// verified it are then read: unverified claims cannot prevent a user from being found.
fn is_cut<T>(found: &[T]) -> bool {
    found.len() >= usize::try_from(ROWS_MAX).unwrap_or(usize::MAX)
}

impl Host for LiveHost {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        Box::pin(async move {
            self.answer(name, argument)
                .await
                .map_err(|error| HostError {
                    exception: error.exception,
                    message: error.message,
                })
        })
    }
}

impl LiveHost {
    /// Answers a host call.
    ///
    /// # Errors
    /// The argument has another shape, too much was found, or the look-up failed.
    pub async fn answer(&self, function: &str, argument: Value) -> Result<Value, HandlerError> {
        match function {
            "users.find" => self.users(UserQuestion::parse(&argument)?).await,
            "accounts.find" => self.accounts(AccountQuestion::parse(&argument)?).await,
            "identifiers.find" => {
                let question = IdentifierQuestion::parse(&argument)?;
                self.identifiers(question).await
            }
            "fetch" => self.fetch(argument).await,
            _ => Err(HandlerError::new(
                "TypeException",
                format!("there is no {function}"),
            )),
        }
    }

    async fn users(&self, question: UserQuestion) -> Result<Value, HandlerError> {
        let found = self
            .store
            .read("handler.find_users", &question, |tx, question| {
                Box::pin(async move {
                    Ok(match question {
                        UserQuestion::Invalid => Vec::new(),
                        UserQuestion::Id(id) => one(store::user::find_by_id(tx, id).await?),
                        UserQuestion::Username(key) => {
                            one(store::user::find_by_username(tx, key).await?)
                        }
                        UserQuestion::Email(key) => {
                            let found = store::user::find_by_email(tx, key, ROWS_MAX).await?;
                            match is_cut(&found) {
                                false => found,
                                true => {
                                    store::user::find_by_verified_email(tx, key, ROWS_MAX).await?
                                }
                            }
                        }
                        UserQuestion::Phone(number) => {
                            let found = store::user::find_by_phone(tx, number, ROWS_MAX).await?;
                            match is_cut(&found) {
                                false => found,
                                true => {
                                    store::user::find_by_verified_phone(tx, number, ROWS_MAX)
                                        .await?
                                }
                            }
                        }
                    })
                })
            })
            .await
            .map_err(|fault| unanswered(&fault))?;
        let is_cut = is_cut(&found);
        let seen: Vec<Value> = found
            .iter()
            .filter(|user| self.sees(user))
            .map(|user| SeenUser::of(user).to_json())
            .collect();
        if is_cut || seen.len() > FOUND_MAX {
            return Err(too_many("users.find"));
        }
        Ok(Value::Array(seen))
    }

    async fn accounts(&self, question: AccountQuestion) -> Result<Value, HandlerError> {
        let found: Vec<Account> = self
            .store
            .read("handler.find_accounts", &question, |tx, question| {
                Box::pin(async move {
                    Ok(match question {
                        AccountQuestion::Id(id) => one(store::account::find_by_id(tx, id).await?),
                        AccountQuestion::Name(key) => {
                            store::account::list_by_name(tx, key, ROWS_MAX).await?
                        }
                    })
                })
            })
            .await
            .map_err(|fault| unanswered(&fault))?;
        let is_cut = is_cut(&found);
        let seen: Vec<Value> = found
            .into_iter()
            .filter(|account| self.reach.sees_account(&account.id))
            .map(|account| {
                json!(SeenAccount {
                    id: account.id,
                    name: account.name,
                })
            })
            .collect();
        if is_cut || seen.len() > FOUND_MAX {
            return Err(too_many("accounts.find"));
        }
        Ok(Value::Array(seen))
    }

    async fn identifiers(&self, question: IdentifierQuestion) -> Result<Value, HandlerError> {
        let Some(key) = value_key(&question.value) else {
            return Ok(json!([]));
        };
        let named = (question.kind, key);
        let user = self
            .store
            .read("handler.find_identifier", &named, |tx, (kind, key)| {
                Box::pin(async move {
                    let Some(user) = store::external_identifier::find(tx, kind, key).await? else {
                        return Ok(None);
                    };
                    let all = store::external_identifier::list(tx, &user.id).await?;
                    let is_it = |value: &str| value_key(value).as_deref() == Some(key);
                    let found = all
                        .into_iter()
                        .find(|own| own.kind == *kind && is_it(&own.value));
                    Ok(found.map(|found| (found, user)))
                })
            })
            .await
            .map_err(|fault| unanswered(&fault))?
            .filter(|(_, user)| self.sees(user));
        let seen = user.map(|(identifier, user)| {
            seen_identifier(&identifier.kind, &identifier.value, &SeenUser::of(&user))
        });
        Ok(seen.into_iter().collect())
    }

    async fn fetch(&self, argument: Value) -> Result<Value, HandlerError> {
        let failed = |reason: String| HandlerError::new("FetchException", reason);
        let request: FetchRequest = serde_json::from_value(argument)
            .map_err(|error| HandlerError::new("TypeException", format!("fetch: {error}")))?;
        let _permit = self.fetches.acquire().await;
        let reply = self.outbound.fetch(request, &self.allowed_hosts).await;
        let reply = reply.map_err(|refused| failed(refused.to_string()))?;
        serde_json::to_value(&reply).map_err(|error| failed(error.to_string()))
    }

    fn sees(&self, user: &User) -> bool {
        let profile = self.directory.profile(&user.profile_id);
        // A profile that this snapshot does not know yet counts as internal.
        let user_type = profile.map_or(UserType::Standard, |profile| profile.user_type);
        self.reach
            .sees_user(&self.site.site.settings, user, user_type)
    }
}

fn one<T>(found: Option<T>) -> Vec<T> {
    found.into_iter().collect()
}

/// The database did not respond. The script learns only that; the details are logged.
fn unanswered(fault: &Fault) -> HandlerError {
    tracing::error!(%fault, "a host call of a handler could not be answered");
    HandlerError::new("ServerException", "the server could not answer")
}
