//! Quarterdeck: one binary, a subcommand per role. This file reads the command line and sets the exit code; what a
//! subcommand does stands in `verbs`, what runs together in `fleet`, how it is reached in `http`.

#![allow(unreachable_pub, reason = "a binary has no outside; pub says what a module offers")]

mod cli;
mod context;
mod enrolment;
mod fleet;
mod governed;
mod http;
mod in_force;
mod log;
mod memory;
mod metering;
mod people;
mod policies;
mod say;
mod servers;
mod verbs;
mod walls;

use std::process::ExitCode;

use clap::Parser as _;

/// What asks the policies as soon as it has started.
const SERVE: [&str; 4] = ["up", "bot", "instance", "mcp"];

fn main() -> ExitCode {
    memory::few_heaps();
    // They are loaded while the command line is still read.
    if std::env::args().any(|word| SERVE.contains(&word.as_str())) {
        qd_engine::Bundle::prepare();
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; everything else is a wrong call: exit code 2.
            let wrong = error.use_stderr();
            if error.print().is_err() {
                return ExitCode::FAILURE;
            }
            return if wrong { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::problem(&format!("the runtime can't be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(verbs::run(cli));
    // A read of standard input that nobody answers must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    code
}
