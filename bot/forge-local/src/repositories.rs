//! Making a repository of the forge from a checkout, and taking over what the checkout has since gained.
//! Nothing is ever written to the checkout: it is a person's.

use std::{fmt, path::Path};

use qd_git::{GitError, Repo, Swap};
use qd_sqlite::DbError;
use qd_types::{CommitId, RepositoryName};

use crate::{
    LocalForge, LocalForgeError,
    local::full,
    rows::{self, repositories::Repository},
};

/// Where the checkout's target branch is put to be compared. Not a branch: nobody pushes to it.
const IMPORT: &str = "refs/quarterdeck/import";

/// What [`LocalForge::import`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The checkout has nothing that the forge has not, or there is none.
    Unchanged,
    /// The forge's target branch took over what the checkout has.
    Advanced {
        /// Where it stood; none if it was not there.
        from: Option<CommitId>,
        /// Where it stands.
        to: CommitId,
    },
    /// Each has commits that the other has not. Nothing was changed.
    Diverged {
        /// Where the forge stands.
        forge: CommitId,
        /// Where the checkout stands.
        source: CommitId,
        /// The command that puts the checkout's commits on top of the forge's; the next import takes them over.
        mend: String,
    },
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("the forge has everything that the checkout has"),
            Self::Advanced { from: Some(from), to } => {
                write!(f, "the forge went from {} to {}, as the checkout did", from.short(), to.short())
            }
            Self::Advanced { from: None, to } => write!(f, "the forge starts at {}", to.short()),
            Self::Diverged { forge, source, mend } => write!(
                f,
                "the forge stands at {} and the checkout at {}, and neither holds the other. \
                 To put the checkout's commits on top: {mend}",
                forge.short(),
                source.short()
            ),
        }
    }
}

impl LocalForge {
    /// Makes the bare repository, once: with the branches and tags of the checkout `source`, or empty. Later calls
    /// only note what is configured now. `target` is the branch that pull requests go to by default.
    pub async fn add_repository(
        &self,
        name: &RepositoryName,
        source: Option<&Path>,
        target: &str,
    ) -> Result<(), LocalForgeError> {
        let _turn = self.inner.turns.take(name.clone()).await;
        let folder = self.git_dir(name);
        if !folder.exists() {
            self.make(&folder, source, target).await?;
        }
        let row =
            Repository { name: name.clone(), target: target.to_owned(), source: source.map(Path::to_owned) };
        let write: Result<(), DbError> =
            self.inner.db.write(move |connection| Ok(rows::repositories::put(connection, &row)?)).await;
        write.map_err(|source| self.database(source))
    }

    /// In a folder beside it first: a repository that is there is whole.
    async fn make(&self, folder: &Path, source: Option<&Path>, target: &str) -> Result<(), LocalForgeError> {
        let draft = folder.with_extension("git.new");
        qd_git::folder::remove_all(&draft)
            .await
            .map_err(git("remove what an interrupted start left", &draft))?;
        let repo =
            self.inner.git.init_bare(&draft, target).await.map_err(git("make a bare repository", &draft))?;
        if let Some(source) = source {
            let refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
            fetch(&repo, source, &refspecs).await?;
            if resolve(&repo, &draft, &full(target)).await?.is_none() {
                qd_git::folder::remove_all(&draft)
                    .await
                    .map_err(git("remove an unfinished clone", &draft))?;
                return Err(LocalForgeError::NoTarget { path: source.to_owned(), target: target.to_owned() });
            }
        }
        tokio::fs::rename(&draft, folder)
            .await
            .map_err(|source| LocalForgeError::Folder { path: folder.to_owned(), source })
    }

    /// Brings the forge's target branch to where the checkout's is, if that is strictly ahead.
    pub async fn import(&self, name: &RepositoryName) -> Result<Imported, LocalForgeError> {
        let _turn = self.inner.turns.take(name.clone()).await;
        let wanted = name.clone();
        let row: Result<_, DbError> =
            self.inner.db.read(move |connection| Ok(rows::repositories::get(connection, &wanted)?)).await;
        let row = row
            .map_err(|source| self.database(source))?
            .ok_or_else(|| LocalForgeError::NoRepository(name.clone()))?;
        let (Some(source), target) = (row.source, row.target) else { return Ok(Imported::Unchanged) };

        let folder = self.git_dir(name);
        let repo = self.inner.git.open(&folder).await.map_err(git("open the repository", &folder))?;
        let Some(theirs) = take(&repo, &folder, &source, &target).await? else {
            return Err(LocalForgeError::NoTarget { path: source, target });
        };
        let ours = resolve(&repo, &folder, &full(&target)).await?;
        if let Some(ours) = &ours {
            let compare = git("compare branches", &folder);
            if repo.is_ancestor(&theirs, ours).await.map_err(&compare)? {
                return Ok(Imported::Unchanged);
            }
            if !repo.is_ancestor(ours, &theirs).await.map_err(&compare)? {
                let mend = mend(&source, &folder, &target);
                return Ok(Imported::Diverged { forge: ours.clone(), source: theirs, mend });
            }
        }
        let swap = repo.update_ref(&full(&target), &theirs, ours.as_ref()).await;
        match swap.map_err(git("move the target branch", &folder))? {
            Swap::Done => Ok(Imported::Advanced { from: ours, to: theirs }),
            // Somebody pushed to the target at this moment: the next import compares with that.
            Swap::Lost { .. } => Ok(Imported::Unchanged),
        }
    }

    fn database(&self, source: DbError) -> LocalForgeError {
        LocalForgeError::Database { path: self.inner.repos.with_file_name("forge.db"), source }
    }
}

fn git(doing: &'static str, path: &Path) -> impl Fn(GitError) -> LocalForgeError {
    let path = path.to_owned();
    move |source| LocalForgeError::Git { doing, path: path.clone(), source }
}

async fn fetch(repo: &Repo, source: &Path, refspecs: &[&str]) -> Result<(), LocalForgeError> {
    let remote = source.to_string_lossy();
    repo.fetch(&remote, refspecs, false).await.map_err(git("read the checkout", source))
}

/// Fetches the checkout's target branch, to where it can be compared.
async fn take(
    repo: &Repo,
    folder: &Path,
    source: &Path,
    target: &str,
) -> Result<Option<CommitId>, LocalForgeError> {
    let remote = source.to_string_lossy();
    let there = repo.remote_head(&remote, &full(target)).await.map_err(git("read the checkout", source))?;
    if there.is_none() {
        return Ok(None);
    }
    fetch(repo, source, &[&format!("+{}:{IMPORT}", full(target))]).await?;
    resolve(repo, folder, IMPORT).await
}

async fn resolve(repo: &Repo, folder: &Path, name: &str) -> Result<Option<CommitId>, LocalForgeError> {
    repo.resolve(name).await.map_err(git("read where a branch stands", folder))
}

/// Works wherever the checkout's HEAD is, and changes nothing but its target branch.
fn mend(source: &Path, forge: &Path, target: &str) -> String {
    let (source, forge, target) = (quoted(source), quoted(forge), quoted(Path::new(target)));
    format!("git -C {source} fetch {forge} {target} && git -C {source} rebase FETCH_HEAD {target}")
}

fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
