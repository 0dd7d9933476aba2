//! `vestibule dev`: from nothing to a clean database.
//!
//! The process as a new user sees it: the ready object, the demo, a second start, Ctrl-C, the printed commands, and
//! the inbox that tests read. `vestibule serve` is in `serve.rs`.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;
use vestibule::moment::Stopwatch;

use super::binary::{
    Launch, PATIENCE, dev_arguments, eventually, expect_clean_database, finish, run,
};
use super::wire::{form, get, registration, request, send, text};

/// The members of an object, recursively, as paths.
fn paths(value: &Value, prefix: &str) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| paths(member, &format!("{prefix}/{name}")))
            .collect(),
        _ => vec![prefix.to_owned()],
    }
}

#[test]
fn from_an_empty_directory_it_is_ready_with_the_documented_object() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    println!(
        "from nothing to ready: {:.3} s",
        server.started_in.as_secs_f64()
    );
    assert_eq!(
        paths(&server.ready, ""),
        [
            "/management_url",
            "/admin_token",
            "/org_id",
            "/org/base_url",
            "/sites/public/site_id",
            "/sites/public/base_url",
            "/sites/public/client/client_id",
            "/sites/public/client/redirect_uri",
            "/sites/private/site_id",
            "/sites/private/base_url",
            "/sites/private/client/client_id",
            "/sites/private/client/client_secret",
            "/sites/private/client/redirect_uri",
            "/sites/private/integration/client_id",
            "/sites/private/integration/client_secret",
        ]
    );
    let site = &server.ready["sites"]["private"];
    let base_url = text(&site["base_url"]);
    assert!(base_url.starts_with("http://127.0.0.1:") && base_url.ends_with("/backend"));
    assert!(
        !base_url.contains(":0/"),
        "the port that was picked is printed: {base_url}"
    );
    assert_eq!(
        site["client"]["redirect_uri"],
        format!("{base_url}/services/oauth2/echo")
    );
    assert!(text(&server.ready["org_id"]).starts_with("00D"));
    assert!(text(&site["site_id"]).starts_with("0DB"));
    let discovery = get(&format!("{base_url}/.well-known/openid-configuration"), &[]);
    assert_eq!(
        discovery.unwrap().expect_status(200).json()["issuer"],
        base_url
    );

    let kept = std::fs::read_to_string(directory.path().join("data/ready.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), server.ready);
    for file in ["ready.json", "env.sh", "master.key"] {
        expect_private(&directory.path().join("data").join(file), 0o600);
    }
    expect_private(&directory.path().join("data"), 0o700);
    server.stop();
}

/// Files with secrets are readable by their owner only.
fn expect_private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(found, mode, "{} is {found:o}", path.display());
}

#[test]
fn an_existing_data_directory_is_used_as_it_is_and_its_site_moves_to_the_new_port() {
    let directory = tempdir().unwrap();
    let mut first = Launch::dev(directory.path()).until_ready();
    let token = first.app().register("janice@example.com");
    first.stop();

    let mut second = Launch::dev(directory.path()).until_ready();
    let (old, new) = (
        &first.ready["sites"]["private"],
        &second.ready["sites"]["private"],
    );
    assert_ne!(old["base_url"], new["base_url"]);
    assert_eq!(
        text(&new["client"]["redirect_uri"]),
        format!("{}/services/oauth2/echo", text(&new["base_url"]))
    );
    for pointer in [
        "/site_id",
        "/client/client_id",
        "/client/client_secret",
        "/integration",
    ] {
        assert_eq!(old.pointer(pointer), new.pointer(pointer), "{pointer}");
    }
    assert_eq!(first.ready["org_id"], second.ready["org_id"]);
    assert_ne!(first.ready["admin_token"], second.ready["admin_token"]);

    let app = second.app();
    let info = app.userinfo(&token).unwrap().expect_status(200).json();
    assert_eq!(info["preferred_username"], "janice@example.com");
    app.register("ada@example.com");
    let echo = text(&new["client"]["redirect_uri"]);
    let shown = run(
        directory.path(),
        &["client", "show", "private", "--data-dir", "data", "--json"],
    );
    assert_eq!(
        shown.json()["policies"]["callbackUrl"],
        json!([echo, echo.replace("127.0.0.1", "localhost")]),
        "the old callback is gone"
    );
    second.stop();
}

#[test]
fn without_a_demo_there_is_an_installation_and_nothing_else() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path())
        .args(&["--no-demo"])
        .until_ready();
    assert_eq!(server.ready["sites"], json!({}));
    for (noun, member) in [("site", "sites"), ("client", "clients"), ("user", "users")] {
        let listed = run(
            directory.path(),
            &[noun, "list", "--data-dir", "data", "--json"],
        );
        assert_eq!(listed.json()[member], json!([]), "{noun}");
    }
    run(
        directory.path(),
        &["perform", "register", "--data-dir", "data"],
    )
    .expect_code(4);
    server.stop();
}

#[test]
fn the_same_seed_gives_the_same_ids_secrets_and_codes() {
    let run_once = || {
        let directory = tempdir().unwrap();
        let mut server = Launch::dev(directory.path())
            .args(&["--seed", "7"])
            .until_ready();
        let app = server.app();
        let token = text(&app.integration_token().unwrap().json()["access_token"]);
        let answer = app
            .init(&token, &registration("janice@example.com"))
            .unwrap();
        let identifier = answer.expect_status(200).json()["identifier"].clone();
        let code = app.inbox("janice@example.com").unwrap()[0]["code"].clone();
        server.stop();
        let site = &server.ready["sites"]["private"];
        json!([
            server.ready["org_id"],
            site["site_id"],
            site["client"]["client_id"],
            site["client"]["client_secret"],
            site["integration"],
            identifier,
            code,
        ])
    };
    let (one, two) = (run_once(), run_once());
    assert_eq!(one, two);
}

#[test]
fn the_same_seed_on_the_same_data_repeats_no_id() {
    let directory = tempdir().unwrap();
    for name in ["ada", "grace", "barbara"] {
        let mut server = Launch::dev(directory.path())
            .args(&["--seed", "7"])
            .until_ready();
        server.app().register(&format!("{name}@example.com"));
        server.stop();
    }
    let listed = run(
        directory.path(),
        &["user", "list", "--data-dir", "data", "--json"],
    );
    assert_eq!(listed.json()["users"].as_array().unwrap().len(), 4);
}

#[test]
fn ctrl_c_lets_a_running_request_end_and_leaves_a_clean_database() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let app = server.app();
    let token = text(&app.integration_token().unwrap().json()["access_token"]);
    let url = url::Url::parse(&app.base_url).unwrap();
    let path = format!("{}/services/auth/headless/init/registration", url.path());
    let bearer = format!("Bearer {token}");
    let body = registration("janice@example.com").to_string();
    let whole = request(
        "POST",
        url.authority(),
        &path,
        &[("authorization", &bearer)],
        &body,
    );
    let (sent, rest) = whole.split_at(whole.len() - 10);
    let mut running = TcpStream::connect(url.authority()).unwrap();
    running.set_read_timeout(Some(PATIENCE)).unwrap();
    running.write_all(sent.as_bytes()).unwrap();
    // An idle connection must not delay the end of the server.
    let idle = TcpStream::connect(url.authority()).unwrap();
    // The response to a later request shows that the earlier one has been read.
    app.integration_token().unwrap().expect_status(200);

    let stopwatch = Stopwatch::start();
    server.signal("INT");
    eventually(PATIENCE, "the end of listening", || {
        TcpStream::connect(url.authority()).is_err().then_some(())
    });
    let answer = exchange_rest(running, rest);
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert!(server.wait().success(), "{}", server.output());
    println!("drained in {:.3} s", stopwatch.seconds());
    drop(idle);
    expect_clean_database(&server.database());

    let mut again = Launch::dev(directory.path()).until_ready();
    let identifier = serde_json::from_str::<Value>(&answer.1).unwrap()["identifier"].clone();
    // The acknowledged request exists; its code is unknown here, so a wrong one is refused.
    let refused = again
        .app()
        .authorize(&text(&identifier), "000000", "s")
        .unwrap();
    assert_eq!(refused.expect_status(400).json()["error"], "invalid_grant");
    again.stop();
}

/// Sends the rest of a request and reads status and body.
fn exchange_rest(mut stream: TcpStream, rest: &str) -> (u16, String) {
    use std::io::Read;
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

#[test]
fn a_signal_right_after_the_ready_file_ends_it_well() {
    for signal in ["INT", "TERM"].repeat(4) {
        let directory = tempdir().unwrap();
        let mut server = Launch::dev(directory.path()).until_ready();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{}", server.output());
        expect_clean_database(&server.database());
    }
}

#[test]
fn sigterm_ends_it_well_too_and_at_once() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    server.app().register("janice@example.com");
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.output());
    expect_clean_database(&server.database());
}

#[test]
fn a_second_server_on_one_data_directory_is_refused_and_the_first_continues() {
    let directory = tempdir().unwrap();
    let mut first = Launch::dev(directory.path()).until_ready();
    first.app().register("ada@example.com");
    let second = run(directory.path(), &dev_arguments("data")).expect_code(1);
    assert!(
        second.stderr.contains("a server is already running on"),
        "{}",
        second.stderr
    );
    first.app().register("barbara@example.com");
    // Commands beside the server need no lock.
    run(directory.path(), &["user", "list", "--data-dir", "data"]).expect_code(0);
    first.kill();
    // The lock ends with the process, however it ends.
    let mut third = Launch::dev(directory.path()).until_ready();
    third.app().register("grace@example.com");
    third.stop();
    expect_clean_database(&third.database());
}

#[test]
fn the_printed_curl_lines_work_as_pasted() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let banner = server.output();
    let lines = banner
        .lines()
        .skip_while(|line| !line.contains("paste the whole block"))
        .skip(1)
        .skip(1)
        .map_while(|line| line.strip_prefix("    "));
    let script: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(script.contains("userinfo"), "{banner}");
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(directory.path());
    let ran = finish(bash, "");
    let info: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    assert!(
        text(&info["preferred_username"]).starts_with("janice"),
        "{ran:?}"
    );
    assert_eq!(info["email_verified"], true);

    let line = banner
        .lines()
        .map(str::trim)
        .find(|line| line.contains("vestibule perform register"))
        .expect("the banner names a command");
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let performed = run(directory.path(), &words).expect_code(0);
    assert!(
        performed.stdout.contains("\"preferred_username\""),
        "{performed:?}"
    );
    let lines = banner
        .lines()
        .skip_while(|line| !line.contains("Then log in"))
        .skip(2)
        .map_while(|line| line.strip_prefix("    "));
    let script: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(script.contains("perform reset"), "{banner}");
    let mut bash = Command::new("bash");
    bash.args(["-ec", &script]).current_dir(directory.path());
    finish(bash, "").expect_code(0);
    server.stop();
}

#[test]
fn it_answers_on_this_machine_only() {
    let directory = tempdir().unwrap();
    for option in ["--listen", "--management"] {
        let ran = run(
            directory.path(),
            &["dev", "--data-dir", "data", option, "0.0.0.0:0"],
        );
        assert!(
            ran.expect_code(3).stderr.contains("Add --expose"),
            "{option}"
        );
    }
    assert!(
        !directory.path().join("data").exists(),
        "a refused start makes nothing"
    );
}

#[test]
fn a_port_in_use_is_reported_with_its_address() {
    let directory = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(
        directory.path(),
        &["dev", "--data-dir", "data", "--listen", &address],
    );
    assert!(ran.expect_code(1).stderr.contains(&address));
}

#[test]
fn another_master_key_is_refused_with_a_clear_sentence() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    server.stop();
    let key = directory.path().join("data/master.key");
    let right = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let free = ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"];
    let mut arguments = vec!["dev", "--data-dir", "data"];
    arguments.extend(free);
    let ran = run(directory.path(), &arguments);
    assert!(
        ran.code != 0 && ran.stderr.contains("another master key"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("MDEy"), "a key is never repeated");
    let ran = run(
        directory.path(),
        &["client", "create", "x", "--data-dir", "data"],
    );
    assert!(
        ran.code != 0 && ran.stderr.contains("another master key"),
        "a command would seal secrets that the server cannot open: {ran:?}"
    );
    std::fs::write(&key, right).unwrap();
    let mut again = Launch::dev(directory.path()).until_ready();
    again.app().register("janice@example.com");
    again.stop();
}

#[test]
fn the_inbox_is_listed_waited_for_and_emptied() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let app = server.app();
    let inbox = format!("{}/_emulator/v1/inbox", server.management());
    let listed = |query: &str| {
        let reply = get(&format!("{inbox}?{query}"), &[])
            .unwrap()
            .expect_status(200);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply.json()["messages"].as_array().unwrap().clone()
    };
    assert!(listed("").is_empty());
    let waiting = std::thread::scope(|scope| {
        let waiter =
            scope.spawn(|| listed(&form(&[("to", "Janice@Example.com"), ("wait_ms", "20000")])));
        let token = text(&app.integration_token().unwrap().json()["access_token"]);
        app.init(&token, &registration("janice@example.com"))
            .unwrap()
            .expect_status(200);
        waiter.join().unwrap()
    });
    let message = &waiting[0];
    assert_eq!(message["to"], "janice@example.com");
    assert_eq!(message["channel"], "email");
    let code = text(&message["code"]);
    assert!(
        code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{code}"
    );
    assert!(
        text(&message["text"]).contains(&code),
        "the text carries the code"
    );
    assert_eq!(listed("to=other@example.com"), Vec::<Value>::new());
    assert_eq!(listed("").len(), 1);

    let deleted = send("DELETE", &inbox, &[], "").unwrap().expect_status(200);
    assert_eq!(deleted.json(), json!({"deleted": 1}));
    assert!(listed("").is_empty());
    for wrong in ["wait_ms=-1", "wait_ms=soon", "wait_ms=60001"] {
        get(&format!("{inbox}?{wrong}"), &[])
            .unwrap()
            .expect_status(400);
    }
    send("POST", &inbox, &[], "").unwrap().expect_status(405);
    server.stop();
}

#[test]
fn the_inbox_is_closed_to_web_pages_foreign_names_and_wrong_tokens() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    server.app().register("janice@example.com");
    let management = server.management();
    let inbox = format!("{management}/_emulator/v1/inbox");
    let token = text(&server.ready["admin_token"]);
    let port = management.rsplit_once(':').unwrap().1;
    let refused: [(&str, String, u16); 10] = [
        ("origin", "http://evil.example".into(), 403),
        ("origin", "null".into(), 403),
        ("origin", management.clone(), 403),
        ("host", format!("evil.example:{port}"), 403),
        ("host", "127.0.0.1.evil.example".into(), 403),
        ("host", String::new(), 403),
        ("authorization", "Bearer wrong".into(), 401),
        ("authorization", format!("Bearer {token}x"), 401),
        ("authorization", format!("Basic {token}"), 401),
        ("authorization", "Bearer ".into(), 401),
    ];
    for (name, value, status) in refused {
        for method in ["GET", "DELETE"] {
            let reply = send(method, &inbox, &[(name, &value)], "").unwrap();
            assert_eq!(reply.status, status, "{method} {name}: {value}");
            assert!(!reply.body.contains("janice"), "{}", reply.body);
        }
    }
    let bearer = format!("Bearer {token}");
    let reply = get(&inbox, &[("authorization", &bearer)])
        .unwrap()
        .expect_status(200);
    assert_eq!(
        reply.json()["messages"].as_array().unwrap().len(),
        1,
        "nothing was deleted"
    );
    for host in [
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "[::1]".to_owned(),
    ] {
        get(&inbox, &[("host", &host)]).unwrap().expect_status(200);
    }
    server.stop();
}

#[test]
fn the_public_listener_has_no_inbox_and_the_management_listener_no_site() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let app = server.app();
    let origin = app.base_url.trim_end_matches("/backend");
    for path in [
        "/_emulator/v1/inbox",
        "/backend/_emulator/v1/inbox",
        "/metrics",
        "/health/ready",
    ] {
        get(&format!("{origin}{path}"), &[])
            .unwrap()
            .expect_status(404);
    }
    let url = format!("{}/backend/services/oauth2/token", server.management());
    send("POST", &url, &[], "").unwrap().expect_status(404);
    server.stop();
}

#[test]
fn every_page_s_commands_for_a_running_dev_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = pages_under(&root.join("docs"));
    pages.insert(0, root.join("README.md"));
    let directory = tempdir().unwrap();
    let release = directory.path().join("target/release");
    std::fs::create_dir_all(&release).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_vestibule"));
    std::os::unix::fs::symlink(binary, release.join("vestibule")).unwrap();
    let ports = [
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--management",
        "127.0.0.1:0",
    ];
    let mut server = Launch::new(directory.path(), &ports).until_ready();
    let mut count = 0;
    for page in pages {
        let page = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{}", page.display()));
        for script in fences_for_a_running_dev(&page) {
            let mut bash = Command::new("bash");
            let path = std::env::var("PATH").unwrap();
            bash.args(["-e", "-c", &script])
                .current_dir(directory.path())
                .env("PATH", format!("{}:{path}", release.display()));
            let ran = finish(bash, "");
            let is_refused = ran.stdout.contains("\"error\"");
            assert!(ran.code == 0 && !is_refused, "{script}\n{ran:?}");
            count += 1;
        }
    }
    assert!(count >= 2, "the README shows how to register a user");
    println!("{count} blocks ran");
    server.stop();
}

fn pages_under(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages.extend(pages_under(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// The shell blocks of a page that need only a running `vestibule dev`.
fn fences_for_a_running_dev(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() == "```sh dev" {
            let block = lines.by_ref().take_while(|line| !line.starts_with("```"));
            blocks.push(block.flat_map(|line| [line, "\n"]).collect());
        }
    }
    blocks
}

/// On a laptop all callers have one address, so the limits by address apply only where they are enabled explicitly.
#[test]
fn one_address_is_limited_only_if_the_config_enables_it() {
    for (enabled, expected) in [(None, 400), (Some("true"), 429)] {
        let directory = tempdir().unwrap();
        let mut launch = Launch::dev(directory.path());
        if let Some(enabled) = enabled {
            launch = launch.env("VESTIBULE_LIMITS__ENABLED", enabled);
        }
        let mut server = launch.until_ready();
        let app = server.app();
        // One more than the bucket of wrong codes holds; it refills by one in two seconds.
        let statuses = (0..35).map(|_| app.authorize("0RXunknown", "000000", "s").unwrap().status);
        assert_eq!(statuses.max(), Some(expected), "enabled: {enabled:?}");
        server.stop();
    }
}
