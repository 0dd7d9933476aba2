//! Client apps by command: their secret is shown once, and a wrong policy changes nothing.

use serde_json::json;

use super::{both, expect_refused, installations};
use crate::first_party::mint::registered;

#[tokio::test]
async fn a_client_shows_its_secret_once_and_a_wrong_policy_changes_nothing() {
    for installation in installations().await {
        let create = [
            "client",
            "create",
            "shop",
            "--json",
            "--set",
            "callbackUrl=https://app.example.com/cb",
            "--set",
            "isCodeCredFlowEnabled=true",
            "--set",
            "permittedProfiles=Customer",
            "--set",
            "scopes=openid api",
        ];
        let made = installation.run(&create).json();
        let secret = made["client_secret"].as_str().unwrap();
        let id = made["client_id"].as_str().unwrap();
        assert!(secret.len() >= 32 && id.len() >= 32, "{made}");
        assert_eq!(
            made["policies"]["callbackUrl"],
            json!(["https://app.example.com/cb"])
        );
        let (listed, text) = both(&installation, &["client", "list"]);
        assert_eq!(
            listed["clients"],
            json!([{"client_id": id, "name": "shop"}])
        );
        let (shown, show_text) = both(&installation, &["client", "show", "shop"]);
        assert_eq!(shown["policies"], made["policies"]);
        assert_eq!(
            installation.run(&["client", "show", id, "--json"]).json(),
            shown
        );
        let update = ["client", "update", "shop", "--set", "isPkceRequired=false"];
        let (updated, update_text) = both(&installation, &update);
        assert_eq!(updated["policies"]["isPkceRequired"], false);
        for printed in [
            text,
            show_text,
            update_text,
            shown.to_string(),
            listed.to_string(),
            updated.to_string(),
        ] {
            assert!(
                !printed.contains(secret) && !printed.contains("client_secret"),
                "{printed}"
            );
        }
        let rotated = installation
            .run(&["client", "rotate-secret", "shop", "--json"])
            .json();
        assert_ne!(rotated["client_secret"], made["client_secret"]);
        assert!(rotated["client_secret"].is_string());

        let before = installation
            .run(&["client", "show", "shop", "--json"])
            .json();
        for (set, word) in [
            ("callbackUrl=javascript:alert(1)", "callbackUrl"),
            ("colour=red", "colour: there is no such policy"),
            (
                "authorizationCodeLifetimeSeconds=601",
                "authorizationCodeLifetimeSeconds",
            ),
            ("permittedProfiles=Unknown", "Unknown"),
            (
                "clientCredentialsFlowUser=unknown@example.com",
                "unknown@example.com",
            ),
            ("idTokenSigningAlg=none", "idTokenSigningAlg"),
        ] {
            let ran = installation.run(&[
                "client",
                "update",
                "shop",
                "--set",
                "isPkceRequired=true",
                "--set",
                set,
            ]);
            expect_refused(ran, 3, &[word]);
            assert_eq!(
                installation
                    .run(&["client", "show", "shop", "--json"])
                    .json(),
                before,
                "{set}"
            );
        }
        expect_refused(installation.run(&create), 3, &["exists already"]);
        for missing in [
            &["client", "show", "x"][..],
            &["client", "rotate-secret", "x"],
            &["client", "update", "x", "--set", "isPkceRequired=true"],
        ] {
            expect_refused(installation.run(missing), 4, &["\"x\""]);
        }
    }
}

#[tokio::test]
async fn a_certificate_is_registered_listed_and_removed_and_a_bad_one_is_refused() {
    for installation in installations().await {
        let create = ["client", "create", "shop", "--set", "scopes=openid api"];
        installation.run(&create).expect_code(0);
        let at = |name: &str| installation.path(name).display().to_string();
        let good = at("good.pem");
        std::fs::write(&good, registered().certificate()).unwrap();
        for (name, text, part) in [
            (
                "over.pem",
                registered().certificate_of("200101000000Z", "210101000000Z"),
                "it ended at 2021-01-01T00:00:00Z",
            ),
            ("key.pem", registered().pkcs8(), "it contains a private key"),
            ("none.pem", "hello".to_owned(), "it contains no certificate"),
            ("long.pem", "x".repeat(5_000), "longer than 4 KB"),
        ] {
            std::fs::write(at(name), text).unwrap();
            let add = ["client", "certificate", "add", "shop", "--file", &at(name)];
            expect_refused(installation.run(&add), 3, &[part]);
        }
        let add = ["client", "certificate", "add", "shop", "--file", &good];
        installation.run(&add).expect_code(0);
        let (added, text) = both(&installation, &["client", "certificate", "list", "shop"]);
        let certificate = &added["certificates"][0];
        assert_eq!(certificate["algorithm"], "RS256");
        assert_eq!(certificate["not_after"], "2039-12-31T23:59:59Z");
        assert_eq!(certificate["is_valid"], true);
        let fingerprint = certificate["fingerprint"].as_str().unwrap();
        assert!(text.contains(fingerprint), "{text}");
        expect_refused(installation.run(&add), 3, &["is registered already"]);
        let remove = ["client", "certificate", "remove", "shop", "--fingerprint"];
        let other = [&remove[..], &["abcd"]].concat();
        expect_refused(installation.run(&other), 4, &["no certificate"]);
        let own = [&remove[..], &[fingerprint, "--json"]].concat();
        assert_eq!(installation.run(&own).json()["certificates"], json!([]));
        installation.run(&add).expect_code(0);
        let by_file = [
            "client",
            "certificate",
            "remove",
            "shop",
            "--file",
            &good,
            "--json",
        ];
        assert_eq!(installation.run(&by_file).json()["certificates"], json!([]));
    }
}
