//! Every module says first what it is. Only the first line is checked; what it says is for a reviewer.

use super::{Violation, tree::Tree};
use crate::workspace::Package;

/// Folders of a crate whose files are modules.
const MODULES: [&str; 4] = ["src/", "tests/", "benches/", "examples/"];

/// Every module file of every member.
pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Violation> {
    let is_module = |path: &str| {
        packages.iter().any(|package| {
            let inside = path.strip_prefix(&*package.folder).and_then(|rest| rest.strip_prefix('/'));
            inside.is_some_and(|inside| MODULES.iter().any(|folder| inside.starts_with(folder)))
        })
    };
    let silent = tree.ending(".rs").filter(|(path, text)| is_module(path) && !speaks_first(text));
    silent.map(|(path, _)| violation(path)).collect()
}

fn speaks_first(text: &str) -> bool {
    let first = text.trim_start();
    first.starts_with("//!") || first.starts_with("#![doc = include_str!(")
}

fn violation(path: &str) -> Violation {
    let text = "the module does not begin with `//!`: say what it is, what it is not, and why (a crate root includes its \
                README with `#![doc = include_str!(\"../README.md\")]`)";
    Violation::new(path, 1, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::{tidy::tree::Tree, workspace::Package};

    #[test]
    fn a_module_that_does_not_say_what_it_is_is_found() {
        let package = Package {
            name: "qd-a".to_owned(),
            folder: "a".to_owned(),
            dependencies: vec![],
            features: vec![],
            tests: vec![],
        };
        let tree = Tree::from([
            ("a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\nmod b;"),
            ("a/src/b.rs", "\n//! Says it.\n"),
            ("a/src/c.rs", "use std::fs;\n//! Too late.\n"),
            ("a/src/d.rs", "// Not a docstring.\n"),
            ("a/tests/e.rs", "#[test]\nfn silent() {}\n"),
            ("a/sample/src/main.rs", "fn main() {}\n"),
        ]);
        let found: Vec<_> = check(&[package], &tree).into_iter().map(|violation| violation.path).collect();
        assert_eq!(found, ["a/src/c.rs", "a/src/d.rs", "a/tests/e.rs"]);
    }
}
