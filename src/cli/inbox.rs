//! `vestibule inbox list|wait`: the messages that `vestibule dev` has sent.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::exit::Exit;
use super::output;
use super::place::Place;
use super::ready::Ready;
use super::wire::{Wire, form};

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Print the messages in the inbox
    List {
        /// Only messages to this address or number
        #[arg(long)]
        to: Option<String>,
    },
    /// Wait for a message and print the newest; a message that is already in the inbox counts
    Wait {
        /// The address or number of the recipient
        #[arg(long)]
        to: String,
        /// How many seconds to wait
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
        seconds: u64,
        /// Only a message that comes after this call began; `waiting` is printed on standard error when it listens
        #[arg(long)]
        new: bool,
    },
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let data_dir = place.dev_dir()?;
    let ready = Ready::read(&data_dir)?;
    let wire = Wire::new()?;
    match action {
        Action::List { to } => {
            let parameters: Vec<_> = to.iter().map(|to| ("to", to.as_str())).collect();
            let messages = messages(&wire, &ready, &parameters).await?;
            let lines: Vec<String> = messages.iter().map(line).collect();
            place.print(
                &serde_json::json!({ "messages": messages }),
                lines.join("\n"),
            )
        }
        Action::Wait { to, seconds, new } => {
            let watch = if new {
                let watch = Watch::start(&wire, &ready, &to).await?;
                output::report("waiting\n");
                watch
            } else {
                Watch::from_the_beginning(&wire, &ready, &to)
            };
            let newest = watch.newest(seconds).await?;
            let newest = newest.ok_or_else(|| {
                Exit::late(format!("no message to {to} came in {seconds} seconds"))
            })?;
            place.print(
                &newest,
                format!("{}\n\n{}", line(&newest), member(&newest, "text")),
            )
        }
    }
}

/// Waits for messages to one address, after those that were in the inbox when it started.
pub struct Watch<'w> {
    wire: &'w Wire,
    ready: &'w Ready,
    to: &'w str,
    after: Option<String>,
}

impl<'w> Watch<'w> {
    /// Notes the messages in the inbox: only later ones count.
    pub async fn start(wire: &'w Wire, ready: &'w Ready, to: &'w str) -> Result<Watch<'w>, Exit> {
        let mut watch = Watch::from_the_beginning(wire, ready, to);
        let there = messages(wire, ready, &[("to", to)]).await?;
        watch.after = there.last().map(|m| member(m, "id").to_owned());
        Ok(watch)
    }

    fn from_the_beginning(wire: &'w Wire, ready: &'w Ready, to: &'w str) -> Watch<'w> {
        Watch {
            wire,
            ready,
            to,
            after: None,
        }
    }

    /// The newest message that counts, or the next one; `None` if none came in time.
    pub async fn newest(&self, seconds: u64) -> Result<Option<Value>, Exit> {
        let wait_ms = (seconds * 1000).to_string();
        let mut parameters = vec![("to", self.to), ("wait_ms", wait_ms.as_str())];
        parameters.extend(self.after.as_deref().map(|after| ("after", after)));
        Ok(messages(self.wire, self.ready, &parameters).await?.pop())
    }
}

/// The messages that the inbox lists for these parameters, newest last.
async fn messages(
    wire: &Wire,
    ready: &Ready,
    parameters: &[(&str, &str)],
) -> Result<Vec<Value>, Exit> {
    let url = format!(
        "{}/_emulator/v1/inbox?{}",
        ready.management_url,
        form(parameters)
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
        match member(message, "subject") {
            "" => member(message, "suppressed"),
            subject => subject,
        }
    )
}

fn member<'m>(message: &'m Value, name: &str) -> &'m str {
    message[name].as_str().unwrap_or_default()
}
