//! The small Markdown that chats share: `**bold**`, `` `code` ``, `> quote`, and backslash escapes. Everything else is
//! text.

use maud::{Markup, html};

enum Piece {
    Text(String),
    Bold(String),
    Code(String),
}

/// A line, taken apart.
fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut text, mut rest) = (String::new(), line);
    let flush = |text: &mut String, pieces: &mut Vec<Piece>| {
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(text)));
        }
    };
    while let Some(letter) = rest.chars().next() {
        if letter == '\\'
            && let Some(next) = rest.chars().nth(1)
        {
            text.push(next);
            rest = rest.get(1 + next.len_utf8()..).unwrap_or_default();
        } else if let Some((inner, after)) = rest.strip_prefix("**").and_then(|inner| inner.split_once("**"))
        {
            flush(&mut text, &mut pieces);
            pieces.push(Piece::Bold(unescape(inner)));
            rest = after;
        } else if let Some((inner, after)) = rest.strip_prefix('`').and_then(|inner| inner.split_once('`')) {
            flush(&mut text, &mut pieces);
            pieces.push(Piece::Code(inner.to_owned()));
            rest = after;
        } else {
            text.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
    }
    flush(&mut text, &mut pieces);
    pieces
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next()),
            letter => out.push(letter),
        }
    }
    out
}

fn line(text: &str) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Text(text) => (text),
                Piece::Bold(text) => b { (text) },
                Piece::Code(text) => code { (text) },
            }
        }
    }
}

/// A message as markup.
pub fn markup(text: &str) -> Markup {
    html! {
        @for each in text.lines() {
            @if let Some(quoted) = each.strip_prefix("> ") { blockquote { (line(quoted)) } } @else { p { (line(each)) } }
        }
    }
}

/// A message as plain text: no marks, and nothing that a terminal would act on.
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|each| {
            let parts = pieces(each).into_iter().map(|piece| match piece {
                Piece::Text(text) | Piece::Bold(text) | Piece::Code(text) => text,
            });
            parts.collect::<String>().chars().filter(|letter| !letter.is_control()).collect()
        })
        .collect();
    lines.join("\n")
}
