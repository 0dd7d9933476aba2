//! Login by username, or by any identifier, and password: `Auth-Request-Type: Named-User` at authorize.
//!
//! ① The user, the password's hash and the client's permission are looked up. ② The password is
//! compared, against a dummy of equal cost where there is none. ③ One write decides: a failure is
//! counted and may close the password door for a while, a success forgets the failures and saves
//! the authorization code, unless the door was closed meanwhile. Whoever fails is told the same,
//! whatever the reason.
//!
//! Source: Authorization Code and Credentials Flow; Set Password Policies.

use serde_json::json;
use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::secret::Secret;

use super::addressee::{self, Named};
use super::authorization::{self, Checked, UnownedCode};
use crate::app::{App, Visit};
use crate::handler::contract::VerificationAction;
use crate::hashing::{SALT_BYTES, Verification};
use crate::identity::User;
use crate::identity::password::{self, PasswordPolicy};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::audit::AuditEvent;
use crate::store::login::{Lockout, PasswordLogin};
use crate::store::{self, Transaction};
use crate::verification::{Origin, SprayLimit};

/// How the user proved who they are (RFC 8176): by a password.
const AMR: &str = "pwd";

/// The end of the year 9999: a door that only an administrator opens.
const UNTIL_OPENED: i64 = 253_402_300_799_000;

/// What somebody presents.
pub struct Credentials<'r> {
    /// Whom the request names.
    pub named: Named<'r>,
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
    // A password that cannot be anybody's is compared all the same.
    let is_possible = prepared.is_ok();
    let presented = prepared.map_or_else(|_| Secret::from(String::new()), |p| p.into_secret());
    let found = compare(app, login.as_ref(), presented.clone()).await?;
    let admitted = match login {
        Some(login) if found.matches && is_possible => {
            admit(app, visit, checked, login, found, presented).await?
        }
        Some(login) => Err(Refused::wrong(login.user)),
        None => Err(Refused {
            refusal: Refusal::CredentialsWrong,
            user: None,
        }),
    };
    match admitted {
        Ok(entry) => enter(app, visit, checked, entry).await,
        Err(refused) => {
            let failed = fail(app, visit, checked, &key, refused).await;
            addressee::discovery_message(&visit.site.site.settings, message.as_deref())?;
            failed
        }
    }
}

/// Whom the request names, with their password; and what a discovery that found nobody says. Found by a
/// hint, a user has an address or a number that has proven itself.
async fn find(
    app: &App,
    visit: &Visit,
    named: Named<'_>,
    key: &str,
) -> Result<(Option<PasswordLogin>, Option<String>), Fault> {
    let (key, message) = match named {
        Named::Username(_) => (key.to_owned(), None),
        Named::Hint(hint) => {
            let found = app.discover(visit, hint, VerificationAction::Email).await?;
            let user = found.user.filter(|user| {
                user.email_verified_at.is_some() || user.phone_verified_at.is_some()
            });
            // Nobody's username is empty. A hint that means nobody is looked up all the same.
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
    login: Option<&PasswordLogin>,
    password: Secret,
) -> Result<Verification, Refusal> {
    let phc = login.and_then(|login| login.credential.as_ref());
    let compared = match phc {
        Some((phc, _)) => app.hasher.verify(password, phc.clone()).await,
        None => app.hasher.verify_dummy(password).await,
    };
    app.metrics
        .hash_done(if compared.is_ok() { "done" } else { "busy" });
    compared.map_err(|_| Refusal::TooBusy)
}

/// A user who is about to come in.
struct Entry {
    user: User,
    /// The hash that was compared with, and the one to put in its place.
    rehash: Option<(String, String)>,
}

/// A failure that is to be counted, and what is said of it.
struct Refused {
    refusal: Refusal,
    user: Option<User>,
}

impl Refused {
    fn wrong(user: User) -> Refused {
        Refused {
            refusal: Refusal::CredentialsWrong,
            user: Some(user),
        }
    }
}

/// Whether a user with the right password may come in. What stands in the way of a member whose
/// password is right is told; what would tell an account apart is not.
async fn admit(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    login: PasswordLogin,
    found: Verification,
    password: Secret,
) -> Result<Result<Entry, Refused>, Failure> {
    let is_locked_out = login.locked_out_until.is_some_and(|until| until > visit.at);
    let (Some((phc, set_at)), false) = (login.credential, is_locked_out) else {
        return Ok(Err(Refused::wrong(login.user)));
    };
    let user = login.user;
    if let Err(refusal) = check(app, visit, checked, &user, set_at) {
        // What is told anyway may cost a look more; what is not told must not.
        let is_told = refusal != Refusal::CredentialsWrong && is_open(app, visit, &user.id).await?;
        return match refusal {
            Refusal::UserInactive if is_told => Ok(Err(Refused {
                refusal,
                user: Some(user),
            })),
            told if is_told => Err(told.into()),
            _ => Ok(Err(Refused::wrong(user))),
        };
    }
    let rehash = match found.needs_rehash {
        true => Some((phc, hash_again(app, password).await?)),
        false => None,
    };
    Ok(Ok(Entry { user, rehash }))
}

/// What stands in the way of a user whose password is right.
fn check(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    user: &User,
    set_at: Moment,
) -> Result<(), Refusal> {
    let settings = &visit.site.site.settings;
    if user.check_active().is_err() || !addressee::is_member(settings, user) {
        let is_told = settings.disclose_account_state && user.disabled_at.is_some();
        return Err(match is_told {
            true => Refusal::UserInactive,
            false => Refusal::CredentialsWrong,
        });
    }
    checked.client.check_permitted(&user.profile_id)?;
    if is_expired(&policy_of(app, Some(user), visit), set_at, visit.at) {
        return Err(Refusal::PasswordExpired);
    }
    Ok(())
}

/// Whether the password door is open now. Through one that is closed, or for a network that has a part in a
/// spray of the site, nothing is said that would tell a right password from a wrong one (threats LOCK-01,
/// LOCK-08).
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

/// Hashes with the parameters of today, while the password is at hand.
async fn hash_again(app: &App, password: Secret) -> Result<String, Refusal> {
    let salt = app.entropy.bytes::<SALT_BYTES>();
    let hashed = app.hasher.hash(password, salt).await;
    hashed.map_err(|_| Refusal::TooBusy)
}

/// The policy of a user's profile; of the site's default profile for a name that nobody has.
fn policy_of(app: &App, user: Option<&User>, visit: &Visit) -> PasswordPolicy {
    let directory = app.directory();
    let default = visit
        .site
        .site
        .settings
        .registration_user_default_profile
        .as_deref();
    let profile = match user {
        Some(user) => directory.profile(&user.profile_id),
        None => default.and_then(|name| directory.find_profile(name)),
    };
    profile.map_or_else(PasswordPolicy::default, |profile| {
        profile.password_policy.clone()
    })
}

/// What the write of a success needs.
struct Entering {
    entry: Entry,
    code: UnownedCode,
    origin: Origin,
    spray: SprayLimit,
    event: AuditEvent,
}

async fn enter(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    entry: Entry,
) -> Result<AuthorizationAnswer, Failure> {
    let code = authorization::issue_code(app, visit, checked, AMR);
    let entering = Entering {
        event: AuditEvent {
            user_id: Some(entry.user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: json!({"by": AMR}).to_string(),
            ..visit.event(&app.entropy, "user.logged_in")
        },
        entry,
        code: code.row,
        origin: visit.origin(),
        spray: app.password_spray(&visit.site),
    };
    let is_in = app
        .store
        .write("login.complete", entering, |tx, entering| {
            Box::pin(save(tx, entering))
        })
        .await?;
    match is_in {
        true => Ok(authorization::answer(visit, checked, code.text)),
        false => Err(Refusal::CredentialsWrong.into()),
    }
}

/// Saves the code of a user who is still the one that was looked up, and whose door is open. It is
/// here that the door is found closed, so that many guesses at once are stopped like one after the
/// other.
async fn save(tx: &mut Transaction<'_>, entering: &Entering) -> Result<bool, Fault> {
    let (entry, event) = (&entering.entry, &entering.event);
    let seen = &entry.user;
    let (origin, spray) = (&entering.origin, &entering.spray);
    let is_open = store::login::clear_failures(tx, &seen.id, event.at).await?
        && !store::tally::is_sprayed(tx, origin, spray, event.at).await?;
    let now = store::user::find_by_id(tx, &seen.id).await?;
    let user = now.filter(|now| {
        now.check_active().is_ok() && now.session_generation == seen.session_generation
    });
    let Some(user) = user.filter(|_| is_open) else {
        return Ok(false);
    };
    if let Some((old, new)) = &entry.rehash {
        store::credential::replace_hash(tx, &user.id, old, new).await?;
    }
    store::code::insert(tx, &entering.code.of(&user)).await?;
    store::audit::insert(tx, event).await?;
    Ok(true)
}

/// What the write of a failure needs.
struct Failing {
    subject: String,
    lockout: Option<Lockout>,
    origin: Origin,
    spray: SprayLimit,
    event: AuditEvent,
}

/// Counts a failure, for a name that nobody has as for one that somebody has.
async fn fail(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    key: &str,
    refused: Refused,
) -> Result<AuthorizationAnswer, Failure> {
    let user = refused.user.as_ref();
    let failing = Failing {
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
            detail: json!({"by": AMR}).to_string(),
            ..visit.event(&app.entropy, "login.failed")
        },
    };
    let spray = failing.spray;
    let is_spray = app
        .store
        .write("login.fail", failing, |tx, failing| {
            Box::pin(count(tx, failing))
        })
        .await?;
    if is_spray {
        app.report_spray(&visit.site, &spray);
    }
    Err(refused.refusal.into())
}

async fn count(tx: &mut Transaction<'_>, failing: &Failing) -> Result<bool, Fault> {
    let (event, at) = (&failing.event, failing.event.at);
    if let Some(lockout) = &failing.lockout {
        store::login::fail(tx, &failing.subject, lockout, at).await?;
    }
    store::audit::insert(tx, event).await?;
    store::tally::count_failure(tx, &failing.origin, &failing.spray, at).await
}

/// When a policy closes the door, and until when; never, if it has no limit.
fn lockout(policy: &PasswordPolicy, at: Moment) -> Option<Lockout> {
    let locked_out_until = match i64::from(policy.lockout_minutes) {
        0 => Moment::from_millis(UNTIL_OPENED),
        minutes => at.plus_seconds(minutes * 60),
    };
    (policy.failed_attempts_max > 0).then_some(Lockout {
        failures_max: i64::from(policy.failed_attempts_max),
        locked_out_until,
    })
}
