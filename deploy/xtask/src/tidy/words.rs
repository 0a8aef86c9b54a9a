//! Words that may not stand in code, or only in few places. Comments, strings and tests are left alone.

use super::{
    Violation,
    mask::{code_only, without_tests},
    tree::{Tree, is_under},
};

/// Unfinished work.
const UNFINISHED: [&str; 2] = ["todo!", "unimplemented!"];

/// The only way to make a proof that a grant was spent.
const SPENDING: &str = "SpentGrant::committed";

/// Where a grant is spent: in the approvals' store, after the transaction that says so, and in the contract tests'
/// own kit. A path that ends with `/` stands for everything in it.
const SPENDERS: [&str; 3] =
    ["policies/types/src/grant.rs", "policies/approvals/src/spend.rs", "bot/testkit/"];

/// Every Rust file.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.ending(".rs").flat_map(|(path, text)| in_file(path, text)).collect()
}

fn in_file(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    let mut violations = Vec::new();
    if !may_spend(path) {
        violations.extend(lines_with(&code, SPENDING).map(|line| {
            let text = format!(
                "{SPENDING} makes a proof that a grant was spent, and only the approvals' store knows that: take a \
                 SpentGrant as an argument (the list is in deploy/xtask/src/tidy/words.rs)"
            );
            Violation::new(path, line, text)
        }));
    }
    if !is_test(path) {
        let code = without_tests(&code);
        for word in UNFINISHED {
            violations.extend(lines_with(&code, word).map(|line| {
                let text = format!("{word} is unfinished work: finish it, or leave out what calls it");
                Violation::new(path, line, text)
            }));
        }
    }
    violations
}

fn may_spend(path: &str) -> bool {
    SPENDERS.iter().any(|place| match place.strip_suffix('/') {
        Some(folder) => is_under(path, folder),
        None => path == *place,
    })
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Numbers of the lines that hold a word which is not the end of a longer one.
fn lines_with<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let holds = move |line: &str| {
        line.match_indices(word).any(|(index, _)| {
            let before = line.get(..index).and_then(|before| before.chars().next_back());
            !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
        })
    };
    code.lines().enumerate().filter(move |(_, line)| holds(line)).map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::in_file;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        in_file(path, text).into_iter().map(|violation| (violation.line, violation.text)).collect()
    }

    #[test]
    fn unfinished_work_is_found_outside_tests() {
        let text = "//! todo! in a comment\nfn a() {\n    todo!(\"later\")\n}\nconst B: &str = \"unimplemented!\";\n\
                    #[cfg(test)]\nmod tests {\n    fn c() { unimplemented!() }\n}\nfn d() { unimplemented!() }\n";
        let lines: Vec<_> = found("a/src/b.rs", text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [3, 10]);
        assert_eq!(found("a/tests/b.rs", text), []);
        assert_eq!(found("a/src/c.rs", "my_todo!();"), []);
    }

    #[test]
    fn a_grant_is_spent_in_the_approvals_store_alone() {
        let text = "fn merge(grant: Grant) {\n    go(SpentGrant::committed(grant));\n}\n";
        let elsewhere = found("bot/forge-local/src/merge.rs", text);
        assert_eq!(elsewhere.len(), 1);
        assert_eq!(elsewhere[0].0, 2);
        assert_eq!(
            found("instance/team/tests/merge.rs", text).len(),
            1,
            "a test outside the kit may not either"
        );
        assert_eq!(found("policies/approvals/src/spend.rs", text), []);
        assert_eq!(found("bot/hub/src/keeper.rs", text).len(), 1);
        assert_eq!(found("bot/testkit/src/forge.rs", text), []);
    }
}
