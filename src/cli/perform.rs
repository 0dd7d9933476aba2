//! `vestibule perform register`: a whole flow from the terminal, over the same wire as any app.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use vestibule_protocol::secret::Secret;

use super::inbox;
use super::output;
use super::place::{Exit, Place, read_secret};
use super::ready::{Ready, ReadyClient, ReadyIntegration};
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
    /// Register somebody at a running `vestibule dev`, or at the server that --base-url and the five
    /// options with it name, up to the tokens
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
    #[arg(long, value_enum, default_value_t = Channel::Email)]
    method: Channel,
    /// Phone number, for --method sms
    #[arg(long, required_if_eq("method", "sms"))]
    phone: Option<String>,
    /// A file with the password; - is standard input [default: a fresh one]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the code comes from [default: inbox; with --base-url: ask]
    #[arg(long, value_enum)]
    code_from: Option<CodeFrom>,
    #[command(flatten)]
    server: Server,
}

/// A server that is no `vestibule dev` of this machine. All of it is named, or nothing.
#[derive(Args)]
#[group(multiple = true, requires_all = [
    "base_url", "client_id", "client_secret_file", "redirect_uri", "integration_id",
    "integration_secret_file",
])]
struct Server {
    /// The site of any server, with the five options below, in place of a `vestibule dev`
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Consumer key of the app
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A file with the secret of the app
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// A callback of the app
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Consumer key of the integration
    #[arg(long, value_name = "ID")]
    integration_id: Option<String>,
    /// A file with the secret of the integration
    #[arg(long, value_name = "FILE")]
    integration_secret_file: Option<PathBuf>,
}

impl Server {
    /// Who is talked to, if the command line says so.
    fn target(&self) -> Result<Option<Target>, Exit> {
        let (
            Some(base_url),
            Some(client_id),
            Some(client_secret_file),
            Some(redirect_uri),
            Some(integration_id),
            Some(integration_secret_file),
        ) = (
            &self.base_url,
            &self.client_id,
            &self.client_secret_file,
            &self.redirect_uri,
            &self.integration_id,
            &self.integration_secret_file,
        )
        else {
            return Ok(None);
        };
        let secret = |path: &Path| read_secret(path).map(|text| text.expose().to_owned());
        Ok(Some(Target {
            base_url: base_url.trim_end_matches('/').to_owned(),
            client: ReadyClient {
                client_id: client_id.clone(),
                client_secret: secret(client_secret_file)?,
                redirect_uri: redirect_uri.clone(),
            },
            integration: ReadyIntegration {
                client_id: integration_id.clone(),
                client_secret: secret(integration_secret_file)?,
            },
            inbox: None,
        }))
    }
}

/// The site that is talked to, and the apps that talk to it.
struct Target {
    base_url: String,
    client: ReadyClient,
    integration: ReadyIntegration,
    /// The `vestibule dev` whose inbox can be read.
    inbox: Option<Ready>,
}

impl Target {
    /// The demo site of a running `vestibule dev`.
    fn of_dev(place: &Place) -> Result<Target, Exit> {
        let ready = Ready::read(&place.dev_dir()?)?;
        let site = ready.sites.private.clone().ok_or_else(|| {
            Exit::missing("this installation has no demo site (it was made with --no-demo)")
        })?;
        Ok(Target {
            base_url: site.base_url,
            client: site.client,
            integration: site.integration,
            inbox: Some(ready),
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Channel {
    Email,
    Sms,
}

impl Channel {
    /// As a request writes it.
    fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
        }
    }
}

impl Register {
    /// Standard input gives one thing: a password, a secret, or the code.
    fn expect_one_reader(&self, asks: bool) -> Result<(), Exit> {
        let files = [
            &self.password_file,
            &self.server.client_secret_file,
            &self.server.integration_secret_file,
        ];
        let readers = files
            .into_iter()
            .flatten()
            .filter(|file| file.as_os_str() == "-")
            .count();
        if readers + usize::from(asks) > 1 {
            return Err(Exit::misused(
                "standard input can be read for one thing only, and the code is asked for there: \
                 put the others into files",
            ));
        }
        Ok(())
    }

    /// Where the code goes, as the server writes it: that is how the inbox knows it. What is wrong
    /// the server will refuse.
    fn recipient(&self, email: &str) -> String {
        match self.method {
            Channel::Email => {
                EmailAddress::parse(email).map_or(email.to_owned(), |a| a.as_str().to_owned())
            }
            Channel::Sms => {
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
    let asks = match (register.code_from, &register.server.base_url) {
        (Some(CodeFrom::Inbox), Some(_)) => {
            return Err(Exit::misused(
                "only a `vestibule dev` has an inbox: with --base-url the code is asked for",
            ));
        }
        (None, Some(_)) | (Some(CodeFrom::Ask), _) => true,
        (None | Some(CodeFrom::Inbox), None) => false,
    };
    register.expect_one_reader(asks)?;
    let target = match register.server.target()? {
        Some(target) => target,
        None => Target::of_dev(place)?,
    };
    let performance = Performance {
        place,
        wire: Wire::new()?,
        target,
        asks,
    };
    performance.register(register).await
}

struct Performance<'p> {
    place: &'p Place,
    wire: Wire,
    target: Target,
    /// Whether the code is asked for on the terminal.
    asks: bool,
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
        let watch = match &self.target.inbox {
            Some(ready) if !self.asks => {
                Some(inbox::Watch::start(&self.wire, ready, &recipient).await?)
            }
            _ => None,
        };
        let identifier = self.init(&token, body.to_string()).await?;
        self.say(&format!("1  registration taken in: {identifier}"));
        let code = match watch {
            Some(watch) => code_of_inbox(&watch).await?,
            None => self.ask(&format!("the code that went to {recipient}"))?,
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

    fn ask(&self, what: &str) -> Result<String, Exit> {
        // Under --json a line of its own, so that the line of an error is one, too.
        let end = if self.place.is_json() { "\n" } else { "" };
        output::tell(format_args!("{what}: {end}"));
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

    async fn integration_token(&self) -> Result<String, Exit> {
        let integration = &self.target.integration;
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
