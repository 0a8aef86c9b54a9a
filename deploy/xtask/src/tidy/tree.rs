//! The repository's files: paths of all, texts of those that a rule reads. What git ignores is not part of it; what is
//! not committed yet is, so that tidy speaks before the commit.

use std::{collections::BTreeMap, fs};

use crate::{
    outcome::{Failure, Outcome},
    process, workspace,
};

/// Files by their path under the root, with `/` between its parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

/// What the rules read.
const READ: [&str; 3] = [".rs", ".md", "Cargo.toml"];

impl Tree {
    /// Lists the files with git and reads them.
    pub(super) fn load() -> Outcome<Self> {
        let root = workspace::root();
        let mut git = process::program("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
        let mut tree = Self::default();
        // A file that is deleted but not committed is still listed.
        let listed = process::output(&mut git)?;
        for path in listed.split('\0').filter(|path| !path.is_empty() && root.join(path).exists()) {
            let text = if READ.iter().any(|ending| path.ends_with(ending)) {
                let text = fs::read_to_string(root.join(path));
                text.map_err(|error| Failure::failed(format!("{path}:1: could not be read: {error}")))?
            } else {
                String::new()
            };
            tree.files.insert(path.to_owned(), text);
        }
        Ok(tree)
    }

    /// Every file.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Files whose names end so, with their texts.
    pub(super) fn ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(ending))
            .map(|(path, text)| (&**path, &**text))
    }

    /// One file's text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file, or a folder with files in it.
    pub(super) fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.files.contains_key(path) || self.files.keys().any(|file| is_under(file, path))
    }

    /// The line of a manifest that names a dependency, or its first line.
    pub(super) fn line_of(&self, path: &str, dependency: &str) -> usize {
        let names = |line: &str| {
            line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        let line = self.text(path).and_then(|text| text.lines().position(names));
        line.map_or(1, |index| index + 1)
    }
}

/// Whether a file is somewhere in a folder.
pub(super) fn is_under(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn a_folder_exists_when_a_file_is_in_it() {
        let tree = Tree::from([("docs/src/start.md", "")]);
        assert!(tree.exists("docs/src") && tree.exists("docs/src/start.md"));
        assert!(!tree.exists("docs/sr") && !tree.exists("docs/src/start"));
    }

    #[test]
    fn a_dependency_is_found_in_its_manifest() {
        let tree =
            Tree::from([("a/Cargo.toml", "[dependencies]\nserde_json = \"1\"\nserde.workspace = true\n")]);
        assert_eq!(tree.line_of("a/Cargo.toml", "serde"), 3);
        assert_eq!(tree.line_of("a/Cargo.toml", "serde_json"), 2);
        assert_eq!(tree.line_of("a/Cargo.toml", "tokio"), 1);
    }
}
