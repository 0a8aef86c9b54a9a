//! What kind of repository somebody has: things that decide whether others can fetch all of it. Asked of the
//! command alone, since libgit2 does not open every kind.

use std::ops::ControlFlow;

use crate::{GitError, Repo};

/// A repository's peculiarities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kind {
    /// Its history is cut short.
    pub shallow: bool,
    /// The remote that has objects which are not here, if any is missing.
    pub lacking: Option<String>,
    /// Its objects' ids are not SHA-1: `sha256`.
    pub format: Option<String>,
    /// It has no commit.
    pub empty: bool,
    /// Paths of submodules, at its head.
    pub submodules: Vec<String>,
    /// Whether its head's attributes name git LFS.
    pub lfs: bool,
}

impl Repo {
    /// Looks at the repository.
    pub async fn kind(&self) -> Result<Kind, GitError> {
        let text = self.git.text(self.call(["rev-parse", "--is-shallow-repository", "--show-object-format"]));
        let text = text.await?;
        let mut lines = text.lines();
        let shallow = lines.next() == Some("true");
        let format = lines.next().filter(|format| *format != "sha1").map(str::to_owned);
        let lacking = match self.promisor().await? {
            Some(remote) if self.lacks_objects().await? => Some(remote),
            _ => None,
        };
        let head = self.git.run(self.call(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])).await?;
        let mut kind = Kind { shallow, lacking, format, empty: head.code != Some(0), ..Kind::default() };
        if !kind.empty {
            let paths =
                ["config", "--blob", "HEAD:.gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$"];
            let paths = self.git.run(self.call(paths)).await?;
            // Not there, or without any: no submodules.
            let paths = String::from_utf8_lossy(&paths.stdout).into_owned();
            let values = paths.split('\0').filter_map(|entry| entry.split_once('\n'));
            kind.submodules = values.map(|(_, path)| path.to_owned()).collect();
            let attributes = self.git.run(self.call(["cat-file", "blob", "HEAD:.gitattributes"])).await?;
            kind.lfs = String::from_utf8_lossy(&attributes.stdout).contains("filter=lfs");
        }
        Ok(kind)
    }

    async fn promisor(&self) -> Result<Option<String>, GitError> {
        let done = self
            .git
            .run(self.call(["config", "--name-only", "--get-regexp", r"^remote\..*\.promisor$"]))
            .await?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let name =
            text.lines().next().and_then(|line| line.strip_prefix("remote.")?.strip_suffix(".promisor"));
        Ok(name.map(str::to_owned))
    }

    /// Whether any object that a reference needs is not here.
    async fn lacks_objects(&self) -> Result<bool, GitError> {
        let call =
            self.call(["rev-list", "--objects", "--all", "--missing=print"]).env("GIT_NO_LAZY_FETCH", "1");
        let mut line_start = true;
        let mut lacks = false;
        let done = self.git.stream(call.patient(), |bytes| {
            for &byte in bytes {
                // A missing object is named after a question mark.
                lacks = lacks || (line_start && byte == b'?');
                line_start = byte == b'\n';
            }
            if lacks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let done = done.await?;
        if !done.cut && done.code != Some(0) {
            return Err(done.failed());
        }
        Ok(lacks)
    }

    /// Files of a commit in these folders that may be executed, by path.
    pub async fn executables(
        &self,
        commit: &qd_types::CommitId,
        folders: &[&str],
    ) -> Result<Vec<String>, GitError> {
        let call = self.call(["ls-tree", "-z", "--full-tree", "--end-of-options", commit.as_str(), "--"]);
        let text = self.git.text(call.args(folders.iter().map(|folder| format!("{folder}/")))).await?;
        let names = text.split('\0').filter_map(|entry| {
            let (about, path) = entry.split_once('\t')?;
            about.starts_with("100755 ").then(|| path.to_owned())
        });
        Ok(names.collect())
    }

    /// Those of these paths that attributes in a working folder give a filter of this name.
    pub async fn filtered(
        &self,
        folder: &std::path::Path,
        paths: &[String],
        filter: &str,
    ) -> Result<Vec<String>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.call(["--work-tree"]).arg(folder).within(folder);
        let call = call.args(["check-attr", "-z", "--stdin", "filter"]).stdin(paths.join("\0"));
        let text = self.git.text(call).await?;
        let mut parts = text.split('\0');
        let mut found = Vec::new();
        while let (Some(path), Some(_), Some(value)) = (parts.next(), parts.next(), parts.next()) {
            if value == filter {
                found.push(path.to_owned());
            }
        }
        Ok(found)
    }
}
