//! Repositories of a given size, and an instance's worktrees over them. All of it goes when it is dropped.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use qd_git::Git;
use qd_types::{CommitId, RunId};
use qd_worktrees::{GitWorktrees, Identity, Pool, RepositorySpec, Stamp, Worktree, Worktrees as _};

use crate::Failure;

/// Files per folder.
const PER_FOLDER: usize = 20;
const FOLDERS_PER_PART: usize = 50;

/// A forge's repository, its mirror, and worktrees of it.
pub struct Yard {
    dir: tempfile::TempDir,
    /// The repository, as the configuration would describe it.
    pub spec: RepositorySpec,
}

/// A repository as a stream for `git fast-import`.
pub struct Stream(String);

impl Stream {
    /// A first commit with this many files of about 1 KiB, on main.
    pub fn new(files: usize) -> Self {
        let mut stream = Self(String::new());
        stream.commit("main", None);
        for number in 0..files {
            stream.file(number, 0);
        }
        stream
    }

    /// Begins a commit on a branch that starts at another one, if it is new.
    pub fn commit(&mut self, branch: &str, from: Option<&str>) {
        let line = format!(
            "commit refs/heads/{branch}\ncommitter Bench <bench@localhost> 1700000000 +0000\ndata 1\nx\n"
        );
        self.0.push_str(&line);
        if let Some(from) = from {
            let _infallible = writeln!(self.0, "from refs/heads/{from}");
        }
    }

    /// A file's content in its nth edition, as part of the commit that was begun last.
    pub fn file(&mut self, number: usize, edition: usize) {
        let folder = number / PER_FOLDER;
        let (part, folder) = (folder / FOLDERS_PER_PART, folder % FOLDERS_PER_PART);
        let mut text = String::with_capacity(1200);
        let mut random = number as u64 + 1;
        for line in 0..24 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mark = if line == 12 { edition } else { 0 };
            let _infallible = writeln!(text, "    let value_{line} = function({random:x}, {mark});");
        }
        let name = format!("part{part:03}/folder{folder:02}/file{number:06}.rs");
        let _infallible = write!(self.0, "M 100644 inline {name}\ndata {}\n{text}\n", text.len());
    }
}

fn git(folder: &Path, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new("git").current_dir(folder).args(args).output()?;
    if !output.status.success() {
        return Err(format!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Yard {
    /// From a stream, packed, and fetched into the instance's mirror.
    pub async fn new(stream: Stream) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("qd-bench-").tempdir()?;
        let forge = dir.path().join("forge.git");
        git(dir.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "forge.git"])?;
        let mut import = Command::new("git")
            .current_dir(&forge)
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()?;
        import.stdin.take().ok_or("no pipe")?.write_all(stream.0.as_bytes())?;
        if !import.wait()?.success() {
            return Err("git fast-import failed".into());
        }
        git(&forge, &["repack", "-a", "-d", "--quiet"])?;
        let spec = RepositorySpec {
            name: "sample".parse()?,
            remote: forge.display().to_string(),
            target: "main".to_owned(),
        };
        let yard = Self { dir, spec };
        yard.trees(0).await?.refresh(&yard.spec).await?;
        Ok(yard)
    }

    /// The instance's worktrees, with a pool of so many.
    pub async fn trees(&self, pool: usize) -> Result<GitWorktrees, Failure> {
        let trees = GitWorktrees::open(Git::new(), &self.dir.path().join("state")).await?;
        Ok(trees.with_pool(Pool { most: pool, ..Pool::default() }))
    }

    /// Where a branch of the forge stands.
    pub fn head(&self, branch: &str) -> Result<CommitId, Failure> {
        Ok(git(&self.dir.path().join("forge.git"), &["rev-parse", branch])?.parse()?)
    }

    /// Plain `git worktree add` in the same mirror, beside our own worktrees.
    pub fn add_by_git(&self, name: &str, commit: &CommitId) -> Result<(), Failure> {
        let folder = self.by_git().join(name);
        let mirror = self.dir.path().join("state/repos/sample.git");
        let folder = folder.to_str().ok_or("a path that is no text")?;
        git(&mirror, &["worktree", "add", "--quiet", "--detach", folder, commit.as_str()])?;
        Ok(())
    }

    fn by_git(&self) -> PathBuf {
        self.dir.path().join("by-git")
    }

    /// Deletes what git made.
    pub fn clear_git(&self) -> Result<(), Failure> {
        std::fs::remove_dir_all(self.by_git())?;
        git(&self.dir.path().join("state/repos/sample.git"), &["worktree", "prune"])?;
        Ok(())
    }

    /// A worktree of ours.
    pub async fn add(&self, trees: &GitWorktrees, run: &RunId, base: &CommitId) -> Result<Worktree, Failure> {
        Ok(trees.create(&self.spec.name, run, &format!("qd/{run}"), base).await?)
    }

    /// Removes a worktree of ours.
    pub async fn remove(&self, trees: &GitWorktrees, run: &RunId) -> Result<(), Failure> {
        let identity = Identity::new("Bench", "bench@localhost");
        let stamp = Stamp { identity, at: jiff::Timestamp::UNIX_EPOCH };
        trees.remove(&self.spec.name, run, &stamp).await?;
        Ok(())
    }
}

/// Lets the disk come to rest, so that nobody pays for what was written or deleted before. ext4 avoids inodes
/// that were freed in the last five seconds, and searches long for others.
pub async fn rest(deleted: bool) -> Result<(), Failure> {
    Command::new("sync").status()?;
    if deleted {
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    Ok(())
}
