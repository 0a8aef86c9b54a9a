//! Folders that become worktrees as they are: one whose registration was lost, and one that was filled before it
//! had a run. Git has no command for either.

use std::path::{Path, PathBuf};

use crate::{
    FreshIndex, GitError, Repo,
    folder::{real, remove_all},
    names::full_name,
    repo::Lane,
    worktree::put_index,
};

async fn write(path: PathBuf, text: String) -> Result<(), GitError> {
    tokio::fs::write(&path, text).await.map_err(GitError::io("writing a file", path))
}

/// Says what the registration's folder stands for. Its `gitdir` first: by that it is found again.
async fn describe(admin: &Path, folder: &Path, head: &str) -> Result<(), GitError> {
    write(admin.join("gitdir"), format!("{}\n", folder.join(".git").display())).await?;
    write(admin.join("HEAD"), format!("ref: {head}\n")).await?;
    write(admin.join("commondir"), "../..\n".to_owned()).await
}

impl Repo {
    /// Registers a folder as a worktree on a branch that exists, whatever its `.git` was before, and settles
    /// it there. Its other files stay as they are: this is how a worktree whose registration was lost comes
    /// back.
    pub async fn worktree_attach(&self, folder: &Path, branch: &str) -> Result<(), GitError> {
        let folder = real(folder);
        let head = full_name(branch)?;
        let commit = self.resolve(&head).await?;
        let commit = commit.ok_or_else(|| GitError::Parse { what: "a branch", text: branch.to_owned() })?;
        let link = folder.join(".git");
        let admin = {
            let _turn = self.turn(Lane::Worktrees).await;
            let admin = match self.worktree_admin(&folder).await? {
                Some(admin) => admin,
                None => self.free_admin(&folder).await?,
            };
            remove_all(&link).await?;
            describe(&admin, &folder, &head).await?;
            admin
        };
        self.worktree_settle(&folder, branch, &commit).await?;
        // Last: with the index in place it can't be taken for a check-out that was cut short.
        write(link, format!("gitdir: {}\n", admin.display())).await
    }

    /// Moves a folder that was filled by [`Repo::restore`] to where it is a worktree on a branch that exists and
    /// that no other worktree has. Cut short, it leaves a folder that is no sound worktree, or none.
    pub async fn worktree_adopt(
        &self,
        filled: &Path,
        folder: &Path,
        branch: &str,
        index: &FreshIndex,
    ) -> Result<(), GitError> {
        let folder = real(folder);
        let head = full_name(branch)?;
        let _turn = self.turn(Lane::Worktrees).await;
        let admin = match self.worktree_admin(&folder).await? {
            Some(admin) => admin,
            None => self.free_admin(&folder).await?,
        };
        describe(&admin, &folder, &head).await?;
        put_index(&admin, index).await?;
        let link = filled.join(".git");
        remove_all(&link).await?;
        write(link, format!("gitdir: {}\n", admin.display())).await?;
        tokio::fs::rename(filled, &folder).await.map_err(GitError::io("moving a folder", filled))
    }

    async fn free_admin(&self, folder: &Path) -> Result<PathBuf, GitError> {
        let all = self.folder().join("worktrees");
        tokio::fs::create_dir_all(&all).await.map_err(GitError::io("making a folder", &all))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut admin = all.join(&name);
        let mut count = 1_u32;
        loop {
            match tokio::fs::create_dir(&admin).await {
                Ok(()) => return Ok(admin),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    count += 1;
                    admin = all.join(format!("{name}-{count}"));
                }
                Err(error) => return Err(GitError::io("making a folder", admin)(error)),
            }
        }
    }
}
