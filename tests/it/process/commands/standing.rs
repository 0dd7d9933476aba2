//! What an administrator changes about a user by command, and that a running server knows at once.

use serde_json::{Value, json};
use tempfile::tempdir;

use super::super::binary::{Launch, PATIENCE, eventually, run, run_with_input};
use super::super::serve::Installation;
use super::super::wire::{form, get, post};
use super::{expect_refused, installations};

const PASSWORD: &str = "Quiet-Lantern-42";

fn make(installation: &Installation, username: &str) {
    let create = [
        "user",
        "create",
        username,
        "--last-name",
        "Doe",
        "--password-file",
        "-",
    ];
    installation
        .run_with_input(&create, PASSWORD)
        .expect_code(0);
}

fn events(installation: &Installation, user: &str) -> Vec<Value> {
    let shown = installation.run(&["user", "show", user, "--json"]).json();
    let events = shown["events"].as_array().unwrap();
    events.iter().map(|event| event["event"].clone()).collect()
}

#[tokio::test]
async fn a_users_standing_is_changed_and_what_is_done_already_is_not_noted_again() {
    for installation in installations().await {
        make(&installation, "jo@example.com");
        for (command, line) in [
            ("lock", "jo@example.com  locked"),
            ("lock", "jo@example.com  locked"),
            ("disable", "jo@example.com  locked, disabled"),
            ("unlock", "jo@example.com  disabled"),
            ("unlock", "jo@example.com  disabled"),
            ("enable", "jo@example.com  active"),
            ("enable", "jo@example.com  active"),
        ] {
            let ran = installation.run(&["user", command, "JO@example.com"]);
            let ran = ran.expect_code(0);
            assert!(ran.stdout.trim_end().ends_with(line), "{command}: {ran:?}");
        }
        let locked = installation.run(&["user", "lock", "jo@example.com", "--json"]);
        assert_ne!(locked.json()["locked_at"], Value::Null);
        assert_eq!(
            events(&installation, "jo@example.com"),
            [
                "user.created",
                "user.locked",
                "user.disabled",
                "user.unlocked",
                "user.enabled",
                "user.locked"
            ]
        );
        for command in ["lock", "unlock", "disable", "enable", "delete"] {
            let unknown = installation.run(&["user", command, "unknown@example.com"]);
            expect_refused(unknown, 4, &["unknown@example.com"]);
        }
    }
}

#[tokio::test]
async fn a_user_is_deleted_by_name_unless_something_runs_as_them() {
    for installation in installations().await {
        make(&installation, "jo@example.com");
        let create = ["user", "create", "run@example.com", "--last-name", "R"];
        let integration = [&create[..], &["--integration"]].concat();
        installation.run(&integration).expect_code(0);
        let client = [
            "client",
            "create",
            "Service",
            "--set",
            "scopes=api",
            "--set",
            "isClientCredentialsFlowEnabled=true",
            "--set",
            "clientCredentialsFlowUser=run@example.com",
        ];
        installation.run(&client).expect_code(0);
        let refused = installation.run(&["user", "delete", "run@example.com"]);
        expect_refused(refused, 3, &["Service", "run@example.com"]);
        installation
            .run(&["user", "show", "run@example.com"])
            .expect_code(0);

        let deleted = installation.run(&["user", "delete", "jo@example.com", "--json"]);
        assert_eq!(deleted.json()["deleted"], json!(true));
        let gone = installation.run(&["user", "show", "jo@example.com"]);
        expect_refused(gone, 4, &["jo@example.com"]);
        // The name is free, and the user that has it now is another one.
        make(&installation, "jo@example.com");
        assert_eq!(events(&installation, "jo@example.com"), ["user.created"]);
    }
}

#[tokio::test]
async fn a_password_is_set_by_the_policy_and_never_printed() {
    for installation in installations().await {
        make(&installation, "jo@example.com");
        let set = ["user", "set-password", "jo@example.com", "--password-file"];
        let from_input = [&set[..], &["-"]].concat();
        // As after a reset: not the one before, and not the name of the product.
        for weak in [
            "short",
            "jo@example.com",
            " Blank-at-the-front-1",
            "",
            PASSWORD,
            "Vestibule12",
        ] {
            let refused = installation.run_with_input(&from_input, weak);
            expect_refused(refused, 3, &["password"]);
        }
        let done = installation
            .run_with_input(&from_input, "Other-Lantern-42")
            .expect_code(0);
        assert!(!format!("{done:?}").contains("Other-Lantern"), "{done:?}");
        assert_eq!(
            events(&installation, "jo@example.com"),
            ["user.created", "password.set"]
        );
        for used in [PASSWORD, "Other-Lantern-42"] {
            let refused = installation.run_with_input(&from_input, used);
            expect_refused(refused, 3, &["used before"]);
        }
        let unknown = [
            "user",
            "set-password",
            "unknown@example.com",
            "--password-file",
            "-",
        ];
        let refused = installation.run_with_input(&unknown, PASSWORD);
        expect_refused(refused, 4, &["unknown@example.com"]);
    }
}

#[test]
fn lock_05_a_running_server_knows_at_once_and_old_tokens_stay_dead() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let app = server.app();
    let user = |arguments: &[&str], input: &str| {
        let data = ["--data-dir", "data"];
        let arguments = [&["user"], arguments, &data].concat();
        run_with_input(directory.path(), &arguments, input).expect_code(0)
    };
    let log_in = |password: &str| {
        let body = form(&[
            ("response_type", "code_credentials"),
            ("client_id", &app.client_id),
            ("redirect_uri", &app.redirect_uri),
            ("username", "jo@example.com"),
            ("password", password),
        ]);
        let url = format!("{}/services/oauth2/authorize", app.base_url);
        post(&url, &[("auth-request-type", "Named-User")], &body).unwrap()
    };
    let token_of = |password: &str| {
        let code = log_in(password)
            .expect_status(302)
            .location_parameter("code");
        let tokens = app.exchange(&code.unwrap()).unwrap().expect_status(200);
        tokens.json()["access_token"].as_str().unwrap().to_owned()
    };
    app.register("jo@example.com");
    user(
        &["set-password", "jo@example.com", "--password-file", "-"],
        PASSWORD,
    );
    // The user is notified by mail, as after a reset.
    let inbox = format!(
        "{}/_emulator/v1/inbox?to=jo@example.com",
        server.management()
    );
    eventually(PATIENCE, "the notice", || {
        let messages = get(&inbox, &[]).unwrap();
        messages.body.contains("password_changed").then_some(())
    });
    for (close, open) in [("lock", "unlock"), ("disable", "enable")] {
        let token = token_of(PASSWORD);
        app.userinfo(&token).unwrap().expect_status(200);
        user(&[close, "jo@example.com"], "");
        app.userinfo(&token).unwrap().expect_status(401);
        log_in(PASSWORD).expect_status(400);
        user(&[open, "jo@example.com"], "");
        app.userinfo(&token).unwrap().expect_status(401);
        token_of(PASSWORD);
    }
    // A lockout after wrong passwords is shown, and ended by `unlock` and by another password.
    const THIRD: &str = "Third-Lantern-42";
    let locked_out_until =
        || user(&["show", "jo@example.com", "--json"], "").json()["locked_out_until"].clone();
    for (arguments, before, after) in [
        (&["unlock", "jo@example.com"][..], PASSWORD, PASSWORD),
        (
            &["set-password", "jo@example.com", "--password-file", "-"],
            PASSWORD,
            THIRD,
        ),
    ] {
        assert_eq!(locked_out_until(), Value::Null);
        for _ in 0..10 {
            log_in("Wr0ng-password").expect_status(400);
        }
        log_in(before).expect_status(400);
        assert_ne!(locked_out_until(), Value::Null);
        let listed = user(&["list"], "").stdout;
        let line = listed.lines().find(|line| line.contains("jo@example.com"));
        assert!(line.unwrap().contains("locked out until 20"), "{listed}");
        let shown = user(&["list", "--json"], "").json();
        let locked_out = shown["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| &user["locked_out"]);
        assert_eq!(
            locked_out
                .filter(|is_locked_out| **is_locked_out == json!(true))
                .count(),
            1
        );
        user(arguments, after);
        assert_eq!(log_in(after).status, 302, "{arguments:?}");
    }
    let token = token_of(THIRD);
    user(
        &["set-password", "jo@example.com", "--password-file", "-"],
        "Other-Lantern-42",
    );
    app.userinfo(&token).unwrap().expect_status(401);
    log_in(PASSWORD).expect_status(400);
    let token = token_of("Other-Lantern-42");
    user(&["delete", "jo@example.com"], "");
    app.userinfo(&token).unwrap().expect_status(401);
    log_in("Other-Lantern-42").expect_status(400);
    // The name is free again, for another user with another password.
    let create = ["create", "jo@example.com", "--last-name", "Doe"];
    user(&[&create[..], &["--password-file", "-"]].concat(), PASSWORD);
    token_of(PASSWORD);
    let gone = [
        "user",
        "delete",
        "unknown@example.com",
        "--data-dir",
        "data",
    ];
    run(directory.path(), &gone).expect_code(4);
    server.stop();
}
