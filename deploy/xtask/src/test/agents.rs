//! Real agents for the end-to-end tests, from npm, with a scripted model in place of a real one. They are kept outside of the
//! repository, by their versions.

use std::{env, path::PathBuf, process::Command, time::Duration};

use super::report::Report;
use crate::{
    outcome::{Failure, Outcome},
    process, workspace,
};

/// What is installed. The versions are those that the registry of agents names.
const PACKAGES: [&str; 2] = ["opencode-ai@1.18.33", "@aaif/goose@0.20.1"];

/// What they put on the search path.
const PROGRAMS: [&str; 2] = ["opencode", "goose"];

/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];

/// The suite, as `QUARTERDECK_SKIP` and the last line of a test run name it.
const SUITE: &str = "agents";

/// Where the tests find what they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agents {
    /// The folder of the agents' programs.
    programs: PathBuf,
    /// The scripted model.
    model: PathBuf,
}

impl Agents {
    /// Tells a test run where they are.
    pub(super) fn tell(&self, command: &mut Command) {
        command.env("QUARTERDECK_TEST_AGENTS", &self.programs).env("QUARTERDECK_TEST_MODEL", &self.model);
    }
}

/// Brings the agents. Without npm or the scripted model they are left out, but not where `CI=true`.
pub(super) fn provide(report: &mut Report, allow_skips: bool) -> Outcome<Option<Agents>> {
    let Some(model) = model() else { return left_out(report, allow_skips, "no scripted model") };
    if process::find("npm").is_none() || process::find("python3").is_none() {
        return left_out(report, allow_skips, "no npm or no python3");
    }
    let folder = cache().join(PACKAGES.join("+").replace(['/', '@'], "_"));
    let programs = folder.join("node_modules/.bin");
    let agents = Agents { programs: programs.clone(), model };
    let is_there = || PROGRAMS.iter().all(|program| programs.join(program).exists());
    if is_there() {
        return Ok(Some(agents));
    }
    let npm = || {
        let mut npm = process::program("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).args(PACKAGES);
        npm
    };
    let installed = report.step("agents", &process::shown(&npm()), || {
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::failed(format!("{} can't be made: {error}", folder.display())))?;
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match process::succeed(&mut npm()) {
                Ok(()) if is_there() => return Ok(()),
                Ok(()) => {
                    Failure::failed(format!("npm left no {} in {}.", PROGRAMS.join(", "), programs.display()))
                }
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next() else { return Err(failure) };
            println!("{failure} Another try in {} s.", pause.as_secs());
            super::install::wait(*pause);
        }
    });
    match installed {
        Ok(()) => Ok(Some(agents)),
        Err(failure) if in_ci() && !allow_skips => Err(failure),
        Err(_) => left_out(report, allow_skips, "npm could not install them"),
    }
}

fn left_out(report: &mut Report, allow_skips: bool, reason: &'static str) -> Outcome<Option<Agents>> {
    if in_ci() && !allow_skips {
        return Err(Failure::failed(format!(
            "The real agents can't be tested: {reason}. CI has npm, python3 and the scripted model, which \
             QUARTERDECK_TEST_MODEL may name."
        )));
    }
    report.skip(SUITE, reason);
    Ok(None)
}

fn in_ci() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true")
}

/// The scripted model: where the environment says, or in the folder that is shared beside the repository.
fn model() -> Option<PathBuf> {
    let beside = || workspace::root().parent().map(|parent| parent.join("shared/peers/scripted_llm.py"));
    let named = env::var_os("QUARTERDECK_TEST_MODEL").map(PathBuf::from);
    named.or_else(beside).filter(|path| path.is_file())
}

fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map_or_else(env::temp_dir, PathBuf::from).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("quarterdeck/test-agents")
}
