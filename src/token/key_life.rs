//! The life of a signing key, as rules over values: when the next key is published, when it becomes current, and
//! when a retired key is removed.
//!
//! A verifier that caches the key set must have received a key before it signs, and must still have it when the
//! last token that it signed expires. So a key is *next* (published), then *current* (it signs), then *retired*
//! (still published), then removed. Each algorithm has one current key and at most one next key.

use vestibule_protocol::words;

use crate::algorithm::Algorithm;
use crate::moment::Moment;

words! {
    /// Where a key is in its life.
    pub enum KeyState {
        /// It signs.
        Current = "current",
        /// It is published and will sign.
        Next = "next",
        /// It no longer signs; what it signed still verifies.
        Retired = "retired",
    }
}

/// The metadata of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// `kid`: the JWK thumbprint (RFC 7638).
    pub id: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// When it was created and published.
    pub created_at: Moment,
    /// When it started to sign.
    pub activated_at: Option<Moment>,
    /// When it stopped signing.
    pub retired_at: Option<Moment>,
}

impl KeyRecord {
    /// When a retired key is removed from the key set.
    pub fn ends_at(&self) -> Option<Moment> {
        self.retired_at.map(|at| at.plus_seconds(KEPT_SECONDS))
    }

    /// When its state ends by the rules alone; `None` for a current key without a maximum age.
    pub fn until(&self, rules: KeyRules) -> Option<Moment> {
        match self.state {
            KeyState::Current => {
                let since = self.activated_at.unwrap_or(self.created_at);
                rules
                    .rotate_after_seconds
                    .map(|seconds| since.plus_seconds(seconds))
            }
            KeyState::Next => Some(self.created_at.plus_seconds(rules.publish_before_seconds)),
            KeyState::Retired => self.ends_at(),
        }
    }
}

/// The maximum ages of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// How long a key signs, in seconds; `None`: until an administrator rotates it.
    pub rotate_after_seconds: Option<i64>,
    /// How long a key is published before it signs, in seconds.
    pub publish_before_seconds: i64,
}

impl Default for KeyRules {
    /// 90 days, and one day.
    fn default() -> Self {
        KeyRules {
            rotate_after_seconds: Some(90 * 86_400),
            publish_before_seconds: 86_400,
        }
    }
}

/// A step in the life of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// A next key becomes the current one, and the current one retires.
    Activate {
        /// The next key.
        id: String,
    },
    /// A next key is created.
    Publish {
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// A key is removed; a current one only in the same step in which the next key becomes current.
    Remove {
        /// The id of the key.
        id: String,
    },
}

/// The steps that are due.
///
/// A next key becomes current once it has been published for as long as the rules require, whether the age of the
/// current key or an administrator created it. An algorithm without a key gets one at once.
pub fn due(keys: &[KeyRecord], rules: KeyRules, at: Moment) -> Vec<KeyStep> {
    let mut steps = Vec::new();
    for algorithm in Algorithm::ALL {
        match (current(keys, algorithm), next(keys, algorithm)) {
            (current, Some(next)) => {
                let is_known = next.until(rules).is_some_and(|until| until <= at);
                if is_known || current.is_none() {
                    let id = next.id.clone();
                    steps.push(KeyStep::Activate { id });
                }
            }
            (Some(current), None) if !is_old(current, rules, at) => {}
            (_, None) => steps.push(KeyStep::Publish { algorithm }),
        }
    }
    let ended = keys
        .iter()
        .filter(|key| key.state == KeyState::Retired && key.ends_at().is_some_and(|end| end <= at));
    steps.extend(ended.map(|key| KeyStep::Remove { id: key.id.clone() }));
    steps
}

/// Whether a step is possible in the present state.
pub fn is_possible(keys: &[KeyRecord], step: &KeyStep) -> bool {
    let find = |id: &str| keys.iter().find(|key| key.id == id);
    match step {
        KeyStep::Activate { id } => find(id).is_some_and(|key| key.state == KeyState::Next),
        KeyStep::Publish { algorithm } => next(keys, *algorithm).is_none(),
        KeyStep::Remove { id } => find(id).is_some_and(|key| {
            key.state != KeyState::Current || next(keys, key.algorithm).is_some()
        }),
    }
}

/// The current key of an algorithm.
pub fn current(keys: &[KeyRecord], algorithm: Algorithm) -> Option<&KeyRecord> {
    in_state(keys, algorithm, KeyState::Current)
}

/// The next key of an algorithm.
pub fn next(keys: &[KeyRecord], algorithm: Algorithm) -> Option<&KeyRecord> {
    in_state(keys, algorithm, KeyState::Next)
}

fn in_state(keys: &[KeyRecord], algorithm: Algorithm, state: KeyState) -> Option<&KeyRecord> {
    keys.iter()
        .find(|key| key.algorithm == algorithm && key.state == state)
}

/// Whether the successor of a key is due to be published.
fn is_old(current: &KeyRecord, rules: KeyRules, at: Moment) -> bool {
    let until = current.until(rules);
    until.is_some_and(|until| until.plus_seconds(-rules.publish_before_seconds) <= at)
}

/// How long a retired key is kept: the longest lifetime that a policy gives a token, 24 hours, and an hour for
/// nodes that have not yet reloaded and for clocks that are behind.
const KEPT_SECONDS: i64 = 25 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn key(id: &str, state: KeyState, since: i64) -> KeyRecord {
        let moment = at(since);
        KeyRecord {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            state,
            created_at: moment,
            activated_at: (state == KeyState::Current).then_some(moment),
            retired_at: (state == KeyState::Retired).then_some(moment),
        }
    }

    /// The steps for RS256; the other algorithms have a key without a maximum age.
    fn steps(keys: &[KeyRecord], rules: KeyRules, seconds: i64) -> Vec<KeyStep> {
        let mut all = keys.to_vec();
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
            let young = key(algorithm.as_str(), KeyState::Current, seconds);
            all.push(KeyRecord { algorithm, ..young });
        }
        due(&all, rules, at(seconds))
    }

    #[test]
    fn a_key_is_published_signs_retires_and_is_removed() {
        let rules = KeyRules::default();
        let publish = || {
            vec![KeyStep::Publish {
                algorithm: Algorithm::RS256,
            }]
        };
        let activate = |id: &str| vec![KeyStep::Activate { id: id.to_owned() }];
        let remove = |id: &str| vec![KeyStep::Remove { id: id.to_owned() }];
        let old = || key("a", KeyState::Current, 0);
        assert_eq!(steps(&[old()], rules, 89 * DAY - 1), []);
        assert_eq!(steps(&[old()], rules, 89 * DAY), publish());
        let both = [old(), key("b", KeyState::Next, 89 * DAY)];
        assert_eq!(steps(&both, rules, 90 * DAY - 1), []);
        assert_eq!(steps(&both, rules, 90 * DAY), activate("b"));
        let both = [
            key("a", KeyState::Retired, 90 * DAY),
            key("b", KeyState::Current, 90 * DAY),
        ];
        assert_eq!(steps(&both, rules, 91 * DAY + HOUR - 1), []);
        assert_eq!(steps(&both, rules, 91 * DAY + HOUR), remove("a"));
    }

    #[test]
    fn a_key_that_was_asked_for_takes_over_whatever_the_age_of_the_other() {
        let never = KeyRules {
            rotate_after_seconds: None,
            publish_before_seconds: HOUR,
        };
        let keys = [
            key("a", KeyState::Current, 0),
            key("b", KeyState::Next, DAY),
        ];
        assert_eq!(steps(&keys[..1], never, 10_000 * DAY), []);
        assert_eq!(steps(&keys, never, DAY + HOUR - 1), []);
        assert_eq!(
            steps(&keys, never, DAY + HOUR),
            [KeyStep::Activate { id: "b".into() }]
        );
    }

    #[test]
    fn an_algorithm_without_a_key_gets_one_at_once() {
        let rules = KeyRules::default();
        assert_eq!(
            steps(&[], rules, 0),
            [KeyStep::Publish {
                algorithm: Algorithm::RS256
            }]
        );
        let fresh = [key("b", KeyState::Next, 0)];
        assert_eq!(
            steps(&fresh, rules, 0),
            [KeyStep::Activate { id: "b".into() }]
        );
    }

    #[test]
    fn a_current_key_is_removed_only_when_another_can_replace_it() {
        let remove = KeyStep::Remove { id: "a".into() };
        let current = key("a", KeyState::Current, 0);
        assert!(!is_possible(std::slice::from_ref(&current), &remove));
        assert!(is_possible(
            &[current.clone(), key("b", KeyState::Next, 0)],
            &remove
        ));
        assert!(is_possible(&[key("a", KeyState::Retired, 0)], &remove));
        assert!(is_possible(&[key("a", KeyState::Next, 0)], &remove));
        assert!(!is_possible(&[], &remove));
        assert!(!is_possible(
            &[current],
            &KeyStep::Activate { id: "a".into() }
        ));
    }
}
