//! The key of a check's result: everything that could make the same check say something else. What is not in it must
//! not matter: a result is taken over only if all of it is the same.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use qd_agents::CheckSpec;
use qd_types::RepositoryName;
use sha2::{Digest as _, Sha256};

/// Tools that checks commonly call; a change of any of them makes all results stale.
const TOOLS: [&str; 22] = [
    "sh", "cargo", "rustc", "rustup", "node", "npm", "pnpm", "yarn", "bun", "deno", "python3", "uv",
    "pytest", "go", "java", "mvn", "gradle", "ruby", "bundle", "make", "cmake", "cc",
];

/// Changes when the way in which checks are run changes.
const FORMAT: &str = "1";

/// The key: repository, tree, command, time limit, environment and toolchain.
pub(super) fn key(repository: &RepositoryName, tree: &str, check: &CheckSpec) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    for part in [FORMAT, repository.as_str(), tree, &check.name, &check.command] {
        add(part.as_bytes());
    }
    add(&check.limit.as_secs().to_le_bytes());
    for name in qd_agents::check_environment(check) {
        add(name.as_bytes());
        add(std::env::var_os(&name).unwrap_or_default().as_encoded_bytes());
    }
    for tool in toolchain() {
        add(tool.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each tool that is found, with what changes when it is replaced. Its version is not asked for: that would start it.
fn toolchain() -> BTreeSet<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    TOOLS.iter().filter_map(|tool| folders.iter().find_map(|folder| identity(&folder.join(tool)))).collect()
}

fn identity(program: &Path) -> Option<String> {
    let real = program.canonicalize().ok()?;
    let about = real.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(format!("{}:{}:{}:{}", program.display(), real.display(), about.len(), about.mtime()))
}
