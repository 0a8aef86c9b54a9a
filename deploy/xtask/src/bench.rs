//! The benchmarks: release build of the binary and of its measuring client, which then takes over.

use crate::{outcome::Outcome, process, workspace::Workspace};

/// `cargo xtask bench [NAME…] [--json FILE]`.
pub(crate) fn run(args: &[String]) -> Outcome {
    eprintln!(
        "Benchmarks: a release build (about ten minutes on two cores the first time), then at most 15 minutes."
    );
    let release = Workspace::load()?.target.join("release");
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", "quarterdeck", "--package", "qd-bench"]);
    process::succeed(&mut build)?;
    let mut bench = process::program(release.join("qd-bench"));
    bench.arg("--binary").arg(release.join("quarterdeck")).args(args);
    process::become_program(bench)
}
