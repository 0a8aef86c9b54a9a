#![doc = include_str!("../README.md")]
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics, and one that is skipped says so; it waits on its own thread"
)]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

mod tls;

pub use tls::Authority;

/// The configuration that is shipped.
const SHIPPED: &str = include_str!("../../../deploy/nats/nats-server.conf");

/// How long a server has to come up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shipped configuration with other users: their blocks, as `quarterdeck bot nats-user` prints them.
///
/// # Panics
/// If the shipped configuration has no list of users.
pub fn with_users(users: &str) -> String {
    let begin = "    users: [\n";
    let Some((before, (_, after))) =
        SHIPPED.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once("\n    ]\n")?)))
    else {
        panic!("the shipped configuration has no list of users");
    };
    format!("{before}{begin}{users}\n    ]\n{after}")
}

/// A server. It ends when it is dropped.
pub struct Natsd {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Natsd {
    /// One for a test, with this configuration at an address of its own; `None`, said clearly, where there can be none.
    ///
    /// # Panics
    /// If there has to be one, or it does not start.
    pub fn for_test(configuration: &str) -> Option<Self> {
        if is_skipped() {
            return None;
        }
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder for it: {error}"));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.unwrap_or_else(|error| panic!("no port for it: {error}")).port();
        let mut server = Self { folder, port, process: None };
        server.configure(configuration);
        server.start();
        Some(server)
    }

    /// Where it is: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Gives it another configuration, which counts from its next start, or from [`Natsd::reload`] on.
    ///
    /// # Panics
    /// If that can't be written.
    pub fn configure(&self, configuration: &str) {
        let store = self.folder.path().join("store").display().to_string();
        let text = configuration
            .replace("/var/lib/nats", &store)
            .replace("0.0.0.0:4222", &format!("127.0.0.1:{}", self.port));
        fs::write(self.file(), text).unwrap_or_else(|error| panic!("no configuration: {error}"));
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.unwrap_or_else(|error| panic!("no log: {error}"));
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(self.file()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().unwrap_or_else(|error| panic!("it does not start: {error}")));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nats-server does not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.wait();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Throws away what it stored. It must not run.
    ///
    /// # Panics
    /// If that can't be done.
    pub fn forget(&self) {
        fs::remove_dir_all(self.folder.path().join("store")).unwrap_or_else(|error| panic!("{error}"));
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("nats-server.conf")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(|process| Pid::from_raw(process.id().cast_signed()));
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, signal)) {
            panic!("nats-server can't be told: {error}");
        }
    }

    fn wait(&mut self) {
        if let Some(mut process) = self.process.take()
            && let Err(error) = process.wait()
        {
            panic!("nats-server does not end: {error}");
        }
    }
}

impl Drop for Natsd {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill().and_then(|()| process.wait());
        }
    }
}

/// Whether the suite is left out, because the server is not here. In CI that is a failure, unless it was told.
fn is_skipped() -> bool {
    let is_there = |program, ask| Command::new(program).arg(ask).stdout(Stdio::null()).status().is_ok();
    if is_there("nats-server", "--version") && is_there("openssl", "version") {
        return false;
    }
    let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default().split(',').any(|suite| suite == "nats");
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(told || !ci, "nats-server or openssl is not installed: apt-get install nats-server openssl");
    eprintln!("SKIPPED: nats-server or openssl is not installed (apt-get install nats-server openssl)");
    true
}
