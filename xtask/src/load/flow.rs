//! The driven flows, as real clients run them, with every response checked: a fast server with wrong responses must
//! not look good. A worker has connections and users of its own, so workers never wait for each other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::encode;
use super::http::{Answer, Client};
use super::installation::Installation;
use crate::outcome::Outcome;

/// The requests of one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// One request for a JWT with the client credentials grant.
    ClientCredentials,
    /// The same for an opaque token, which the server has to store.
    ClientCredentialsOpaque,
    /// One read of the signing keys.
    Jwks,
    /// Username and password at authorize, and the token: one password hash each.
    PasswordLogin,
    /// One init request of a passwordless login: a code is made and its message queued.
    PasswordlessInit,
    /// Init, code from the inbox, authorize, token, for an existing user.
    PasswordlessLogin,
    /// One refresh that replaces the refresh token, with an opaque access token and an id_token.
    Refresh,
    /// Init, code from the inbox, authorize, token: a new user each time.
    Registration,
    /// One read of a user's claims with an opaque token.
    Userinfo,
}

impl Scenario {
    /// All of them, cheap ones first.
    pub const ALL: [Self; 9] = [
        Self::Jwks,
        Self::ClientCredentials,
        Self::ClientCredentialsOpaque,
        Self::Userinfo,
        Self::Refresh,
        Self::PasswordlessInit,
        Self::PasswordlessLogin,
        Self::PasswordLogin,
        Self::Registration,
    ];

    /// The name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::ClientCredentialsOpaque => "client_credentials_opaque",
            Self::Jwks => "jwks",
            Self::PasswordLogin => "password_login",
            Self::PasswordlessInit => "passwordless_init",
            Self::PasswordlessLogin => "passwordless_login",
            Self::Refresh => "refresh",
            Self::Registration => "registration",
            Self::Userinfo => "userinfo",
        }
    }

    /// How many users of its own a worker registers beforehand. Logins rotate among them, because a real user does not start
    /// thousands of logins in an hour.
    fn users(self) -> u64 {
        match self {
            Self::ClientCredentials | Self::ClientCredentialsOpaque | Self::Jwks => 0,
            Self::PasswordLogin | Self::PasswordlessInit | Self::PasswordlessLogin => 50,
            Self::Refresh | Self::Registration | Self::Userinfo => 1,
        }
    }

    /// Whether an iteration hashes a password.
    pub fn hashes(self) -> bool {
        matches!(self, Self::PasswordLogin | Self::Registration)
    }

    /// The scopes of the driven app.
    pub fn scopes(self) -> &'static str {
        if self == Self::Refresh {
            "openid api id profile email refresh_token"
        } else {
            "openid api id profile email"
        }
    }

    /// The format of the access tokens in the scenario.
    pub fn token_format(self) -> &'static str {
        if self == Self::ClientCredentials {
            "jwt"
        } else {
            "opaque"
        }
    }
}

/// One of the concurrent clients of the server.
pub struct Worker<'a> {
    to: &'a Installation,
    alg: &'a str,
    name: String,
    count: u64,
    turn: u64,
    site: Client,
    management: Client,
    /// `Bearer …` of the integration user and of the worker's user.
    integration: String,
    user: String,
    /// The current refresh token.
    refresh_token: String,
    /// The message that was read last, by address.
    read: HashMap<String, String>,
    /// The parts of the latest iteration and how long each took.
    pub laps: Vec<(&'static str, Duration)>,
}

impl<'a> Worker<'a> {
    /// Connects, and prepares what the scenario needs.
    pub fn new(
        to: &'a Installation,
        alg: &'a str,
        scenario: Scenario,
        name: String,
    ) -> Outcome<Self> {
        let mut worker = Self {
            to,
            alg,
            name,
            count: 0,
            turn: 0,
            site: Client::new(&to.site),
            management: Client::new(&to.management),
            integration: String::new(),
            user: String::new(),
            refresh_token: String::new(),
            read: HashMap::new(),
            laps: Vec::new(),
        };
        if scenario.users() > 0 {
            worker.integration = format!("Bearer {}", worker.client_credentials("opaque")?);
        }
        for _ in 0..scenario.users() {
            worker.user = format!("Bearer {}", worker.registration()?);
        }
        Ok(worker)
    }

    /// Runs the flow once.
    pub fn iterate(&mut self, scenario: Scenario) -> Outcome {
        self.laps.clear();
        match scenario {
            Scenario::ClientCredentials | Scenario::ClientCredentialsOpaque => {
                self.client_credentials(scenario.token_format()).map(drop)
            }
            Scenario::Jwks => self.jwks(),
            Scenario::PasswordLogin => self.password_login(),
            Scenario::PasswordlessInit => {
                let address = self.next_user(scenario);
                self.init_login(&address).map(drop)
            }
            Scenario::PasswordlessLogin => self.passwordless_login(),
            Scenario::Refresh => self.refresh(),
            Scenario::Registration => self.registration().map(drop),
            Scenario::Userinfo => self.userinfo(),
        }
    }

    fn client_credentials(&mut self, token_format: &str) -> Outcome<String> {
        let body = encode::form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.to.integration_id),
            ("client_secret", &self.to.integration_secret),
        ]);
        let path = format!("{}/services/oauth2/token", self.to.site.path);
        let answer = self.site.post(&path, &[FORM], &body)?;
        let token = check_token(&answer)?;
        let access_token = text(&token, "access_token")?;
        match token_format {
            "jwt" => check_alg(access_token, self.alg)?,
            _ if access_token.starts_with("00D") => {}
            _ => return Err(format!("not an opaque token: {access_token}").into()),
        }
        Ok(access_token.to_owned())
    }

    fn jwks(&mut self) -> Outcome {
        let path = format!("{}/id/keys", self.to.site.path);
        let answer = expect(self.site.get(&path, &[])?, 200)?;
        let has_keys = answer.json()?["keys"]
            .as_array()
            .is_some_and(|keys| !keys.is_empty());
        if has_keys {
            Ok(())
        } else {
            Err(format!("no keys: {}", answer.excerpt()).into())
        }
    }

    fn userinfo(&mut self) -> Outcome {
        let path = format!("{}/services/oauth2/userinfo", self.to.site.path);
        let answer = expect(self.site.get(&path, &[("Authorization", &self.user)])?, 200)?;
        let claims = answer.json()?;
        text(&claims, "sub")?;
        let wanted = self.address(1);
        if text(&claims, "email")? == wanted {
            Ok(())
        } else {
            Err(format!("not the claims of {wanted}").into())
        }
    }

    /// A whole registration; returns the new user's access token.
    fn registration(&mut self) -> Outcome<String> {
        self.count += 1;
        let address = self.address(self.count);
        let since = Instant::now();
        let identifier = self.init(&address)?;
        self.lap("init", since);
        self.complete("user-registration", &address, &identifier)
    }

    /// The requests after init: inbox, authorize, token. Returns the user's access token.
    fn complete(&mut self, request_type: &str, address: &str, identifier: &str) -> Outcome<String> {
        let since = Instant::now();
        let otp = self.read_code(address)?;
        let since = self.lap("inbox", since);
        let code = self.authorize(request_type, identifier, &otp)?;
        let since = self.lap("authorize", since);
        let access_token = self.exchange(&code)?;
        self.lap("token", since);
        Ok(access_token)
    }

    /// Starts a login of one of the worker's users.
    fn init_login(&mut self, address: &str) -> Outcome<String> {
        let body = format!(r#"{{"verificationmethod":"email","username":"{address}"}}"#);
        self.send_init("passwordless/login", &body, address)
    }

    fn passwordless_login(&mut self) -> Outcome {
        let address = self.next_user(Scenario::PasswordlessLogin);
        let since = Instant::now();
        let identifier = self.init_login(&address)?;
        self.lap("init", since);
        self.complete("passwordless-login", &address, &identifier)?;
        Ok(())
    }

    fn password_login(&mut self) -> Outcome {
        let address = self.next_user(Scenario::PasswordLogin);
        let since = Instant::now();
        let code = self.authorize("Named-User", &address, PASSWORD)?;
        let since = self.lap("authorize", since);
        self.exchange(&code)?;
        self.lap("token", since);
        Ok(())
    }

    fn init(&mut self, address: &str) -> Outcome<String> {
        let body = format!(
            r#"{{"userdata":{{"firstName":"Load","lastName":"Worker","email":"{address}","username":"{address}"}},"password":"{PASSWORD}","verificationmethod":"email"}}"#
        );
        self.send_init("registration", &body, address)
    }

    /// Sends a request to an init endpoint. Returns the identifier of the pending flow.
    fn send_init(&mut self, endpoint: &str, body: &str, address: &str) -> Outcome<String> {
        let path = format!(
            "{}/services/auth/headless/init/{endpoint}",
            self.to.site.path
        );
        let headers = [
            ("Authorization", self.integration.as_str()),
            ("Content-Type", "application/json"),
        ];
        let answer = expect(self.site.post(&path, &headers, body)?, 200)?.json()?;
        if text(&answer, "status")? != "success" || text(&answer, "email")? != address {
            return Err(format!("init did not succeed: {answer}").into());
        }
        Ok(text(&answer, "identifier")?.to_owned())
    }

    fn read_code(&mut self, address: &str) -> Outcome<String> {
        let path = format!(
            "{}/_emulator/v1/inbox?to={}&after={}&wait_ms=2000",
            self.to.management.path,
            encode::query(address),
            self.read.get(address).map_or("", String::as_str)
        );
        let bearer = format!("Bearer {}", self.to.admin_token);
        for _ in 0..INBOX_TRIES {
            let answer = expect(
                self.management.get(&path, &[("Authorization", &bearer)])?,
                200,
            )?
            .json()?;
            let messages = answer["messages"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            // Normally one new message; if there are more, the latest counts.
            let newest = messages
                .iter()
                .max_by_key(|message| message["sent_at"].to_string());
            let code = newest
                .and_then(|message| Some((message["id"].as_str()?, message["code"].as_str()?)));
            if let Some((id, code)) = code {
                self.read.insert(address.to_owned(), id.to_owned());
                return Ok(code.to_owned());
            }
        }
        Err(format!("no code for {address} in the inbox").into())
    }

    fn authorize(&mut self, request_type: &str, left: &str, right: &str) -> Outcome<String> {
        let basic = format!(
            "Basic {}",
            encode::base64(format!("{left}:{right}").as_bytes())
        );
        let body = encode::form(&[
            ("response_type", "code_credentials"),
            ("client_id", &self.to.client_id),
            ("redirect_uri", &self.to.redirect_uri),
            ("code_challenge", PKCE.1),
        ]);
        let path = format!("{}/services/oauth2/authorize", self.to.site.path);
        let headers = [
            FORM,
            ("Auth-Request-Type", request_type),
            ("Auth-Verification-Type", "email"),
            ("Authorization", basic.as_str()),
        ];
        let answer = expect(self.site.post(&path, &headers, &body)?, 302)?;
        let location = answer.header("location").unwrap_or_default();
        let code = location
            .strip_prefix(self.to.redirect_uri.as_str())
            .and_then(|query| {
                query
                    .split(['?', '&'])
                    .find_map(|pair| pair.strip_prefix("code="))
            });
        match code {
            Some(code) if location.contains("sfdc_community_id=0DB") => Ok(code.to_owned()),
            _ => Err(format!("the redirect carries no code or site: {location}").into()),
        }
    }

    fn exchange(&mut self, code: &str) -> Outcome<String> {
        let body = encode::form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.to.client_id),
            ("client_secret", &self.to.client_secret),
            ("redirect_uri", &self.to.redirect_uri),
            ("code_verifier", PKCE.0),
        ]);
        let path = format!("{}/services/oauth2/token", self.to.site.path);
        let token = check_token(&self.site.post(&path, &[FORM], &body)?)?;
        check_alg(text(&token, "id_token")?, self.alg)?;
        if let Some(refresh_token) = token["refresh_token"].as_str() {
            refresh_token.clone_into(&mut self.refresh_token);
        }
        Ok(text(&token, "access_token")?.to_owned())
    }

    fn refresh(&mut self) -> Outcome {
        let body = encode::form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.refresh_token),
            ("client_id", &self.to.client_id),
            ("client_secret", &self.to.client_secret),
        ]);
        let path = format!("{}/services/oauth2/token", self.to.site.path);
        let token = check_token(&self.site.post(&path, &[FORM], &body)?)?;
        check_alg(text(&token, "id_token")?, self.alg)?;
        let next = text(&token, "refresh_token")?;
        if next == self.refresh_token {
            return Err("the refresh token was not replaced".into());
        }
        next.clone_into(&mut self.refresh_token);
        Ok(())
    }

    /// The users rotate.
    fn next_user(&mut self, scenario: Scenario) -> String {
        self.turn += 1;
        self.address(self.turn % scenario.users() + 1)
    }

    fn address(&self, count: u64) -> String {
        format!("load-{}-{count}@example.com", self.name)
    }

    fn lap(&mut self, name: &'static str, since: Instant) -> Instant {
        let now = Instant::now();
        self.laps.push((name, now - since));
        now
    }
}

fn expect(answer: Answer, status: u16) -> Outcome<Answer> {
    if answer.status == status {
        return Ok(answer);
    }
    Err(format!(
        "answered {} instead of {status}: {}",
        answer.status,
        answer.excerpt()
    )
    .into())
}

/// The members that every token response has.
fn check_token(answer: &Answer) -> Outcome<Value> {
    if answer.status != 200 {
        return Err(format!(
            "answered {} instead of 200: {}",
            answer.status,
            answer.excerpt()
        )
        .into());
    }
    if !answer
        .header("cache-control")
        .is_some_and(|value| value.contains("no-store"))
    {
        return Err("a token answer may be stored by caches".into());
    }
    let token = answer.json()?;
    for member in [
        "access_token",
        "id",
        "instance_url",
        "issued_at",
        "scope",
        "signature",
    ] {
        text(&token, member)?;
    }
    if text(&token, "token_type")? == "Bearer" {
        Ok(token)
    } else {
        Err("not a bearer token".into())
    }
}

/// Checks that the JWT has the expected algorithm; otherwise the figures would be those of another one.
fn check_alg(jwt: &str, alg: &str) -> Outcome {
    let header = jwt
        .split_once('.')
        .and_then(|(header, _)| encode::from_base64url(header));
    let header: Option<Value> = header.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match header.as_ref().and_then(|header| header["alg"].as_str()) {
        Some(found) if found == alg && jwt.split('.').count() == 3 => Ok(()),
        Some(found) => Err(format!("signed with {found}, and this run is about {alg}").into()),
        None => Err(format!("not a JWT: {jwt}").into()),
    }
}

fn text<'v>(json: &'v Value, member: &str) -> Outcome<&'v str> {
    json[member]
        .as_str()
        .ok_or_else(|| format!("the answer has no text `{member}`").into())
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
/// Long enough for any reasonable policy; every user has it, and the cost of a hash does not depend on it.
const PASSWORD: &str = "correct horse battery 42 Staple!";
/// Verifier and challenge of RFC 7636 appendix B. The server does not notice that they are always the same.
const PKCE: (&str, &str) = (
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
);
const INBOX_TRIES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_algorithm_is_refused() {
        let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
        assert!(check_alg(jwt, "ES256").is_ok());
        assert!(check_alg(jwt, "RS256").is_err());
        assert!(check_alg("00D!opaque", "ES256").is_err());
    }
}
