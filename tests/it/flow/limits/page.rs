//! The page `docs/reference/limits.md` documents the defaults and their effect on an attacker: its tables are
//! computed here from the code.

use vestibule::admission::DEFAULT_RULES;
use vestibule::config::Config;
use vestibule::settings::{Settings, SprayAction};
use vestibule::verification::Alphabet;

const PAGE: &str = include_str!("../../../../docs/reference/limits.md");

/// Hours of thirty days.
const HOURS: i64 = 720;

#[track_caller]
fn assert_said(line: &str) {
    assert!(
        PAGE.contains(line),
        "docs/reference/limits.md lacks:\n{line}"
    );
}

fn grouped(number: u32) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}

/// Two significant digits, as people write them.
fn two_digits(number: f64) -> String {
    if number < 1e-5 {
        return format!("{number:.1e}");
    }
    let decimals = (1.0 - number.log10().floor()).max(0.0);
    format!("{number:.0$}", decimals as usize)
}

#[test]
fn the_page_shows_the_built_in_rules() {
    let mut table = String::from("| surface | per | built-in limit |\n|---|---|---|\n");
    for rule in DEFAULT_RULES {
        let per = serde_json::to_value(rule.per).unwrap();
        let time = match rule.seconds {
            60 => "a minute",
            3_600 => "an hour",
            other => panic!("{other} seconds have no word"),
        };
        assert_eq!(rule.burst, None, "a burst has no column");
        table.push_str(&format!(
            "| `{}` | `{}` | {} {time} |\n",
            rule.surface.as_str(),
            per.as_str().unwrap(),
            grouped(rule.count),
        ));
    }
    assert_said(&table);
}

#[test]
fn the_page_computes_the_odds_of_the_defaults() {
    let settings = Settings::default();
    let otp = Config::default().otp;
    assert_eq!(settings.otp_spray_action, SprayAction::Refuse);
    let per_hour = settings.otp_spray_threshold_per_hour;
    assert_eq!((per_hour, otp.failures_per_day), (1_000, 100));
    assert_eq!((otp.registration.length, otp.registration.tries), (6, 5));
    let guesses = (per_hour * HOURS) as f64;
    for (length, alphabet, name) in [
        (6, Alphabet::Digits, "6 digits"),
        (7, Alphabet::Digits, "7 digits"),
        (8, Alphabet::Digits, "8 digits"),
        (6, Alphabet::Alphanumeric, "6 alphanumeric"),
        (8, Alphabet::Alphanumeric, "8 alphanumeric"),
    ] {
        let codes = (alphabet.characters().len() as f64).powi(length);
        let hits = guesses / codes;
        let chance = -(-hits).exp_m1() * 100.0;
        let chance = match chance {
            chance if (1e-5..1e-3).contains(&chance) => format!("{chance:.6}"),
            chance => two_digits(chance),
        };
        let hits = two_digits(hits);
        assert_said(&format!("| {name} | {codes:.1e} | {hits} | {chance} % |\n"));
    }
}

/// One prefix alone cannot exceed a site's threshold: the failures that the rate limiter permits it, including
/// bursts, remain below.
#[test]
fn one_prefix_cannot_make_a_spray_by_itself() {
    use vestibule::admission::{Per, Surface};
    let mistakes: u32 = [Surface::Redeem, Surface::Reset]
        .into_iter()
        .map(|surface| {
            let rules = DEFAULT_RULES.iter();
            rules
                .filter(|rule| rule.surface == surface && rule.per == Per::IpPrefix)
                .map(|rule| rule.burst() + rule.count * 3_600 / rule.seconds)
                .min()
                .expect("a rule by address")
        })
        .sum();
    assert!(
        i64::from(mistakes) < Settings::default().otp_spray_threshold_per_hour,
        "{mistakes}"
    );
}
