//! The external services, the mail relay and the captcha verifier, are unavailable for a whole run.
//!
//! Requests that need neither continue; requests that need mail are accepted and served later; requests that need
//! the captcha verifier are refused. That other requests do not wait is shown by calls that still hang when these
//! are complete, and not by a clock: what hangs here would hang for ten minutes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vestibule::delivery::Gateway;
use vestibule::delivery::smtp::{SmtpRelay, SmtpSettings};
use vestibule::worker::outbox;

use super::tokens::{access_token, refresh_token, refreshed, rotating, userinfo_status};
use crate::captcha::{site_that_asks, yes};
use crate::delivery::received::Received;
use crate::delivery::smtp_sink::{Fault, SmtpSink, Stage};
use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Answer, Call, Database, PASSWORD, Setup, Site, postgres, registration};

const FROM: &str = "Shop <no-reply@shop.example>";
const JANICE: &str = "janice@example.com";
const FORGOT_PASSWORD: &str = "/services/auth/headless/forgot_password";
const PASSWORDLESS_LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const REGISTRATION: &str = "/services/auth/headless/init/registration";

/// Longer than any test runs: a call with this delay hangs until the test ends it.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kind of outage.
#[derive(Clone, Copy, PartialEq)]
enum Outage {
    /// Connections are accepted, but no reply is sent.
    Hanging,
    /// Connections are refused.
    Refusing,
}

/// A server with its running worker, and its relay.
struct Server {
    site: Site,
    sink: SmtpSink,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
}

impl Server {
    /// One connection to the relay, so that mails arrive in the order of their claims; codes for a password reset
    /// have a longer lifetime than others, so this is not the order of the requests.
    async fn start(database: Database) -> Server {
        let sink = SmtpSink::start().await;
        let mut settings = SmtpSettings::parse(&sink.url(), FROM, None).expect("the sink's URL");
        settings.timeout_seconds = TEN_MINUTES.as_secs();
        settings.pool_max = 1;
        let relay = Box::new(SmtpRelay::new(settings).expect("a relay"));
        let from = FROM.to_owned();
        let mut setup = Setup {
            email: Some(Gateway::Smtp { relay, from }),
            ..Setup::default()
        };
        setup.config.otp.forgot_password.lifetime_seconds = 1_800;
        let site = Site::open_with(database, setup).await;
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(outbox::run(Arc::clone(&site.app), stopped));
        Server {
            site,
            sink,
            stop,
            worker,
        }
    }

    /// The mail that a request causes.
    async fn mail_after(&self, call: impl Future<Output = Answer>) -> (Value, Received) {
        let before = self.sink.received().len();
        let answer = call.await.expect_ok().json();
        let mut mails = self.sink.wait_for(before + 1).await;
        (answer, mails.pop().expect("a mail"))
    }

    /// Registers a user up to the tokens.
    async fn join(&self, username: &str) -> Value {
        let site = &self.site;
        let (answer, mail) = self.mail_after(site.init(&registration(username))).await;
        let identifier = answer["identifier"].as_str().expect("an identifier");
        let code = mail.code().expect("a code");
        let answer = site.send(site.authorize_call(identifier, &code)).await;
        let code = answer.expect_status(302).location_parameter("code");
        site.send(site.token_call(&code)).await.expect_ok().json()
    }

    /// Stops the relay after it has replied to every mail so far.
    async fn cut(&self, outage: Outage) {
        let unsettled = "SELECT COUNT(*) FROM outbox WHERE status <> 'sent'";
        eventually(&self.site, unsettled, 0).await;
        match outage {
            Outage::Refusing => self.sink.stop(),
            Outage::Hanging => {
                let (at, times) = (Stage::Banner, usize::MAX);
                self.sink.fault(Fault::Hang { at, times });
                self.sink.drop_connections();
            }
        }
    }

    /// Lets the worker finish its messages and stops it.
    async fn end(self) -> (Site, SmtpSink) {
        self.stop.send(true).expect("the worker listens");
        self.worker.await.expect("the worker ends");
        (self.site, self.sink)
    }

    /// Restores the relay, five minutes later: no pause between two attempts is longer.
    async fn mend(&self, outage: Outage) {
        match outage {
            Outage::Refusing => {
                // An attempt that fails during the restart would be postponed.
                let now = self.site.app.now().millis();
                let under_way = format!(
                    "SELECT COUNT(*) FROM outbox WHERE status = 'sending'
                        OR status = 'queued' AND due_at <= {now} AND expires_at > {now}"
                );
                eventually(&self.site, under_way.leak(), 0).await;
                self.sink.restart_on_same_port().await;
                self.site.advance(FIVE_MINUTES);
            }
            Outage::Hanging => {
                self.site.advance(FIVE_MINUTES);
                self.sink.clear_faults();
                self.sink.drop_connections();
            }
        }
    }
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Waits until a query returns a number.
async fn eventually(site: &Site, query: &'static str, expected: i64) {
    let waiting = async {
        while site.count(query).await != expected {
            tokio::task::yield_now().await;
        }
    };
    let is_so = timeout(PATIENCE, waiting).await;
    assert!(is_so.is_ok(), "not {expected}: {query}");
}

/// A request at the public site with a captcha that the demo's provider accepts.
async fn ask(site: &Site, path: &str, captcha: &str, username: &str) -> Answer {
    let mut body = match path {
        REGISTRATION => registration(username),
        PASSWORDLESS_LOGIN => json!({"verificationmethod": "email", "username": username}),
        _ => json!({ "username": username }),
    };
    body["recaptcha"] = json!(captcha);
    site.send(Call::post(path).on_public().json(&body)).await
}

/// A user logs in by password at both sites, and another session is refreshed and used.
async fn others_go_on(site: &Site, session: &mut Value) {
    let answer = site.send(site.password_call(JANICE, PASSWORD)).await;
    let code = answer.expect_status(302).location_parameter("code");
    let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
    assert_eq!(userinfo_status(site, access_token(&tokens)).await, 200);
    let public = site
        .public_authorize_call("Named-User", JANICE, PASSWORD)
        .without_header("auth-verification-type");
    let answer = site.send(public).await;
    let code = answer.expect_status(302).location_parameter("code");
    site.send(site.public_token_call(&code)).await.expect_ok();
    *session = refreshed(site, refresh_token(session)).await;
    assert_eq!(userinfo_status(site, access_token(session)).await, 200);
}

/// The requests during the relay's outage, a quarter of an hour long; returns the identifier of the last
/// registration. Seven messages: a notice that is valid for a day, and codes, three of which expire before the
/// relay is restored.
async fn run_without_a_relay(site: &Site, code_of_bea: &str, mut session: Value) -> String {
    let chosen = json!({"username": "bea@example.com", "otp": code_of_bea, "newpassword": "Another-Pa55word"});
    let call = Call::post(FORGOT_PASSWORD).on_public().json(&chosen);
    site.send(call).await.expect_ok();
    let tried = "SELECT COUNT(*) FROM outbox WHERE status <> 'sent' AND attempts > 0";
    eventually(site, tried, 1).await;
    site.pending("early1@example.com").await;
    others_go_on(site, &mut session).await;
    site.pending("early2@example.com").await;
    site.advance(Duration::from_secs(60));
    let forgotten = ask(site, FORGOT_PASSWORD, "test-pass", "carl@example.com");
    forgotten.await.expect_ok();
    site.advance(Duration::from_secs(340));
    site.pending("middle@example.com").await;
    others_go_on(site, &mut session).await;
    site.advance(Duration::from_secs(500));
    let late = site.pending("late@example.com").await;
    site.advance(Duration::from_secs(60));
    let login = ask(site, PASSWORDLESS_LOGIN, "test-pass", "dora@example.com");
    login.await.expect_ok();
    others_go_on(site, &mut session).await;
    late
}

/// All requests are accepted during the relay's outage. When it is restored, the valid codes arrive, not in the
/// order of the requests.
async fn relay_is_dead(database: Database, outage: Outage) {
    let server = Server::start(database).await;
    let Server { site, sink, .. } = &server;
    site.update_client(&site.client.id, rotating()).await;
    let session = server.join(JANICE).await;
    for member in ["bea@example.com", "carl@example.com", "dora@example.com"] {
        server.join(member).await;
    }
    let forgotten = ask(site, FORGOT_PASSWORD, "test-pass", "bea@example.com");
    let (_, mail) = server.mail_after(forgotten).await;
    let (mails, connections) = (sink.received().len(), sink.connections_seen());

    server.cut(outage).await;
    let late = run_without_a_relay(site, &mail.code().expect("a code"), session).await;
    let kept = "SELECT COUNT(*) FROM outbox WHERE status IN ('queued', 'sending', 'expired')";
    assert_eq!(site.count(kept).await, 7, "nothing is lost");
    assert_eq!(sink.received().len(), mails);
    let tries = sink.connections_seen() - connections;
    let hanging = usize::from(outage == Outage::Hanging);
    assert_eq!(tries, hanging, "one try hung for the whole run");

    server.mend(outage).await;
    sink.wait_for(mails + 3).await;
    // The hanging one is tried once more.
    site.advance(Duration::from_secs(2));
    sink.wait_for(mails + 4).await;
    let expired = "SELECT COUNT(*) FROM outbox WHERE status = 'expired' AND sealed IS NULL";
    eventually(site, expired, 3).await;
    let (site, sink) = server.end().await;
    let received = &sink.received()[mails..];
    let reached: Vec<&str> = received
        .iter()
        .map(|mail| mail.rcpt_to[0].as_str())
        .collect();
    let nearest_end_first =
        ["late", "dora", "carl", "bea"].map(|name| format!("{name}@example.com"));
    assert_eq!(reached, nearest_end_first, "and each once");
    let rest = "SELECT COUNT(*) FROM outbox WHERE status NOT IN ('sent', 'expired')";
    assert_eq!(site.count(rest).await, 0);
    let code = received[0].code().expect("a code");
    let answer = site.send(site.authorize_call(&late, &code)).await;
    answer.expect_status(302);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_13_a_relay_that_refuses_for_the_whole_run_on_sqlite() {
    relay_is_dead(Database::Sqlite, Outage::Refusing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_13_a_relay_that_refuses_for_the_whole_run_on_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    relay_is_dead(Database::Postgres(url), Outage::Refusing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_13_a_relay_that_hangs_for_the_whole_run_on_sqlite() {
    relay_is_dead(Database::Sqlite, Outage::Hanging).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_13_a_relay_that_hangs_for_the_whole_run_on_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    relay_is_dead(Database::Postgres(url), Outage::Hanging).await;
}

/// The maximum number of concurrent calls to the verifier: more than there are database connections and hashing
/// threads.
const IN_FLIGHT_MAX: usize = 24;

const APIS: [&str; 3] = [FORGOT_PASSWORD, PASSWORDLESS_LOGIN, REGISTRATION];

/// The rows that an accepted request leaves.
async fn traces(site: &Site) -> [i64; 3] {
    [
        site.count("SELECT COUNT(*) FROM challenge").await,
        site.count("SELECT COUNT(*) FROM outbox").await,
        site.count("SELECT COUNT(*) FROM captcha_token").await,
    ]
}

#[track_caller]
fn assert_turned_away(answer: &Answer) {
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_eq!(
        answer.json()["status_code"],
        "unknown_error",
        "{}",
        answer.body
    );
}

/// Twenty-four calls hang at the verifier, the maximum; more are refused at once. Meanwhile, other users log in.
async fn verifier_is_dead(database: Database) {
    let remote = Remote::start(Behaviour::Hang).await;
    let mut setup = Setup::default();
    setup.config.captcha.timeout_ms = TEN_MINUTES.as_secs() * 1_000;
    setup.config.captcha.max_in_flight = IN_FLIGHT_MAX;
    let mut site = site_that_asks(&remote, database, setup).await;
    site.update_client(&site.client.id, rotating()).await;
    let mut session = site.register(JANICE).await;
    let before = traces(&site).await;
    // A node with a short timeout, as in production.
    site.config.captcha.timeout_ms = 200;
    let impatient = site.another_node().await;
    let site = Arc::new(site);

    let hanging: Vec<JoinHandle<Answer>> = (0..IN_FLIGHT_MAX)
        .map(|n| {
            let site = Arc::clone(&site);
            let person = format!("p{n}@example.com");
            tokio::spawn(async move { ask(&site, APIS[n % 3], &person, &person).await })
        })
        .collect();
    let all_asked = timeout(PATIENCE, async {
        while remote.received().len() < IN_FLIGHT_MAX {
            tokio::task::yield_now().await;
        }
    });
    all_asked.await.expect("the verifier is asked for each");
    for api in APIS {
        assert_turned_away(&ask(&site, api, "one-more", JANICE).await);
        assert_turned_away(&ask(&impatient, api, "soon", JANICE).await);
        others_go_on(&site, &mut session).await;
    }
    assert!(
        hanging.iter().all(|call| !call.is_finished()),
        "logins waited for the verifier"
    );
    remote.hang_up();
    for call in hanging {
        assert_turned_away(&call.await.expect("an answer"));
    }
    assert_eq!(traces(&site).await, before, "a request was accepted");

    remote.behave(Behaviour::json(&yes()));
    let begun = ask(&site, PASSWORDLESS_LOGIN, "p0@example.com", JANICE)
        .await
        .expect_ok()
        .json();
    let code = site.code_to(JANICE).await;
    let identifier = begun["identifier"].as_str().expect("an identifier");
    let call = site.public_authorize_call("passwordless-login", identifier, &code);
    site.send(call).await.expect_status(302);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_12_a_verifier_that_hangs_for_the_whole_run_on_sqlite() {
    verifier_is_dead(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_12_a_verifier_that_hangs_for_the_whole_run_on_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    verifier_is_dead(Database::Postgres(url)).await;
}
