//! Links between Markdown files: the file must be there, and so must the heading. Links to the web are not followed:
//! tidy needs no network.

use super::{Violation, markdown, tree::Tree};

/// Every relative link of every Markdown file.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".md") {
        for link in markdown::links(text) {
            if let Some(problem) = problem(tree, path, text, &link.target) {
                violations.push(Violation::new(path, link.line, problem));
            }
        }
    }
    violations
}

fn problem(tree: &Tree, from: &str, own_text: &str, target: &str) -> Option<String> {
    if is_elsewhere(target) {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let Some(path) = resolve(from, file) else {
        return Some(format!("the link {target} leaves the repository: link to what is in it"));
    };
    if !file.is_empty() && !tree.exists(&path) {
        return Some(format!(
            "the link {target} leads to {path}, which is not there: correct it or take it out"
        ));
    }
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    let text = if file.is_empty() { own_text } else { tree.text(&path).filter(|_| path.ends_with(".md"))? };
    if markdown::anchors(text).iter().any(|known| known == anchor) {
        return None;
    }
    Some(format!("the link {target} leads to a heading that {path} does not have: correct it or take it out"))
}

/// Links that are not paths: the web, mail, and the paths of Rust items in a crate's README.
fn is_elsewhere(target: &str) -> bool {
    target.is_empty()
        || target.contains("::")
        || target.split_once(':').is_some_and(|(scheme, _)| {
            scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '+' || letter == '-')
        })
}

/// A link's path under the root. A leading `/` is the root, as it is for forges.
fn resolve(from: &str, file: &str) -> Option<String> {
    if file.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if file.starts_with('/') {
        parts.clear();
    }
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        let tree = Tree::from([
            (
                "README.md",
                "# Title\n\n[ok](docs/a.md#two-words) [gone](docs/b.md)\n\n[web](https://example.org/x.md)\n",
            ),
            (
                "docs/a.md",
                "# Two *words*\n\n[up](../README.md#title) [own](#two-words) [bad](#three-words)\n[far](../../x)\n",
            ),
            (
                "docs/c.md",
                "[folder](../docs) [item](crate::Item) [top](/README.md#other)\n\n[ref]: ./gone.md\n",
            ),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "README.md:3: the link docs/b.md leads to docs/b.md, which is not there: correct it or take it out",
                "docs/a.md:3: the link #three-words leads to a heading that docs/a.md does not have: correct it or take \
                 it out",
                "docs/a.md:4: the link ../../x leaves the repository: link to what is in it",
                "docs/c.md:1: the link /README.md#other leads to a heading that README.md does not have: correct it or \
                 take it out",
                "docs/c.md:3: the link ./gone.md leads to docs/gone.md, which is not there: correct it or take it out",
            ]
        );
    }
}
