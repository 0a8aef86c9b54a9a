//! Copies of a repository for people: a clone of one branch that knows nothing of where it came from. Not a
//! linked worktree: whoever has it may do with it as they like.

use std::path::Path;

use crate::{GitError, Repo, command::Call, folder::real, names::full_name};

impl Repo {
    /// Clones one branch into a folder that is not there yet, checked out, without a remote.
    pub async fn spread(&self, branch: &str, folder: &Path) -> Result<(), GitError> {
        let name = full_name(branch)?;
        let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
        let folder = real(folder);
        let clone = Call::new(["clone", "--quiet", "--no-hardlinks", "--single-branch", "--no-tags"]);
        let clone = clone.args(["--template=", "--origin=quarterdeck", "--branch", short, "--"]);
        self.git.ok(clone.arg(self.folder()).arg(&folder).patient()).await?;
        let made = self.git.open(&folder).await?;
        self.git.ok(made.call(["remote", "remove", "quarterdeck"])).await?;
        Ok(())
    }
}
