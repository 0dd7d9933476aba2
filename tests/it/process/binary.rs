//! The built binary as a process: started on free ports in a directory per test, stopped by signals, and
//! always reaped.
//!
//! Starts and ends servers and one-shot commands, and checks the database file that they leave. Requests
//! to a running server are in `wire.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use vestibule::moment::Stopwatch;

use super::wire::{App, get, text};

/// How long a process may take for one step before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Repeats until there is a result, or fails the test.
#[track_caller]
pub fn eventually<T>(within: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Stopwatch::start();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            started.seconds() < within.as_secs_f64(),
            "{what}: not within {within:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// The binary with arguments, in a directory, without variables of the server in the environment.
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.current_dir(directory).args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VESTIBULE_")) {
        command.env_remove(name);
    }
    command
}

/// `vestibule dev` on free ports with its data in a directory.
pub fn dev_arguments(data_directory: &str) -> [&str; 7] {
    [
        "dev",
        "--data-dir",
        data_directory,
        "--listen",
        "127.0.0.1:0",
        "--management",
        "127.0.0.1:0",
    ]
}

/// The output of a command that ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The output of a successful command as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Runs a command to its end with empty standard input.
pub fn run(directory: &Path, arguments: &[&str]) -> Ran {
    run_with_input(directory, arguments, "")
}

/// The same with something on its standard input.
pub fn run_with_input(directory: &Path, arguments: &[&str], input: &str) -> Ran {
    finish(command(directory, arguments), input)
}

/// Runs any command to its end.
pub fn finish(mut command: Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read its input may have ended before it is written.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A server that is running, or has ended.
pub struct Server {
    child: Child,
    output: PathBuf,
    directory: PathBuf,
    /// How long it took from the start to the ready file (`dev`) or the first answer (`serve`).
    pub started_in: Duration,
    /// The content of the ready file; null for `serve`.
    pub ready: Value,
}

/// A server to be started.
pub struct Launch {
    command: Command,
    output: PathBuf,
    directory: PathBuf,
}

impl Launch {
    /// `vestibule dev` on free ports with its data in `directory`/data.
    pub fn dev(directory: &Path) -> Launch {
        Launch::new(directory, &dev_arguments("data"))
    }

    /// Any server command. Its output is kept in a file of `directory`.
    pub fn new(directory: &Path, arguments: &[&str]) -> Launch {
        let name = format!("output-{:016x}", unique());
        Launch {
            command: command(directory, arguments),
            output: directory.join(name),
            directory: directory.to_owned(),
        }
    }

    pub fn args(mut self, arguments: &[&str]) -> Launch {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it has written its ready file.
    #[track_caller]
    pub fn until_ready(mut self) -> Server {
        let file = self.directory.join(format!("ready-{:016x}.json", unique()));
        self.command.arg("--ready-file").arg(&file);
        let mut server = self.spawn();
        let started = Stopwatch::start();
        server.ready = eventually(PATIENCE, "the ready file", || {
            if !file.exists() {
                server.expect_running();
                return None;
            }
            let text = std::fs::read_to_string(&file).expect("the ready file is readable");
            Some(serde_json::from_str(&text).expect("a ready file that is there is whole"))
        });
        server.started_in = Duration::from_secs_f64(started.seconds());
        server
    }

    /// Starts it and waits until its management listener reports that it is ready.
    #[track_caller]
    pub fn until_answering(self, management: &str) -> Server {
        let mut server = self.spawn();
        let started = Stopwatch::start();
        eventually(PATIENCE, "the first answer", || {
            server.expect_running();
            let url = format!("{management}/health/ready");
            get(&url, &[]).ok().filter(|reply| reply.status == 200)
        });
        server.started_in = Duration::from_secs_f64(started.seconds());
        server
    }

    /// Starts it without waiting.
    pub fn spawn(mut self) -> Server {
        let file = std::fs::File::create(&self.output).expect("a file for the output");
        let twin = file.try_clone().expect("a second handle");
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(twin)
            .spawn()
            .expect("the server starts");
        Server {
            child,
            output: self.output,
            directory: self.directory,
            started_in: Duration::ZERO,
            ready: Value::Null,
        }
    }
}

impl Server {
    /// Its output so far, of both streams.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).expect("the output")).into_owned()
    }

    /// The database of a `vestibule dev`.
    pub fn database(&self) -> PathBuf {
        self.directory.join("data/vestibule.db")
    }

    /// The site that `vestibule dev` made.
    pub fn app(&self) -> App {
        App::of(&self.ready)
    }

    pub fn management(&self) -> String {
        text(&self.ready["management_url"])
    }

    /// Sends a signal by its name: INT, TERM.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill runs").success(), "kill -s {name} {id}");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually(PATIENCE, "the end of the process", || {
            self.child.try_wait().expect("a child of this process")
        })
    }

    /// Stops it by a signal and expects a successful exit.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("INT");
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.output());
    }

    /// Kills it, which resembles a power failure as far as a process can.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[track_caller]
    fn expect_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child of this process") {
            panic!("it ended early, {status}: {}", self.output());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A free port of 127.0.0.1, below those that the system assigns, so that no other test gets it between two starts
/// of one server.
pub fn free_port() -> u16 {
    let start = u64::from(std::process::id()).wrapping_mul(131);
    loop {
        let port = 15_000 + u16::try_from((start + unique()) % 15_000).expect("it fits");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A number that is unique in this process.
pub fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Expects that a database file was closed and is intact.
#[track_caller]
pub fn expect_clean_database(path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        assert!(
            !Path::new(&name).exists(),
            "{} is left",
            Path::new(&name).display()
        );
    }
    expect_intact_database(path);
}

/// Expects that a database file is intact, by SQLite's checks.
#[track_caller]
pub fn expect_intact_database(path: &Path) {
    let database = rusqlite::Connection::open(path).expect("the database opens");
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("the check runs");
    assert_eq!(verdict, "ok");
    let mut orphans = database
        .prepare("PRAGMA foreign_key_check")
        .expect("the check runs");
    assert!(
        !orphans.exists([]).expect("the check runs"),
        "a row points nowhere"
    );
}
