//! Writes outside of a worktree are found after every run: what is shared is taken down before the agent
//! starts and compared after it ended. This detects and mends; it prevents nothing. An agent that may write
//! the instance's own state folder can hide its traces: only a sandbox keeps it out.

mod compare;
pub(crate) mod moves;
mod shot;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
};

use qd_git::{Repo, folder::remove_all};
use qd_types::{RepositoryName, RunId};
use serde::{Deserialize, Serialize};

pub use compare::Violation;
use compare::{Finding, Known, Undo, compare};
use moves::{GONE, MOVES, Move, Moves, UnderWay};
use shot::{Held, Shot, unhex};

use crate::{
    GitWorktrees, WorktreeError,
    error::{git, io},
    layout::FORGE,
};

/// What is kept of a run's guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Guard {
    repository: RepositoryName,
    branch: String,
    /// The registration's folder.
    admin: String,
    /// As it was before the agent started; none once it was compared.
    before: Option<Shot>,
    /// Found since the guard was last forgotten.
    found: Vec<Violation>,
}

impl GitWorktrees {
    fn guard_file(&self, run: &RunId) -> PathBuf {
        self.layout.guards().join(format!("{run}.json"))
    }

    fn moves_file(&self, run: &RunId) -> PathBuf {
        self.layout.guards().join(format!("{run}.{MOVES}"))
    }

    async fn guard(&self, run: &RunId) -> Result<Option<Guard>, WorktreeError> {
        let path = self.guard_file(run);
        let bytes = match tokio::fs::read(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io("reading a guard", &path))?,
        };
        let read = serde_json::from_slice(&bytes).map_err(std::io::Error::other);
        read.map(Some).map_err(io("reading a guard", path))
    }

    async fn keep_guard(&self, run: &RunId, guard: &Guard) -> Result<(), WorktreeError> {
        let path = self.guard_file(run);
        let text = serde_json::to_vec(guard).map_err(std::io::Error::other);
        let text = text.map_err(io("writing a guard", &path))?;
        crate::care::write_whole(&path, text).await
    }

    async fn shot(&self, mirror: &Repo, admin: &str) -> Result<Shot, WorktreeError> {
        let (folder, own) = (mirror.folder().to_owned(), admin.to_owned());
        let taken = tokio::task::spawn_blocking(move || Shot::of_files(&folder, &own)).await;
        let taken = taken.unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
        let mut shot = taken.map_err(io("taking down what is shared", mirror.folder()))?;
        let references = mirror.raw_references().await.map_err(git("taking down all references"))?;
        shot.references = references.into_iter().collect();
        Ok(shot)
    }

    pub(crate) async fn open_guard(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<(), WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        let earlier = self.guard(run).await?;
        if earlier.as_ref().is_some_and(|guard| guard.before.is_some()) {
            // Opened before a crash: what was done since is still to be found.
            return Ok(());
        }
        let found = mirror.worktree_admin(&worktree.path).await.map_err(git("looking at a worktree"))?;
        let missing = || WorktreeError::NoWorktree { repository: repository.clone(), run: run.clone() };
        let admin =
            found.and_then(|path| Some(path.file_name()?.to_str()?.to_owned())).ok_or_else(missing)?;
        let guards = self.layout.guards();
        tokio::fs::create_dir_all(&guards).await.map_err(io("making a folder", &guards))?;
        let beside: Vec<RunId> =
            moves::open(&guards).await?.into_iter().filter(|other| other != run).collect();
        let _guarded = moves::note(&guards, &[Move::Guarded(run)]).await?;
        // From here on moves are noted; the shot comes after, so that none falls in between.
        let path = self.moves_file(run);
        tokio::fs::write(&path, "").await.map_err(io("opening a guard", &path))?;
        let others: Vec<Move<'_>> = beside.iter().map(Move::Guarded).collect();
        moves::note_for(&path, &others).await?;
        moves::note_under_way(&guards, &path, run).await?;
        let before = Some(self.shot(&mirror, &admin).await?);
        let found = earlier.map(|guard| guard.found).unwrap_or_default();
        let guard = Guard { repository: repository.clone(), branch: worktree.branch, admin, before, found };
        self.keep_guard(run, &guard).await
    }

    pub(crate) async fn close_guard(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Vec<Violation>, WorktreeError> {
        let missing = || WorktreeError::NoGuard { run: run.clone() };
        let mut guard = self.guard(run).await?.ok_or_else(missing)?;
        let Some(before) = guard.before.take() else { return Ok(guard.found) };
        let mirror = self.mirror(repository).await?;
        let mut findings = self.find(&mirror, run, &guard, &before).await?;
        if findings.iter().any(|finding| finding.violation.path.starts_with(FORGE)) {
            // A fetch that is under way notes what it moved at its end.
            let _fetch = self.turns.take(fetch_turn(&mirror)).await;
            findings = self.find(&mirror, run, &guard, &before).await?;
        }
        for finding in &mut findings {
            finding.violation.put_back = finding.undo.is_some();
        }
        guard.found.extend(findings.iter().map(|finding| finding.violation.clone()));
        guard.found.sort();
        guard.found.dedup();
        // On disk before anything is put back: a crash in between must not hide it.
        let told = Guard { before: Some(before), ..guard.clone() };
        self.keep_guard(run, &told).await?;
        for finding in &findings {
            if let Some(undo) = &finding.undo {
                tracing::warn!(%run, what = finding.violation.what, "A violation is put back.");
                self.undo(&mirror, undo).await?;
            }
        }
        self.keep_guard(run, &guard).await?;
        remove_all(&self.moves_file(run)).await.map_err(git("closing a guard"))?;
        Ok(guard.found)
    }

    async fn find(
        &self,
        mirror: &Repo,
        run: &RunId,
        guard: &Guard,
        before: &Shot,
    ) -> Result<Vec<Finding>, WorktreeError> {
        let after = self.shot(mirror, &guard.admin).await?;
        let path = self.moves_file(run);
        let text = tokio::fs::read_to_string(&path).await.map_err(io("reading what was moved", &path))?;
        let moves = Moves::read(&text, mirror);
        let mut logs = BTreeMap::new();
        for other in &moves.guarded {
            let admin = mirror.worktree_admin(&self.layout.worktree(other)).await;
            if let Some(admin) = admin.map_err(git("looking at a worktree"))? {
                let log = tokio::fs::read(admin.join("logs/HEAD")).await.unwrap_or_default();
                logs.insert(other.clone(), String::from_utf8_lossy(&log).into_owned());
            }
        }
        let branch = format!("refs/heads/{}", guard.branch);
        let strays: BTreeSet<String> =
            guard.found.iter().filter(|earlier| !earlier.grave).map(|earlier| earlier.path.clone()).collect();
        let known =
            Known { layout: &self.layout, branch: &branch, moves: &moves, strays: &strays, logs: &logs };
        Ok(compare(before, &after, &known))
    }

    async fn undo(&self, mirror: &Repo, undo: &Undo) -> Result<(), WorktreeError> {
        match undo {
            Undo::File { path, held } => restore(path, held.as_ref()).await,
            Undo::Reference { name, back, from } => {
                let _moving = moves::note_reference(mirror, name, back.as_deref().unwrap_or(GONE)).await?;
                let put = mirror.put_reference(name, back.as_deref(), from.as_deref()).await;
                if let Err(error) = put {
                    // It was moved once more: the next check looks at it again.
                    tracing::warn!(%error, name, "A reference was not put back.");
                }
                Ok(())
            }
        }
    }

    pub(crate) async fn drop_guard(&self, run: &RunId) -> Result<(), WorktreeError> {
        for path in [self.moves_file(run), self.guard_file(run)] {
            remove_all(&path).await.map_err(git("forgetting a guard"))?;
        }
        Ok(())
    }

    /// Notes that the instance works on a run's folders.
    pub(crate) async fn note_work(&self, run: &RunId) -> Result<UnderWay, WorktreeError> {
        moves::note(&self.layout.guards(), &[Move::Run(run)]).await
    }

    /// What the forge's branches are before a fetch: a guard may open while it is under way.
    pub(crate) async fn before_fetch(&self, mirror: &Repo) -> Result<Fetch, WorktreeError> {
        // Unlike that of any process before.
        let name = format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
        let fetching = Move::Fetching { mirror, fetch: &name };
        let under_way = moves::note(&self.layout.guards(), &[fetching]).await?;
        Ok(Fetch { _under_way: under_way, before: forge(mirror).await?, name })
    }

    /// Notes what a fetch moved.
    pub(crate) async fn after_fetch(&self, mirror: &Repo, fetch: Fetch) -> Result<(), WorktreeError> {
        let before = &fetch.before;
        let after = forge(mirror).await?;
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differ = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let mut moves: Vec<Move<'_>> = differ
            .map(|name| {
                let to = after.get(name).map_or(GONE, String::as_str);
                Move::Reference { mirror, name, to }
            })
            .collect();
        moves.push(Move::Fetched { mirror, fetch: &fetch.name });
        let _moved = moves::note(&self.layout.guards(), &moves).await?;
        Ok(())
    }
}

/// A fetch that is under way.
pub(crate) struct Fetch {
    name: String,
    _under_way: UnderWay,
    before: Forge,
}

type Forge = BTreeMap<String, String>;

async fn forge(mirror: &Repo) -> Result<Forge, WorktreeError> {
    let all = mirror.raw_references().await.map_err(git("taking down the forge's branches"))?;
    Ok(all.into_iter().filter(|(name, _)| name.starts_with(FORGE)).collect())
}

/// One fetch at a time, from before it to after what it moved is noted.
pub(crate) fn fetch_turn(mirror: &Repo) -> PathBuf {
    mirror.folder().join(FORGE)
}

async fn restore(path: &Path, held: Option<&Held>) -> Result<(), WorktreeError> {
    let what = "putting back what was changed";
    remove_all(path).await.map_err(git(what))?;
    let (path, held) = (path.to_owned(), held.cloned());
    let to = path.clone();
    let write = move || {
        let folder = to.parent().unwrap_or(&to);
        match held {
            Some(Held::File { mode, content: Some(content), .. }) => {
                std::fs::create_dir_all(folder)?;
                let bytes = unhex(&content).ok_or_else(|| std::io::Error::other("its copy is damaged"))?;
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(&bytes)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
                file.as_file().set_permissions(mode)?;
                file.persist(&to)?;
            }
            Some(Held::Link { to: target }) => {
                std::fs::create_dir_all(folder)?;
                std::os::unix::fs::symlink(target, &to)?;
            }
            _ => {}
        }
        Ok(())
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|lost| Err(std::io::Error::other(lost))).map_err(io(what, path))
}
