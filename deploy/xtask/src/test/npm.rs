//! What the tests take from npm. It is kept outside of the repository, by its versions, and fetched once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::report::Report;
use crate::{
    outcome::{Failure, Outcome},
    process,
};

/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];

/// Packages, and the files below `node_modules` that must be there afterwards.
pub(super) struct Packages {
    pub(super) step: &'static str,
    /// As `name@version`.
    pub(super) names: &'static [&'static str],
    pub(super) files: &'static [&'static str],
    /// Whether they may run what they bring along while they are installed.
    pub(super) scripts: bool,
}

impl Packages {
    /// The folder with `node_modules`.
    pub(super) fn folder(&self) -> PathBuf {
        cache().join(self.names.join("+").replace(['/', '@'], "_"))
    }

    pub(super) fn are_there(&self) -> bool {
        let modules = self.folder().join("node_modules");
        self.files.iter().all(|file| modules.join(file).exists())
    }

    /// Fetches them, unless they are there. npm must be.
    pub(super) fn fetch(&self, report: &mut Report) -> Outcome<PathBuf> {
        let folder = self.folder();
        if self.are_there() {
            return Ok(folder);
        }
        let npm = || {
            let mut npm = process::program("npm");
            npm.args(["install", "--no-audit", "--no-fund"]);
            npm.args((!self.scripts).then_some("--ignore-scripts"));
            npm.arg("--prefix").arg(&folder).args(self.names);
            npm
        };
        report.step(self.step, &process::shown(&npm()), || {
            fs::create_dir_all(&folder)
                .map_err(|error| Failure::failed(format!("{} can't be made: {error}", folder.display())))?;
            let mut pauses = PAUSES.iter();
            loop {
                let failure = match process::succeed(&mut npm()) {
                    Ok(()) if self.are_there() => return Ok(()),
                    Ok(()) => Failure::failed(self.incomplete(&folder)),
                    Err(failure) => failure,
                };
                let Some(pause) = pauses.next() else { return Err(failure) };
                println!("{failure} Another try in {} s.", pause.as_secs());
                super::install::wait(*pause);
            }
        })?;
        Ok(folder)
    }

    fn incomplete(&self, folder: &Path) -> String {
        format!("npm left no {} in {}.", self.files.join(", "), folder.join("node_modules").display())
    }
}

fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map_or_else(env::temp_dir, PathBuf::from).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("quarterdeck/test-agents")
}
