#![doc = include_str!("../README.md")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks on its terminal"
)]

mod bench;
mod demo;
mod outcome;
mod process;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use outcome::{Failure, Outcome};

const HELP: &str = "\
The project's chores.

  cargo xtask demo [ARGS]      build Quarterdeck and watch it work: three features, from a card to a merged change
                               (--yes answers the approvals, --json ends with a summary, --keep DIR keeps the state)
  cargo xtask test             what CI runs: format, clippy, tidy, deny, all tests, doc tests
             --quick           the inner loop: format, clippy, tidy, tests without the end-to-end ones
             --full            also the soaks and whatever is marked as ignored
             --allow-skips     go on without what is missing; the last line counts what was skipped
  cargo xtask tidy             crate edges, vendor crates, module docs, file lengths, links, the top level
  cargo xtask bench [NAME…]    release build, then the benchmarks (--json FILE writes the figures)
  cargo xtask soak             10,000 seeds of the simulation (--seeds N), or one of them with its trace (--seed N)
  cargo xtask help             this text

Exit codes: 0 ok, 1 failed, 2 usage.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(args: &[String]) -> Outcome {
    let (command, rest) =
        args.split_first().map_or(("help", args), |(command, rest)| (command.as_str(), rest));
    match command {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "tidy" => no_arguments("tidy", rest).and_then(|()| tidy::run()),
        "bench" => bench::run(rest),
        "soak" => soak::run(rest),
        "help" | "-h" | "--help" => {
            println!("{HELP}");
            Ok(())
        }
        unknown => Err(Failure::Usage(format!("xtask: there is no command {unknown:?}.\n\n{HELP}"))),
    }
}

fn no_arguments(command: &str, rest: &[String]) -> Outcome {
    match rest.first() {
        None => Ok(()),
        Some(extra) => {
            Err(Failure::Usage(format!("cargo xtask {command} takes no arguments, and got {extra:?}.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HELP, dispatch};

    fn refused(args: &[&str]) -> (u8, String) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let failure = dispatch(&args).expect_err("is refused");
        (failure.code(), failure.to_string())
    }

    #[test]
    fn an_unknown_command_is_a_usage_error_and_lists_the_known_ones() {
        let (code, text) = refused(&["tidee"]);
        assert_eq!(code, 2);
        assert!(text.starts_with("xtask: there is no command \"tidee\"."), "{text}");
        assert!(text.ends_with(HELP), "{text}");
    }

    #[test]
    fn tidy_and_test_refuse_what_they_do_not_know() {
        assert_eq!(refused(&["tidy", "--fix"]).0, 2);
        assert_eq!(refused(&["test", "--fast"]).0, 2);
        assert_eq!(refused(&["test", "--quick", "--full"]).0, 2);
    }
}
