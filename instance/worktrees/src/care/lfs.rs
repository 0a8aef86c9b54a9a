//! Git LFS: its files are pointers here, since no filter of anybody's configuration is ever run. A file that
//! belongs to it and is no pointer must not be committed: others could not check it out.

use std::path::Path;

use qd_git::{Change, Repo, TreeId};
use qd_types::CommitId;

use crate::{
    WorktreeError,
    error::{git, io},
};

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The largest pointer that git LFS itself reads.
const LARGEST: u64 = 1024;

/// Refuses content where a pointer has to be. Costs one read where the root's attributes don't name LFS.
pub(crate) async fn refuse_content(
    mirror: &Repo,
    folder: &Path,
    base: &CommitId,
    now: &TreeId,
) -> Result<(), WorktreeError> {
    let attributes = tokio::fs::read(folder.join(".gitattributes")).await.unwrap_or_default();
    if !String::from_utf8_lossy(&attributes).contains("filter=lfs") {
        return Ok(());
    }
    let what = "looking for content that belongs to git LFS";
    let files = mirror.changed_files(base, now).await.map_err(git(what))?;
    let there = files.into_iter().filter(|file| file.change != Change::Deleted);
    let paths: Vec<String> = there.map(|file| file.path).collect();
    for path in mirror.filtered(folder, &paths, "lfs").await.map_err(git(what))? {
        let file = folder.join(&path);
        let about = tokio::fs::symlink_metadata(&file).await.map_err(io(what, &file))?;
        let small = about.is_file() && about.len() <= LARGEST;
        let pointer = !about.is_file()
            || about.len() == 0
            || (small && tokio::fs::read(&file).await.map_err(io(what, &file))?.starts_with(POINTER));
        if !pointer {
            return Err(WorktreeError::NoPointer { path });
        }
    }
    Ok(())
}
