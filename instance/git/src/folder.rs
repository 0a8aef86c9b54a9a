//! Folders that resist: removing trees with read-only parts, and the one true name of a path that may not
//! exist yet. Not a general file library.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::GitError;

/// Removes a folder, or whatever stands in its place, with all that is in it. Symbolic links are removed,
/// not followed. Read-only folders, as package caches leave them, are made writable. Nothing there is fine.
pub async fn remove_all(path: &Path) -> Result<(), GitError> {
    let target = path.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_now(&target)).await;
    removed
        .unwrap_or_else(|lost| Err(io::Error::other(lost)))
        .map_err(GitError::io("removing a folder", path))
}

fn remove_now(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(about) if !about.is_dir() => return gone(fs::remove_file(path)),
        Ok(_) => {}
    }
    match gone(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            gone(fs::remove_dir_all(path))
        }
        other => other,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// The absolute path without symbolic links, also where the last part does not exist.
pub(crate) fn real(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// Whether a folder itself stands there, and not a symbolic link to one.
pub(crate) async fn is_folder(path: &Path) -> bool {
    tokio::fs::symlink_metadata(path).await.is_ok_and(|about| about.is_dir())
}

/// The text of a small file, trimmed; none if it is not there or not text.
pub(crate) async fn line_of(path: &Path) -> Option<String> {
    tokio::fs::read_to_string(path).await.ok().map(|text| text.trim().to_owned())
}
