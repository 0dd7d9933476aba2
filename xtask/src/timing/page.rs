//! The page `docs/reference/enumeration.md`: the comparisons, the method, and the results.

use super::pairs::Pair;
use super::stats::Comparison;

/// The page.
pub fn render(compared: &[(&Pair, Comparison)], count: usize) -> String {
    let mut page = format!(
        "# Enumeration\n\n\
         This page shows whether a response discloses to an unauthenticated caller that an account exists. Status, headers, body and length disclose \
         nothing (`tests/it/flow/sameness/mod.rs` compares them). The response time discloses almost nothing. This page is printed by `cargo xtask timing --write`.\n\n\
         ## Time\n\n\
         Measured with a release build on SQLite, over one connection from the same machine, without rate limits. For each row, {count} pairs of requests were \
         sent; the order within a pair was random. The time is measured from the first byte sent to the last byte read. Goal: the medians differ by at most \
         1 ms. The control compares two requests of the same kind, so its difference is noise.\n\n\
         | request | about | median | about | median | difference | p |\n|---|---|---:|---|---:|---:|---:|\n"
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
        "\np is the result of the Mann-Whitney U test: the probability of two samples as different as these if the account made no difference at all. A small \
         value says that there is a difference, and not how large it is; with this number of pairs, the test detects some microseconds. Over a network, such a \
         difference is smaller than the variation of the latency, and the [limits](limits.md) are reached before an attacker has sent enough requests to measure it. \
         The user is the same in every row. Without the limits, this user has some thousands more earlier requests in each row, which a write has to read; with the \
         limits, there are five an hour. This is the probable reason for most of `< 0.001` in the rows that request a code.\n",
    );
    page
}

fn probability(p: f64) -> String {
    match p {
        p if p < 0.001 => String::from("< 0.001"),
        p => format!("{p:.3}"),
    }
}
