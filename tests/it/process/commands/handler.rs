//! Handlers by command: made, tried out, changed, shown, rolled back, replayed, removed, and refused.

use std::path::Path;

use serde_json::{Value, json};

use super::{both, expect_refused, installations};
use crate::process::binary::{Ran, run};
use crate::process::serve::Installation;

const DISCOVER: &str = "export async function discoverUser({ loginHint }) {
  const users = await vestibule.users.find({ email: loginHint });
  return { userIds: users.map((user) => user.id) };
}
";

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

fn handler(installation: &Installation, arguments: &[&str]) -> Ran {
    installation.run(&[&["handler"], arguments].concat())
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    handler(installation, &[arguments, &["--json"]].concat()).json()
}

#[tokio::test]
async fn a_handler_is_made_changed_rolled_back_and_removed() {
    for installation in installations().await {
        let directory = installation.directory.path();
        write(directory, "orders.js", DISCOVER);
        let made = json(
            &installation,
            &[
                "create",
                "orders",
                "--file",
                "orders.js",
                "--allow-host",
                "API.example.com",
            ],
        );
        assert_eq!(
            (&made["contract"], &made["kind"], &made["version"]),
            (&json!("discoverUser"), &json!("script"), &json!(1))
        );
        expect_refused(
            handler(&installation, &["create", "orders", "--file", "orders.js"]),
            3,
            &["exists already"],
        );

        write(
            directory,
            "second.js",
            &DISCOVER.replace("users.map", "users.slice(0, 2).map"),
        );
        let set = json(&installation, &["set", "orders", "--file", "second.js"]);
        assert_eq!(set, json!({"name": "orders", "version": 2}));
        let shown = json(&installation, &["show", "orders"]);
        assert_eq!(
            shown["body"]["allowedHosts"],
            json!(["api.example.com"]),
            "hosts stay"
        );
        assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
        json(&installation, &["set", "orders", "--no-hosts"]);
        let shown = json(&installation, &["show", "orders"]);
        assert_eq!(
            (&shown["version"], &shown["body"]["allowedHosts"]),
            (&json!(3), &json!([]))
        );

        let source = handler(
            &installation,
            &["show", "orders", "--version", "1", "--source"],
        );
        assert_eq!(source.expect_code(0).stdout, DISCOVER);
        let back = json(&installation, &["rollback", "orders", "--to", "1"]);
        assert_eq!(
            (&back["version"], &back["from_version"]),
            (&json!(1), &json!(3))
        );
        expect_refused(
            handler(&installation, &["rollback", "orders"]),
            4,
            &["first version"],
        );
        expect_refused(
            handler(&installation, &["show", "orders", "--version", "9"]),
            4,
            &["there are 1 to 3"],
        );
        // A version that comes after a rollback has a number of its own.
        assert_eq!(
            json(&installation, &["set", "orders", "--file", "second.js"])["version"],
            4
        );
        assert_eq!(json(&installation, &["rollback", "orders"])["version"], 3);

        let (listed, text) = both(&installation, &["handler", "list"]);
        assert_eq!(listed["handlers"][0]["version"], 3);
        assert!(
            text.contains("orders") && text.contains("version 3"),
            "{text}"
        );

        assert_eq!(json(&installation, &["delete", "orders"])["deleted"], true);
        for arguments in [
            &["show", "orders"][..],
            &["delete", "orders"],
            &["rollback", "orders"],
            &["set", "orders", "--file", "second.js"],
        ] {
            expect_refused(handler(&installation, arguments), 4, &["orders"]);
        }
        expect_audited(installation.directory.path());
    }
}

/// Every change of the code that runs is an event, with the version that it led to.
fn expect_audited(directory: &Path) {
    let file = directory.join("vestibule.db");
    if !file.exists() {
        return;
    }
    let database = rusqlite::Connection::open(file).unwrap();
    let count = |event: &str| -> i64 {
        let sql = "SELECT COUNT(*) FROM audit_event WHERE event = ?1 AND detail LIKE '%\"name\":\"orders\"%'";
        database.query_row(sql, [event], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("handler.created"), count("handler.deleted")), (1, 1));
    assert!(count("handler.set") >= 2 && count("handler.rolled_back") >= 2);
}

#[tokio::test]
async fn what_cannot_run_is_refused_and_nothing_is_changed() {
    for installation in installations().await {
        let directory = installation.directory.path();
        for (name, text) in [
            ("good.js", DISCOVER),
            ("syntax.js", "export function discoverUser( {\n"),
            (
                "import.js",
                "import fs from 'fs';\nexport function discoverUser() {}\n",
            ),
            ("none.js", "function discoverUser() {}\n"),
            (
                "two.js",
                "export function discoverUser() {}\nexport function createUser() {}\n",
            ),
        ] {
            write(directory, name, text);
        }
        for (file, code, words) in [
            ("syntax.js", 3, &["syntax@1.js", "line"][..]),
            ("import.js", 3, &["import"]),
            ("none.js", 3, &["exports none of"]),
            ("two.js", 2, &["--contract"]),
            ("missing.js", 3, &["missing.js"]),
        ] {
            let name = file.strip_suffix(".js").unwrap();
            expect_refused(
                handler(&installation, &["create", name, "--file", file]),
                code,
                words,
            );
        }
        assert_eq!(json(&installation, &["list"]), json!({"handlers": []}));
        json(
            &installation,
            &[
                "create",
                "two",
                "--file",
                "two.js",
                "--contract",
                "createUser",
            ],
        );
        json(&installation, &["create", "orders", "--file", "good.js"]);
        for (arguments, code, words) in [
            (
                &["set", "orders", "--file", "syntax.js"][..],
                3,
                &["syntax.js"][..],
            ),
            (
                &["set", "two", "--file", "good.js"],
                3,
                &["exports no function createUser"],
            ),
            (
                &["set", "orders", "--webhook", "https://hooks.example.com/"],
                3,
                &["is a script"],
            ),
            (
                &["set", "orders", "--allow-host", "https://a.example/x"],
                3,
                &["allowedHosts"],
            ),
            (&["set", "orders"], 2, &["--file"]),
            (
                &["create", "builtin", "--file", "good.js"],
                3,
                &["built-in"],
            ),
            (
                &["create", "2nd", "--file", "good.js"],
                3,
                &["begins with a letter"],
            ),
            (
                &["create", "hook", "--webhook", "https://hooks.example.com/"],
                2,
                &["--contract"],
            ),
            (
                &[
                    "create",
                    "hook",
                    "--webhook",
                    "http://hooks.example.com/",
                    "--contract",
                    "createUser",
                ],
                3,
                &["https://"],
            ),
            (
                &[
                    "create",
                    "x",
                    "--template",
                    "delivery",
                    "--contract",
                    "createUser",
                ],
                2,
                &["another contract"],
            ),
        ] {
            expect_refused(handler(&installation, arguments), code, words);
        }
        assert_eq!(json(&installation, &["show", "orders"])["version"], 1);
    }
}

#[tokio::test]
async fn a_template_begins_a_handler_and_passes_its_trial() {
    let installation = installations().await.remove(0);
    for (template, contract) in [
        ("registration", "createUser"),
        ("discovery", "discoverUser"),
        ("delivery", "sendOneTimePassword"),
    ] {
        let printed = handler(
            &installation,
            &["create", "x", "--template", template, "--print"],
        )
        .expect_code(0);
        let file = format!("{template}.js");
        let create = ["create", template, "--template", template, "--out", &file];
        let created = handler(&installation, &create).expect_code(0).stdout;
        assert!(
            created.contains(contract) && created.contains(&format!("handler check {file}")),
            "{created}"
        );
        let written = std::fs::read_to_string(installation.path(&file)).unwrap();
        assert_eq!(written, printed.stdout);
        for subject in [template, &file] {
            let checked = json(&installation, &["check", subject]);
            assert_eq!(
                (&checked["contract"], &checked["failed"]),
                (&json!(contract), &json!(0)),
                "{checked}"
            );
        }
    }
    expect_refused(
        handler(
            &installation,
            &[
                "create",
                "y",
                "--template",
                "delivery",
                "--out",
                "delivery.js",
            ],
        ),
        3,
        &["delivery.js"],
    );
    assert!(
        handler(&installation, &["show", "y"]).code == 4,
        "no handler without its file"
    );
}

#[test]
fn a_trial_needs_no_installation_and_reports_the_outcome_of_each_fixture() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write(directory, "orders.js", DISCOVER);
    std::fs::create_dir(directory.join("fixtures")).unwrap();
    let fixture = |name: &str, hint: &str, expected: Value| {
        let text = json!({"argument": {"loginHint": hint}, "expect": expected,
            "users": [{"id": "005a", "email": "janice@example.com"}]});
        write(&directory.join("fixtures"), name, &text.to_string());
    };
    fixture(
        "1.json",
        "Janice@example.com",
        json!({"result": {"userIds": ["005a"]}}),
    );
    fixture(
        "2.json",
        "unknown@example.com",
        json!({"result": {"userIds": []}}),
    );
    let check = ["handler", "check", "orders.js", "--fixtures", "fixtures"];
    let passed = run(directory, &check).expect_code(0).stdout;
    assert_eq!(passed.matches("pass  ").count(), 2, "{passed}");
    assert!(passed.contains("µs of processor time"), "{passed}");
    fixture(
        "2.json",
        "unknown@example.com",
        json!({"result": {"userIds": ["005b"]}}),
    );
    let failed = run(directory, &check).expect_code(3);
    assert!(
        failed.stdout.contains("FAIL")
            && failed
                .stdout
                .contains("/userIds should be [\"005b\"], and is []"),
        "{failed:?}"
    );
    assert!(failed.stderr.contains("1 of 2 trials failed"), "{failed:?}");
    let built_in = run(directory, &["handler", "check", "orders.js", "--json"]);
    assert_eq!(built_in.json()["failed"], 0);
    write(directory, "bad.json", "{\"argument\":{},\"user\":[]}");
    for (arguments, code, word) in [
        (&["orders.js", "--fixtures", "bad.json"][..], 3, "user"),
        (&["orders.js", "--fixtures", "none.json"], 3, "none.json"),
        (&["orders.js", "--contract", "createUser"], 3, "createUser"),
        (&["other.js"], 4, "other.js"),
    ] {
        expect_refused(
            run(directory, &[&["handler", "check"], arguments].concat()),
            code,
            &[word],
        );
    }
}

#[tokio::test]
async fn a_webhook_has_a_secret_that_is_shown_once_and_rests_sealed() {
    for installation in installations().await {
        let create = [
            "create",
            "hook",
            "--contract",
            "createUser",
            "--webhook",
            "https://hooks.example.com/a",
        ];
        let made = json(&installation, &create);
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.len() >= 43);
        let (shown, text) = both(&installation, &["handler", "show", "hook"]);
        assert!(!shown.to_string().contains(&secret) && !text.contains(&secret));
        assert_eq!(shown["body"]["url"], "https://hooks.example.com/a");
        write(
            installation.directory.path(),
            "secret",
            "a-secret-of-my-own\n",
        );
        assert_eq!(
            json(&installation, &["set", "hook", "--secret-file", "secret"])["version"],
            2
        );
        write(installation.directory.path(), "short", "short\n");
        expect_refused(
            handler(&installation, &["set", "hook", "--secret-file", "short"]),
            3,
            &["16 bytes"],
        );
        expect_refused(
            handler(&installation, &["show", "hook", "--source"]),
            3,
            &["webhook"],
        );
        expect_refused(handler(&installation, &["check", "hook"]), 3, &["webhook"]);
        let own = [
            "create",
            "own",
            "--contract",
            "createUser",
            "--webhook",
            "https://hooks.example.com/b",
            "--secret-file",
            "secret",
        ];
        assert!(
            json(&installation, &own).get("secret").is_none(),
            "what was given is not shown again"
        );
    }
}

#[tokio::test]
async fn a_site_names_a_handler_of_the_right_contract_and_then_it_stays() {
    for installation in installations().await {
        installation.create_site("https://id.example.com");
        write(installation.directory.path(), "orders.js", DISCOVER);
        let name = |setting: &str, handler: &str| {
            let set = format!("{setting}={handler}");
            let user = "headlessDiscoveryExecutionUser=service@example.com";
            installation.run(&["site", "update", "shop", "--set", &set, "--set", user])
        };
        installation
            .run_with_input(
                &[
                    "user",
                    "create",
                    "service@example.com",
                    "--last-name",
                    "Service",
                    "--integration",
                ],
                "",
            )
            .expect_code(0);
        expect_refused(
            name("headlessDiscoveryHandler", "orders"),
            3,
            &["there is no handler \"orders\""],
        );
        json(&installation, &["create", "orders", "--file", "orders.js"]);
        expect_refused(
            name("registrationHandler", "orders"),
            3,
            &["is one for discoverUser, and not for createUser"],
        );
        name("headlessDiscoveryHandler", "orders").expect_code(0);
        expect_refused(
            handler(&installation, &["delete", "orders"]),
            3,
            &["headlessDiscoveryHandler of site shop"],
        );
        let built_in = [
            "site",
            "update",
            "shop",
            "--set",
            "headlessDiscoveryHandler=builtin",
        ];
        let strategies = ["--set", "headlessDiscoveryStrategies=verifiedEmail"];
        installation
            .run(&[&built_in[..], &strategies].concat())
            .expect_code(0);
        handler(&installation, &["delete", "orders"]).expect_code(0);
    }
}

#[test]
fn types_are_printed_for_editors_and_for_machines() {
    let directory = tempfile::tempdir().unwrap();
    let types = |more: &[&str]| {
        run(directory.path(), &[&["handler", "types"], more].concat())
            .expect_code(0)
            .stdout
    };
    assert!(types(&[]).contains("declare const vestibule: {"));
    let all: Value = serde_json::from_str(&types(&["--schema"])).unwrap();
    assert_eq!(all.as_object().unwrap().len(), 3);
    let one: Value = serde_json::from_str(&types(&["--schema", "discoverUser"])).unwrap();
    assert_eq!(one, all["discoverUser"]);
    run(directory.path(), &["handler", "types", "discoverUser"]).expect_code(2);
    // The declarations and a template say where they come from, in words that still work.
    assert!(types(&[]).contains("vestibule handler types"));
}

#[tokio::test]
async fn calls_and_replay_of_an_unknown_call_are_refused() {
    for installation in installations().await {
        assert_eq!(json(&installation, &["calls"]), json!({"calls": []}));
        for (arguments, code, word) in [
            (
                &["calls", "07L000000000001AAA"][..],
                4,
                "07L000000000001AAA",
            ),
            (
                &["calls", "show", "07L000000000001AAA"],
                4,
                "calls_kept_days",
            ),
            (&["calls", "show"], 2, "name one call"),
            (&["calls", "--handler", "none"], 4, "none"),
            (&["calls", "--site", "none"], 4, "none"),
            (&["replay", "07L000000000001AAA"], 4, "07L000000000001AAA"),
        ] {
            expect_refused(handler(&installation, arguments), code, &[word]);
        }
    }
}
