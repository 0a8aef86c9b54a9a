//! What there is, for a reconciler: folders, registrations and records taken together, so that half of
//! anything is seen too.

use std::{collections::BTreeMap, path::PathBuf};

use qd_types::{RepositoryName, RunId};

use crate::{
    Found, GitWorktrees, WorktreeError,
    error::{git, io},
    layout::{BASES, BRANCHES},
};

impl GitWorktrees {
    /// The repositories that have a mirror, or one that is being made, by name.
    pub(crate) async fn mirrors(&self) -> Result<Vec<RepositoryName>, WorktreeError> {
        let paths = entries(self.layout.repositories()).await?;
        let names = paths.iter().filter_map(|path| path.file_name()?.to_str()?.strip_suffix(".git"));
        let mut names: Vec<RepositoryName> = names.filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) async fn list_all(&self) -> Result<Vec<Found>, WorktreeError> {
        let mut paths: BTreeMap<PathBuf, Option<RepositoryName>> = BTreeMap::new();
        for folder in [self.layout.worktrees(), self.layout.checkouts()] {
            for path in entries(folder).await? {
                paths.insert(path, None);
            }
        }
        for name in self.mirrors().await? {
            let Ok(mirror) = self.mirror(&name).await else {
                // Being made; a refresh finishes it.
                continue;
            };
            for entry in mirror.worktree_list().await.map_err(git("listing worktrees"))? {
                if self.layout.reading(&entry.path).is_some() {
                    paths.insert(entry.path, Some(name.clone()));
                }
            }
            for prefix in [BASES, BRANCHES] {
                for reference in mirror.names(prefix).await.map_err(git("listing records"))? {
                    let run = reference.strip_prefix(prefix).and_then(|run| run.parse::<RunId>().ok());
                    if let Some(run) = run {
                        paths.insert(self.layout.worktree(&run), Some(name.clone()));
                    }
                }
            }
        }
        let mut all = Vec::new();
        for (path, repository) in paths {
            let Some((run, purpose)) = self.layout.reading(&path) else {
                tracing::warn!(path = %path.display(), "A folder among the worktrees belongs to no run.");
                continue;
            };
            let on_disk = tokio::fs::symlink_metadata(&path).await.is_ok();
            all.push(Found { run, purpose, repository, path, on_disk });
        }
        Ok(all)
    }
}

pub(crate) async fn entries(folder: PathBuf) -> Result<Vec<PathBuf>, WorktreeError> {
    let mut found = Vec::new();
    let mut entries = tokio::fs::read_dir(&folder).await.map_err(io("listing a folder", &folder))?;
    while let Some(entry) = entries.next_entry().await.map_err(io("listing a folder", &folder))? {
        found.push(entry.path());
    }
    Ok(found)
}
