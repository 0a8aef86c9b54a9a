//! As much Markdown as tidy needs: where links lead and which headings can be linked to. Code is not read.

/// A link's target and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// As written, without a title.
    pub(super) target: String,
    /// Counted from 1.
    pub(super) line: usize,
}

/// Inline links, images and reference definitions.
pub(super) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, prose) in prose(text) {
        let mut rest = &*prose;
        while let Some((_, after)) = rest.split_once("](") {
            let (target, left) = target(after);
            links.push(Link { target: target.to_owned(), line });
            rest = left;
        }
        let definition = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:"));
        if let Some((label, target)) = definition
            && !label.contains(']')
            && !label.starts_with('^')
        {
            let target = target.split_whitespace().next().unwrap_or_default();
            links.push(Link { target: target.trim_matches(['<', '>']).to_owned(), line });
        }
    }
    links
}

/// The names by which a text's headings are linked to, as forges and mdBook make them.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (line, prose) in prose(text) {
        let heading = prose.trim_start_matches('#');
        let level = prose.len() - heading.len();
        if (1..=6).contains(&level) && heading.starts_with(' ') {
            // What stands in code marks belongs to the heading, so it is read from the text itself.
            let whole = text.lines().nth(line - 1).unwrap_or_default();
            let base = slug(whole.trim_start_matches('#').trim());
            let count = |name: &str| anchors.iter().filter(|known| *known == name).count();
            let mut name = base.clone();
            let mut number = 0;
            while count(&name) > 0 {
                number += 1;
                name = format!("{base}-{number}");
            }
            anchors.push(name);
        }
        for mark in [" id=\"", " name=\""] {
            let names = prose.split(mark).skip(1).filter_map(|rest| rest.split_once('"'));
            anchors.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
    anchors
}

/// The lines that are not in a code block, with code marks emptied.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(opening)) => {
                fence = Some(opening);
                None
            }
            (Some(opening), closing) => {
                if closing == Some(opening) {
                    fence = None;
                }
                None
            }
            (None, None) => Some((index + 1, without_code(line))),
        }
    })
}

fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // An odd mark at the end opens nothing.
    let closed = if parts.len() % 2 == 1 { parts.len() } else { parts.len() - 1 };
    let kept = parts.iter().enumerate().filter(|(index, _)| index % 2 == 0 || *index >= closed);
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join("`")
}

/// A link's target, from the text behind its opening bracket, and what follows it.
fn target(after: &str) -> (&str, &str) {
    if let Some((target, left)) = after.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        return (target, left);
    }
    let mut depth = 0_usize;
    let end = after.find(|letter: char| {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return true,
            ')' => depth -= 1,
            _ => {}
        }
        letter.is_whitespace()
    });
    after.split_at(end.unwrap_or(after.len()))
}

fn slug(heading: &str) -> String {
    let mut plain = String::new();
    let mut rest = heading;
    // A link in a heading counts with its words alone.
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    let kept = plain.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::{anchors, links};

    #[test]
    fn links_are_read_outside_code() {
        let text = "[a](b.md \"title\") ![c](<d e.png>)\n`[no](code.md)` [f](g(1).md)\n```\n[no](fence.md)\n```\n[h]: i.md\n\
                    [^note]: not a link\n[![badge](j.svg)](k.md)\n";
        let found: Vec<_> = links(text).into_iter().map(|link| (link.line, link.target)).collect();
        let expected = [(1, "b.md"), (1, "d e.png"), (2, "g(1).md"), (6, "i.md"), (8, "j.svg"), (8, "k.md")];
        assert_eq!(found, expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn headings_are_named_as_a_forge_names_them() {
        let text = "# One, two: *three*\n## `cargo xtask` & co\n## Twice\n## Twice\n#not a heading\n```\n# nor this\n```\n\
                    <a id=\"own\"></a>\n### See [the list](x.md)\n";
        let expected = ["one-two-three", "cargo-xtask--co", "twice", "twice-1", "own", "see-the-list"];
        assert_eq!(anchors(text), expected);
    }
}
