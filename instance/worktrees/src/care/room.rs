//! Room on the disk: what is used, and how to come back under a quota. What goes first is what costs least
//! to have again; work is preserved before anything goes, and a run at work is never touched.

use std::{
    collections::HashSet,
    fmt, fs, io as std_io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use qd_git::{Identity, folder::remove_all};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, Purpose, Stamp, WorktreeError,
    error::{git, io},
    list::entries,
};

/// More files than this are not looked at: a walk ends.
const MOST: usize = 20_000_000;

/// Bytes on the disk. A file with several names counts once, where it is met first: mirrors come first, then
/// the parts in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The mirrors.
    pub repositories: u64,
    /// Where agents work.
    pub worktrees: u64,
    /// Where checks run.
    pub checkouts: u64,
    /// Worktrees that are kept ready.
    pub pool: u64,
    /// Folders that runs share.
    pub caches: u64,
    /// What is on its way out.
    pub trash: u64,
    /// Whether all of it could be looked at. Else there is more.
    pub whole: bool,
}

impl Usage {
    /// All parts together.
    pub fn total(&self) -> u64 {
        [self.repositories, self.worktrees, self.checkouts, self.pool, self.caches, self.trash]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// What was let go of to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    /// In the order in which it went.
    pub gone: Vec<Gone>,
    /// As it is now.
    pub usage: Usage,
}

/// Something that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Where it was.
    pub path: PathBuf,
    /// Whose it was.
    pub run: Option<RunId>,
    /// What it took.
    pub bytes: u64,
    /// What is preserved of the run.
    pub preserved: Option<CommitId>,
}

/// Bytes for people: `1.5 GiB`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >> shift > 0) {
            Some((shift, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / (1_u64 << shift) as f64),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A walk over folders that counts each file once.
#[derive(Debug, Default)]
struct Walk {
    seen: HashSet<(u64, u64)>,
    files: usize,
    cut: bool,
}

impl Walk {
    fn bytes(&mut self, root: &Path) -> u64 {
        let (mut bytes, mut left) = (0_u64, vec![root.to_owned()]);
        while let Some(path) = left.pop() {
            let about = match fs::symlink_metadata(&path) {
                Ok(about) => about,
                // It went while we walked.
                Err(error) if error.kind() == std_io::ErrorKind::NotFound => continue,
                Err(_) => {
                    self.cut = true;
                    continue;
                }
            };
            self.files += 1;
            if self.files > MOST {
                self.cut = true;
                return bytes;
            }
            if about.is_dir() {
                match fs::read_dir(&path) {
                    Ok(entries) => left.extend(entries.flatten().map(|entry| entry.path())),
                    Err(error) if error.kind() == std_io::ErrorKind::NotFound => {}
                    Err(_) => self.cut = true,
                }
            } else if about.nlink() > 1 && !self.seen.insert((about.dev(), about.ino())) {
                continue;
            }
            bytes = bytes.saturating_add(about.blocks().saturating_mul(512));
        }
        bytes
    }
}

/// Something that may go.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    kind: Kind,
    at: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Trash,
    Pool { repository: RepositoryName },
    Checkout { repository: RepositoryName, run: RunId, purpose: Purpose },
    Worktree { repository: RepositoryName, run: RunId },
}

impl Kind {
    fn turn(&self) -> u8 {
        match self {
            Self::Trash => 0,
            Self::Pool { .. } => 1,
            Self::Checkout { .. } => 2,
            Self::Worktree { .. } => 3,
        }
    }

    fn run(&self) -> Option<&RunId> {
        match self {
            Self::Checkout { run, .. } | Self::Worktree { run, .. } => Some(run),
            Self::Trash | Self::Pool { .. } => None,
        }
    }
}

impl GitWorktrees {
    pub(crate) async fn used(&self) -> Result<Usage, WorktreeError> {
        let layout = self.layout.clone();
        let count = move || {
            let mut walk = Walk::default();
            Usage {
                repositories: walk.bytes(&layout.repositories()),
                worktrees: walk.bytes(&layout.worktrees()),
                checkouts: walk.bytes(&layout.checkouts()),
                pool: walk.bytes(&layout.pool()),
                caches: walk.bytes(&layout.caches()),
                trash: walk.bytes(&layout.trash()),
                whole: !walk.cut,
            }
        };
        let counted = tokio::task::spawn_blocking(count).await.map_err(std_io::Error::other);
        counted.map_err(io("counting what is used", self.layout.repositories()))
    }

    async fn bytes_of(&self, path: &Path) -> u64 {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || Walk::default().bytes(&path)).await.unwrap_or_default()
    }

    pub(crate) async fn free(&self, quota: u64, active: &[RunId]) -> Result<Freed, WorktreeError> {
        let mut usage = self.used().await?;
        let mut gone = Vec::new();
        if usage.total() <= quota {
            return Ok(Freed { gone, usage });
        }
        let mut left = usage.total();
        for candidate in self.candidates(active).await? {
            if left <= quota {
                // Counted anew: what had several names gave less than it seemed.
                usage = self.used().await?;
                left = usage.total();
            }
            if left <= quota {
                break;
            }
            let bytes = self.bytes_of(&candidate.path).await;
            let preserved = match self.let_room(&candidate.kind, &candidate.path).await {
                Ok(preserved) => preserved,
                Err(WorktreeError::Occupied { pid, .. }) => {
                    tracing::info!(path = %candidate.path.display(), pid, "Not freed: a process is in there.");
                    continue;
                }
                Err(error) => return Err(error),
            };
            tracing::info!(path = %candidate.path.display(), bytes, "Freed to make room.");
            left = left.saturating_sub(bytes);
            let run = candidate.kind.run().cloned();
            gone.push(Gone { path: candidate.path, run, bytes, preserved });
        }
        usage = self.used().await?;
        if usage.total() > quota {
            return Err(WorktreeError::OverQuota { usage, quota, gone: gone.len() });
        }
        Ok(Freed { gone, usage })
    }

    /// What may go, in the order in which it goes: by kind, the oldest first.
    async fn candidates(&self, active: &[RunId]) -> Result<Vec<Candidate>, WorktreeError> {
        let mut all: Vec<(PathBuf, Kind)> = Vec::new();
        all.extend(entries(self.layout.trash()).await?.into_iter().map(|path| (path, Kind::Trash)));
        for repository in self.mirrors().await? {
            let Ok(mirror) = self.mirror(&repository).await else { continue };
            for entry in mirror.worktree_list().await.map_err(git("listing worktrees"))? {
                if entry.path.starts_with(self.layout.pool()) {
                    all.push((entry.path, Kind::Pool { repository: repository.clone() }));
                }
            }
        }
        for found in self.list_all().await? {
            let (Some(repository), true) = (found.repository, found.on_disk) else { continue };
            if active.contains(&found.run) {
                continue;
            }
            let run = found.run;
            let kind = match found.purpose {
                Some(purpose) => Kind::Checkout { repository, run, purpose },
                None => Kind::Worktree { repository, run },
            };
            all.push((found.path, kind));
        }
        let mut candidates = Vec::new();
        for (path, kind) in all {
            let about = tokio::fs::symlink_metadata(&path).await;
            let at = about.and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            candidates.push(Candidate { path, kind, at });
        }
        candidates.sort_by(|one, other| {
            (one.kind.turn(), one.at, &one.path).cmp(&(other.kind.turn(), other.at, &other.path))
        });
        Ok(candidates)
    }

    async fn let_room(&self, kind: &Kind, path: &Path) -> Result<Option<CommitId>, WorktreeError> {
        match kind {
            Kind::Trash => remove_all(path).await.map_err(git("emptying the trash"))?,
            Kind::Pool { repository } => {
                let _turn = self.turns.take(path.to_owned()).await;
                self.refuse_occupied(&[path.to_owned()]).await?;
                let mirror = self.mirror(repository).await?;
                mirror.worktree_remove(path).await.map_err(git("removing a worktree that was kept ready"))?;
            }
            Kind::Checkout { repository, run, purpose } => {
                self.remove_checkout(repository, run, purpose).await?;
            }
            Kind::Worktree { repository, run } => {
                let identity = Identity::new("Quarterdeck", "quarterdeck@localhost");
                return self.remove_run(repository, run, &Stamp { identity, at: Timestamp::now() }).await;
            }
        }
        Ok(None)
    }
}
