//! GitHub's own description of its API, for checking what the fake GitHub is asked and answers.

use std::{env, path::PathBuf, process::Command};

use super::{npm::Packages, plan::Scope, report::Report};
use crate::{
    outcome::{Failure, Outcome},
    process,
};

/// MIT. 13 MB, of which the fake reads the part that it uses.
const DESCRIPTION: Packages = Packages {
    step: "github",
    names: &["@octokit/openapi@23.0.2"],
    files: &["@octokit/openapi/generated/api.github.com.json"],
    scripts: false,
};

/// What is checked less without it, as `QUARTERDECK_SKIP` and the last line of a test run name it.
const SUITE: &str = "github";

/// Where the description is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described(PathBuf);

impl Described {
    /// Tells a test run where it is.
    pub(super) fn tell(&self, command: &mut Command) {
        command.env("QUARTERDECK_GITHUB_API", &self.0);
    }
}

/// Brings the description. Without npm it is left out, but not where `CI=true`; the quick tests take it where it is.
pub(super) fn provide(report: &mut Report, scope: Scope, allow_skips: bool) -> Outcome<Option<Described>> {
    if let Some(named) = env::var_os("QUARTERDECK_GITHUB_API") {
        return Ok(Some(Described(PathBuf::from(named))));
    }
    let there = DESCRIPTION.are_there();
    if scope == Scope::Quick && !there {
        return Ok(None);
    }
    if !there && process::find("npm").is_none() {
        return left_out(report, allow_skips, "no npm");
    }
    match DESCRIPTION.fetch(report) {
        Ok(folder) => Ok(Some(Described(folder.join("node_modules/@octokit/openapi")))),
        Err(failure) if in_ci() && !allow_skips => Err(failure),
        Err(_) => left_out(report, allow_skips, "npm could not fetch GitHub's description"),
    }
}

fn left_out(report: &mut Report, allow_skips: bool, reason: &'static str) -> Outcome<Option<Described>> {
    if in_ci() && !allow_skips {
        return Err(Failure::failed(format!(
            "The fake GitHub can't be held to GitHub's own description: {reason}. CI has npm, and \
             QUARTERDECK_GITHUB_API may name the folder of the package @octokit/openapi."
        )));
    }
    report.skip(SUITE, reason);
    Ok(None)
}

fn in_ci() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true")
}
