//! What changed between two trees, and the graph of a branch. The digest is what an approval binds, so
//! nothing in a repository's configuration or attributes may sway it.

use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::{GitError, Repo, TreeId, Treeish, command::Call, names::full_name};

/// A change in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiffStat {
    /// Files that differ; a renamed file counts once.
    pub files: u64,
    /// Lines that came; none for binary files.
    pub insertions: u64,
    /// Lines that went; none for binary files.
    pub deletions: u64,
}

/// A change as a unified diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffText {
    /// Whole lines.
    pub text: String,
    /// Whether there is more than was asked for.
    pub cut: bool,
}

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It came.
    Added,
    /// Its content or mode differs.
    Modified,
    /// It went.
    Deleted,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// How.
    pub change: Change,
    /// Its path from the root.
    pub path: String,
}

const EVERY: [&str; 5] = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none"];

impl Repo {
    fn diff(&self, args: &[&str], base: &impl Treeish, head: &impl Treeish) -> Call {
        // Newer versions of git take attributes from HEAD in bare repositories, others don't.
        let call = self.call(EVERY).env("GIT_ATTR_SOURCE", TreeId::empty().to_string());
        call.args(args).args(["--end-of-options", base.hex(), head.hex()])
    }

    /// The change in figures.
    pub async fn diff_stat(&self, base: &impl Treeish, head: &impl Treeish) -> Result<DiffStat, GitError> {
        let text = self.git.text(self.diff(&["--numstat", "-z", "--find-renames"], base, head)).await?;
        let mut stat = DiffStat::default();
        // "3\t1\tpath", or "3\t1\t" and then both names of a renamed file: only the first kind has tabs first.
        let mut parts = text.split('\0');
        while let Some(part) = parts.next() {
            let mut fields = part.splitn(3, '\t');
            let (Some(came), Some(went), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            stat.files += 1;
            stat.insertions += came.parse::<u64>().unwrap_or(0);
            stat.deletions += went.parse::<u64>().unwrap_or(0);
            if path.is_empty() {
                parts.nth(1);
            }
        }
        Ok(stat)
    }

    /// How many commits a branch holds beyond where it starts.
    pub async fn commit_count(&self, base: &impl Treeish, head: &impl Treeish) -> Result<u64, GitError> {
        let range = format!("{}..{}", base.hex(), head.hex());
        let text = self.git.text(self.call(["rev-list", "--count", "--end-of-options", &range])).await?;
        Ok(text.trim().parse().unwrap_or(0))
    }

    /// The change for people, cut after the last whole line within `max` bytes.
    pub async fn diff_text(
        &self,
        base: &impl Treeish,
        head: &impl Treeish,
        max: usize,
    ) -> Result<DiffText, GitError> {
        let mut bytes = Vec::new();
        let call = self.diff(&["--find-renames"], base, head);
        let done = self.git.stream(call, |more| {
            bytes.extend_from_slice(more);
            if bytes.len() > max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let done = done.await?;
        if !done.cut && done.code != Some(0) {
            return Err(done.failed());
        }
        let cut = bytes.len() > max;
        if cut {
            bytes.truncate(max);
            bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        }
        Ok(DiffText { text: String::from_utf8_lossy(&bytes).into_owned(), cut })
    }

    /// SHA-256 over the change, as lower-case hex. Full ids stand in it, so it binds binary files too.
    pub async fn diff_sha256(&self, base: &impl Treeish, head: &impl Treeish) -> Result<String, GitError> {
        let fixed = [
            "--full-index",
            "--no-renames",
            "--unified=3",
            "--inter-hunk-context=0",
            "--diff-algorithm=myers",
            "--no-indent-heuristic",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--submodule=short",
            "-O/dev/null",
        ];
        let mut hash = Sha256::new();
        let call = self.diff(&fixed, base, head);
        let done = self.git.stream(call, |more| {
            hash.update(more);
            ControlFlow::Continue(())
        });
        let done = done.await?;
        if done.code != Some(0) {
            return Err(done.failed());
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The files that differ, by path. A renamed file is one that went and one that came.
    pub async fn changed_files(
        &self,
        base: &impl Treeish,
        head: &impl Treeish,
    ) -> Result<Vec<ChangedFile>, GitError> {
        let text = self.git.text(self.diff(&["--name-status", "-z", "--no-renames"], base, head)).await?;
        let mut files = Vec::new();
        let mut parts = text.split('\0');
        while let (Some(status), Some(path)) = (parts.next(), parts.next()) {
            let change = match status {
                "A" => Change::Added,
                "D" => Change::Deleted,
                "M" | "T" => Change::Modified,
                other => return Err(GitError::Parse { what: "a file's status", text: other.to_owned() }),
            };
            files.push(ChangedFile { change, path: path.to_owned() });
        }
        Ok(files)
    }

    /// The newest `count` commits of a reference as git draws them, one per line.
    pub async fn log_graph(&self, name: &str, count: usize) -> Result<String, GitError> {
        let name =
            if name.parse::<qd_types::CommitId>().is_ok() { name.to_owned() } else { full_name(name)? };
        let call = self.call(["log", "--graph", "--oneline", "--decorate=short", "--no-color"]);
        self.git.text(call.arg(format!("--max-count={count}")).args(["--end-of-options", &name, "--"])).await
    }
}
