//! The outbox: leases, back-off, expiry, a relay that fails and recovers.
//!
//! The worker of the app, with the test's clock, against a real SMTP conversation with a relay that
//! fails on request. Rows and statements alone are tested in `store/`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::delivery::smtp::{SmtpRelay, SmtpSettings};
use vestibule::delivery::template::TemplateName;
use vestibule::delivery::{self, Gateway, Letter, Variables};
use vestibule::moment::Moment;
use vestibule::outgoing::Suppression;
use vestibule::store;
use vestibule::worker::outbox;
use vestibule_protocol::headless::VerificationMethod;

use super::received::Received;
use super::smtp_sink::{Fault, SmtpSink, Stage};
use crate::fixture::{Database, Setup, Site, on_both_databases, registration};

const FROM: &str = "Shop <no-reply@shop.example>";
const ALWAYS: usize = usize::MAX;

/// Concurrent connections to the relay.
const POOL_MAX: usize = 4;

/// A site whose mail goes to the sink. A silent relay is abandoned after a second.
async fn site(sink: &SmtpSink) -> Site {
    let mut settings = SmtpSettings::parse(&sink.url(), FROM, None).expect("the sink's URL");
    settings.timeout_seconds = 1;
    settings.pool_max = POOL_MAX;
    let relay = Box::new(SmtpRelay::new(settings).expect("a relay"));
    let from = FROM.to_owned();
    let setup = Setup {
        email: Some(Gateway::Smtp { relay, from }),
        ..Setup::default()
    };
    Site::open_with(Database::Sqlite, setup).await
}

/// One turn of the worker; returns the number of claimed messages.
async fn turn(site: &Site) -> usize {
    outbox::run_due(&site.app, site.app.now())
        .await
        .expect("the worker runs")
}

/// Advances the clock and runs a turn of the worker.
async fn turn_after(site: &Site, seconds: u64) -> usize {
    site.advance(Duration::from_secs(seconds));
    turn(site).await
}

/// Queues a code without a registration around it.
async fn queue(site: &Site, recipient: &str, code: &str, expires_at: Moment) {
    queue_letter(site, &letter(recipient, code, expires_at)).await;
}

fn letter(recipient: &str, code: &str, expires_at: Moment) -> Letter {
    Letter {
        channel: VerificationMethod::Email,
        user_id: None,
        recipient: recipient.to_owned(),
        template: TemplateName::RegistrationOtp,
        custom: None,
        locale: "en_US".into(),
        site_id: "0DB".into(),
        host: "site.example.com".into(),
        variables: Variables {
            site_name: "Shop".into(),
            host: "site.example.com".into(),
            code: Some(code.to_owned().into()),
            valid_minutes: 10,
            first_name: None,
        },
        suppressed: None,
        challenge: None,
        expires_at,
    }
}

async fn queue_letter(site: &Site, letter: &Letter) {
    queue_all(site, std::slice::from_ref(letter)).await;
}

/// Queues many letters in one write.
async fn queue_all(site: &Site, letters: &[Letter]) {
    let (entropy, keyring) = (&site.app.entropy, &site.app.keyring);
    let sealed = |letter| delivery::queue(letter, site.app.now(), entropy, keyring);
    let messages: Result<Vec<_>, _> = letters.iter().map(sealed).collect();
    let written = site.app.store.write(
        "outbox.insert",
        messages.expect("they are sealed"),
        |tx, messages| {
            Box::pin(async move {
                for message in messages {
                    store::outbox::insert(tx, message).await?;
                }
                Ok(())
            })
        },
    );
    written.await.expect("they are queued");
}

fn reply(at: Stage, line: &str, times: usize) -> Fault {
    let line = line.to_owned();
    Fault::Reply { at, line, times }
}

fn message_id(mail: &Received) -> String {
    mail.header("Message-ID").expect("a Message-ID")
}

#[tokio::test]
async fn a_mail_leaves_once_with_the_code_that_opens_the_challenge() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let identifier = site.pending("janice@example.com").await;
    let queued = site.newest_message("janice@example.com").await;
    assert_eq!(
        (queued.status.as_str(), queued.attempts, queued.is_wiped),
        ("queued", 0, false)
    );
    assert_eq!(turn(&site).await, 1);
    assert_eq!(turn(&site).await, 0);
    let received = sink.received();
    assert_eq!(received.len(), 1);
    let mail = &received[0];
    assert_eq!(mail.rcpt_to, ["janice@example.com"]);
    assert_eq!(mail.mail_from, "no-reply@shop.example");
    assert_eq!(message_id(mail), queued.message_id);
    assert!(
        queued.message_id.ends_with("@site.example.com>"),
        "{}",
        queued.message_id
    );
    let sent = site.newest_message("janice@example.com").await;
    assert_eq!(
        (sent.status.as_str(), sent.attempts, sent.is_wiped),
        ("sent", 1, true)
    );
    let answer = site
        .send(site.authorize_call(&identifier, &mail.code().expect("a code")))
        .await;
    answer.expect_status(302);
}

#[tokio::test]
async fn mail_11_a_451_is_tried_again_after_pauses_that_double() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(reply(Stage::Rcpt, "451 4.3.0 try later", 4));
    site.pending("janice@example.com").await;
    assert_eq!(turn(&site).await, 1);
    for (attempts, pause) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        let waiting = site.newest_message("janice@example.com").await;
        assert_eq!(
            (waiting.status.as_str(), waiting.attempts),
            ("queued", attempts)
        );
        assert!(!waiting.is_wiped, "the code is still needed");
        let reason = waiting.last_reason.expect("a reason");
        assert!(
            reason.contains("451") && reason.contains("RCPT"),
            "{reason}"
        );
        assert_eq!(
            turn_after(&site, pause - 1).await,
            0,
            "before the pause of {pause} s has ended"
        );
        assert_eq!(turn_after(&site, 1).await, 1, "after a pause of {pause} s");
    }
    assert_eq!(sink.received().len(), 1);
    assert_eq!(site.newest_status("janice@example.com").await, "sent");
}

#[tokio::test]
async fn a_code_that_a_newer_request_has_ended_is_not_tried_again() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(reply(Stage::Rcpt, "451 4.3.0 try later", 1));
    let identifier = site.pending("janice@example.com").await;
    assert_eq!(turn(&site).await, 1, "it waits for its second try");
    // After a wrong code the next request has a new one.
    let wrong = site.authorize_call(&identifier, "!wrong");
    site.send(wrong).await.expect_status(400);
    site.pending("janice@example.com").await;
    assert_eq!(turn_after(&site, 60).await, 2);
    let received = sink.received();
    assert_eq!(received.len(), 1, "the newer code alone");
    let settled = site
        .count("SELECT COUNT(*) FROM outbox WHERE status = 'expired' AND sealed IS NULL")
        .await;
    assert_eq!(settled, 1, "the older is wiped");
}

#[tokio::test]
async fn mail_11_a_pause_ends_after_five_minutes_at_most_and_the_code_s_life_is_the_end() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(reply(Stage::Content, "451 4.3.0 try later", ALWAYS));
    let expires_at = site.app.now().plus_seconds(4 * 3_600);
    queue(&site, "janice@example.com", "482913", expires_at).await;
    let mut tries = 0;
    while site.app.now() < expires_at {
        let claimed = turn_after(&site, 300).await;
        assert_eq!(
            claimed, 1,
            "no pause is longer than five minutes (try {tries})"
        );
        tries += 1;
    }
    let ended = site.newest_message("janice@example.com").await;
    assert_eq!((ended.status.as_str(), ended.is_wiped), ("expired", true));
    assert_eq!(turn_after(&site, 3_600).await, 0);
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn mail_11_a_550_is_given_up_at_once_and_its_code_wiped() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(reply(Stage::Rcpt, "550 5.1.1 no such user", 1));
    site.pending("janice@example.com").await;
    assert_eq!(turn(&site).await, 1);
    let ended = site.newest_message("janice@example.com").await;
    assert_eq!(
        (ended.status.as_str(), ended.attempts, ended.is_wiped),
        ("abandoned", 1, true)
    );
    assert!(ended.last_reason.expect("a reason").contains("550"));
    assert_eq!(turn_after(&site, 300).await, 0);
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn mail_11_one_refused_mail_delays_no_other() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(reply(Stage::Rcpt, "550 5.1.1 no such user", 1));
    sink.fault(reply(Stage::Rcpt, "421 4.3.2 closing", 1));
    for number in 0..6 {
        let expires_at = site.app.now().plus_seconds(600);
        queue(
            &site,
            &format!("p{number}@example.com"),
            "482913",
            expires_at,
        )
        .await;
    }
    assert_eq!(turn(&site).await, 6);
    turn_after(&site, 1).await;
    assert_eq!(sink.received().len(), 5);
}

#[tokio::test]
async fn mail_11_a_hanging_relay_is_abandoned_after_the_deadline_and_retried() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.fault(Fault::Hang {
        at: Stage::Banner,
        times: 1,
    });
    site.pending("janice@example.com").await;
    assert_eq!(turn(&site).await, 1);
    let waiting = site.newest_message("janice@example.com").await;
    assert_eq!((waiting.status.as_str(), waiting.attempts), ("queued", 1));
    assert!(
        waiting
            .last_reason
            .expect("a reason")
            .contains("no answer within 1 s")
    );
    assert_eq!(turn_after(&site, 1).await, 1);
    assert_eq!(sink.received().len(), 1);
}

#[tokio::test]
async fn mail_12_a_lost_250_repeats_the_same_mail_byte_for_byte() {
    for fault in [
        Fault::Close {
            at: Stage::Content,
            times: 2,
        },
        Fault::Hang {
            at: Stage::Content,
            times: 2,
        },
    ] {
        let sink = SmtpSink::start().await;
        let site = site(&sink).await;
        sink.fault(fault.clone());
        site.pending("janice@example.com").await;
        turn(&site).await;
        turn_after(&site, 1).await;
        turn_after(&site, 2).await;
        assert_eq!(
            turn_after(&site, 300).await,
            0,
            "the third try was answered"
        );
        let received = sink.received();
        assert_eq!(received.len(), 3, "{fault:?}");
        assert!(
            received.iter().all(|mail| mail.wire == received[0].wire),
            "{fault:?}"
        );
        assert_eq!(site.newest_status("janice@example.com").await, "sent");
    }
}

#[tokio::test]
async fn a_relay_that_was_down_gets_everything_when_it_is_back() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.stop();
    let people: BTreeSet<String> = (0..5).map(|n| format!("p{n}@example.com")).collect();
    for person in &people {
        site.pending(person).await;
    }
    for _ in 0..6 {
        turn_after(&site, 30).await;
    }
    assert_eq!(site.newest_status("p0@example.com").await, "queued");
    sink.restart_on_same_port().await;
    turn_after(&site, 300).await;
    let received = sink.received();
    assert_eq!(received.len(), 5);
    let reached = received
        .iter()
        .map(|mail| mail.rcpt_to[0].clone())
        .collect();
    assert_eq!(people, reached);
}

on_both_databases! {
    async fn enu_03_a_suppressed_message_settles_with_its_reason_and_has_no_words(site: Site) {
        let expires_at = site.app.now().plus_seconds(600);
        for (number, reason) in Suppression::ALL.into_iter().enumerate() {
            let to = format!("p{number}@example.com");
            let suppressed = Some(reason);
            queue_letter(&site, &Letter { suppressed, ..letter(&to, "482913", expires_at) }).await;
            assert_eq!(site.newest_status(&to).await, "queued", "like any other");
            site.deliver().await;
            let ended = site.newest_message(&to).await;
            assert_eq!((ended.status.as_str(), ended.is_wiped), ("suppressed", true));
            assert_eq!(ended.last_reason.as_deref(), Some(reason.as_str()));
            let shown = site.inbox.list(Some(&to));
            site.inbox.clear();
            assert_eq!(shown.len(), 1);
            assert_eq!(shown[0].suppressed.as_deref(), Some(reason.as_str()));
            let words = [&shown[0].subject, &shown[0].text].map(String::len);
            assert_eq!((words, shown[0].code.as_deref()), ([0, 0], None));
        }
    }
}

#[tokio::test]
async fn enu_03_a_suppressed_message_never_reaches_the_relay() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let expires_at = site.app.now().plus_seconds(600);
    let unknown = Letter {
        suppressed: Some(Suppression::UserUnknown),
        ..letter("", "482913", expires_at)
    };
    queue_letter(&site, &unknown).await;
    let locked = Letter {
        suppressed: Some(Suppression::UserLocked),
        ..letter("locked@example.com", "482913", expires_at)
    };
    queue_letter(&site, &locked).await;
    assert_eq!(turn(&site).await, 2);
    assert_eq!(turn_after(&site, 300).await, 0);
    assert_eq!(sink.connections_seen(), 0);
    assert_eq!(site.newest_status("").await, "suppressed");
}

#[tokio::test]
async fn mail_15_a_changed_password_is_reported_in_the_user_s_language_and_without_a_secret() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let expires_at = site.app.now().plus_seconds(86_400);
    for (locale, words) in [("en_US", "was changed"), ("de_AT", "wurde ge")] {
        let to = format!("{locale}@example.com");
        let mut notice = letter(&to, "482913", expires_at);
        notice.template = TemplateName::PasswordChanged;
        notice.locale = locale.into();
        queue_letter(&site, &notice).await;
        assert_eq!(turn(&site).await, 1);
        let received = sink.received();
        let mail = received.last().expect("a notice");
        assert_eq!((mail.rcpt_to[0].as_str(), mail.code()), (to.as_str(), None));
        let parts = [mail.subject(), mail.text(), mail.html().expect("a page")];
        assert!(parts[0].contains(words), "{}", parts[0]);
        for part in parts {
            assert!(!part.contains("482913"), "{part}");
        }
    }
}

#[tokio::test]
async fn mail_13_after_a_long_outage_valid_codes_are_sent_first_and_expired_ones_never() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    sink.stop();
    let four_hours = 4 * 3_600;
    for number in 0..60 {
        let expires_at = site.app.now().plus_seconds(600);
        queue(
            &site,
            &format!("late{number}@example.com"),
            "111111",
            expires_at,
        )
        .await;
    }
    let long_life = site.app.now().plus_seconds(86_400);
    queue(&site, "long@example.com", "222222", long_life).await;
    // The long-lived message is retried all the time.
    for _ in 0..12 {
        outbox::run_due(&site.app, site.app.now())
            .await
            .expect("the worker runs");
        site.advance(Duration::from_secs(40));
    }
    site.advance(Duration::from_secs(four_hours));
    for number in 0..40 {
        let expires_at = site.app.now().plus_seconds(600);
        queue(
            &site,
            &format!("live{number}@example.com"),
            "333333",
            expires_at,
        )
        .await;
    }
    sink.restart_on_same_port().await;
    let cared_for = turn(&site).await;
    let received = sink.received();
    assert_eq!(
        (received.len(), cared_for),
        (32, 60 + 32),
        "the first batch is not spent on codes that have ended"
    );
    site.deliver().await;
    let received = sink.received();
    let mut reached: Vec<&str> = received
        .iter()
        .map(|mail| mail.rcpt_to[0].as_str())
        .collect();
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(reached.len(), received.len(), "each arrived once");
    assert!(
        reached.contains(&"long@example.com"),
        "a code that lives is not given up"
    );
    assert!(
        !reached.iter().any(|to| to.starts_with("late")),
        "a dead code was sent"
    );
    assert_eq!(reached.len(), 41);
    for number in [0, 59] {
        let ended = site
            .newest_message(&format!("late{number}@example.com"))
            .await;
        assert_eq!((ended.status.as_str(), ended.is_wiped), ("expired", true));
    }
    assert!(
        sink.connections_seen() <= 8,
        "{} connections",
        sink.connections_seen()
    );
}

/// The running worker, with thousands of rows: 3,000 codes have expired during the outage, 400 are valid, and 40
/// notices are valid for a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_13_thousands_that_waited_leave_in_the_order_of_their_end_over_few_connections() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let start = site.app.now();
    let many = |name: &str, count: usize, lifetime: i64| -> Vec<Letter> {
        (0..count)
            .map(|number| {
                letter(
                    &format!("{name}{number}@example.com"),
                    "482913",
                    start.plus_seconds(lifetime),
                )
            })
            .collect()
    };
    queue_all(&site, &many("late", 3_000, 600)).await;
    let notices = many("notice", 40, 86_400);
    queue_all(&site, &notices).await;
    site.advance(Duration::from_secs(4 * 3_600));
    let start = site.app.now();
    let live: Vec<Letter> = (0..400)
        .map(|number| {
            let lifetime = 20 + (number * 37) % 580;
            letter(
                &format!("live{lifetime:03}-{number}@example.com"),
                "482913",
                start.plus_seconds(lifetime),
            )
        })
        .collect();
    queue_all(&site, &live).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(outbox::run(site.app.clone(), stopped));
    let received = sink.wait_for(440).await;
    stop.send(true).expect("the worker listens");
    worker.await.expect("the worker ends");

    assert_eq!(received.len(), 440);
    assert!(
        !received
            .iter()
            .any(|mail| mail.rcpt_to[0].starts_with("late")),
        "a dead code was sent"
    );
    let counted = site
        .count("SELECT COUNT(*) FROM outbox WHERE status = 'expired' AND sealed IS NULL")
        .await;
    assert_eq!(counted, 3_000, "marked and wiped");
    // Few are sent concurrently, so their order at the relay is that of the claims, except for that few.
    let ranks: Vec<i64> = received.iter().map(rank).collect();
    let pool = i64::try_from(POOL_MAX).expect("a small number");
    for (at, rank) in ranks.iter().enumerate() {
        let overtaken = ranks[at..].iter().filter(|later| *later < rank).count();
        assert!(
            i64::try_from(overtaken).unwrap() < 2 * pool,
            "{at}: {}",
            received[at].rcpt_to[0]
        );
    }
    assert!(
        sink.connections_seen() <= POOL_MAX,
        "{} connections",
        sink.connections_seen()
    );
}

/// Codes by their expiry; those with less than half a minute left come after all others.
fn rank(mail: &Received) -> i64 {
    let to = &mail.rcpt_to[0];
    let lifetime = to
        .strip_prefix("live")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    match lifetime.unwrap_or(86_400) {
        lifetime @ ..=30 => 1_000_000 + lifetime,
        lifetime => lifetime,
    }
}

#[tokio::test]
async fn mail_14_messages_of_a_dead_worker_are_sent_after_its_lease() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    site.pending("janice@example.com").await;
    let before = site.newest_message("janice@example.com").await;
    // The worker ends between its claim and its first word to the relay.
    let turn_that_dies = outbox::run_due(&site.app, site.app.now());
    sink.fault(Fault::Hang {
        at: Stage::Banner,
        times: 1,
    });
    let cut = tokio::time::timeout(Duration::from_millis(300), turn_that_dies).await;
    assert!(cut.is_err(), "it was still waiting for the relay");
    assert_eq!(site.newest_status("janice@example.com").await, "sending");

    // One second of conversation, fifteen of waiting, ten of margin.
    assert_eq!(turn_after(&site, 25).await, 0, "the lease holds");
    assert!(sink.received().is_empty());
    assert_eq!(turn_after(&site, 2).await, 1, "the lease has ended");
    assert_eq!(turn_after(&site, 300).await, 0);
    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(message_id(&received[0]), before.message_id);
    let sent = site.newest_message("janice@example.com").await;
    assert_eq!(
        (sent.status.as_str(), sent.attempts, sent.is_wiped),
        ("sent", 2, true)
    );
}

on_both_databases! {
    async fn mail_14_two_workers_share_the_outbox_and_send_nothing_twice(site: Site) {
        let other = site.another_node().await;
        for number in 0..150 {
            queue(&site, &format!("p{number}@example.com"), "482913", site.app.now().plus_seconds(600)).await;
        }
        let work = async |site: &Site| {
            let mut claimed = 0;
            loop {
                match outbox::run_due(&site.app, site.app.now()).await.expect("the worker runs") {
                    0 => return claimed,
                    count => claimed += count,
                }
            }
        };
        let (one, two) = tokio::join!(work(&site), work(&other));
        let messages = site.inbox.list(None);
        site.inbox.clear();
        let people: BTreeSet<&str> = messages.iter().map(|message| message.to.as_str()).collect();
        assert_eq!((people.len(), messages.len()), (150, 150), "each message was sent once");
        assert_eq!(one + two, 150);
    }
}

#[tokio::test]
async fn a_german_is_written_to_in_german_and_a_site_may_speak_german_to_all() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let in_locale = |name: &str, locale: Option<&str>| {
        let mut body = registration(name);
        if let Some(locale) = locale {
            body["userdata"]["locale"] = Value::from(locale);
        }
        body
    };
    let subject = async |name: &str| {
        site.deliver().await;
        sink.newest_to(name).expect("a mail").subject()
    };
    for (name, locale, expected) in [
        (
            "a@example.com",
            Some("de_DE"),
            "Ihr Bestätigungscode für Vestibule Demo",
        ),
        (
            "b@example.com",
            Some("de-AT"),
            "Ihr Bestätigungscode für Vestibule Demo",
        ),
        (
            "c@example.com",
            Some("fr_FR"),
            "Your verification code for Vestibule Demo",
        ),
        (
            "d@example.com",
            None,
            "Your verification code for Vestibule Demo",
        ),
    ] {
        site.init(&in_locale(name, locale)).await.expect_ok();
        assert_eq!(subject(name).await, expected, "{locale:?}");
    }
    let german = sink.newest_to("a@example.com").expect("a mail");
    let text = german.text();
    assert!(
        text.contains("gültig") && text.contains(&german.code().expect("a code")),
        "{text}"
    );
    site.update_settings(json!({"defaultLocale": "de_DE"}))
        .await;
    site.init(&in_locale("e@example.com", None))
        .await
        .expect_ok();
    assert_eq!(
        subject("e@example.com").await,
        "Ihr Bestätigungscode für Vestibule Demo"
    );
    site.init(&in_locale("f@example.com", Some("en_GB")))
        .await
        .expect_ok();
    assert_eq!(
        subject("f@example.com").await,
        "Your verification code for Vestibule Demo"
    );
}

#[tokio::test]
async fn a_text_message_is_not_sent_through_the_mail_relay() {
    let sink = SmtpSink::start().await;
    let site = site(&sink).await;
    let mut body = registration("janice@example.com");
    body["verificationmethod"] = Value::from("sms");
    body["customdata"] = json!({"mobilePhone": "+49 170 1234567"});
    site.init(&body).await.expect_ok();
    site.deliver().await;
    let messages = site.inbox.list(Some("+491701234567"));
    site.inbox.clear();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (messages[0].channel.as_str(), messages[0].subject.as_str()),
        ("sms", "")
    );
    let code = messages[0].code.clone().expect("a code");
    assert!(messages[0].text.contains(&code), "{}", messages[0].text);
    assert!(sink.received().is_empty());
}

on_both_databases! {
    async fn without_a_gateway_nothing_is_taken_in(site: Site) {
        let other = site_without_gateways(&site).await;
        let mut by_sms = registration("janice@example.com");
        by_sms["verificationmethod"] = Value::from("sms");
        by_sms["customdata"] = json!({"mobilePhone": "+491701234567"});
        for body in [registration("janice@example.com"), by_sms] {
            let refused = other.init(&body).await.expect_status(400);
            assert!(refused.body.contains("otp_generation_failed"), "{}", refused.body);
        }
        for query in ["SELECT COUNT(*) FROM challenge", "SELECT COUNT(*) FROM outbox"] {
            assert_eq!(other.count(query).await, 0, "{query}");
        }
    }
}

/// A similar site without gateways.
async fn site_without_gateways(like: &Site) -> Site {
    let database = match &like.location {
        store::Location::Sqlite(..) => Database::Sqlite,
        store::Location::Postgres(..) => {
            let url = crate::fixture::postgres::database().await;
            Database::Postgres(url.expect("it was there a moment ago"))
        }
    };
    let setup = Setup {
        email: Some(Gateway::None),
        sms: Some(Gateway::None),
        ..Setup::default()
    };
    Site::open_with(database, setup).await
}
