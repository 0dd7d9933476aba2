//! Login by username, or by any identifier, and password: `Auth-Request-Type: Named-User` at authorize.
//!
//! ① The user, the hash of the password and the permission of the client are looked up. ② The password is compared;
//! without a user, with a dummy of equal cost. ③ One write decides: a failure is counted and may lock the user out of
//! this login method for a while; a success clears the failures and saves the authorization code, unless a lockout
//! began in between. Every failure gets the same response, whatever the reason.
//!
//! Source: Authorization Code and Credentials Flow; Set Password Policies.

use serde_json::json;
use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::secret::Secret;

use super::addressee::{self, CheckedReference};
use super::authorization::{self, Checked, UnownedCode};
use crate::app::{App, Visit};
use crate::handler::contract::VerificationAction;
use crate::hashing::{QueueLine, Verification};
use crate::identity::User;
use crate::identity::password::{self, PasswordPolicy};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::store::audit::AuditEvent;
use crate::store::login::{Lockout, PasswordLogin};
use crate::store::{self, Transaction};
use crate::verification::{Origin, SprayLimit};

/// The `amr` of a password (RFC 8176).
const AMR: &str = "pwd";

/// The end of the year 9999: a lockout that only an administrator ends.
const UNTIL_UNLOCKED: i64 = 253_402_300_799_000;

/// What the request presents.
pub struct Credentials<'r> {
    /// The user that the request names.
    pub named: CheckedReference<'r>,
    /// Password, as sent.
    pub password: Secret,
}

/// Logs a user in.
///
/// # Refusals
/// `CredentialsWrong`, without saying why; `TooBusy`; `DiscoveryFailed`. After a right password: `PasswordExpired`,
/// `ClientNotApproved`, and at a site that discloses it `UserInactive`.
pub async fn log_in(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    credentials: Credentials<'_>,
) -> Result<AuthorizationAnswer, Failure> {
    let key = addressee::compared(credentials.named.text());
    let (login, message) = find(app, visit, credentials.named, &key).await?;
    let prepared = password::prepare(credentials.password.expose());
    // A password that no user can have is compared all the same.
    let is_possible = prepared.is_ok();
    let presented = prepared.map_or_else(|_| Secret::from(String::new()), |p| p.into_secret());
    let found = compare(app, visit.line(&key), login.as_ref(), presented.clone()).await?;
    let admitted = match login {
        Some(login) if found.matches && is_possible => {
            admit(app, visit, checked, login, found, presented).await?
        }
        Some(login) => {
            let has_password = login.credential.is_some();
            let because = if has_password {
                Reason::PasswordWrong
            } else {
                Reason::PasswordNotSet
            };
            Err(Refused::wrong(login.user, because))
        }
        None => Err(Refused {
            refusal: wrong(Reason::PasswordUserUnknown),
            user: None,
        }),
    };
    match admitted {
        Ok(accepted) => complete(app, visit, checked, accepted).await,
        Err(refused) => {
            let failed = fail(app, visit, checked, &key, refused).await;
            addressee::discovery_message(&visit.site.site.settings, message.as_deref())?;
            failed
        }
    }
}

/// The user that the request names, with the password, and the message of a discovery that found no user. A user
/// found by a hint must have a verified address or number.
async fn find(
    app: &App,
    visit: &Visit,
    named: CheckedReference<'_>,
    key: &str,
) -> Result<(Option<PasswordLogin>, Option<String>), Fault> {
    let (key, message) = match named {
        CheckedReference::Username(_) => (key.to_owned(), None),
        CheckedReference::Hint(hint) => {
            let found = app.discover(visit, hint, VerificationAction::Email).await?;
            let user = found.user.filter(|user| {
                user.email_verified_at.is_some() || user.phone_verified_at.is_some()
            });
            // No username is empty. A hint that finds no user is looked up all the same.
            let key = user.map_or_else(String::new, |user| user.username_key);
            (key, found.message)
        }
    };
    let login = app
        .store
        .read("login.find", &key, |tx, key| {
            Box::pin(store::login::find(tx, key))
        })
        .await?;
    let message = message.filter(|_| login.is_none());
    Ok((login, message))
}

/// Compares with the hash of the user, or with a dummy of equal cost.
async fn compare(
    app: &App,
    line: QueueLine,
    login: Option<&PasswordLogin>,
    password: Secret,
) -> Result<Verification, Refusal> {
    let phc = login.and_then(|login| login.credential.as_ref());
    let compared = match phc {
        Some((phc, _)) => app.hasher.verify(line, password, phc.clone()).await,
        None => app.hasher.verify_dummy(line, password).await,
    };
    app.count_hash(compared.is_ok());
    compared.map_err(|_| Refusal::TooBusy)
}

/// A user with the right password, who is about to be logged in.
struct AcceptedLogin {
    user: User,
    /// The hash that was compared with, and the one to put in its place.
    rehash: Option<(String, String)>,
}

/// A failure to be counted, and the refusal to answer with.
struct Refused {
    refusal: Refusal,
    user: Option<User>,
}

fn wrong(because: Reason) -> Refusal {
    Refusal::CredentialsWrong { because }
}

impl Refused {
    fn wrong(user: User, because: Reason) -> Refused {
        Refused {
            refusal: wrong(because),
            user: Some(user),
        }
    }
}

/// Whether a user with the right password may log in. What prevents a member with the right password from it is
/// disclosed; what would reveal that an account exists is not.
async fn admit(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    login: PasswordLogin,
    found: Verification,
    password: Secret,
) -> Result<Result<AcceptedLogin, Refused>, Failure> {
    let is_locked_out = login.locked_out_until.is_some_and(|until| until > visit.at);
    let (Some((phc, set_at)), false) = (login.credential, is_locked_out) else {
        let because = if is_locked_out {
            Reason::PasswordLockedOut
        } else {
            Reason::PasswordNotSet
        };
        return Ok(Err(Refused::wrong(login.user, because)));
    };
    let user = login.user;
    if let Err(refusal) = check(app, visit, checked, &user, set_at) {
        let is_secret = matches!(refusal, Refusal::CredentialsWrong { .. });
        // An extra read only where the outcome is disclosed anyway; elsewhere its time would reveal the right
        // password.
        let is_disclosed = !is_secret && is_open(app, visit, &user.id).await?;
        return match refusal {
            Refusal::UserInactive if is_disclosed => Ok(Err(Refused {
                refusal,
                user: Some(user),
            })),
            refusal if is_disclosed => Err(refusal.into()),
            _ => {
                let because = if is_secret {
                    Reason::PasswordNotPermitted
                } else {
                    Reason::PasswordLockedOut
                };
                Ok(Err(Refused::wrong(user, because)))
            }
        };
    }
    let rehash = if found.needs_rehash {
        Some((
            phc,
            app.hash_password(visit.line(&user.username_key), password)
                .await?,
        ))
    } else {
        None
    };
    Ok(Ok(AcceptedLogin { user, rehash }))
}

/// What prevents a user with the right password from logging in.
fn check(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    user: &User,
    set_at: Moment,
) -> Result<(), Refusal> {
    let settings = &visit.site.site.settings;
    if user.check_active().is_err() || !settings.admits(&user.profile_id) {
        let is_disclosed = settings.disclose_account_state && user.disabled_at.is_some();
        return Err(if is_disclosed {
            Refusal::UserInactive
        } else {
            wrong(Reason::PasswordNotPermitted)
        });
    }
    checked.client.check_permitted(&user.profile_id)?;
    if is_expired(&policy_of(app, Some(user), visit), set_at, visit.at) {
        return Err(Refusal::PasswordExpired);
    }
    Ok(())
}

/// Whether the user is not locked out now. During a lockout, or for a network that takes part in a spray of the site,
/// nothing is disclosed that would distinguish a right password from a wrong one (threats LOCK-01, LOCK-08).
async fn is_open(app: &App, visit: &Visit, user_id: &str) -> Result<bool, Fault> {
    let sought = (
        user_id.to_owned(),
        visit.origin(),
        app.password_spray(&visit.site),
        visit.at,
    );
    app.store
        .read(
            "login.is_open",
            &sought,
            |tx, (user_id, origin, spray, at)| {
                Box::pin(async move {
                    Ok(store::login::locked_out_until(tx, user_id, *at)
                        .await?
                        .is_none()
                        && !store::tally::is_sprayed(tx, origin, spray, *at).await?)
                })
            },
        )
        .await
}

fn is_expired(policy: &PasswordPolicy, set_at: Moment, at: Moment) -> bool {
    let days = i64::from(policy.expiration_days);
    days > 0 && set_at.plus_seconds(days * 86_400) <= at
}

/// The policy of the profile of the user; for an unknown username, of the default profile of the site.
fn policy_of(app: &App, user: Option<&User>, visit: &Visit) -> PasswordPolicy {
    if let Some(user) = user {
        return app.password_policy(&user.profile_id);
    }
    let settings = &visit.site.site.settings;
    let default = settings.registration_user_default_profile.as_deref();
    let directory = app.directory();
    let profile = default.and_then(|name| directory.find_profile(name));
    profile.map_or_else(PasswordPolicy::default, |profile| {
        profile.password_policy.clone()
    })
}

/// The last write of a login that succeeds.
struct LoginWrite {
    accepted: AcceptedLogin,
    code: UnownedCode,
    origin: Origin,
    spray: SprayLimit,
    event: AuditEvent,
}

async fn complete(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    accepted: AcceptedLogin,
) -> Result<AuthorizationAnswer, Failure> {
    let code = authorization::issue_code(app, visit, checked, AMR);
    let write = LoginWrite {
        event: AuditEvent {
            user_id: Some(accepted.user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: json!({"by": AMR}).to_string(),
            ..visit.event(&app.entropy, "user.logged_in")
        },
        accepted,
        code: code.row,
        origin: visit.origin(),
        spray: app.password_spray(&visit.site),
    };
    app.store
        .write("login.complete", write, |tx, write| Box::pin(write.run(tx)))
        .await??;
    Ok(authorization::answer(visit, checked, code.text))
}

impl LoginWrite {
    /// Saves the code of a user who is still the one that was looked up and is not locked out. The lockout is checked
    /// here again, so that many guesses at once are stopped like guesses one after the other.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), Refusal>, Fault> {
        let (seen, event) = (&self.accepted.user, &self.event);
        let is_open = store::login::clear_failures(tx, &seen.id, event.at).await?
            && !store::tally::is_sprayed(tx, &self.origin, &self.spray, event.at).await?;
        let now = store::user::find_by_id(tx, &seen.id).await?;
        let user = now.filter(|now| is_open && now.is_still(&seen.snapshot(&[])));
        let Some(user) = user else {
            let because = if is_open {
                Reason::PasswordNotPermitted
            } else {
                Reason::PasswordLockedOut
            };
            return Ok(Err(wrong(because)));
        };
        if let Some((old, new)) = &self.accepted.rehash {
            store::credential::replace_hash(tx, &user.id, old, new).await?;
        }
        self.code.save_for(tx, &user).await?;
        store::audit::insert(tx, event).await?;
        Ok(Ok(()))
    }
}

/// The last write of a login that fails.
struct FailedLoginWrite {
    subject: String,
    lockout: Option<Lockout>,
    origin: Origin,
    spray: SprayLimit,
    event: AuditEvent,
}

/// Counts a failure, for an unknown username as for a known one.
async fn fail(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    key: &str,
    refused: Refused,
) -> Result<AuthorizationAnswer, Failure> {
    let user = refused.user.as_ref();
    let write = FailedLoginWrite {
        subject: user.map_or_else(
            || app.keyring.subject_of_unknown(key),
            |user| user.id.clone(),
        ),
        lockout: lockout(&policy_of(app, user, visit), visit.at),
        origin: visit.origin(),
        spray: app.password_spray(&visit.site),
        event: AuditEvent {
            user_id: user.map(|user| user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: json!({
                "by": AMR,
                "reason": refused.refusal.reason().map(Reason::as_str),
            })
            .to_string(),
            ..visit.event(&app.entropy, "login.failed")
        },
    };
    let spray = write.spray;
    let is_spray = app
        .store
        .write("login.fail", write, |tx, write| Box::pin(write.run(tx)))
        .await?;
    if is_spray {
        app.report_spray(&visit.site, &spray);
    }
    Err(refused.refusal.into())
}

impl FailedLoginWrite {
    /// Counts the failure; whether with it the site came under a spray.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, Fault> {
        let (event, at) = (&self.event, self.event.at);
        if let Some(lockout) = &self.lockout {
            store::login::fail(tx, &self.subject, lockout, at).await?;
        }
        let failures = store::tally::count_failure(tx, &self.origin, &self.spray, at).await?;
        store::audit::count(tx, event, &self.origin, failures.count).await?;
        Ok(failures.is_spray)
    }
}

/// The lockout that a policy prescribes; `None` when it has no limit.
fn lockout(policy: &PasswordPolicy, at: Moment) -> Option<Lockout> {
    let locked_out_until = match i64::from(policy.lockout_minutes) {
        0 => Moment::from_millis(UNTIL_UNLOCKED),
        minutes => at.plus_seconds(minutes * 60),
    };
    (policy.failed_attempts_max > 0).then_some(Lockout {
        failures_max: i64::from(policy.failed_attempts_max),
        locked_out_until,
    })
}
