//! Tallies: how often an event happened in each hour, for the limits that protect an account.
//!
//! They are counted in the write that they are about, so that they survive new codes, a restart and a change of
//! nodes. The limits and their consequences are values (`verification::GuessLimits`); this file counts.

use super::Transaction;
use super::known_network;
use super::statement::{bind, statements};
use super::turn::{self, Turn};
use crate::moment::Moment;
use crate::network::{Prefix, prefixes_of};
use crate::refusal::Fault;
use crate::verification::{GuessLimits, NETWORK_FAILURES_PER_HOUR, Origin, SprayLimit};

statements! {
    ADD = "INSERT INTO tally (subject, hour, count) VALUES ($1, $2, 1)
        ON CONFLICT (subject, hour) DO UPDATE SET count = tally.count + 1
        RETURNING count";
    COUNTS_SINCE = "SELECT count FROM tally WHERE subject = $1 AND hour >= $2";
    FORGET = "DELETE FROM tally WHERE subject = $1";
}

/// A tally's hour, in milliseconds.
const HOUR_MILLIS: i64 = 3_600_000;

/// The day of "failures per day", in seconds.
const DAY_SECONDS: i64 = 24 * 3_600;

/// The hour that contains an instant, counted from the epoch.
pub fn hour_of(at: Moment) -> i64 {
    at.millis().div_euclid(HOUR_MILLIS)
}

/// Increments the tally of a subject and returns the count of this hour.
pub async fn add(tx: &mut Transaction<'_>, subject: &str, at: Moment) -> Result<i64, Fault> {
    let count = tx.find(&ADD, bind![subject, hour_of(at)]).await?;
    Ok(count.unwrap_or(0))
}

/// The number of events since an instant, and of those earlier in the hour of that instant: a limit on it applies
/// to every window, and may apply for up to an hour longer than necessary.
pub async fn sum_since(
    tx: &mut Transaction<'_>,
    subject: &str,
    since: Moment,
) -> Result<i64, Fault> {
    // Added up here: the databases differ in the type of a SUM.
    let counts: Vec<i64> = tx
        .list(&COUNTS_SINCE, bind![subject, hour_of(since)])
        .await?;
    Ok(counts.iter().sum())
}

/// The comparison of a code that a request presents.
pub struct Guess<'a> {
    /// The user or address that the code was sent for.
    pub key: &'a str,
    /// The site and network of the request.
    pub origin: &'a Origin,
    /// Whether a backend with an access token presents the code.
    pub is_backend: bool,
    /// The limits of failed comparisons.
    pub limits: &'a GuessLimits,
    /// The time of the comparison.
    pub at: Moment,
}

/// Whether a code for this user or address may be compared at all. If not, it is refused like a wrong one, and
/// nothing is counted: the limit is on comparisons. Called in the write that spends the attempt, before the
/// comparison; on PostgreSQL, comparisons for one key are then serialised.
pub async fn may_compare(tx: &mut Transaction<'_>, guess: &Guess<'_>) -> Result<bool, Fault> {
    let (limits, at) = (guess.limits, guess.at);
    turn::take(tx, Turn::Guesses(guess.key), at).await?;
    let since = at.plus_seconds(-DAY_SECONDS);
    let failures = sum_since(tx, &failures_of(guess.key), since).await?;
    let is_below = failures < limits.of_other_networks()
        || failures < limits.failures_per_day && is_own_network(tx, guess).await?;
    Ok(is_below && !is_sprayed(tx, guess.origin, &limits.spray, at).await?)
}

/// Whether the code comes from a backend, or from a network from which the user has logged in before.
async fn is_own_network(tx: &mut Transaction<'_>, guess: &Guess<'_>) -> Result<bool, Fault> {
    if guess.is_backend {
        return Ok(true);
    }
    let network = guess.origin.network.to_string();
    known_network::is_known(tx, guess.key, &network).await
}

/// Counts a failed comparison, in the same write.
pub async fn comparison_failed(
    tx: &mut Transaction<'_>,
    guess: &Guess<'_>,
) -> Result<SiteFailures, Fault> {
    add(tx, &failures_of(guess.key), guess.at).await?;
    count_failure(tx, guess.origin, &guess.limits.spray, guess.at).await
}

/// Counts a failed authentication of a client at a site, and returns their number in this hour.
pub async fn client_failed(
    tx: &mut Transaction<'_>,
    site_id: &str,
    at: Moment,
) -> Result<i64, Fault> {
    add(tx, &format!("site:{site_id}:clients"), at).await
}

/// Deletes the failed comparisons for a user or address; true when there were any.
pub async fn forget_failures(tx: &mut Transaction<'_>, key: &str) -> Result<bool, Fault> {
    Ok(tx.execute(&FORGET, bind![&failures_of(key)]).await? > 0)
}

/// Whether the site is under a password-spray attack in which the network takes part, so that no more codes from
/// the network are compared this hour. Networks with fewer failures are not affected: otherwise an attack would
/// lock out all users of the site. On PostgreSQL, comparisons that are in progress at the threshold still complete.
pub async fn is_sprayed(
    tx: &mut Transaction<'_>,
    origin: &Origin,
    limit: &SprayLimit,
    at: Moment,
) -> Result<bool, Fault> {
    if !limit.is_refused {
        return Ok(false);
    }
    let of_site = sum_since(tx, &failures_at(origin, limit), at).await?;
    if of_site < limit.failures_per_hour {
        return Ok(false);
    }
    for prefix in prefixes_of(origin.network) {
        let of_network = sum_since(tx, &failures_from(origin, limit, prefix), at).await?;
        if of_network >= NETWORK_FAILURES_PER_HOUR * prefix.factor() as i64 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The failures of one kind at a site in this hour, after one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteFailures {
    /// Their number.
    pub count: i64,
    /// Whether the last one reached the site's threshold for a password-spray attack, which is so once per hour. The
    /// caller reports it after the commit.
    pub is_spray: bool,
}

/// Counts a failure for the site, and for the networks there that contain the address.
pub async fn count_failure(
    tx: &mut Transaction<'_>,
    origin: &Origin,
    limit: &SprayLimit,
    at: Moment,
) -> Result<SiteFailures, Fault> {
    // From the narrow to the wide, so that writes at the same time wait for each other in one order.
    for prefix in prefixes_of(origin.network) {
        add(tx, &failures_from(origin, limit, prefix), at).await?;
    }
    let count = add(tx, &failures_at(origin, limit), at).await?;
    Ok(SiteFailures {
        count,
        is_spray: count == limit.failures_per_hour,
    })
}

fn failures_of(key: &str) -> String {
    format!("guesses {key}")
}

fn failures_at(origin: &Origin, limit: &SprayLimit) -> String {
    format!("site:{}:{}", origin.site_id, limit.guessed.as_str())
}

fn failures_from(origin: &Origin, limit: &SprayLimit, prefix: Prefix) -> String {
    format!("{}:{prefix}", failures_at(origin, limit))
}
