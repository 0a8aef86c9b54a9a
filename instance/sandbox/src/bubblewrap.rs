//! Namespaces by Debian's `bwrap`: its own users, mounts, processes and, if wanted, network. Only what is let through can
//! be written, and what is hidden is not there. The end of `bwrap` is the end of all that it holds.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use async_trait::async_trait;

use qd_types::{InstanceName, RunId};

use crate::{
    cgroup::Cgroups,
    port::{Bounds, Found, Kind, Launch, Limits, Network, Prevents, Sandbox, SandboxError, Spec},
};

/// Where programs lie that a service may not have on its `PATH`.
const USUAL: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// Folders that are empty and its own: others leave sockets and secrets there.
const FRESH: [&str; 2] = ["/tmp", "/var/tmp"];

/// What is there and stays empty: the sockets of the system's services.
const EMPTY: &str = "/run";

/// What of [`EMPTY`] is no socket and is needed.
const NEEDED: [&str; 2] = ["/run/current-system", "/run/opengl-driver"];

/// `bwrap` does not hear SIGTERM: its end is the end of all, and who is asked to end gets some time. What it starts hears
/// it again. A shell can't do that.
const DEAF: [&str; 2] = ["/usr/bin/env", "--ignore-signal=TERM"];
const HEARS: [&str; 2] = ["/usr/bin/env", "--default-signal=TERM"];

/// Its own users, processes and session, no way to new namespaces, and no capabilities in them.
const ALWAYS: [&str; 13] = [
    "--die-with-parent",
    "--new-session",
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--disable-userns",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/",
    "/",
];

/// Namespaces.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    program: PathBuf,
    bounds: Bounds,
    cgroups: Option<Cgroups>,
}

impl Bubblewrap {
    /// With `bwrap` as it is found on the `PATH`, or where distributions put it. It may not be there: `works` tells.
    pub fn new(bounds: Bounds) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .chain(USUAL.map(PathBuf::from))
            .map(|folder| folder.join("bwrap"))
            .find(|candidate| candidate.is_file());
        Self { program: program.unwrap_or_else(|| "bwrap".into()), bounds, cgroups: None }
    }

    /// Limits hold for all of a sandbox together, by a group of its own here.
    #[must_use]
    pub fn with_cgroups(self, cgroups: Option<Cgroups>) -> Self {
        Self { cgroups, ..self }
    }

    /// Makes a sandbox, and says why if that fails. It takes some ten milliseconds.
    pub fn works(&self) -> Result<Prevents, SandboxError> {
        let no = |reason: String| SandboxError::Unavailable { kind: Kind::Bubblewrap, reason };
        if !self.program.is_file() {
            return Err(no("there is no program bwrap: install the package bubblewrap".to_owned()));
        }
        let [env, deaf] = DEAF;
        let mut probe = Command::new(env);
        probe.arg(deaf).arg(&self.program).args(ALWAYS);
        probe.args(["--unshare-net", "--dev", "/dev", "--proc", "/proc", "--"]).args(HEARS).arg("/bin/true");
        let output = probe
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .map_err(|error| no(format!("/usr/bin/env can't be started: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().chars().take(200).collect();
            return Err(no(format!(
                "it makes no namespaces ({said}): allow users to make them, or run the fleet outside of a container"
            )));
        }
        // Without groups, what one process takes is limited, but not all together.
        let hogging = self.cgroups.is_some();
        Ok(Prevents { writes: true, reads: true, sockets: true, network: true, escape: true, hogging })
    }

    fn args(&self, spec: &Spec) -> Vec<OsString> {
        let mut args = Args(ALWAYS.map(OsString::from).to_vec());
        if spec.network != Network::Open {
            args.0.push("--unshare-net".into());
        }
        args.one("--dev", Path::new("/dev"));
        args.one("--proc", Path::new("/proc"));
        FRESH.iter().for_each(|path| args.one("--tmpfs", Path::new(path)));
        let empty = Path::new(EMPTY);
        args.one("--tmpfs", empty);
        args.two("--bind", &spec.home, &spec.home_at);
        let gone = |path: &Path| path.starts_with(&spec.home_at);
        let mut hidden: Vec<&PathBuf> =
            spec.hidden.iter().filter(|path| path.is_dir() && !gone(path)).collect();
        hidden.sort();
        hidden.dedup_by(|inner, outer| inner.starts_with(&**outer));
        hidden.iter().for_each(|path| args.one("--tmpfs", path));

        let mut mounts: Vec<(PathBuf, &str)> = Vec::new();
        let covered = |path: &PathBuf| {
            let places = hidden.iter().map(|path| path.as_path()).chain(FRESH.map(Path::new)).chain([empty]);
            gone(path) || places.into_iter().any(|place| path.starts_with(place))
        };
        let unseen = spec.read.iter().filter(|path| covered(path));
        mounts.extend(unseen.map(|path| (path.clone(), "--ro-bind-try")));
        mounts.extend(NEEDED.iter().map(|path| (PathBuf::from(path), "--ro-bind-try")));
        if let Network::Forward { socket, .. } = &spec.network {
            mounts.push((socket.clone(), "--ro-bind"));
            mounts.push((self.bounds.0.clone(), "--ro-bind"));
        }
        if spec.network == Network::Open
            && let Ok(resolver) = Path::new("/etc/resolv.conf").canonicalize()
        {
            mounts.push((resolver, "--ro-bind-try"));
        }
        mounts.extend(spec.write.iter().map(|path| (path.clone(), "--bind-try")));
        mounts.push((spec.cwd.clone(), if spec.writes_cwd() { "--bind" } else { "--ro-bind" }));
        // Outer folders first, or they would cover the inner ones; of two mounts at one place the later holds.
        mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
        mounts.iter().for_each(|(path, how)| args.two(how, path, path));
        hidden.iter().for_each(|path| args.one("--remount-ro", path));
        args.one("--remount-ro", empty);
        args.one("--chdir", &spec.cwd);
        args.0.push("--".into());
        args.0
    }
}

struct Args(Vec<OsString>);

impl Args {
    fn one(&mut self, flag: &str, path: &Path) {
        self.0.extend([flag.into(), path.into()]);
    }

    fn two(&mut self, flag: &str, from: &Path, to: &Path) {
        self.0.extend([flag.into(), from.into(), to.into()]);
    }
}

#[async_trait]
impl Sandbox for Bubblewrap {
    fn kind(&self) -> Kind {
        Kind::Bubblewrap
    }

    async fn probe(&self) -> Result<Prevents, SandboxError> {
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || this.works()).await;
        looked.unwrap_or_else(|error| Err(failed("be looked at", error)))
    }

    fn launch(&self, spec: &Spec) -> Result<Launch, SandboxError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&spec.home);
        made.map_err(|error| failed("make a home", error))?;
        let mut argv = match self.cgroups.as_ref().filter(|_| spec.limits != Limits::default()) {
            Some(cgroups) => {
                let made = cgroups.groups(&spec.instance, &spec.run, &spec.limits);
                let mut argv = self.bounds.argv(&Limits::default());
                for group in groups("make a control group", made)? {
                    argv.extend(["--cgroup".into(), group.into()]);
                }
                argv
            }
            None => self.bounds.argv(&spec.limits),
        };
        argv.extend(["--no-walls".into(), "--".into()]);
        argv.extend(DEAF.map(OsString::from));
        argv.push(self.program.clone().into());
        argv.extend(self.args(spec));
        argv.extend(HEARS.map(OsString::from));
        argv.extend(self.bounds.forward(&spec.network));
        Ok(Launch { argv, ..Launch::default() })
    }

    async fn find(&self, instance: &InstanceName) -> Result<Vec<Found>, SandboxError> {
        let found = self.cgroups.as_ref().map(|cgroups| cgroups.find(instance)).transpose();
        Ok(groups("look for control groups", found)?.unwrap_or_default())
    }

    async fn reap(
        &self,
        instance: &InstanceName,
        kept: &(dyn for<'a> Fn(&'a RunId) -> bool + Send + Sync),
    ) -> Result<Vec<Found>, SandboxError> {
        let Some(cgroups) = &self.cgroups else { return Ok(Vec::new()) };
        let mut all = self.find(instance).await?;
        all.retain(|found| !kept(&found.run));
        for found in &all {
            groups("end a control group", cgroups.end(found).await)?;
        }
        Ok(all)
    }
}

fn failed(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> SandboxError {
    SandboxError::Failed { kind: Kind::Bubblewrap, doing, source: Box::new(source) }
}

fn groups<T>(doing: &'static str, result: io::Result<T>) -> Result<T, SandboxError> {
    result.map_err(|error| failed(doing, error))
}
