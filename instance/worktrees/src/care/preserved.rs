//! Preserved work: what there is, showing it, giving it back, and letting it go in the end. How it gets
//! there is `keep`. When it was preserved is noted beside it, since the commit may be the agent's own.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use qd_git::{DiffText, Identity, NewCommit, Repo, Swap, TreeId};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, WorktreeError,
    care::guard::moves::{GONE, note_reference},
    error::git,
    layout::{PRESERVED, note_ref, preserved_ref},
    mirror::swap,
};

/// Work of a run that was nowhere else when its worktree went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preserved {
    /// Which repository's.
    pub repository: RepositoryName,
    /// Whose.
    pub run: RunId,
    /// What has it all.
    pub commit: CommitId,
    /// When it was preserved.
    pub at: Timestamp,
    /// Why.
    pub note: String,
    /// Files that differ from what the run started from.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// Where work was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What has it.
    pub commit: CommitId,
    /// The local branch in the mirror, `restored/<run>`.
    pub branch: String,
    /// The clone that was asked for.
    pub folder: Option<PathBuf>,
}

/// What stands beside preserved work. Kept as the message of a commit without files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    commit: CommitId,
    base: Option<CommitId>,
    at: Timestamp,
    why: String,
}

impl Note {
    fn text(&self) -> String {
        let base = self.base.as_ref().map_or("none".to_owned(), ToString::to_string);
        format!("Preserved {}\n\nbase: {base}\nat: {}\n\n{}\n", self.commit, self.at, self.why)
    }

    fn read(text: &str) -> Option<Self> {
        let (subject, rest) = text.split_once("\n\n")?;
        let (facts, why) = rest.split_once("\n\n")?;
        let (base, at) = facts.split_once('\n')?;
        Some(Self {
            commit: subject.strip_prefix("Preserved ")?.parse().ok()?,
            base: base.strip_prefix("base: ")?.parse().ok(),
            at: at.strip_prefix("at: ")?.parse().ok()?,
            why: why.trim_end().to_owned(),
        })
    }
}

impl GitWorktrees {
    /// Notes when and why a run's work is preserved as this commit. What is noted already stays.
    pub(crate) async fn note_preserved(
        &self,
        mirror: &Repo,
        run: &RunId,
        commit: &CommitId,
        base: Option<&CommitId>,
        why: &str,
    ) -> Result<(), WorktreeError> {
        if self.note_of(mirror, run, commit).await?.is_some() {
            return Ok(());
        }
        // The clock, not the run's stamp: that says when the run began.
        let note = Note {
            commit: commit.clone(),
            base: base.cloned(),
            at: Timestamp::now(),
            why: why.trim().to_owned(),
        };
        self.write_note(mirror, run, &note).await
    }

    async fn write_note(&self, mirror: &Repo, run: &RunId, note: &Note) -> Result<(), WorktreeError> {
        let what = "noting what is preserved";
        let identity = Identity::new("Quarterdeck", "quarterdeck@localhost");
        let (tree, message) = (TreeId::empty(), note.text());
        // The base as the parent: what is preserved can be weighed as long as the note is there.
        let parents: Vec<CommitId> = note.base.iter().cloned().collect();
        let new =
            NewCommit { tree: &tree, parents: &parents, message: &message, identity: &identity, at: note.at };
        let made = mirror.commit_tree(&new).await.map_err(git(what))?;
        let reference = note_ref(run);
        let known = mirror.resolve(&reference).await.map_err(git(what))?;
        swap(mirror, &reference, &made, known.as_ref()).await
    }

    async fn note_of(
        &self,
        mirror: &Repo,
        run: &RunId,
        commit: &CommitId,
    ) -> Result<Option<Note>, WorktreeError> {
        let what = "reading what is noted about preserved work";
        let Some(id) = mirror.resolve(&note_ref(run)).await.map_err(git(what))? else { return Ok(None) };
        let found = mirror.commit(&id).await.map_err(git(what))?;
        Ok(found.and_then(|found| Note::read(&found.message)).filter(|note| note.commit == *commit))
    }

    /// The note, made now if there is none: work of unknown age counts as young.
    async fn noted(&self, mirror: &Repo, run: &RunId, commit: &CommitId) -> Result<Note, WorktreeError> {
        if let Some(note) = self.note_of(mirror, run, commit).await? {
            return Ok(note);
        }
        let found = mirror.commit(commit).await.map_err(git("reading a commit"))?;
        let message = found.map(|found| found.message).unwrap_or_default();
        let why = message.split_once("\n\n").filter(|(subject, _)| subject.starts_with("Preserved work"));
        let why = why.map_or("It was found without a note.", |(_, why)| why.trim()).to_owned();
        let note = Note { commit: commit.clone(), base: None, at: Timestamp::now(), why };
        match self.write_note(mirror, run, &note).await {
            // Somebody else notes it at this very moment.
            Ok(()) | Err(WorktreeError::Raced { .. }) => Ok(note),
            Err(error) => Err(error),
        }
    }

    async fn describe(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        run: RunId,
        commit: CommitId,
    ) -> Result<Preserved, WorktreeError> {
        let note = self.noted(mirror, &run, &commit).await?;
        let base = self.base_of(mirror, &note).await?;
        let weight = mirror.weigh(base.as_ref(), &commit).await.map_err(git("weighing preserved work"))?;
        let (repository, files, bytes) = (repository.clone(), weight.files, weight.bytes);
        Ok(Preserved { repository, run, commit, at: note.at, note: note.why, files, bytes })
    }

    /// What preserved work is compared with: what the run started from, else the commit's own parent.
    async fn base_of(&self, mirror: &Repo, note: &Note) -> Result<Option<CommitId>, WorktreeError> {
        let what = "reading preserved work";
        if let Some(base) = &note.base
            && mirror.resolve(base.as_str()).await.map_err(git(what))?.is_some()
        {
            return Ok(note.base.clone());
        }
        let found = mirror.commit(&note.commit).await.map_err(git(what))?;
        Ok(found.and_then(|found| found.parents.first().cloned()))
    }

    async fn need_preserved(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<(Repo, CommitId), WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let found = mirror.resolve(&preserved_ref(run)).await.map_err(git("reading what is preserved"))?;
        let (repository, run) = (repository.clone(), run.clone());
        let commit = found.ok_or(WorktreeError::NothingPreserved { repository, run })?;
        Ok((mirror, commit))
    }

    pub(crate) async fn preserved_all(&self) -> Result<Vec<Preserved>, WorktreeError> {
        let mut all = Vec::new();
        for repository in self.mirrors().await? {
            let Ok(mirror) = self.mirror(&repository).await else { continue };
            let found = mirror.references(PRESERVED).await.map_err(git("listing what is preserved"))?;
            for (name, commit) in found {
                let run = name.strip_prefix(PRESERVED).and_then(|run| run.parse::<RunId>().ok());
                if let Some(run) = run {
                    all.push(self.describe(&mirror, &repository, run, commit).await?);
                }
            }
        }
        Ok(all)
    }

    pub(crate) async fn show_preserved(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        max: usize,
    ) -> Result<DiffText, WorktreeError> {
        let what = "reading preserved work";
        let (mirror, commit) = self.need_preserved(repository, run).await?;
        let note = self.noted(&mirror, run, &commit).await?;
        match self.base_of(&mirror, &note).await? {
            Some(base) => mirror.diff_text(&base, &commit, max).await.map_err(git(what)),
            None => mirror.diff_text(&TreeId::empty(), &commit, max).await.map_err(git(what)),
        }
    }

    pub(crate) async fn put_back(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        folder: Option<&Path>,
    ) -> Result<Restored, WorktreeError> {
        let (mirror, commit) = self.need_preserved(repository, run).await?;
        if let Some(folder) = folder
            && tokio::fs::symlink_metadata(folder).await.is_ok()
        {
            return Err(WorktreeError::FolderTaken { path: folder.to_owned() });
        }
        let branch = format!("restored/{run}");
        let reference = format!("refs/heads/{branch}");
        match mirror.resolve(&reference).await.map_err(git("reading a branch"))? {
            Some(at) if at != commit => return Err(WorktreeError::BranchTaken { branch, at }),
            at => swap(&mirror, &reference, &commit, at.as_ref()).await?,
        }
        if let Some(folder) = folder {
            mirror.spread(&branch, folder).await.map_err(git("making a clone of preserved work"))?;
        }
        Ok(Restored { commit, branch, folder: folder.map(Path::to_owned) })
    }

    pub(crate) async fn let_go(
        &self,
        now: Timestamp,
        older_than: SignedDuration,
        active: &[RunId],
    ) -> Result<Vec<Preserved>, WorktreeError> {
        let what = "letting preserved work go";
        let mut gone = Vec::new();
        for kept in self.preserved_all().await? {
            let young = now.duration_since(kept.at) < older_than;
            if young || active.contains(&kept.run) {
                continue;
            }
            let _turn = self.turns.take(self.layout.worktree(&kept.run)).await;
            let mirror = self.mirror(&kept.repository).await?;
            let _moving = note_reference(&mirror, &preserved_ref(&kept.run), GONE).await?;
            // More may have been preserved since it was looked at: then it is young again.
            let deleted = mirror.delete_ref(&preserved_ref(&kept.run), &kept.commit).await;
            if deleted.map_err(git(what))? != Swap::Done {
                continue;
            }
            let reference = note_ref(&kept.run);
            let _moving = note_reference(&mirror, &reference, GONE).await?;
            if let Some(note) = mirror.resolve(&reference).await.map_err(git(what))? {
                // A note without work is nobody's; the next one replaces it.
                let _ = mirror.delete_ref(&reference, &note).await.map_err(git(what))?;
            }
            gone.push(kept);
        }
        Ok(gone)
    }
}
