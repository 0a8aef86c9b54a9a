//! Check-outs of our own: a commit's files put into a folder on several threads, and the index that git itself
//! would have written. Not a second git: what is not done byte for byte as git does it is [`Unfit`], and is
//! left to git's own check-out.
//!
//! One operation does all: [`Repo::restore`] makes a folder equal to a commit. An empty folder is filled; one
//! that was used before keeps the files that are known to be right.
//!
//! # How a file is known to be right
//! An agent may have worked in the folder. It may set modification times as it likes, it may write the
//! worktree's own index, and a file of the same size with the same time is no proof of anything. So neither is
//! asked. When a folder was filled, a *record* was written to a place that agents don't see: for each file its
//! content's id, device, inode, size, and the times of last modification and of last *change*. No call sets
//! the change time (`ctime`): writing, truncating, renaming, linking, and setting modes, owners, attributes or
//! times all move it to now. A file is kept only if all of these are as on record; every other file is
//! removed and written anew, as a new inode, so that an old handle or hard link to it reaches nothing.
//! Whoever may set the system's clock or write to the disk itself could get around this; such a one owns the
//! machine.
//!
//! A file that changed in the same tick of the clock in which the record was taken would look alike before and
//! after. As in git's own index ("racily clean"), such entries are blanked when the record is written, so
//! these few files are always written anew.
//!
//! Folders are entered by their handle and never through a symbolic link, so nothing outside can be reached.

mod fit;
mod index;
mod place;
mod plan;
mod sync;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use qd_types::CommitId;

use crate::{GitError, Repo};

/// Why a check-out is left to git, or a used folder is not used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Unfit {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    fn io<'a>(what: &'a str, path: &'a [u8]) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self(format!("{what} {:?}: {error}", String::from_utf8_lossy(path)))
    }
}

/// What a folder is made equal to, and what is known of it.
#[derive(Debug, Clone)]
pub struct Restore<'a> {
    /// The folder, which is there. A `.git` in it is left alone.
    pub folder: &'a Path,
    /// The commit whose files it shall have.
    pub commit: &'a CommitId,
    /// The record from when it was last restored. Without one, nothing in it is trusted.
    pub record: Option<&'a Path>,
    /// What of the files that the commit does not have may stay: paths within the folder.
    pub keep: &'a [PathBuf],
    /// Where the new record goes, if one is wanted.
    pub new_record: Option<&'a Path>,
}

/// An index as git writes it, of a folder that was restored.
#[derive(Debug)]
pub struct FreshIndex(Vec<u8>);

impl FreshIndex {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Repo {
    /// Makes a folder equal to a commit: what is missing or may have changed is written, what the commit does
    /// not have is removed. May be repeated after a crash, with the same record. Says why if it can't be done
    /// exactly; then the folder is in an undefined state.
    pub async fn restore(&self, restore: &Restore<'_>) -> Result<FreshIndex, Unfit> {
        let git = self.folder().to_owned();
        let (folder, commit) = (restore.folder.to_owned(), restore.commit.clone());
        let (record, keep) = (restore.record.map(Path::to_owned), restore.keep.to_vec());
        let new_record = restore.new_record.map(Path::to_owned);
        let work = move || {
            let objects = fit::objects(&git)?;
            let plan = plan::Plan::read(&objects, &commit)?;
            let known = record.as_deref().map(index::Record::read).transpose()?;
            let stats = sync::sync(&objects, &plan, known.as_ref(), &folder, &keep)?;
            if let Some(path) = &new_record {
                index::write_record(path, &plan, &stats)?;
            }
            Ok(FreshIndex(index::encode(&plan, &stats)))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|lost| Err(Unfit::new(lost.to_string())))
    }
}

/// Empties a folder but for its `.git`.
pub(crate) async fn clear(folder: &Path) -> Result<(), GitError> {
    let what = "emptying a folder";
    let entries = fs::read_dir(folder).map_err(GitError::io(what, folder))?;
    for entry in entries {
        let entry = entry.map_err(GitError::io(what, folder))?;
        if entry.file_name() != ".git" {
            crate::folder::remove_all(&entry.path()).await?;
        }
    }
    Ok(())
}
