//! TLS to PostgreSQL: the values of `sslmode`, a private certificate authority, and a certificate of the client,
//! against a real server.

use std::path::Path;
use std::sync::Arc;

use vestibule::metrics::Metrics;
use vestibule::store::{Location, Store};

use crate::fixture::postgres::TlsCluster;

/// The fault of a first question to a database, or nothing.
async fn outcome(url: &str) -> Result<(), String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let location = Location::Postgres(url.to_owned().into(), 1);
    let store =
        Store::open(&location, Arc::new(Metrics::new())).map_err(|fault| fault.to_string())?;
    let asked = store.migrations().await;
    asked.map(|_| ()).map_err(|fault| fault.to_string())
}

fn file(name: &str) -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    tests.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_once_it_is_named_and_sslmode_has_its_documented_meaning() {
    let Some(cluster) = TlsCluster::start().await else {
        return;
    };
    let port = cluster.port;
    let ca = file("delivery/tls/ca.pem");
    let to = |host: &str, database: &str, query: &str| {
        // The server answers at 127.0.0.1 only; the host is the name that its certificate must contain.
        format!("postgres://postgres@{host}:{port}/{database}?hostaddr=127.0.0.1{query}")
    };
    // The public authorities did not issue the certificate, and the message says what to do.
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = to("localhost", "encrypted", &format!("&sslmode={mode}"));
        let refused = outcome(&url).await.expect_err("an unknown issuer");
        assert!(refused.contains("[database] ca_file"), "{mode}: {refused}");
    }
    for mode in ["allow", "prefer", "require", "verify-ca", "verify-full"] {
        let query = format!("&sslmode={mode}&sslrootcert={ca}");
        let found = outcome(&to("localhost", "encrypted", &query)).await;
        assert_eq!(found, Ok(()), "{mode}");
        // The certificate names another host: only verify-ca accepts that.
        let found = outcome(&to("db.example", "encrypted", &query)).await;
        match mode {
            "verify-ca" => assert_eq!(found, Ok(())),
            _ => {
                let refused = found.expect_err("another host");
                assert!(refused.contains("verify-ca"), "{mode}: {refused}");
            }
        }
    }
    // `verify-ca` accepts any name, and not any authority.
    let other = file("store/tls/client-ca.pem");
    let query = format!("&sslmode=verify-ca&sslrootcert={other}");
    assert!(
        outcome(&to("localhost", "encrypted", &query))
            .await
            .is_err()
    );
    // A CA file without sslmode makes TLS mandatory.
    assert_eq!(
        outcome(&to("localhost", "encrypted", &format!("&sslrootcert={ca}"))).await,
        Ok(())
    );

    let in_clear = outcome(&to("localhost", "encrypted", "&sslmode=disable")).await;
    assert!(
        in_clear
            .expect_err("the server requires TLS")
            .contains("no encryption")
    );
    assert_eq!(
        outcome(&to("localhost", "clear", "&sslmode=disable")).await,
        Ok(())
    );
    assert_eq!(outcome(&to("localhost", "clear", "")).await, Ok(()));

    let query = format!("&sslrootcert={ca}");
    let refused = outcome(&to("localhost", "certified", &query)).await;
    assert!(
        refused
            .expect_err("no certificate is presented")
            .contains("certificate")
    );
    let (certificate, key) = (
        file("store/tls/client.pem"),
        file("store/tls/client.key.pem"),
    );
    let query = format!("{query}&sslcert={certificate}&sslkey={key}");
    assert_eq!(outcome(&to("localhost", "certified", &query)).await, Ok(()));
}
