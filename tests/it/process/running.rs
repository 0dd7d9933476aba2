//! Commands while a server is running: their changes are in effect within a second, and their requests
//! are answered by the server.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::binary::{
    Launch, Ran, Server, command, dev_arguments, eventually, expect_intact_database, run,
    run_with_input,
};
use super::serve::Installation;
use super::wire::{form, post, registration, text};
use crate::fixture::postgres;

/// "Within a second", with a margin for a machine that runs other tests.
const SOON: Duration = Duration::from_secs(2);

fn running(directory: &std::path::Path) -> Server {
    Launch::dev(directory).until_ready()
}

/// Runs a command on the data of [`running`].
fn run_on_data(directory: &std::path::Path, command: &[&str], more: &[&str]) -> Ran {
    run(
        directory,
        &[command, &["--data-dir", "data"], more].concat(),
    )
}

#[test]
fn a_change_of_a_site_is_in_effect_within_a_second_and_back() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let app = server.app();
    let token = text(&app.integration_token().unwrap().json()["access_token"]);
    let mut count = 0;
    let mut init = || {
        count += 1;
        app.init(&token, &registration(&format!("janice{count}@example.com")))
            .unwrap()
    };
    assert_eq!(init().status, 200);
    for (value, error) in [
        ("false", Some("headless_registration_disabled")),
        ("true", None),
    ] {
        let set = format!("isHeadlessUserRegistrationAllowed={value}");
        let update = ["site", "update", "private", "--set", &set];
        run_on_data(directory.path(), &update, &[]).expect_code(0);
        eventually(SOON, &set, || {
            let reply = init();
            match error {
                Some(error) => reply.body.contains(error).then_some(()),
                None => (reply.status == 200).then_some(()),
            }
        });
    }
    server.stop();
}

#[test]
fn a_rotated_secret_ends_the_old_one_and_a_new_client_works_within_a_second() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let mut app = server.app();
    app.integration_token().unwrap().expect_status(200);
    let rotate = ["client", "rotate-secret", "integration", "--json"];
    let rotated = run_on_data(directory.path(), &rotate, &[]).json();
    eventually(SOON, "the end of the old secret", || {
        (app.integration_token().unwrap().status != 200).then_some(())
    });
    app.integration_secret = text(&rotated["client_secret"]);
    app.integration_token().unwrap().expect_status(200);

    let create = [
        "client",
        "create",
        "second",
        "--data-dir",
        "data",
        "--json",
        "--set",
        "isClientCredentialsFlowEnabled=true",
        "--set",
        "clientCredentialsFlowUser=integration@vestibule.example",
        "--set",
        "scopes=user_registration_api",
        "--set",
        "permittedProfiles=Integration",
    ];
    let made = run(directory.path(), &create).json();
    app.integration_id = text(&made["client_id"]);
    app.integration_secret = text(&made["client_secret"]);
    eventually(SOON, "the new client", || {
        (app.integration_token().unwrap().status == 200).then_some(())
    });
    let disable = ["--set", "isClientCredentialsFlowEnabled=false"];
    run_on_data(directory.path(), &["client", "update", "second"], &disable).expect_code(0);
    eventually(SOON, "the closed flow", || {
        (app.integration_token().unwrap().status == 400).then_some(())
    });
    server.stop();
}

#[test]
fn perform_register_completes_by_mail_and_by_text_message() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let perform = |more: &[&str]| run_on_data(directory.path(), &["perform", "register"], more);
    let done = perform(&[
        "--json",
        "--username",
        "ada@example.com",
        "--first-name",
        "Ada",
        "--last-name",
        "Lovelace",
    ])
    .json();
    assert_eq!(done["userinfo"]["preferred_username"], "ada@example.com");
    assert_eq!(done["userinfo"]["given_name"], "Ada");
    assert_eq!(done["userinfo"]["email_verified"], true);
    assert_eq!(done["tokens"]["token_type"], "Bearer");
    let text_form = perform(&[]).expect_code(0);
    assert!(
        text_form.stdout.contains("\"preferred_username\""),
        "{text_form:?}"
    );
    assert!(
        text_form.stderr.contains("4  tokens were issued"),
        "{text_form:?}"
    );

    let sms = perform(&[
        "--json",
        "--method",
        "sms",
        "--phone",
        "+49 170 1234567",
        "--username",
        "sms@example.com",
    ]);
    assert_eq!(
        sms.json()["userinfo"]["preferred_username"],
        "sms@example.com"
    );
    let show = ["user", "show", "sms@example.com", "--json"];
    let shown = run_on_data(directory.path(), &show, &[]).json();
    assert_ne!(shown["phone_verified_at"], Value::Null);
    assert_eq!(
        shown["email_verified_at"],
        Value::Null,
        "the address is not verified"
    );

    let taken = perform(&["--username", "ada@example.com"]).expect_code(3);
    assert!(taken.stderr.contains("username"), "{taken:?}");
    let weak = [
        "perform",
        "register",
        "--data-dir",
        "data",
        "--password-file",
        "-",
    ];
    run_with_input(directory.path(), &weak, "password").expect_code(3);
    server.stop();
    let late = perform(&[]).expect_code(5);
    assert!(late.stderr.contains("Is the server running?"), "{late:?}");
}

#[test]
fn perform_register_asks_for_the_code() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let register = ["perform", "register", "--data-dir", "data"];
    let silent = [&register[..], &["--code-from", "ask"]].concat();
    let arguments = [&silent[..], &["--username", "ada@example.com", "--json"]].concat();
    let mut child = command(directory.path(), &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let messages = server.app().inbox("ada@example.com").unwrap();
    let code = text(&messages[0]["code"]);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!(" {code} \n").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["userinfo"]["preferred_username"], "ada@example.com");
    assert!(String::from_utf8_lossy(&output.stderr).contains("ada@example.com: "));

    run_with_input(directory.path(), &silent, "\n").expect_code(5);
    run_with_input(directory.path(), &silent, "000000\n").expect_code(3);
    server.stop();
}

#[test]
fn perform_register_works_against_any_named_server() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let app = server.app();
    let elsewhere = tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(elsewhere.path().join(name), text).unwrap();
    file("app", &format!("{}\n", app.client_secret));
    file("integration", &app.integration_secret);
    let base_url = format!("{}/", app.base_url);
    let arguments = [
        "perform",
        "register",
        "--json",
        "--username",
        "grace@example.com",
        "--base-url",
        &base_url,
        "--client-id",
        &app.client_id,
        "--client-secret-file",
        "app",
        "--redirect-uri",
        &app.redirect_uri,
        "--integration-id",
        &app.integration_id,
        "--integration-secret-file",
        "integration",
    ];
    let mut child = command(elsewhere.path(), &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let messages = app.inbox("grace@example.com").unwrap();
    let code = format!("{}\n", text(&messages[0]["code"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(code.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["userinfo"]["preferred_username"], "grace@example.com");

    let with = |more: &[&str]| run(elsewhere.path(), &[&arguments[..], more].concat());
    let inbox = with(&["--code-from", "inbox"]).expect_code(2);
    assert!(inbox.stderr.contains("inbox"), "{inbox:?}");
    let two_readers = with(&["--password-file", "-"]).expect_code(2);
    assert!(
        two_readers.stderr.contains("standard input"),
        "{two_readers:?}"
    );
    file("integration", "wrong");
    let wrong = with(&[]).expect_code(3);
    let refused: Value = serde_json::from_str(&wrong.stderr).unwrap();
    assert_eq!(refused["code"], 3, "{wrong:?}");
    assert!(!wrong.stderr.contains(&app.client_secret), "{wrong:?}");
    server.stop();
}

#[test]
fn the_inbox_is_read_from_the_terminal() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let inbox = |more: &[&str]| run_on_data(directory.path(), &["inbox"], more);
    assert_eq!(inbox(&["list", "--json"]).json(), json!({"messages": []}));
    let late = inbox(&["wait", "--to", "ada@example.com", "--seconds", "1"]).expect_code(5);
    assert!(late.stderr.contains("ada@example.com"), "{late:?}");
    server.app().register("ada@example.com");
    let newest = inbox(&["wait", "--to", "ada@example.com", "--json"]).json();
    let code = text(&newest["code"]);
    let listed = inbox(&["list", "--to", "ada@example.com"])
        .expect_code(0)
        .stdout;
    assert!(
        listed.contains(&code) && listed.contains("ada@example.com"),
        "{listed}"
    );
    assert!(
        inbox(&["wait", "--to", "ada@example.com"])
            .expect_code(0)
            .stdout
            .contains(&code)
    );
    server.stop();
    inbox(&["list"]).expect_code(5);
}

#[test]
fn isready_fails_then_waits_then_succeeds() {
    let directory = tempdir().unwrap();
    let ask = |more: &[&str]| run(directory.path(), &[&["isready"], more].concat());
    ask(&["--data-dir", "data"]).expect_code(5);
    ask(&["--management", "http://127.0.0.1:1"]).expect_code(5);
    let mut waiting = command(
        directory.path(),
        &["isready", "--data-dir", "data", "--wait", "30", "--json"],
    );
    let child = waiting.stdout(Stdio::piped()).spawn().unwrap();
    let mut server = running(directory.path());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        json!({"ready": true})
    );
    ask(&["--data-dir", "data"]).expect_code(0);
    ask(&["--management", &server.management()]).expect_code(0);
    server.stop();
    ask(&["--data-dir", "data"]).expect_code(5);
}

#[test]
fn a_backup_of_a_running_server_is_complete_and_can_be_restored() {
    let directory = tempdir().unwrap();
    let mut server = running(directory.path());
    let app = server.app();
    app.register("before@example.com");
    let taken = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            for number in 0..6 {
                app.register(&format!("during{number}@example.com"));
            }
        });
        let mut taken = 0;
        while !traffic.is_finished() {
            let file = format!("copy{taken}.db");
            let ran = run(
                directory.path(),
                &["backup", &file, "--data-dir", "data", "--json"],
            )
            .json();
            let bytes = std::fs::metadata(directory.path().join(&file))
                .unwrap()
                .len();
            assert_eq!(ran["bytes"], bytes);
            expect_intact_database(&directory.path().join(&file));
            taken += 1;
        }
        traffic.join().unwrap();
        taken
    });
    assert!(taken > 0);
    let again = run(
        directory.path(),
        &["backup", "copy0.db", "--data-dir", "data"],
    )
    .expect_code(3);
    assert!(again.stderr.contains("exists already"), "{again:?}");
    run(
        directory.path(),
        &["backup", "no/such/place.db", "--data-dir", "data"],
    )
    .expect_code(1);
    run(
        directory.path(),
        &["backup", "last.db", "--data-dir", "data"],
    )
    .expect_code(0);
    server.stop();

    std::fs::create_dir(directory.path().join("restored")).unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(directory.path().join(from), directory.path().join(to)).unwrap();
    };
    copy("last.db", "restored/vestibule.db");
    copy("data/master.key", "restored/master.key");
    let listed = run(
        directory.path(),
        &["user", "list", "--data-dir", "restored", "--json"],
    )
    .json();
    assert_eq!(listed["users"].as_array().unwrap().len(), 8);
    let mut restored = Launch::new(directory.path(), &dev_arguments("restored")).until_ready();
    restored.app().register("after@example.com");
    restored.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_a_server_is_set_up_served_and_changed_by_commands() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let more = "[proxies]\ntrusted = [\"127.0.0.1\"]\n";
    let installation = Installation::new(&url, more).with_site("https://id.example.com");
    installation.create_integration_user();
    let mut server = installation.serve();
    let permitted = ["--set", "permittedProfiles=Integration"];
    let client = installation.create_integration_client(&permitted);
    let (id, secret) = (text(&client["client_id"]), text(&client["client_secret"]));
    let token_url = format!(
        "http://127.0.0.1:{}/services/oauth2/token",
        installation.public
    );
    let headers = [("host", "id.example.com"), ("x-forwarded-proto", "https")];
    let ask = |secret: &str| {
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &id),
            ("client_secret", secret),
        ]);
        post(&token_url, &headers, &body).unwrap()
    };
    eventually(SOON, "the new client", || {
        (ask(&secret).status == 200).then_some(())
    });
    let rotated = installation
        .run(&["client", "rotate-secret", "bot", "--json"])
        .json();
    eventually(SOON, "the end of the old secret", || {
        (ask(&secret).status != 200).then_some(())
    });
    ask(&text(&rotated["client_secret"])).expect_status(200);
    let refused = installation.run(&["backup", "copy.db"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("pg_dump"),
        "{refused:?}"
    );
    assert!(!installation.path("copy.db").exists());
    server.stop();
}
