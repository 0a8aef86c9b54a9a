//! The check runner: a check's command in a shell, its log in a file, and how it ended. It doesn't know which commit it
//! checks, nor what follows from the result.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use qd_types::RunId;
use tokio::time::Instant;

use crate::{
    process::{
        ALLOW, CHECK_ALLOW, Confined, Ended, Environment, Job, NOT_CONFINED, OnStart, ProcessError, Seconds,
        Stop, SuperviseError, supervise,
    },
    redact::Redactor,
    text::{LINE_CAP, RawLine, Tail, scrub},
};

/// Both streams into one pipe, so that the log has them in the order in which they were written.
const SHELL: &str = r#"exec /bin/sh -c "$1" </dev/null 2>&1"#;

/// Bytes of a log file. What comes later is dropped, and the last line says so.
const LOG_CAP: u64 = 64 * 1024 * 1024;

/// Bytes of the tail, however many lines it may have: it goes into a prompt.
const TAIL_BYTES: usize = 12 * 1024;

/// A check as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// Its name: "tests".
    pub name: String,
    /// Its command, for `sh -c`.
    pub command: String,
    /// How long it may take.
    pub limit: Duration,
    /// Names of environment variables that it may see, besides the agents' and those that say where toolchains are.
    pub env_allow: Vec<String>,
    /// How many of the log's last lines come with the result.
    pub tail: usize,
}

/// The names of all environment variables that a check may see: what a kept result hangs on.
pub fn check_environment(spec: &CheckSpec) -> Vec<String> {
    let names = ALLOW.into_iter().chain(CHECK_ALLOW).map(str::to_owned);
    names.chain(spec.env_allow.iter().cloned()).collect()
}

/// Where a check runs, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct CheckPlace<'a> {
    /// The checkout.
    pub cwd: &'a Path,
    /// The run it is for.
    pub run: &'a RunId,
    /// The log, see [`crate::RunFolder::check_log`]. A log that is there already is replaced.
    pub log_file: &'a Path,
    /// What must not appear in the log.
    pub redactor: &'a Redactor,
    /// What keeps it from writing elsewhere.
    pub confined: Option<&'a Confined>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckEnd {
    /// Exit code 0.
    Passed,
    /// Another exit code.
    Failed(i32),
    /// Exit code 127: the shell, or something that it ran, found no such command.
    CommandMissing,
    /// Killed by a signal that did not come from here.
    Signalled(i32),
    /// Over its time limit.
    TimeLimit(Duration),
    /// Stopped before it ended. It has neither passed nor failed.
    Stopped,
}

/// A check's result.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Its name.
    pub name: String,
    /// Its command.
    pub command: String,
    /// How it ended.
    pub end: CheckEnd,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The last lines of its log, cleaned and redacted.
    pub log_tail: String,
    /// The whole log.
    pub log_file: PathBuf,
}

impl CheckResult {
    /// Only an exit code of 0 within the time limit is a pass.
    pub fn passed(&self) -> bool {
        self.end == CheckEnd::Passed
    }

    /// The exit code, if there is one.
    pub fn code(&self) -> Option<i32> {
        match self.end {
            CheckEnd::Passed => Some(0),
            CheckEnd::Failed(code) => Some(code),
            CheckEnd::CommandMissing => Some(127),
            CheckEnd::Signalled(_) | CheckEnd::TimeLimit(_) | CheckEnd::Stopped => None,
        }
    }
}

impl fmt::Display for CheckResult {
    /// One sentence for people: "tests failed with exit code 101 after 2.4 s."
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, command, .. } = self;
        let after = Seconds(Duration::try_from_secs_f64(self.seconds).unwrap_or_default());
        match self.end {
            CheckEnd::Passed => write!(f, "{name} passed after {after}."),
            CheckEnd::Failed(code) => write!(f, "{name} failed with exit code {code} after {after}."),
            CheckEnd::CommandMissing => {
                write!(f, "{name} could not run: `{command}` found no such command (exit code 127)")?;
                match self.log_tail.lines().rev().find(|line| line.contains("not found")) {
                    Some(line) => write!(f, ": {}", line.trim()),
                    None => write!(f, "."),
                }
            }
            CheckEnd::Signalled(signal) => write!(f, "{name} was ended by signal {signal} after {after}."),
            CheckEnd::TimeLimit(limit) => {
                write!(f, "{name} was ended at its time limit of {}.", Seconds(limit))
            }
            CheckEnd::Stopped => write!(f, "{name} was stopped after {after}, before it had a result."),
        }
    }
}

/// Why a check has no result. That is not a red check: nothing is known about the code.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Its process could not be started, watched, or ended.
    #[error("check {check}: its process failed")]
    Process {
        /// The check.
        check: String,
        /// What went wrong.
        #[source]
        source: ProcessError,
    },
    /// Its log could not be written.
    #[error("check {check}: cannot write its log {path}")]
    Log {
        /// The check.
        check: String,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Runs a check. When this returns `Ok`, nothing of it runs any more. As with agents, its process group goes to
/// `on_start` before the command begins.
pub async fn run_check(
    spec: &CheckSpec,
    place: CheckPlace<'_>,
    on_start: &dyn OnStart,
    stop: Stop,
) -> Result<CheckResult, CheckError> {
    let log_failed =
        |source| CheckError::Log { check: spec.name.clone(), path: place.log_file.to_owned(), source };
    let allow = CHECK_ALLOW.into_iter().chain(spec.env_allow.iter().map(String::as_str));
    let environment = Environment::new(place.run, allow);
    let environment = match place.confined {
        Some(confined) => environment.within(confined),
        None => environment,
    };
    let mut redactor = place.redactor.clone();
    redactor.learn(&environment.secrets());
    let mut log = Log::create(place.log_file, &redactor, spec.tail).map_err(log_failed)?;
    let job = Job {
        run: place.run,
        program: OsStr::new("/bin/sh"),
        args: vec!["-c".to_owned(), SHELL.to_owned(), "check".to_owned(), spec.command.clone()],
        cwd: place.cwd,
        environment: &environment,
        stdin: String::new(),
        limit: spec.limit,
        confined: place.confined,
    };
    let begun = Instant::now();
    let ended = supervise(job, on_start, stop, &mut |_, line| log.put(&line)).await;
    let ended = ended.map_err(|error| match error {
        SuperviseError::Process(source) => CheckError::Process { check: spec.name.clone(), source },
        SuperviseError::Sink(source) => log_failed(source),
    })?;
    if place.confined.is_some() && ended == Ended::Exited(NOT_CONFINED) {
        let source = ProcessError::NotConfined { program: spec.command.clone() };
        return Err(CheckError::Process { check: spec.name.clone(), source });
    }
    Ok(CheckResult {
        name: spec.name.clone(),
        command: spec.command.clone(),
        end: match ended {
            Ended::Exited(0) => CheckEnd::Passed,
            Ended::Exited(127) => CheckEnd::CommandMissing,
            Ended::Exited(code) => CheckEnd::Failed(code),
            Ended::Signalled(signal) => CheckEnd::Signalled(signal),
            Ended::TimeLimit(limit) => CheckEnd::TimeLimit(limit),
            // A check has no turns. If one had, it would prove nothing.
            Ended::Stopped | Ended::Turn(_) => CheckEnd::Stopped,
        },
        seconds: begun.elapsed().as_secs_f64(),
        log_tail: log.tail.text(),
        log_file: place.log_file.to_owned(),
    })
}

struct Log<'a> {
    file: File,
    length: u64,
    redactor: &'a Redactor,
    tail: Tail,
}

impl<'a> Log<'a> {
    fn create(path: &Path, redactor: &'a Redactor, lines: usize) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, length: 0, redactor, tail: Tail::new(lines, TAIL_BYTES) })
    }

    fn put(&mut self, line: &RawLine) -> io::Result<()> {
        let mut text = scrub(line, self.redactor, LINE_CAP);
        self.tail.push(&text);
        if self.length > LOG_CAP {
            return Ok(());
        }
        self.length += text.len() as u64 + 1;
        if self.length > LOG_CAP {
            text = format!("The log has reached {LOG_CAP} bytes. What follows is dropped.");
        }
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }
}
