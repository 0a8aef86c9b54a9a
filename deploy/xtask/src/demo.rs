//! The demo: says what will happen, builds the binary, becomes it. The demo itself is a verb of the binary.

use std::{io::IsTerminal, path::Path};

use crate::{
    outcome::{Failure, Outcome},
    process,
    workspace::Workspace,
};

/// `cargo xtask demo [ARGS]`.
pub(crate) fn run(args: &[String]) -> Outcome {
    eprintln!(
        "Quarterdeck's demo: two teams and a throw-away repository; three features go from a card to a merge."
    );
    let binary = Workspace::load()?.target.join("debug/quarterdeck");
    let time = if binary.exists() { "seconds to a minute" } else { "about two minutes on two cores, once" };
    eprintln!("First the build ({time}), then the demo (about a minute). Ctrl-C ends it cleanly.");
    build(&binary)?;
    let mut demo = process::program(binary);
    demo.arg("demo").args(args);
    process::become_program(demo)
}

fn build(binary: &Path) -> Outcome {
    let mut build = process::cargo();
    build.args(["build", "--package", "quarterdeck", "--bin", "quarterdeck"]);
    // On a terminal cargo's own progress bar is the best one there is; in a log it is hundreds of lines.
    if !std::io::stderr().is_terminal() {
        build.arg("--quiet");
    }
    process::succeed(&mut build)?;
    if binary.exists() {
        return Ok(());
    }
    Err(Failure::failed(format!("The build ended well, but {} is not there.", binary.display())))
}
