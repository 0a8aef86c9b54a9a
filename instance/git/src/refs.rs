//! References and ancestry. Reads go through libgit2; changes are compare-and-swap, so that a step that is
//! repeated by another process can tell whether it was done.

use git2::ErrorCode;
use qd_types::CommitId;

use crate::{
    GitError, Repo,
    names::{commit_id, full_name},
};

/// What became of a compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// The reference is where it was wanted.
    Done,
    /// It was not where the caller believed it to be. Nothing was changed.
    Lost {
        /// Where it is; none if it is not there.
        actual: Option<CommitId>,
    },
}

fn optional<T>(found: Result<T, git2::Error>) -> Result<Option<T>, git2::Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) => Ok(None),
        Err(error) => Err(error),
    }
}

fn oid(commit: &CommitId) -> Result<git2::Oid, git2::Error> {
    git2::Oid::from_str(commit.as_str())
}

impl Repo {
    /// The commit behind `HEAD`, a whole reference name, a branch's name, or a commit id; none if it is not
    /// there.
    pub async fn resolve(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        let found = if let Ok(id) = name.parse::<CommitId>() {
            self.read("looking for a commit", move |repo| {
                optional(repo.find_commit(oid(&id)?).map(|c| c.id()))
            })
        } else {
            let name = full_name(name)?;
            return self.resolve_reference(name).await;
        };
        found.await?.map(|id| commit_id(&id.to_string())).transpose()
    }

    async fn resolve_reference(&self, name: String) -> Result<Option<CommitId>, GitError> {
        let found = self.read("reading a reference", move |repo| {
            optional(repo.find_reference(&name).and_then(|found| found.peel_to_commit()).map(|c| c.id()))
        });
        found.await?.map(|id| commit_id(&id.to_string())).transpose()
    }

    /// All references whose name starts so, with their commits, by name. Those that name no commit are left
    /// out.
    pub async fn references(&self, prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        let glob = format!("{prefix}*");
        let found = self.read("listing references", move |repo| {
            let mut found = Vec::new();
            for reference in repo.references_glob(&glob)? {
                let reference = reference?;
                if let (Ok(name), Some(commit)) = (reference.name(), optional(reference.peel_to_commit())?) {
                    found.push((name.to_owned(), commit.id().to_string()));
                }
            }
            found.sort();
            Ok(found)
        });
        found.await?.into_iter().map(|(name, id)| Ok((name, commit_id(&id)?))).collect()
    }

    /// The names of all references that start so, by name, whatever they name and whether that exists.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, GitError> {
        let glob = format!("{prefix}*");
        let found = self.read("listing references", move |repo| {
            let mut found = Vec::new();
            for reference in repo.references_glob(&glob)? {
                if let Ok(name) = reference?.name() {
                    found.push(name.to_owned());
                }
            }
            found.sort();
            Ok(found)
        });
        found.await
    }

    /// Puts a reference to `new` if it stands at `expected` (none: is not there).
    pub async fn update_ref(
        &self,
        name: &str,
        new: &CommitId,
        expected: Option<&CommitId>,
    ) -> Result<Swap, GitError> {
        let name = full_name(name)?;
        let old = expected.map_or("", CommitId::as_str);
        let call = self.call(["update-ref", "--no-deref", "--", &name, new.as_str(), old]);
        self.swapped(call, name, expected).await
    }

    /// Deletes a reference if it stands at `expected`. Not being there is fine.
    pub async fn delete_ref(&self, name: &str, expected: &CommitId) -> Result<Swap, GitError> {
        let name = full_name(name)?;
        if self.resolve_reference(name.clone()).await?.is_none() {
            return Ok(Swap::Done);
        }
        let call = self.call(["update-ref", "--no-deref", "-d", "--", &name, expected.as_str()]);
        self.swapped(call, name, Some(expected)).await
    }

    async fn swapped(
        &self,
        call: crate::command::Call,
        name: String,
        expected: Option<&CommitId>,
    ) -> Result<Swap, GitError> {
        let done = self.git.run(call).await?;
        if done.code == Some(0) {
            return Ok(Swap::Done);
        }
        let actual = self.resolve_reference(name).await?;
        if actual.as_ref() == expected { Err(done.failed()) } else { Ok(Swap::Lost { actual }) }
    }

    /// Makes a reference that names another one, which need not exist.
    pub async fn point(&self, name: &str, target: &str) -> Result<(), GitError> {
        let (name, target) = (full_name(name)?, full_name(target)?);
        self.git.ok(self.call(["symbolic-ref", "--", &name, &target])).await?;
        Ok(())
    }

    /// The whole name of the reference that this one names.
    pub async fn pointed(&self, name: &str) -> Result<Option<String>, GitError> {
        let name = full_name(name)?;
        let target = self.read("reading a reference", move |repo| {
            let Some(found) = optional(repo.find_reference(&name))? else { return Ok(None) };
            found.symbolic_target().map(|target| target.map(str::to_owned))
        });
        target.await
    }

    /// Deletes a reference that names another one. Not being there is fine.
    pub async fn unpoint(&self, name: &str) -> Result<(), GitError> {
        if self.pointed(name).await?.is_none() {
            return Ok(());
        }
        let name = full_name(name)?;
        self.git.ok(self.call(["symbolic-ref", "--delete", "--quiet", "--", &name])).await?;
        Ok(())
    }

    /// Whether `head` contains `base`; every commit contains itself.
    pub async fn is_ancestor(&self, base: &CommitId, head: &CommitId) -> Result<bool, GitError> {
        if base == head {
            return Ok(true);
        }
        let (base, head) = (base.clone(), head.clone());
        self.read("comparing commits", move |repo| repo.graph_descendant_of(oid(&head)?, oid(&base)?)).await
    }

    /// The newest commit that both contain; none for unrelated histories.
    pub async fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        let (one, other) = (one.clone(), other.clone());
        let base = self.read("looking for a merge base", move |repo| {
            optional(repo.merge_base(oid(&one)?, oid(&other)?))
        });
        base.await?.map(|id| commit_id(&id.to_string())).transpose()
    }

    /// Whether these commits contain any that neither the references (by glob) nor the known commits do.
    pub async fn has_more_than(
        &self,
        tips: &[CommitId],
        globs: &[&str],
        known: &[CommitId],
    ) -> Result<bool, GitError> {
        let (tips, known) = (tips.to_vec(), known.to_vec());
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        let more = self.read("walking commits", move |repo| {
            let mut walk = repo.revwalk()?;
            for tip in &tips {
                walk.push(oid(tip)?)?;
            }
            for glob in &globs {
                walk.hide_glob(glob)?;
            }
            for commit in &known {
                walk.hide(oid(commit)?)?;
            }
            walk.next().transpose().map(|commit| commit.is_some())
        });
        more.await
    }
}
