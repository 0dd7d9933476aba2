//! `vestibule perform register`: a whole flow from the terminal, over the same wire as any app.

use std::io::BufRead;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use vestibule_protocol::secret::Secret;

use super::inbox;
use super::output;
use super::place::{DEFAULT_DATA_DIR, Exit, Place, read_secret};
use super::ready::{Ready, ReadyPrivateSite};
use super::wire::{Wire, form};
use crate::identity::email::EmailAddress;
use crate::identity::phone::PhoneNumber;
use crate::moment::Entropy;

/// How long to wait for the code.
const INBOX_SECONDS: u64 = 10;

/// Runs a flow from the terminal.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    flow: Flow,
}

#[derive(Subcommand)]
enum Flow {
    /// Register somebody at a running `vestibule dev`, up to the tokens
    Register(Register),
}

#[derive(Args)]
struct Register {
    /// The username [default: a fresh one]
    #[arg(long)]
    username: Option<String>,
    /// The address [default: the username]
    #[arg(long)]
    email: Option<String>,
    /// Given name
    #[arg(long, default_value = "Janice")]
    first_name: String,
    /// Family name
    #[arg(long, default_value = "Edwards")]
    last_name: String,
    /// How the code travels
    #[arg(long, value_enum, default_value_t = Method_::Email)]
    method: Method_,
    /// Phone number, for --method sms
    #[arg(long, required_if_eq("method", "sms"))]
    phone: Option<String>,
    /// A file with the password; - is standard input [default: a fresh one]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the code comes from
    #[arg(long, value_enum, default_value_t = CodeFrom::Inbox)]
    code_from: CodeFrom,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method_ {
    Email,
    Sms,
}

impl Method_ {
    /// As a request writes it.
    fn name(self) -> &'static str {
        match self {
            Method_::Email => "email",
            Method_::Sms => "sms",
        }
    }
}

impl Register {
    /// Where the code goes, as the server writes it: that is how the inbox knows it. What is wrong
    /// the server will refuse.
    fn recipient(&self, email: &str) -> String {
        match self.method {
            Method_::Email => {
                EmailAddress::parse(email).map_or(email.to_owned(), |a| a.as_str().to_owned())
            }
            Method_::Sms => {
                let phone = self.phone.clone().unwrap_or_default();
                let number = PhoneNumber::parse(&phone);
                number.map_or(phone, |n| n.as_str().to_owned())
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodeFrom {
    /// The inbox of `vestibule dev`
    Inbox,
    /// You: it is asked for on the terminal
    Ask,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let Flow::Register(register) = arguments.flow;
    let data_dir = place.data_dir().unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let ready = Ready::read(&data_dir)?;
    let site = ready.sites.private.clone().ok_or_else(|| {
        Exit::missing("this installation has no demo site (it was made with --no-demo)")
    })?;
    let performance = Performance {
        place,
        wire: Wire::new()?,
        ready,
        site,
    };
    performance.register(register).await
}

struct Performance<'p> {
    place: &'p Place,
    wire: Wire,
    ready: Ready,
    site: ReadyPrivateSite,
}

impl Performance<'_> {
    async fn register(&self, register: Register) -> Result<(), Exit> {
        let fresh = Entropy::Os.text(b"abcdefghijklmnopqrstuvwxyz", 8);
        let username = register
            .username
            .clone()
            .unwrap_or_else(|| format!("janice.{fresh}@example.com"));
        let email = register.email.clone().unwrap_or_else(|| username.clone());
        let password = match &register.password_file {
            Some(path) => read_secret(path)?,
            None => Secret::from(Entropy::Os.text(b"abcdefghjkmnpqrstuvwxyz23456789", 20) + "7k"),
        };
        let recipient = register.recipient(&email);
        let method = register.method.name();

        let token = self.integration_token().await?;
        let mut body = json!({
            "userdata": {"username": username, "email": email,
                "firstName": register.first_name, "lastName": register.last_name},
            "password": password.expose(),
            "verificationmethod": method,
        });
        if let Some(phone) = &register.phone {
            body["customdata"] = json!({ "mobilePhone": phone });
        }
        // A code that came earlier belongs to another request.
        let watch = match register.code_from {
            CodeFrom::Inbox => {
                Some(inbox::Watch::start(&self.wire, &self.ready, &recipient).await?)
            }
            CodeFrom::Ask => None,
        };
        let identifier = self.init(&token, body.to_string()).await?;
        self.say(&format!("1  registration taken in: {identifier}"));
        let code = match watch {
            Some(watch) => code_of_inbox(&watch).await?,
            None => ask(&format!("the code that went to {recipient}"))?,
        };
        self.say("2  the code came");
        let code = self.authorize(&identifier, &code, method).await?;
        self.say("3  the user exists; a code was issued");
        let tokens = self.exchange(&code).await?;
        let userinfo = self
            .userinfo(tokens["access_token"].as_str().unwrap_or_default())
            .await?;
        self.say("4  tokens were issued and userinfo answers\n");
        let text = serde_json::to_string_pretty(&userinfo).unwrap_or_default();
        self.place
            .print(&json!({"tokens": tokens, "userinfo": userinfo}), text)
    }

    fn say(&self, line: &str) {
        if !self.place.is_json() {
            output::tell(format_args!("{line}\n"));
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site.base_url)
    }

    async fn integration_token(&self) -> Result<String, Exit> {
        let integration = &self.site.integration;
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &integration.client_id),
            ("client_secret", &integration.client_secret),
        ]);
        let url = self.url("/services/oauth2/token");
        let answer = self.wire.send(Method::POST, &url, &[], Some(body)).await?;
        text_member(&answer.json("client credentials")?, "access_token")
    }

    async fn init(&self, token: &str, body: String) -> Result<String, Exit> {
        let url = self.url("/services/auth/headless/init/registration");
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("content-type", String::from("application/json")),
        ];
        let answer = self
            .wire
            .send(Method::POST, &url, &headers, Some(body))
            .await?;
        text_member(&answer.json("the registration")?, "identifier")
    }

    async fn authorize(&self, identifier: &str, code: &str, method: &str) -> Result<String, Exit> {
        let basic = STANDARD.encode(format!("{identifier}:{}", code.trim()));
        let headers = [
            ("auth-request-type", String::from("user-registration")),
            ("auth-verification-type", method.to_owned()),
            ("authorization", format!("Basic {basic}")),
        ];
        let client = &self.site.client;
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
        let code = answer
            .location
            .as_deref()
            .and_then(|location| url::Url::parse(location).ok())
            .and_then(|url| {
                url.query_pairs()
                    .find(|(name, _)| name == "code")
                    .map(|(_, c)| c.into_owned())
            });
        code.ok_or_else(|| {
            Exit::refused(format!(
                "authorize was answered {}: {}",
                answer.status, answer.text
            ))
        })
    }

    async fn exchange(&self, code: &str) -> Result<Value, Exit> {
        let client = &self.site.client;
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

fn text_member(json: &Value, name: &str) -> Result<String, Exit> {
    json[name]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Exit::broken(format!("the answer has no {name}")))
}

async fn code_of_inbox(watch: &inbox::Watch<'_>) -> Result<String, Exit> {
    let newest = watch.newest(INBOX_SECONDS).await?.ok_or_else(|| {
        Exit::late("no message came into the inbox; with a relay configured use --code-from ask")
    })?;
    text_member(&newest, "code")
}

fn ask(what: &str) -> Result<String, Exit> {
    output::tell(format_args!("{what}: "));
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
