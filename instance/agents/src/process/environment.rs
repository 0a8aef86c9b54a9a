//! What a process may see of the environment: an allow-list, and what is set for it. All else stays here.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use qd_types::RunId;
use secrecy::SecretString;

use super::{Confined, ProcessError};

/// What every process may see.
pub(crate) const ALLOW: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];

/// What a check may see besides: where toolchains and their caches are.
pub(crate) const CHECK_ALLOW: [&str; 12] = [
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "JAVA_HOME",
    "GRADLE_USER_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "VOLTA_HOME",
    "XDG_CACHE_HOME",
];

/// Where programs are if `PATH` says nothing.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Ends of names whose values are secrets, so that they are redacted without being configured.
const SECRET_NAMES: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"];

/// Whether a variable of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

/// The values of ours that must not be written anywhere, among variables that somebody may see.
pub(crate) fn allowed_secrets<'a>(names: impl Iterator<Item = &'a str>) -> Vec<SecretString> {
    names
        .filter(|name| is_secret(name))
        .filter_map(|name| std::env::var(name).ok())
        .map(SecretString::from)
        .collect()
}

/// A whole environment.
#[derive(Clone)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of a process that works for `run`: what the allow-lists name, as far as it is there.
    pub(crate) fn new<'a>(run: &RunId, allow: impl IntoIterator<Item = &'a str>) -> Self {
        let mut vars: BTreeMap<OsString, OsString> = ALLOW
            .into_iter()
            .chain(allow)
            .filter_map(|name| std::env::var_os(name).map(|value| (name.into(), value)))
            .collect();
        vars.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
        vars.insert("TERM".into(), "dumb".into());
        vars.insert(super::proc::RUN.into(), run.to_string().into());
        // Commits that it makes for itself need a name, and must not write one into a configuration that others share.
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            vars.insert(name.into(), "Quarterdeck".into());
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            vars.insert(name.into(), "quarterdeck@localhost".into());
        }
        vars.insert("QUARTERDECK_FEATURE".into(), run.feature().to_string().into());
        Self(vars)
    }

    /// As it is within these walls: with a folder of its own for what is temporary.
    pub(crate) fn within(mut self, confined: &Confined) -> Self {
        self.0.insert("TMPDIR".into(), confined.tmp.clone().into());
        for (name, value) in &confined.variables {
            let own = self.0.get(&OsString::from(name));
            if *name != "HOME" || own == std::env::var_os("HOME").as_ref() {
                self.0.insert(name.into(), value.into());
            }
        }
        self
    }

    /// With this variable besides.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub(crate) fn vars(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// The values that must not be written anywhere, judged by their names.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let values = self.0.iter().filter(|(name, _)| is_secret(&name.to_string_lossy()));
        values.map(|(_, value)| SecretString::from(value.to_string_lossy().into_owned())).collect()
    }

    fn path(&self) -> OsString {
        self.0.get(&OsString::from("PATH")).cloned().unwrap_or_else(|| DEFAULT_PATH.into())
    }
}

/// The same where there may be walls: what they look for inside stays as it is.
pub(crate) fn locate(
    program: &str,
    cwd: &Path,
    environment: &Environment,
    confined: Option<&Confined>,
) -> Result<PathBuf, ProcessError> {
    match confined {
        Some(confined) if confined.launch.elsewhere => Ok(program.into()),
        _ => find_program(program, cwd, environment),
    }
}

/// Where the program is, found as a shell in `cwd` would.
pub(crate) fn find_program(
    program: &str,
    cwd: &Path,
    environment: &Environment,
) -> Result<PathBuf, ProcessError> {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let not_found = |looked: String| ProcessError::NotFound { program: program.to_owned(), looked };
    if program.contains('/') {
        let path = cwd.join(program);
        return if runs(&path) { Ok(path) } else { Err(not_found(cwd.display().to_string())) };
    }
    let path = environment.path();
    std::env::split_paths(&path)
        .filter(|_| !program.is_empty())
        .map(|folder| cwd.join(folder).join(program))
        .find(|candidate| runs(candidate))
        .ok_or_else(|| not_found(format!("PATH ({})", path.to_string_lossy())))
}
