//! Keeping a repository small and fast while others work in it. Nothing that a reference, a worktree's head,
//! index or log names is ever deleted, nor anything younger than 14 days.

use crate::{GitError, Repo, repo::Lane};

/// As long as git's own `gc` waits.
const EXPIRE: &str = "14.days.ago";

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Packs what is loose. Takes as long as there was work since.
    Light,
    /// Packs everything anew and lets go of what nothing names. Takes as long as the repository is large.
    Thorough,
}

/// What a repository's objects take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objects {
    /// Objects in files of their own.
    pub loose: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes of both, to the KiB.
    pub bytes: u64,
}

impl Repo {
    /// Counts objects.
    pub async fn count_objects(&self) -> Result<Objects, GitError> {
        let text = self.git.text(self.call(["count-objects", "-v"])).await?;
        let figure = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            value.and_then(|value| value.parse::<u64>().ok()).unwrap_or_default()
        };
        let bytes = (figure("size") + figure("size-pack")) * 1024;
        Ok(Objects { loose: figure("count"), packs: figure("packs"), bytes })
    }

    /// Maintains the repository. No fetch runs meanwhile; worktrees go on.
    pub async fn maintain(&self, effort: Effort) -> Result<(), GitError> {
        let _turn = self.turn(Lane::Fetch).await;
        let run = async |args: &[&str]| self.git.ok(self.call(args).patient()).await.map(|_| ());
        run(&["pack-refs", "--all"]).await?;
        run(&["prune", &format!("--expire={EXPIRE}")]).await?;
        // -n: nobody fetches from here by plain http.
        match effort {
            Effort::Light => run(&["repack", "-d", "-n", "-q", "--geometric=2"]).await?,
            Effort::Thorough => {
                let expire = format!("--cruft-expiration={EXPIRE}");
                run(&["repack", "-d", "-n", "-q", "--cruft", &expire]).await?;
            }
        }
        // In one file: libgit2 knows no chains of them.
        run(&["commit-graph", "write", "--reachable", "--no-progress"]).await
    }

    /// Keeps the git of whoever works in a linked worktree from maintaining this repository by itself.
    pub async fn leave_maintenance(&self) -> Result<(), GitError> {
        for (key, value) in [("gc.auto", "0"), ("maintenance.auto", "false")] {
            self.git.ok(self.call(["config", key, value])).await?;
        }
        Ok(())
    }
}
