//! The worktree as agents may see it through us: files below it, without symbolic links, without git's own folder. Agents
//! call this also if it was not offered to them.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

/// Longest file that is read or written, in bytes.
const CAP: u64 = 16 * 1024 * 1024;

/// Why a file is not read or written. The text goes to the agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The path leads elsewhere.
    #[error("{0} is not a file in the worktree: only those are read and written")]
    Outside(String),
    /// It is no plain file.
    #[error("{0} is not a plain file with one name")]
    Odd(String),
    /// It is too large.
    #[error("{0} has more than {CAP} bytes")]
    Large(String),
    /// It is not text.
    #[error("{0} is not UTF-8 text")]
    Text(String),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// The path without `.` and `..`, as far as that can be said without looking.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// Whether a path is in the worktree as the system would follow it, symbolic links and `..` included, and not in git's own
/// folder. What can't be found out is outside.
pub(super) fn is_inside(tree: &Path, path: &Path) -> bool {
    let Ok(real_tree) = tree.canonicalize() else { return false };
    let mut there = path;
    loop {
        match there.symlink_metadata() {
            Ok(_) => {
                let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) else {
                    return false;
                };
                let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
                return plain && real.join(rest).strip_prefix(&real_tree).is_ok_and(|rest| !is_git(rest));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match there.parent() {
                Some(parent) => there = parent,
                None => return false,
            },
            Err(_) => return false,
        }
    }
}

fn is_git(rest: &Path) -> bool {
    rest.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git"))
}

/// The names from the worktree to a file, or an error if there is no such way.
fn names<'a>(tree: &Path, path: &'a Path) -> Result<Vec<&'a std::ffi::OsStr>, FileError> {
    let outside = || FileError::Outside(path.display().to_string());
    // Agents may know the worktree by its real path.
    let real_tree = tree.canonicalize().map_err(|_| outside())?;
    let rest = path.strip_prefix(tree).or_else(|_| path.strip_prefix(real_tree)).map_err(|_| outside())?;
    let names = rest.components().map(|part| match part {
        Component::Normal(name) if !name.eq_ignore_ascii_case(".git") => Ok(name),
        _ => Err(outside()),
    });
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    if names.is_empty() { Err(outside()) } else { Ok(names) }
}

/// Opens a file step by step from the worktree down; no step follows a symbolic link.
fn open(tree: &Path, path: &Path, write: bool) -> Result<File, FileError> {
    let shown = path.display().to_string();
    let failed = |error: rustix::io::Errno| match error {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => FileError::Outside(shown.clone()),
        error => FileError::Io { path: shown.clone(), source: error.into() },
    };
    let folder = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let names = names(tree, path)?;
    let (name, folders) = names.split_last().ok_or_else(|| FileError::Outside(shown.clone()))?;
    let root = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at: OwnedFd = openat(CWD, tree, root, Mode::empty()).map_err(failed)?;
    for name in folders {
        if write
            && let Err(error) = mkdirat(&at, *name, Mode::from_raw_mode(0o777))
            && error != rustix::io::Errno::EXIST
        {
            return Err(failed(error));
        }
        at = openat(&at, *name, folder, Mode::empty()).map_err(failed)?;
    }
    // A pipe would wait for its other end.
    let plain = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = if write { plain | OFlags::WRONLY | OFlags::CREATE } else { plain | OFlags::RDONLY };
    let file = File::from(openat(&at, *name, flags, Mode::from_raw_mode(0o666)).map_err(failed)?);
    let about = file.metadata().map_err(|source| FileError::Io { path: shown.clone(), source })?;
    // A second name may stand outside of the worktree.
    if !about.is_file() || (write && about.nlink() > 1) {
        return Err(FileError::Odd(shown));
    }
    if about.len() > CAP && !write {
        return Err(FileError::Large(shown));
    }
    Ok(file)
}

/// Reads a text file, or `limit` lines of it from line `from` on (counted from 1).
pub(super) fn read(
    tree: &Path,
    path: &Path,
    from: Option<u32>,
    limit: Option<u32>,
) -> Result<String, FileError> {
    let shown = || path.display().to_string();
    let mut text = String::new();
    open(tree, path, false)?.take(CAP).read_to_string(&mut text).map_err(|source| {
        if source.kind() == io::ErrorKind::InvalidData {
            FileError::Text(shown())
        } else {
            FileError::Io { path: shown(), source }
        }
    })?;
    if from.is_none() && limit.is_none() {
        return Ok(text);
    }
    let skip = from.unwrap_or(1).saturating_sub(1) as usize;
    let count = limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(text.split_inclusive('\n').skip(skip).take(count).collect())
}

/// Writes a text file as a whole. Its folders are made.
pub(super) fn write(tree: &Path, path: &Path, text: &str) -> Result<(), FileError> {
    if text.len() as u64 > CAP {
        return Err(FileError::Large(path.display().to_string()));
    }
    let mut file = open(tree, path, true)?;
    let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(|source| FileError::Io { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::TempDir::new().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        (dir, tree)
    }

    #[test]
    fn files_in_the_worktree_are_read_and_written() {
        let (dir, tree) = tree();
        let path = tree.join("a/b/c.txt");
        write(&tree, &path, "a longer text").unwrap();
        write(&tree, &path, "1\n2\n3\n4").unwrap();
        assert_eq!(read(&tree, &path, None, None).unwrap(), "1\n2\n3\n4");
        assert_eq!(read(&tree, &path, Some(2), Some(2)).unwrap(), "2\n3\n");
        assert_eq!(read(&tree, &path, Some(4), None).unwrap(), "4");
        assert!(is_inside(&tree, &path) && is_inside(&tree, &tree.join("new/file")));
        symlink(&tree, dir.path().join("alias")).unwrap();
        let alias = dir.path().join("alias");
        assert!(is_inside(&alias, &path) && is_inside(&tree, &alias.join("new")));
        assert_eq!(read(&alias, &path, Some(4), None).unwrap(), "4");
    }

    #[test]
    fn nothing_leads_out() {
        let (dir, tree) = tree();
        symlink(dir.path(), tree.join("out")).unwrap();
        symlink(dir.path().join("secret"), tree.join("link")).unwrap();
        symlink(dir.path().join("not-there"), tree.join("dangling")).unwrap();
        fs::hard_link(dir.path().join("secret"), tree.join("hard")).unwrap();
        let outside =
            ["out/secret", "out/new", "link", "dangling", ".git/config", "a/.GIT/hooks/x", "../secret", ""];
        for name in outside {
            let path = tree.join(name);
            assert!(matches!(write(&tree, &path, "x"), Err(FileError::Outside(_))), "{name}");
            assert!(matches!(read(&tree, &path, None, None), Err(FileError::Outside(_))), "{name}");
            assert!(name.is_empty() || !is_inside(&tree, &path), "{name}");
        }
        assert!(matches!(write(&tree, &dir.path().join("secret"), "x"), Err(FileError::Outside(_))));
        assert!(matches!(write(&tree, &tree.join("hard"), "x"), Err(FileError::Odd(_))));
        assert!(matches!(write(&tree, &tree.join("out"), "x"), Err(FileError::Outside(_))));
        fs::create_dir_all(dir.path().join("other/deep")).unwrap();
        symlink(dir.path().join("other/deep"), tree.join("deep")).unwrap();
        assert!(!is_inside(&tree, &tree.join("deep/../x")) && !is_inside(&tree, &tree.join("new/../../x")));
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn odd_files_hold_nobody_up() {
        let (_dir, tree) = tree();
        let pipe = tree.join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(write(&tree, &pipe, "x").is_err());
        assert!(matches!(read(&tree, &pipe, None, None), Err(FileError::Odd(_))));
        fs::write(tree.join("bytes"), [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&tree, &tree.join("bytes"), None, None), Err(FileError::Text(_))));
    }
}
