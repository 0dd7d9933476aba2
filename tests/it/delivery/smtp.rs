//! The relay in a real SMTP conversation: what arrives, byte by byte, and the outcome of every fault.
//!
//! RFC 5321, RFC 3207, RFC 4954, RFC 6531. The faults are those of real relays: 4xx, 5xx, no answer at any
//! stage, a connection that ends before its `250`, and a relay that is down for a while.

use std::sync::Arc;

use vestibule::delivery::message::{OutgoingMail, Rendered};
use vestibule::delivery::smtp::{SendOutcome, SmtpRelay, SmtpSettings};

use super::smtp_sink::{Fault, SinkOptions, SinkTls, SmtpSink, Stage};

const ALWAYS: usize = usize::MAX;

/// The stages of a conversation that delivers one mail.
const STAGES: [Stage; 6] = [
    Stage::Banner,
    Stage::Ehlo,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Content,
];

fn mail(id: &str) -> OutgoingMail {
    OutgoingMail {
        message_id: format!("<{id}@login.example>"),
        to: "ada@example.com".into(),
        from: "Éclair Shop <no-reply@shop.example>".into(),
        rendered: Rendered {
            subject: "Ihr Bestätigungscode für Éclair & Söhne, den Sie gerade angefordert haben"
                .into(),
            text: "Guten Tag,\n\n    482913\n\ngültig für 10 Minuten.".into(),
            html: Some("<p>Code: <b>482913</b> – gültig</p>".into()),
        },
        date_at_ms: 1_790_000_000_000,
    }
}

fn settings(sink: &SmtpSink, password: Option<&str>) -> SmtpSettings {
    let password = password.map(|password| password.to_owned().into());
    let mut settings = SmtpSettings::parse(&sink.url(), "no-reply@shop.example", password)
        .expect("the sink's URL");
    settings.timeout_seconds = 5;
    settings.ca_file = Some(SmtpSink::ca_file());
    settings
}

fn relay(sink: &SmtpSink) -> SmtpRelay {
    SmtpRelay::new(settings(sink, None)).expect("a relay")
}

/// A server that takes mail in clear, and a relay that sends to it.
async fn sink_and_relay() -> (SmtpSink, SmtpRelay) {
    let sink = SmtpSink::start().await;
    let relay = relay(&sink);
    (sink, relay)
}

fn options(tls: SinkTls) -> SinkOptions {
    SinkOptions {
        tls,
        credentials: Some(("app@shop.example".into(), "hunter2".into())),
        ..SinkOptions::default()
    }
}

fn reply(at: Stage, line: &str, times: usize) -> Fault {
    Fault::Reply {
        at,
        line: line.into(),
        times,
    }
}

/// Closes the connection once, at a stage.
fn close(at: Stage) -> Fault {
    Fault::Close { at, times: 1 }
}

fn retry_reason(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Retry { reason } => reason,
        other => panic!("expected a retry, got {other:?}"),
    }
}

fn reject_reason(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Reject { reason } => reason,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

fn is_sent(outcome: &SendOutcome) -> bool {
    matches!(outcome, SendOutcome::Sent { .. })
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let sink = SmtpSink::start().await;
    let outcome = relay(&sink).send(&mail("m1")).await;
    assert_eq!(
        outcome,
        SendOutcome::Sent {
            response: "250 2.0.0 kept".into()
        }
    );
    let got = sink.mail_to("ada@example.com").await;
    assert_eq!(got.mail_from, "no-reply@shop.example");
    assert_eq!(got.rcpt_to, ["ada@example.com"]);
    assert_eq!(got.subject(), mail("m1").rendered.subject);
    assert_eq!(got.text(), mail("m1").rendered.text);
    assert_eq!(got.html(), mail("m1").rendered.html);
    assert_eq!(got.code().as_deref(), Some("482913"));
    let names: Vec<String> = got.headers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names.join(" "),
        "Date From To Subject Message-ID Auto-Submitted MIME-Version Content-Type"
    );
    assert_eq!(
        got.header("From").as_deref(),
        Some("Éclair Shop <no-reply@shop.example>")
    );
    assert_eq!(
        got.header("Date").as_deref(),
        Some("Mon, 21 Sep 2026 14:13:20 +0000")
    );
    assert_eq!(
        got.header("Message-ID").as_deref(),
        Some("<m1@login.example>")
    );
    assert_eq!(
        got.header("Auto-Submitted").as_deref(),
        Some("auto-generated")
    );
    assert!(got.wire.is_ascii());
}

#[tokio::test]
async fn mail_03_a_body_cannot_smuggle_a_second_message() {
    let (sink, relay) = sink_and_relay().await;
    let evil =
        "MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\nhi";
    let bodies = [
        format!(".\n..\n.x\r\n.\r\n{evil}\r\n.\r\n"),
        format!("a\n.\n{evil}\n.\n"),
        format!("a\r.\r{evil}\r.\r"),
        format!("a\n.\r\n{evil}\n.\r\n"),
        format!("a\r\n.\r{evil}\r\n.\n"),
        format!("{}\u{85}.\u{2028}.\n", "x".repeat(3000)),
    ];
    for (sent, body) in bodies.iter().enumerate() {
        let mut mail = mail(&format!("m{sent}"));
        mail.rendered.text = body.clone();
        assert!(is_sent(&relay.send(&mail).await));
        let all = sink.wait_for(sent + 1).await;
        assert_eq!(all.len(), sent + 1, "one message each");
        let expected = body
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\u{85}', "");
        assert_eq!(all[sent].text(), expected);
        let without_pairs = String::from_utf8(all[sent].wire.clone())
            .unwrap()
            .replace("\r\n", "");
        assert!(!without_pairs.contains(['\r', '\n']));
    }
    assert_eq!(sink.received().len(), bodies.len());
}

#[tokio::test]
async fn mail_01_a_hostile_subject_adds_neither_header_nor_recipient() {
    let (sink, relay) = sink_and_relay().await;
    let long = "ä".repeat(10_000);
    for subject in [
        "A\r\nBcc: evil@x.example",
        "A\u{2028}Bcc: evil@x.example",
        "=?utf-8?q?=0D=0ABcc:_x?=",
        &long,
    ] {
        let mut mail = mail("m1");
        mail.rendered.subject = subject.into();
        assert!(is_sent(&relay.send(&mail).await));
    }
    for got in sink.wait_for(4).await {
        assert_eq!(got.rcpt_to, ["ada@example.com"]);
        assert_eq!(got.headers().len(), 8);
        assert_eq!(got.header("Bcc"), None);
    }
    assert_eq!(sink.received()[2].subject(), "=?utf-8?q?=0D=0ABcc:_x?=");
}

#[tokio::test]
async fn mail_02_a_recipient_that_is_not_one_address_is_rejected_before_any_connection() {
    let sink = SmtpSink::start().await;
    let mail = OutgoingMail {
        to: "a@b.example>,<c@d.example".into(),
        ..mail("m1")
    };
    let reason = reject_reason(relay(&sink).send(&mail).await);
    assert_eq!(reason, "the recipient is not one plain e-mail address");
    assert_eq!(sink.connections_seen(), 0);
}

#[tokio::test]
async fn mail_is_sent_over_tls_with_authentication() {
    for (tls, login_only) in [
        (SinkTls::Implicit, false),
        (SinkTls::StartTls, false),
        (SinkTls::StartTls, true),
    ] {
        let sink = SmtpSink::start_with(SinkOptions {
            login_only,
            ..options(tls)
        })
        .await;
        let relay = SmtpRelay::new(settings(&sink, Some("hunter2"))).unwrap();
        assert_eq!(relay.check().await, Ok(()));
        let outcome = relay.send(&mail("m1")).await;
        assert!(is_sent(&outcome), "{tls:?}: {outcome:?}");
        let got = sink.mail_to("ada@example.com").await;
        assert!(got.is_encrypted);
        assert_eq!(got.authenticated_as.as_deref(), Some("app@shop.example"));
    }
}

#[tokio::test]
async fn mail_11_a_relay_with_an_unknown_certificate_gets_nothing() {
    for tls in [SinkTls::Implicit, SinkTls::StartTls] {
        let sink = SmtpSink::start_with(options(tls)).await;
        let mut settings = settings(&sink, Some("hunter2"));
        settings.ca_file = None;
        let reason = retry_reason(SmtpRelay::new(settings).unwrap().send(&mail("m1")).await);
        assert!(reason.contains("certificate"), "{reason}");
        assert!(sink.received().is_empty());
    }
}

#[tokio::test]
async fn mail_11_without_the_required_starttls_nothing_is_sent() {
    let sink = SmtpSink::start().await;
    let mut settings = settings(&sink, None);
    settings.security = vestibule::delivery::smtp::Security::StartTls;
    let reason = retry_reason(SmtpRelay::new(settings).unwrap().send(&mail("m1")).await);
    assert!(
        reason.starts_with("STARTTLS: it is not offered"),
        "{reason}"
    );
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn mail_11_answers_injected_before_tls_are_never_read_after_it() {
    let injected = "250-sink.test\r\n250 AUTH PLAIN\r\n235 2.7.0 welcome\r\n250 ok\r\n";
    let with_injection = SinkOptions {
        inject_after_starttls: Some(injected),
        ..options(SinkTls::StartTls)
    };
    let sink = SmtpSink::start_with(with_injection).await;
    let relay = SmtpRelay::new(settings(&sink, Some("hunter2"))).unwrap();
    let reason = retry_reason(relay.send(&mail("m1")).await);
    assert!(reason.starts_with("STARTTLS: "), "{reason}");
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn a_refused_login_is_a_matter_of_configuration_and_its_words_are_not_repeated() {
    let sink = SmtpSink::start_with(options(SinkTls::Implicit)).await;
    let relay = SmtpRelay::new(settings(&sink, Some("hunter3"))).unwrap();
    let reason = retry_reason(relay.send(&mail("m1")).await);
    assert_eq!(
        reason,
        "logging in to the relay: the relay answered 535; check user and password"
    );
    assert!(relay.check().await.unwrap_err().contains("535"));
}

#[tokio::test]
async fn a_4xx_is_retried_wherever_it_is_said() {
    for stage in STAGES {
        for line in ["451 4.3.0 try later", "421 4.7.0 closing"] {
            let (sink, relay) = sink_and_relay().await;
            sink.fault(reply(stage, line, 1));
            let reason = retry_reason(relay.send(&mail("m1")).await);
            assert!(reason.contains(line), "{stage:?}: {reason}");
            assert!(is_sent(&relay.send(&mail("m1")).await), "{stage:?} {line}");
            assert_eq!(sink.received().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_5xx_about_the_mail_is_final() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Content] {
        let sink = SmtpSink::start().await;
        sink.fault(reply(stage, "550 5.1.1 no such user", 1));
        let reason = reject_reason(relay(&sink).send(&mail("m1")).await);
        assert!(
            reason.ends_with("the relay answered 550 5.1.1 no such user"),
            "{reason}"
        );
        assert!(sink.received().is_empty());
    }
}

#[tokio::test]
async fn a_5xx_about_the_session_is_retried() {
    for (stage, line) in [
        (Stage::Banner, "554 5.3.2 no service here"),
        (Stage::Ehlo, "550 5.7.1 bad name"),
        (Stage::Mail, "530 5.7.0 log in first"),
        (Stage::Rcpt, "503 5.5.1 log in first"),
        (Stage::Mail, "538 5.7.11 use TLS"),
    ] {
        let sink = SmtpSink::start().await;
        sink.fault(reply(stage, line, 1));
        let reason = retry_reason(relay(&sink).send(&mail("m1")).await);
        assert!(reason.contains(line), "{reason}");
    }
}

#[tokio::test]
async fn a_reason_never_repeats_the_code_that_the_relay_quotes() {
    let (sink, relay) = sink_and_relay().await;
    sink.fault(reply(
        Stage::Content,
        "550 5.7.1 looks like spam: \"482913\"\tcode=482913.",
        1,
    ));
    let reason = reject_reason(relay.send(&mail("m1")).await);
    assert!(
        !reason.contains("482913") && reason.contains("550 5.7.1 looks like spam"),
        "{reason}"
    );
    sink.fault(reply(Stage::Content, "250 ok, 482913 queued as 7XK2910", 1));
    let SendOutcome::Sent { response } = relay.send(&mail("m2")).await else {
        panic!("sent")
    };
    assert_eq!(response, "250 ok, [removed] queued as 7XK2910");
    let mut letters = mail("m3");
    letters.rendered.text = "Code: xqzvkw".into();
    sink.fault(reply(Stage::Content, "554 5.7.1 <XQZVKW> refused", 1));
    let reason = reject_reason(relay.send(&letters).await);
    assert!(
        reason.ends_with("554 5.7.1 <[removed]> refused"),
        "{reason}"
    );
}

#[tokio::test]
async fn mail_11_silence_at_any_point_ends_at_the_deadline_and_spoils_nothing() {
    let mut waiting = Vec::new();
    for stage in STAGES {
        waiting.push(tokio::spawn(async move {
            let sink = SmtpSink::start().await;
            let mut settings = settings(&sink, None);
            settings.timeout_seconds = 1;
            let relay = SmtpRelay::new(settings).unwrap();
            sink.fault(Fault::Hang {
                at: stage,
                times: 1,
            });
            let reason = retry_reason(relay.send(&mail("m1")).await);
            assert!(
                reason.ends_with("no answer within 1 s"),
                "{stage:?}: {reason}"
            );
            sink.clear_faults();
            // A late reply to the earlier command must not be taken for a reply to this one.
            assert!(is_sent(&relay.send(&mail("m2")).await));
            assert_eq!(sink.connections_seen(), 2);
        }));
    }
    for task in waiting {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_kept_connection_that_hangs_costs_a_moment_and_not_the_mail() {
    let sink = SmtpSink::start().await;
    let mut settings = settings(&sink, None);
    settings.timeout_seconds = 2;
    let relay = SmtpRelay::new(settings).unwrap();
    assert!(is_sent(&relay.send(&mail("m1")).await));
    sink.fault(Fault::Hang {
        at: Stage::Rset,
        times: 1,
    });
    assert!(is_sent(&relay.send(&mail("m2")).await));
    assert_eq!(sink.connections_seen(), 2);
}

#[tokio::test]
async fn mail_12_a_connection_lost_before_its_250_gives_a_duplicate_with_the_same_message_id() {
    let (sink, relay) = sink_and_relay().await;
    sink.fault(close(Stage::Content));
    retry_reason(relay.send(&mail("m1")).await);
    assert!(is_sent(&relay.send(&mail("m1")).await));
    let both = sink.wait_for(2).await;
    assert_eq!(both[0].wire, both[1].wire);
    assert_eq!(
        both[0].header("Message-ID").as_deref(),
        Some("<m1@login.example>")
    );
}

#[tokio::test]
async fn mail_11_a_connection_lost_at_any_earlier_point_is_retried() {
    for stage in STAGES.into_iter().filter(|stage| *stage != Stage::Content) {
        let (sink, relay) = sink_and_relay().await;
        sink.fault(close(stage));
        retry_reason(relay.send(&mail("m1")).await);
        assert!(is_sent(&relay.send(&mail("m1")).await));
        assert_eq!(sink.received().len(), 1);
    }
}

#[tokio::test]
async fn a_relay_that_is_down_is_retried_and_used_again_when_it_is_back() {
    let (sink, relay) = sink_and_relay().await;
    assert!(is_sent(&relay.send(&mail("m1")).await));
    sink.stop();
    let reason = retry_reason(relay.send(&mail("m2")).await);
    assert!(reason.starts_with("connecting to the relay: "), "{reason}");
    sink.restart_on_same_port().await;
    assert!(is_sent(&relay.send(&mail("m2")).await));
    assert_eq!(sink.received().len(), 2);
}

#[tokio::test]
async fn a_stale_connection_costs_no_attempt() {
    let (sink, relay) = sink_and_relay().await;
    assert!(is_sent(&relay.send(&mail("m1")).await));
    sink.drop_connections();
    assert!(is_sent(&relay.send(&mail("m2")).await));
    for fault in [
        reply(Stage::Rset, "421 4.4.2 idle too long", 1),
        reply(Stage::Mail, "421 4.4.2 idle too long", 1),
        close(Stage::Mail),
        close(Stage::Rcpt),
        close(Stage::Data),
    ] {
        sink.fault(fault.clone());
        assert!(is_sent(&relay.send(&mail("m3")).await), "{fault:?}");
    }
    assert_eq!(sink.connections_seen(), 7);
    assert_eq!(sink.received().len(), 7);
}

#[tokio::test]
async fn connections_are_reused_also_after_a_refused_recipient() {
    let (sink, relay) = sink_and_relay().await;
    for n in 0..5 {
        assert!(is_sent(&relay.send(&mail(&format!("m{n}"))).await));
        sink.fault(reply(Stage::Rcpt, "550 5.1.1 no such user", 1));
        reject_reason(relay.send(&mail("x")).await);
    }
    assert_eq!(sink.connections_seen(), 1);
    relay.close_idle().await;
    assert!(is_sent(&relay.send(&mail("m9")).await));
    assert_eq!(sink.connections_seen(), 2);
}

#[tokio::test]
async fn mail_13_no_more_conversations_than_allowed_run_at_once() {
    let sink = SmtpSink::start().await;
    let mut settings = settings(&sink, None);
    settings.pool_max = 2;
    let relay = Arc::new(SmtpRelay::new(settings).unwrap());
    let sending: Vec<_> = (0..20)
        .map(|n| {
            let relay = Arc::clone(&relay);
            tokio::spawn(async move { relay.send(&mail(&format!("m{n}"))).await })
        })
        .collect();
    for task in sending {
        assert!(is_sent(&task.await.unwrap()));
    }
    assert_eq!(sink.received().len(), 20);
    assert!(sink.connections_seen() <= 2);
}

#[tokio::test]
async fn mail_11_a_relay_that_knows_only_ascii_still_gets_every_language() {
    let sink = SmtpSink::start_with(SinkOptions {
        ascii_only: true,
        ..SinkOptions::default()
    })
    .await;
    let relay = relay(&sink);
    assert!(is_sent(&relay.send(&mail("m1")).await));
    let idn = OutgoingMail {
        to: "ada@bücher.example".into(),
        ..mail("m2")
    };
    assert!(is_sent(&relay.send(&idn).await));
    assert_eq!(
        sink.wait_for(2).await[1].rcpt_to,
        ["ada@xn--bcher-kva.example"]
    );
    let utf8 = OutgoingMail {
        to: "jürgen@example.com".into(),
        ..mail("m3")
    };
    assert!(reject_reason(relay.send(&utf8).await).contains("SMTPUTF8"));
}

#[tokio::test]
async fn mail_02_a_recipient_outside_ascii_is_sent_only_with_smtputf8() {
    let sink = SmtpSink::start().await;
    let mail = OutgoingMail {
        to: "jürgen@example.com".into(),
        ..mail("m1")
    };
    assert!(is_sent(&relay(&sink).send(&mail).await));
    assert_eq!(
        sink.mail_to("jürgen@example.com").await.code().as_deref(),
        Some("482913")
    );
}

#[tokio::test]
async fn an_unusable_ca_file_is_refused_at_the_start() {
    let sink = SmtpSink::start_with(options(SinkTls::Implicit)).await;
    let with = |path: &std::path::Path| {
        let mut settings = settings(&sink, Some("hunter2"));
        settings.ca_file = Some(path.to_owned());
        SmtpRelay::new(settings).map(drop)
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    assert!(with(&file).unwrap_err().contains("cannot be read"));
    std::fs::write(&file, "nothing").unwrap();
    assert!(with(&file).unwrap_err().contains("no PEM certificate"));
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(with(&file).is_err());
}

#[tokio::test]
async fn faults_that_never_end_are_reported_each_time() {
    let (sink, relay) = sink_and_relay().await;
    sink.fault(reply(Stage::Mail, "451 4.3.0 try later", ALWAYS));
    for _ in 0..3 {
        retry_reason(relay.send(&mail("m1")).await);
    }
    assert_eq!(sink.connections_seen(), 1);
}
