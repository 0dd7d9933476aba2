//! The page `docs/reference/enumeration.md`: what was compared, how, and with what result.

use super::pairs::Pair;
use super::stats::Comparison;

/// The page.
pub fn render(compared: &[(&Pair, Comparison)], count: usize) -> String {
    let mut page = format!(
        "# Enumeration\n\n\
         What an answer tells a stranger of an account: nothing by its status, headers, body or length (`tests/it/flow/sameness/mod.rs` compares them), and \
         next to nothing by its time. This page is printed by `cargo xtask timing --write`.\n\n\
         ## Time\n\n\
         A release build on SQLite and one connection from the same machine, limits off. Of each row {count} pairs of requests were sent, in turns that a \
         coin decided; what counts is the time from the first byte sent to the last byte read. Target: medians at most 1 ms apart. The control \
         compares like with like: what it shows is noise.\n\n\
         | request | about | median | about | median | apart | p |\n|---|---|---:|---|---:|---:|---:|\n"
    );
    for (pair, comparison) in compared {
        page.push_str(&format!(
            "| {} | {} | {:.3} ms | {} | {:.3} ms | {:.3} ms | {} |\n",
            pair.name,
            pair.first,
            comparison.first,
            pair.second,
            comparison.second,
            comparison.gap(),
            probability(comparison.p),
        ));
    }
    page.push_str(
        "\np is that of the Mann-Whitney U test: how often two samples as different as these would be drawn if the account made no difference at all. A small \
         one says that there is a difference, and not how large it is; with this many pairs it sees some microseconds. Over a network such a difference drowns \
         in the noise of the way, and [limits](limits.md) stand before the number of requests that would bring it out. \
         The user is the same one in every row and, with the limits off, has some thousands more earlier requests in each, which a write looks through; with the \
         limits on there are five an hour. That is the likely part of what `< 0.001` sees where a code is asked for.\n",
    );
    page
}

fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => String::from("< 0.001"),
        p => format!("{p:.3}"),
    }
}
