//! What Linux says about processes in `/proc`. It only reads.

use std::{fs, io, path::PathBuf};

use super::ProcessError;

/// The variable by which a process can be told to belong to a run.
pub(crate) const RUN: &str = "QUARTERDECK_RUN";

/// The variable that holds the number of the group a process was started in, also when it has left it. Containers don't get
/// it.
pub(crate) const GROUP: &str = "QUARTERDECK_GROUP";

/// One process, from `/proc/PID/stat`, see proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) pgrp: i32,
    /// Ticks since boot, field 22: together with the pid and the boot it names one process for ever.
    pub(crate) started: u64,
    /// It is over, but nobody has asked for its exit code yet.
    pub(crate) dead: bool,
}

/// The process, or none if there is no such.
pub(crate) fn stat(pid: i32) -> Result<Option<Stat>, ProcessError> {
    match read(format!("/proc/{pid}/stat").into())? {
        Some(bytes) => Ok(parse(pid, &String::from_utf8_lossy(&bytes))),
        None => Ok(None),
    }
}

/// The file's content, or none if its process is gone.
fn read(path: PathBuf) -> Result<Option<Vec<u8>>, ProcessError> {
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if gone(&error) => Ok(None),
        Err(source) => Err(ProcessError::Proc { path, source }),
    }
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The name of the program may hold anything, also brackets and spaces: what counts begins after the last bracket.
fn parse(pid: i32, text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        dead: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: fields.get(1)?.parse().ok()?,
        pgrp: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The living processes of a group, those that were started in it and left it, and what these started. The group began
/// at `started` for `run`. A process that has left it, lost its parent and cleared its environment is not found.
pub(crate) fn family(pgid: i32, started: u64, run: &str) -> Result<Vec<Stat>, ProcessError> {
    let all = living()?;
    let left_it = |stat: &Stat| {
        stat.started >= started && carries(stat.pid, &format!("{GROUP}={pgid}")) && works_for(stat.pid, run)
    };
    let (mut found, mut rest): (Vec<Stat>, Vec<Stat>) =
        all.into_iter().partition(|stat| stat.pgrp == pgid || left_it(stat));
    loop {
        let (children, others): (Vec<Stat>, Vec<Stat>) =
            rest.into_iter().partition(|stat| found.iter().any(|parent| parent.pid == stat.parent));
        if children.is_empty() {
            return Ok(found);
        }
        found.extend(children);
        rest = others;
    }
}

fn living() -> Result<Vec<Stat>, ProcessError> {
    let path = PathBuf::from("/proc");
    let entries = fs::read_dir(&path).map_err(|source| ProcessError::Proc { path, source })?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = stat(pid)?
            && !stat.dead
        {
            found.push(stat);
        }
    }
    Ok(found)
}

/// Whether the process was started for that run. What can't be read was not started by us.
pub(crate) fn works_for(pid: i32, run: &str) -> bool {
    carries(pid, &format!("{RUN}={run}"))
}

fn carries(pid: i32, wanted: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|vars| vars.split(|byte| *byte == 0).any(|var| var == wanted.as_bytes()))
}

/// The id of this boot of the machine: start times mean nothing beyond it.
pub(crate) fn boot() -> Result<String, ProcessError> {
    let path = PathBuf::from("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(&path).map_err(|source| ProcessError::Proc { path, source })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let tail = "1 77 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        let check = |comm: &str, state: &str| parse(5, &format!("5 ({comm}) {state} {tail}")).unwrap();
        assert_eq!(check("sh", "S"), Stat { pid: 5, parent: 1, pgrp: 77, started: 123_456, dead: false });
        assert_eq!(
            check("a) Z 1 2 (b", "S"),
            Stat { pid: 5, parent: 1, pgrp: 77, started: 123_456, dead: false }
        );
        assert!(check("sh", "Z").dead);
        assert_eq!(parse(5, "5 (torn"), None);
    }
}
