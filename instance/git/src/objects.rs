//! Objects without a working tree of our own: trees from somebody's folder, commits from trees, merges of
//! two commits. Nothing here moves a branch or touches anybody's index.

use std::path::Path;

use jiff::Timestamp;
use qd_types::CommitId;

use crate::{
    GitError, Identity, Repo, TreeId,
    folder::{is_folder, real},
    names::commit_id,
};

/// A commit to be made. The same value gives the same id.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// Its files.
    pub tree: &'a TreeId,
    /// First parent first.
    pub parents: &'a [CommitId],
    /// Subject, and a body after an empty line.
    pub message: &'a str,
    /// Author and committer.
    pub identity: &'a Identity,
    /// When, to the second, in UTC.
    pub at: Timestamp,
}

/// A commit that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its files.
    pub tree: TreeId,
    /// First parent first.
    pub parents: Vec<CommitId>,
    /// The whole message.
    pub message: String,
}

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Merge {
    /// The merged files.
    Clean(TreeId),
    /// They can't be merged by themselves.
    Conflict {
        /// Paths, sorted.
        files: Vec<String>,
        /// The files as far as they could be merged, with conflict markers where not.
        tree: TreeId,
    },
}

impl Repo {
    /// Makes a commit. No reference is moved.
    pub async fn commit_tree(&self, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
        if *new.tree == TreeId::empty() {
            // Git knows it without its being there, and then misses it when it checks a repository.
            self.git.write(|| self.call(["hash-object", "-t", "tree", "-w", "--stdin"])).await?;
        }
        let date = format!("@{} +0000", new.at.as_second().max(0));
        let call = || {
            let mut call = self.call(["commit-tree", "-F", "-"]);
            for parent in new.parents {
                call = call.args(["-p", parent.as_str()]);
            }
            for (name, value) in [
                ("GIT_AUTHOR_NAME", &new.identity.name),
                ("GIT_AUTHOR_EMAIL", &new.identity.email),
                ("GIT_AUTHOR_DATE", &date),
                ("GIT_COMMITTER_NAME", &new.identity.name),
                ("GIT_COMMITTER_EMAIL", &new.identity.email),
                ("GIT_COMMITTER_DATE", &date),
            ] {
                call = call.env(name, value);
            }
            call.arg(new.tree.to_string()).stdin(new.message)
        };
        let id = self.git.write(call).await?;
        commit_id(String::from_utf8_lossy(&id).trim())
    }

    /// Reads a commit; none if there is no such commit.
    pub async fn commit(&self, id: &CommitId) -> Result<Option<Commit>, GitError> {
        let id = id.clone();
        let found = self.read("reading a commit", move |repo| {
            let commit = match repo.find_commit(git2::Oid::from_str(id.as_str())?) {
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
                other => other?,
            };
            let parents: Vec<String> = commit.parent_ids().map(|id| id.to_string()).collect();
            let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
            Ok(Some((commit.tree_id().to_string(), parents, message)))
        });
        let Some((tree, parents, message)) = found.await? else { return Ok(None) };
        let parents = parents.iter().map(|id| commit_id(id)).collect::<Result<_, _>>()?;
        Ok(Some(Commit { tree: tree.parse()?, parents, message }))
    }

    /// The tree of all files in a folder: those that `seed` has, as they are now, and those that are new and
    /// not ignored. The folder need not belong to this repository. Its own index, `HEAD` and `.git` are
    /// neither read nor changed, so nothing that was set there can hide a file.
    pub async fn write_tree(&self, folder: &Path, seed: Option<&CommitId>) -> Result<TreeId, GitError> {
        let folder = real(folder);
        if !is_folder(&folder).await {
            return Err(GitError::Parse { what: "a folder", text: folder.display().to_string() });
        }
        let scratch = tempfile::Builder::new()
            .prefix("qd-index-")
            .tempdir()
            .map_err(GitError::io("making a folder for an index", std::env::temp_dir()))?;
        let index = scratch.path().join("index");
        let call = |args: &[&str]| {
            let call = self.call(["--work-tree"]).arg(&folder).args(args);
            call.env("GIT_INDEX_FILE", &index).within(&folder)
        };
        if let Some(seed) = seed {
            self.git.ok(call(&["read-tree", seed.as_str()])).await?;
        }
        self.git.ok(call(&["add", "--all", "--", "."])).await?;
        self.git.text(call(&["write-tree"])).await?.trim().parse()
    }

    /// The tree of a commit with this text as one of its files, whatever stood there. A folder in its place is an error.
    pub async fn tree_with(&self, commit: &CommitId, path: &str, text: &str) -> Result<TreeId, GitError> {
        let blob = self.git.write(|| self.call(["hash-object", "-w", "--stdin"]).stdin(text)).await?;
        let scratch = tempfile::Builder::new()
            .prefix("qd-index-")
            .tempdir()
            .map_err(GitError::io("making a folder for an index", std::env::temp_dir()))?;
        let index = scratch.path().join("index");
        let call = |args: &[&str]| self.call(args).env("GIT_INDEX_FILE", &index);
        let entry = format!("100644,{},{path}", String::from_utf8_lossy(&blob).trim());
        self.git.ok(call(&["read-tree", commit.as_str()])).await?;
        self.git.ok(call(&["update-index", "--add", "--cacheinfo", &entry])).await?;
        self.git.text(call(&["write-tree"])).await?.trim().parse()
    }

    /// A file of a tree; none if there is no such file, or it is a folder.
    pub async fn blob_at(&self, tree: &TreeId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let (tree, path) = (tree.to_string(), path.to_owned());
        let found = self.read("reading a file", move |repo| {
            let tree = repo.find_tree(git2::Oid::from_str(&tree)?)?;
            let entry = match tree.get_path(Path::new(&path)) {
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
                other => other?,
            };
            if entry.kind() != Some(git2::ObjectType::Blob) {
                return Ok(None);
            }
            Ok(Some(repo.find_blob(entry.id())?.content().to_vec()))
        });
        found.await
    }

    /// Merges two commits by their merge base, files only.
    pub async fn merge_tree(&self, ours: &CommitId, theirs: &CommitId) -> Result<Merge, GitError> {
        self.merge_by(None, ours, theirs).await
    }

    /// The files of `ours` without what `commit` brought to its first parent.
    pub async fn revert_tree(&self, ours: &CommitId, commit: &CommitId) -> Result<Merge, GitError> {
        let parents = self.commit(commit).await?.map(|commit| commit.parents).unwrap_or_default();
        let parent = parents.first().ok_or_else(|| GitError::Parse {
            what: "a commit that can be taken back",
            text: commit.to_string(),
        })?;
        self.merge_by(Some(commit), ours, parent).await
    }

    async fn merge_by(
        &self,
        base: Option<&CommitId>,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merge, GitError> {
        let mut call = self.call(["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z"]);
        if let Some(base) = base {
            call = call.arg(format!("--merge-base={base}"));
        }
        let done = self.git.run(call.args([ours.as_str(), theirs.as_str()])).await?;
        if !matches!(done.code, Some(0 | 1)) {
            return Err(done.failed());
        }
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let mut parts = text.split('\0').filter(|part| !part.is_empty());
        let tree = parts.next().unwrap_or_default().parse()?;
        if done.code == Some(0) {
            return Ok(Merge::Clean(tree));
        }
        let mut files: Vec<String> = parts.map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(Merge::Conflict { files, tree })
    }
}
