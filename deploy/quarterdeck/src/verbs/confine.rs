//! `confine`: put up walls around this process, and become another program. Started by the fleet around agents and checks.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use qd_sandbox::Limits;

use crate::say;

/// Comes back only if it could not.
pub(super) fn confine(
    walls: Option<Vec<PathBuf>>,
    cgroups: &[PathBuf],
    limits: &Limits,
    command: &[OsString],
) -> ExitCode {
    let failed = |text: String| {
        say::problem(&text);
        // Fits into a byte.
        ExitCode::from(u8::try_from(qd_agents::NOT_CONFINED).unwrap_or(1))
    };
    for group in cgroups {
        if let Err(error) = qd_sandbox::cgroup::enter(group) {
            return failed(format!("the control group {} can't be entered: {error}", group.display()));
        }
    }
    if let Err(error) = qd_sandbox::limits::enter(limits) {
        return failed(format!("the limits can't be set: {error}"));
    }
    if let Some(writable) = walls
        && let Err(error) = qd_confine::enter(&qd_confine::Walls { writable })
    {
        return failed(error.to_string());
    }
    let Some((program, args)) = command.split_first() else {
        return failed("confine needs a program".to_owned());
    };
    let error = std::process::Command::new(program).args(args).exec();
    failed(format!("{} can't be started: {error}", program.to_string_lossy()))
}
