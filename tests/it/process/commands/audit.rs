//! After every command that changes something, the audit log says who changed which object, from what to what.
//!
//! The list of commands is the command tree itself: a new command fails here until it is listed as one that reads or
//! has a case.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::metrics::Metrics;
use vestibule::store::audit::RecordedEvent;
use vestibule::store::{self, Location, Store, Synchronous};

use crate::first_party::mint::registered;
use crate::fixture::postgres;
use crate::process::serve::Installation;

/// Commands that change nothing that an administrator decides. `dev` makes its demo by the operations of the other
/// commands; `dev`, `serve` and `perform` do what requests ask for.
const READS: &[&str] = &[
    "backup",
    "client certificate list",
    "client list",
    "client show",
    "completions",
    "config check",
    "config init",
    "config print",
    "dev",
    "handler calls",
    "handler check",
    "handler list",
    "handler replay",
    "handler show",
    "handler types",
    "inbox list",
    "inbox wait",
    "isready",
    "key list",
    "migrate plan",
    "migrate status",
    "perform guest",
    "perform login",
    "perform passwordless",
    "perform register",
    "perform reset",
    "perform token",
    "profile list",
    "profile show",
    "serve",
    "site list",
    "site settings",
    "site show",
    "template list",
    "template preview",
    "template send",
    "template show",
    "user identifier list",
    "user list",
    "user show",
    "version",
];

/// What a field is before or after.
#[derive(Debug)]
enum Is {
    /// Nothing.
    Absent,
    /// This value.
    Exactly(Value),
    /// Any value.
    Present,
}

impl Is {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Is::Absent => value.is_null(),
            Is::Exactly(expected) => value == expected,
            Is::Present => !value.is_null(),
        }
    }
}

fn is(value: impl Into<Value>) -> Is {
    Is::Exactly(value.into())
}

/// A command, and what it leaves in the audit log.
struct Case {
    command: &'static str,
    /// What follows the command, as words; `{…}` is replaced by the id of a signing key in that state.
    arguments: &'static str,
    event: &'static str,
    /// Kind and name of the object; a name that the server makes is not compared.
    object: (&'static str, Option<&'static str>),
    field: (&'static str, Is, Is),
}

const USER: (&str, Option<&str>) = ("user", Some("kim@example.com"));
const SITE: (&str, Option<&str>) = ("site", Some("shop"));
const CLIENT: (&str, Option<&str>) = ("client", Some("app"));
const PROFILE: (&str, Option<&str>) = ("profile", Some("Partner"));
const TEMPLATE: (&str, Option<&str>) = ("template", Some("shop/Welcome"));
const HANDLER: (&str, Option<&str>) = ("handler", Some("orders"));
const KEY: (&str, Option<&str>) = ("signing key", Some("ES256"));

const PASSWORDS: [&str; 2] = ["Quiet-Lantern-42", "Other-Lantern-42"];

/// Every command that changes something, in an order in which they can run.
fn cases() -> Vec<Case> {
    let case = |command, arguments, event, object, field, before, after| Case {
        command,
        arguments,
        event,
        object,
        field: (field, before, after),
    };
    let order = |value: &str| json!({"kind": "order", "value": value});
    let certificate = "clientAssertionCertificate";
    vec![
        case(
            "migrate up",
            "",
            "installation.created",
            ("installation", None),
            "organisation",
            Is::Absent,
            Is::Present,
        ),
        case(
            "profile create",
            "Partner --set minimumPasswordLength=12",
            "profile.created",
            PROFILE,
            "minimumPasswordLength",
            Is::Absent,
            is(12),
        ),
        case(
            "profile update",
            "Partner --set minimumPasswordLength=14",
            "profile.updated",
            PROFILE,
            "minimumPasswordLength",
            is(12),
            is(14),
        ),
        case(
            "user create",
            "kim@example.com --last-name Doe --password-file first.txt",
            "user.created",
            USER,
            "password",
            Is::Absent,
            is("changed"),
        ),
        case(
            "user lock",
            "kim@example.com",
            "user.locked",
            USER,
            "lockedAt",
            Is::Absent,
            Is::Present,
        ),
        case(
            "user unlock",
            "kim@example.com",
            "user.unlocked",
            USER,
            "lockedAt",
            Is::Present,
            Is::Absent,
        ),
        case(
            "user disable",
            "kim@example.com",
            "user.disabled",
            USER,
            "disabledAt",
            Is::Absent,
            Is::Present,
        ),
        case(
            "user enable",
            "kim@example.com",
            "user.enabled",
            USER,
            "disabledAt",
            Is::Present,
            Is::Absent,
        ),
        case(
            "user set-password",
            "kim@example.com --password-file second.txt",
            "password.set",
            USER,
            "password",
            is("secret"),
            is("changed"),
        ),
        case(
            "user identifier add",
            "kim@example.com --kind order --value ORD-1",
            "user.identifier_added",
            USER,
            "identifier",
            Is::Absent,
            is(order("ORD-1")),
        ),
        case(
            "user identifier remove",
            "kim@example.com --kind order --value ORD-1",
            "user.identifier_removed",
            USER,
            "identifier",
            is(order("ORD-1")),
            Is::Absent,
        ),
        case(
            "user identifier import",
            "--file orders.csv",
            "user.identifier_added",
            USER,
            "identifier",
            Is::Absent,
            is(order("ORD-2")),
        ),
        case(
            "site create",
            "shop --base-url https://shop.example.com --set displayName=Shop",
            "site.created",
            SITE,
            "displayName",
            Is::Absent,
            is("Shop"),
        ),
        case(
            "site update",
            "shop --set displayName=Store",
            "site.updated",
            SITE,
            "displayName",
            is("Shop"),
            is("Store"),
        ),
        case(
            "client create",
            "app --set scopes=api",
            "client.created",
            CLIENT,
            "clientSecret",
            Is::Absent,
            is("changed"),
        ),
        case(
            "client update",
            "app --set idTokenLifetimeSeconds=77",
            "client.updated",
            CLIENT,
            "idTokenLifetimeSeconds",
            is(120),
            is(77),
        ),
        case(
            "client rotate-secret",
            "app",
            "client.secret_rotated",
            CLIENT,
            "clientSecret",
            is("secret"),
            is("changed"),
        ),
        case(
            "client certificate add",
            "app --file app.pem",
            "client.updated",
            CLIENT,
            certificate,
            is(json!([])),
            Is::Present,
        ),
        case(
            "client certificate remove",
            "app --file app.pem",
            "client.updated",
            CLIENT,
            certificate,
            Is::Present,
            is(json!([])),
        ),
        case(
            "template create",
            "shop/Welcome --from welcome.toml",
            "template.created",
            TEMPLATE,
            "subject",
            Is::Absent,
            is("Welcome"),
        ),
        case(
            "template update",
            "shop/Welcome --subject-file subject.txt",
            "template.updated",
            TEMPLATE,
            "subject",
            is("Welcome"),
            is("Hello"),
        ),
        case(
            "template delete",
            "shop/Welcome",
            "template.deleted",
            TEMPLATE,
            "subject",
            is("Hello"),
            Is::Absent,
        ),
        case(
            "handler create",
            "orders --file orders.js",
            "handler.created",
            HANDLER,
            "version",
            Is::Absent,
            is(1),
        ),
        case(
            "handler set",
            "orders --file orders.js --allow-host api.example.com",
            "handler.set",
            HANDLER,
            "allowedHosts",
            is(json!([])),
            is(json!(["api.example.com"])),
        ),
        case(
            "handler rollback",
            "orders",
            "handler.rolled_back",
            HANDLER,
            "version",
            is(2),
            is(1),
        ),
        case(
            "handler delete",
            "orders",
            "handler.deleted",
            HANDLER,
            "version",
            is(1),
            Is::Absent,
        ),
        case(
            "key rotate",
            "--algorithm ES256",
            "key.published",
            KEY,
            "state",
            Is::Absent,
            is("next"),
        ),
        case(
            "key retire",
            "{current}",
            "key.retired",
            KEY,
            "state",
            is("current"),
            is("retired"),
        ),
        case(
            "key remove",
            "{retired}",
            "key.removed",
            KEY,
            "state",
            is("retired"),
            Is::Absent,
        ),
        case(
            "user delete",
            "kim@example.com",
            "user.deleted",
            ("user", None),
            "isDeleted",
            Is::Absent,
            is(true),
        ),
        case(
            "restore",
            "--after-database-restore",
            "installation.restored",
            ("installation", None),
            "sessionsKept",
            Is::Absent,
            is(false),
        ),
    ]
}

#[test]
fn every_command_is_listed_as_one_that_reads_or_has_a_case() {
    let mut leaves = Vec::new();
    collect(&vestibule::cli::command(), "", &mut leaves);
    let mut listed: Vec<String> = READS.iter().map(|name| String::from(*name)).collect();
    listed.extend(cases().iter().map(|case| case.command.to_owned()));
    leaves.sort();
    listed.sort();
    assert_eq!(
        leaves, listed,
        "list a new command in READS, or give it a case: what does it leave in the audit log?"
    );
}

fn collect(command: &clap::Command, above: &str, leaves: &mut Vec<String>) {
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        let name = format!("{above}{}", below.get_name());
        if below.has_subcommands() {
            collect(below, &format!("{name} "), leaves);
        } else {
            leaves.push(name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_command_the_audit_log_has_actor_object_before_and_after() {
    for (installation, location) in fresh().await {
        write_files(&installation);
        let mut known = 0;
        for case in cases() {
            let words = arguments(&installation, &case);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            installation.run(&words).expect_code(0);
            let events = events(&location).await;
            let new = &events[..events.len() - known];
            known = events.len();
            expect(&case, new);
            for event in new {
                let text = event.detail.to_string();
                assert!(
                    !PASSWORDS.iter().any(|secret| text.contains(secret)),
                    "{text}"
                );
            }
        }
        // What is as requested already is not recorded, and neither is what is refused.
        for (arguments, code) in [
            (
                &["site", "update", "shop", "--set", "displayName=Store"][..],
                0,
            ),
            (
                &[
                    "profile",
                    "update",
                    "Partner",
                    "--set",
                    "minimumPasswordLength=14",
                ],
                0,
            ),
            (
                &[
                    "client",
                    "update",
                    "app",
                    "--set",
                    "idTokenLifetimeSeconds=77",
                ],
                0,
            ),
            (
                &[
                    "site",
                    "update",
                    "shop",
                    "--set",
                    "maxPasswordResetAttempts=99",
                ],
                3,
            ),
        ] {
            installation.run(arguments).expect_code(code);
        }
        assert_eq!(events(&location).await.len(), known);
    }
}

/// Installations without a schema, with the place of their data.
async fn fresh() -> Vec<(Installation, Location)> {
    let sqlite = Installation::new("sqlite:vestibule.db", "");
    let file = Location::Sqlite(sqlite.path("vestibule.db"), Synchronous::Normal);
    let mut fresh = vec![(sqlite, file)];
    if let Some(url) = postgres::database().await {
        let installation = Installation::new(&url, "");
        fresh.push((installation, Location::Postgres(url.into(), 2)));
    }
    fresh
}

/// The files that the cases name.
fn write_files(installation: &Installation) {
    let certificate = registered().certificate();
    for (name, text) in [
        ("first.txt", PASSWORDS[0]),
        ("second.txt", PASSWORDS[1]),
        (
            "orders.csv",
            "username,kind,value\nkim@example.com,order,ORD-2\n",
        ),
        ("app.pem", certificate.as_str()),
        (
            "welcome.toml",
            "flow = \"registration\"\nlanguage = \"en\"\nsubject = \"Welcome\"\ntext = \"{{ code }}\"\n",
        ),
        ("subject.txt", "Hello"),
        (
            "orders.js",
            "export function discoverUser() {\n  return { userIds: [] };\n}\n",
        ),
    ] {
        std::fs::write(installation.path(name), text).expect("a file");
    }
}

/// The words of a command. A key is named by its state; of those in a state it is the newest one.
fn arguments(installation: &Installation, case: &Case) -> Vec<String> {
    let words = case.command.split(' ').chain(case.arguments.split(' '));
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| {
            match word
                .strip_prefix('{')
                .and_then(|word| word.strip_suffix('}'))
            {
                Some(state) => kid(installation, state),
                None => word.to_owned(),
            }
        })
        .collect()
}

fn kid(installation: &Installation, state: &str) -> String {
    let listed = installation.run(&["key", "list", "--json"]).json();
    let keys = listed["keys"].as_array().expect("keys");
    let found = keys
        .iter()
        .find(|key| key["algorithm"] == "ES256" && key["state"] == state);
    let kid = found.and_then(|key| key["kid"].as_str());
    kid.expect("a key in this state").to_owned()
}

/// All audit events, newest first.
async fn events(location: &Location) -> Vec<RecordedEvent> {
    let store = Store::open(location, Arc::new(Metrics::new())).expect("the database opens");
    let read = store.read("test.audit", &(), |tx, ()| {
        Box::pin(store::audit::list(tx, 10_000))
    });
    read.await.expect("the database answers")
}

/// Finds the event of a case among the new ones.
#[track_caller]
fn expect(case: &Case, new: &[RecordedEvent]) {
    let (kind, name) = case.object;
    let found = new.iter().find(|event| {
        let object = &event.detail["object"];
        event.event == case.event
            && object["kind"] == kind
            && name.is_none_or(|name| object["name"] == name)
    });
    let event = found.unwrap_or_else(|| panic!("{}: no {} in {new:?}", case.command, case.event));
    let detail = &event.detail;
    assert_eq!(
        detail["actor"]["kind"], "command_line",
        "{}: {detail}",
        case.command
    );
    let actor = detail["actor"]["name"].as_str().unwrap_or_default();
    assert!(
        !actor.is_empty() && actor != "unknown",
        "{}: {detail}",
        case.command
    );
    assert_eq!(
        detail["source"], "command line",
        "{}: {detail}",
        case.command
    );
    assert!(
        detail["object"]["id"].is_string(),
        "{}: {detail}",
        case.command
    );
    let (field, before, after) = &case.field;
    let changes = detail["changes"].as_array().expect("changes");
    let change = changes.iter().find(|change| change["field"] == *field);
    let change = change.unwrap_or_else(|| panic!("{}: no {field} in {detail}", case.command));
    assert!(
        before.holds(&change["before"]) && after.holds(&change["after"]),
        "{}: {field} should be {before:?} and {after:?}: {change}",
        case.command
    );
}
