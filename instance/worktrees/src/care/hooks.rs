//! A repository's own hooks. Git's are never run by any call here: they are somebody's code. To respect
//! them, the caller runs these commands as it runs checks: confined, with a time limit, in a fresh check-out.

use qd_types::{CommitId, RepositoryName};

use crate::{GitWorktrees, WorktreeError, error::git};

/// Where a repository keeps hooks for everybody, the first one that has any.
const FOLDERS: [&str; 2] = [".githooks", ".husky"];

/// The hooks that judge a commit.
const JUDGES: [&str; 2] = ["pre-commit", "commit-msg"];

/// A hook, as something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `pre-commit` or `commit-msg`.
    pub name: &'static str,
    /// Where it is, from the root.
    pub path: String,
    /// For a shell in a fresh check-out of the commit that is judged. What the hook changes is not taken over.
    pub command: String,
}

impl GitWorktrees {
    /// Found in `base`, so that a run can't bring hooks of its own or take any away.
    pub(crate) async fn hooks_of(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
    ) -> Result<Vec<Hook>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        self.need_commit(&mirror, repository, base).await?;
        let found = mirror.executables(base, &FOLDERS).await.map_err(git("looking for hooks"))?;
        let hooks = FOLDERS.into_iter().map(|folder| {
            let hooks = JUDGES.into_iter().filter_map(|name| {
                let path = format!("{folder}/{name}");
                let command = command(base, name, &path);
                found.contains(&path).then_some(Hook { name, path, command })
            });
            hooks.collect::<Vec<_>>()
        });
        let mut hooks: Vec<Vec<Hook>> = hooks.filter(|hooks| !hooks.is_empty()).collect();
        Ok(if hooks.is_empty() { Vec::new() } else { hooks.swap_remove(0) })
    }
}

/// The hook of the base, over the files of the commit: staged, as a hook expects them.
fn command(base: &CommitId, name: &str, path: &str) -> String {
    let folder = "\"$(git rev-parse --absolute-git-dir)/qd-hooks\"";
    let take = format!(
        "set -e; mkdir -p {folder}; git show {base}:{path} >{folder}/{name}; chmod 755 {folder}/{name}"
    );
    let argument = match name {
        "commit-msg" => {
            let file = "\"$(git rev-parse --absolute-git-dir)/qd-hooks/message\"";
            return format!(
                "{take}; git log -1 --format=%B >{file}; git -c core.hooksPath={folder} hook run {name} -- {file}"
            );
        }
        _ => format!("git reset --quiet --soft {base}"),
    };
    format!("{take}; {argument}; git -c core.hooksPath={folder} hook run {name}")
}
