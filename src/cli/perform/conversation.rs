//! The conversation: the requests that every performance is made of.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::target::PerformTarget;
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::cli::wire::{Answer, Wire, form};
use crate::cli::{inbox, output};

/// How long to wait for the code.
const INBOX_SECONDS: u64 = 10;

/// One performance.
pub(super) struct Performance<'p> {
    pub place: &'p Place,
    pub wire: Wire,
    pub target: PerformTarget,
    /// Whether the code is asked for on the terminal.
    pub asks: bool,
}

impl Performance<'_> {
    /// Says how far it is; nothing under `--json`.
    pub fn say(&self, line: &str) {
        if !self.place.is_json() {
            output::report(format_args!("{line}\n"));
        }
    }

    /// Notes what is in the inbox before a code is sent: one that came earlier belongs to another
    /// request.
    pub async fn watch<'w>(&'w self, recipient: &'w str) -> Result<Option<inbox::Watch<'w>>, Exit> {
        match &self.target.inbox {
            Some(ready) if !self.asks => Ok(Some(
                inbox::Watch::start(&self.wire, ready, recipient).await?,
            )),
            _ => Ok(None),
        }
    }

    /// The code, from the inbox or from the user at the terminal.
    pub async fn code(
        &self,
        watch: Option<inbox::Watch<'_>>,
        recipient: &str,
    ) -> Result<String, Exit> {
        let Some(watch) = watch else {
            return self.ask(&format!("the code that went to {recipient}"));
        };
        let newest = watch.newest(INBOX_SECONDS).await?.ok_or_else(|| {
            Exit::late(
                "no message came into the inbox; with a relay or a delivery handler use --code-from ask",
            )
        })?;
        match (newest["code"].as_str(), newest["suppressed"].as_str()) {
            (Some(code), _) => Ok(code.to_owned()),
            (None, Some(reason)) => Err(Exit::refused(format!("no code was sent: {reason}"))),
            (None, None) => Err(Exit::broken("the newest message holds no code")),
        }
    }

    fn ask(&self, what: &str) -> Result<String, Exit> {
        // Under --json a line of its own, so that the line of an error is one, too.
        let end = if self.place.is_json() { "\n" } else { "" };
        output::report(format_args!("{what}: {end}"));
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Exit::broken(format!("reading the terminal: {error}")))?;
        match line.trim() {
            "" => Err(Exit::late("no code was entered")),
            code => Ok(code.to_owned()),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.base_url)
    }

    /// The integration user's token answer.
    pub async fn integration_token(&self) -> Result<Value, Exit> {
        let integration = &self.target.integration;
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &integration.client_id),
            ("client_secret", &integration.client_secret),
        ]);
        let url = self.url("/services/oauth2/token");
        let answer = self.wire.send(Method::POST, &url, &[], Some(body)).await?;
        answer.json("client credentials")
    }

    /// A headless call, with the integration user's token; `what` names it in an error.
    pub async fn headless(&self, path: &str, body: &Value, what: &str) -> Result<Value, Exit> {
        let token = text_member(&self.integration_token().await?, "access_token")?;
        let url = self.url(path);
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("content-type", String::from("application/json")),
        ];
        let answer = self
            .wire
            .send(Method::POST, &url, &headers, Some(body.to_string()))
            .await?;
        answer.json(what)
    }

    /// Authorize, with the two sides of the colon of the Basic header; the
    /// authorization code.
    pub async fn authorize(
        &self,
        request_type: &str,
        method: Option<&str>,
        left: &str,
        right: &str,
    ) -> Result<String, Exit> {
        let basic = STANDARD.encode(format!("{left}:{right}"));
        let mut headers = vec![
            ("auth-request-type", request_type.to_owned()),
            ("authorization", format!("Basic {basic}")),
        ];
        headers.extend(method.map(|method| ("auth-verification-type", method.to_owned())));
        let client = &self.target.client;
        let body = form(&[
            ("response_type", "code_credentials"),
            ("client_id", &client.client_id),
            ("redirect_uri", &client.redirect_uri),
        ]);
        let url = self.url("/services/oauth2/authorize");
        let answer = self
            .wire
            .send(Method::POST, &url, &headers, Some(body))
            .await?;
        code_of(&answer)
    }

    /// The end of every login, its step of this number: tokens for the code, and what userinfo says
    /// of their user.
    pub async fn finish(&self, step: u8, code: &str) -> Result<(), Exit> {
        let tokens = self.exchange(code).await?;
        let userinfo = self
            .userinfo(tokens["access_token"].as_str().unwrap_or_default())
            .await?;
        self.say(&format!(
            "{step}  tokens were issued and userinfo answers\n"
        ));
        let text = serde_json::to_string_pretty(&userinfo).unwrap_or_default();
        self.place
            .print(&json!({"tokens": tokens, "userinfo": userinfo}), text)
    }

    async fn exchange(&self, code: &str) -> Result<Value, Exit> {
        let client = &self.target.client;
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
            ("redirect_uri", &client.redirect_uri),
        ]);
        let url = self.url("/services/oauth2/token");
        self.wire
            .send(Method::POST, &url, &[], Some(body))
            .await?
            .json("the token request")
    }

    async fn userinfo(&self, token: &str) -> Result<Value, Exit> {
        let url = self.url("/services/oauth2/userinfo");
        let headers = [("authorization", format!("Bearer {token}"))];
        self.wire
            .send(Method::GET, &url, &headers, None)
            .await?
            .json("userinfo")
    }
}

/// The authorization code of a redirect.
pub(super) fn code_of(answer: &Answer) -> Result<String, Exit> {
    let location = answer.location.as_deref();
    let location = location.and_then(|location| url::Url::parse(location).ok());
    let code = location.and_then(|url| {
        let mut members = url.query_pairs();
        members
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned())
    });
    code.ok_or_else(|| {
        Exit::refused(format!(
            "authorize was answered {}: {}",
            answer.status, answer.text
        ))
    })
}

/// A text of an answer.
pub(super) fn text_member(json: &Value, name: &str) -> Result<String, Exit> {
    json[name]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Exit::broken(format!("the answer has no {name}")))
}
