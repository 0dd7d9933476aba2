//! The rate limiter: token buckets in the memory of this process, taken from before anything is looked up.
//!
//! The buckets keep one caller from using up the capacity that all callers share. They do not depend on
//! accounts, so unknown and known users are limited alike (threat ENU-07), and they end with the process:
//! what protects an account is counted in the store (`store::tally`).
//!
//! A bucket is one number, the instant at which it will be full again (the generic cell rate
//! algorithm). A refused request takes nothing, so that the `Retry-After` of its answer is right.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::prefix::prefix_of;
use super::rule::{Per, Rule, Surface};
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::refusal::Refusal;

/// Number of locks, so that requests seldom wait for each other.
const SHARDS: usize = 16;

/// Buckets of one shard. A bucket takes some 32 bytes, so all of them stay below 4 MB.
const BUCKETS_PER_SHARD: usize = 8_192;

/// What is known of a request before anything is looked up. A rule that needs a missing key does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'k> {
    /// Its address; `None` for an authenticated backend.
    pub ip: Option<IpAddr>,
    /// The client id that it names.
    pub client: Option<&'k str>,
    /// Record id of the site.
    pub site: Option<&'k str>,
    /// The username that it names, in the compared form.
    pub target: Option<&'k str>,
}

/// The buckets of this process.
pub struct RateLimiter {
    rules: Vec<Rule>,
    metrics: Arc<Metrics>,
    /// Keys are hashed with a secret of the process: no caller can make two keys collide, and no address
    /// is kept in memory.
    hasher: RandomState,
    shards: [Mutex<Buckets>; SHARDS],
}

/// When each bucket will be full again, in microseconds since the epoch.
type Buckets = HashMap<u64, i64>;

impl RateLimiter {
    /// Buckets that are all full.
    pub fn new(rules: Vec<Rule>, metrics: Arc<Metrics>) -> RateLimiter {
        RateLimiter {
            rules,
            metrics,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes one request out of every bucket that it falls into, or out of none.
    ///
    /// # Refusals
    /// `RateLimited`, with the time after which the bucket that was empty holds a request again.
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

    /// Refunds a request whose credentials were right to the buckets of its address. Its caller does not guess,
    /// and many users may share an address.
    pub fn give_back(&self, surface: Surface, keys: &Keys<'_>, at: Moment) {
        let now = micros(at);
        for (bucket, rule) in self.buckets(surface, keys) {
            if rule.per.is_by_address() {
                self.refund(bucket, rule, now);
            }
        }
    }

    /// How many buckets are kept.
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

    /// Takes one request from a bucket; or the microseconds until the bucket holds one.
    fn charge(&self, bucket: u64, rule: &Rule, now: i64) -> Result<(), i64> {
        let interval = rule.interval_micros();
        let room = interval * i64::from(rule.burst());
        let mut buckets = self.shard(bucket);
        // A bucket cannot lack more than it holds, unless the clock was set back since. Then it counts as
        // empty now: it neither stays empty until the old time nor is full at once (LOCK-09).
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

/// The key by which requests share a bucket; `None` where the rule does not apply to the request.
fn key<'k>(per: Per, keys: &Keys<'k>) -> Option<(Option<IpAddr>, &'k str)> {
    let prefix = keys.ip.map(prefix_of);
    match per {
        Per::Client => Some((None, keys.client?)),
        Per::IpPrefix => Some((Some(prefix?), "")),
        // All requests without a client id share one bucket.
        Per::IpPrefixAndClient => Some((Some(prefix?), keys.client.unwrap_or_default())),
        Per::IpPrefixAndUsername => Some((Some(prefix?), keys.target?)),
        Per::Site => Some((None, keys.site?)),
        Per::Target => Some((None, keys.target?)),
    }
}

/// Drops the buckets that are full again, and if that is not enough the quarter that will be full first.
/// A caller that sends many new keys causes those to be dropped, and not the buckets in use.
fn make_room(buckets: &mut Buckets, now: i64) {
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() < BUCKETS_PER_SHARD * 3 / 4 {
        return;
    }
    let mut instants: Vec<i64> = buckets.values().copied().collect();
    let (_, quarter, _) = instants.select_nth_unstable(BUCKETS_PER_SHARD / 4);
    let quarter = *quarter;
    let mut surplus = BUCKETS_PER_SHARD / 4;
    // Of buckets that will be full at the same instant, only as many are dropped as must be.
    buckets.retain(|_, full_at| {
        let goes = *full_at <= quarter && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
}

fn micros(at: Moment) -> i64 {
    at.millis().saturating_mul(1_000)
}

/// A thread that panicked while it had the lock left no bucket half written.
fn lock(shard: &Mutex<Buckets>) -> MutexGuard<'_, Buckets> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
