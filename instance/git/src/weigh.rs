//! What a change weighs, and every reference as it is, to be taken down and put back.

use qd_types::CommitId;

use crate::{GitError, Repo, names::full_name};

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

    /// Puts a reference back to what it held (none: is not there), if it still holds what it was found with.
    /// Of one that names another, the latter can't be checked.
    pub async fn put_reference(
        &self,
        name: &str,
        back: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), GitError> {
        let name = full_name(name)?;
        if let Some(target) = back.and_then(|back| back.strip_prefix("ref: ")) {
            return self.point(&name, target).await;
        }
        let known = |held: &str| held.parse::<CommitId>().is_ok();
        if from.is_some_and(|from| from.starts_with("ref: ")) {
            self.unpoint(&name).await?;
        }
        let call = self.call(["update-ref", "--no-deref"]);
        let call = match back {
            Some(back) => call.args(["--", &name, back]),
            None => call.args(["-d", "--", &name]),
        };
        // Git checks what it stands at, if that is an object.
        let call = match from {
            Some(from) if known(from) => call.arg(from),
            _ => call,
        };
        self.git.ok(call).await?;
        Ok(())
    }
}
