//! What a fresh worktree lacks: files that git ignores, caches that runs share, and what a script makes.
//! The script is run by the caller; here it is decided whether it is due, and remembered that it ran.

use std::{
    fs, io as std_io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use qd_git::Repo;
use qd_types::{RepositoryName, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    GitWorktrees, WorktreeError,
    error::{git, io},
};

/// All that is copied into a worktree, together.
const MOST: u64 = 64 * 1024 * 1024;

/// Files that say what a set-up script would fetch, in any folder.
const LOCKS: [&str; 9] = [
    "Cargo.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "uv.lock",
    "poetry.lock",
    "requirements*.txt",
    "go.sum",
    "Gemfile.lock",
];

/// What a repository declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// Run by a shell in the worktree, when it or a lock file has changed.
    pub script: Option<String>,
    /// Files that git ignores in somebody's check-out and that are copied from there, as git's patterns from
    /// its root: `.env`, `**/*.local.toml`.
    pub copies: Vec<String>,
    /// Folders that all runs of the repository share.
    pub shared: Vec<Shared>,
}

/// A cache that runs share. Agents can write it: what decides a merge must not use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Its folder under `caches/REPOSITORY`: letters, digits, `-` and `_`.
    pub name: String,
    /// Where the worktree has it, from its root.
    pub path: String,
}

/// What was done, and what is left to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Copied now, from the root.
    pub copied: Vec<String>,
    /// Shared folders that the worktree has, now or from before.
    pub shared: Vec<PathBuf>,
    /// Not brought in.
    pub refused: Vec<Refused>,
    /// The script to be run now; none if there is none, or it ran with the same key here.
    pub due: Option<Due>,
}

/// A path that was not brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// From the root.
    pub path: String,
    /// A sentence's end: "it leads out of the check-out".
    pub why: &'static str,
}

/// A script that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The script.
    pub script: String,
    /// To be recorded once it has succeeded.
    pub key: String,
}

const NOT_IGNORED: &str = "git does not ignore it in the worktree, so it would be committed";
const NOT_IGNORED_LINK: &str = "git does not ignore it as a link, so it would be committed: write the name in .gitignore without a slash at its end";
const LEADS_OUT: &str = "it is a link that leads out of the check-out";
const NO_FILE: &str = "it is no file";
const THROUGH_LINK: &str = "a folder on its way is a link in the worktree";
const THERE: &str = "something is there already";
const BAD_PATH: &str = "it is not a path within the worktree";

/// That a script ran in a folder. Bound to the folder itself, whatever its name is by now.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ran {
    key: String,
    inode: u64,
    device: u64,
    made: Option<jiff::Timestamp>,
}

impl Ran {
    fn of(folder: &Path, key: &str) -> std_io::Result<Self> {
        let about = fs::symlink_metadata(folder)?;
        let made = about.created().ok().and_then(|made| made.try_into().ok());
        Ok(Self { key: key.to_owned(), inode: about.ino(), device: about.dev(), made })
    }
}

impl GitWorktrees {
    /// Outside of every worktree: an agent has no business here.
    fn record_of(&self, folder: &Path) -> Result<PathBuf, WorktreeError> {
        let about = fs::symlink_metadata(folder).map_err(io("looking at a worktree", folder))?;
        Ok(self.layout.setups().join(format!("{}-{}.json", about.dev(), about.ino())))
    }

    pub(crate) async fn prepare_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        setup: &Setup,
        source: Option<&Path>,
    ) -> Result<Prepared, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        let _turn = self.turns.take(worktree.path.clone()).await;
        let missing = || WorktreeError::NoWorktree { repository: repository.clone(), run: run.clone() };
        let admin = mirror.worktree_admin(&worktree.path).await.map_err(git("looking at a worktree"))?;
        let admin = admin.ok_or_else(missing)?;
        let here = self.git.open(&admin).await.map_err(git("opening a worktree"))?;
        let mut prepared = Prepared::default();
        if let Some(source) = source {
            self.copy_in(&here, &worktree.path, source, &setup.copies, &mut prepared).await?;
        }
        for shared in &setup.shared {
            self.share(&here, repository, &worktree.path, shared, &mut prepared).await?;
        }
        if let Some(script) = &setup.script {
            let key = key(&here, &worktree.path, script).await?;
            if self.ran(&worktree.path, &key).await? {
                tracing::debug!(%run, key, "The set-up ran here before with the same key.");
            } else {
                prepared.due = Some(Due { script: script.clone(), key });
            }
        }
        Ok(prepared)
    }

    async fn copy_in(
        &self,
        here: &Repo,
        worktree: &Path,
        source: &Path,
        patterns: &[String],
        prepared: &mut Prepared,
    ) -> Result<(), WorktreeError> {
        let theirs = self.git.open(source).await.map_err(git("opening the check-out to copy from"))?;
        let what = "listing ignored files";
        let found = theirs.ignored_files(source, patterns).await.map_err(git(what))?;
        // Git refuses to talk of what is beyond a link at all.
        let through = |path: &String| matches!(way(worktree, path), Ok(Some(THROUGH_LINK)));
        let asked: Vec<String> = found.iter().filter(|path| !through(path)).cloned().collect();
        let ignored = here.would_ignore(worktree, &asked).await.map_err(git(what))?;
        let (source, to) = (source.to_owned(), worktree.to_owned());
        let copy = move || {
            let root = source.canonicalize()?;
            let (mut files, mut refused, mut bytes) = (Vec::new(), Vec::new(), 0);
            for path in found {
                let why = judge(&root, &to, &path)?;
                match why.or_else(|| (!ignored.contains(&path)).then_some(NOT_IGNORED)) {
                    // What is there stays: it may have been changed for a reason.
                    Some(THERE) => {}
                    Some(why) => refused.push(Refused { path, why }),
                    None => {
                        bytes += fs::symlink_metadata(root.join(&path))?.len();
                        files.push(path);
                    }
                }
            }
            if bytes <= MOST {
                for path in &files {
                    bring(&root.join(path), &to.join(path))?;
                }
            }
            Ok((files, refused, bytes))
        };
        let copied = tokio::task::spawn_blocking(copy).await;
        let copied = copied.unwrap_or_else(|lost| Err(std_io::Error::other(lost)));
        let (files, refused, bytes) =
            copied.map_err(io("copying ignored files into a worktree", worktree))?;
        if bytes > MOST {
            return Err(WorktreeError::TooMuchToCopy { bytes, most: MOST, patterns: patterns.join(" ") });
        }
        prepared.copied = files;
        prepared.refused = refused;
        Ok(())
    }

    async fn share(
        &self,
        here: &Repo,
        repository: &RepositoryName,
        worktree: &Path,
        shared: &Shared,
        prepared: &mut Prepared,
    ) -> Result<(), WorktreeError> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=64).contains(&shared.name.len()) || !shared.name.bytes().all(good) {
            let what = "a shared folder's name: letters, digits, - and _, at most 64, like cargo";
            return Err(WorktreeError::Name { what, text: shared.name.clone() });
        }
        let cache = self.layout.caches().join(repository.to_string()).join(&shared.name);
        tokio::fs::create_dir_all(&cache).await.map_err(io("making a shared folder", &cache))?;
        let link = worktree.join(&shared.path);
        let mut refuse = |why| prepared.refused.push(Refused { path: shared.path.clone(), why });
        if !is_within(&shared.path) {
            refuse(BAD_PATH);
            return Ok(());
        }
        if tokio::fs::read_link(&link).await.is_ok_and(|target| target == cache) {
            prepared.shared.push(link);
            return Ok(());
        }
        if let Some(why) = way(worktree, &shared.path).map_err(io("looking at a worktree", &link))? {
            refuse(why);
            return Ok(());
        }
        let paths = [shared.path.trim_end_matches('/').to_owned()];
        if here.would_ignore(worktree, &paths).await.map_err(git("listing ignored files"))?.is_empty() {
            refuse(NOT_IGNORED_LINK);
            return Ok(());
        }
        let folder = link.parent().unwrap_or(worktree);
        tokio::fs::create_dir_all(folder).await.map_err(io("making a folder", folder))?;
        tokio::fs::symlink(&cache, &link).await.map_err(io("linking a shared folder", &link))?;
        prepared.shared.push(link);
        Ok(())
    }

    async fn ran(&self, folder: &Path, key: &str) -> Result<bool, WorktreeError> {
        let path = self.record_of(folder)?;
        let bytes = match tokio::fs::read(&path).await {
            Err(error) if error.kind() == std_io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(io("reading what was set up", &path))?,
        };
        let now = Ran::of(folder, key).map_err(io("looking at a worktree", folder))?;
        // A record that can't be read costs one more run of the script.
        Ok(serde_json::from_slice::<Ran>(&bytes).is_ok_and(|ran| ran == now))
    }

    pub(crate) async fn record_set_up(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        key: &str,
    ) -> Result<(), WorktreeError> {
        let worktree = self.need_worktree(repository, run).await?;
        let path = self.record_of(&worktree.path)?;
        let ran = Ran::of(&worktree.path, key).map_err(io("looking at a worktree", &worktree.path))?;
        let bytes = serde_json::to_vec(&ran).map_err(std_io::Error::other);
        crate::care::write_whole(&path, bytes.map_err(io("recording a set-up", &path))?).await
    }

    /// Whoever takes what a script made away from a folder forgets that it ran there.
    pub(crate) async fn forget_set_up(&self, folder: &Path) -> Result<(), WorktreeError> {
        if tokio::fs::symlink_metadata(folder).await.is_err() {
            return Ok(());
        }
        let path = self.record_of(folder)?;
        qd_git::folder::remove_all(&path).await.map_err(git("forgetting a set-up"))
    }
}

/// A hash of the script and of every lock file that the repository has, by path.
async fn key(here: &Repo, worktree: &Path, script: &str) -> Result<String, WorktreeError> {
    let patterns: Vec<String> = LOCKS.iter().map(|name| format!("**/{name}")).collect();
    let found = here.indexed_files(worktree, &patterns).await.map_err(git("listing lock files"))?;
    let root = worktree.to_owned();
    let mut hash = Sha256::new();
    let add = move |hash: &mut Sha256, bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(&mut hash, script.as_bytes());
    for path in found {
        let file = root.join(&path);
        // A link or a missing file counts by its name alone: nothing outside is read.
        let is_file = tokio::fs::symlink_metadata(&file).await.is_ok_and(|about| about.is_file());
        let bytes = if is_file { tokio::fs::read(&file).await } else { Ok(Vec::new()) };
        add(&mut hash, path.as_bytes());
        add(&mut hash, &bytes.map_err(io("reading a lock file", &file))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_within(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(name) if name != ".git"))
}

/// Why a file of a check-out is not copied.
fn judge(from: &Path, to: &Path, path: &str) -> std_io::Result<Option<&'static str>> {
    let file = from.join(path);
    let about = fs::symlink_metadata(&file)?;
    if about.is_symlink() {
        let target = fs::read_link(&file)?;
        let within = file.canonicalize().is_ok_and(|found| found.starts_with(from));
        if target.is_absolute() || !within {
            return Ok(Some(LEADS_OUT));
        }
    } else if !about.is_file() {
        return Ok(Some(NO_FILE));
    }
    if !is_within(path) {
        return Ok(Some(BAD_PATH));
    }
    way(to, path)
}

/// What stands in the way of a new path in a worktree.
fn way(root: &Path, path: &str) -> std_io::Result<Option<&'static str>> {
    let mut at = root.to_owned();
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == std_io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(_) if parts.peek().is_none() => return Ok(Some(THERE)),
            Ok(about) if about.is_symlink() => return Ok(Some(THROUGH_LINK)),
            Ok(about) if !about.is_dir() => return Ok(Some(THERE)),
            Ok(_) => {}
        }
    }
    Ok(None)
}

fn bring(from: &Path, to: &Path) -> std_io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::symlink_metadata(from)?.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to).map(|_| ())
}
