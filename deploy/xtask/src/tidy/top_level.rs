//! What lies at the top of the repository. A stranger's first look is this list, so it stays short.

use super::{Violation, tree::Tree};

/// What must be there.
const REQUIRED: [&str; 14] = [
    "Cargo.toml",
    "Cargo.lock",
    "bot",
    "instance",
    "policies",
    "deploy",
    "docs",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "clippy.toml",
    "rustfmt.toml",
    "deny.toml",
    "rust-toolchain.toml",
];

/// What may be there besides, with dot-files.
const ALLOWED: [&str; 1] = ["mcp-servers"];

/// The top level against the list. What git ignores (`target`) is not in the tree.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut tops: Vec<&str> = tree.paths().map(|path| path.split('/').next().unwrap_or(path)).collect();
    tops.dedup();
    let is_known = |top: &&str| top.starts_with('.') || REQUIRED.contains(top) || ALLOWED.contains(top);
    let strangers = tops.iter().filter(|top| !is_known(top)).map(|top| {
        let text = "does not belong at the top level: move it into the folder that it is about (the list is in \
                    deploy/xtask/src/tidy/top_level.rs)";
        Violation::new(top, 1, text.to_owned())
    });
    let missing = REQUIRED.iter().filter(|required| !tops.contains(required)).map(|required| {
        let text = "is missing at the top level (the list is in deploy/xtask/src/tidy/top_level.rs)";
        Violation::new(required, 1, text.to_owned())
    });
    strangers.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn a_stranger_and_a_gap_are_found() {
        let tree = Tree::from([
            (".gitignore", ""),
            ("CHANGELOG.md", ""),
            ("Cargo.lock", ""),
            ("Cargo.toml", ""),
            ("README.md", ""),
            ("bot/core/Cargo.toml", ""),
            ("clippy.toml", ""),
            ("deny.toml", ""),
            ("deploy/xtask/Cargo.toml", ""),
            ("docs/book.toml", ""),
            ("instance/board/Cargo.toml", ""),
            ("notes.txt", ""),
            ("policies/types/Cargo.toml", ""),
            ("rust-toolchain.toml", ""),
            ("rustfmt.toml", ""),
            ("scripts/run.sh", ""),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|violation| violation.path).collect();
        assert_eq!(found, ["notes.txt", "scripts", "LICENSE"]);
    }
}
