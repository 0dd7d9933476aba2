//! Users by command: made with a password from standard input, and shown without it.

use serde_json::Value;

use super::{both, expect_refused, installations};
use crate::process::binary::run_with_input;
use crate::process::serve::Installation;

const PASSWORD: &str = "Quiet-Lantern-42";

/// Creates `Jo@Example.com` with all that a user can have, and [`PASSWORD`] from standard input.
const CREATE_JO: [&str; 12] = [
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
];

#[tokio::test]
async fn a_user_is_made_with_a_password_from_standard_input_and_shown_without_it() {
    for installation in installations().await {
        let create = [&CREATE_JO[..], &["--json"]].concat();
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
            &["exists already"],
        );
    }
}

#[tokio::test]
async fn a_user_that_cannot_be_made_is_refused_and_not_kept() {
    for installation in installations().await {
        let weak = ["user", "create", "weak@example.com", "--last-name", "W"];
        let weak = |more: &[&'static str]| [&weak[..], more].concat();
        for (arguments, input, word) in [
            (weak(&["--password-file", "-"]), "short", "password"),
            (weak(&["--password-file", "-"]), "", "password"),
            (
                vec!["user", "create", "weak", "--last-name", "W"],
                "",
                "username",
            ),
            (weak(&["--email", "x"]), "", "email"),
            (weak(&["--phone", "12"]), "", "phone"),
            (weak(&["--password-file", "gone"]), "", "gone"),
        ] {
            expect_refused(installation.run_with_input(&arguments, input), 3, &[word]);
        }
        let nowhere = weak(&["--profile", "Kings"]);
        expect_refused(installation.run(&nowhere), 4, &["Kings"]);
        expect_refused(
            installation.run(&["user", "show", "weak@example.com"]),
            4,
            &["weak@example.com"],
        );
        let (listed, _) = both(&installation, &["user", "list"]);
        assert_eq!(listed["users"], Value::Array(Vec::new()));
    }
}

#[tokio::test]
async fn users_are_listed_in_the_order_of_their_keys() {
    for installation in installations().await {
        let jo = installation.run_with_input(&CREATE_JO, PASSWORD);
        jo.expect_code(0);
        std::fs::write(installation.path("password"), "Other-Lantern-42\n").unwrap();
        let ada = ["user", "create", "ada@example.com", "--last-name", "L"];
        let from_file = [&ada[..], &["--password-file", "password"]].concat();
        installation.run(&from_file).expect_code(0);
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
        let after = ["user", "list", "--after", "ADA@example.com"];
        let rest = installation.run(&[&after[..], &["--limit", "1", "--json"]].concat());
        assert_eq!(rest.json()["users"][0]["username"], "Jo@Example.com");
        let unreadable = ["user", "list", "--after", "unknown"];
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
        "white space at the end is refused, not trimmed"
    );
}

#[tokio::test]
async fn a_number_that_was_verified_elsewhere_is_marked_as_verified() {
    for installation in installations().await {
        let create = [
            "user",
            "create",
            "jo@example.com",
            "--last-name",
            "Doe",
            "--phone-verified",
        ];
        // Without a number there is nothing to verify.
        installation.run(&create).expect_code(2);
        let phone = ["--phone", "+491701234567", "--json"];
        let made = installation.run(&[&create[..], &phone].concat()).json();
        assert_ne!(made["phone_verified_at"], Value::Null);
        assert_eq!(made["email_verified_at"], Value::Null);
        assert_eq!(
            (&made["locked_out"], &made["locked_out_until"]),
            (&Value::Bool(false), &Value::Null)
        );
    }
}
