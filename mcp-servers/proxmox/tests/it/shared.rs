//! The reference data: in `../shared/proxmox` beside this repository, or where `QUARTERDECK_PROXMOX` says. It is not part
//! of the repository: its licence is another.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// A file of it. Where the folder is not, this says so, and there is nothing to test; CI has to have it.
pub(crate) fn reference(file: &str) -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/proxmox");
    let folder = std::env::var_os("QUARTERDECK_PROXMOX").map_or_else(beside, PathBuf::from);
    let path = folder.join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "CI sets QUARTERDECK_PROXMOX to the folder with {file}");
        eprintln!("skipped: no {}; say with QUARTERDECK_PROXMOX where the reference data is", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}
