//! A project with a configuration, and a process to measure. Both go when they are dropped.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use hyper::Method;
use qd_api::{Client, Target};

use crate::Failure;

const CONFIG: &str = "[fleet]\nsolo = true\n\n[[people]]\nname = \"bench\"\nroles = [\"owner\"]\n\n[[teams]]\nname = \"alpha\"\n\n[[repositories]]\nname = \"project\"\npath = \".\"\n";
/// Longest wait for a process to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a repository.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    /// Made anew.
    pub fn new() -> Result<Self, Failure> {
        Self::with(CONFIG, &[])
    }

    /// With a configuration and files of its own.
    pub fn with(config: &str, files: &[(&str, &str)]) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("qd-bench-").tempdir()?;
        let folder = dir.path();
        std::fs::write(folder.join("quarterdeck.toml"), config)?;
        for (name, text) in files {
            std::fs::write(folder.join(name), text)?;
        }
        for args in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=Bench",
                "-c",
                "user.email=bench@localhost",
                "commit",
                "--quiet",
                "--message=First",
            ],
        ] {
            if !Command::new("git").current_dir(folder).args(args).status()?.success() {
                return Err(format!("git {args:?} failed").into());
            }
        }
        Ok(Self { dir })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the binary and waits until it answers.
    pub async fn start(&self, binary: &Path, args: &[&str]) -> Result<Running, Failure> {
        let (state, log) = (self.folder().join("state"), self.folder().join("log"));
        let verb = Verb { binary: binary.to_owned(), folder: self.folder().to_owned(), state: state.clone() };
        if !state.join("people.db").exists() {
            verb.said(&["person", "passphrase"])?;
        }
        // It takes a port of its own and says which: a port that was free a moment ago may be taken, even by a client
        // that tries it before anybody listens there.
        let address_file = state.join("address");
        if address_file.exists() {
            std::fs::remove_file(&address_file)?;
        }
        let begun = Instant::now();
        let child = verb
            .command(args)
            .env("QUARTERDECK__WEB__LISTEN", "127.0.0.1:0")
            .env("QUARTERDECK__LOG__LEVEL", "error")
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut running = Running { child, address: nowhere, state, verb, ready: Duration::ZERO };
        while begun.elapsed() < PATIENCE {
            let said = std::fs::read_to_string(&address_file).unwrap_or_default();
            if let Ok(address) = said.trim().parse()
                && healthy(address).await
            {
                running.address = address;
                running.ready = begun.elapsed();
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{args:?} ended: {status}: {}", said.trim()).into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Err(format!("{args:?} did not answer within {PATIENCE:?}").into())
    }
}

async fn healthy(address: SocketAddr) -> bool {
    let mut client = Client::new(Target::Tcp(address), "alpha", None);
    client.send(Method::GET, "/health", Vec::new()).await.is_ok_and(|(status, _)| status.is_success())
}

/// How verbs are called in the project's folder.
struct Verb {
    binary: PathBuf,
    folder: PathBuf,
    state: PathBuf,
}

impl Verb {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.folder)
            .args(args)
            .env("QUARTERDECK__STATE__DIR", &self.state)
            .env("QUARTERDECK_PASSPHRASE", "correct horse battery staple");
        command
    }

    /// Runs one to its end, and gives what it printed.
    fn said(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self.command(args).output()?;
        if !output.status.success() {
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A process under measurement, killed when dropped.
pub struct Running {
    child: Child,
    address: SocketAddr,
    state: PathBuf,
    verb: Verb,
    /// From exec to the first good answer.
    pub ready: Duration,
}

impl Running {
    /// A client over TCP, kept alive, signed in as the person.
    pub fn client(&self) -> Result<Client, Failure> {
        let link = self.verb.said(&["url", "--as", "bench"])?;
        let token = link.trim().split_once("token=").map(|(_, token)| token.to_owned());
        Ok(Client::new(Target::Tcp(self.address), "alpha", Some(token.ok_or("a link without a token")?)))
    }

    /// Where teams on other computers reach its bot.
    pub fn hub(&self) -> Result<SocketAddr, Failure> {
        Ok(std::fs::read_to_string(self.state.join("bot/hub.address"))?.trim().parse()?)
    }

    /// Where GitHub delivers to.
    pub fn webhook(&self) -> Result<SocketAddr, Failure> {
        Ok(std::fs::read_to_string(self.state.join("bot/github.address"))?.trim().parse()?)
    }

    /// The processor's time that it took so far, in seconds.
    pub fn cpu(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = stat.rsplit_once(") ").ok_or("no name in stat")?.1;
        // Fields 14 and 15 of the line, in hundredths (proc_pid_stat(5)).
        let ticks = after.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        #[allow(clippy::cast_precision_loss, reason = "hundredths of seconds of a process")]
        Ok(ticks as f64 / 100.0)
    }

    /// Runs a verb beside the process, and gives what it printed.
    pub fn says(&self, args: &[&str]) -> Result<String, Failure> {
        self.verb.said(args)
    }

    /// The embedded forge's repository.
    pub fn forge(&self) -> PathBuf {
        self.state.join("bot/forge/repos/project.git")
    }

    /// What it keeps in memory, in MiB (`VmRSS`).
    pub fn rss_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
