//! How long a file may be. A file over 600 lines has a reason, and the reason is written here.

use super::{Violation, tree::Tree};

/// A file that nobody wants to read to its end is split before it gets there.
const MOST_LINES: usize = 600;

/// Longer files, each with the reason why it stays in one piece.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Every Rust file, and every exception that is one no more.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    against(EXCEPTIONS, tree)
}

fn against(exceptions: &[(&str, &str)], tree: &Tree) -> Vec<Violation> {
    let is_excepted = |path: &str| exceptions.iter().any(|(excepted, _)| *excepted == path);
    let is_long = |text: &str| text.lines().count() > MOST_LINES;
    let long =
        tree.ending(".rs").filter(|(path, text)| is_long(text) && !is_excepted(path)).map(|(path, text)| {
            let text = format!(
                "{} lines are more than {MOST_LINES}: split the file by concern, or give the reason in \
             deploy/xtask/src/tidy/length.rs",
                text.lines().count()
            );
            Violation::new(path, MOST_LINES + 1, text)
        });
    let stale =
        exceptions.iter().filter(|(path, _)| !tree.text(path).is_some_and(is_long)).map(|(path, _)| {
            let text = format!(
                "is not over {MOST_LINES} lines any more: take it off deploy/xtask/src/tidy/length.rs"
            );
            Violation::new(path, 1, text)
        });
    long.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::against;
    use crate::tidy::tree::Tree;

    #[test]
    fn a_long_file_without_a_reason_is_found_and_a_reason_without_a_long_file_too() {
        let (long, short) = ("//\n".repeat(601), "//\n".repeat(600));
        let tree =
            Tree::from([("a/src/long.rs", &*long), ("a/src/table.rs", &*long), ("a/src/short.rs", &*short)]);
        let exceptions = [("a/src/table.rs", "one table"), ("a/src/short.rs", "was long once")];
        let found: Vec<_> = against(&exceptions, &tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a/src/long.rs:601: 601 lines are more than 600: split the file by concern, or give the reason in \
                 deploy/xtask/src/tidy/length.rs",
                "a/src/short.rs:1: is not over 600 lines any more: take it off deploy/xtask/src/tidy/length.rs",
            ]
        );
    }
}
