//! Verifiers that are unreachable, slow, wrong or hostile.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vestibule::captcha::CaptchaProvider;
use vestibule::captcha::verifier::{Captcha, Verifiers};
use vestibule::moment::Stopwatch;

use super::{Asked, broken, captcha, verifiers, yes};
use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Call, Database, Setup, Site};

/// Both ways to ask.
const WAYS: [CaptchaProvider; 2] = [CaptchaProvider::GoogleV3, CaptchaProvider::GoogleEnterprise];

#[tokio::test]
async fn cap_11_junk_in_every_form_fails_closed() {
    let elsewhere = Remote::start(Behaviour::json(&yes())).await;
    let redirect: &'static str = format!("location: {}siteverify\r\n", elsewhere.url).leak();
    let remote = Remote::start(Behaviour::status(500)).await;
    let captcha = captcha(&remote);
    let body = yes().to_string();
    for behaviour in [
        Behaviour::status(500),
        Behaviour::status(503),
        Behaviour::Answer(429, "retry-after: 1\r\n", body.clone()),
        Behaviour::Answer(403, "", body.clone()),
        Behaviour::Answer(301, redirect, body.clone()),
        Behaviour::Answer(307, redirect, String::new()),
        Behaviour::Answer(200, "", String::from("<html>success: true</html>")),
        Behaviour::Answer(200, "", String::new()),
        Behaviour::Answer(200, "", String::from("[true]")),
        Behaviour::Answer(200, "", String::from(r#"{"success":"true"}"#)),
        Behaviour::Answer(200, "", String::from(r#"{"success":true,"score":NaN}"#)),
        Behaviour::Answer(200, "", format!("{}{body}", " ".repeat(10 << 20))),
        Behaviour::HalfAnswer(body.clone()),
        Behaviour::Endless,
    ] {
        remote.behave(behaviour.clone());
        for provider in WAYS {
            broken(Asked::of(provider, "t").verify(&captcha).await);
        }
    }
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
    remote.behave(Behaviour::json(&yes()));
    Asked::of(CaptchaProvider::GoogleV3, "t")
        .verify(&captcha)
        .await
        .unwrap();
}

#[tokio::test]
async fn cap_12_silence_ends_at_the_deadline() {
    let remote = Remote::start(Behaviour::Hang).await;
    let captcha = captcha(&remote);
    for provider in WAYS {
        let stopwatch = Stopwatch::start();
        let fault = broken(Asked::of(provider, "t").verify(&captcha).await);
        assert!(fault.contains("no answer in time"), "{fault}");
        assert!(stopwatch.seconds() < 3.0);
    }
}

#[tokio::test]
async fn cap_12_a_verifier_that_is_not_there_fails_closed() {
    let remote = Remote::start(Behaviour::Hang).await;
    let gone = remote.url.clone();
    drop(remote);
    for url in [gone, "https://verifier.invalid/".parse().unwrap()] {
        let captcha = Captcha::new(Verifiers {
            siteverify_url: Some(url.clone()),
            enterprise_url: Some(url),
            ..Verifiers::default()
        })
        .unwrap();
        for provider in WAYS {
            broken(Asked::of(provider, "t").verify(&captcha).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_12_a_thousand_waiting_requests_make_few_calls_and_delay_no_others() {
    let remote = Remote::start(Behaviour::Hang).await;
    let site = Site::open_with(Database::Sqlite, Setup::default()).await;
    let captcha = Arc::new(
        Captcha::new(Verifiers {
            deadline: Duration::from_secs(2),
            in_flight_max: 4,
            ..verifiers(&remote)
        })
        .unwrap(),
    );
    let mut asking = JoinSet::new();
    for n in 0..1_000 {
        let captcha = Arc::clone(&captcha);
        asking.spawn(async move {
            let asked = Asked::of(CaptchaProvider::GoogleV3, &format!("t{n}"));
            broken(asked.verify(&captcha).await)
        });
    }
    // All except the four that hang are answered at once.
    let stopwatch = Stopwatch::start();
    for _ in 0..996 {
        let fault = asking.join_next().await.unwrap().unwrap();
        assert!(fault.contains("in flight"), "{fault}");
    }
    site.send(Call::get("/id/keys")).await.expect_ok();
    assert!(
        stopwatch.seconds() < 2.0,
        "a request waited for the verifier"
    );
    while let Some(fault) = asking.join_next().await {
        assert!(fault.unwrap().contains("in time"));
    }
    assert!(remote.received().len() <= 4);
    // The abandoned calls freed their permits.
    remote.behave(Behaviour::json(&yes()));
    Asked::of(CaptchaProvider::GoogleV3, "t")
        .verify(&captcha)
        .await
        .unwrap();
}
