//! Time and randomness as values: the only file that reads the clock or the random generator.
//!
//! A flow receives a [`Moment`] and never reads the clock; a token is made from an [`Entropy`] that was passed in.
//! So a test can move the clock past an expiry, and two seeded runs of `vestibule dev` issue the same identifiers.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// An instant, in milliseconds since 1970-01-01T00:00:00Z. It is stored as BIGINT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// The instant that many milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as in JWT claims (RFC 7519 section 2, NumericDate).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by a number of seconds.
    pub const fn plus_seconds(self, seconds: i64) -> Moment {
        Moment(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// This instant moved by a number of days of 24 hours.
    pub const fn plus_days(self, days: i64) -> Moment {
        self.plus_seconds(days.saturating_mul(86_400))
    }

    /// `2026-01-05T10:00:00Z`: the one form that every mobile SDK parses (no fractions).
    pub fn iso_seconds(self) -> String {
        jiff::Timestamp::from_second(self.seconds())
            .map(|at| at.to_string())
            .unwrap_or_else(|_| String::from("1970-01-01T00:00:00Z"))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, rhs: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub for Moment {
    type Output = i64;

    /// The milliseconds between two instants.
    fn sub(self, rhs: Moment) -> i64 {
        self.0.saturating_sub(rhs.0)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moment({})", self.0)
    }
}

/// The source of the time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock, which never goes back within a process: after it was set back, time runs slower until it is right.
    System,
    /// A clock that does not move until it is advanced.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A fixed clock at `at`.
    pub fn fixed(at: Moment) -> Clock {
        Clock::Fixed(Arc::new(AtomicI64::new(at.millis())))
    }

    /// The present instant.
    pub fn now(&self) -> Moment {
        match self {
            Clock::System => Moment(steady_millis()),
            Clock::Fixed(millis) => Moment(millis.load(Ordering::SeqCst)),
        }
    }

    /// Advances a fixed clock; the system clock is not affected.
    pub fn advance(&self, by: Duration) {
        if let Clock::Fixed(millis) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_add(by, Ordering::SeqCst);
        }
    }
}

/// The present instant by the machine's two clocks: the time of day, and the one that only runs forward.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the machine"
)]
fn steady_millis() -> i64 {
    static STEADY: Mutex<Option<(Steady, std::time::Instant)>> = Mutex::new(None);
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let wall = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let (steady, started) = steady.get_or_insert_with(|| {
        let steady = Steady {
            value: wall,
            running: 0,
        };
        (steady, std::time::Instant::now())
    });
    let running = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    steady.read(wall, running)
}

/// Time that never goes back. It is the time of day, and follows a step forward. After a step back it continues nine
/// tenths as fast as real time, until the time of day has caught up: so no code, lockout or token lives longer than
/// ten ninths of its lifetime because the clock was set (threat TIME-01). All values are milliseconds.
#[derive(Debug)]
struct Steady {
    /// The last reading at which the time of day was followed.
    value: i64,
    /// The clock that only runs forward, at that reading.
    running: i64,
}

impl Steady {
    /// The present instant, by a reading of the time of day and of the clock that only runs forward.
    fn read(&mut self, wall: i64, running: i64) -> i64 {
        let elapsed = running.saturating_sub(self.running);
        let least = self.value.saturating_add(elapsed - elapsed / 10);
        if wall < least {
            return least;
        }
        *self = Steady {
            value: wall,
            running,
        };
        wall
    }
}

/// A stopwatch for metrics. It measures durations; no decision depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts it.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// The processor time that this thread has used. It limits a script and is recorded as its cost; it is unrelated to
/// the time of day.
pub fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
}

/// The characters of random values that clients pass around. None of `+`, `/`, `=`, `:`, `&`, `%` or `#` is among
/// them, because existing clients put such values into forms unencoded.
pub const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The source of randomness.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system's generator, through aws-lc.
    Os,
    /// A repeatable stream for tests and for `vestibule dev --seed`. Never for a production site.
    Seeded(Arc<Mutex<SeededStream>>),
}

impl Entropy {
    /// A repeatable stream that depends on the seed alone.
    pub fn seeded(seed: u64) -> Entropy {
        Entropy::Seeded(Arc::new(Mutex::new(SeededStream { seed, block: 0 })))
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        match self {
            Entropy::Os => SystemRandom::new()
                .fill(bytes)
                .expect("the operating system's random generator answers"),
            Entropy::Seeded(stream) => {
                stream
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .fill(bytes);
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `length` characters drawn uniformly from `alphabet`, by rejection sampling, so that all characters are
    /// equally likely (threat OTP-22).
    ///
    /// The alphabet has between 2 and 256 ASCII characters.
    pub fn text(&self, alphabet: &[u8], length: usize) -> String {
        let size = alphabet.len();
        let limit = 256 - 256 % size;
        let mut text = String::with_capacity(length);
        let mut pool = [0u8; 64];
        while text.len() < length {
            self.fill(&mut pool);
            for byte in pool
                .iter()
                .map(|byte| usize::from(*byte))
                .filter(|byte| *byte < limit)
            {
                if text.len() == length {
                    break;
                }
                text.push(char::from(alphabet[byte % size]));
            }
        }
        text
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entropy::Os => "Entropy::Os",
            Entropy::Seeded(_) => "Entropy::Seeded",
        })
    }
}

/// SHA-256 over a seed and a counter: sufficient for repeatable runs only.
pub struct SeededStream {
    seed: u64,
    block: u64,
}

impl SeededStream {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let mut input = [0u8; 16];
            input[..8].copy_from_slice(&self.seed.to_be_bytes());
            input[8..].copy_from_slice(&self.block.to_be_bytes());
            self.block += 1;
            let block = digest::digest(&digest::SHA256, &input);
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_advanced() {
        let clock = Clock::fixed(Moment::from_millis(1_000));
        assert_eq!(clock.now().millis(), 1_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now().millis(), 3_000);
    }

    #[test]
    fn time_01_the_time_follows_a_step_forward_and_never_goes_back() {
        const HOUR: i64 = 3_600_000;
        let mut steady = Steady {
            value: 10 * HOUR,
            running: 0,
        };
        assert_eq!(steady.read(10 * HOUR + 1_000, 1_000), 10 * HOUR + 1_000);
        assert_eq!(steady.read(12 * HOUR, 2_000), 12 * HOUR, "a step forward");
        // A step back by an hour: ten real minutes are nine.
        assert_eq!(steady.read(11 * HOUR, 2_000), 12 * HOUR);
        assert_eq!(steady.read(11 * HOUR, 602_000), 12 * HOUR + 540_000);
        // Many readings lose nothing by rounding.
        for running in 602_000..603_000 {
            steady.read(11 * HOUR, running);
        }
        assert_eq!(steady.read(11 * HOUR, 602_000), 12 * HOUR + 540_000);
        // After ten hours the time of day has caught up.
        let running = 2_000 + 10 * HOUR;
        assert_eq!(steady.read(21 * HOUR, running), 21 * HOUR);
        assert_eq!(steady.read(21 * HOUR + 5, running + 5), 21 * HOUR + 5);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let first = Clock::System.now();
        assert!(first.millis() > 1_700_000_000_000);
        assert!(Clock::System.now() >= first);
    }

    #[test]
    fn two_streams_of_one_seed_are_equal_and_two_seeds_differ() {
        let (a, b, c) = (Entropy::seeded(7), Entropy::seeded(7), Entropy::seeded(8));
        assert_eq!(a.bytes::<40>(), b.bytes::<40>());
        assert_ne!(a.bytes::<40>(), c.bytes::<40>());
    }

    #[test]
    fn otp_22_digits_are_uniform() {
        let digits = Entropy::Os.text(b"0123456789", 200_000);
        let mut counts = [0f64; 10];
        for digit in digits.bytes() {
            counts[usize::from(digit - b'0')] += 1.0;
        }
        let expected = 20_000.0;
        let chi_square: f64 = counts
            .iter()
            .map(|n| (n - expected).powi(2) / expected)
            .sum();
        // Nine degrees of freedom: 40 is beyond p = 0.00001, so this test does not fail by chance.
        assert!(
            chi_square < 40.0,
            "chi square {chi_square}, counts {counts:?}"
        );
    }

    #[test]
    fn iso_seconds_has_no_fraction() {
        assert_eq!(
            Moment::from_millis(1_767_607_200_999).iso_seconds(),
            "2026-01-05T10:00:00Z"
        );
    }
}
