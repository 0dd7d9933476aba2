//! `vestibule key list|rotate|retire|remove`: the signing keys of an installation and their life.
//!
//! A server makes and replaces keys by itself, by their age. These commands are for replacing a key earlier,
//! and for a key that has been stolen.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::Exit;
use super::output;
use super::place::Place;
use crate::admin::installation::Installation;
use crate::admin::key;
use crate::algorithm::Algorithm;
use crate::moment::Moment;
use crate::token::{KeyRecord, KeyRules, KeyState, key_life};

/// How long a key is published before it signs with `--now`: a running node looks for changes twice a second.
const PUBLISHED_SECONDS: i64 = 2;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// List all keys with their states
    List,
    /// Publish a next key; it signs once verifiers have had time to fetch it
    Rotate {
        /// The algorithm; all of them unless named
        #[arg(long, value_enum)]
        algorithm: Option<NamedAlgorithm>,
        /// Sign with it in two seconds
        #[arg(long)]
        now: bool,
    },
    /// Stop signing with this key now; tokens already signed stay valid
    Retire {
        /// Its id
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Emergency: delete a key; tokens that it signed are refused within a second
    Remove {
        /// Its id
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum NamedAlgorithm {
    #[value(name = "RS256", alias = "rs256")]
    Rs256,
    #[value(name = "ES256", alias = "es256")]
    Es256,
    #[value(name = "EdDSA", alias = "eddsa")]
    EdDsa,
}

impl NamedAlgorithm {
    fn algorithm(self) -> Algorithm {
        match self {
            NamedAlgorithm::Rs256 => Algorithm::RS256,
            NamedAlgorithm::Es256 => Algorithm::ES256,
            NamedAlgorithm::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let rules = place.load_config()?.keys.rules();
    match action {
        Action::List => {}
        Action::Rotate { algorithm, now } => {
            let algorithms = match algorithm {
                Some(named) => vec![named.algorithm()],
                None => Algorithm::ALL.to_vec(),
            };
            let next = key::publish(&installation.admin(), &algorithms).await?;
            if now {
                activate(place, &installation, &next).await?;
            }
        }
        Action::Retire { kid } => {
            let admin = installation.admin();
            if let Some(current) = key::load_retiring(&admin, &kid).await? {
                let next = key::publish(&admin, &[current.algorithm]).await?;
                activate(place, &installation, &next).await?;
            }
        }
        Action::Remove { kid } => {
            let admin = installation.admin();
            let removed = key::load(&admin, &kid).await?;
            if removed.state == KeyState::Current {
                let next = key::publish(&admin, &[removed.algorithm]).await?;
                wait_for_nodes(place, &installation, &next).await;
            }
            key::remove(&installation.admin(), &kid).await?;
        }
    }
    print(place, &key::list(&installation.admin()).await?, rules)
}

/// Lets the next keys sign, once every node publishes them.
async fn activate(
    place: &Place,
    installation: &Installation,
    next: &[KeyRecord],
) -> Result<(), Exit> {
    wait_for_nodes(place, installation, next).await;
    Ok(key::activate(&installation.admin(), next).await?)
}

/// Waits until every running node publishes these keys.
async fn wait_for_nodes(place: &Place, installation: &Installation, keys: &[KeyRecord]) {
    let now = installation.clock.now();
    let is_new = |key: &KeyRecord| key.created_at.plus_seconds(PUBLISHED_SECONDS) > now;
    if keys.iter().any(is_new) {
        if !place.is_json() {
            output::report("published; waiting until every node publishes the key\n");
        }
        tokio::time::sleep(Duration::from_secs(PUBLISHED_SECONDS.unsigned_abs())).await;
    }
}

fn print(place: &Place, keys: &[KeyRecord], rules: KeyRules) -> Result<(), Exit> {
    let until = |key: &KeyRecord| match (key.state, key_life::next(keys, key.algorithm)) {
        (KeyState::Current, Some(next)) => next.until(rules),
        _ => key.until(rules),
    };
    let rows: Vec<Value> = keys.iter().map(|key| row(key, until(key))).collect();
    let lines: Vec<String> = keys.iter().map(|key| line(key, until(key))).collect();
    place.print(&json!({ "keys": rows }), lines.join("\n"))
}

fn row(key: &KeyRecord, until: Option<Moment>) -> Value {
    let seconds = |at: Option<Moment>| at.map(|at| at.iso_seconds());
    json!({
        "kid": key.id, "algorithm": key.algorithm.as_str(), "state": key.state.as_str(),
        "created_at": key.created_at.iso_seconds(), "activated_at": seconds(key.activated_at),
        "retired_at": seconds(key.retired_at), "until": seconds(until),
    })
}

fn line(key: &KeyRecord, until: Option<Moment>) -> String {
    let what = match key.state {
        KeyState::Next => "signs from",
        KeyState::Current => "signs until",
        KeyState::Retired => "published until",
    };
    let until = until.map_or_else(|| String::from("it is rotated"), |at| at.iso_seconds());
    let (algorithm, state) = (key.algorithm.as_str(), key.state.as_str());
    format!("{}  {algorithm:<5}  {state:<7}  {what} {until}", key.id)
}
