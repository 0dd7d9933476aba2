//! `vestibule isready`: asks a server whether it is ready, for scripts, containers and people.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::json;

use super::exit::Exit;
use super::place::Place;
use super::ready::Ready;
use super::wire::Wire;
use crate::moment::Stopwatch;

/// Pause between two requests.
const PAUSE: Duration = Duration::from_millis(100);

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
    loop {
        // A server that is starting may not have written its address yet, so it is read for each request.
        let asked = match address(place, &arguments) {
            Ok(url) => ask(&wire, &url).await,
            Err(exit) => Err(exit),
        };
        match asked {
            Ok(()) => {
                return place.print(&json!({"ready": true}), "ready");
            }
            Err(exit) if stopwatch.seconds() >= arguments.wait as f64 => {
                return Err(Exit::late(format!("not ready: {}", exit.message)));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn address(place: &Place, arguments: &Arguments) -> Result<String, Exit> {
    match (&arguments.management, place.data_dir()) {
        (Some(url), _) => Ok(url.trim_end_matches('/').to_owned()),
        (None, Some(directory)) => Ok(Ready::read(&directory)?.management_url),
        (None, None) => Ok(format!("http://{}", place.load_config()?.listen.management)),
    }
}

async fn ask(wire: &Wire, url: &str) -> Result<(), Exit> {
    let answer = wire
        .send(Method::GET, &format!("{url}/health/ready"), &[], None)
        .await?;
    answer.json("the readiness check").map(|_| ())
}
