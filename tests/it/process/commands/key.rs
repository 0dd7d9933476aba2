//! Signing keys by command: what each leaves behind.

use serde_json::Value;

use super::{both, expect_refused, installations};
use crate::process::serve::Installation;

/// The keys of an algorithm in a state, as `key list` prints them.
fn keys<'v>(listed: &'v Value, algorithm: &str, state: &str) -> Vec<&'v str> {
    let keys = listed["keys"].as_array().expect("a list of keys").iter();
    keys.filter(|key| key["algorithm"] == algorithm && key["state"] == state)
        .map(|key| key["kid"].as_str().expect("a kid"))
        .collect()
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    installation
        .run(&[&["key"], arguments, &["--json"]].concat())
        .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_rotated_retired_and_removed() {
    for installation in installations().await {
        let (fresh, text) = both(&installation, &["key", "list"]);
        assert_eq!(fresh["keys"].as_array().unwrap().len(), 3);
        assert!(text.contains("current  signs until 20"), "{text}");

        let published = json(&installation, &["rotate"]);
        assert_eq!(published["keys"].as_array().unwrap().len(), 6);
        assert_eq!(
            json(&installation, &["rotate"]),
            published,
            "there is a next key of each"
        );
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let (old, next) = (
                keys(&fresh, algorithm, "current"),
                keys(&published, algorithm, "next"),
            );
            assert_eq!((old.len(), next.len()), (1, 1));
            assert_eq!(
                keys(&published, algorithm, "current"),
                old,
                "{algorithm} does not sign yet"
            );
        }

        let next = keys(&published, "ES256", "next")[0];
        let rotated = json(&installation, &["rotate", "--algorithm", "ES256", "--now"]);
        assert_eq!(keys(&rotated, "ES256", "current"), [next]);
        assert_eq!(
            keys(&rotated, "ES256", "retired"),
            keys(&fresh, "ES256", "current")
        );
        assert_eq!(
            keys(&rotated, "RS256", "next").len(),
            1,
            "the others go their way"
        );

        let early = keys(&published, "EdDSA", "next")[0];
        expect_refused(
            installation.run(&["key", "retire", early]),
            3,
            &["never signed"],
        );
        // One id in 64 begins with a hyphen.
        expect_refused(
            installation.run(&["key", "retire", "--65KPfTxeLnj_k9c"]),
            4,
            &["--65KPfTxeLnj_k9c"],
        );
        let retired = json(
            &installation,
            &["retire", keys(&fresh, "EdDSA", "current")[0]],
        );
        assert_eq!(keys(&retired, "EdDSA", "current"), [early]);

        // A current key is replaced by a fresh one where there is no next one.
        let removed = json(&installation, &["remove", next]);
        assert!(!removed.to_string().contains(next), "{removed}");
        assert_eq!(keys(&removed, "ES256", "current").len(), 1);
        expect_refused(
            installation.run(&["key", "remove", next]),
            4,
            &["no signing key"],
        );
    }
}
