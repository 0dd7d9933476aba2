//! The answer of each operation for a user in each account state.
//!
//! A user is created with logins, tokens and pending codes; then the state changes; then every
//! operation is tried with these tokens and codes. Operations that begin a new flow are tried for a
//! second user, because a newer request would end the pending code.

use serde_json::{Value, json};

use super::person::{FORGOT, INIT_LOGIN, INIT_REGISTRATION, Person};
use crate::fixture::{Answer, Call, PASSWORD, Site};

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Unverified,
    Locked,
    LockedOut,
    Disabled,
    Deleted,
    Passwordless,
}

/// All of them, in the order of the columns.
pub const STATES: [State; 7] = [
    State::Good,
    State::Unverified,
    State::Locked,
    State::LockedOut,
    State::Disabled,
    State::Deleted,
    State::Passwordless,
];

/// Who sends the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// At the public site.
    Unauthenticated,
    /// With the integration client's token, at the private site.
    Backend,
    /// Unauthenticated, at a site that discloses the state of accounts.
    Disclosing,
}

/// Each operation: its name and what happened.
pub async fn observe(site: &Site, caller: Caller, state: State) -> Vec<(&'static str, String)> {
    let column = STATES.iter().position(|known| *known == state).unwrap();
    let name = |number: usize| format!("p{column}{number}@example.com");
    let phone = |number: usize| format!("+49151{column}{number}00100");
    let person = Person::new(site, caller, &name(1), &phone(1)).await;
    let begun = person.prepare().await;
    person.change_state(state).await;
    // A code by text message for another user: of one user the newer code ends the older.
    let texted = Person::new(site, caller, &name(3), &phone(3)).await;
    let by_sms = texted.begin("sms").await;
    texted.change_state(state).await;
    let asking = Person::new(site, caller, &name(2), &phone(2)).await;
    asking.change_state(state).await;

    let access = begun.tokens["access_token"].as_str().unwrap();
    let refresh = begun.tokens["refresh_token"].as_str().unwrap();
    let mut seen = vec![
        ("password login", said(&person.log_in(PASSWORD).await)),
        (
            "passwordless login by email, request",
            asking.asked("email").await,
        ),
        (
            "passwordless login by sms, request",
            asking.asked("sms").await,
        ),
        ("forgot password, request", asking.asked_for_a_reset().await),
        (
            "registration of the same username, request",
            asking.registered_again().await,
        ),
        (
            "passwordless login by email, code",
            said(&person.present_code("email", &begun.by_email).await),
        ),
        (
            "passwordless login by sms, code",
            said(&texted.present_code("sms", &by_sms).await),
        ),
        (
            "userinfo",
            said(&person.read("/services/oauth2/userinfo", access).await),
        ),
    ];
    let identity = begun.tokens["id"].as_str().unwrap();
    let identity = &identity[identity.find("/id/").unwrap()..];
    seen.push(("identity URL", said(&person.read(identity, access).await)));
    seen.push((
        "introspection of an access token",
        person.introspected(access).await,
    ));
    seen.push((
        "introspection of a refresh token",
        person.introspected(refresh).await,
    ));
    seen.push(("code exchange", said(&person.exchange(&begun.code).await)));
    seen.push(("refresh", said(&person.refresh(refresh).await)));
    seen.push(("revocation", said(&person.revoke(refresh).await)));
    // This one ends every session and sets a password, so it comes last.
    seen.push((
        "forgot password, code",
        said(&person.choose(&begun.reset).await),
    ));
    person.emptied().await;
    seen
}

/// An answer in a few words: what was given, or the error.
fn said(answer: &Answer) -> String {
    match answer.status {
        302 => return String::from("in"),
        200 => {
            let is_json = answer.body.starts_with('{');
            let json = if is_json { answer.json() } else { Value::Null };
            return match () {
                () if json.get("access_token").is_some() => "tokens",
                () if json.get("user_id").is_some() => "claims",
                () => "success",
            }
            .to_owned();
        }
        _ => {}
    }
    let json = answer.json();
    if let Some(code) = json.get("status_code") {
        return code.as_str().unwrap().to_owned();
    }
    let word = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", word("error"), word("error_description"))
}

impl Person<'_> {
    /// What comes of an init call: what is answered, and what is sent.
    async fn sent_after(&self, answer: Answer) -> String {
        self.site.deliver().await;
        let messages = self.site.inbox.list(None);
        self.site.inbox.clear();
        let sent = match messages.as_slice() {
            [] => "no message",
            [one] if one.text.is_empty() => "nothing is sent",
            [one] if one.code.is_some() => "a code is sent",
            [_] => "a notice is sent",
            _ => "several messages",
        };
        match said(&answer).as_str() {
            "success" => format!("success, {sent}"),
            error => {
                assert_eq!(sent, "no message", "a refusal sends nothing");
                error.to_owned()
            }
        }
    }

    async fn asked(&self, method: &str) -> String {
        let body = json!({"verificationmethod": method, "username": self.username});
        let answer = self.call(INIT_LOGIN, body).await;
        self.sent_after(answer).await
    }

    async fn asked_for_a_reset(&self) -> String {
        let answer = self.call(FORGOT, json!({"username": self.username})).await;
        self.sent_after(answer).await
    }

    async fn registered_again(&self) -> String {
        let body = crate::fixture::registration(&self.username);
        let answer = self.call(INIT_REGISTRATION, body).await;
        self.sent_after(answer).await
    }

    async fn introspected(&self, token: &str) -> String {
        let call = self.at_site(Call::post("/services/oauth2/introspect"));
        let client = self.client();
        let call = call.basic(&client.id, &client.secret).form("token", token);
        let answer = self.site.send(call).await.expect_ok();
        match answer.json()["active"].as_bool() {
            Some(true) => String::from("active"),
            _ => answer.body,
        }
    }
}
