//! How git is run: nothing of the surroundings leaks in, nothing prompts, nothing runs for ever. Not a
//! process library: only git goes through here.

use std::{
    ffi::{OsStr, OsString},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use crate::{Access, GitError};

/// Settings that every call has. Hooks and background work would act behind our back, and a repository's
/// owner is settled by where we keep it.
const SETTINGS: [&str; 11] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.splitIndex=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.file.allow=always",
    "safe.directory=*",
    "commit.gpgSign=false",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
];

/// What is taken over from our own environment: where programs are, and how the network is reached.
const INHERITED: [&str; 10] = [
    "PATH",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

const FIXED: [(&str, &str); 8] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
];

/// Answers that are parsed: a list of 100,000 files fits.
const ANSWER: usize = 16 * 1024 * 1024;

/// What of git's complaints goes into an error: the end says why.
const COMPLAINT: usize = 4 * 1024;

/// How git says that the folder of an object went away (`object-file.c`, `create_tmpfile`, which tries twice itself).
const FOLDER_GONE: &str = "unable to create temporary file: No such file or directory";

/// How often such an object is written again.
const WRITES: u32 = 4;

/// How long git may take to clean up after it was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// The git command and its time limit.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    limit: Duration,
    access: Option<Access>,
}

impl Default for Git {
    fn default() -> Self {
        Self { program: PathBuf::from("git"), limit: Duration::from_secs(120), access: None }
    }
}

impl Git {
    /// `git` from PATH, with 120 seconds for each call and 20 minutes for clone, fetch and push.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another program in git's place.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Another time limit for each call; clone, fetch and push get ten times as much.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With what remotes ask for.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// What `git --version` says, without "git version".
    pub async fn version(&self) -> Result<String, GitError> {
        let text = self.text(Call::new(["--version"])).await?;
        Ok(text.trim().trim_start_matches("git version ").to_owned())
    }

    /// Runs it; anything but exit code 0 is an error.
    pub(crate) async fn ok(&self, call: Call) -> Result<Vec<u8>, GitError> {
        let done = self.run(call).await?;
        if done.code == Some(0) { Ok(done.stdout) } else { Err(done.failed()) }
    }

    /// As [`Git::ok`], for a call that writes an object. Packing beside it may take the folder away that the object is just
    /// being written to; written again it is the same object.
    pub(crate) async fn write(&self, call: impl Fn() -> Call) -> Result<Vec<u8>, GitError> {
        let mut again = WRITES;
        loop {
            let done = self.run(call()).await?;
            if done.code == Some(0) {
                return Ok(done.stdout);
            }
            if again == 0 || !done.stderr.contains(FOLDER_GONE) {
                return Err(done.failed());
            }
            again -= 1;
        }
    }

    /// As [`Git::ok`], as text; bytes that are no text are replaced.
    pub(crate) async fn text(&self, call: Call) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.ok(call).await?).into_owned())
    }

    /// Runs it and gives the exit code back.
    pub(crate) async fn run(&self, call: Call) -> Result<Done, GitError> {
        let mut stdout = Vec::new();
        let mut done = self
            .stream(call, |bytes| {
                stdout.extend_from_slice(bytes);
                if stdout.len() > ANSWER { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        if done.cut {
            return Err(GitError::TooMuch { args: done.args, limit: ANSWER });
        }
        done.stdout = stdout;
        Ok(done)
    }

    /// Runs it and hands each piece of its answer on; a break ends git.
    pub(crate) async fn stream(
        &self,
        call: Call,
        mut sink: impl FnMut(&[u8]) -> ControlFlow<()> + Send,
    ) -> Result<Done, GitError> {
        let args = call.shown();
        let limit = self.limit.saturating_mul(call.patience);
        let mut child = self
            .command(&call)
            .spawn()
            .map_err(|source| GitError::Start { program: self.program.display().to_string(), source })?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let feed = async {
                if let Some(mut pipe) = stdin {
                    // Git may end without reading all of it; its exit code says whether that was an error.
                    let _ = pipe.write_all(&call.stdin).await;
                }
            };
            let read = async {
                let cut = pass_on(stdout, &mut sink).await;
                if cut {
                    group.signal(Signal::TERM);
                }
                cut
            };
            let ((), cut, stderr) = tokio::join!(feed, read, last_of(stderr));
            (cut, stderr, child.wait().await)
        };
        let talked = timeout(limit, talk).await;
        let Ok((cut, stderr, status)) = talked else {
            group.signal(Signal::TERM);
            if timeout(GRACE, child.wait()).await.is_err() {
                group.signal(Signal::KILL);
                let _ = child.wait().await;
            }
            group.0 = None;
            return Err(GitError::Timeout { args, limit });
        };
        group.0 = None;
        let status = status.map_err(GitError::io("waiting for git", &self.program))?;
        let stderr = redact(String::from_utf8_lossy(&stderr).trim());
        Ok(Done { args, code: status.code(), stdout: Vec::new(), stderr, cut })
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(FIXED);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(&call.args).envs(call.env.iter().map(|(name, value)| (name, value)));
        if call.remote {
            command.envs(self.access.iter().flat_map(Access::settings));
        }
        command.current_dir(call.folder.as_deref().unwrap_or(Path::new("/")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C in the terminal is for us, and ending git ends what it started.
        command.process_group(0);
        command
    }
}

/// One call of git.
#[derive(Debug)]
pub(crate) struct Call {
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    folder: Option<PathBuf>,
    stdin: Vec<u8>,
    patience: u32,
    remote: bool,
}

impl Call {
    pub(crate) fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { args, env: Vec::new(), folder: None, stdin: Vec::new(), patience: 1, remote: false }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Moves history over a network: ten times the usual limit.
    pub(crate) fn patient(mut self) -> Self {
        self.patience = 10;
        self.remote()
    }

    /// Talks with a remote.
    pub(crate) fn remote(mut self) -> Self {
        self.remote = true;
        self
    }

    fn shown(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        redact(&words.join(" "))
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) args: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) cut: bool,
}

impl Done {
    pub(crate) fn failed(self) -> GitError {
        GitError::Failed { args: self.args, code: self.code, stderr: self.stderr }
    }
}

/// The process group of a call that runs. Dropped early, it is told to end, not killed: git then removes
/// its lock files.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended on its own.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

/// Hands on what comes until the end, or until the sink has enough: then it says true.
async fn pass_on(
    pipe: Option<impl AsyncRead + Unpin>,
    sink: &mut (impl FnMut(&[u8]) -> ControlFlow<()> + Send),
) -> bool {
    let Some(mut pipe) = pipe else { return false };
    let mut buffer = vec![0; 64 * 1024];
    // A pipe that can't be read has no more to say; the exit code tells whether all went well.
    while let Some(bytes @ [_, ..]) = pipe.read(&mut buffer).await.ok().and_then(|count| buffer.get(..count))
    {
        if sink(bytes).is_break() {
            return true;
        }
    }
    false
}

async fn last_of(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut last = Vec::new();
    let Some(mut pipe) = pipe else { return last };
    let mut buffer = vec![0; COMPLAINT];
    while let Some(bytes @ [_, ..]) = pipe.read(&mut buffer).await.ok().and_then(|count| buffer.get(..count))
    {
        last.extend_from_slice(bytes);
        last.drain(..last.len().saturating_sub(COMPLAINT));
    }
    last
}

/// Blanks user names and passwords in addresses: `https://token@host/x` becomes `https://***@host/x`.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        let (host, tail) = after.split_at(end);
        match host.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("***@");
                out.push_str(host);
            }
            None => out.push_str(host),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}
