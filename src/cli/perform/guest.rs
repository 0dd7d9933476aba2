//! `vestibule perform guest`: the guest flow, as a page has it. A guest needs no secret, so it is
//! performed at the public site.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use http::Method;
use serde_json::{Value, json};
use vestibule_protocol::pkce::encode_challenge;
use vestibule_protocol::uvid::{InvalidUvid, Uvid};

use super::conversation::code_of;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::place::{Place, read_secret};
use crate::cli::ready::Ready;
use crate::cli::wire::{Wire, form};
use crate::moment::Entropy;
use crate::sealing::sha256;

#[derive(Args)]
pub(super) struct Arguments {
    /// The visitor's identifier in the app: a UUID of version 4 [default: a new one]
    #[arg(long, value_name = "UUID")]
    uvid: Option<String>,
    /// A file with the access token of the same visitor's earlier visit; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "uvid")]
    token_file: Option<PathBuf>,
    /// Scopes [default: all of the guests' scopes]
    #[arg(long)]
    scope: Option<String>,
    /// The site of any server, with the two options below, in place of a `vestibule dev`
    #[arg(long, value_name = "URL", requires_all = ["client_id", "redirect_uri"])]
    base_url: Option<String>,
    /// Consumer key of an app that needs no secret
    #[arg(long, value_name = "ID", requires = "base_url")]
    client_id: Option<String>,
    /// A callback of the app
    #[arg(long, value_name = "URI", requires = "base_url")]
    redirect_uri: Option<String>,
}

/// The site, and the app that has guests.
struct GuestTarget {
    base_url: String,
    client_id: String,
    redirect_uri: String,
    /// Calls it.
    wire: Wire,
}

/// Runs it.
pub(super) async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let hint = match (&arguments.token_file, &arguments.uvid) {
        (Some(path), _) => {
            let token = read_secret("--token-file", path)?;
            format!("JWT {}", token.expose().trim())
        }
        (None, Some(text)) => format!("UVID {}", parse(text)?.as_str()),
        (None, None) => format!("UVID {}", Uvid::from_random(Entropy::Os.bytes()).as_str()),
    };
    let target = target(place, &arguments)?;
    let wire = &target.wire;
    let verifier = URL_SAFE_NO_PAD.encode(Entropy::Os.bytes::<32>());
    let headers = [
        ("auth-request-type", String::from("guest")),
        ("uvid-hint", hint),
    ];
    let challenge = encode_challenge(&sha256(verifier.as_bytes()));
    let mut parameters = vec![
        ("response_type", "code_credentials"),
        ("client_id", &target.client_id),
        ("redirect_uri", &target.redirect_uri),
        ("code_challenge", &challenge),
    ];
    parameters.extend(arguments.scope.as_deref().map(|scope| ("scope", scope)));
    let say = |line: &str| {
        if !place.is_json() {
            output::report(format_args!("{line}\n"));
        }
    };
    let url = |path: &str| format!("{}/services/oauth2/{path}", target.base_url);
    let body = Some(form(&parameters));
    let answer = wire
        .send(Method::POST, &url("authorize"), &headers, body)
        .await?;
    let code = code_of(&answer)?;
    say("1  a code was issued to the guest");
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("client_id", &target.client_id),
        ("redirect_uri", &target.redirect_uri),
        ("code_verifier", &verifier),
    ]);
    let answer = wire
        .send(Method::POST, &url("token"), &headers, Some(body))
        .await?;
    let tokens = answer.json("the token request")?;
    say("2  a token was issued; its claims:\n");
    let claims = claims(tokens["access_token"].as_str().unwrap_or_default())?;
    let text = serde_json::to_string_pretty(&claims).unwrap_or_default();
    place.print(&json!({"tokens": tokens, "claims": claims}), text)
}

fn parse(uvid: &str) -> Result<Uvid, Exit> {
    uvid.parse().map_err(|InvalidUvid| {
        Exit::misused("--uvid takes a UUID of version 4, such as uuidgen prints")
    })
}

/// The server that the command line names, or the public site of a running `vestibule dev`.
fn target(place: &Place, arguments: &Arguments) -> Result<GuestTarget, Exit> {
    if let (Some(base_url), Some(client_id), Some(redirect_uri)) = (
        &arguments.base_url,
        &arguments.client_id,
        &arguments.redirect_uri,
    ) {
        return Ok(GuestTarget {
            base_url: base_url.trim_end_matches('/').to_owned(),
            client_id: client_id.clone(),
            redirect_uri: redirect_uri.clone(),
            wire: Wire::new()?,
        });
    }
    let ready = Ready::read(&place.dev_dir()?)?;
    let wire = Wire::to_dev(&ready)?;
    let site = ready.sites.public.ok_or_else(|| {
        Exit::missing("this installation has no demo site (it was made with --no-demo)")
    })?;
    Ok(GuestTarget {
        base_url: site.base_url,
        client_id: site.client.client_id,
        redirect_uri: site.client.redirect_uri,
        wire,
    })
}

/// What a JWT says, which is for a person to look at and not verified here.
fn claims(token: &str) -> Result<Value, Exit> {
    let claims = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    serde_json::from_slice(&bytes)
        .map_err(|_| Exit::broken("the access token of a guest is no JWT"))
}
