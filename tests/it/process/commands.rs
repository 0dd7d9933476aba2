//! The commands of an administrator, as one runs them: what they print, how they end, and that a
//! refusal changes nothing. On both databases where a database is in play.
//!
//! Commands that need a running server are in `running.rs`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;
use vestibule::moment::Stopwatch;

use super::binary::{Launch, Ran, run, run_with_input};
use super::serve::Installation;
use crate::fixture::postgres;

/// Every administrator's story runs on SQLite, and on PostgreSQL where there is one.
pub async fn installations() -> Vec<Installation> {
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
pub fn expect_refused(ran: Ran, code: i32, words: &[&str]) {
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
        &["site", "update", "x"],
        &["client", "update", "x"],
        &["completions", "bash", "--json"],
        &["user", "list", "--data-dir", "d", "--config", "f.toml"],
        &["inbox", "list", "--config", "f.toml"],
        &["perform", "register", "--config", "f.toml"],
        &["perform", "register", "--client-id", "x"],
        &["perform", "register", "--base-url", "http://127.0.0.1:1"],
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
fn an_error_is_json_when_json_was_asked_for() {
    let directory = tempdir().unwrap();
    for (command, code, word) in [
        (&["site", "list"][..], 4, "no installation"),
        (
            &["config", "check", "--config", "gone.toml"],
            3,
            "gone.toml",
        ),
        (&["inbox", "list"], 4, "vestibule dev"),
        (&["isready"], 5, "not ready"),
        (&["site", "update", "x"], 2, "--base-url"),
        (&["completions", "bash"], 2, "--json"),
        (
            &["site", "list", "--data-dir", "d", "--config", "f"],
            2,
            "--data-dir and --config",
        ),
    ] {
        let ran = run(directory.path(), &[command, &["--json"]].concat()).expect_code(code);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1));
        let told: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(told["code"], code, "{ran:?}");
        assert!(told["error"].as_str().unwrap().contains(word), "{ran:?}");
        let plain = run(directory.path(), command);
        assert!(
            code == 2 || plain.stderr.starts_with("vestibule: "),
            "{plain:?}"
        );
    }
    let help = run(directory.path(), &["site", "--help", "--json"]).expect_code(0);
    assert!(help.stdout.contains("Usage:"), "{help:?}");
}

#[test]
fn the_option_stands_over_the_other_one_s_variable() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    let list = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = super::binary::command(installation.directory.path(), arguments);
        command.envs(variables.iter().copied());
        super::binary::finish(command, "")
    };
    installation.run(&["migrate", "up"]).expect_code(0);
    let config = ("VESTIBULE_CONFIG", "vestibule.toml");
    let data_dir = ("VESTIBULE_DATA_DIR", "elsewhere");
    let by_option = ["user", "list", "--config", "vestibule.toml"];
    list(&by_option, &[data_dir]).expect_code(0);
    list(&["user", "list"], &[config]).expect_code(0);
    let other = ["user", "list", "--data-dir", "other"];
    expect_refused(list(&other, &[config]), 4, &["other/vestibule.db"]);
}

#[test]
fn a_master_key_that_is_not_there_is_named_with_what_to_do() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    installation.run(&["migrate", "up"]).expect_code(0);
    std::fs::remove_file(installation.path("master.key")).unwrap();
    for command in [&["config", "check"][..], &["user", "list"], &["serve"]] {
        let words = [
            "master.key",
            "[keys] master_key_file",
            "--config",
            "--data-dir",
            "openssl rand -base64 32",
        ];
        expect_refused(installation.run(command), 3, &words);
    }
    assert!(!installation.path("master.key").exists());

    let mut named = super::binary::command(installation.directory.path(), &["config", "check"]);
    named.env("VESTIBULE_KEYS__MASTER_KEY_FILE", "no.key");
    expect_refused(super::binary::finish(named, ""), 3, &["no.key"]);
}

#[test]
fn a_config_check_says_what_is_not_configured() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    let note = "no mail relay is configured";
    let bare = installation.run(&["config", "check"]).expect_code(0);
    assert!(bare.stderr.contains(note), "{bare:?}");
    let relay = "[smtp]\nurl = \"smtp://127.0.0.1:25\"\nfrom = \"a@example.com\"\n";
    let installation = Installation::new("sqlite:vestibule.db", relay);
    let whole = installation.run(&["config", "check"]).expect_code(0);
    assert_eq!(whole.stderr, "");
    let none = run(installation.directory.path(), &["config", "check"]).expect_code(0);
    assert!(
        none.stderr.contains("defaults of `vestibule dev`") && !none.stderr.contains(note),
        "{none:?}"
    );
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
    expect_refused(
        at(&["config", "init", "v.toml"]),
        3,
        &["v.toml exists already"],
    );
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
        assert!(ran.stdout.contains("postgres://db.example/shop"), "{ran:?}");
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
        let base = ["--base-url", "https://second.example.com"];
        installation
            .run(&[&["site", "create", "second"], &base[..]].concat())
            .expect_code(0);
        let clash = installation.run(&[&["site", "update", "shop"], &base[..]].concat());
        expect_refused(clash, 3, &["base URL"]);
        assert_eq!(
            installation.run(&["site", "show", "shop", "--json"]).json(),
            changed
        );
        assert_eq!(
            installation.run(&["site", "list", "--json"]).json()["sites"]
                .as_array()
                .unwrap()
                .len(),
            2
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
                3,
                "profileId",
            ),
            (
                "# Accounts\ndefaultLocale = \"de_DE\"\n\n[registrationAccount]\nrule = \"customdata\"\nmemebr = \"company\"\n",
                6,
                "memebr",
            ),
            (
                "[registrationAccount]\ncreate = true\nrule = \"shared\"\n",
                3,
                "name",
            ),
            (
                "defaultLocale = \"de_DE\"\nregistrationAccount = { rule = \"own\",\n  create = 7 }\n",
                3,
                "registrationAccount",
            ),
            (
                "defaultLocale = \"de_DE\"\n\nisHeadlessUserRegistrationAllowed = true\n",
                3,
                "doesRegistrationRequireAuth",
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
            ("colour=red", "colour: there is no such policy"),
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
        let unreadable = ["user", "list", "--after", "nobody"];
        expect_refused(installation.run(&unreadable), 3, &["--after"]);
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

/// What two administrators change at once is changed by both.
const AT_ONCE: [(&str, &str, &str); 2] = [
    (
        "site",
        "defaultLocale=de_DE",
        "defaultTimezone=Europe/Berlin",
    ),
    (
        "client",
        "isPkceRequired=false",
        "idTokenLifetimeSeconds=300",
    ),
];

fn expect_both_changes(installation: &Installation) {
    let show = |what| installation.run(&[what, "show", "shop", "--json"]).json();
    let (site, client) = (show("site"), show("client"));
    assert_eq!(site["settings"]["defaultLocale"], "de_DE");
    assert_eq!(site["settings"]["defaultTimezone"], "Europe/Berlin");
    assert_eq!(client["policies"]["isPkceRequired"], false);
    assert_eq!(client["policies"]["idTokenLifetimeSeconds"], 300);
}

fn with_site_and_client(url: &str) -> Installation {
    let installation = Installation::new(url, "").with_site("https://id.example.com");
    let create = ["client", "create", "shop", "--set", "scopes=api"];
    installation.run(&create).expect_code(0);
    installation
}

#[test]
fn of_two_changes_at_once_none_is_lost_on_sqlite() {
    // Which of them comes first is up to the machine, so it is tried some times.
    let rounds = (0..4).flat_map(|_| AT_ONCE);
    let installation = with_site_and_client("sqlite:vestibule.db");
    for (what, one, other) in rounds {
        std::thread::scope(|scope| {
            for set in [one, other] {
                let installation = &installation;
                scope.spawn(move || {
                    let update = [what, "update", "shop", "--set", set];
                    installation.run(&update).expect_code(0);
                });
            }
        });
        let shown = installation.run(&[what, "show", "shop"]).stdout;
        for set in [one, other] {
            let (key, value) = set.split_once('=').unwrap();
            let is_set = |line: &str| line.contains(key) && line.contains(value);
            assert!(shown.lines().any(is_set), "{set}: {shown}");
        }
        let back: &[&str] = match what {
            "site" => &["defaultLocale=en_US", "defaultTimezone=UTC"],
            _ => &["isPkceRequired=true", "idTokenLifetimeSeconds=120"],
        };
        for set in back {
            installation
                .run(&[what, "update", "shop", "--set", set])
                .expect_code(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_none_is_lost_on_postgresql() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let installation = with_site_and_client(&url);
    let (mut holder, watcher) = (postgres::connect(&url).await, postgres::connect(&url).await);
    for (what, one, other) in AT_ONCE {
        // Every writer has read what it will read before the first of them can write.
        let hold = holder.transaction().await.unwrap();
        hold.execute("UPDATE installation SET version = version", &[])
            .await
            .unwrap();
        let running: Vec<_> = [one, other]
            .into_iter()
            .map(|set| {
                let update = [what, "update", "shop", "--set", set];
                let all = [&update[..], &["--config", "vestibule.toml"]].concat();
                let mut command = super::binary::command(installation.directory.path(), &all);
                command.stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        let started = Stopwatch::start();
        loop {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let count: i64 = watcher.query_one(waiting, &[]).await.unwrap().get(0);
            if count == 2 {
                break;
            }
            assert!(started.seconds() < 8.0, "both wait for the lock: {count}");
            tokio::task::yield_now().await;
        }
        hold.commit().await.unwrap();
        for mut child in running {
            assert!(child.wait().unwrap().success());
        }
    }
    expect_both_changes(&installation);
}

#[cfg(unix)]
#[test]
fn a_backup_is_for_its_owner_only_and_removes_nothing_that_was_there() {
    use std::os::unix::fs::PermissionsExt;
    let installation = with_site_and_client("sqlite:vestibule.db");
    installation.run(&["backup", "copy.db"]).expect_code(0);
    let metadata = std::fs::metadata(installation.path("copy.db")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    super::binary::expect_intact_database(&installation.path("copy.db"));

    std::fs::write(installation.path("empty"), "").unwrap();
    std::fs::write(installation.path("precious"), "mine").unwrap();
    // A link that points nowhere is there, too, although nothing exists behind it.
    std::os::unix::fs::symlink("nowhere", installation.path("link")).unwrap();
    for name in ["copy.db", "empty", "precious", "link", "vestibule.db"] {
        let before = std::fs::read(installation.path(name)).ok();
        expect_refused(
            installation.run(&["backup", name]),
            3,
            &[name, "exists already"],
        );
        assert!(installation.path(name).symlink_metadata().is_ok(), "{name}");
        assert_eq!(std::fs::read(installation.path(name)).ok(), before);
    }
    assert!(!installation.path("nowhere").exists());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let installation = with_site_and_client("sqlite:vestibule.db");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in [
        &["user", "list"][..],
        &["site", "list", "--json"],
        &["config", "print"],
        &["migrate", "plan"],
        &["completions", "bash"],
        &["version"],
    ] {
        let all = [arguments, &["--config", "vestibule.toml"]].concat();
        let mut command = super::binary::command(installation.directory.path(), &all);
        let output = command
            .stdout(closed())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    // A refusal keeps its code where nobody reads it.
    let mut command = super::binary::command(
        installation.directory.path(),
        &["site", "show", "x", "--config", "vestibule.toml"],
    );
    let status = command.stdout(closed()).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(4));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_a_failure() {
    let directory = tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = super::binary::command(directory.path(), &["version"]);
    let output = command
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn an_environment_that_is_not_utf_8_and_a_closed_output_stop_nobody() {
    let directory = tempdir().unwrap();
    let foreign = |arguments: &[&str]| {
        let mut command = super::binary::command(directory.path(), arguments);
        command
            .env(OsStr::from_bytes(b"F\xffREIGN"), "x")
            .env("FOREIGN", OsStr::from_bytes(b"\xff"));
        command
    };
    super::binary::finish(foreign(&["config", "print"]), "").expect_code(0);
    let mut command = foreign(&["config", "print"]);
    command.env("VESTIBULE_SMTP__FROM", OsStr::from_bytes(b"a\xff"));
    let ran = super::binary::finish(command, "");
    expect_refused(ran, 3, &["VESTIBULE_SMTP__FROM", "UTF-8"]);

    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let free = ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"];
    let dev = [&["dev", "--ready-file", "ready.json"], &free[..]].concat();
    let mut child = foreign(&dev)
        .stdout(closed)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = directory.path().join("ready.json");
    super::binary::eventually(super::binary::PATIENCE, "the ready file", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        ready.exists().then_some(())
    });
    let server: Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let address = server["management_url"].as_str().unwrap();
    run(directory.path(), &["isready", "--management", address]).expect_code(0);
    let id = child.id().to_string();
    let mut signal = std::process::Command::new("kill");
    let sent = signal.args(["-s", "INT", &id]).status().unwrap();
    assert!(sent.success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_wrong_value_in_the_environment_is_not_repeated() {
    let directory = tempdir().unwrap();
    for (variable, word) in [
        (
            "VESTIBULE_HASHING__QUEUE",
            "[hashing] queue takes a whole number",
        ),
        ("VESTIBULE_SMTP__PASSWORD", "password_file"),
        ("VESTIBULE_LOG__FORMAT", "\"json\" or \"pretty\""),
    ] {
        let mut command = super::binary::command(directory.path(), &["config", "check"]);
        command.env(variable, "s3cretvalue");
        let ran = super::binary::finish(command, "");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        expect_refused(ran, 3, &[word]);
    }
}

#[test]
fn a_code_that_came_earlier_is_not_taken_for_the_new_one() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let to = "shared@example.com";
    let here = ["--data-dir", "data"];
    for name in ["one", "two", "three"] {
        let username = format!("{name}@example.com");
        let register = [
            "perform",
            "register",
            "--username",
            &username,
            "--email",
            to,
        ];
        run(directory.path(), &[&register[..], &here].concat()).expect_code(0);
    }
    let listed = ["inbox", "list", "--json", "--to", to];
    let messages = run(directory.path(), &[&listed[..], &here].concat()).json();
    assert_eq!(messages["messages"].as_array().unwrap().len(), 3);
    let newest = ["inbox", "wait", "--json", "--to", to];
    let newest = run(directory.path(), &[&newest[..], &here].concat()).json();
    assert_eq!(newest, messages["messages"][2]);

    let late = ["inbox", "wait", "--new", "--seconds", "1", "--to", to];
    run(directory.path(), &[&late[..], &here].concat()).expect_code(5);
    let wait = [
        &[
            "inbox",
            "wait",
            "--new",
            "--json",
            "--seconds",
            "30",
            "--to",
            to,
        ],
        &here[..],
    ];
    let mut child = super::binary::command(directory.path(), &wait.concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    let register = [
        "perform",
        "register",
        "--username",
        "four@example.com",
        "--email",
        to,
    ];
    run(directory.path(), &[&register[..], &here].concat()).expect_code(0);
    let output = child.wait_with_output().unwrap();
    let came: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = messages["messages"].as_array().unwrap();
    assert!(known.iter().all(|old| old["id"] != came["id"]), "{came}");
    assert_eq!(came["to"], to);
    server.stop();
}
