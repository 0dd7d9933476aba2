//! Password hashing: Argon2id on threads of its own.
//!
//! Owns the Argon2id parameters, the PHC strings in which tags are stored, the hashing threads with one memory arena
//! each, and the bounded queue in front of them. One hash fills 19 MiB and keeps a core busy for milliseconds, so it
//! never runs on a thread that serves requests, and what does not fit into the queue is turned away at once.
//!
//! It leaves to `identity::password` what a password may be and how it is normalised: the bytes that arrive here are
//! hashed as they are. It leaves to the caller where salts come from (entropy is a value) and what `Busy` looks like on
//! the wire (503 with `Retry-After`).
//!
//! Two implementations stand behind one function, `tag`: a SIMD one, and with the cargo feature `portable-argon2` the
//! portable one. The tests hold them equal.
//!
//! Carries out RFC 9106 (Argon2id, version 0x13) and the PHC string format.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use vestibule_protocol::secret::Secret;

use crate::moment::Stopwatch;

#[cfg(not(feature = "portable-argon2"))]
use self::fast as engine;
#[cfg(feature = "portable-argon2")]
use self::portable as engine;

/// The hashing threads and their queue. Cheap to share behind an `Arc`; dropping it ends and joins the threads.
pub struct Hasher {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// The queue is full, or the hashing broke off. Nothing was decided about the password: ask again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password-hashing queue is full")]
pub struct Busy;

/// What a comparison against a stored hash found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The password matches, but its hash was made with parameters that are no longer current: hash it again now, while
    /// the password is at hand. Never set when the password does not match.
    pub needs_rehash: bool,
}

impl Hasher {
    /// Starts `threads` hashing threads behind a queue of `queue` waiting jobs; at least one of each.
    ///
    /// Each thread holds an arena of 19 MiB from its start on. More threads than cores only cost memory.
    pub fn start(threads: usize, queue: usize) -> Hasher {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                is_closed: false,
            }),
            arrived: Condvar::new(),
            capacity: queue.max(1),
            begun: AtomicU64::new(0),
            busy_micros: AtomicU64::new(0),
        });
        let threads = (0..threads.max(1))
            .map(|number| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("hashing-{number}"))
                    .spawn(move || work(&shared))
                    .expect("the operating system grants a thread at start")
            })
            .collect();
        Hasher { shared, threads }
    }

    /// Hashes a password with the current parameters into a PHC string.
    ///
    /// `password` is already prepared (`identity::password::prepare`); `salt` is 16 fresh random bytes.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full.
    ///
    /// Source: RFC 9106 section 4; OWASP Password Storage Cheat Sheet (m=19456 KiB, t=2, p=1).
    pub async fn hash(&self, password: Secret, salt: [u8; SALT_BYTES]) -> Result<String, Busy> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Hash {
            password,
            salt,
            reply,
        })?;
        answer.await.map_err(|_| Busy)
    }

    /// Compares a password with a stored PHC string in constant time.
    ///
    /// A string that cannot be read never matches, is logged as our fault, and costs as much as a real comparison.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full.
    pub async fn verify(&self, password: Secret, phc: String) -> Result<Verification, Busy> {
        self.compare(password, Some(phc)).await
    }

    /// Does the work of [`Hasher::verify`] for a user who does not exist or has no password, and never matches.
    ///
    /// Without it the time of the answer would tell a stranger which accounts exist.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full, exactly as for a user who exists.
    pub async fn verify_dummy(&self, password: Secret) -> Result<Verification, Busy> {
        self.compare(password, None).await
    }

    /// Jobs that wait for a thread; those being hashed right now are not counted.
    pub fn depth(&self) -> usize {
        self.shared.queue().waiting.len()
    }

    /// Hashes begun since the start, comparisons included and jobs skipped for an absent caller left out.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// How long the threads have been at it, in seconds, all of them together. On a machine with
    /// idle cores this is CPU time.
    pub fn busy_seconds(&self) -> f64 {
        self.shared.busy_micros.load(Ordering::Relaxed) as f64 / 1e6
    }

    async fn compare(&self, password: Secret, phc: Option<String>) -> Result<Verification, Busy> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Verify {
            password,
            phc,
            reply,
        })?;
        answer.await.map_err(|_| Busy)
    }

    fn enqueue(&self, job: Job) -> Result<(), Busy> {
        let mut queue = self.shared.queue();
        if queue.waiting.len() >= self.shared.capacity {
            // Callers who hung up must not keep others out.
            queue.waiting.retain(|job| !job.is_abandoned());
        }
        if queue.waiting.len() >= self.shared.capacity {
            return Err(Busy);
        }
        queue.waiting.push_back(job);
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A job's panic is caught inside the loop, so there is nothing to learn from the result.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("threads", &self.threads.len())
            .field("depth", &self.depth())
            .finish()
    }
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    capacity: usize,
    begun: AtomicU64,
    busy_micros: AtomicU64,
}

struct Queue {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic runs under this lock, so a poisoned queue is still a whole one.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` when the hasher is being dropped, whose waiting callers are gone by then.
    fn take(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.waiting.pop_front() {
                return Some(job);
            }
            queue = self
                .arrived
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

enum Job {
    Hash {
        password: Secret,
        salt: [u8; SALT_BYTES],
        reply: oneshot::Sender<String>,
    },
    Verify {
        password: Secret,
        phc: Option<String>,
        reply: oneshot::Sender<Verification>,
    },
    #[cfg(test)]
    Errand(Box<dyn FnOnce() + Send>),
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Job::Hash { reply, .. } => reply.is_closed(),
            Job::Verify { reply, .. } => reply.is_closed(),
            #[cfg(test)]
            Job::Errand(_) => false,
        }
    }
}

/// The life of one hashing thread.
fn work(shared: &Shared) {
    let mut arena = engine::Arena::reserve();
    while let Some(job) = shared.take() {
        if job.is_abandoned() {
            continue;
        }
        shared.begun.fetch_add(1, Ordering::Relaxed);
        let stopwatch = Stopwatch::start();
        if catch_unwind(AssertUnwindSafe(|| perform(job, &mut arena))).is_err() {
            // The reply was dropped with the job, so its caller sees `Busy`; the arena may be half written.
            tracing::error!("a password-hashing job panicked");
            arena = engine::Arena::reserve();
        }
        let micros = (stopwatch.seconds() * 1e6) as u64;
        shared.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

fn perform(job: Job, arena: &mut engine::Arena) {
    // A reply that nobody waits for any more is dropped; that is the caller's choice and no error.
    match job {
        Job::Hash {
            password,
            salt,
            reply,
        } => match engine::tag(password.expose().as_bytes(), &salt, &Params::CURRENT, arena) {
            Ok(tag) => drop(
                reply.send(
                    Phc {
                        params: Params::CURRENT,
                        salt: salt.to_vec(),
                        tag,
                    }
                    .to_string(),
                ),
            ),
            Err(fault) => tracing::error!(%fault, "a password could not be hashed"),
        },
        Job::Verify {
            password,
            phc,
            reply,
        } => match verify(password.expose().as_bytes(), phc.as_deref(), arena) {
            Ok(verification) => drop(reply.send(verification)),
            Err(fault) => tracing::error!(%fault, "a password could not be compared"),
        },
        #[cfg(test)]
        Job::Errand(errand) => errand(),
    }
}

fn verify(
    password: &[u8],
    phc: Option<&str>,
    arena: &mut engine::Arena,
) -> Result<Verification, HashingFault> {
    let stored = phc.and_then(|text| {
        let parsed = Phc::parse(text);
        if parsed.is_none() {
            tracing::error!("a stored password hash cannot be read");
        }
        parsed
    });
    let Some(stored) = stored else {
        engine::tag(password, &DUMMY_SALT, &Params::CURRENT, arena)?;
        return Ok(Verification {
            matches: false,
            needs_rehash: false,
        });
    };
    let computed = engine::tag(password, &stored.salt, &stored.params, arena)?;
    let matches = bool::from(computed.ct_eq(&stored.tag));
    Ok(Verification {
        matches,
        needs_rehash: matches && !stored.is_current(),
    })
}

/// The cost of one Argon2id hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Params {
    const CURRENT: Params = Params {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// Bounds for hashes that come from elsewhere: an imported row must not be able to exhaust the machine.
    fn are_bearable(&self) -> bool {
        (1..=LANES_MAX).contains(&self.lanes)
            && (8 * self.lanes..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && self.passes >= 1
            && u64::from(self.memory_kib) * u64::from(self.passes) <= WORK_KIB_MAX
    }
}

/// A stored hash: `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, both in unpadded base64.
struct Phc {
    params: Params,
    salt: Vec<u8>,
    tag: [u8; TAG_BYTES],
}

impl Phc {
    /// Reads exactly the form that `Display` writes, with any bearable parameters.
    fn parse(text: &str) -> Option<Phc> {
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

    fn is_current(&self) -> bool {
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

/// Hashing itself broke; never says anything about the password.
#[derive(Debug, thiserror::Error)]
#[error("argon2: {0}")]
struct HashingFault(String);

/// The SIMD implementation: picks AVX-512, AVX2, SSE2 or NEON when the process starts.
#[cfg(any(test, not(feature = "portable-argon2")))]
mod fast {
    use argon2_rust::params::{Memory, TagLen};
    use argon2_rust::{Algorithm, Argon2, Version};

    use super::{HashingFault, Params, TAG_BYTES};

    /// The memory of one hashing thread, kept mapped between hashes and wiped after each.
    pub(super) struct Arena(argon2_rust::Hasher);

    impl Arena {
        pub(super) fn reserve() -> Arena {
            let current = configured(&Params::CURRENT)
                .expect("the current parameters are within Argon2's limits");
            let mut hasher = current.hasher();
            if hasher.reserve().is_err() {
                tracing::warn!("no memory for a hashing arena yet; the first hash will ask again");
            }
            Arena(hasher)
        }
    }

    pub(super) fn tag(
        password: &[u8],
        salt: &[u8],
        params: &Params,
        arena: &mut Arena,
    ) -> Result<[u8; TAG_BYTES], HashingFault> {
        let hasher = &mut arena.0;
        hasher.set_argon2(configured(params)?);
        let mut tag = [0; TAG_BYTES];
        let outcome = hasher.hash_into(password, salt, &mut tag);
        if hasher.reserved_blocks() > Params::CURRENT.memory_kib as usize {
            // One old hash with a large memory must not keep that memory for the life of the thread.
            hasher.clear();
        }
        outcome.map_err(|fault| HashingFault(fault.to_string()))?;
        Ok(tag)
    }

    fn configured(params: &Params) -> Result<Argon2, HashingFault> {
        let params = argon2_rust::Params::builder()
            .memory(Memory::kib(params.memory_kib.into()))
            .passes(params.passes)
            .lanes(params.lanes)
            // The number of cores in use is decided by the number of hashing threads alone.
            .threads(1)
            .tag_len(TagLen::bytes(TAG_BYTES as u64))
            .build()
            .map_err(|fault| HashingFault(fault.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// The portable implementation: the reference in tests, and the way back should the SIMD one disappoint.
#[cfg(any(test, feature = "portable-argon2"))]
mod portable {
    use argon2::{Algorithm, Argon2, Block, Version};

    use super::{HashingFault, Params, TAG_BYTES};

    /// The memory of one hashing thread, kept mapped between hashes and wiped after each.
    pub(super) struct Arena(Vec<Block>);

    impl Arena {
        pub(super) fn reserve() -> Arena {
            Arena(vec![Block::default(); Params::CURRENT.memory_kib as usize])
        }
    }

    pub(super) fn tag(
        password: &[u8],
        salt: &[u8],
        params: &Params,
        arena: &mut Arena,
    ) -> Result<[u8; TAG_BYTES], HashingFault> {
        let broken = |fault: argon2::Error| HashingFault(fault.to_string());
        let params = argon2::Params::new(
            params.memory_kib,
            params.passes,
            params.lanes,
            Some(TAG_BYTES),
        );
        let params = params.map_err(broken)?;
        let blocks = params.block_count();
        if arena.0.len() < blocks {
            arena.0.resize(blocks, Block::default());
        }
        let memory = &mut arena.0[..blocks];
        let mut tag = [0; TAG_BYTES];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let outcome = argon2.hash_password_into_with_memory(password, salt, &mut tag, &mut *memory);
        memory.fill(Block::default());
        if arena.0.len() > Params::CURRENT.memory_kib as usize {
            // One old hash with a large memory must not keep that memory for the life of the thread.
            arena.0.truncate(Params::CURRENT.memory_kib as usize);
            arena.0.shrink_to_fit();
        }
        outcome.map_err(broken)?;
        Ok(tag)
    }
}

/// Salt of every new hash, in bytes (RFC 9106 section 3.1 recommends 16).
pub const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// The least that Argon2 accepts.
const SALT_BYTES_MIN: usize = 8;
const SALT_BYTES_MAX: usize = 64;
const LANES_MAX: u32 = 16;
/// 256 MiB for one imported hash, on each hashing thread at most.
const MEMORY_KIB_MAX: u32 = 262_144;
/// Memory times passes: about 27 of our own hashes, a tenth of a second and some.
const WORK_KIB_MAX: u64 = 1_048_576;
/// Salt of the comparisons that can only fail. Nothing is ever stored under it.
const DUMMY_SALT: [u8; SALT_BYTES] = *b"no such account!";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn both_implementations_print_the_tag_of_rfc_9106_section_5_3() {
        let expected = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b,
            0x53, 0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9,
            0x6b, 0x01, 0xe6, 0x59,
        ];
        let (password, salt, secret, data) = ([1; 32], [2; 16], [3; 8], [4; 12]);

        let params = argon2_rust::Params::builder()
            .memory(argon2_rust::params::Memory::kib(32))
            .passes(3)
            .lanes(4)
            .build()
            .unwrap();
        let mut fast = [0; 32];
        argon2_rust::Argon2::new(
            argon2_rust::Algorithm::Argon2id,
            argon2_rust::Version::V0x13,
            params,
        )
        .hasher()
        .hash_into_with_ad(&password, &salt, &secret, &data, &mut fast)
        .unwrap();
        assert_eq!(fast, expected);

        let mut params = argon2::ParamsBuilder::new();
        params
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&data).unwrap());
        let mut portable = [0; 32];
        argon2::Argon2::new_with_secret(
            &secret,
            argon2::Algorithm::Argon2id,
            argon2::Version::V0x13,
            params.build().unwrap(),
        )
        .unwrap()
        .hash_password_into(&password, &salt, &mut portable)
        .unwrap();
        assert_eq!(portable, expected);
    }

    #[test]
    fn both_implementations_agree_on_thousands_of_small_inputs() {
        let mut dice = Dice(1);
        let (mut fast, mut portable) = (fast::Arena::reserve(), portable::Arena::reserve());
        for _ in 0..3_000 {
            let lanes = dice.between(1, 4);
            let params = Params {
                memory_kib: dice.between(8 * lanes, 8 * lanes + 56),
                passes: dice.between(1, 3),
                lanes,
            };
            let length = dice.between(0, 200) as usize;
            let password = dice.bytes(length);
            let length = dice.between(8, 64) as usize;
            let salt = dice.bytes(length);
            assert_eq!(
                fast::tag(&password, &salt, &params, &mut fast).unwrap(),
                portable::tag(&password, &salt, &params, &mut portable).unwrap(),
                "{params:?}, password of {} bytes, salt of {} bytes",
                password.len(),
                salt.len(),
            );
        }
    }

    #[test]
    fn both_implementations_agree_at_full_size() {
        let mut dice = Dice(2);
        let (mut fast, mut portable) = (fast::Arena::reserve(), portable::Arena::reserve());
        let lengths = (0..=200).step_by(9).chain([127, 128, 129, 16_000]);
        for length in lengths {
            let (password, salt) = (dice.bytes(length), dice.bytes(SALT_BYTES));
            assert_eq!(
                fast::tag(&password, &salt, &Params::CURRENT, &mut fast).unwrap(),
                portable::tag(&password, &salt, &Params::CURRENT, &mut portable).unwrap(),
                "password of {length} bytes",
            );
        }
    }

    #[test]
    fn a_hash_with_more_memory_does_not_spoil_the_arena_for_the_next_one() {
        let large = Params {
            memory_kib: 32_768,
            passes: 1,
            lanes: 1,
        };
        let (mut fast, mut portable) = (fast::Arena::reserve(), portable::Arena::reserve());
        let mut previous = None;
        for params in [Params::CURRENT, large, Params::CURRENT] {
            let tag = fast::tag(b"correct horse", b"0123456789abcdef", &params, &mut fast).unwrap();
            assert_eq!(
                tag,
                portable::tag(
                    b"correct horse",
                    b"0123456789abcdef",
                    &params,
                    &mut portable
                )
                .unwrap()
            );
            if params == Params::CURRENT {
                assert_eq!(*previous.get_or_insert(tag), tag);
            }
        }
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let hasher = Hasher::start(1, 4);
        let phc = hasher.hash(secret("Sup3rSecret"), [7; 16]).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_eq!(
            hasher.verify(secret("Sup3rSecret"), phc.clone()).await,
            Ok(found(true, false))
        );
        assert_eq!(
            hasher.verify(secret("sup3rSecret"), phc.clone()).await,
            Ok(found(false, false))
        );
        assert_eq!(
            hasher.verify(secret(""), phc).await,
            Ok(found(false, false))
        );
        assert_eq!(hasher.begun(), 4);
    }

    // PWD-01: bcrypt would stop reading at byte 72.
    #[tokio::test]
    async fn passwords_that_differ_only_after_72_bytes_are_different() {
        let hasher = Hasher::start(1, 4);
        let prefix = "x".repeat(72);
        let phc = hasher
            .hash(secret(&format!("{prefix}1")), [7; 16])
            .await
            .unwrap();
        assert_eq!(
            hasher
                .verify(secret(&format!("{prefix}2")), phc.clone())
                .await,
            Ok(found(false, false))
        );
        assert_eq!(
            hasher.verify(secret(&prefix), phc).await,
            Ok(found(false, false))
        );
    }

    // PWD-02: all 16,000 bytes count; they enter Argon2 through one BLAKE2b pass, so the cost stays that of a short one.
    #[tokio::test]
    async fn a_password_of_16_000_bytes_counts_to_its_last_byte() {
        let hasher = Hasher::start(1, 4);
        let long = "é".repeat(8_000);
        let phc = hasher.hash(secret(&long), [7; 16]).await.unwrap();
        assert_eq!(
            hasher.verify(secret(&long), phc.clone()).await,
            Ok(found(true, false))
        );
        let other = format!("{}e", &long[..long.len() - 2]);
        assert_eq!(
            hasher.verify(secret(&other), phc).await,
            Ok(found(false, false))
        );
    }

    // PWD-09
    #[tokio::test]
    async fn an_old_hash_matches_and_asks_to_be_made_again() {
        let hasher = Hasher::start(1, 4);
        for old in [
            Params {
                memory_kib: 64,
                passes: 1,
                lanes: 1,
            },
            Params {
                memory_kib: 32_768,
                passes: 1,
                lanes: 1,
            },
            Params {
                memory_kib: 4_096,
                passes: 3,
                lanes: 4,
            },
        ] {
            let phc = stored(b"Sup3rSecret", &[9; 16], old);
            assert_eq!(
                hasher.verify(secret("Sup3rSecret"), phc.clone()).await,
                Ok(found(true, true)),
                "{phc}"
            );
            assert_eq!(
                hasher.verify(secret("wrong"), phc).await,
                Ok(found(false, false))
            );
        }
        let short_salt = stored(b"Sup3rSecret", &[9; 8], Params::CURRENT);
        assert_eq!(
            hasher.verify(secret("Sup3rSecret"), short_salt).await,
            Ok(found(true, true))
        );
    }

    // LOCK-10
    #[tokio::test]
    async fn a_user_who_does_not_exist_never_matches_but_is_hashed_for() {
        let hasher = Hasher::start(1, 4);
        for password in ["", "no such account!", "Sup3rSecret"] {
            assert_eq!(
                hasher.verify_dummy(secret(password)).await,
                Ok(found(false, false))
            );
        }
        assert_eq!(
            hasher.verify(secret("x"), "not a hash".to_owned()).await,
            Ok(found(false, false))
        );
        assert_eq!(hasher.begun(), 4);
    }

    // PWD-08
    #[tokio::test]
    async fn a_full_queue_answers_busy_at_once_and_recovers() {
        let hasher = Arc::new(Hasher::start(1, 2));
        let gate = stall(&hasher);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.verify_dummy(secret("x")).await })
            })
            .collect();
        while hasher.depth() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.verify_dummy(secret("x")).await, Err(Busy));
        assert_eq!(hasher.hash(secret("x"), [0; 16]).await, Err(Busy));
        gate.send(()).unwrap();
        for job in waiting {
            assert_eq!(job.await.unwrap(), Ok(found(false, false)));
        }
        assert_eq!(hasher.depth(), 0);
        assert!(hasher.verify_dummy(secret("x")).await.is_ok());
    }

    #[tokio::test]
    async fn jobs_whose_caller_has_gone_are_neither_hashed_nor_in_the_way() {
        let hasher = Arc::new(Hasher::start(1, 1));
        let gate = stall(&hasher);
        let abandoned = {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move { hasher.verify_dummy(secret("x")).await })
        };
        while hasher.depth() < 1 {
            tokio::task::yield_now().await;
        }
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        let patient = {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move { hasher.verify_dummy(secret("x")).await })
        };
        tokio::task::yield_now().await;
        gate.send(()).unwrap();
        assert_eq!(patient.await.unwrap(), Ok(found(false, false)));
        assert_eq!(hasher.begun(), 2, "the stall and the patient caller");
    }

    #[tokio::test]
    async fn a_panicking_job_does_not_take_its_thread_along() {
        let hasher = Hasher::start(1, 4);
        hasher
            .enqueue(Job::Errand(Box::new(|| panic!("on purpose"))))
            .unwrap();
        assert_eq!(
            hasher.verify_dummy(secret("x")).await,
            Ok(found(false, false))
        );
        assert_eq!(hasher.begun(), 2);
    }

    #[test]
    fn dropping_the_hasher_joins_its_threads() {
        let hasher = Hasher::start(3, 4);
        let shared = Arc::downgrade(&hasher.shared);
        drop(hasher);
        assert_eq!(shared.strong_count(), 0);
    }

    #[test]
    fn a_phc_string_is_read_only_in_the_form_it_is_written() {
        let text = stored(
            b"x",
            &[5; 16],
            Params {
                memory_kib: 64,
                passes: 2,
                lanes: 1,
            },
        );
        assert_eq!(Phc::parse(&text).unwrap().to_string(), text);
        for (from, to) in [
            ("$argon2id$", "$argon2i$"),
            ("$argon2id$", "argon2id$"),
            ("v=19", "v=16"),
            ("m=64", "m=+64"),
            ("m=64", "m=064"),
            ("m=64", "m=7"),
            ("m=64", "m=99999999999"),
            ("m=64,t=2", "t=2,m=64"),
            ("p=1", "p=0"),
            ("p=1", "p=17"),
            ("p=1", "p=1,data=AAAA"),
            ("t=2", "t=0"),
            ("t=2", "t=4000000000"),
            ("BQUFBQUFBQUFBQUFBQUFBQ", "BQUFBQ"),
            ("BQUFBQUFBQUFBQUFBQUFBQ", "BQUFBQUFBQUFBQUFBQUFBQ=="),
            ("BQUFBQUFBQUFBQUFBQUFBQ", ""),
        ] {
            let spoilt = text.replacen(from, to, 1);
            assert_ne!(spoilt, text, "{from}");
            assert!(Phc::parse(&spoilt).is_none(), "{spoilt}");
        }
        assert!(Phc::parse(&format!("{text}$")).is_none());
        assert!(Phc::parse(&text[..text.len() - 4]).is_none());
        assert!(Phc::parse("").is_none());
    }

    #[test]
    fn a_hash_made_elsewhere_is_readable() {
        // Password "password", salt "somesalt"; printed in the documentation of the PHC reference implementation's ports.
        let text =
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70";
        let found_there = verify(b"password", Some(text), &mut engine::Arena::reserve()).unwrap();
        assert_eq!(found_there, found(true, true));
    }

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    fn found(matches: bool, needs_rehash: bool) -> Verification {
        Verification {
            matches,
            needs_rehash,
        }
    }

    fn stored(password: &[u8], salt: &[u8], params: Params) -> String {
        let tag = portable::tag(password, salt, &params, &mut portable::Arena::reserve()).unwrap();
        Phc {
            params,
            salt: salt.to_vec(),
            tag,
        }
        .to_string()
    }

    /// Keeps the only thread of a hasher busy until the returned sender is used.
    fn stall(hasher: &Hasher) -> mpsc::Sender<()> {
        let (gate, closed) = mpsc::channel();
        let (begun, begin) = mpsc::channel();
        let errand = move || {
            begun.send(()).unwrap();
            closed.recv().unwrap();
        };
        hasher.enqueue(Job::Errand(Box::new(errand))).unwrap();
        begin.recv().unwrap();
        gate
    }

    /// A small deterministic generator (SplitMix64), so that a failure can be repeated.
    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn between(&mut self, low: u32, high: u32) -> u32 {
            low + (self.next() % u64::from(high - low + 1)) as u32
        }

        fn bytes(&mut self, length: usize) -> Vec<u8> {
            (0..length).map(|_| self.next() as u8).collect()
        }
    }
}
