//! What stands in the way of working with somebody's repository, told before any work begins, with the
//! command that mends it. Not a check of a forge's address: only of a repository on this machine.

use std::path::Path;

use qd_git::{Git, GitError, Kind};

use crate::{WorktreeError, error::git};

/// Something that a repository's owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// A sentence without its end: "its history is cut short, as a shallow clone's".
    pub what: String,
    /// The command that mends it, to be run in the repository; none if it is to be lived with.
    pub mend: Option<String>,
    /// Whether nothing works before it is mended.
    pub stops: bool,
}

/// Looks at a repository on this machine. Nothing is changed.
pub async fn inspect(program: &Git, path: &Path) -> Result<Vec<Obstacle>, WorktreeError> {
    let repository = match program.open(path).await {
        Ok(repository) => repository,
        Err(GitError::Parse { .. }) => {
            return Ok(vec![stops("there is no git repository", "git init --initial-branch=main")]);
        }
        Err(source) => return Err(git("opening a repository")(source)),
    };
    let kind = repository.kind().await.map_err(git("looking at a repository"))?;
    Ok(obstacles(&kind))
}

fn stops(what: impl Into<String>, mend: impl Into<String>) -> Obstacle {
    Obstacle { what: what.into(), mend: Some(mend.into()), stops: true }
}

fn obstacles(kind: &Kind) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if let Some(format) = &kind.format {
        let export = "git init --object-format=sha1 ../with-sha1 && git fast-export --all --signed-tags=strip | \
                      git -C ../with-sha1 fast-import --quiet && git -C ../with-sha1 symbolic-ref HEAD \
                      \"$(git symbolic-ref HEAD)\"";
        found.push(stops(format!("its objects have {format} ids, which can't be read here"), export));
    }
    if kind.empty {
        found.push(stops("it has no commit", "git commit --allow-empty --message \"First commit\""));
    }
    if kind.shallow {
        found.push(stops("its history is cut short, as a shallow clone's", "git fetch --unshallow"));
    }
    if let Some(remote) = &kind.lacking {
        let mend = format!(
            "git config --unset-all remote.{remote}.partialclonefilter; git fetch --refetch {remote}"
        );
        found.push(stops("some of its objects are not here, as a partial clone's", mend));
    }
    if !kind.submodules.is_empty() {
        let what = format!(
            "it has submodules ({}): worktrees keep their pinned commits, their folders are empty, and what is \
             changed within them is not captured",
            kind.submodules.join(", ")
        );
        found.push(Obstacle { what, mend: None, stops: false });
    }
    if kind.lfs {
        let what = "some files are with git LFS: worktrees have their pointers, and their content can't be \
                    changed here";
        found.push(Obstacle { what: what.to_owned(), mend: None, stops: false });
    }
    found
}
