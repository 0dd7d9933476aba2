//! The wire as an app sees it, blocking: a small HTTP/1.1 client and the steps of a registration.
//!
//! Each request has its own connection and its own error, so that a test may kill the server during one and know
//! which steps were acknowledged.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::binary::PATIENCE;
use crate::fixture::PASSWORD;

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn expect_status(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A parameter of the `Location` header.
    pub fn location_parameter(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(self.header("location")?).ok()?;
        let found = url.query_pairs().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }
}

/// Headers of a request.
pub type Headers<'h> = &'h [(&'h str, &'h str)];

pub fn get(url: &str, headers: Headers<'_>) -> io::Result<Reply> {
    send("GET", url, headers, "")
}

pub fn post(url: &str, headers: Headers<'_>, body: &str) -> io::Result<Reply> {
    send("POST", url, headers, body)
}

/// Sends a request to a plain `http://` URL on a new connection.
pub fn send(method: &str, url: &str, headers: Headers<'_>, body: &str) -> io::Result<Reply> {
    let url = url::Url::parse(url).expect("an absolute URL");
    let authority = url.authority();
    let stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let path = &url[url::Position::BeforePath..];
    exchange(stream, method, authority, path, headers, body)
}

/// Sends a request on a given stream and reads until the server closes it.
pub fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    authority: &str,
    path: &str,
    headers: Headers<'_>,
    body: &str,
) -> io::Result<Reply> {
    stream.write_all(request(method, authority, path, headers, body).as_bytes())?;
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        // TLS without a close_notify ends like this; the length of the response is checked below.
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Err(error);
        }
    }
    parse(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The text of a request with `Connection: close`.
pub fn request(
    method: &str,
    authority: &str,
    path: &str,
    headers: Headers<'_>,
    body: &str,
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text += &format!("Host: {authority}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Parses a complete response; `None` for an incomplete one.
fn parse(answer: &[u8]) -> Option<Reply> {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse::<usize>().ok())
        .unwrap_or(0);
    let body = &answer[split + 4..];
    (body.len() >= length).then(|| Reply {
        status,
        headers,
        body: String::from_utf8_lossy(body).into_owned(),
    })
}

/// The demo's site as an app sees it: the steps of a registration, one request each.
#[derive(Clone, Debug)]
pub struct App {
    pub base_url: String,
    pub management: String,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
    pub integration_id: String,
    pub integration_secret: String,
}

impl App {
    pub fn of(ready: &Value) -> App {
        let site = &ready["sites"]["private"];
        App {
            base_url: text(&site["base_url"]),
            management: text(&ready["management_url"]),
            client_id: text(&site["client"]["client_id"]),
            client_secret: text(&site["client"]["client_secret"]),
            redirect_uri: text(&site["client"]["redirect_uri"]),
            integration_id: text(&site["integration"]["client_id"]),
            integration_secret: text(&site["integration"]["client_secret"]),
        }
    }

    pub fn integration_token(&self) -> io::Result<Reply> {
        self.token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.integration_id),
            ("client_secret", &self.integration_secret),
        ])
    }

    pub fn init(&self, token: &str, body: &Value) -> io::Result<Reply> {
        let url = format!("{}/services/auth/headless/init/registration", self.base_url);
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        post(&url, &headers, &body.to_string())
    }

    /// The messages to a recipient, waiting for the first.
    pub fn inbox(&self, to: &str) -> io::Result<Vec<Value>> {
        let query = form(&[("to", to), ("wait_ms", "10000")]);
        let url = format!("{}/_emulator/v1/inbox?{query}", self.management);
        let mut json = get(&url, &[])?.expect_status(200).json();
        Ok(json["messages"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }

    pub fn authorize(&self, identifier: &str, code: &str, state: &str) -> io::Result<Reply> {
        let basic = STANDARD.encode(format!("{identifier}:{code}"));
        let basic = format!("Basic {basic}");
        let headers = [
            ("auth-request-type", "user-registration"),
            ("auth-verification-type", "email"),
            ("authorization", basic.as_str()),
        ];
        let body = form(&[
            ("response_type", "code_credentials"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", state),
        ]);
        let url = format!("{}/services/oauth2/authorize", self.base_url);
        post(&url, &headers, &body)
    }

    pub fn exchange(&self, code: &str) -> io::Result<Reply> {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("redirect_uri", &self.redirect_uri),
        ])
    }

    pub fn userinfo(&self, token: &str) -> io::Result<Reply> {
        let url = format!("{}/services/oauth2/userinfo", self.base_url);
        get(&url, &[("authorization", &format!("Bearer {token}"))])
    }

    /// Registers a user whose code is in the inbox; the access token.
    #[track_caller]
    pub fn register(&self, username: &str) -> String {
        let token = self.integration_token().expect("an answer").json();
        let token = text(&token["access_token"]);
        let answer = self.init(&token, &registration(username));
        let identifier = text(&answer.expect("an answer").expect_status(200).json()["identifier"]);
        let messages = self.inbox(username).expect("an answer");
        let code = text(&messages.last().expect("a message")["code"]);
        let answer = self.authorize(&identifier, &code, "s").expect("an answer");
        let code = answer.expect_status(302).location_parameter("code");
        let tokens = self.exchange(&code.expect("a code")).expect("an answer");
        text(&tokens.expect_status(200).json()["access_token"])
    }

    fn token(&self, parameters: &[(&str, &str)]) -> io::Result<Reply> {
        let url = format!("{}/services/oauth2/token", self.base_url);
        post(&url, &[], &form(parameters))
    }
}

/// A registration whose address is its username.
pub fn registration(username: &str) -> Value {
    json!({
        "userdata": {"firstName": "Janice", "lastName": "Edwards", "email": username, "username": username},
        "password": PASSWORD,
        "verificationmethod": "email",
    })
}

pub fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// A member that must be text.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not text: {value}"))
        .to_owned()
}
