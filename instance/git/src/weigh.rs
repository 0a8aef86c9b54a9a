//! What a change weighs, and every reference as it is. Read with libgit2; nothing is written.

use qd_types::CommitId;

use crate::{GitError, Repo};

/// What a change brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    /// Files that differ; a renamed file is one that went and one that came.
    pub files: u64,
    /// Bytes of those that are there afterwards.
    pub bytes: u64,
}

impl Repo {
    /// What the change between two commits weighs; without a base, all files of the other.
    pub async fn weigh(&self, base: Option<&CommitId>, head: &CommitId) -> Result<Weight, GitError> {
        let (base, head) = (base.map(ToString::to_string), head.to_string());
        let weigh = move |repo: &git2::Repository| {
            let tree = |id: &str| repo.find_commit(git2::Oid::from_str(id)?)?.tree();
            let old = base.as_deref().map(tree).transpose()?;
            let new = tree(&head)?;
            let diff = repo.diff_tree_to_tree(old.as_ref(), Some(&new), None)?;
            let objects = repo.odb()?;
            let mut weight = Weight::default();
            for delta in diff.deltas() {
                weight.files += 1;
                let file = delta.new_file();
                if matches!(file.mode(), git2::FileMode::Unreadable | git2::FileMode::Commit) {
                    continue;
                }
                // Of a partial clone, the blob may not be here: then it is not counted.
                if let Ok((size, _)) = objects.read_header(file.id()) {
                    weight.bytes += size as u64;
                }
            }
            Ok(weight)
        };
        self.read("weighing a change", weigh).await
    }

    /// Every reference that worktrees share, by name, with what it holds: an object id, `ref: ` and a name,
    /// or `unreadable`.
    pub async fn raw_references(&self) -> Result<Vec<(String, String)>, GitError> {
        let list = |repo: &git2::Repository| {
            let mut found = Vec::new();
            let mut references = repo.references()?;
            for name in references.names() {
                let name = name?.to_owned();
                let held = repo.find_reference(&name).ok().and_then(|reference| {
                    let symbolic = reference.symbolic_target().ok().flatten().map(|to| format!("ref: {to}"));
                    symbolic.or_else(|| reference.target().map(|id| id.to_string()))
                });
                found.push((name, held.unwrap_or_else(|| "unreadable".to_owned())));
            }
            found.sort();
            Ok(found)
        };
        self.read("listing references", list).await
    }
}
