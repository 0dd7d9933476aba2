//! The edge: token buckets in this process, before anything is looked up.
//!
//! They keep one caller from taking what belongs to all. They know nothing of accounts, so that an
//! unknown user is limited as a known one (threat ENU-07), and they are forgotten with the process:
//! what protects an account is counted in the store (`store::tally`).
//!
//! A bucket is one number, the instant at which it will be full again (the generic cell rate
//! algorithm). A request that is refused takes nothing, so that the time to come back is true.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::prefix::prefix_of;
use super::rule::{Per, Rule, Surface};
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::refusal::Refusal;

/// Locks, so that requests seldom wait for each other.
const SHARDS: usize = 16;

/// Buckets of one shard. A bucket takes some 32 bytes, so all of them stay below 4 MB.
const BUCKETS_PER_SHARD: usize = 8_192;

/// What is known of a request at the door. A rule that needs what is missing does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'k> {
    /// Where it came from; `None` for a caller that has proved itself.
    pub ip: Option<IpAddr>,
    /// The client that it speaks for.
    pub client: Option<&'k str>,
    /// Record id of the site.
    pub site: Option<&'k str>,
    /// The username that it names, in the compared form.
    pub target: Option<&'k str>,
}

/// The buckets of this process.
pub struct Edge {
    rules: Vec<Rule>,
    metrics: Arc<Metrics>,
    /// Keys are hashed with a secret of the process: nobody outside can make two of them meet, and
    /// no address lies about in memory.
    hasher: RandomState,
    shards: [Mutex<Buckets>; SHARDS],
}

/// Until when each bucket lacks something, in microseconds since the epoch.
type Buckets = HashMap<u64, i64>;

impl Edge {
    /// Buckets that are all full.
    pub fn new(rules: Vec<Rule>, metrics: Arc<Metrics>) -> Edge {
        Edge {
            rules,
            metrics,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes one request out of every bucket that it falls into, or out of none.
    ///
    /// # Refusals
    /// `RateLimited`, with the time after which this bucket has one again.
    pub fn take(&self, surface: Surface, keys: &Keys<'_>, at: Moment) -> Result<(), Refusal> {
        let now = micros(at);
        for (index, (bucket, rule)) in self.buckets(surface, keys).enumerate() {
            let Err(wait) = self.charge(bucket, rule, now) else {
                continue;
            };
            for (bucket, rule) in self.buckets(surface, keys).take(index) {
                self.refund(bucket, rule, now);
            }
            self.metrics.rate_limited(surface.as_str());
            return Err(Refusal::RateLimited {
                retry_after_seconds: wait.saturating_add(999_999).div_euclid(1_000_000).max(1),
            });
        }
        Ok(())
    }

    /// Gives back to the buckets of the caller's address what a request has taken that then proved
    /// itself: who knows the password or the code does not guess, and many such may share an address.
    pub fn give_back(&self, surface: Surface, keys: &Keys<'_>, at: Moment) {
        let now = micros(at);
        for (bucket, rule) in self.buckets(surface, keys) {
            if rule.per.is_by_address() {
                self.refund(bucket, rule, now);
            }
        }
    }

    /// How many buckets are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether every bucket is full.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buckets that a request falls into, with their rules.
    fn buckets<'e>(
        &'e self,
        surface: Surface,
        keys: &'e Keys<'_>,
    ) -> impl Iterator<Item = (u64, &'e Rule)> {
        let covering = self.rules.iter().enumerate();
        covering
            .filter(move |(_, rule)| rule.covers(surface))
            .filter_map(move |(index, rule)| {
                let key = key(rule.per, keys)?;
                Some((self.hasher.hash_one((index, key)), rule))
            })
    }

    /// Takes one; or the microseconds until there is one.
    fn charge(&self, bucket: u64, rule: &Rule, now: i64) -> Result<(), i64> {
        let interval = rule.interval_micros();
        let room = interval * i64::from(rule.burst());
        let mut buckets = self.shard(bucket);
        // A bucket cannot lack more than it holds, unless the clock was set back since: then it is
        // empty now, and neither stays closed until the old time nor opens at once (LOCK-09).
        let lacking = buckets.get(&bucket).map_or(0, |full_at| full_at - now);
        let lacking = lacking.clamp(0, room);
        if lacking + interval > room {
            buckets.insert(bucket, now + lacking);
            return Err(lacking + interval - room);
        }
        if buckets.len() >= BUCKETS_PER_SHARD && !buckets.contains_key(&bucket) {
            make_room(&mut buckets, now);
        }
        buckets.insert(bucket, now + lacking + interval);
        Ok(())
    }

    fn refund(&self, bucket: u64, rule: &Rule, now: i64) {
        let mut buckets = self.shard(bucket);
        if let Some(full_at) = buckets.get_mut(&bucket) {
            *full_at -= rule.interval_micros();
            if *full_at <= now {
                buckets.remove(&bucket);
            }
        }
    }

    fn shard(&self, bucket: u64) -> MutexGuard<'_, Buckets> {
        lock(&self.shards[(bucket % SHARDS as u64) as usize])
    }
}

/// The words by which a request shares a bucket; `None` where the rule says nothing about it.
fn key<'k>(per: Per, keys: &Keys<'k>) -> Option<(Option<IpAddr>, &'k str)> {
    let prefix = keys.ip.map(prefix_of);
    match per {
        Per::Client => Some((None, keys.client?)),
        Per::IpPrefix => Some((Some(prefix?), "")),
        // All that names no client, or not its own, shares one.
        Per::IpPrefixAndClient => Some((Some(prefix?), keys.client.unwrap_or_default())),
        Per::IpPrefixAndUsername => Some((Some(prefix?), keys.target?)),
        Per::Site => Some((None, keys.site?)),
        Per::Target => Some((None, keys.target?)),
    }
}

/// Forgets the buckets that are full again, and if that is not enough the quarter that is nearest to
/// it. Who floods the door with keys that were never seen loses those, and not the ones that matter.
fn make_room(buckets: &mut Buckets, now: i64) {
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() < BUCKETS_PER_SHARD * 3 / 4 {
        return;
    }
    let mut instants: Vec<i64> = buckets.values().copied().collect();
    let (_, quarter, _) = instants.select_nth_unstable(BUCKETS_PER_SHARD / 4);
    let quarter = *quarter;
    let mut surplus = BUCKETS_PER_SHARD / 4;
    // Of many that are equally near, only as many go as must.
    buckets.retain(|_, full_at| {
        let goes = *full_at <= quarter && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
}

fn micros(at: Moment) -> i64 {
    at.millis().saturating_mul(1_000)
}

/// A thread that panicked left whole numbers behind.
fn lock(shard: &Mutex<Buckets>) -> MutexGuard<'_, Buckets> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
