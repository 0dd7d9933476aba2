//! `vestibule key list|rotate|retire|remove`: the signing keys of an installation and their life.
//!
//! A server makes and exchanges keys by itself, by their age. These commands are for who wants another
//! key earlier, and for the day on which one got into wrong hands.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output;
use super::place::{Exit, Installation, Place};
use crate::algorithm::Algorithm;
use crate::app::keys::KeyKeeper;
use crate::moment::Moment;
use crate::token::{KeyRecord, KeyRules, KeyState, KeyStep, key_life};

/// How long a key is published before it signs when that is asked for at once: a running node looks for
/// changes twice a second.
const HEARD_SECONDS: i64 = 2;

/// Shows and exchanges signing keys.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// All keys and where they are in their life
    List,
    /// Publish a next key, which signs once verifiers have had time to meet it
    Rotate {
        /// The algorithm; all of them unless named
        #[arg(long, value_enum)]
        algorithm: Option<Named>,
        /// Let it sign in two seconds
        #[arg(long)]
        now: bool,
    },
    /// Let a key sign no more; what it signed still verifies
    Retire {
        /// Its id
        kid: String,
    },
    /// Emergency: delete a key; what it signed is refused within a second
    Remove {
        /// Its id
        kid: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Named {
    #[value(name = "RS256", alias = "rs256")]
    Rs256,
    #[value(name = "ES256", alias = "es256")]
    Es256,
    #[value(name = "EdDSA", alias = "eddsa")]
    EdDsa,
}

impl Named {
    fn algorithm(self) -> Algorithm {
        match self {
            Named::Rs256 => Algorithm::RS256,
            Named::Es256 => Algorithm::ES256,
            Named::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    let rules = place.load_config()?.keys.rules();
    match arguments.action {
        Action::List => {}
        Action::Rotate { algorithm, now } => {
            let algorithms = match algorithm {
                Some(named) => vec![named.algorithm()],
                None => Algorithm::ALL.to_vec(),
            };
            for algorithm in &algorithms {
                let algorithm = *algorithm;
                keeper(&installation)
                    .take(&KeyStep::Publish { algorithm }, None)
                    .await?;
            }
            if now {
                activate(place, &installation, &algorithms).await?;
            }
        }
        Action::Retire { kid } => retire(place, &installation, &kid).await?,
        Action::Remove { kid } => remove(place, &installation, &kid).await?,
    }
    print(place, &keeper(&installation).records().await?, rules)
}

fn keeper(installation: &Installation) -> KeyKeeper<'_> {
    KeyKeeper {
        store: &installation.store,
        keyring: &installation.keyring,
        entropy: &installation.entropy,
        at: installation.clock.now(),
    }
}

/// Lets the next keys sign, once every node has heard of them.
async fn activate(
    place: &Place,
    installation: &Installation,
    algorithms: &[Algorithm],
) -> Result<(), Exit> {
    let keys = keeper(installation).records().await?;
    let next: Vec<&KeyRecord> = algorithms
        .iter()
        .filter_map(|algorithm| key_life::next(&keys, *algorithm))
        .collect();
    be_heard(place, installation, &next).await;
    for key in next {
        let id = key.id.clone();
        keeper(installation)
            .take(&KeyStep::Activate { id }, None)
            .await?;
    }
    Ok(())
}

/// Waits until every running node publishes these keys.
async fn be_heard(place: &Place, installation: &Installation, keys: &[&KeyRecord]) {
    let now = installation.clock.now();
    let is_new = |key: &&KeyRecord| key.created_at.plus_seconds(HEARD_SECONDS) > now;
    if keys.iter().any(is_new) {
        if !place.is_json() {
            output::tell("published; waiting until every node has heard of it\n");
        }
        tokio::time::sleep(Duration::from_secs(HEARD_SECONDS.unsigned_abs())).await;
    }
}

async fn retire(place: &Place, installation: &Installation, kid: &str) -> Result<(), Exit> {
    let key = find(installation, kid).await?;
    let algorithm = key.algorithm;
    match key.state {
        KeyState::Retired => Ok(()),
        KeyState::Next => Err(Exit::refused(
            "this key has never signed: `vestibule key remove` takes it back",
        )),
        KeyState::Current => {
            let publish = KeyStep::Publish { algorithm };
            keeper(installation).take(&publish, None).await?;
            activate(place, installation, &[algorithm]).await
        }
    }
}

async fn remove(place: &Place, installation: &Installation, kid: &str) -> Result<(), Exit> {
    let key = find(installation, kid).await?;
    if key.state == KeyState::Current {
        let algorithm = key.algorithm;
        let publish = KeyStep::Publish { algorithm };
        keeper(installation).take(&publish, None).await?;
        let keys = keeper(installation).records().await?;
        let next: Vec<&KeyRecord> = key_life::next(&keys, algorithm).into_iter().collect();
        be_heard(place, installation, &next).await;
    }
    let step = KeyStep::Remove { id: key.id };
    match keeper(installation).take(&step, None).await? {
        true => Ok(()),
        false => Err(Exit::refused(
            "somebody else has changed the keys meanwhile: look again",
        )),
    }
}

async fn find(installation: &Installation, kid: &str) -> Result<KeyRecord, Exit> {
    let keys = keeper(installation).records().await?;
    let found = keys.into_iter().find(|key| key.id == kid);
    found.ok_or_else(|| Exit::missing(format!("there is no signing key {kid:?}")))
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
    let until = until.map_or_else(
        || String::from("somebody rotates it"),
        |at| at.iso_seconds(),
    );
    let (algorithm, state) = (key.algorithm.as_str(), key.state.as_str());
    format!("{}  {algorithm:<5}  {state:<7}  {what} {until}", key.id)
}
