//! Guessing (threats OTP-08, OTP-09, LOCK-03, LOCK-09): the limits of failures for a user or address and for a
//! site, over new codes, nodes and restarts.

use std::time::Duration;

use serde_json::json;

use super::super::abuse::{assert_refused, opened, other_code};
use crate::fixture::{Site, on_both_databases, registration};

const HOUR: Duration = Duration::from_secs(3_601);

/// The failed comparisons counted for users and addresses.
const FAILURES: &str =
    "SELECT CAST(SUM(count) AS BIGINT) FROM tally WHERE subject LIKE 'guesses %'";

/// Presents wrong codes until the attempts of one request are spent.
async fn guess_wrong(site: &Site, username: &str) {
    let (identifier, code) = opened(site, username).await;
    for _ in 0..5 {
        let wrong = site.authorize_call(&identifier, &other_code(&code));
        assert_refused(&site.send(wrong).await);
    }
}

/// Whether the right code of a new request is accepted.
async fn is_right_taken(site: &Site, username: &str) -> bool {
    let (identifier, code) = opened(site, username).await;
    let answer = site.send(site.authorize_call(&identifier, &code)).await;
    if answer.status != 302 {
        assert_refused(&answer);
    }
    answer.status == 302
}

on_both_databases! {
    async fn otp_08_a_hundred_failures_a_day_however_many_codes_and_nodes(site: Site) {
        let other = site.another_node().await;
        // Twenty codes with five attempts, spread over hours, nodes and spellings.
        for hour in 0..4 {
            for number in 0..5 {
                let node = if number % 2 == 0 { &site } else { &other };
                let email = if number == 3 { "Victim@Example.com" } else { "victim@example.com" };
                let mut body = registration(&format!("u{hour}{number}@example.com"));
                body["userdata"]["email"] = json!(email);
                let answer = node.init(&body).await.expect_ok().json();
                let identifier = answer["identifier"].as_str().unwrap();
                node.deliver().await;
                node.inbox.clear();
                for _ in 0..5 {
                    assert_refused(&node.send(node.authorize_call(identifier, "!wrong")).await);
                }
            }
            site.advance(HOUR);
        }
        // A fifth of the hundred is kept for networks from which the user has logged in before.
        assert_eq!(site.count(FAILURES).await, 80);
        // The right code is not compared: neither here, nor on another node, nor after a restart.
        for node in [&site, &other, &site.another_node().await] {
            assert!(!is_right_taken(node, "victim@example.com").await);
        }
        guess_wrong(&site, "victim@example.com").await;
        assert_eq!(site.count(FAILURES).await, 80, "what is not compared is not counted");
        // Another user is not affected.
        assert!(is_right_taken(&site, "other@example.com").await);
        // A day after the first of them they leave the sum, hour by hour.
        site.advance(Duration::from_secs(20 * 3_600 - 60));
        assert!(!is_right_taken(&site, "victim@example.com").await, "23 hours and 59 minutes");
        // The hour in which they began counts as a whole.
        site.advance(HOUR);
        assert!(!is_right_taken(&site, "victim@example.com").await, "24 hours and 59 minutes");
        site.advance(HOUR);
        assert!(is_right_taken(&site, "victim@example.com").await);
    }
}

on_both_databases! {
    async fn otp_08_parallel_guesses_at_many_requests_do_not_pass_the_limit(site: Site) {
        // Seven are left for the day; twenty guesses with four requests of one address arrive at once.
        let mut requests = Vec::new();
        for number in 0..4 {
            let mut body = registration(&format!("u{number}@example.com"));
            body["userdata"]["email"] = json!(format!("victim+{number}@example.com"));
            let answer = site.init(&body).await.expect_ok().json();
            requests.push(answer["identifier"].as_str().unwrap().to_owned());
        }
        site.deliver().await;
        site.inbox.clear();
        site.execute("UPDATE challenge SET target_key = 'victim@example.com'").await;
        let hour = site.app.now().millis() / 3_600_000;
        site.execute(format!("INSERT INTO tally (subject, hour, count)
            VALUES ('guesses victim@example.com', {hour}, 73)")).await;
        let guesses = (0..20).map(|number| {
            let call = site.authorize_call(&requests[number % 4], "!wrong");
            site.send(call)
        });
        for answer in futures_util::future::join_all(guesses).await {
            assert_refused(&answer);
        }
        assert_eq!(site.count(FAILURES).await, 80);
    }
}

on_both_databases! {
    async fn otp_09_one_guess_at_each_of_many_is_a_spray(site: Site) {
        site.update_settings(json!({"otpSprayThresholdPerHour": 10})).await;
        let detected = |count: u32| {
            let site_id = site.entry("private").site.id.clone();
            let line = format!("vestibule_spray_detected_total{{site=\"{site_id}\",kind=\"otp\"}} {count}\n");
            site.app.metrics.render().contains(&line)
        };
        let mut requests = Vec::new();
        for number in 0..14 {
            requests.push(opened(&site, &format!("u{number}@example.com")).await);
        }
        for (identifier, code) in &requests[..9] {
            assert_refused(&site.send(site.authorize_call(identifier, &other_code(code))).await);
        }
        let (identifier, code) = &requests[13];
        site.send(site.authorize_call(identifier, code)).await.expect_status(302);
        assert!(!detected(1));
        for (identifier, code) in &requests[9..12] {
            assert_refused(&site.send(site.authorize_call(identifier, &other_code(code))).await);
        }
        assert!(detected(1), "{}", site.app.metrics.render());
        assert_eq!(site.count(FAILURES).await, 10, "the other two were not compared");
        // Until the end of the hour nothing is compared, on any node.
        let (identifier, code) = &requests[12];
        let right = || site.authorize_call(identifier, code);
        assert_refused(&site.send(right()).await);
        assert_refused(&site.another_node().await.send(right()).await);
        // This applies to the guessing network only: other networks are not affected, on any node.
        let (elsewhere, code_elsewhere) = opened(&site, "elsewhere@example.com").await;
        let theirs = site.authorize_call(&elsewhere, &code_elsewhere);
        site.another_node().await.send_from("198.51.100.9", theirs).await.expect_status(302);
        // In the next hour it is compared, and above the threshold it is a password-spray attack again.
        site.advance(HOUR);
        assert!(is_right_taken(&site, "fresh@example.com").await);
        for _ in 0..2 {
            guess_wrong(&site, "late@example.com").await;
        }
        assert!(detected(2));
    }
}

on_both_databases! {
    async fn otp_09_during_a_spray_attack_a_network_has_only_three_failures(site: Site) {
        site.update_settings(json!({"otpSprayThresholdPerHour": 10})).await;
        for number in 0..2 {
            guess_wrong(&site, &format!("u{number}@example.com")).await;
        }
        // One IPv6 network, whatever its last 64 bits are.
        let mut compared = Vec::new();
        for number in 0..5 {
            let (identifier, code) = opened(&site, &format!("v{number}@example.com")).await;
            let from = format!("2001:db8:1:2::{number}");
            let wrong = site.authorize_call(&identifier, &other_code(&code));
            assert_refused(&site.send_from(&from, wrong).await);
            compared.push(site.count(FAILURES).await);
        }
        assert_eq!(compared, [11, 12, 13, 13, 13]);
        let (identifier, code) = opened(&site, "janice@example.com").await;
        let right = || site.authorize_call(&identifier, &code);
        assert_refused(&site.send_from("2001:db8:1:2:ffff::1", right()).await);
        site.send_from("2001:db8:1:3::1", right()).await.expect_status(302);
        // Another site has separate counts.
        let elsewhere = "SELECT COUNT(*) FROM tally WHERE subject LIKE 'site:%:otp:2001:db8:1:2::/64'";
        assert_eq!(site.count(elsewhere).await, 1);
    }
}

on_both_databases! {
    async fn otp_09_during_a_spray_attack_a_customer_with_many_networks_has_a_bounded_number(site: Site) {
        site.update_settings(json!({"otpSprayThresholdPerHour": 10})).await;
        for network in 0..10 {
            guess_wrong_from(&site, &format!("198.51.{network}.1"), &format!("u{network}@example.com")).await;
        }
        assert_eq!(site.count(FAILURES).await, 10);
        // A /64 for each guess, in one /56, then over the whole /48; an address for each guess in one IPv4 /24.
        let attacks: [(Source, usize); 3] = [
            (|number| format!("2001:db8:1:{number:x}::1"), 6),
            (|number| format!("2001:db8:2:{:x}::1", number * 256), 12),
            (|number| format!("192.0.2.{number}"), 12),
        ];
        for (attack, (from, allowed)) in attacks.into_iter().enumerate() {
            let before = site.count(FAILURES).await;
            for number in 0..allowed + 2 {
                guess_wrong_from(&site, &from(number), &format!("a{attack}n{number}@example.com")).await;
            }
            let compared = site.count(FAILURES).await - before;
            assert_eq!(compared, i64::try_from(allowed).unwrap(), "{}", from(0));
            let (identifier, code) = opened(&site, &format!("owner{attack}@example.com")).await;
            let right = site.authorize_call(&identifier, &code);
            assert_refused(&site.send_from(&from(99), right).await);
        }
        let (identifier, code) = opened(&site, "janice@example.com").await;
        let right = site.authorize_call(&identifier, &code);
        site.send_from("2001:db8:3::1", right).await.expect_status(302);
    }
}

/// The address of the guess with this number.
type Source = fn(usize) -> String;

/// One wrong code, from an address.
async fn guess_wrong_from(site: &Site, ip: &str, username: &str) {
    let (identifier, code) = opened(site, username).await;
    let wrong = site.authorize_call(&identifier, &other_code(&code));
    assert_refused(&site.send_from(ip, wrong).await);
}

on_both_databases! {
    async fn otp_09_a_site_may_choose_to_be_notified_only(site: Site) {
        site.update_settings(json!({"otpSprayThresholdPerHour": 10, "otpSprayAction": "alert"})).await;
        for number in 0..3 {
            guess_wrong(&site, &format!("u{number}@example.com")).await;
        }
        assert!(site.app.metrics.render().contains("kind=\"otp\"} 1\n"));
        assert!(is_right_taken(&site, "janice@example.com").await);
    }
}

on_both_databases! {
    async fn lock_09_setting_the_clock_back_ends_no_lockout(site: Site) {
        let hour = site.app.now().millis() / 3_600_000;
        site.execute(format!("INSERT INTO tally (subject, hour, count)
            VALUES ('guesses janice@example.com', {}, 100)", hour + 2)).await;
        assert!(!is_right_taken(&site, "janice@example.com").await);
    }
}
