//! Templates by command: what is made, shown, previewed, sent, and refused.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{expect_refused, installations};
use crate::delivery::smtp_sink::SmtpSink;
use crate::process::binary::{Launch, Ran, eventually, run};
use crate::process::serve::Installation;
use crate::process::wire::registration;

const NAME: &str = "unfiled$public/Welcome";
const SOURCE: &str = "flow = \"registration\"\nlanguage = \"de\"\nsubject = \"Willkommen bei {{ site_name }}\"\n\
    text = \"Hallo {{ first_name }}: {{ code }}\"\nhtml = \"<p>{{ first_name }} <b>{{ code }}</b></p>\"\n";

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

fn create(installation: &Installation) -> Ran {
    write(installation.directory.path(), "welcome.toml", SOURCE);
    installation.run(&[
        "template",
        "create",
        NAME,
        "--from",
        "welcome.toml",
        "--json",
    ])
}

fn site(installation: &Installation, set: &str) -> Ran {
    installation.run(&["site", "update", "shop", "--set", set])
}

#[tokio::test]
async fn a_template_is_made_listed_shown_changed_and_removed() {
    for installation in installations().await {
        let made = create(&installation).json();
        assert_eq!(
            (&made["name"], &made["flow"], &made["language"]),
            (&json!(NAME), &json!("registration"), &json!("de"))
        );
        expect_refused(create(&installation), 3, &["exists already"]);

        let listed = installation.run(&["template", "list", "--json"]).json();
        let names: Vec<&Value> = listed["templates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| &t["name"])
            .collect();
        assert_eq!(names.len(), 4, "{listed}");
        assert_eq!(names[3], NAME);
        assert!(
            installation
                .run(&["template", "list"])
                .stdout
                .contains("vestibule$public/LoginOtp")
        );

        // What is shown can be given back.
        let shown = installation
            .run(&["template", "show", NAME])
            .expect_code(0)
            .stdout;
        write(installation.directory.path(), "shown.toml", &shown);
        let copy = [
            "template",
            "create",
            "unfiled$public/Copy",
            "--from",
            "shown.toml",
            "--json",
        ];
        let copy = installation.run(&copy).json();
        for part in ["flow", "language", "subject", "text", "html"] {
            assert_eq!(copy[part], made[part], "{part}");
        }

        write(
            installation.directory.path(),
            "subject.txt",
            "Neu bei {{ site_name }}\n",
        );
        let update = [
            "template",
            "update",
            NAME,
            "--subject-file",
            "subject.txt",
            "--language",
            "en",
        ];
        installation.run(&update).expect_code(0);
        let changed = installation
            .run(&["template", "show", NAME, "--json"])
            .json();
        assert_eq!(
            (&changed["subject"], &changed["language"]),
            (&json!("Neu bei {{ site_name }}"), &json!("en"))
        );
        assert_eq!(changed["text"], made["text"], "what was not given stays");

        let removed = installation
            .run(&["template", "delete", NAME, "--json"])
            .json();
        assert_eq!(removed["deleted"], true);
        for action in ["show", "delete", "preview"] {
            expect_refused(installation.run(&["template", action, NAME]), 4, &[NAME]);
        }
        expect_refused(installation.run(&update), 4, &[NAME]);
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_sent_is_refused_and_nothing_is_changed() {
    for installation in installations().await {
        create(&installation).json();
        let directory = installation.directory.path();
        for (part, text, words) in [
            ("text", "no code", &["text", "{{ code }}"][..]),
            (
                "text",
                "{{ code }}\n{{ password }}",
                &["text, line 2", "password"],
            ),
            (
                "text",
                "{{ code }}{% for i in code %}{% endfor %}",
                &["text, line 1", "if"],
            ),
            (
                "html",
                "<a href=\"{{ first_name }}\">{{ code }}</a>",
                &["html", "first_name"],
            ),
            ("subject", "{{ code }}", &["subject", "logs"]),
            ("subject", "", &["subject"]),
        ] {
            write(directory, "part.txt", text);
            let option = format!("--{part}-file");
            let update = ["template", "update", NAME, &option, "part.txt"];
            expect_refused(installation.run(&update), 3, words);
        }
        let large = "x".repeat(65_537);
        write(directory, "part.txt", &large);
        expect_refused(
            installation.run(&["template", "update", NAME, "--text-file", "part.txt"]),
            3,
            &["too large"],
        );
        write(directory, "other.toml", "flow = \"forgot-password\"\n");
        expect_refused(
            installation.run(&[
                "template",
                "update",
                NAME,
                "--from",
                "other.toml",
                "--language",
                "de",
            ]),
            3,
            &["cannot be changed"],
        );
        write(directory, "wrong.toml", "subjekt = \"x\"\n");
        expect_refused(
            installation.run(&["template", "update", NAME, "--from", "wrong.toml"]),
            3,
            &["wrong.toml", "subjekt"],
        );
        let shown = installation
            .run(&["template", "show", NAME, "--json"])
            .json();
        assert_eq!(shown["text"], "Hallo {{ first_name }}: {{ code }}");

        for name in ["Welcome", "a/b/c", "../x", "vestibule$public/Own"] {
            let create = ["template", "create", name, "--from", "welcome.toml"];
            expect_refused(installation.run(&create), 3, &[name]);
        }
        expect_refused(
            installation.run(&["template", "update", NAME]),
            2,
            &["--from"],
        );
        expect_refused(
            installation.run(&["template", "create", "a/B", "--flow", "registration"]),
            2,
            &["--language"],
        );
        let built_in = "vestibule$public/LoginOtp";
        expect_refused(
            installation.run(&["template", "delete", built_in]),
            3,
            &["built in"],
        );
    }
}

#[tokio::test]
async fn a_built_in_template_is_shown_copied_and_edited() {
    for installation in installations().await {
        let documented =
            "Experience Cloud: One-Time Password Email for Headless Registration Verification";
        for name in [
            "vestibule$public/RegistrationOtp",
            "vestibule$public/LoginOtp",
            "vestibule$public/PasswordResetOtp",
            documented,
        ] {
            for language in ["en", "de"] {
                let show = ["template", "show", name, "--language", language];
                let shown = installation.run(&[&show[..], &["--json"]].concat()).json();
                assert_eq!(shown["language"], language);
                assert!(shown["html"].as_str().unwrap().contains("{{ code }}"));
                // What is shown is a file that `--from` reads.
                let source = installation.run(&show).expect_code(0).stdout;
                write(installation.directory.path(), "built-in.toml", &source);
                let copy = ["template", "create", "copy/A", "--from", "built-in.toml"];
                installation.run(&copy).expect_code(0);
                installation
                    .run(&["template", "delete", "copy/A"])
                    .expect_code(0);
            }
        }
        write(
            installation.directory.path(),
            "subject",
            "Welcome to {{ site_name }}",
        );
        let copy = [
            "template",
            "create",
            NAME,
            "--like",
            documented,
            "--language",
            "de",
        ];
        let edit = ["--subject-file", "subject", "--json"];
        let made = installation.run(&[&copy[..], &edit].concat()).json();
        assert_eq!(made["subject"], "Welcome to {{ site_name }}");
        assert_eq!(
            (&made["flow"], &made["language"]),
            (&json!("registration"), &json!("de"))
        );
        assert!(made["text"].as_str().unwrap().contains("Guten Tag"));
        let installation = installation.with_site("https://shop.example.com");
        let set = format!("registrationEmailTemplate={documented}");
        site(&installation, &set).expect_code(0);
    }
}

#[tokio::test]
async fn a_site_names_only_what_there_is_and_what_it_names_stays() {
    for installation in installations().await {
        let installation = installation.with_site("https://shop.example.com");
        for set in [
            format!("registrationEmailTemplate={NAME}"),
            format!("registrationEmailTemplate={{\"de\":\"{NAME}\"}}"),
            format!("emailTmplsAllowlist={NAME}"),
        ] {
            expect_refused(
                site(&installation, &set),
                3,
                &["there is no template", NAME],
            );
        }
        create(&installation).json();
        for (setting, none) in [
            (
                "registrationEmailTemplate",
                "vestibule$public/RegistrationOtp",
            ),
            ("emailTmplsAllowlist", "[]"),
        ] {
            site(&installation, &format!("{setting}={NAME}")).expect_code(0);
            let delete = ["template", "delete", NAME];
            expect_refused(installation.run(&delete), 3, &[setting, "shop"]);
            site(&installation, &format!("{setting}={none}")).expect_code(0);
        }
        let by_language = format!("registrationEmailTemplate={{\"de\":\"{NAME}\"}}");
        site(&installation, &by_language).expect_code(0);
        expect_refused(
            installation.run(&["template", "delete", NAME]),
            3,
            &["registrationEmailTemplate"],
        );
        let other = format!("passwordlessLoginEmailTemplate={NAME}");
        site(&installation, &other).expect_code(0);
        site(
            &installation,
            "passwordlessLoginEmailTemplate=vestibule$public/LoginOtp",
        )
        .expect_code(0);
        let file = format!(
            "defaultLocale = \"de_DE\"\n[registrationEmailTemplate]\nde = \"{NAME}\"\nfr = \"a/Gone\"\n"
        );
        write(installation.directory.path(), "site.toml", &file);
        let update = ["site", "update", "shop", "--from", "site.toml"];
        expect_refused(
            installation.run(&update),
            3,
            &["site.toml, line 4", "a/Gone"],
        );
        site(
            &installation,
            "registrationEmailTemplate=vestibule$public/RegistrationOtp",
        )
        .expect_code(0);
        installation
            .run(&["template", "delete", NAME])
            .expect_code(0);
    }
}

#[tokio::test]
async fn a_preview_shows_every_part_with_sample_values() {
    for installation in installations().await {
        let installation = installation.with_site("https://shop.example.com");
        create(&installation).json();
        let shown = installation
            .run(&["template", "preview", NAME])
            .expect_code(0)
            .stdout;
        assert_eq!(shown, "Subject: Willkommen bei shop\n\nHallo Ada: 123456\n");
        let preview = ["template", "preview", NAME, "--html", "page.html", "--json"];
        let preview = installation.run(&preview).json();
        let page = std::fs::read_to_string(installation.path("page.html")).unwrap();
        assert_eq!(
            (preview["html"].as_str().unwrap(), page.as_str()),
            (page.as_str(), "<p>Ada <b>123456</b></p>")
        );
        let built_in = [
            "template",
            "preview",
            "vestibule$public/PasswordResetOtp",
            "--language",
            "de",
        ];
        let built_in = installation.run(&built_in).expect_code(0).stdout;
        assert!(
            built_in.contains("Passwort") && built_in.contains("123456"),
            "{built_in}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_mail_goes_through_the_relay_of_the_config() {
    let sink = SmtpSink::start().await;
    let smtp = format!(
        "[smtp]\nurl = \"{}\"\nfrom = \"Shop <no-reply@shop.example>\"\n",
        sink.url()
    );
    let installation =
        Installation::new("sqlite:vestibule.db", &smtp).with_site("https://shop.example.com");
    create(&installation).json();
    let send = [
        "template",
        "send",
        NAME,
        "--to",
        "ada@example.com",
        "--json",
    ];
    let sent = installation.run(&send).json();
    assert!(
        sent["outcome"].as_str().unwrap().contains("accepted it"),
        "{sent}"
    );
    let mail = sink.mail_to("ada@example.com").await;
    assert_eq!(mail.subject(), "Willkommen bei shop");
    assert_eq!(mail.text().trim_end(), "Hallo Ada: 123456");
    sink.stop();
    expect_refused(installation.run(&send[..5]), 1, &["did not accept it"]);
    expect_refused(
        installation.run(&["template", "send", NAME, "--to", "x"]),
        3,
        &["no email address"],
    );
    let without =
        Installation::new("sqlite:vestibule.db", "").with_site("https://shop.example.com");
    create(&without).json();
    expect_refused(without.run(&send[..5]), 3, &["[smtp]"]);
}

#[test]
fn a_template_is_in_effect_within_a_second_and_a_test_of_it_lands_in_the_inbox() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let data = ["--data-dir", "data", "--json"];
    let vestibule = |arguments: &[&str]| run(directory.path(), &[arguments, &data].concat());
    let newest = |to: &str| vestibule(&["inbox", "wait", "--to", to]).json();
    write(directory.path(), "welcome.toml", SOURCE);
    vestibule(&["template", "create", NAME, "--from", "welcome.toml"]).expect_code(0);
    vestibule(&["template", "send", NAME, "--to", "try@example.com"]).expect_code(0);
    let tried = newest("try@example.com");
    assert_eq!(
        (&tried["template"], &tried["code"]),
        (&json!(NAME), &json!("123456"))
    );

    let default = format!("registrationEmailTemplate={NAME}");
    vestibule(&["site", "update", "private", "--set", &default]).expect_code(0);
    let app = server.app();
    let token = app.integration_token().unwrap().json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut count = 0;
    eventually(
        std::time::Duration::from_secs(2),
        "the new template",
        || {
            count += 1;
            let to = format!("janice{count}@example.com");
            app.init(&token, &registration(&to))
                .unwrap()
                .expect_status(200);
            (newest(&to)["subject"] == "Willkommen bei Vestibule Demo").then_some(())
        },
    );
    server.stop();
    let late = vestibule(&[
        "template",
        "send",
        NAME,
        "--to",
        "late@example.com",
        "--seconds",
        "1",
    ]);
    let late = late.expect_code(5);
    assert!(late.stderr.contains("no server sent it"), "{}", late.stderr);
    // The next server finds it.
    let mut server = Launch::dev(directory.path()).until_ready();
    assert_eq!(newest("late@example.com")["template"], NAME);
    server.stop();
}
