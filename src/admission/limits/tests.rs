//! Tests of the buckets: they hold, they fill, they stay few, and a clock that jumps opens none.

use std::time::Duration;

use super::*;

const AT: Moment = Moment::from_millis(1_767_607_200_000);

fn limiter(rules: &[Rule]) -> RateLimiter {
    RateLimiter::new(rules.to_vec(), Arc::new(Metrics::new()))
}

fn rule(per: Per, count: u32, seconds: u32) -> Rule {
    Rule {
        surface: Surface::Init,
        per,
        count,
        seconds,
        burst: None,
    }
}

fn from(ip: &str) -> Keys<'static> {
    Keys {
        ip: Some(ip.parse().unwrap()),
        ..Keys::default()
    }
}

/// How many of a thousand requests are let in.
fn admitted(limiter: &RateLimiter, keys: &Keys<'_>, at: Moment) -> usize {
    (0..1_000)
        .take_while(|_| limiter.take(Surface::Init, keys, at).is_ok())
        .count()
}

fn retry_after(limiter: &RateLimiter, keys: &Keys<'_>, at: Moment) -> i64 {
    let refusal = limiter.take(Surface::Init, keys, at).unwrap_err();
    refusal.retry_after_seconds().unwrap()
}

#[test]
fn a_bucket_holds_its_burst_fills_at_its_rate_and_says_when_to_come_back() {
    let limiter = limiter(&[rule(Per::IpPrefix, 20, 60)]);
    let caller = from("192.0.2.1");
    assert_eq!(admitted(&limiter, &caller, AT), 20);
    assert_eq!(retry_after(&limiter, &caller, AT), 3);
    // What was refused took nothing: three seconds are three seconds.
    let later = AT + Duration::from_millis(2_999);
    assert_eq!(retry_after(&limiter, &caller, later), 1);
    assert_eq!(admitted(&limiter, &caller, AT.plus_seconds(3)), 1);
    assert_eq!(admitted(&limiter, &caller, AT.plus_seconds(63)), 20);
    assert_eq!(admitted(&limiter, &from("192.0.3.1"), AT), 20);
}

#[test]
fn a_burst_may_differ_from_the_count() {
    let mut rule = rule(Per::IpPrefix, 60, 60);
    rule.burst = Some(5);
    let limiter = limiter(&[rule]);
    let caller = from("192.0.2.1");
    assert_eq!(admitted(&limiter, &caller, AT), 5);
    assert_eq!(admitted(&limiter, &caller, AT.plus_seconds(2)), 2);
}

#[test]
fn a_request_takes_from_every_bucket_or_from_none() {
    let limiter = limiter(&[rule(Per::Site, 30, 60), rule(Per::Client, 10, 60)]);
    let keys = |client| Keys {
        client: Some(client),
        site: Some("0DB"),
        ..Keys::default()
    };
    assert_eq!(admitted(&limiter, &keys("a"), AT), 10);
    assert_eq!(admitted(&limiter, &keys("b"), AT), 10);
    // Ten of the site's are left, although the two were refused in between.
    assert_eq!(admitted(&limiter, &keys("c"), AT), 10);
    assert_eq!(admitted(&limiter, &keys("d"), AT), 0);
    assert!(
        limiter.take(Surface::Token, &keys("d"), AT).is_ok(),
        "another surface"
    );
}

#[test]
fn a_rule_about_any_surface_has_one_bucket_for_all() {
    let any = Rule {
        surface: Surface::Any,
        ..rule(Per::IpPrefix, 3, 60)
    };
    let limiter = limiter(&[any]);
    let caller = from("192.0.2.1");
    for surface in [Surface::Init, Surface::Login, Surface::Token] {
        assert!(limiter.take(surface, &caller, AT).is_ok());
    }
    assert!(limiter.take(Surface::Redeem, &caller, AT).is_err());
}

#[test]
fn a_caller_that_proved_itself_is_limited_by_client_and_not_by_address() {
    let limiter = limiter(&[rule(Per::IpPrefix, 2, 60), rule(Per::Client, 5, 60)]);
    let trusted = Keys {
        client: Some("backend"),
        ..Keys::default()
    };
    assert_eq!(admitted(&limiter, &trusted, AT), 5);
}

#[test]
fn what_proves_itself_is_given_back_to_the_address_only() {
    let limiter = limiter(&[rule(Per::IpPrefix, 3, 60), rule(Per::Target, 10, 60)]);
    let keys = Keys {
        target: Some("janice@example.com"),
        ..from("192.0.2.1")
    };
    for _ in 0..8 {
        assert!(limiter.take(Surface::Init, &keys, AT).is_ok());
        limiter.give_back(Surface::Init, &keys, AT);
    }
    assert_eq!(admitted(&limiter, &keys, AT), 2, "of the ten of the target");
    // Four times the rate is given back in a minute, twelve requests; a thirteenth is not.
    for _ in 0..4 {
        let _ = limiter.take(Surface::Init, &from("192.0.2.1"), AT);
        limiter.give_back(Surface::Init, &from("192.0.2.1"), AT);
    }
    limiter.give_back(Surface::Init, &from("192.0.2.1"), AT);
    assert_eq!(admitted(&limiter, &from("192.0.2.1"), AT), 1);
    // What was never taken cannot be given back.
    let fresh = from("192.0.2.9");
    limiter.give_back(Surface::Init, &fresh, AT);
    assert_eq!(admitted(&limiter, &fresh, AT), 3);
}

#[test]
fn net_13_a_64_and_every_spelling_of_an_address_is_one_bucket() {
    let limiter = limiter(&[rule(Per::IpPrefix, 4, 60)]);
    for ip in [
        "2001:db8:1:2::1",
        "2001:DB8:1:2::2",
        "2001:db8:1:2:ffff::",
        "2001:db8:1:2:0:0:0:1",
    ] {
        assert!(limiter.take(Surface::Init, &from(ip), AT).is_ok(), "{ip}");
    }
    assert_eq!(admitted(&limiter, &from("2001:db8:1:2:8::"), AT), 0);
    assert_eq!(admitted(&limiter, &from("2001:db8:1:3::"), AT), 4);
    assert_eq!(admitted(&limiter, &from("::ffff:192.0.2.1"), AT), 4);
    assert_eq!(admitted(&limiter, &from("192.0.2.1"), AT), 0);
}

#[test]
fn net_13_wider_prefixes_have_buckets_that_hold_more() {
    let limiter = limiter(&[rule(Per::IpPrefix, 2, 60)]);
    let of_all = |from_number: fn(usize) -> String| {
        let admitted = (0..20).filter(|number| {
            let keys = from_number(*number);
            limiter.take(Surface::Init, &from(&keys), AT).is_ok()
        });
        admitted.count()
    };
    assert_eq!(
        of_all(|number| format!("192.0.2.{number}")),
        8,
        "one of each, by the /24"
    );
    assert_eq!(of_all(|number| format!("2001:db8:1:{number:x}::")), 4);
    assert_eq!(
        of_all(|number| format!("2001:db8:2:{:x}::", number * 256)),
        8
    );
    assert_eq!(of_all(|number| format!("2001:db8:{:x}::", number + 9)), 20);
    // A fourth of the time refills one of the wider bucket.
    assert_eq!(
        admitted(
            &limiter,
            &from("192.0.2.99"),
            AT + Duration::from_millis(7_500)
        ),
        1
    );
}

#[test]
fn a_site_has_a_bucket_for_each_kind_of_caller() {
    let limiter = limiter(&[rule(Per::Site, 3, 60)]);
    for share in [SiteShare::Public, SiteShare::Backend, SiteShare::Guest] {
        let keys = Keys {
            site: Some("0DB"),
            share,
            ..Keys::default()
        };
        assert_eq!(admitted(&limiter, &keys, AT), 3, "{share:?}");
    }
}

#[test]
fn what_was_not_processed_is_given_back_to_every_bucket() {
    let limiter = limiter(&[rule(Per::IpPrefix, 3, 60), rule(Per::Target, 3, 60)]);
    let keys = Keys {
        target: Some("janice@example.com"),
        ..from("192.0.2.1")
    };
    for _ in 0..20 {
        assert!(limiter.take(Surface::Init, &keys, AT).is_ok());
        limiter.cancel(Surface::Init, &keys, AT);
    }
    assert!(limiter.is_empty());
}

#[test]
fn net_09_buckets_are_bounded_and_a_flood_of_new_keys_frees_no_one_who_is_limited() {
    let limiter = limiter(&[rule(Per::IpPrefix, 20, 60)]);
    let caller = from("192.0.2.1");
    assert_eq!(admitted(&limiter, &caller, AT), 20);
    for number in 0..300_000_u32 {
        let ip = IpAddr::from((0x2001_u128 << 112 | u128::from(number) << 80).to_be_bytes());
        let keys = Keys {
            ip: Some(ip),
            ..Keys::default()
        };
        assert!(limiter.take(Surface::Init, &keys, AT).is_ok());
    }
    assert!(
        limiter.len() <= SHARDS * BUCKETS_PER_SHARD,
        "{}",
        limiter.len()
    );
    assert!(limiter.len() > SHARDS * BUCKETS_PER_SHARD / 2);
    assert_eq!(admitted(&limiter, &caller, AT), 0);
    // Once they are full again, the next that come make room of them.
    let later = AT.plus_seconds(3_600);
    for number in 0..200_000_u32 {
        let target = number.to_string();
        let keys = Keys {
            target: Some(&target),
            ..from("192.0.2.1")
        };
        let _ = limiter.take(Surface::Init, &keys, later);
    }
    assert_eq!(admitted(&limiter, &from("2001:db8::"), later), 20);
}

#[test]
fn lock_09_a_clock_that_jumps_opens_and_closes_nothing_for_longer_than_a_window() {
    let limiter = limiter(&[rule(Per::IpPrefix, 20, 60)]);
    let caller = from("192.0.2.1");
    assert_eq!(admitted(&limiter, &caller, AT), 20);
    let back = AT.plus_seconds(-3_600);
    assert_eq!(admitted(&limiter, &caller, back), 0);
    assert_eq!(admitted(&limiter, &caller, back.plus_seconds(60)), 20);
    assert_eq!(admitted(&limiter, &caller, AT.plus_seconds(3_600)), 20);
}

#[test]
fn the_built_in_rules_are_within_their_ranges() {
    for rule in crate::admission::DEFAULT_RULES {
        assert_eq!(rule.validate(), Ok(()), "{rule:?}");
    }
    let mut wrong = rule(Per::Site, 0, 60);
    assert!(wrong.validate().unwrap_err().starts_with("count"));
    wrong.count = 5;
    wrong.seconds = 86_401;
    assert!(wrong.validate().unwrap_err().starts_with("seconds"));
}
