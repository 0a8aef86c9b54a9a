//! Starting other programs. Not a shell: every argument is passed as it is.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    outcome::{Failure, Outcome},
    workspace,
};

/// What `cargo run` adds to the environment of the program that it starts. It speaks of xtask, so children must not
/// see it.
const ADDED_BY_CARGO_RUN: [&str; 4] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"];

/// A program with a clean environment, in the current folder.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    for (key, _) in env::vars_os() {
        let added =
            key.to_str().is_some_and(|key| ADDED_BY_CARGO_RUN.iter().any(|prefix| key.starts_with(prefix)));
        if added {
            command.env_remove(&key);
        }
    }
    command
}

/// The same cargo that runs xtask, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// Runs a program to its end with the terminal of this one.
pub(crate) fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!("`{}` ended with {status}.", shown(command))))
}

/// Runs a program to its end and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        return Err(Failure::failed(format!("`{}` ended with {}.", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|error| {
        Failure::failed(format!("`{}` wrote something that is not UTF-8: {error}", shown(command)))
    })
}

/// Becomes another program. Ctrl-C and every other signal reach it directly, and its exit code is the one that the
/// caller sees; a parent that waits would die of the Ctrl-C that its child wants to answer in peace.
pub(crate) fn become_program(mut command: Command) -> Outcome {
    let error = command.exec();
    Err(not_started(&command, &error))
}

/// Where a program is on the search path, if it is anywhere.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure::failed(format!("`{}` could not be started: {error}", shown(command)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{find, output, shown, succeed};

    #[test]
    fn a_command_is_shown_as_a_person_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["nextest", "run", "-E", "not binary(e2e)"]);
        assert_eq!(shown(&command), "cargo nextest run -E 'not binary(e2e)'");
    }

    #[test]
    fn a_program_that_fails_or_is_missing_says_so() {
        let failed = succeed(&mut Command::new("false")).expect_err("fails");
        assert_eq!(failed.to_string(), "`false` ended with exit status: 1.");
        let missing = output(&mut Command::new("no-such-program-here")).expect_err("is missing");
        assert!(
            missing.to_string().starts_with("`no-such-program-here` could not be started: "),
            "{missing}"
        );
    }

    #[test]
    fn a_program_is_found_on_the_search_path_or_not() {
        assert!(find("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(find("no-such-program-here"), None);
    }
}
