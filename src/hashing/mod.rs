//! Password hashing: Argon2id on dedicated threads.
//!
//! This module owns the Argon2id parameters, the PHC strings in which tags are stored, the hashing threads with one
//! memory arena each, and their bounded queue. One hash fills 19 MiB and occupies a core for milliseconds, so it
//! never runs on a thread that serves requests, and a request is refused at once when the queue is full. The queue is
//! fair between networks and users (`queue`).
//!
//! The password policy and the normalisation are left to `identity::password`: the bytes that arrive here are
//! hashed unchanged. The source of salts (entropy is a value) and the wire form of `Busy` (503 with `Retry-After`)
//! are left to the caller.
//!
//! There are two implementations behind one function, `tag`: a SIMD one, and a portable one with the cargo feature
//! `portable-argon2`. The tests verify that they are equal.
//!
//! Implements RFC 9106 (Argon2id, version 0x13) and the PHC string format.

mod engines;
mod phc;
mod queue;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use vestibule_protocol::secret::Secret;

use crate::moment::Stopwatch;

use self::engines::HashingFault;
#[cfg(not(feature = "portable-argon2"))]
use self::engines::fast::{self as engine, SimdArena as Arena};
#[cfg(feature = "portable-argon2")]
use self::engines::portable::{self as engine, PortableArena as Arena};
use self::phc::{Params, Phc};
use self::queue::FairQueue;
pub use self::queue::QueueLine;

/// The hashing threads and their queue. Cheap to share behind an `Arc`; dropping it ends and joins the threads.
pub struct Hasher {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// The queue is full, or the hashing failed. The password was not judged: the caller may try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password-hashing queue is full")]
pub struct Busy;

/// Why a new password has no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewHashProblem {
    /// The queue is full.
    #[error("the server is too busy to hash passwords")]
    Busy,
    /// It is one of the passwords that the policy remembers.
    #[error("the password was used before")]
    UsedBefore,
}

impl From<Busy> for NewHashProblem {
    fn from(Busy: Busy) -> Self {
        NewHashProblem::Busy
    }
}

/// What a comparison against a stored hash found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether the password is the one that was hashed.
    pub matches: bool,
    /// The password matches, but its hash has parameters that are no longer current: the caller should hash it
    /// again now, while the password is available. Never set when the password does not match.
    pub needs_rehash: bool,
}

impl Hasher {
    /// Starts `threads` hashing threads behind a queue for `queue` jobs; at least one of each.
    ///
    /// Each thread has an arena of 19 MiB from its start. More threads than cores only cost memory.
    pub fn start(threads: usize, queue: usize) -> Hasher {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: FairQueue::new(),
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
    /// `password` is already normalised (`identity::password::prepare`); `salt` is 16 fresh random bytes.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full.
    ///
    /// Source: RFC 9106 section 4; OWASP Password Storage Cheat Sheet (m=19456 KiB, t=2, p=1).
    pub async fn hash(
        &self,
        line: QueueLine,
        password: Secret,
        salt: [u8; SALT_BYTES],
    ) -> Result<String, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = HashingJob::Hash {
            password,
            salt,
            reply,
        };
        self.enqueue(line, job)?;
        answer.await.map_err(|_| Busy)
    }

    /// Compares a password with a stored PHC string in constant time.
    ///
    /// An invalid string never matches, is logged as a fault of the server, and costs as much as a real comparison.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full.
    pub async fn verify(
        &self,
        line: QueueLine,
        password: Secret,
        phc: String,
    ) -> Result<Verification, Busy> {
        self.compare(line, password, Some(phc)).await
    }

    /// Whether a normalised password matches one of several PHC strings.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full.
    pub async fn matches_any(
        &self,
        line: &QueueLine,
        password: &Secret,
        phcs: impl Iterator<Item = &String>,
    ) -> Result<bool, Busy> {
        for phc in phcs {
            let compared = self
                .verify(line.clone(), password.clone(), phc.clone())
                .await?;
            if compared.matches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hashes a new password, unless it is that of one of the PHC strings that the policy remembers.
    ///
    /// # Refusals
    /// It was used before, or the queue is full.
    pub async fn hash_unless_used(
        &self,
        line: QueueLine,
        password: Secret,
        remembered: impl Iterator<Item = &String>,
        salt: [u8; SALT_BYTES],
    ) -> Result<String, NewHashProblem> {
        if self.matches_any(&line, &password, remembered).await? {
            return Err(NewHashProblem::UsedBefore);
        }
        Ok(self.hash(line, password, salt).await?)
    }

    /// Does the work of [`Hasher::verify`] for a user who does not exist or has no password, and never matches.
    ///
    /// Without it the response time would disclose to unauthenticated callers which accounts exist.
    ///
    /// # Refusals
    /// [`Busy`] when the queue is full, exactly as for a user who exists.
    pub async fn verify_dummy(
        &self,
        line: QueueLine,
        password: Secret,
    ) -> Result<Verification, Busy> {
        self.compare(line, password, None).await
    }

    /// Jobs that wait for a thread; running jobs are not counted.
    pub fn depth(&self) -> usize {
        self.shared.queue().waiting.len()
    }

    /// Hashes started since the start, including comparisons and without skipped jobs of absent callers.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// The total busy time of all threads, in seconds. On a machine with idle cores this is CPU time.
    pub fn busy_seconds(&self) -> f64 {
        self.shared.busy_micros.load(Ordering::Relaxed) as f64 / 1e6
    }

    async fn compare(
        &self,
        line: QueueLine,
        password: Secret,
        phc: Option<String>,
    ) -> Result<Verification, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = HashingJob::Verify {
            password,
            phc,
            reply,
        };
        self.enqueue(line, job)?;
        answer.await.map_err(|_| Busy)
    }

    fn enqueue(&self, line: QueueLine, job: HashingJob) -> Result<(), Busy> {
        let mut queue = self.shared.queue();
        if queue.waiting.len() >= self.shared.capacity {
            // Jobs of callers that have disconnected must not block others.
            queue.waiting.retain(|job| !job.is_abandoned());
        }
        let pushed = queue.waiting.push(line, job, self.shared.capacity);
        drop(queue);
        pushed.map_err(|_| Busy)?;
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A job's panic is caught inside the loop, so the result contains no information.
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
    waiting: FairQueue<HashingJob>,
    is_closed: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under this lock, so a poisoned queue is consistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` when the hasher is being dropped, which has no waiting callers.
    fn take(&self) -> Option<HashingJob> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(job) = queue.waiting.pop() {
                return Some(job);
            }
            queue = self
                .arrived
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

enum HashingJob {
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

impl HashingJob {
    fn is_abandoned(&self) -> bool {
        match self {
            HashingJob::Hash { reply, .. } => reply.is_closed(),
            HashingJob::Verify { reply, .. } => reply.is_closed(),
            #[cfg(test)]
            HashingJob::Errand(_) => false,
        }
    }
}

/// The main loop of a hashing thread.
fn work(shared: &Shared) {
    let mut arena = Arena::reserve();
    while let Some(job) = shared.take() {
        if job.is_abandoned() {
            continue;
        }
        shared.begun.fetch_add(1, Ordering::Relaxed);
        let stopwatch = Stopwatch::start();
        if catch_unwind(AssertUnwindSafe(|| perform(job, &mut arena))).is_err() {
            // The reply channel was dropped with the job, so its caller gets `Busy`; the arena may be in an
            // inconsistent state.
            tracing::error!("a password-hashing job panicked");
            arena = Arena::reserve();
        }
        let micros = (stopwatch.seconds() * 1e6) as u64;
        shared.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

fn perform(job: HashingJob, arena: &mut Arena) {
    // A reply without a receiver is dropped: the caller has disconnected, which is not an error.
    match job {
        HashingJob::Hash {
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
        HashingJob::Verify {
            password,
            phc,
            reply,
        } => match verify(password.expose().as_bytes(), phc.as_deref(), arena) {
            Ok(verification) => drop(reply.send(verification)),
            Err(fault) => tracing::error!(%fault, "a password could not be compared"),
        },
        #[cfg(test)]
        HashingJob::Errand(errand) => errand(),
    }
}

fn verify(
    password: &[u8],
    phc: Option<&str>,
    arena: &mut Arena,
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

/// Salt of every new hash, in bytes (RFC 9106 section 3.1 recommends 16).
pub const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// Salt of the comparisons that always fail. Nothing is ever stored with it.
const DUMMY_SALT: [u8; SALT_BYTES] = *b"no such account!";

#[cfg(test)]
mod tests;
