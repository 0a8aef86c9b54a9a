//! Where a run's files are. It names paths; it does not make them.

use std::path::{Path, PathBuf};

use qd_types::RunId;

/// Longest file name made from a check's name, in bytes.
const MAX_STEM: usize = 120;

/// A run's folder below the instance's state: `runs/A-1.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder of `run` below `state`.
    pub fn new(state: &Path, run: &RunId) -> Self {
        Self(state.join("runs").join(run.to_string()))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `transcript.jsonl`
    pub fn transcript(&self) -> PathBuf {
        self.0.join("transcript.jsonl")
    }

    /// `prompt-ROUND.md`: what the agent was told in that round, for command lines that want a file.
    pub fn prompt(&self, round: u32) -> PathBuf {
        self.0.join(format!("prompt-{round}.md"))
    }

    /// `checks/ROUND-NAME.log`. Two names never meet in one file: what a file name should not hold is written as `%XX`.
    pub fn check_log(&self, round: u32, name: &str) -> PathBuf {
        let mut stem = String::new();
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => stem.push(char::from(byte)),
                other => stem.push_str(&format!("%{other:02X}")),
            }
        }
        stem.truncate(MAX_STEM);
        self.0.join("checks").join(format!("{round}-{stem}.log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        let folder = RunFolder::new(Path::new("/state"), &"A-1.2".parse().unwrap());
        let check = |name, expect: &str| assert_eq!(folder.check_log(1, name), Path::new(expect));
        check("test", "/state/runs/A-1.2/checks/1-test.log");
        check("../../etc/passwd", "/state/runs/A-1.2/checks/1-..%2F..%2Fetc%2Fpasswd.log");
        check("unit tests", "/state/runs/A-1.2/checks/1-unit%20tests.log");
        assert_eq!(folder.transcript(), Path::new("/state/runs/A-1.2/transcript.jsonl"));
    }
}
