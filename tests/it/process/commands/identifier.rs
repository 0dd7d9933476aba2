//! What the business knows users by, given one by one and from a file.

use serde_json::json;

use super::{both, expect_refused, installations};
use crate::process::serve::Installation;

fn with_users(installation: &Installation) {
    for name in ["kim@shop.example", "jo@shop.example"] {
        let create = ["user", "create", name, "--last-name", "Doe"];
        installation.run(&create).expect_code(0);
    }
}

#[tokio::test]
async fn an_identifier_is_given_listed_and_taken_away() {
    for installation in installations().await {
        with_users(&installation);
        let words = |action: &'static str, user: &'static str, value: &'static str| {
            [
                "user",
                "identifier",
                action,
                user,
                "--kind",
                "order",
                "--value",
                value,
            ]
        };
        let (given, _) = both(&installation, &words("add", "kim@shop.example", " ORD-1 "));
        assert_eq!(
            (&given["kind"], &given["value"]),
            (&json!("order"), &json!("ORD-1"))
        );
        expect_refused(
            installation.run(&words("add", "jo@shop.example", "ord-1")),
            3,
            &["exists already"],
        );
        expect_refused(
            installation.run(&words("add", "unknown@shop.example", "ORD-2")),
            4,
            &["no user"],
        );
        expect_refused(
            installation.run(&words("add", "jo@shop.example", " ")),
            3,
            &["value"],
        );
        let list = ["user", "identifier", "list", "kim@shop.example"];
        let (listed, text) = both(&installation, &list);
        assert_eq!(listed["identifiers"].as_array().unwrap().len(), 1);
        assert!(text.contains("order  ORD-1"), "{text}");
        expect_refused(
            installation.run(&words("remove", "jo@shop.example", "ORD-1")),
            4,
            &["no identifier", "order ORD-1"],
        );
        installation
            .run(&words("remove", "kim@shop.example", "ord-1"))
            .expect_code(0);
        let (listed, _) = both(&installation, &list);
        assert_eq!(listed["identifiers"], json!([]));
    }
}

#[tokio::test]
async fn a_file_is_imported_line_by_line_and_may_be_given_again() {
    for installation in installations().await {
        with_users(&installation);
        // As a spreadsheet writes it.
        let rows = "username,kind,value\r\nkim@shop.example,order,A1\r\nKim@Shop.example,order,\"A,2\"\r\n\
            unknown@shop.example,order,A3\r\njo@shop.example,order,a1\r\njo@shop.example,\"or der\",A4\r\n";
        let file = installation.path("orders.csv");
        std::fs::write(&file, rows).unwrap();
        let file = file.display().to_string();
        let import = ["user", "identifier", "import", "--file", &file];
        let words = [
            "line 4: there is no user",
            "line 5: the order",
            "line 6: kind",
        ];
        let dry = installation.run(&[&import[..], &["--dry-run"]].concat());
        assert_eq!(dry.code, 3, "{dry:?}");
        assert!(dry.stdout.contains("2 would be added"), "{dry:?}");
        let list = ["user", "identifier", "list", "kim@shop.example"];
        assert_eq!(both(&installation, &list).0["identifiers"], json!([]));
        for (added, there) in [(2, 0), (0, 2)] {
            let ran = installation.run(&[&import[..], &["--json"]].concat());
            assert_eq!(ran.code, 3);
            let imported: serde_json::Value = serde_json::from_str(ran.stdout.trim()).unwrap();
            assert_eq!(
                (&imported["added"], &imported["already_there"]),
                (&json!(added), &json!(there))
            );
            assert_eq!(imported["refused"], 3);
            for word in words {
                assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
            }
        }
        // What would be read in another way than it was meant is not read at all.
        for (rows, word) in [
            ("kim@shop.example,order,A9\n", "columns"),
            ("username,kind\n", "value"),
            (
                "username,kind,value\nkim@shop.example,order,\"A9\n",
                "line 2: a quote",
            ),
            ("", "columns"),
        ] {
            std::fs::write(&file, rows).unwrap();
            expect_refused(installation.run(&import), 3, &[word]);
        }
        assert_eq!(
            both(&installation, &list).0["identifiers"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}
