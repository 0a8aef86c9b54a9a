//! Bringing a run's worktree up to what the target holds now, so that its agent can go on from there: after a conflict
//! with conflict markers in the files, else with both changes merged.

use qd_git::{Merge, Repo, TreeId};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{Brought, GitWorktrees, WorktreeError, error::git, layout::base_ref, mirror::swap};

/// Bytes of conflicting hunks that are given back: they go into a prompt.
const HUNKS: usize = 16 * 1024;
/// Lines around a conflict.
const AROUND: usize = 3;

impl GitWorktrees {
    pub(crate) async fn bring_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        head: &CommitId,
        onto: &CommitId,
    ) -> Result<Brought, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        for commit in [head, onto] {
            self.need_commit(&mirror, repository, commit).await?;
        }
        let _work = self.note_work(run).await?;
        let _turn = self.turns.take(worktree.path.clone()).await;
        let what = "bringing a worktree up to date";
        let merge = mirror.merge_tree(onto, head).await.map_err(git(what))?;
        let (tree, files) = match merge {
            Merge::Clean(tree) => (tree, Vec::new()),
            Merge::Conflict { files, tree } => (tree, files),
        };
        if worktree.base != *onto {
            self.repair(&mirror, run, &worktree).await?;
            mirror.worktree_show(&worktree.path, &tree).await.map_err(git(what))?;
            let branch = format!("refs/heads/{}", worktree.branch);
            let at = mirror.resolve(&branch).await.map_err(git(what))?;
            swap(&mirror, &branch, onto, at.as_ref()).await?;
            mirror.worktree_settle(&worktree.path, &worktree.branch, onto).await.map_err(git(what))?;
            // Last: with the base moved, it was done.
            swap(&mirror, &base_ref(run), onto, Some(&worktree.base)).await?;
        }
        brought(&mirror, &tree, files).await
    }

    pub(crate) async fn revert_in_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        commit: &CommitId,
    ) -> Result<Brought, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        self.need_commit(&mirror, repository, commit).await?;
        let _work = self.note_work(run).await?;
        let _turn = self.turns.take(worktree.path.clone()).await;
        let what = "taking a commit back";
        self.repair(&mirror, run, &worktree).await?;
        let (tree, files) = match mirror.revert_tree(&worktree.base, commit).await.map_err(git(what))? {
            Merge::Clean(tree) => (tree, Vec::new()),
            Merge::Conflict { files, tree } => (tree, files),
        };
        mirror.worktree_show(&worktree.path, &tree).await.map_err(git(what))?;
        mirror.worktree_settle(&worktree.path, &worktree.branch, &worktree.base).await.map_err(git(what))?;
        brought(&mirror, &tree, files).await
    }
}

/// What of it is in conflict, for whoever resolves it.
async fn brought(mirror: &Repo, tree: &TreeId, files: Vec<String>) -> Result<Brought, WorktreeError> {
    let mut hunks = String::new();
    for file in &files {
        let bytes = mirror.blob_at(tree, file).await.map_err(git("reading a file in conflict"))?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let found = conflicts_in(&text);
        hunks.push_str(&format!("--- {file}\n"));
        hunks.push_str(if found.is_empty() {
            "One side changed it, the other removed it.\n"
        } else {
            &found
        });
        if hunks.len() > HUNKS {
            let mut end = HUNKS;
            while !hunks.is_char_boundary(end) {
                end -= 1;
            }
            hunks.truncate(end);
            hunks.push_str("\n[cut]\n");
            break;
        }
    }
    Ok(Brought { files, hunks })
}

/// The parts of a file between conflict markers, with a few lines around.
fn conflicts_in(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = String::new();
    let (mut index, mut printed) = (0, 0);
    while let Some(line) = lines.get(index) {
        if !line.starts_with("<<<<<<< ") {
            index += 1;
            continue;
        }
        let rest = lines.get(index..).unwrap_or_default();
        let length = rest.iter().position(|line| line.starts_with(">>>>>>> ")).unwrap_or(rest.len());
        let from = index.saturating_sub(AROUND).max(printed);
        let to = (index + length + 1 + AROUND).min(lines.len());
        found.push_str(&format!("@@ line {}\n", from + 1));
        for line in lines.get(from..to).unwrap_or_default() {
            found.push_str(line);
            found.push('\n');
        }
        printed = to;
        index += length + 1;
    }
    found
}
