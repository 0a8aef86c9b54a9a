//! Which folders of a home may be written when some within it may not. Landlock can only allow, so everything beside the
//! way to them is allowed, entry by entry; what is made later right beside that way is not.

use std::path::{Path, PathBuf};

/// Everything in `root` but what is in `sealed`, and the folders on the way to it.
pub fn beside(root: &Path, sealed: &[PathBuf]) -> Vec<PathBuf> {
    let within: Vec<&PathBuf> = sealed.iter().filter(|path| path.starts_with(root)).collect();
    if within.is_empty() {
        return vec![root.to_owned()];
    }
    if within.iter().any(|path| path.as_path() == root) {
        return Vec::new();
    }
    // A folder that can't be listed has nothing that could be allowed.
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut allowed: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .flat_map(|entry| {
            let path = entry.path();
            if within.iter().any(|sealed| sealed.starts_with(&path)) {
                beside(&path, sealed)
            } else {
                vec![path]
            }
        })
        .collect();
    allowed.sort();
    allowed
}

/// Devices that every program writes to.
pub fn devices() -> Vec<PathBuf> {
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm"]
        .into_iter()
        .map(PathBuf::from)
        .collect()
}
