//! What the instance itself moves while agents work: noted before it is done, beside every open guard, so
//! that it is not taken for an agent's doing. On disk, since a guard outlives a process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use qd_git::Repo;
use qd_types::RunId;
use tokio::io::AsyncWriteExt;

use crate::{WorktreeError, error::io};

/// How a reference that is gone is noted.
pub(crate) const GONE: &str = "gone";

/// What the file of moves ends in.
pub(crate) const MOVES: &str = "moves";

/// Read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    /// What each reference was moved to.
    pub(crate) references: BTreeMap<String, BTreeSet<String>>,
    /// Runs whose worktrees and check-outs the instance worked on.
    pub(crate) runs: BTreeSet<RunId>,
    /// Runs whose agents worked meanwhile.
    pub(crate) guarded: BTreeSet<RunId>,
    /// Fetches that began and did not end. One that was cut short did not note what it moved, and its git may even have
    /// outlived it: later fetches do not make up for it.
    pub(crate) fetching: BTreeSet<String>,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Move<'a> {
    /// A reference goes to an object, to another reference, or away.
    Reference { mirror: &'a Repo, name: &'a str, to: &'a str },
    /// Something about a run's folders.
    Run(&'a RunId),
    /// A run's agent begins.
    Guarded(&'a RunId),
    /// A fetch begins; what it moved follows.
    Fetching { mirror: &'a Repo, fetch: &'a str },
    /// It has ended.
    Fetched { mirror: &'a Repo, fetch: &'a str },
}

impl Move<'_> {
    fn line(&self) -> String {
        match self {
            Self::Reference { mirror, name, to } => format!("ref {} {name} {to}\n", of(mirror)),
            Self::Run(run) => format!("run {run}\n"),
            Self::Guarded(run) => format!("guarded {run}\n"),
            Self::Fetching { mirror, fetch } => format!("fetching {} {fetch}\n", of(mirror)),
            Self::Fetched { mirror, fetch } => format!("fetched {} {fetch}\n", of(mirror)),
        }
    }
}

fn of(mirror: &Repo) -> String {
    mirror.folder().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where guards are kept, seen from a mirror: `STATE/repos/NAME.git` and `STATE/guards`.
fn guards_beside(mirror: &Repo) -> Option<PathBuf> {
    Some(mirror.folder().parent()?.parent()?.join("guards"))
}

/// Notes a reference's move beside every open guard. To be called before it is moved.
pub(crate) async fn note_reference(
    mirror: &Repo,
    name: &str,
    to: &str,
) -> Result<Option<UnderWay>, WorktreeError> {
    match guards_beside(mirror) {
        Some(guards) => note(&guards, &[Move::Reference { mirror, name, to }]).await.map(Some),
        None => Ok(None),
    }
}

/// What is under way in this process, by the folder of guards: a guard that opens meanwhile has to know of it.
static UNDER_WAY: LazyLock<Mutex<HashMap<PathBuf, BTreeMap<u64, String>>>> = LazyLock::new(Mutex::default);

fn under_way<T>(look: impl FnOnce(&mut HashMap<PathBuf, BTreeMap<u64, String>>) -> T) -> T {
    let mut all = match UNDER_WAY.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    };
    look(&mut all)
}

/// A move that was noted and is not over yet. To be kept until it is.
#[must_use = "a guard that opens before the move is over would take it for an agent's"]
pub(crate) struct UnderWay {
    guards: PathBuf,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        under_way(|all| {
            if let Some(moves) = all.get_mut(&self.guards) {
                moves.remove(&self.number);
            }
        });
    }
}

/// Notes beside a run's guard that has just opened what is under way. Of the run itself nothing is: its agent is about
/// to begin.
pub(crate) async fn note_under_way(guards: &Path, path: &Path, run: &RunId) -> Result<(), WorktreeError> {
    let own = Move::Run(run).line();
    let all: String =
        under_way(|all| all.get(guards).into_iter().flat_map(BTreeMap::values).cloned().collect());
    let others: String = all.split_inclusive('\n').filter(|line| *line != own).collect();
    append(path, &others).await
}

/// Notes moves beside every open guard. A line is written in one piece.
pub(crate) async fn note(guards: &Path, moves: &[Move<'_>]) -> Result<UnderWay, WorktreeError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let text: String = moves.iter().map(Move::line).collect();
    // Before the open ones are listed: one that opens in between finds it here.
    let moved = moves.iter().filter(|each| !matches!(each, Move::Guarded(_))).map(Move::line).collect();
    let token = UnderWay { guards: guards.to_owned(), number: NUMBER.fetch_add(1, Ordering::Relaxed) };
    under_way(|all| all.entry(guards.to_owned()).or_default().insert(token.number, moved));
    for run in open(guards).await? {
        append(&guards.join(format!("{run}.{MOVES}")), &text).await?;
    }
    Ok(token)
}

/// Notes moves beside one guard.
pub(crate) async fn note_for(path: &Path, moves: &[Move<'_>]) -> Result<(), WorktreeError> {
    append(path, &moves.iter().map(Move::line).collect::<String>()).await
}

async fn append(path: &Path, text: &str) -> Result<(), WorktreeError> {
    let mut file = match tokio::fs::OpenOptions::new().append(true).open(path).await {
        // It was closed meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(io("noting a move", path))?,
    };
    file.write_all(text.as_bytes()).await.map_err(io("noting a move", path))?;
    file.flush().await.map_err(io("noting a move", path))
}

/// The runs whose guard is open: their file of moves is there.
pub(crate) async fn open(guards: &Path) -> Result<Vec<RunId>, WorktreeError> {
    let mut runs = Vec::new();
    let mut entries = match tokio::fs::read_dir(guards).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(runs),
        other => other.map_err(io("listing guards", guards))?,
    };
    while let Some(entry) = entries.next_entry().await.map_err(io("listing guards", guards))? {
        let name = entry.file_name();
        let run = name.to_str().and_then(|name| name.strip_suffix(MOVES)?.strip_suffix('.'));
        runs.extend(run.and_then(|run| run.parse::<RunId>().ok()));
    }
    Ok(runs)
}

impl Moves {
    /// Those of one mirror, from what was noted.
    pub(crate) fn read(text: &str, mirror: &Repo) -> Self {
        let mut moves = Self::default();
        let of = of(mirror);
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["ref", mirror, name, to] if *mirror == of => {
                    moves.references.entry((*name).to_owned()).or_default().insert((*to).to_owned());
                }
                ["run", run] => moves.runs.extend(run.parse().ok()),
                ["guarded", run] => moves.guarded.extend(run.parse().ok()),
                ["fetching", mirror, fetch] if *mirror == of => {
                    moves.fetching.insert((*fetch).to_owned());
                }
                ["fetched", mirror, fetch] if *mirror == of => {
                    moves.fetching.remove(*fetch);
                }
                _ => {}
            }
        }
        moves
    }

    /// Whether the instance moved a reference to this.
    pub(crate) fn has(&self, name: &str, to: &str) -> bool {
        self.references.get(name).is_some_and(|known| known.contains(to))
    }
}
