//! `vestibule inbox list|wait`: the messages that `vestibule dev` has sent.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::place::{DEFAULT_DATA_DIR, Exit, Place};
use super::ready::Ready;
use super::wire::{Wire, form};

/// Reads the messages of a running `vestibule dev`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// The messages that are there
    List {
        /// Only those to this address or number
        #[arg(long)]
        to: Option<String>,
    },
    /// Wait for a message and print the newest one
    Wait {
        /// The address or number
        #[arg(long)]
        to: String,
        /// How long to wait
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
        seconds: u64,
    },
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let data_dir = place.data_dir().unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let ready = Ready::read(&data_dir)?;
    let wire = Wire::new()?;
    match arguments.action {
        Action::List { to } => {
            let messages = messages(&wire, &ready, to.as_deref(), 0).await?;
            let lines: Vec<String> = messages.iter().map(line).collect();
            place.print(
                &serde_json::json!({ "messages": messages }),
                lines.join("\n"),
            );
            Ok(())
        }
        Action::Wait { to, seconds } => {
            let messages = messages(&wire, &ready, Some(&to), seconds * 1000).await?;
            let newest = messages
                .last()
                .ok_or_else(|| Exit::late(format!("nothing came to {to} in {seconds} seconds")))?;
            place.print(
                newest,
                format!("{}\n\n{}", line(newest), member(newest, "text")),
            );
            Ok(())
        }
    }
}

/// The messages to an address, newest last, waiting for the first.
pub async fn messages(
    wire: &Wire,
    ready: &Ready,
    to: Option<&str>,
    wait_ms: u64,
) -> Result<Vec<Value>, Exit> {
    let wait_ms = wait_ms.to_string();
    let mut parameters = vec![("wait_ms", wait_ms.as_str())];
    parameters.extend(to.map(|to| ("to", to)));
    let url = format!(
        "{}/_emulator/v1/inbox?{}",
        ready.management_url,
        form(&parameters)
    );
    let token = format!("Bearer {}", ready.admin_token);
    let answer = wire
        .send(Method::GET, &url, &[("authorization", token)], None)
        .await?;
    let mut json = answer.json("the inbox")?;
    Ok(json["messages"]
        .as_array_mut()
        .map(std::mem::take)
        .unwrap_or_default())
}

fn line(message: &Value) -> String {
    let code = message["code"].as_str().unwrap_or("-");
    format!(
        "{:<32} {:<6} {:<10} {}",
        member(message, "to"),
        member(message, "channel"),
        code,
        member(message, "subject")
    )
}

fn member<'m>(message: &'m Value, name: &str) -> &'m str {
    message[name].as_str().unwrap_or_default()
}
