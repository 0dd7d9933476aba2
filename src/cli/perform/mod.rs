//! `vestibule perform register|login|passwordless|reset|guest|token`: a whole flow from the terminal, over
//! the same wire as any app.

mod conversation;
mod guest;
mod target;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use vestibule_protocol::secret::Secret;

use self::conversation::{Performance, text_member};
use self::target::{PerformTarget, Server};
use super::exit::Exit;
use super::place::{Place, read_secret};
use super::wire::Wire;
use crate::identity::email::EmailAddress;
use crate::identity::phone::PhoneNumber;
use crate::moment::Entropy;

/// Runs a flow from the terminal, at a running `vestibule dev` or at the server that --base-url and
/// the five options with it name.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    flow: Flow,
}

#[derive(Subcommand)]
enum Flow {
    /// Log in as a guest, up to the token
    Guest(guest::Arguments),
    /// Log in with username and password, up to the tokens
    Login(Login),
    /// Log in with a one-time password, up to the tokens
    Passwordless(Passwordless),
    /// Register a user, up to the tokens
    Register(Register),
    /// Choose a new password with a one-time password
    Reset(Reset),
    /// The token by which a backend calls the headless APIs
    Token(Token),
}

#[derive(Args)]
struct Login {
    /// The username
    username: String,
    /// A file with the password; - is standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
struct Passwordless {
    /// The username
    username: String,
    /// The address on file [default: the username]
    #[arg(long)]
    email: Option<String>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
struct Register {
    /// The username [default: a new one]
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
    #[command(flatten)]
    by: By,
    /// A file with the password; - is standard input [default: a new one]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
struct Reset {
    /// The username
    username: String,
    /// The address on file [default: the username]
    #[arg(long)]
    email: Option<String>,
    /// A file with the new password; - is standard input
    #[arg(long, value_name = "FILE")]
    new_password_file: PathBuf,
    /// Where the code comes from [default: inbox; with --base-url: ask]
    #[arg(long, value_enum)]
    code_from: Option<CodeFrom>,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
struct Token {
    #[command(flatten)]
    server: Server,
}

/// How a code is sent, and where it is read.
#[derive(Args)]
struct By {
    /// How the code is sent
    #[arg(long, value_enum, default_value_t = Channel::Email)]
    method: Channel,
    /// Phone number, for --method sms
    #[arg(long, required_if_eq("method", "sms"))]
    phone: Option<String>,
    /// Where the code comes from [default: inbox; with --base-url: ask]
    #[arg(long, value_enum)]
    code_from: Option<CodeFrom>,
}

impl By {
    /// The recipient of the code, as the server writes it, so that the inbox finds it. The server refuses what is
    /// wrong.
    fn recipient(&self, email: &str) -> String {
        match self.method {
            Channel::Email => address(email),
            Channel::Sms => {
                let phone = self.phone.clone().unwrap_or_default();
                let number = PhoneNumber::parse(&phone);
                number.map_or(phone, |n| n.as_str().to_owned())
            }
        }
    }
}

fn address(email: &str) -> String {
    EmailAddress::parse(email).map_or(email.to_owned(), |a| a.as_str().to_owned())
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodeFrom {
    /// The inbox of `vestibule dev`
    Inbox,
    /// Ask for it on the terminal
    Ask,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    match arguments.flow {
        Flow::Guest(arguments) => guest::run(place, arguments).await,
        Flow::Login(login) => {
            let files = [Some(&login.password_file)];
            let performance = prepare(place, &login.server, None, &files)?;
            performance.log_in(&login).await
        }
        Flow::Passwordless(passwordless) => {
            let by = passwordless.by.code_from;
            let performance = prepare(place, &passwordless.server, Some(by), &[])?;
            performance.log_in_without_password(&passwordless).await
        }
        Flow::Register(register) => {
            let files = [register.password_file.as_ref()];
            let by = register.by.code_from;
            let performance = prepare(place, &register.server, Some(by), &files)?;
            performance.register(&register).await
        }
        Flow::Reset(reset) => {
            let files = [Some(&reset.new_password_file)];
            let performance = prepare(place, &reset.server, Some(reset.code_from), &files)?;
            performance.reset(&reset).await
        }
        Flow::Token(token) => {
            let performance = prepare(place, &token.server, None, &[])?;
            let answer = performance.integration_token().await?;
            place.print(&answer, text_member(&answer, "access_token")?)
        }
    }
}

/// Prepares a performance. `code_from` is given for a flow with a code, and `files` are those that it reads in
/// addition to the secrets.
fn prepare<'p>(
    place: &'p Place,
    server: &Server,
    code_from: Option<Option<CodeFrom>>,
    files: &[Option<&PathBuf>],
) -> Result<Performance<'p>, Exit> {
    let asks = match (code_from, &server.base_url) {
        (Some(Some(CodeFrom::Inbox)), Some(_)) => {
            return Err(Exit::misused(
                "only a `vestibule dev` has an inbox: with --base-url the code is asked for",
            ));
        }
        (Some(None), Some(_)) | (Some(Some(CodeFrom::Ask)), _) => true,
        _ => false,
    };
    expect_one_reader(server, asks, files)?;
    let target = match server.target()? {
        Some(target) => target,
        None => PerformTarget::of_dev(place)?,
    };
    Ok(Performance {
        place,
        wire: match &target.inbox {
            Some(ready) => Wire::to_dev(ready)?,
            None => Wire::new()?,
        },
        target,
        asks,
    })
}

/// Standard input gives one thing: a password, a secret, or the code.
fn expect_one_reader(server: &Server, asks: bool, files: &[Option<&PathBuf>]) -> Result<(), Exit> {
    let secrets = [
        server.client_secret_file.as_ref(),
        server.integration_secret_file.as_ref(),
    ];
    let readers = files
        .iter()
        .chain(&secrets)
        .flatten()
        .filter(|file| file.as_path() == Path::new("-"))
        .count();
    if readers + usize::from(asks) > 1 {
        return Err(Exit::misused(
            "standard input can be read for one thing only, and the code is asked for there: \
             put the others into files",
        ));
    }
    Ok(())
}

impl Performance<'_> {
    async fn register(&self, register: &Register) -> Result<(), Exit> {
        let fresh = Entropy::Os.text(b"abcdefghijklmnopqrstuvwxyz", 8);
        let username = register
            .username
            .clone()
            .unwrap_or_else(|| format!("janice.{fresh}@example.com"));
        let email = register.email.clone().unwrap_or_else(|| username.clone());
        let password = match &register.password_file {
            Some(path) => read_secret("--password-file", path)?,
            None => Secret::from(Entropy::Os.text(b"abcdefghjkmnpqrstuvwxyz23456789", 20) + "7k"),
        };
        let recipient = register.by.recipient(&email);
        let method = register.by.method.name();
        let mut body = json!({
            "userdata": {"username": username, "email": email,
                "firstName": register.first_name, "lastName": register.last_name},
            "password": password.expose(),
            "verificationmethod": method,
        });
        if let Some(phone) = &register.by.phone {
            body["customdata"] = json!({ "mobilePhone": phone });
        }
        let watch = self.watch(&recipient).await?;
        let path = "/services/auth/headless/init/registration";
        let answer = self.headless(path, &body, "the registration").await?;
        let identifier = text_member(&answer, "identifier")?;
        self.say(&format!("1  registration started: {identifier}"));
        let code = self.code(watch, &recipient).await?;
        self.say("2  the code arrived");
        let code = self
            .authorize("user-registration", Some(method), &identifier, code.trim())
            .await?;
        self.say("3  the user exists; a code was issued");
        self.finish(4, &code).await
    }

    async fn log_in(&self, login: &Login) -> Result<(), Exit> {
        let password = read_secret("--password-file", &login.password_file)?;
        let code = self
            .authorize("Named-User", None, &login.username, password.expose())
            .await?;
        self.say("1  the password is right; a code was issued");
        self.finish(2, &code).await
    }

    async fn log_in_without_password(&self, passwordless: &Passwordless) -> Result<(), Exit> {
        let username = &passwordless.username;
        let email = passwordless.email.as_ref().unwrap_or(username);
        let recipient = passwordless.by.recipient(email);
        let method = passwordless.by.method.name();
        let watch = self.watch(&recipient).await?;
        let path = "/services/auth/headless/init/passwordless/login";
        let body = json!({"username": username, "verificationmethod": method});
        let answer = self.headless(path, &body, "the login").await?;
        let identifier = text_member(&answer, "identifier")?;
        self.say(&format!("1  login started: {identifier}"));
        let code = self.code(watch, &recipient).await?;
        self.say("2  the code arrived");
        let code = self
            .authorize("passwordless-login", Some(method), &identifier, code.trim())
            .await?;
        self.say("3  the code is right; an authorization code was issued");
        self.finish(4, &code).await
    }

    async fn reset(&self, reset: &Reset) -> Result<(), Exit> {
        let new_password = read_secret("--new-password-file", &reset.new_password_file)?;
        let username = &reset.username;
        let recipient = address(reset.email.as_ref().unwrap_or(username));
        let watch = self.watch(&recipient).await?;
        let path = "/services/auth/headless/forgot_password";
        let body = json!({ "username": username });
        self.headless(path, &body, "the first phase").await?;
        self.say("1  a code was requested");
        let code = self.code(watch, &recipient).await?;
        self.say("2  the code arrived");
        let body =
            json!({"username": username, "otp": code.trim(), "newpassword": new_password.expose()});
        let answer = self.headless(path, &body, "the second phase").await?;
        self.place.print(
            &answer,
            "the password was changed, and every session has ended".to_owned(),
        )
    }
}
