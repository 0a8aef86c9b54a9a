//! Commands in comments. A line of a comment's own text that begins with `/qd`, with `@` and the App's name, or with `/approve`
//! and `/deny`, up to the end of its paragraph. What stands in code, in quotes, in lists, in links or in HTML is no command:
//! it is shown, not said.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Longest command, in bytes.
const LONGEST: usize = 4000;
/// Commands of one comment that are looked at.
const MOST: usize = 8;

/// What introduces a command and is no part of it.
const NAMES: [&str; 2] = ["/qd", "@quarterdeck"];
/// What introduces a command and is its first word.
const VERBS: [&str; 2] = ["/approve", "/deny"];

/// The commands in a comment, without what they are introduced by. `app` is the App's name, without `[bot]`.
pub fn commands(body: &str, app: &str) -> Vec<String> {
    let mention = format!("@{}", app.trim_end_matches("[bot]"));
    // Each of these ends a line (CommonMark 2.1).
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut found = Vec::new();
    for paragraph in paragraphs(&body) {
        for line in paragraph {
            match introduced(&line.text, &mention) {
                Some(text) if line.spoken => found.push(text.to_owned()),
                _ => {
                    // It goes on with what was begun, if something was.
                    if let Some(last) = found.last_mut().filter(|_| line.goes_on) {
                        last.push('\n');
                        last.push_str(&line.text);
                    }
                }
            }
        }
    }
    found.retain(|text| text.len() <= LONGEST);
    found.truncate(MOST);
    for text in &mut found {
        *text = text.trim().to_owned();
    }
    found
}

/// A line of a paragraph.
struct Line {
    text: String,
    /// Its first letter is plain text of the paragraph: not in code, a link, emphasis or HTML.
    spoken: bool,
    /// It comes after a command in the same paragraph.
    goes_on: bool,
}

/// The paragraphs that stand for themselves, by their lines.
fn paragraphs(body: &str) -> Vec<Vec<Line>> {
    let mut all = Vec::new();
    // How deep in other blocks, and in other inline elements; the plain parts of the paragraph that is open.
    let (mut blocks, mut inlines) = (0_usize, 0_usize);
    let mut open: Option<Vec<std::ops::Range<usize>>> = None;
    // Tables, footnotes and the like are blocks as on GitHub, so that what is in them is no paragraph.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Paragraph) if blocks == 0 => {
                (open, inlines) = (Some(Vec::new()), 0);
            }
            Event::End(TagEnd::Paragraph) if blocks == 0 => {
                if let Some(plain) = open.take() {
                    all.push(lines(body, &range, &plain));
                }
            }
            Event::Start(_) if open.is_some() => inlines += 1,
            Event::End(_) if open.is_some() => inlines = inlines.saturating_sub(1),
            Event::Start(_) => blocks += 1,
            Event::End(_) => blocks = blocks.saturating_sub(1),
            Event::Text(_) if inlines == 0 => {
                if let Some(plain) = &mut open {
                    plain.push(range);
                }
            }
            _ => {}
        }
    }
    all
}

fn lines(body: &str, range: &std::ops::Range<usize>, plain: &[std::ops::Range<usize>]) -> Vec<Line> {
    let mut at = range.start;
    let mut lines: Vec<Line> = Vec::new();
    for text in body.get(range.clone()).unwrap_or_default().split_inclusive('\n') {
        let begins = at + (text.len() - text.trim_start().len());
        at += text.len();
        let spoken = plain.iter().any(|part| part.contains(&begins));
        let goes_on = !lines.is_empty();
        lines.push(Line { text: text.trim().to_owned(), spoken, goes_on });
    }
    lines
}

/// The command, if the line introduces one.
fn introduced<'a>(line: &'a str, mention: &str) -> Option<&'a str> {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let is = |name: &str| first.eq_ignore_ascii_case(name);
    if NAMES.into_iter().any(is) || (mention.len() > 1 && is(mention)) {
        return Some(rest.trim());
    }
    VERBS.into_iter().any(is).then(|| line.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Vec<String> {
        commands(body, "ship-it[bot]")
    }

    #[test]
    fn a_line_that_is_addressed_to_the_bot_is_a_command() {
        assert_eq!(of("/qd status"), ["status"]);
        assert_eq!(of("@ship-it approve 01ARZ3NDEK"), ["approve 01ARZ3NDEK"]);
        assert_eq!(of("@Ship-It board"), ["board"]);
        assert_eq!(of("@quarterdeck board"), ["board"]);
        assert_eq!(of("Looks good.\r\n/approve 01ARZ3\r\n\r\nThanks"), ["approve 01ARZ3"]);
        assert_eq!(of("/deny 01ARZ3 it drops\na table"), ["deny 01ARZ3 it drops\na table"]);
        assert_eq!(of("/qd"), [""]);
        assert_eq!(of("/qd board\n\n/qd status"), ["board", "status"]);
        assert_eq!(of("/qd board\n/qd status"), ["board", "status"]);
    }

    #[test]
    fn what_is_shown_is_not_said() {
        for shown in [
            "```\n/approve 01ARZ3\n```",
            "~~~sh\n/qd status\n~~~",
            "    /qd status",
            "> /approve 01ARZ3",
            "> quoted\n/approve 01ARZ3",
            "- /approve 01ARZ3",
            "1. item\n\n   /approve 01ARZ3",
            "`/approve 01ARZ3`",
            "`a\n/approve 01ARZ3`",
            "Try /approve 01ARZ3",
            "<!-- hidden\n/approve 01ARZ3\n-->",
            "text <!-- hidden\n/approve 01ARZ3\n-->",
            "<details>\n/approve 01ARZ3\n</details>",
            "[link\n/approve 01ARZ3](https://example.org)",
            "**a\n/approve 01ARZ3**",
            "| a |\n| - |\n| /approve 01ARZ3 |",
            "# /approve 01ARZ3",
            "/qdx status",
            "@ship-items board",
            "\\/qd status",
        ] {
            assert_eq!(of(shown), Vec::<String>::new(), "{shown}");
        }
    }

    proptest! {
        /// Whatever is written: what is read as a command stands in the comment, and quoting all of it silences it.
        #[test]
        fn any_comment_is_read(body in "(/qd |/approve |@ship-it |> |```|`|<!--|-->|\\n|    |- |[a-z0-9 \\n\u{e9}\u{4f60}]){0,24}") {
            for command in of(&body) {
                for line in command.lines() {
                    prop_assert!(body.contains(line.trim()));
                }
                prop_assert!(command.len() <= LONGEST);
            }
            let quoted: String = body.lines().map(|line| format!("> {line}\n")).collect();
            prop_assert_eq!(of(&quoted), Vec::<String>::new());
        }

        #[test]
        fn any_text_is_read(body in ".{0,400}") {
            prop_assert!(of(&body).len() <= MOST);
        }
    }
}
