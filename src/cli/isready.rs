//! `vestibule isready`: asks a server whether it is ready, for scripts, containers and people.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::json;

use super::exit::Exit;
use super::place::Place;
use super::process::is_server_running;
use super::ready::Ready;
use super::wire::Wire;
use crate::moment::Stopwatch;

/// Pause between two requests.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a server may take from its start until it locks its database.
const START_SECONDS: f64 = 5.0;

/// Asks the management listener whether the server is ready. Exit code 5 means that it is not
#[derive(Args)]
pub struct Arguments {
    /// The management URL [default: that of the data directory or of the config]
    #[arg(long, value_name = "URL")]
    management: Option<String>,
    /// Wait until the server is ready, at most this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let wire = Wire::new()?;
    let stopwatch = Stopwatch::start();
    let mut was_running = false;
    loop {
        // A server that is starting may not have written its address yet, so it is read for each request.
        let asked = match target(place, &arguments) {
            Ok(target) => ask(&wire, &target).await,
            Err(exit) => Err(exit),
        };
        let Err(exit) = asked else {
            return place.print(&json!({"ready": true}), "ready");
        };
        let is_over = stopwatch.seconds() >= arguments.wait as f64;
        let is_running = match (&arguments.management, place.load_config()) {
            (None, Ok(config)) => is_server_running(&config),
            _ => None,
        };
        was_running |= is_running == Some(true);
        // A server that is about to start has not written its process id yet.
        if is_running == Some(false) && (was_running || stopwatch.seconds() >= START_SECONDS) {
            return Err(Exit::late(format!(
                "not ready: the server is not running, it has ended or did not start ({})",
                exit.message
            )));
        }
        if is_over {
            return Err(Exit::late(format!("not ready: {}", exit.message)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The server to ask.
struct ReadinessServer {
    management_url: String,
    /// The organisation of the data directory: another one is another installation's.
    org_id: Option<String>,
}

fn target(place: &Place, arguments: &Arguments) -> Result<ReadinessServer, Exit> {
    match (&arguments.management, place.data_dir()) {
        (Some(url), _) => Ok(ReadinessServer {
            management_url: url.trim_end_matches('/').to_owned(),
            org_id: None,
        }),
        (None, Some(directory)) => {
            let ready = Ready::read(&directory)?;
            Ok(ReadinessServer {
                management_url: ready.management_url,
                org_id: Some(ready.org_id),
            })
        }
        (None, None) => Ok(ReadinessServer {
            management_url: format!("http://{}", place.load_config()?.listen.management),
            org_id: None,
        }),
    }
}

async fn ask(wire: &Wire, target: &ReadinessServer) -> Result<(), Exit> {
    let url = format!("{}/health/ready", target.management_url);
    let answer = wire.send(Method::GET, &url, &[], None).await?;
    let answer = answer.json("the readiness check")?;
    match (&target.org_id, answer["org_id"].as_str()) {
        (Some(own), Some(found)) if own != found => Err(Exit::late(format!(
            "another installation answers at {} (organisation {found}, and that of the data directory is {own})",
            target.management_url
        ))),
        _ => Ok(()),
    }
}
