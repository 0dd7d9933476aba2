//! Sites by command: made, listed, shown and changed, and a wrong setting is named by its line.

use serde_json::json;

use super::{both, expect_refused, installations};

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

/// Files of settings with one mistake each, its line, and a word that the message about it has.
const WRONG_FILES: &[(&str, usize, &str)] = &[
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
        "defaultLocale = \"de_DE\"\nregistrationExecutionUser = \"unknown@example.com\"\n",
        2,
        "unknown@example.com",
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
];

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_line_and_nothing_is_changed() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        let before = installation.run(&["site", "show", "shop", "--json"]).json();
        let file = installation.path("settings.toml");
        for (text, line, word) in WRONG_FILES {
            std::fs::write(&file, text).unwrap();
            let ran = installation.run(&["site", "update", "shop", "--from", "settings.toml"]);
            expect_refused(ran, 3, &[&format!("settings.toml, line {line}"), word]);
            assert_eq!(
                installation.run(&["site", "show", "shop", "--json"]).json(),
                before,
                "{text}"
            );
        }
        expect_refused(
            installation.run(&["site", "update", "shop", "--from", "gone.toml"]),
            3,
            &["gone.toml"],
        );
    }
}

#[tokio::test]
async fn a_wrong_setting_on_the_command_line_changes_nothing() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        let before = installation.run(&["site", "show", "shop", "--json"]).json();
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
    }
}

#[tokio::test]
async fn settings_are_read_from_a_file() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        std::fs::write(
            installation.path("settings.toml"),
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
async fn cap_14_a_sealed_secret_is_taken_only_if_it_opens_here() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        let set = |value: &str| {
            let set = "recaptchaSecretKey=-";
            let update = ["site", "update", "shop", "--json", "--set-from", set];
            installation.run_with_input(&update, value)
        };
        let sealed = set("6Lc-secret").json();
        let sealed = sealed["settings"]["recaptchaSecretKey"].as_str().unwrap();
        let words = ["recaptchaSecretKey", "does not open", "master key"];
        for foreign in ["sealed:AAAA", "sealed:", &sealed[..sealed.len() - 8]] {
            expect_refused(set(foreign), 3, &words);
        }
        set(sealed).expect_code(0);
        std::fs::write(
            installation.path("captcha.toml"),
            "defaultLocale = \"de_DE\"\nrecaptchaSecretKey = \"sealed:AAAA\"\n",
        )
        .unwrap();
        let update = ["site", "update", "shop", "--from", "captcha.toml"];
        expect_refused(installation.run(&update), 3, &["captcha.toml, line 2"]);
        let other = [
            "site",
            "create",
            "other",
            "--base-url",
            "https://other.example.com",
            "--set",
            "recaptchaSecretKey=sealed:AAAA",
        ];
        expect_refused(installation.run(&other), 3, &words);
    }
}

#[tokio::test]
async fn a_secret_is_read_from_a_file_and_not_from_an_argument() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        let update =
            |more: &[&str]| installation.run(&[&["site", "update", "shop"], more].concat());
        let refused = update(&["--set", "recaptchaSecretKey=6Lc-secret"]);
        assert!(!refused.stderr.contains("6Lc"), "{refused:?}");
        expect_refused(refused, 2, &["--set-from recaptchaSecretKey=FILE"]);
        std::fs::write(installation.path("key"), "6Lc-secret\n").unwrap();
        let changed = update(&["--set-from", "recaptchaSecretKey=key"]).expect_code(0);
        assert_eq!(changed.stdout, "recaptchaSecretKey: none -> (sealed)\n");
        let shown = installation.run(&["site", "show", "shop", "--json"]).json();
        let sealed = shown["settings"]["recaptchaSecretKey"].as_str().unwrap();
        update(&["--set", &format!("recaptchaSecretKey={sealed}")]).expect_code(0);
        update(&["--set", "recaptchaSecretKey=null"]).expect_code(0);
        expect_refused(
            update(&["--set-from", "recaptchaSecretKey=gone"]),
            3,
            &["--set-from gone"],
        );
    }
}

#[tokio::test]
async fn an_update_prints_the_difference_and_a_site_shows_names_that_another_one_accepts() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        installation.create_integration_user();
        let set = [
            "isHeadlessUserRegistrationAllowed=true",
            "doesRegistrationRequireAuth=true",
            "registrationUserDefaultProfile=Customer",
            "registrationExecutionUser=bot@example.com",
            "memberProfiles=Customer",
        ];
        let set: Vec<&str> = set.iter().flat_map(|pair| ["--set", pair]).collect();
        let update = [&["site", "update", "shop"][..], &set].concat();
        let text = installation.run(&update).expect_code(0).stdout;
        let first = text.lines().next().unwrap();
        assert_eq!(first, "isHeadlessUserRegistrationAllowed: false -> true");
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(
            text.contains("registrationExecutionUser: none -> \"bot@example.com\" # 005"),
            "{text}"
        );
        let again = installation.run(&update).expect_code(0).stdout;
        assert_eq!(again, "shop: nothing was changed\n");

        let shown = installation
            .run(&["site", "show", "shop"])
            .expect_code(0)
            .stdout;
        for part in [
            "= \"Customer\" # 00e",
            "= \"bot@example.com\" # 005",
            "[\"Customer\"] # 00e",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        std::fs::write(installation.path("site.toml"), &shown).unwrap();
        let copy = [
            "site",
            "create",
            "copy",
            "--base-url",
            "https://copy.example.com",
        ];
        installation
            .run(&[&copy[..], &["--from", "site.toml"]].concat())
            .expect_code(0);
    }
}

#[tokio::test]
async fn all_problems_of_an_update_are_reported_and_a_mistyped_setting_is_recognised() {
    let installation = installations().await.swap_remove(0);
    installation.create_site("https://id.example.com");
    let mistyped = [
        "site",
        "update",
        "shop",
        "--set",
        "isPwdlessLoginAlowed=true",
    ];
    expect_refused(
        installation.run(&mistyped),
        3,
        &["did you mean isPwdlessLoginAllowed?"],
    );
    let lacking = [
        "site",
        "update",
        "shop",
        "--set",
        "isHeadlessUserRegistrationAllowed=true",
    ];
    let words = [
        "doesRegistrationRequireAuth",
        "registrationUserDefaultProfile",
        "registrationExecutionUser",
    ];
    expect_refused(installation.run(&lacking), 3, &words);
    let (listed, text) = both(&installation, &["site", "settings"]);
    let settings = listed["settings"].as_array().unwrap();
    let one = settings
        .iter()
        .find(|row| row["name"] == "maxPasswordResetAttempts")
        .unwrap();
    assert_eq!(
        (&one["type"], &one["default"]),
        (&json!("number"), &json!(5))
    );
    assert!(text.contains("disclose_account_state"));
}

#[tokio::test]
async fn a_client_app_without_a_permitted_profile_is_warned_of() {
    let installation = installations().await.swap_remove(0);
    let bare = installation
        .run(&["client", "create", "shop", "--set", "scopes=api"])
        .expect_code(0);
    assert!(bare.stderr.contains("permits no profile"), "{bare:?}");
    let set = ["--set", "permittedProfiles=Customer", "--set", "scopes=api"];
    let whole = installation
        .run(&[&["client", "create", "app"][..], &set].concat())
        .expect_code(0);
    assert_eq!(whole.stderr, "");
    let shown = installation
        .run(&["client", "show", "app"])
        .expect_code(0)
        .stdout;
    assert!(shown.contains("[\"Customer\"] # 00e"), "{shown}");
}

#[tokio::test]
async fn a_site_of_the_test_captcha_is_warned_of() {
    for installation in installations().await {
        let base = ["--base-url", "https://id.example.com"];
        let set = ["--set", "recaptchaProvider=test"];
        let create = ["site", "create", "shop"];
        let made = installation.run(&[&create[..], &base[..], &set[..]].concat());
        let changed = installation.run(&[&["site", "update", "shop"], &set[..]].concat());
        for ran in [made, changed] {
            let ran = ran.expect_code(0);
            assert!(ran.stderr.contains("only `vestibule dev`"), "{ran:?}");
        }
        let back = ["--set", "recaptchaProvider=turnstile"];
        let ran = installation.run(&[&["site", "update", "shop"], &back[..]].concat());
        assert_eq!(ran.expect_code(0).stderr, "");
    }
}
