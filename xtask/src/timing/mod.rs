//! `cargo xtask timing`: whether the response time discloses that an account exists.
//!
//! A release build is started, and for each flow the same request is sent for a user who exists and for one who does not (or
//! is locked, or not verified), in random order. The compared time is that from the first byte sent to the last byte read.
//! [`caller`] sends the requests of an app without a token, [`pairs`] lists the comparisons, [`stats`] computes the
//! results, [`page`] prints them.

mod caller;
mod page;
mod pairs;
mod stats;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Args;
use crate::load::server::Server;
use crate::outcome::{Context, Outcome};
use crate::{load, step};
use caller::Caller;
use pairs::{PAIRS, Pair};
use stats::Comparison;

/// The text of `--help`.
pub const HELP: &str = "\
Compare how long the server takes for users that exist and for users that do not.

Usage: cargo xtask timing [options]

  --pairs N      Pairs of requests per comparison, after fifty that are not counted (2000)
  --only WORD    Only the comparisons whose name holds this word
  --binary PATH  Measure this binary instead of building one
  --write        Write the result to docs/reference/enumeration.md

The figures are those of the machine and of what else it does; run it when it is quiet.";

/// Pairs that fill caches and pools, and are not counted.
const WARM_UP: usize = 50;

/// Pause between two requests, so that background work of one does not slow down the other.
const PAUSE: Duration = Duration::from_millis(2);

/// Measures, and prints the result or writes the page.
pub fn run(mut args: Args) -> Outcome<ExitCode> {
    let count = args.option("--pairs")?.unwrap_or(2_000_usize).max(10);
    let only: Option<String> = args.option("--only")?;
    let binary: Option<PathBuf> = args.option("--binary")?;
    let is_written = args.flag("--write");
    args.finish()?;
    let binary = match binary {
        Some(binary) => binary,
        None => load::build()?,
    };
    let folder = std::env::temp_dir().join(format!("vestibule-timing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context(folder.display())?;
    let compared = compare_all(&binary, &folder, count, only.as_deref());
    if compared.is_err() {
        eprintln!("the server's log is in {}", folder.display());
    } else {
        std::fs::remove_dir_all(&folder).context(folder.display())?;
    }
    let page = page::render(&compared?, count);
    if is_written {
        let path = step::workspace().join("docs/reference/enumeration.md");
        std::fs::write(&path, &page).context(path.display())?;
    }
    println!("{page}");
    Ok(ExitCode::SUCCESS)
}

fn compare_all(
    binary: &Path,
    folder: &Path,
    count: usize,
    only: Option<&str>,
) -> Outcome<Vec<(&'static Pair, Comparison)>> {
    let (mut server, ready) = Server::start(binary, folder, &[])?;
    let data = load::server::data_directory(folder);
    let mut caller = Caller::connect(&ready, binary, &data)?;
    let mut compared = Vec::new();
    for pair in PAIRS
        .iter()
        .filter(|pair| only.is_none_or(|word| pair.name.contains(word)))
    {
        eprintln!(
            "comparing: {}, {} and {}",
            pair.name, pair.first, pair.second
        );
        let comparison = compare(&mut caller, pair, count)
            .map_err(|problem| format!("{}: {problem}\n{}", pair.name, server.log_tail()))?;
        eprintln!(
            "  {:.3} ms and {:.3} ms, p = {:.3}",
            comparison.first, comparison.second, comparison.p
        );
        compared.push((pair, comparison));
    }
    server.stop()?;
    Ok(compared)
}

/// Sends both requests of a pair repeatedly, in alternating order.
fn compare(caller: &mut Caller, pair: &Pair, count: usize) -> Outcome<Comparison> {
    let (mut first, mut second) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut coin: u64 = 0x9E37_79B9_7F4A_7C15;
    for number in 0..WARM_UP + count {
        coin = coin
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let is_first_first = coin >> 63 == 0;
        let mut times = [0.0; 2];
        for turn in [is_first_first, !is_first_first] {
            let who = if turn { pair.who.0 } else { pair.who.1 };
            std::thread::sleep(PAUSE);
            let taken = (pair.send)(caller, who, number)?;
            times[usize::from(!turn)] = taken.as_secs_f64() * 1_000.0;
        }
        if number >= WARM_UP {
            first.push(times[0]);
            second.push(times[1]);
        }
    }
    Ok(Comparison::of(&first, &second))
}
