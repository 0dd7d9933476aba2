//! The unauthenticated caller: an app without a token, at the public site. It knows usernames and guesses the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::encode;
use crate::load::http::{Answer, Base, Client};
use crate::load::run_command;
use crate::outcome::{Context, Outcome};

/// Users of each kind. Each may have a hundred wrong codes a day, so they rotate.
const USERS: usize = 60;

/// Accepted by the captcha provider `test`.
const RECAPTCHA: &str = "test-pass";

const PASSWORD: &str = "correct horse battery 42 Staple!";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// The challenge of RFC 7636 appendix B.
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The user in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A user with a verified address and a password.
    Known,
    /// The same, locked by an administrator.
    Locked,
    /// A user without a password.
    Passwordless,
    /// An unknown user.
    Unknown,
    /// A user whose address is not verified.
    Unverified,
}

impl Who {
    /// The user in words.
    pub const fn word(self) -> &'static str {
        match self {
            Who::Known => "a user",
            Who::Locked => "a locked user",
            Who::Passwordless => "a user without a password",
            Who::Unknown => "an unknown user",
            Who::Unverified => "an unverified user",
        }
    }

    /// One of the usernames; all have the same length.
    fn username(self, number: usize) -> String {
        let kind = match self {
            Who::Known => "user",
            Who::Locked => "shut",
            Who::Passwordless => "bare",
            Who::Unknown => "none",
            Who::Unverified => "open",
        };
        format!("{kind}-{:02}@example.com", number % USERS)
    }

    /// The number of an order of the user, which the built-in discovery finds.
    fn hint(self, number: usize) -> String {
        self.username(number).replace("@example.com", "-order")
    }
}

/// The app.
pub struct Caller {
    base: Base,
    site: Client,
    client_id: String,
    redirect_uri: String,
}

impl Caller {
    /// Connects, disables the limits that would end the measurement early, and creates the users.
    pub fn connect(ready: &Value, binary: &Path, data: &Path) -> Outcome<Caller> {
        let text = |pointer: &str| -> Outcome<String> {
            match ready.pointer(pointer).and_then(Value::as_str) {
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("the ready file has no {pointer}").into()),
            }
        };
        let base = Base::parse(&text("/sites/public/base_url")?)?;
        let caller = Caller {
            site: Client::new(&base),
            base,
            client_id: text("/sites/public/client/client_id")?,
            redirect_uri: text("/sites/public/client/redirect_uri")?,
        };
        let vestibule = |words: &[&str]| run_command(binary, data, words);
        let spray = ["otpSprayThresholdPerHour", "passwordSprayThresholdPerHour"];
        for setting in spray {
            let change = format!("{setting}=1000000");
            vestibule(&["site", "update", "public", "--set", &change])?;
        }
        for change in [
            "headlessDiscoveryStrategies=[\"verifiedEmail\",\"identifier:order\"]",
            "headlessDiscoveryHandler=builtin",
            "isUserDisambiguationAllowedUsernamePwd=true",
        ] {
            vestibule(&["site", "update", "public", "--set", change])?;
        }
        let mut orders = String::from("username,kind,value\n");
        let password_file = data.join("password-of-the-users");
        std::fs::write(&password_file, PASSWORD).context(password_file.display())?;
        let password_file = password_file.display().to_string();
        let password = ["--password-file", password_file.as_str()];
        let verified = "--email-verified";
        for number in 0..USERS {
            let create = |who: Who, flags: &[&str]| {
                let username = who.username(number);
                let words = ["user", "create", &username, "--last-name", "Edwards"];
                vestibule(&[&words, flags].concat())
            };
            create(Who::Known, &[verified, password[0], password[1]])?;
            create(Who::Locked, &[verified, password[0], password[1]])?;
            vestibule(&["user", "lock", &Who::Locked.username(number)])?;
            create(Who::Unverified, &password)?;
            create(Who::Passwordless, &[verified])?;
            for who in [Who::Known, Who::Locked] {
                orders += &format!("{},order,{}\n", who.username(number), who.hint(number));
            }
        }
        let file = data.join("orders.csv");
        std::fs::write(&file, orders).context(file.display())?;
        let file = file.display().to_string();
        vestibule(&["user", "identifier", "import", "--file", &file])?;
        // A change by a command takes effect within a second.
        std::thread::sleep(Duration::from_millis(1_500));
        Ok(caller)
    }

    /// Sends the init request of a registration.
    pub fn init_registration(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let (taken, _) = self.ask_registration(&who.username(number))?;
        Ok(taken)
    }

    /// Sends the init request of a passwordless login.
    pub fn init_passwordless(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let (taken, _) = self.ask_passwordless(&who.username(number))?;
        Ok(taken)
    }

    /// Sends the init request of a passwordless login with an order number.
    pub fn init_by_hint(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let body = json!({
            "login_hint": who.hint(number), "verificationmethod": "email", "recaptcha": RECAPTCHA,
        });
        let path = "/services/auth/headless/init/passwordless/login";
        let (taken, _) = self.ask(path, &body, 200)?;
        Ok(taken)
    }

    /// Logs in with an order number and a wrong password.
    pub fn log_in_by_hint(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let body = encode::form(&[
            ("response_type", "code_credentials"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", CODE_CHALLENGE),
            ("login_hint", &who.hint(number)),
            ("password", "wrong Pa55word"),
        ]);
        let path = format!("{}/services/oauth2/authorize", self.base.path);
        let headers = [FORM, ("Auth-Request-Type", "Named-User")];
        let since = Instant::now();
        let answer = self.site.post(&path, &headers, &body)?;
        let (taken, _) = expect(since.elapsed(), answer, 400)?;
        Ok(taken)
    }

    /// Requests a password reset.
    pub fn forgot(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let body = json!({"username": who.username(number), "recaptcha": RECAPTCHA});
        let (taken, _) = self.ask("/services/auth/headless/forgot_password", &body, 200)?;
        Ok(taken)
    }

    /// Sends a wrong code and a new password.
    pub fn reset(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        self.forgot(who, number)?;
        settle();
        let body =
            json!({"username": who.username(number), "otp": "!wrong", "newpassword": PASSWORD});
        let (taken, _) = self.ask("/services/auth/headless/forgot_password", &body, 400)?;
        Ok(taken)
    }

    /// Logs in with a wrong password.
    pub fn log_in(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let header = [("Auth-Request-Type", "Named-User")];
        let (taken, _) = self.authorize(&header, &who.username(number), "wrong Pa55word", 400)?;
        Ok(taken)
    }

    /// Sends a wrong code.
    pub fn redeem(&mut self, who: Who, number: usize) -> Outcome<Duration> {
        let (_, answer) = self.ask_passwordless(&who.username(number))?;
        settle();
        let identifier = identifier(&answer)?;
        let headers = [
            ("Auth-Request-Type", "passwordless-login"),
            ("Auth-Verification-Type", "email"),
        ];
        let (taken, _) = self.authorize(&headers, &identifier, "!wrong", 400)?;
        Ok(taken)
    }

    fn ask_registration(&mut self, username: &str) -> Outcome<(Duration, Answer)> {
        let body = json!({
            "userdata": {"firstName": "Janice", "lastName": "Edwards", "email": username, "username": username},
            "password": PASSWORD, "verificationmethod": "email", "recaptcha": RECAPTCHA,
        });
        self.ask("/services/auth/headless/init/registration", &body, 200)
    }

    fn ask_passwordless(&mut self, username: &str) -> Outcome<(Duration, Answer)> {
        let body =
            json!({"username": username, "verificationmethod": "email", "recaptcha": RECAPTCHA});
        self.ask(
            "/services/auth/headless/init/passwordless/login",
            &body,
            200,
        )
    }

    fn ask(&mut self, path: &str, body: &Value, status: u16) -> Outcome<(Duration, Answer)> {
        let path = format!("{}{path}", self.base.path);
        let body = body.to_string();
        let since = Instant::now();
        let headers = [("Content-Type", "application/json")];
        let answer = self.site.post(&path, &headers, &body)?;
        expect(since.elapsed(), answer, status)
    }

    fn authorize(
        &mut self,
        kind: &[(&str, &str)],
        left: &str,
        right: &str,
        status: u16,
    ) -> Outcome<(Duration, Answer)> {
        let basic = encode::base64(format!("{left}:{right}").as_bytes());
        let basic = format!("Basic {basic}");
        let body = encode::form(&[
            ("response_type", "code_credentials"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", CODE_CHALLENGE),
        ]);
        let path = format!("{}/services/oauth2/authorize", self.base.path);
        let mut headers = vec![FORM, ("Authorization", basic.as_str())];
        headers.extend_from_slice(kind);
        let since = Instant::now();
        let answer = self.site.post(&path, &headers, &body)?;
        expect(since.elapsed(), answer, status)
    }
}

fn identifier(answer: &Answer) -> Outcome<String> {
    let json = answer.json()?;
    match json["identifier"].as_str() {
        Some(identifier) => Ok(identifier.to_owned()),
        None => Err(format!("no identifier: {json}").into()),
    }
}

fn expect(taken: Duration, answer: Answer, status: u16) -> Outcome<(Duration, Answer)> {
    if answer.status == status {
        return Ok((taken, answer));
    }
    let (found, said) = (answer.status, answer.excerpt());
    Err(format!("answered {found} instead of {status}: {said}").into())
}

/// Waits for the end of the background work of a request.
fn settle() {
    std::thread::sleep(Duration::from_millis(2));
}
