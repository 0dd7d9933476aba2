//! Stored hashes: the PHC string of Argon2id, and the accepted parameters of an imported one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{SALT_BYTES, TAG_BYTES};

/// The cost of one Argon2id hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Params {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Params {
    pub(super) const CURRENT: Params = Params {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The limits for hashes from elsewhere: an imported row must not be able to exhaust the machine.
    pub(super) fn are_bearable(&self) -> bool {
        (1..=LANES_MAX).contains(&self.lanes)
            && (8 * self.lanes..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && self.passes >= 1
            && u64::from(self.memory_kib) * u64::from(self.passes) <= WORK_KIB_MAX
    }
}

/// A stored hash: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, both in unpadded base64.
pub(super) struct Phc {
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: [u8; TAG_BYTES],
}

impl Phc {
    /// Parses exactly the form that `Display` writes, with any accepted parameters.
    pub(super) fn parse(text: &str) -> Option<Phc> {
        let rest = text.strip_prefix("$argon2id$v=19$")?;
        let mut fields = rest.split('$');
        let (costs, salt, tag) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let mut costs = costs.split(',');
        let mut cost = |name: &str| decimal(costs.next()?.strip_prefix(name)?);
        let params = Params {
            memory_kib: cost("m=")?,
            passes: cost("t=")?,
            lanes: cost("p=")?,
        };
        if costs.next().is_some() || !params.are_bearable() {
            return None;
        }
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        if !(SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&salt.len()) {
            return None;
        }
        let tag = STANDARD_NO_PAD.decode(tag).ok()?.try_into().ok()?;
        Some(Phc { params, salt, tag })
    }

    pub(super) fn is_current(&self) -> bool {
        self.params == Params::CURRENT && self.salt.len() == SALT_BYTES
    }
}

impl fmt::Display for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Params {
            memory_kib,
            passes,
            lanes,
        } = self.params;
        let (salt, tag) = (
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(self.tag),
        );
        write!(
            f,
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${tag}"
        )
    }
}

/// A decimal number in its only spelling: digits, no sign, no leading zero.
fn decimal(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then(|| text.parse().ok())?
}

/// The minimum of Argon2.
const SALT_BYTES_MIN: usize = 8;
const SALT_BYTES_MAX: usize = 64;
const LANES_MAX: u32 = 16;
/// 256 MiB for one imported hash, at most one per hashing thread.
const MEMORY_KIB_MAX: u32 = 262_144;
/// Memory times passes: about 27 hashes with the current parameters, just over a tenth of a second.
const WORK_KIB_MAX: u64 = 1_048_576;
