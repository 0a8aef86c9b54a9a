//! The rules of this code base that a compiler does not check. Each rule is a pure function over the tree's paths and
//! texts or over what the manifests declare; tables of what is allowed stand first in their files.

mod edges;
mod length;
mod links;
mod markdown;
mod mask;
mod module_docs;
mod top_level;
mod tree;
mod vendors;
mod words;

use std::fmt;

use crate::{
    outcome::{Failure, Outcome},
    workspace::Workspace,
};
use tree::Tree;

/// Something that is not as it should be, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    text: String,
}

impl Violation {
    fn new(path: &str, line: usize, text: String) -> Self {
        Self { path: path.to_owned(), line, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run() -> Outcome {
    let workspace = Workspace::load()?;
    let tree = Tree::load()?;
    let mut violations = check(&workspace, &tree);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    let files = tree.paths().count();
    match violations.len() {
        0 => {
            println!("tidy: {} crates and {files} files are in order.", workspace.packages.len());
            Ok(())
        }
        1 => Err(Failure::failed("tidy: one thing is not in order.")),
        count => Err(Failure::failed(format!("tidy: {count} things are not in order."))),
    }
}

fn check(workspace: &Workspace, tree: &Tree) -> Vec<Violation> {
    let mut violations = edges::check(&workspace.packages, tree);
    violations.extend(vendors::check(&workspace.packages, tree));
    violations.extend(module_docs::check(&workspace.packages, tree));
    violations.extend(length::check(tree));
    violations.extend(links::check(tree));
    violations.extend(top_level::check(tree));
    violations.extend(words::check(tree));
    violations
}
