//! One-time passwords (threats OTP-01 to OTP-25), each in all three flows that use them: guessing and expiry here,
//! codes in the wrong place in `misuse`, the form of codes and where they may be stored in `secrecy`. The limits
//! for all codes of a user or a site are tested in `flow::limits`.

mod audited;
mod misuse;
mod secrecy;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{assert_refused, other_code, rounds};
use crate::fixture::{Answer, Call, Site, on_both_databases, registration};
use crate::flow::races::{all_at_once, two_nodes, wrong};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const INIT_LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const NEW_PASSWORD: &str = "Another-Pa55word";

/// A flow with a one-time password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Registration,
    PasswordlessLogin,
    ForgotPassword,
}

/// All of them.
const FLOWS: [Flow; 3] = [
    Flow::Registration,
    Flow::PasswordlessLogin,
    Flow::ForgotPassword,
];

/// A pending code at the public site.
#[derive(Clone, Debug)]
struct Pending {
    flow: Flow,
    username: String,
    /// Empty where the username is used instead.
    identifier: String,
    code: String,
}

impl Flow {
    /// A request, up to the code in the inbox. For a login or a password reset the user is registered first.
    async fn open(self, site: &Site, username: &str) -> Pending {
        if self != Flow::Registration && site.user(username).await.is_none() {
            site.register(username).await;
        }
        let answer = site.send(self.ask(username)).await.expect_ok().json();
        Pending {
            flow: self,
            username: username.to_owned(),
            identifier: answer["identifier"].as_str().unwrap_or_default().to_owned(),
            code: site.code_to(username).await,
        }
    }

    /// The request for a code.
    fn ask(self, username: &str) -> Call {
        let (path, mut body) = match self {
            Flow::Registration => (super::INIT, registration(username)),
            Flow::PasswordlessLogin => (
                INIT_LOGIN,
                json!({"username": username, "verificationmethod": "email"}),
            ),
            Flow::ForgotPassword => (FORGOT, json!({"username": username})),
        };
        body["recaptcha"] = json!("test-pass");
        Call::post(path).on_public().json(&body)
    }

    /// The request that presents a code.
    fn present(self, site: &Site, username: &str, identifier: &str, code: &str) -> Call {
        match self {
            Flow::Registration => site.public_authorize_call("user-registration", identifier, code),
            Flow::PasswordlessLogin => {
                site.public_authorize_call("passwordless-login", identifier, code)
            }
            Flow::ForgotPassword => {
                let body = json!({"username": username, "otp": code, "newpassword": NEW_PASSWORD});
                Call::post(FORGOT).on_public().json(&body)
            }
        }
    }

    /// Whether a response is a success; if not, it is the one for every wrong code.
    #[track_caller]
    fn is_in(self, answer: &Answer) -> bool {
        match (self, answer.status) {
            (Flow::ForgotPassword, 200) | (_, 302) => return true,
            (Flow::ForgotPassword, 400) => {
                let said = answer.json();
                let one = json!({"status_code": "invalid_otp", "otp_error": "invalid OTP", "status": "failed"});
                let spent = said["status_code"] == "regenerate_otp";
                assert!(said == one || spent, "{}", answer.body);
            }
            _ => assert_refused(answer),
        }
        false
    }
}

impl Pending {
    /// The request that presents this code, or another.
    fn present(&self, site: &Site, code: &str) -> Call {
        self.flow
            .present(site, &self.username, &self.identifier, code)
    }

    /// Presents a code; whether it was accepted.
    async fn guess(&self, site: &Site, code: &str) -> bool {
        let answer = site.send(self.present(site, code)).await;
        let is_in = self.flow.is_in(&answer);
        if is_in && self.flow == Flow::ForgotPassword {
            site.deliver().await;
            site.inbox.clear();
        }
        is_in
    }

    /// Whether the sent code is accepted.
    async fn is_good(&self, site: &Site) -> bool {
        self.guess(site, &self.code).await
    }

    async fn guess_wrong(&self, site: &Site, times: usize) {
        for _ in 0..times {
            let is_in = self.guess(site, &other_code(&self.code)).await;
            assert!(!is_in, "{self:?}");
        }
    }
}

/// A unique address of the test.
fn name(flow: Flow, number: usize) -> String {
    format!("{}{number}@example.com", format!("{flow:?}").to_lowercase())
}

on_both_databases! {
    async fn otp_01_after_five_wrong_guesses_the_right_code_is_refused(site: Site) {
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            pending.guess_wrong(&site, 4).await;
            assert!(pending.is_good(&site).await, "{flow:?}: the fifth may still be right");
            let pending = flow.open(&site, &name(flow, 1)).await;
            pending.guess_wrong(&site, 5).await;
            assert!(!pending.is_good(&site).await, "{flow:?}");
            let answer = site.send(pending.present(&site, &pending.code)).await;
            if flow == Flow::ForgotPassword {
                assert_eq!(answer.json()["status_code"], "regenerate_otp");
            }
        }
        assert!(site.user(&name(Flow::Registration, 1)).await.is_none());
    }
}

on_both_databases! {
    async fn otp_02_parallel_wrong_guesses_are_compared_no_more_than_five_times(site: Site) {
        let nodes = two_nodes(site).await;
        for flow in FLOWS {
            for width in [4, 5, 24 * rounds(1)] {
                let pending = flow.open(&nodes[0], &name(flow, width)).await;
                let failures = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM tally WHERE subject LIKE 'guesses %'";
                let before = nodes[0].count(failures).await;
                let guesses = (0..width).map(|number| pending.present(&nodes[0], &wrong(&pending.code, number)));
                for answer in all_at_once(&nodes, guesses.collect()).await {
                    assert!(!flow.is_in(&answer), "{flow:?}");
                }
                let compared = nodes[0].count(failures).await - before;
                assert_eq!(compared, width.min(5) as i64, "{flow:?}, {width} at once");
                assert_eq!(pending.is_good(&nodes[1]).await, width < 5, "{flow:?} after {width} guesses");
            }
        }
    }
}

on_both_databases! {
    async fn otp_03_the_right_code_many_times_at_once_succeeds_once(site: Site) {
        let nodes = two_nodes(site).await;
        for flow in FLOWS {
            for (number, nodes) in [&nodes[..1], &nodes[..]].into_iter().enumerate() {
                let pending = flow.open(&nodes[0], &name(flow, number)).await;
                // No more than the attempts of a code: the winner must be among those compared.
                let calls = (0..16).map(|_| pending.present(&nodes[0], &pending.code)).collect();
                let answers = all_at_once(nodes, calls).await;
                let won = answers.iter().filter(|answer| flow.is_in(answer)).count();
                assert_eq!(won, 1, "{flow:?} on {} nodes", nodes.len());
                nodes[0].deliver().await;
                nodes[0].inbox.clear();
                assert!(!pending.is_good(&nodes[0]).await, "{flow:?}");
            }
        }
        let resets = "SELECT COUNT(*) FROM audit_event WHERE event = 'password.reset'";
        assert_eq!(nodes[0].count(resets).await, 2);
        // Two registrations and two logins; the users of the other flows have redeemed theirs.
        let codes = "SELECT COUNT(*) FROM authorization_code WHERE amr = 'otp' AND redeemed_at IS NULL";
        assert_eq!(nodes[0].count(codes).await, 4);
    }
}

on_both_databases! {
    async fn otp_03_one_of_many_new_passwords_is_set_and_it_is_the_winners(site: Site) {
        let nodes = two_nodes(site).await;
        let pending = Flow::ForgotPassword.open(&nodes[0], "janice@example.com").await;
        let password = |number: usize| format!("Password-number-{number}");
        let calls = (0..5).map(|number| {
            let body = json!({"username": "janice@example.com", "otp": pending.code, "newpassword": password(number)});
            Call::post(FORGOT).on_public().json(&body)
        });
        let answers = all_at_once(&nodes, calls.collect()).await;
        let won: Vec<bool> = answers.iter().map(|answer| Flow::ForgotPassword.is_in(answer)).collect();
        assert_eq!(won.iter().filter(|is_in| **is_in).count(), 1, "{won:?}");
        for (number, is_in) in won.into_iter().enumerate() {
            let status = nodes[1].send(nodes[1].password_call("janice@example.com", &password(number))).await.status;
            assert_eq!(status == 302, is_in, "{number}");
        }
        nodes[0].deliver().await;
        assert_eq!(nodes[0].inbox.clear(), 1, "one notice");
    }
}

on_both_databases! {
    async fn otp_07_a_repeated_request_sends_the_same_code_and_both_identifiers_work(site: Site) {
        for flow in FLOWS {
            for presented in [0, 1] {
                let name = name(flow, presented);
                let both = [flow.open(&site, &name).await, flow.open(&site, &name).await];
                assert_eq!(both[0].code, both[1].code, "{flow:?}");
                if flow != Flow::ForgotPassword {
                    assert_ne!(both[0].identifier, both[1].identifier);
                }
                assert!(both[presented].is_good(&site).await, "{flow:?}");
                assert!(!both[1 - presented].is_good(&site).await, "{flow:?}: used by the other");
            }
        }
    }
}

on_both_databases! {
    async fn otp_07_a_code_that_is_sent_again_has_no_more_attempts(site: Site) {
        for flow in FLOWS {
            let name = name(flow, 0);
            let first = flow.open(&site, &name).await;
            let again = flow.open(&site, &name).await;
            for number in 0..5 {
                let pending = if number % 2 == 0 { &first } else { &again };
                let guess = pending.present(&site, &wrong(&first.code, number));
                assert!(!flow.is_in(&site.send(guess).await));
            }
            assert!(!first.is_good(&site).await, "{flow:?}");
            assert!(!again.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_07_after_a_wrong_code_the_next_request_has_a_new_one_which_ends_the_older(site: Site) {
        for flow in FLOWS {
            let name = name(flow, 0);
            let first = flow.open(&site, &name).await;
            let mut second = first.clone();
            while second.code == first.code {
                let guess = second.present(&site, &wrong(&second.code, 0));
                assert!(!flow.is_in(&site.send(guess).await));
                second = flow.open(&site, &name).await;
            }
            assert!(!first.is_good(&site).await, "{flow:?}");
            assert!(second.is_good(&site).await, "{flow:?}");
            assert!(!first.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_07_a_code_is_sent_again_for_ten_minutes_and_then_replaced(site: Site) {
        for flow in FLOWS {
            let name = name(flow, 0);
            let first = flow.open(&site, &name).await;
            site.advance(Duration::from_secs(599));
            let again = flow.open(&site, &name).await;
            assert_eq!(again.code, first.code, "{flow:?}");
            site.advance(Duration::from_secs(2));
            if flow != Flow::ForgotPassword {
                assert!(!first.is_good(&site).await, "{flow:?}: its ten minutes are over");
            }
            assert!(again.is_good(&site).await, "{flow:?}: the second mail says ten minutes, too");
        }
    }
}

on_both_databases! {
    async fn otp_07_a_request_in_another_spelling_is_a_repeated_one(site: Site) {
        for flow in FLOWS {
            let username = name(flow, 0);
            let first = flow.open(&site, &username).await;
            site.send(flow.ask(&username.to_uppercase())).await.expect_ok();
            site.deliver().await;
            let newer = site.inbox.list(None).pop().unwrap().code.clone().unwrap();
            site.inbox.clear();
            assert_eq!(newer, first.code, "{flow:?}: it is the same user, and so the same code");
            assert!(first.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_15_a_used_code_stays_used_here_there_and_after_a_restart(site: Site) {
        let other = site.another_node().await;
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            assert!(pending.is_good(&site).await, "{flow:?}");
            for seconds in [0, 1, 598, 3_600, 86_400] {
                site.advance(Duration::from_secs(seconds));
                for node in [&site, &other, &site.another_node().await] {
                    assert!(!pending.is_good(node).await, "{flow:?} after {seconds} s");
                }
            }
        }
    }
}

on_both_databases! {
    async fn otp_16_a_code_lives_ten_minutes(site: Site) {
        for flow in FLOWS {
            for (number, (age, is_in)) in [(599, true), (600, false), (601, false)].into_iter().enumerate() {
                let pending = flow.open(&site, &name(flow, number)).await;
                site.advance(Duration::from_secs(age));
                assert_eq!(pending.is_good(&site).await, is_in, "{flow:?} at {age} s");
            }
        }
    }
}

/// The table that each flow writes when a code was right.
fn table_of(flow: Flow) -> &'static str {
    match flow {
        Flow::PasswordlessLogin => "authorization_code",
        Flow::Registration | Flow::ForgotPassword => "credential",
    }
}

on_both_databases! {
    async fn otp_19_a_wrong_guess_is_counted_while_everything_else_breaks(site: Site) {
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            let whole = flow.open(&site, &name(flow, 1)).await;
            let table = table_of(flow);
            site.execute(format!("ALTER TABLE {table} RENAME TO away")).await;
            pending.guess_wrong(&site, 5).await;
            // The right code causes a fault, and nothing is half written.
            assert_eq!(site.send(whole.present(&site, &whole.code)).await.status, 500, "{flow:?}");
            site.execute(format!("ALTER TABLE away RENAME TO {table}")).await;
            assert!(!pending.is_good(&site).await, "{flow:?}: five tries were spent");
            assert!(whole.is_good(&site).await, "{flow:?}: what was interrupted goes on");
        }
    }
}

on_both_databases! {
    async fn otp_19_a_caller_that_disconnects_still_spends_an_attempt(site: Site) {
        let site = Arc::new(site);
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            for number in 0..12 {
                let call = pending.present(&site, &wrong(&pending.code, number));
                let task = tokio::spawn({
                    let site = Arc::clone(&site);
                    async move { site.send(call).await }
                });
                tokio::task::yield_now().await;
                task.abort();
                let _ = task.await;
            }
            // However many of them arrived, each comparison was counted.
            pending.guess_wrong(&site, 5).await;
            assert!(!pending.is_good(&site).await, "{flow:?}");
        }
        let failures = "SELECT CAST(SUM(count) AS BIGINT) FROM tally WHERE subject LIKE 'guesses %'";
        assert_eq!(site.count(failures).await, 15, "five for each");
    }
}

on_both_databases! {
    async fn otp_20_step_two_without_step_one(site: Site) {
        site.register("known@example.com").await;
        for flow in FLOWS {
            for identifier in ["0RX0000000000000000000000000000000", "", "0RX", "null", "undefined"] {
                for code in ["000000", "null", "123456"] {
                    for username in ["known@example.com", "unknown@example.com"] {
                        let answer = site.send(flow.present(&site, username, identifier, code)).await;
                        assert!(!flow.is_in(&answer), "{flow:?}");
                    }
                }
            }
        }
    }
}
