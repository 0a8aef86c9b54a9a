//! The simulation of a fleet: a release build of it, which then takes over.

use crate::{outcome::Outcome, process, workspace::Workspace};

/// `cargo xtask soak [--seed N | --seeds N] [--from N] [--teams N]`.
pub(crate) fn run(args: &[String]) -> Outcome {
    let release = Workspace::load()?.target.join("release");
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", "qd-soak"]);
    process::succeed(&mut build)?;
    let mut soak = process::program(release.join("qd-soak"));
    soak.args(args);
    process::become_program(soak)
}
