//! `cargo xtask attack NAME`: what an attacker with one machine, or with several networks, does to others.
//!
//! A server is started and attacked from loopback addresses, each of which is in a network of its own (127.x.y.z), while a client
//! at another address uses it. The figures are printed. The server is used only through its command line and HTTP.

mod flood;
mod idle;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Args;
use crate::load;
use crate::load::server::Server;
use crate::outcome::{Context, Outcome};

/// The text of `--help`.
pub const HELP: &str = "\
Attack a server, and print how it treats the attacker and the others.

Usage: cargo xtask attack idle|flood [options]

  idle   Open connections over HTTP/1 and HTTP/2 that send no request
  flood  Send logins from one network as fast as they are answered, while others log in

  --connections N  Connections of the attacker (idle: 2000, flood: 128)
  --networks N     Networks of the attacker (1)
  --seconds N      How long the attack lasts (idle: 75, flood: 15)
  --binary PATH    Attack this binary instead of building one

The figures are those of the machine and of what else it does; run it when it is quiet.";

/// The address of those who are not the attacker.
const OTHERS: [u8; 4] = [127, 200, 0, 1];

/// An attack.
pub struct Plan {
    connections: usize,
    networks: usize,
    length: Duration,
}

impl Plan {
    /// The address of a connection of the attacker; each network is a /24 of its own.
    fn address(&self, connection: usize) -> [u8; 4] {
        let [.., high, low] = (connection % self.networks).to_be_bytes();
        [127, 1 + high, low, 1]
    }
}

/// Runs an attack, and prints its figures.
pub fn run(mut args: Args) -> Outcome<ExitCode> {
    let (is_idle, is_flood) = (args.flag("idle"), args.flag("flood"));
    if is_idle == is_flood {
        return Err("name one attack: idle or flood".into());
    }
    let (connections, seconds) = if is_idle { (2_000, 75) } else { (128, 15) };
    let plan = Plan {
        connections: args.option("--connections")?.unwrap_or(connections).max(1),
        networks: args.option("--networks")?.unwrap_or(1).clamp(1, 25_000),
        length: Duration::from_secs(args.option("--seconds")?.unwrap_or(seconds)),
    };
    let binary: Option<PathBuf> = args.option("--binary")?;
    args.finish()?;
    let binary = match binary {
        Some(binary) => binary,
        None => load::build()?,
    };
    let folder = std::env::temp_dir().join(format!("vestibule-attack-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context(folder.display())?;
    let (mut server, ready) = Server::start(&binary, &folder, &[])?;
    let done = if is_idle {
        idle::run(&plan, &ready)
    } else {
        flood::run(&plan, &ready)
    };
    server.stop()?;
    match &done {
        Ok(()) => std::fs::remove_dir_all(&folder).context(folder.display())?,
        Err(_) => eprintln!("the server's log is in {}", folder.display()),
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// The value below which a share of the sorted durations lies, in milliseconds.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted
        .get(index)
        .map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_of_the_attacker_is_a_24_of_its_own() {
        let plan = Plan {
            connections: 9,
            networks: 300,
            length: Duration::ZERO,
        };
        assert_eq!(plan.address(0), [127, 1, 0, 1]);
        assert_eq!(plan.address(299), [127, 2, 43, 1]);
        assert_eq!(plan.address(300), plan.address(0));
    }

    #[test]
    fn a_percentile_is_one_of_the_durations() {
        let sorted: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), 51.0);
        assert_eq!(percentile(&sorted, 0.99), 100.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
