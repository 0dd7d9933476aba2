//! The commands of an administrator, as one runs them: what they print, how they end, and that a
//! refusal changes nothing. On both databases where a database is in play.
//!
//! Commands that need a running server are in `running.rs`.

use serde_json::{Value, json};
use tempfile::tempdir;

use super::binary::{Ran, run, run_with_input};
use super::serve::Installation;
use crate::fixture::postgres;

/// Every administrator's story runs on SQLite, and on PostgreSQL where there is one.
async fn installations() -> Vec<Installation> {
    let mut installations = vec![Installation::new("sqlite:vestibule.db", "")];
    installations.extend(
        postgres::database()
            .await
            .map(|url| Installation::new(&url, "")),
    );
    for installation in &installations {
        installation.run(&["migrate", "up"]).expect_code(0);
    }
    installations
}

/// Runs a command with and without `--json`: both go well, and what is printed differs.
#[track_caller]
fn both(installation: &Installation, arguments: &[&str]) -> (Value, String) {
    let text = installation.run(arguments).expect_code(0).stdout;
    let json = installation.run(&[arguments, &["--json"]].concat());
    (json.json(), text)
}

#[track_caller]
fn expect_refused(ran: Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(
        ran.stdout, "",
        "a refusal prints nothing on standard output"
    );
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
}

#[test]
fn the_version_and_completions_need_no_installation() {
    let directory = tempdir().unwrap();
    let version = run(directory.path(), &["version", "--json"]).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let text = run(directory.path(), &["version"]).expect_code(0).stdout;
    assert!(
        text.starts_with(&format!("vestibule {}", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(directory.path(), &["completions", shell])
            .expect_code(0)
            .stdout;
        for word in ["perform", "rotate-secret", "isready"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let directory = tempdir().unwrap();
    for wrong in [
        &["sing"][..],
        &[],
        &["site"],
        &["site", "update"],
        &["client", "update", "x"],
        &["perform", "register", "--method", "sms"],
        &["perform", "register", "--method", "pigeon"],
        &["isready", "--wait", "-1"],
        &["inbox", "wait", "--to", "a@example.com", "--seconds", "0"],
        &["user", "list", "--limit", "201"],
        &["site", "update", "x", "--set", "a=b", "--from", "f"],
        &[
            "user",
            "create",
            "a@example.com",
            "--last-name",
            "A",
            "--integration",
            "--password-file",
            "-",
        ],
    ] {
        run(directory.path(), wrong).expect_code(2);
    }
    let help = run(directory.path(), &["--help"]).expect_code(0).stdout;
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    let directory = tempdir().unwrap();
    for (command, options) in [
        (
            &["user", "create", "a@example.com", "--last-name", "A"][..],
            &["--password", "--pass"][..],
        ),
        (&["client", "create", "a"], &["--secret", "--client-secret"]),
        (&["perform", "register"], &["--password", "--code", "--otp"]),
        (&["serve"], &["--master-key", "--smtp-password"]),
        (&["dev"], &["--master-key", "--admin-token"]),
    ] {
        for option in options {
            run(directory.path(), &[command, &[*option, "hunter2"]].concat()).expect_code(2);
        }
    }
}

#[test]
fn without_an_installation_a_command_ends_with_4_and_makes_none() {
    let directory = tempdir().unwrap();
    for command in [
        &["site", "list"][..],
        &["client", "list"],
        &["user", "list"],
        &["inbox", "list"],
        &["perform", "register"],
        &["backup", "copy.db"],
    ] {
        let ran = run(directory.path(), command);
        expect_refused(ran, 4, &["vestibule dev"]);
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test]
async fn a_config_is_written_checked_and_printed_without_secrets() {
    let directory = tempdir().unwrap();
    let at = |arguments: &[&str]| run(directory.path(), arguments);
    let printed = at(&["config", "init"]).expect_code(0).stdout;
    at(&["config", "init", "v.toml"]).expect_code(0);
    let written = std::fs::read_to_string(directory.path().join("v.toml")).unwrap();
    assert_eq!(written.trim_end(), printed.trim_end());
    expect_refused(at(&["config", "init", "v.toml"]), 3, &["v.toml"]);
    assert_eq!(
        at(&["config", "init", "--json"]).json()["config"],
        json!(written)
    );

    let checked = at(&["config", "check", "--config", "v.toml"]);
    expect_refused(checked, 3, &["master_key_file"]);
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
    std::fs::write(directory.path().join("master.key"), key).unwrap();
    let more = "[database]\nurl = \"postgres://shop:hunter2@db.example:5432/shop?password=hunter3\"\n\
                [keys]\nmaster_key_file = \"master.key\"\n[smtp]\nurl = \"smtp://127.0.0.1:25\"\nfrom = \"a@example.com\"\n";
    std::fs::write(directory.path().join("v.toml"), more).unwrap();
    assert_eq!(
        at(&["config", "check", "--config", "v.toml", "--json"]).json(),
        json!({"valid": true})
    );
    for arguments in [
        &["config", "print", "--config", "v.toml", "--json"][..],
        &["config", "print", "--config", "v.toml"],
    ] {
        let ran = at(arguments).expect_code(0);
        assert!(!ran.stdout.contains("hunter"), "{ran:?}");
        assert!(!ran.stdout.contains("MDEy"), "{ran:?}");
        assert!(ran.stdout.contains("db.example:5432/shop"), "{ran:?}");
    }
    let json = at(&["config", "print", "--config", "v.toml", "--json"]).json();
    assert_eq!(json["smtp"]["from"], "a@example.com");
    assert_eq!(json["otp"]["registration"]["length"], 6);
    assert!(
        !directory.path().join("vestibule.db").exists(),
        "checking changes nothing"
    );
}

#[tokio::test]
async fn an_unknown_key_is_fatal_to_every_command_and_its_line_is_named() {
    let installation = Installation::new("sqlite:vestibule.db", "[smtp]\ntimeout = 4\n");
    for command in [
        &["serve"][..],
        &["migrate", "up"],
        &["config", "check"],
        &["config", "print"],
        &["site", "list"],
        &["user", "list"],
        &["dev"],
    ] {
        expect_refused(
            installation.run(command),
            3,
            &["vestibule.toml, line 9", "timeout"],
        );
    }
    for (text, line) in [
        ("[limits]\nenabled = 1\n", "line 2"),
        ("[limits\n", "line 1"),
        ("[otp.registration]\nlength = 6\nlentgh = 6\n", "line 3"),
    ] {
        std::fs::write(installation.path("vestibule.toml"), text).unwrap();
        expect_refused(installation.run(&["config", "check"]), 3, &[line]);
    }
    for (text, word) in [
        ("[otp.registration]\nlength = 5\n", "length"),
        ("[log]\nformat = \"xml\"\n", "[log] format"),
        ("[smtp]\nurl = \"smtp://127.0.0.1\"\n", "[smtp] from"),
        ("[listen]\ntls_key_file = \"x\"\n", "tls_certificate_file"),
        (
            "[database]\nurl = \"mysql://a:hunter2@b/c\"\n",
            "[database] url",
        ),
    ] {
        std::fs::write(installation.path("vestibule.toml"), text).unwrap();
        let ran = installation.run(&["config", "check"]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        expect_refused(ran, 3, &[word]);
    }
    let mut command = super::binary::command(installation.directory.path(), &["config", "print"]);
    command.env("VESTIBULE_SMPT__URL", "smtp://127.0.0.1");
    expect_refused(
        super::binary::finish(command, ""),
        3,
        &["VESTIBULE_SMPT__URL"],
    );
    let gone = run(
        installation.directory.path(),
        &["config", "check", "--config", "gone.toml"],
    );
    expect_refused(gone, 3, &["gone.toml"]);
}

#[tokio::test]
async fn migrations_are_shown_planned_and_applied_once() {
    let mut all = vec![Installation::new("sqlite:vestibule.db", "")];
    all.extend(
        postgres::database()
            .await
            .map(|url| Installation::new(&url, "")),
    );
    for installation in all {
        let (status, _) = both(&installation, &["migrate", "status"]);
        assert_eq!(status["migrations"][0]["number"], 1);
        assert_eq!(status["migrations"][0]["applied_at"], Value::Null);
        let (plan, text) = both(&installation, &["migrate", "plan"]);
        assert!(
            plan["waiting"][0]["sql"]
                .as_str()
                .unwrap()
                .contains("CREATE TABLE app_user")
        );
        assert!(text.contains("CREATE TABLE app_user"));
        let first = installation.run(&["migrate", "up", "--json"]).json();
        assert_eq!(first["is_new"], true);
        assert_eq!(
            first["applied"].as_array().unwrap().len(),
            status["migrations"].as_array().unwrap().len()
        );
        let second = installation.run(&["migrate", "up", "--json"]).json();
        assert_eq!(second, json!({"applied": [], "is_new": false}));
        assert_eq!(
            both(&installation, &["migrate", "plan"]).0["waiting"],
            json!([])
        );
        let (status, _) = both(&installation, &["migrate", "status"]);
        assert_ne!(status["migrations"][0]["applied_at"], Value::Null);
    }
}

#[tokio::test]
async fn a_site_is_made_listed_shown_and_changed() {
    for installation in installations().await {
        let base = "https://id.example.com/shop";
        let made = installation
            .run(&[
                "site",
                "create",
                "shop",
                "--base-url",
                &format!("{base}/"),
                "--json",
            ])
            .json();
        assert_eq!(made["base_url"], base);
        let (listed, text) = both(&installation, &["site", "list"]);
        assert_eq!(
            listed["sites"],
            json!([{"id": made["id"], "name": "shop", "base_url": base}])
        );
        assert!(text.contains(base));
        let (shown, text) = both(&installation, &["site", "show", "shop"]);
        assert_eq!(shown, made);
        assert!(
            text.contains("isHeadlessUserRegistrationAllowed = false"),
            "{text}"
        );
        let by_id = installation
            .run(&["site", "show", made["id"].as_str().unwrap(), "--json"])
            .json();
        assert_eq!(by_id, made);

        let change = [
            "site",
            "update",
            "shop",
            "--json",
            "--set",
            "defaultLocale=de_DE",
            "--base-url",
            "https://id.example.com",
        ];
        let changed = installation.run(&change).json();
        assert_eq!(changed["settings"]["defaultLocale"], "de_DE");
        assert_eq!(changed["base_url"], "https://id.example.com");
        assert_eq!(
            installation.run(&["site", "show", "shop", "--json"]).json(),
            changed
        );

        expect_refused(
            installation.run(&["site", "show", "shoe"]),
            4,
            &["shoe", "shop"],
        );
        let again = [
            "site",
            "create",
            "shop",
            "--base-url",
            "https://other.example.com",
        ];
        expect_refused(installation.run(&again), 3, &["exists already"]);
        for wrong in [
            "id.example.com",
            "ftp://id.example.com",
            "https://id.example.com/services",
        ] {
            let ran = installation.run(&["site", "create", "other", "--base-url", wrong]);
            expect_refused(ran, 3, &[wrong]);
        }
        assert_eq!(
            installation.run(&["site", "list", "--json"]).json()["sites"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_line_and_nothing_is_changed() {
    for installation in installations().await {
        installation
            .run(&[
                "site",
                "create",
                "shop",
                "--base-url",
                "https://id.example.com",
            ])
            .expect_code(0);
        let before = installation.run(&["site", "show", "shop", "--json"]).json();
        let file = installation.path("settings.toml");
        for (text, line, word) in [
            (
                "defaultLocale = \"de_DE\"\n\n# a comment\nisHeadlessUserRegistrationAlowed = true\n",
                4,
                "isHeadlessUserRegistrationAlowed",
            ),
            (
                "defaultLocale = \"de_DE\"\ndefaultTimezone = \"Mars/Base\"\n",
                2,
                "Mars/Base",
            ),
            (
                "defaultLocale = \"de_DE\"\ndoesRegistrationRequireAuth = \"yes\"\n",
                2,
                "doesRegistrationRequireAuth",
            ),
            (
                "defaultLocale = \"de_DE\"\nregistrationUserDefaultProfile = \"Customers\"\n",
                2,
                "Customers",
            ),
            (
                "defaultLocale = \"de_DE\"\nregistrationExecutionUser = \"nobody@example.com\"\n",
                2,
                "nobody@example.com",
            ),
            (
                "defaultLocale = \"de_DE\"\n[registrationFieldMapping]\na = \"profileId\"\n",
                2,
                "profileId",
            ),
            (
                "defaultLocale = \"de_DE\"\nemailTmplsAllowlist = [\"nope\"]\n",
                2,
                "nope",
            ),
            (
                "defaultLocale = \"de_DE\"\noAuthCdCrdtFlowEnable = \n",
                2,
                "",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let ran = installation.run(&["site", "update", "shop", "--from", "settings.toml"]);
            expect_refused(ran, 3, &[&format!("settings.toml, line {line}"), word]);
            assert_eq!(
                installation.run(&["site", "show", "shop", "--json"]).json(),
                before,
                "{text}"
            );
        }
        for (set, word) in [
            ("defaultLocale", "KEY=VALUE"),
            ("nothing=1", "nothing"),
            (
                "isHeadlessUserRegistrationAllowed=true",
                "doesRegistrationRequireAuth",
            ),
        ] {
            let ran = installation.run(&[
                "site",
                "update",
                "shop",
                "--set",
                "defaultLocale=de_DE",
                "--set",
                set,
            ]);
            expect_refused(ran, 3, &[word]);
            assert_eq!(
                installation.run(&["site", "show", "shop", "--json"]).json(),
                before,
                "{set}"
            );
        }
        expect_refused(
            installation.run(&["site", "update", "shop", "--from", "gone.toml"]),
            3,
            &["gone.toml"],
        );
        std::fs::write(
            &file,
            "defaultLocale = \"de_DE\"\ndefaultTimezone = \"Europe/Berlin\"\n",
        )
        .unwrap();
        let after = installation
            .run(&[
                "site",
                "update",
                "shop",
                "--from",
                "settings.toml",
                "--json",
            ])
            .json();
        assert_eq!(after["settings"]["defaultTimezone"], "Europe/Berlin");
        assert_eq!(after["settings"]["defaultLocale"], "de_DE");
    }
}

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
            ("colour=red", "colour"),
            (
                "authorizationCodeLifetimeSeconds=601",
                "authorizationCodeLifetimeSeconds",
            ),
            ("permittedProfiles=Nobody", "Nobody"),
            (
                "clientCredentialsFlowUser=nobody@example.com",
                "nobody@example.com",
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
async fn a_user_is_made_with_a_password_from_standard_input_and_shown_without_it() {
    const PASSWORD: &str = "Quiet-Lantern-42";
    for installation in installations().await {
        let create = [
            "user",
            "create",
            "Jo@Example.com",
            "--last-name",
            "Doe",
            "--first-name",
            "Jo",
            "--phone",
            "+49 170 1234567",
            "--email-verified",
            "--password-file",
            "-",
            "--json",
        ];
        let made = installation.run_with_input(&create, PASSWORD);
        assert!(
            !made.stdout.contains(PASSWORD) && !made.stderr.contains(PASSWORD),
            "{made:?}"
        );
        let made = made.json();
        assert_eq!(made["username"], "Jo@Example.com");
        assert_eq!(made["phone"], "+491701234567");
        assert_ne!(made["email_verified_at"], Value::Null);
        assert_eq!(made["phone_verified_at"], Value::Null);
        for name in [
            "jo@example.com",
            "JO@EXAMPLE.COM",
            made["id"].as_str().unwrap(),
        ] {
            let (shown, text) = both(&installation, &["user", "show", name]);
            assert_eq!(shown["id"], made["id"]);
            assert_eq!(shown["events"][0]["event"], "user.created");
            for word in [PASSWORD, "argon2", "phc"] {
                assert!(
                    !text.contains(word) && !shown.to_string().contains(word),
                    "{text}"
                );
            }
        }
        expect_refused(
            installation.run_with_input(&create, PASSWORD),
            3,
            &["in use"],
        );
        std::fs::write(installation.path("password"), "Other-Lantern-42\n").unwrap();
        let from_file = [
            "user",
            "create",
            "ada@example.com",
            "--last-name",
            "L",
            "--password-file",
            "password",
        ];
        installation.run(&from_file).expect_code(0);
        for (arguments, input, word) in [
            (
                &[
                    "user",
                    "create",
                    "weak@example.com",
                    "--last-name",
                    "W",
                    "--password-file",
                    "-",
                ][..],
                "short",
                "password",
            ),
            (
                &[
                    "user",
                    "create",
                    "weak@example.com",
                    "--last-name",
                    "W",
                    "--password-file",
                    "-",
                ],
                "",
                "password",
            ),
            (
                &["user", "create", "weak", "--last-name", "W"],
                "",
                "username",
            ),
            (
                &[
                    "user",
                    "create",
                    "weak@example.com",
                    "--last-name",
                    "W",
                    "--email",
                    "x",
                ],
                "",
                "email",
            ),
            (
                &[
                    "user",
                    "create",
                    "weak@example.com",
                    "--last-name",
                    "W",
                    "--phone",
                    "12",
                ],
                "",
                "phone",
            ),
            (
                &[
                    "user",
                    "create",
                    "weak@example.com",
                    "--last-name",
                    "W",
                    "--password-file",
                    "gone",
                ],
                "",
                "gone",
            ),
        ] {
            expect_refused(installation.run_with_input(arguments, input), 3, &[word]);
        }
        let nowhere = [
            "user",
            "create",
            "weak@example.com",
            "--last-name",
            "W",
            "--profile",
            "Kings",
        ];
        expect_refused(installation.run(&nowhere), 4, &["Kings"]);
        expect_refused(
            installation.run(&["user", "show", "weak@example.com"]),
            4,
            &["weak@example.com"],
        );
        let (listed, _) = both(&installation, &["user", "list"]);
        let names: Vec<_> = listed["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["username"].clone())
            .collect();
        assert_eq!(
            names,
            ["ada@example.com", "Jo@Example.com"],
            "in order of the keys"
        );
        let rest = installation
            .run(&[
                "user",
                "list",
                "--after",
                "ADA@example.com",
                "--limit",
                "1",
                "--json",
            ])
            .json();
        assert_eq!(rest["users"][0]["username"], "Jo@Example.com");
    }
}

#[test]
fn a_password_is_read_to_its_last_character_but_the_line_break() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    installation.run(&["migrate", "up"]).expect_code(0);
    let create = |name: &str, input: &str| {
        let arguments = [
            "user",
            "create",
            name,
            "--last-name",
            "D",
            "--password-file",
            "-",
            "--config",
            "vestibule.toml",
        ];
        run_with_input(installation.directory.path(), &arguments, input).code
    };
    assert_eq!(create("a@example.com", "Quiet-Lantern-42\r\n"), 0);
    assert_eq!(
        create("b@example.com", "Quiet-Lantern-42 \n"),
        3,
        "white space at the end is told, not trimmed"
    );
}
