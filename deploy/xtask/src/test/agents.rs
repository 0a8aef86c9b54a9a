//! Real agents for the end-to-end tests, from npm, with a scripted model in place of a real one. They are kept outside of the
//! repository, by their versions.

use std::{env, path::PathBuf, process::Command};

use super::{npm::Packages, report::Report};
use crate::{
    outcome::{Failure, Outcome},
    process, workspace,
};

/// The versions are those that the registry of agents names.
const AGENTS: Packages = Packages {
    step: "agents",
    names: &["opencode-ai@1.18.33", "@aaif/goose@0.20.1"],
    files: &[".bin/opencode", ".bin/goose"],
    scripts: true,
};

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
    match AGENTS.fetch(report) {
        Ok(folder) => Ok(Some(Agents { programs: folder.join("node_modules/.bin"), model })),
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
