//! Places: what callers share, connections or bytes of bodies, bounded in total and for each network prefix, so
//! that one network cannot take all of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::{Prefix, prefixes_of};

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceCaps {
    /// In total.
    pub total: usize,
    /// For an IPv4 address or an IPv6 /64; a wider prefix has a multiple of it ([`Prefix::factor`]).
    pub per_network: usize,
}

/// Why there is no place; the word is used in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// One of the caller's prefixes has all that it may have.
    Network,
    /// All are taken.
    Total,
}

impl Full {
    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Full::Network => "network",
            Full::Total => "total",
        }
    }
}

/// Places and who has them.
pub(super) struct Places {
    caps: PlaceCaps,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_prefix: HashMap<Prefix, usize>,
}

impl Places {
    /// Places that are all free.
    pub fn new(caps: PlaceCaps) -> Arc<Places> {
        Arc::new(Places {
            caps,
            taken: Mutex::default(),
        })
    }

    /// Takes places for a caller, until the returned value is dropped. `None` is a caller that is counted in total
    /// only: a trusted proxy, which has the connections of many.
    ///
    /// # Errors
    /// [`Full`]; then none is taken.
    pub fn take(self: &Arc<Self>, ip: Option<IpAddr>, count: usize) -> Result<TakenPlace, Full> {
        let prefixes: Vec<Prefix> = ip.map(prefixes_of).into_iter().flatten().collect();
        let mut taken = self.lock();
        if taken.total.saturating_add(count) > self.caps.total {
            return Err(Full::Total);
        }
        let has_room = |prefix: &Prefix| {
            let now = taken.by_prefix.get(prefix).copied().unwrap_or(0);
            let most = self.caps.per_network.saturating_mul(prefix.factor());
            now.saturating_add(count) <= most
        };
        if !prefixes.iter().all(has_room) {
            return Err(Full::Network);
        }
        taken.total += count;
        for prefix in &prefixes {
            *taken.by_prefix.entry(*prefix).or_default() += count;
        }
        drop(taken);
        Ok(TakenPlace {
            places: Arc::clone(self),
            prefixes,
            count,
        })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // No code that can panic runs under this lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places that are taken; dropping it frees them.
pub(super) struct TakenPlace {
    places: Arc<Places>,
    prefixes: Vec<Prefix>,
    count: usize,
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= self.count;
        for prefix in &self.prefixes {
            if let Some(now) = taken.by_prefix.get_mut(prefix) {
                *now -= self.count;
                if *now == 0 {
                    taken.by_prefix.remove(prefix);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn net_01_a_network_has_a_share_and_wider_ones_a_larger_one() {
        let places = Places::new(PlaceCaps {
            total: 100,
            per_network: 2,
        });
        let mut kept = Vec::new();
        for _ in 0..2 {
            kept.push(places.take(ip("192.0.2.1"), 1).ok().unwrap());
        }
        assert_eq!(places.take(ip("192.0.2.1"), 1).err(), Some(Full::Network));
        // The /24 has four times as many.
        for last in 2..8 {
            kept.push(places.take(ip(&format!("192.0.2.{last}")), 1).ok().unwrap());
        }
        assert_eq!(places.take(ip("192.0.2.9"), 1).err(), Some(Full::Network));
        kept.push(places.take(ip("192.0.3.9"), 1).ok().unwrap());
        // IPv6: two of a /64, four of a /56, eight of a /48.
        for (address, expected) in [
            ("2001:db8:1:1::1", None),
            ("2001:db8:1:1::2", None),
            ("2001:db8:1:1::3", Some(Full::Network)),
            ("2001:db8:1:2::1", None),
            ("2001:db8:1:3::1", None),
            ("2001:db8:1:4::1", Some(Full::Network)),
            ("2001:db8:1:100::1", None),
            ("2001:db8:1:200::1", None),
            ("2001:db8:1:300::1", None),
            ("2001:db8:1:400::1", None),
            ("2001:db8:1:500::1", Some(Full::Network)),
            ("2001:db8:2:1::1", None),
        ] {
            match places.take(ip(address), 1) {
                Ok(place) => kept.push(place),
                Err(full) => assert_eq!(Some(full), expected, "{address}"),
            }
            assert!(expected.is_some() || places.taken() == kept.len());
        }
        assert_eq!(kept.len(), 18);
        drop(kept);
        assert_eq!(places.taken(), 0);
        assert!(places.lock().by_prefix.is_empty());
    }

    #[test]
    fn the_total_bounds_also_those_who_have_no_network() {
        let places = Places::new(PlaceCaps {
            total: 3,
            per_network: 1,
        });
        let kept = [1, 2].map(|count| places.take(None, count).ok().unwrap());
        assert_eq!(places.take(ip("192.0.2.1"), 1).err(), Some(Full::Total));
        drop(kept);
        assert!(places.take(ip("192.0.2.1"), 1).is_ok());
    }
}
