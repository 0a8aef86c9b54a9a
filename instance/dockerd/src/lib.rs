#![doc = include_str!("../README.md")]
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics, and one that is skipped says so; it waits on its own thread"
)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

/// The image that each has.
pub const IMAGE: &str = "quarterdeck/busybox:1";

/// What of busybox the image has, besides `busybox`.
const APPLETS: [&str; 14] =
    ["sh", "sleep", "cat", "id", "touch", "env", "wget", "setsid", "tail", "ls", "dd", "kill", "test", "rm"];

/// How long an engine has to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine. It ends when it is dropped.
pub struct Dockerd {
    folder: TempDir,
    daemon: Child,
    busybox: PathBuf,
}

impl Dockerd {
    /// One for a test; `None`, said clearly, where there can be none.
    ///
    /// # Panics
    /// If one is required and can't be had.
    pub fn for_test() -> Option<Self> {
        match Self::start() {
            Ok(engine) => Some(engine),
            Err(why) => {
                let required =
                    std::env::var_os("QUARTERDECK_DOCKERD").is_some_and(|value| value == "required");
                assert!(!required, "a Docker engine is required here, and {why}");
                eprintln!("skipped: no dockerd: {why}");
                None
            }
        }
    }

    /// Starts one and gives it its image. The error says what is missing.
    pub fn start() -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let there = |paths: [&'static str; 2]| paths.into_iter().map(Path::new).find(|path| path.exists());
        let program = there(["/usr/sbin/dockerd", "/usr/bin/dockerd"]).ok_or("there is no dockerd")?;
        let busybox = there(["/bin/busybox", "/usr/bin/busybox"]).ok_or("there is no static busybox")?;
        if !getuid().is_root() {
            return Err("only root can start an engine".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("qd-engine").tempdir().map_err(text)?;
        let at = |name: &str| folder.path().join(name);
        let log = fs::File::create(at("log")).map_err(text)?;
        let mut dockerd = Command::new(program);
        dockerd.arg("--host").arg(format!("unix://{}", at("engine.sock").display()));
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            dockerd.arg(option).arg(at(name));
        }
        dockerd.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        let daemon = dockerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().map_err(text)?;
        let mut engine = Self { folder, daemon, busybox: busybox.to_owned() };
        let begun = Instant::now();
        while !engine.docker(&["version"]).success() {
            let ended = engine.daemon.try_wait().map_err(text)?.is_some();
            if ended || begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(engine.at("log")).unwrap_or_default();
                return Err(format!("dockerd does not come up: {log}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        engine.import(IMAGE, &[]).map_err(text)?;
        Ok(engine)
    }

    /// Makes an image of busybox and these files, which have the same places inside.
    ///
    /// # Errors
    /// If a file can't be had, or the engine does not take it.
    pub fn import(&self, image: &str, files: &[PathBuf]) -> io::Result<()> {
        let whole = tempfile::tempdir_in(self.folder.path())?;
        let (bin, tar) = (whole.path().join("bin"), self.at("image.tar"));
        fs::create_dir_all(&bin)?;
        for file in files {
            let to = whole.path().join(file.strip_prefix("/").unwrap_or(file));
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::copy(file, to)?;
        }
        fs::copy(&self.busybox, bin.join("busybox"))?;
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", bin.join(applet))?;
        }
        let packed =
            Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(whole.path()).arg(".").status()?;
        let imported = self.docker(&["import", &tar.display().to_string(), image]);
        if packed.success() && imported.success() {
            return Ok(());
        }
        Err(io::Error::other("its image can't be imported"))
    }

    /// Runs the command line client on it, without its output.
    ///
    /// # Panics
    /// If there is no client.
    pub fn docker(&self, args: &[&str]) -> ExitStatus {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket().display())).args(args);
        match docker.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => status,
            Err(error) => panic!("docker can't be run: {error}"),
        }
    }

    /// The ids of its containers, dead or alive.
    ///
    /// # Panics
    /// If there is no client.
    pub fn containers(&self) -> Vec<String> {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket().display()));
        match docker.args(["ps", "--all", "--quiet", "--no-trunc"]).output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
            Err(error) => panic!("docker can't be run: {error}"),
        }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.at("engine.sock")
    }

    /// A place in its folder, which goes with it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // SIGTERM, so that the engine ends its containers and takes its mounts away.
        if let Some(pid) = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.daemon.wait();
    }
}
