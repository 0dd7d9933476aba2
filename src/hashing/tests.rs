//! Tests of hashing: equal tags, the queue and its limits.

use std::sync::mpsc;

use super::engines::{fast, portable};
use super::*;

#[test]
fn both_implementations_print_the_tag_of_rfc_9106_section_5_3() {
    let expected = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53,
        0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01,
        0xe6, 0x59,
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
    let (mut fast, mut portable) = (
        fast::SimdArena::reserve(),
        portable::PortableArena::reserve(),
    );
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
    let (mut fast, mut portable) = (
        fast::SimdArena::reserve(),
        portable::PortableArena::reserve(),
    );
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
    let (mut fast, mut portable) = (
        fast::SimdArena::reserve(),
        portable::PortableArena::reserve(),
    );
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
async fn a_password_matches_only_its_hash() {
    let hasher = Hasher::start(1, 4);
    let phc = hasher
        .hash(QueueLine::default(), secret("Sup3rSecret"), [7; 16])
        .await
        .unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret("Sup3rSecret"), phc.clone())
            .await,
        Ok(found(true, false))
    );
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret("sup3rSecret"), phc.clone())
            .await,
        Ok(found(false, false))
    );
    assert_eq!(
        hasher.verify(QueueLine::default(), secret(""), phc).await,
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
        .hash(QueueLine::default(), secret(&format!("{prefix}1")), [7; 16])
        .await
        .unwrap();
    assert_eq!(
        hasher
            .verify(
                QueueLine::default(),
                secret(&format!("{prefix}2")),
                phc.clone()
            )
            .await,
        Ok(found(false, false))
    );
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret(&prefix), phc)
            .await,
        Ok(found(false, false))
    );
}

// PWD-02: all 16,000 bytes count; they enter Argon2 through one BLAKE2b pass, so the cost stays that of a short one.
#[tokio::test]
async fn a_password_of_16_000_bytes_counts_to_its_last_byte() {
    let hasher = Hasher::start(1, 4);
    let long = "é".repeat(8_000);
    let phc = hasher
        .hash(QueueLine::default(), secret(&long), [7; 16])
        .await
        .unwrap();
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret(&long), phc.clone())
            .await,
        Ok(found(true, false))
    );
    let other = format!("{}e", &long[..long.len() - 2]);
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret(&other), phc)
            .await,
        Ok(found(false, false))
    );
}

// PWD-09
#[tokio::test]
async fn an_old_hash_matches_and_needs_a_rehash() {
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
            hasher
                .verify(QueueLine::default(), secret("Sup3rSecret"), phc.clone())
                .await,
            Ok(found(true, true)),
            "{phc}"
        );
        assert_eq!(
            hasher
                .verify(QueueLine::default(), secret("wrong"), phc)
                .await,
            Ok(found(false, false))
        );
    }
    let short_salt = stored(b"Sup3rSecret", &[9; 8], Params::CURRENT);
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret("Sup3rSecret"), short_salt)
            .await,
        Ok(found(true, true))
    );
}

// LOCK-10
#[tokio::test]
async fn an_unknown_user_never_matches_but_costs_a_hash() {
    let hasher = Hasher::start(1, 4);
    for password in ["", "no such account!", "Sup3rSecret"] {
        assert_eq!(
            hasher
                .verify_dummy(QueueLine::default(), secret(password))
                .await,
            Ok(found(false, false))
        );
    }
    assert_eq!(
        hasher
            .verify(QueueLine::default(), secret("x"), "not a hash".to_owned())
            .await,
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
            tokio::spawn(
                async move { hasher.verify_dummy(QueueLine::default(), secret("x")).await },
            )
        })
        .collect();
    while hasher.depth() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        hasher.verify_dummy(QueueLine::default(), secret("x")).await,
        Err(Busy)
    );
    assert_eq!(
        hasher
            .hash(QueueLine::default(), secret("x"), [0; 16])
            .await,
        Err(Busy)
    );
    gate.send(()).unwrap();
    for job in waiting {
        assert_eq!(job.await.unwrap(), Ok(found(false, false)));
    }
    assert_eq!(hasher.depth(), 0);
    assert!(
        hasher
            .verify_dummy(QueueLine::default(), secret("x"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn jobs_whose_caller_has_gone_are_neither_hashed_nor_in_the_way() {
    let hasher = Arc::new(Hasher::start(1, 1));
    let gate = stall(&hasher);
    let abandoned = {
        let hasher = Arc::clone(&hasher);
        tokio::spawn(async move { hasher.verify_dummy(QueueLine::default(), secret("x")).await })
    };
    while hasher.depth() < 1 {
        tokio::task::yield_now().await;
    }
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    let patient = {
        let hasher = Arc::clone(&hasher);
        tokio::spawn(async move { hasher.verify_dummy(QueueLine::default(), secret("x")).await })
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
        .enqueue(
            QueueLine::default(),
            HashingJob::Errand(Box::new(|| panic!("on purpose"))),
        )
        .unwrap();
    assert_eq!(
        hasher.verify_dummy(QueueLine::default(), secret("x")).await,
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
fn a_hash_of_another_tool_is_accepted() {
    // Password "password", salt "somesalt"; printed in the documentation of the PHC reference implementation's ports.
    let text =
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70";
    let found_there = verify(b"password", Some(text), &mut Arena::reserve()).unwrap();
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
    let tag = portable::tag(
        password,
        salt,
        &params,
        &mut portable::PortableArena::reserve(),
    )
    .unwrap();
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
    hasher
        .enqueue(QueueLine::default(), HashingJob::Errand(Box::new(errand)))
        .unwrap();
    begin.recv().unwrap();
    gate
}

/// A small deterministic generator (SplitMix64), so that a failure can be reproduced.
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
