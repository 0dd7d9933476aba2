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

use super::rule::{Per, Rule, Surface};
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::network::{Prefix, prefixes_of};
use crate::refusal::Refusal;

/// Number of locks, so that requests seldom wait for each other.
const SHARDS: usize = 16;

/// Buckets of one shard. A bucket takes some 32 bytes, so all of them stay below 4 MB.
const BUCKETS_PER_SHARD: usize = 8_192;

/// How many times the rate of a rule is given back for requests that succeeded. A caller whose credentials are right does
/// not guess, but it uses the server all the same.
const GIVEN_BACK: i64 = 4;

/// Which bucket of a site a request falls into, so that callers without credentials do not use up what others need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SiteShare {
    /// Authenticated backends.
    Backend,
    /// Guests.
    Guest,
    /// All others.
    #[default]
    Public,
}

/// What is known of a request before anything is looked up. A rule that needs a missing key does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'k> {
    /// Its address; `None` for an authenticated backend.
    pub ip: Option<IpAddr>,
    /// The client id that it names.
    pub client: Option<&'k str>,
    /// Record id of the site.
    pub site: Option<&'k str>,
    /// Which bucket of the site.
    pub share: SiteShare,
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
        for (index, bucket) in self.buckets(surface, keys).enumerate() {
            let Err(wait) = self.charge(&bucket, now) else {
                continue;
            };
            for bucket in self.buckets(surface, keys).take(index) {
                self.refund(&bucket, now);
            }
            for bucket in self.buckets(surface, keys).skip(index + 1) {
                self.note_clock(&bucket, now);
            }
            self.metrics.rate_limited(surface.as_str());
            return Err(Refusal::RateLimited {
                retry_after_seconds: wait.saturating_add(999_999).div_euclid(1_000_000).max(1),
            });
        }
        Ok(())
    }

    /// Refunds a request whose credentials were right to the buckets of its address. Its caller does not guess,
    /// and many users may share an address. At most four times the rate of a rule is refunded.
    pub fn give_back(&self, surface: Surface, keys: &Keys<'_>, at: Moment) {
        let now = micros(at);
        for bucket in self.buckets(surface, keys) {
            if !bucket.rule.per.is_by_address() {
                continue;
            }
            let given_back = Bucket {
                id: self.hasher.hash_one(("given back", bucket.id)),
                factor: bucket.factor * GIVEN_BACK,
                rule: bucket.rule,
            };
            if self.charge(&given_back, now).is_ok() {
                self.refund(&bucket, now);
            }
        }
    }

    /// Refunds a request that the server could not process to every bucket.
    pub fn cancel(&self, surface: Surface, keys: &Keys<'_>, at: Moment) {
        let now = micros(at);
        for bucket in self.buckets(surface, keys) {
            self.refund(&bucket, now);
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

    /// The buckets that a request falls into.
    fn buckets<'e>(
        &'e self,
        surface: Surface,
        keys: &'e Keys<'_>,
    ) -> impl Iterator<Item = Bucket<'e>> {
        let covering = self.rules.iter().enumerate();
        covering
            .filter(move |(_, rule)| rule.covers(surface))
            .flat_map(move |(index, rule)| {
                bucket_keys(rule.per, keys).map(move |(key, factor)| Bucket {
                    id: self.hasher.hash_one((index, key)),
                    rule,
                    factor,
                })
            })
    }

    /// Takes one request from a bucket; or the microseconds until the bucket holds one.
    fn charge(&self, bucket: &Bucket<'_>, now: i64) -> Result<(), i64> {
        let interval = bucket.interval_micros();
        let room = bucket.room_micros();
        let mut buckets = self.shard(bucket.id);
        // A bucket cannot lack more than it holds, unless the clock was set back since. Then it counts as
        // empty now: it neither stays empty until the old time nor is full at once (LOCK-09).
        let lacking = buckets.get(&bucket.id).map_or(0, |full_at| full_at - now);
        let lacking = lacking.clamp(0, room);
        if lacking + interval > room {
            buckets.insert(bucket.id, now + lacking);
            return Err(lacking + interval - room);
        }
        if buckets.len() >= BUCKETS_PER_SHARD && !buckets.contains_key(&bucket.id) {
            make_room(&mut buckets, now);
        }
        buckets.insert(bucket.id, now + lacking + interval);
        Ok(())
    }

    /// Treats a bucket that lacks more than it holds, because the clock was set back, as empty now.
    fn note_clock(&self, bucket: &Bucket<'_>, now: i64) {
        let empty = now + bucket.room_micros();
        if let Some(full_at) = self.shard(bucket.id).get_mut(&bucket.id) {
            *full_at = (*full_at).min(empty);
        }
    }

    fn refund(&self, bucket: &Bucket<'_>, now: i64) {
        let mut buckets = self.shard(bucket.id);
        if let Some(full_at) = buckets.get_mut(&bucket.id) {
            *full_at -= bucket.interval_micros();
            if *full_at <= now {
                buckets.remove(&bucket.id);
            }
        }
    }

    fn shard(&self, bucket: u64) -> MutexGuard<'_, Buckets> {
        lock(&self.shards[(bucket % SHARDS as u64) as usize])
    }
}

/// A bucket that a request falls into.
struct Bucket<'e> {
    id: u64,
    rule: &'e Rule,
    /// How many times as much as the rule says it holds, and fills.
    factor: i64,
}

impl Bucket<'_> {
    /// Microseconds after which it holds one more request.
    fn interval_micros(&self) -> i64 {
        (self.rule.interval_micros() / self.factor).max(1)
    }

    /// Microseconds after which it is full.
    fn room_micros(&self) -> i64 {
        self.interval_micros() * i64::from(self.rule.burst()) * self.factor
    }
}

/// The key by which requests share a bucket.
type BucketKey<'k> = (Option<Prefix>, &'k str, Option<SiteShare>);

/// The keys by which requests share buckets under a rule, each with the factor of its bucket; none where the rule does
/// not apply to the request. A rule by address has a bucket for each prefix of it.
fn bucket_keys<'k>(per: Per, keys: &Keys<'k>) -> impl Iterator<Item = (BucketKey<'k>, i64)> {
    let name = match per {
        Per::Client => keys.client,
        Per::IpPrefix => Some(""),
        // All requests without a client id share one bucket.
        Per::IpPrefixAndClient => Some(keys.client.unwrap_or_default()),
        Per::IpPrefixAndUsername | Per::Target => keys.target,
        Per::Site => keys.site,
    };
    let share = (per == Per::Site).then_some(keys.share);
    let ip = keys.ip.filter(|_| per.is_by_address());
    let prefixes = ip.map(prefixes_of).into_iter().flatten();
    let by_prefix = prefixes.map(|prefix| (Some(prefix), prefix.factor() as i64));
    let alone = (!per.is_by_address()).then_some((None, 1));
    by_prefix
        .chain(alone)
        .filter_map(move |(prefix, factor)| Some(((prefix, name?, share), factor)))
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
