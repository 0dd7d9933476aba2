//! A user, and the requests that are sent for them.

use serde_json::{Value, json};
use vestibule::admin::Admin;
use vestibule::admin::user::{self, StateChange};
use vestibule::identity::User;
use vestibule::moment::Moment;
use vestibule::store;
use vestibule_protocol::identifier::RecordId;

use super::observed::{Caller, State};
use crate::fixture::{Answer, Call, PASSWORD, Site, TestClient, VERIFIER};

pub const FORGOT: &str = "/services/auth/headless/forgot_password";
pub const INIT_LOGIN: &str = "/services/auth/headless/init/passwordless/login";
pub const INIT_REGISTRATION: &str = "/services/auth/headless/init/registration";
const NEW_PASSWORD: &str = "Another-Pa55word";

/// A user, and the kind of caller that sends their requests.
pub struct Person<'s> {
    pub site: &'s Site,
    pub caller: Caller,
    pub token: String,
    pub id: String,
    pub username: String,
    pub phone: String,
}

/// What a user had before their state changed.
pub struct Begun {
    pub tokens: Value,
    pub code: String,
    pub by_email: (String, String),
    pub reset: String,
}

impl<'s> Person<'s> {
    /// A user with a verified address, a verified number and [`PASSWORD`].
    pub async fn new(site: &'s Site, caller: Caller, username: &str, phone: &str) -> Person<'s> {
        let (username, phone) = (username.to_owned(), phone.to_owned());
        if site.user("template@example.com").await.is_none() {
            site.register("template@example.com").await;
        }
        let template = site.user("template@example.com").await.unwrap();
        let id = RecordId::from_random("005", site.app.entropy.bytes()).to_string();
        let user = User {
            id: id.clone(),
            username: username.clone(),
            username_key: username.clone(),
            email: username.clone(),
            email_key: username.clone(),
            phone: Some(phone.clone()),
            phone_verified_at: template.email_verified_at,
            ..template.clone()
        };
        let written = site.app.store.write(
            "test.person",
            (user, template.id),
            |tx, (user, template)| {
                Box::pin(async move {
                    store::user::insert(tx, user).await?;
                    let password = store::credential::find(tx, template).await?.unwrap();
                    store::credential::insert(tx, &user.id, &password.phc, password.set_at).await
                })
            },
        );
        written.await.expect("a new user");
        let token = site.integration_token(None).await;
        Person {
            site,
            caller,
            token,
            id,
            username,
            phone,
        }
    }

    /// Two logins, one of which has its tokens, and two pending codes.
    pub async fn prepare(&self) -> Begun {
        let code = self
            .log_in(PASSWORD)
            .await
            .expect_status(302)
            .location_parameter("code");
        let tokens = self.exchange(&code).await.expect_ok().json();
        let code = self
            .log_in(PASSWORD)
            .await
            .expect_status(302)
            .location_parameter("code");
        let by_email = self.begin("email").await;
        self.call(FORGOT, json!({"username": self.username}))
            .await
            .expect_ok();
        let reset = self.site.code_to(&self.username).await;
        Begun {
            tokens,
            code,
            by_email,
            reset,
        }
    }

    /// A pending passwordless login: its identifier and its code.
    pub async fn begin(&self, method: &str) -> (String, String) {
        let to = match method {
            "email" => &self.username,
            _ => &self.phone,
        };
        let body = json!({"verificationmethod": method, "username": self.username});
        let begun = self.call(INIT_LOGIN, body).await.expect_ok().json();
        let identifier = begun["identifier"].as_str().unwrap().to_owned();
        (identifier, self.site.code_to(to).await)
    }

    pub async fn change_state(&self, state: State) {
        let id = &self.id;
        let at = self.site.app.now();
        match state {
            State::Good => {}
            State::Unverified => {
                let unverified = "email_verified_at = NULL, phone_verified_at = NULL";
                self.site
                    .execute(format!(
                        "UPDATE app_user SET {unverified} WHERE id = '{id}'"
                    ))
                    .await;
            }
            State::LockedOut => {
                let (now, until) = (at.millis(), at.plus_seconds(900).millis());
                let hold = format!("('{id}', 10, {now}, {until})");
                self.site
                    .execute(format!("INSERT INTO login_hold VALUES {hold}"))
                    .await;
            }
            State::Passwordless => {
                self.site
                    .execute(format!("DELETE FROM credential WHERE user_id = '{id}'"))
                    .await;
            }
            State::Locked | State::Disabled | State::Deleted => self.administered(state, at).await,
        }
    }

    /// As an administrator does.
    pub async fn administered(&self, state: State, at: Moment) {
        let admin = Admin {
            at,
            ..self.site.admin()
        };
        let change = match state {
            State::Locked => StateChange::Lock,
            State::Disabled => StateChange::Disable,
            _ => {
                let deleted = user::delete(&admin, &self.id).await;
                deleted.expect("the user is deleted");
                return;
            }
        };
        let changed = user::change_state(&admin, &self.id, change).await;
        changed.expect("the state changes");
    }

    pub fn is_backend(&self) -> bool {
        self.caller == Caller::Backend
    }

    pub fn client(&self) -> &TestClient {
        if self.is_backend() {
            &self.site.client
        } else {
            &self.site.public_client
        }
    }

    /// A call at the caller's site.
    pub fn at_site(&self, call: Call) -> Call {
        if self.is_backend() {
            call
        } else {
            call.on_public()
        }
    }

    /// A call of a headless API, as the caller authenticates.
    pub async fn call(&self, path: &str, mut body: Value) -> Answer {
        let call = if self.is_backend() {
            Call::post(path).bearer(&self.token)
        } else {
            body["recaptcha"] = json!("test-pass");
            Call::post(path).on_public()
        };
        self.site.send(call.json(&body)).await
    }

    pub fn authorize(&self, request_type: &str, left: &str, right: &str) -> Call {
        if self.is_backend() {
            let call = self.site.authorize_call(left, right);
            return call
                .without_header("auth-request-type")
                .header("auth-request-type", request_type);
        }
        self.site.public_authorize_call(request_type, left, right)
    }

    pub async fn log_in(&self, password: &str) -> Answer {
        let call = self.authorize("Named-User", &self.username, password);
        self.site
            .send(call.without_header("auth-verification-type"))
            .await
    }

    pub async fn present_code(&self, method: &str, begun: &(String, String)) -> Answer {
        let call = self.authorize("passwordless-login", &begun.0, &begun.1);
        let call = call.without_header("auth-verification-type");
        self.site
            .send(call.header("auth-verification-type", method))
            .await
    }

    pub async fn choose(&self, otp: &str) -> Answer {
        let body = json!({"username": self.username, "otp": otp, "newpassword": NEW_PASSWORD});
        self.call(FORGOT, body).await
    }

    pub async fn read(&self, path: &str, token: &str) -> Answer {
        let call = self.at_site(Call::get(path).bearer(token));
        self.site.send(call).await
    }

    pub fn token_call(&self, grant_type: &str) -> Call {
        let call = self.at_site(Call::post("/services/oauth2/token"));
        let call = call
            .form("grant_type", grant_type)
            .form("client_id", &self.client().id);
        if self.is_backend() {
            call.form("client_secret", &self.client().secret)
        } else {
            call
        }
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        let call = self.token_call("authorization_code").form("code", code);
        let call = if self.is_backend() {
            call.form("redirect_uri", &self.site.redirect_uri)
        } else {
            let uri = &self.site.public_redirect_uri;
            call.form("redirect_uri", uri)
                .form("code_verifier", VERIFIER)
        };
        self.site.send(call).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.site
            .send(
                self.token_call("refresh_token")
                    .form("refresh_token", token),
            )
            .await
    }

    pub async fn revoke(&self, token: &str) -> Answer {
        let call = self.at_site(Call::post("/services/oauth2/revoke"));
        self.site.send(call.form("token", token)).await
    }

    /// Reads what is left in the inbox, such as the notice of a changed password.
    pub async fn emptied(&self) {
        self.site.deliver().await;
        self.site.inbox.clear();
    }
}
