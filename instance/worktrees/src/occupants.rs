//! Which process stands in a folder, read from Linux's `/proc`. Elsewhere nobody is ever found. Processes of
//! other users that may not be looked at are not found either.

use std::path::{Path, PathBuf};

/// A process whose current folder is within a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// The process.
    pub pid: i32,
    /// Its name, as the kernel keeps it.
    pub command: String,
    /// Where it stands.
    pub folder: PathBuf,
}

/// The first process found within one of these folders.
pub async fn occupant(folders: &[PathBuf]) -> Option<Occupant> {
    let folders: Vec<PathBuf> = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    if folders.is_empty() {
        return None;
    }
    tokio::task::spawn_blocking(move || look(&folders)).await.ok().flatten()
}

fn look(folders: &[PathBuf]) -> Option<Occupant> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let folder = std::fs::read_link(entry.path().join("cwd")).ok()?;
        folders.iter().any(|within| folder.starts_with(within)).then(|| Occupant {
            pid,
            command: name_of(&entry.path()),
            folder,
        })
    })
}

fn name_of(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    if name.trim().is_empty() { "without a name".to_owned() } else { name.trim().to_owned() }
}
