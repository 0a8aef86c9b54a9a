//! A Docker engine of its own: private socket, private data, ended by its process id. Its one image is a static busybox.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use qd_sandbox::{Bounds, Docker};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const IMAGE: &str = "busybox:test";

pub(crate) struct Engine {
    folder: TempDir,
    daemon: Child,
}

impl Engine {
    /// None where there is no dockerd, no busybox, or no right to start one.
    pub(crate) fn start() -> Result<Self, String> {
        let busybox = PathBuf::from("/bin/busybox");
        let daemon = ["/usr/sbin/dockerd", "/usr/bin/dockerd"].map(PathBuf::from);
        let daemon = daemon.into_iter().find(|path| path.exists()).ok_or("there is no dockerd")?;
        if !busybox.exists() {
            return Err("there is no static busybox".into());
        }
        if !rustix::process::getuid().is_root() {
            return Err("only root can start an engine".into());
        }
        let folder = tempfile::Builder::new().prefix("qd-engine").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let daemon = Command::new(daemon)
            .args(["--host", &format!("unix://{}", at("sock")), "--data-root", &at("data")])
            .args(["--exec-root", &at("exec"), "--pidfile", &at("pid"), "--bridge=none", "--iptables=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let engine = Self { folder, daemon };
        let patience = Instant::now() + Duration::from_secs(30);
        while !engine.docker(&["version"]).success() {
            if Instant::now() > patience {
                let log = std::fs::read_to_string(engine.folder.path().join("log")).unwrap_or_default();
                return Err(format!("dockerd does not come up: {log}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        engine.import(IMAGE, &[]);
        Ok(engine)
    }

    /// Makes an image of busybox and these files, which have the same places inside.
    pub(crate) fn import(&self, image: &str, files: &[PathBuf]) {
        let whole = tempfile::tempdir_in(self.folder.path()).unwrap();
        let root = whole.path().join("bin");
        std::fs::create_dir_all(&root).unwrap();
        for file in files {
            let to = whole.path().join(file.strip_prefix("/").unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file, to).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("busybox")).unwrap();
        for applet in [
            "sh", "sleep", "cat", "id", "touch", "env", "wget", "setsid", "tail", "ls", "dd", "kill", "test",
            "rm",
        ] {
            std::os::unix::fs::symlink("busybox", root.join(applet)).unwrap();
        }
        let tar = self.folder.path().join("image.tar");
        let packed = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(whole.path()).arg(".").status();
        assert!(packed.unwrap().success());
        assert!(self.docker(&["import", &tar.display().to_string(), image]).success());
    }

    pub(crate) fn docker(&self, args: &[&str]) -> std::process::ExitStatus {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket().display())).args(args);
        docker.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    /// The ids of its containers, dead or alive.
    #[allow(dead_code, reason = "whoever looks from outside needs it")]
    pub(crate) fn containers(&self) -> Vec<String> {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket().display()));
        let output = docker.args(["ps", "--all", "--quiet", "--no-trunc"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    /// The port on this engine.
    #[allow(dead_code, reason = "whoever looks from outside does without")]
    pub(crate) fn port(&self) -> Docker {
        Docker { socket: self.socket(), ..Docker::new(Bounds("/bin/true".into()), IMAGE, self.folder.path()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap_or(0)) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.daemon.wait();
    }
}
