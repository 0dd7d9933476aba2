//! Two administrators at once: what both change is changed by both.

use std::process::Stdio;

use vestibule::moment::Stopwatch;

use super::with_site_and_client;
use crate::fixture::postgres;
use crate::process::serve::Installation;

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
                let mut command =
                    crate::process::binary::command(installation.directory.path(), &all);
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
