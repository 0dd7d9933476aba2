//! A test for each rule of `tidy.rs` that shows it can fail: a rule that never fires looks just like one that holds.

use super::*;

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text)
}

fn files(list: &[(&str, &str)]) -> Files {
    list.iter()
        .map(|(path, text)| ((*path).to_owned(), source(path, text)))
        .collect()
}

#[test]
fn an_import_upwards_is_found() {
    let problems = imports(&source(
        "src/identity/user.rs",
        "use crate::moment::Moment;\nuse crate::{moment, flow::guest};\n",
    ));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("src/identity/user.rs:2: "),
        "{problems:?}"
    );
    assert!(
        !imports(&source(
            "src/hashing/mod.rs",
            "fn f() { crate::app::App::new() }"
        ))
        .is_empty()
    );
    assert!(
        !imports(&source(
            "src/delivery/mod.rs",
            "use super::worker::outbox::run;"
        ))
        .is_empty()
    );
}

#[test]
fn an_import_sideways_is_found() {
    assert_eq!(
        imports(&source("src/token/jwt.rs", "use crate::identity::User;")).len(),
        1
    );
    assert_eq!(
        imports(&source("src/worker/mod.rs", "use crate::endpoint::Router;")).len(),
        1
    );
    assert_eq!(
        imports(&source("src/flow/guest.rs", "use crate::grant::Issued;")).len(),
        1
    );
}

#[test]
fn imports_of_lower_layers_and_of_the_own_module_are_fine() {
    for (path, text) in [
        (
            "src/store/users.rs",
            "use crate::identity::User;\nuse super::layer::Layer;\nuse vestibule_protocol::Secret;",
        ),
        (
            "src/worker/outbox/mod.rs",
            "use super::Task;\nuse crate::store::outbox;",
        ),
        (
            "src/app/mod.rs",
            "use crate::config::Config;\n// crate::flow\nconst A: &str = \"crate::endpoint\";",
        ),
        (
            "src/cli/dev.rs",
            "use crate::endpoint::router;\nuse crate::worker::outbox::run_due;",
        ),
        ("src/moment.rs", "mod tests { use super::Moment; }"),
        ("src/main.rs", "fn main() { vestibule::cli::main() }"),
    ] {
        assert_eq!(imports(&source(path, text)), Vec::<Problem>::new());
    }
}

#[test]
fn a_module_outside_the_table_and_a_path_without_a_module_are_found() {
    assert!(imports(&source("src/helper/mod.rs", ""))[0].contains("LAYERS"));
    assert!(
        imports(&source("src/flow/guest.rs", "use crate::App;"))[0].contains("hides its module")
    );
}

#[test]
fn a_story_that_calls_another_is_found() {
    let files = files(&[
        ("src/flow/mod.rs", ""),
        ("src/flow/authorization.rs", ""),
        (
            "src/flow/guest.rs",
            "use super::authorization::issue_code;\nuse super::Context;\nuse crate::flow::registration::init;",
        ),
        ("src/flow/registration/mod.rs", "use super::guest;"),
    ]);
    let stories = stories(&files);
    let problems: Vec<Problem> = files
        .values()
        .flat_map(|file| calls_of_other_stories(file, &stories))
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("src/flow/guest.rs:3: "),
        "{problems:?}"
    );
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_found() {
    for text in [
        "",
        "use a;\n//! Too late to say what this file is about.",
        "//! Things.\n\n// And an ordinary comment that is long enough.",
    ] {
        assert_eq!(paragraph(&source("src/x.rs", text)).len(), 1, "{text}");
    }
    assert!(paragraph(&source("src/x.rs", "//! The x of the y: it owns all of z.")).is_empty());
}

#[test]
fn an_ambient_clock_or_random_number_is_found() {
    for text in [
        "let a = std::time::Instant::now();",
        "use aws_lc_rs::rand::SystemRandom;",
        "getrandom::fill(&mut b)",
    ] {
        assert_eq!(
            ambient(&source("src/flow/guest.rs", text)).len(),
            1,
            "{text}"
        );
        assert_eq!(
            ambient(&source("protocol/src/form.rs", text)).len(),
            1,
            "{text}"
        );
        assert!(ambient(&source("src/moment.rs", text)).is_empty());
        assert!(ambient(&source("xtask/src/main.rs", text)).is_empty());
    }
    assert_eq!(
        ambient(&source("src/hashing/mod.rs", "SystemTime::now()")).len(),
        1
    );
    assert!(
        ambient(&source(
            "src/flow/guest.rs",
            "// not Instant::now\n#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }"
        ))
        .is_empty()
    );
}

#[test]
fn printing_is_found() {
    assert_eq!(
        printing(&source("src/flow/guest.rs", "\nprintln!(\"x\");")).len(),
        1
    );
    assert!(printing(&source("src/flow/guest.rs", "// println!(\nreprintln!();")).is_empty());
    assert_eq!(
        printing(&source("src/cli/user/mod.rs", "println!();")).len(),
        1
    );
    assert!(printing(&source("xtask/src/main.rs", "println!();")).is_empty());
}

#[test]
fn sql_outside_the_store_is_found() {
    let text = "let a = \"SELECT id\n  FROM users\";\nlet b = r#\"UPDATE users SET x = 1\"#;";
    let problems = sql(&source("src/flow/guest.rs", text));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[1].starts_with("src/flow/guest.rs:3: "),
        "{problems:?}"
    );
    assert!(sql(&source("src/store/users.rs", text)).is_empty());
    assert!(
        sql(&source(
            "src/flow/guest.rs",
            "\"Select a user from the list\"; \"UPDATE\"; \"SELECTED FROM\""
        ))
        .is_empty()
    );
}

#[test]
fn an_orphan_is_found() {
    let files = files(&[
        (
            "src/lib.rs",
            "pub mod a;\npub(crate) mod b;\n#[path = \"odd/name.rs\"]\nmod c;\n",
        ),
        ("src/a.rs", "mod deep;"),
        ("src/a/deep.rs", ""),
        ("src/b/mod.rs", "mod near;\nmod inside {\n    mod far;\n}"),
        ("src/b/near.rs", ""),
        ("src/b/inside/far.rs", ""),
        ("src/odd/name.rs", ""),
        ("src/b/lost.rs", ""),
        ("tests/it/main.rs", "mod flow;"),
        ("tests/it/flow.rs", ""),
        ("tests/it/lost.rs", ""),
    ]);
    let reached = reached(&files);
    let lost: Vec<&str> = files
        .keys()
        .filter(|path| !reached.contains(*path))
        .map(String::as_str)
        .collect();
    assert_eq!(lost, ["src/b/lost.rs", "tests/it/lost.rs"]);
}

#[test]
fn a_file_beside_the_folder_of_its_module_is_found() {
    let files = files(&[
        ("tests/tidy.rs", ""),
        ("tests/tidy/proof.rs", ""),
        ("src/a.rs", ""),
        ("src/a/deep.rs", ""),
        ("src/b/mod.rs", ""),
        ("src/b/deep.rs", ""),
        ("src/c.rs", ""),
    ]);
    let problems: Vec<Problem> = files
        .values()
        .flat_map(|file| module_style(file, &files))
        .collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("src/a/mod.rs"), "{problems:?}");
}
