//! Rust text with everything blanked out that is not code. Not a parser: it knows comments, strings and characters, and
//! keeps every line where it was.

/// The text with comments, strings and character literals replaced by blanks.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let length = literal(rest, before).unwrap_or(0);
        let (taken, left) = rest.split_at(if length == 0 { letter.len_utf8() } else { length });
        if length == 0 {
            code.push(letter);
        } else {
            code.extend(taken.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        }
        before = letter;
        rest = left;
    }
    code
}

/// Code, as [`code_only`] returns it, without the items under `#[cfg(test)]`.
pub(super) fn without_tests(code: &str) -> String {
    let mut left = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(start);
        let (item, after) = item.split_at(item_length(item));
        left.push_str(before);
        left.extend(item.chars().filter(|letter| *letter == '\n'));
        rest = after;
    }
    left.push_str(rest);
    left
}

/// The length of an item with its attributes: to its closing brace, or to a semicolon when it has no body.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (index, letter) in item.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return index + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    item.len()
}

/// The length of the comment, string or character that a text begins with, if it begins with one.
fn literal(text: &str, before: char) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('"') {
        return Some(string(text, 1));
    }
    if text.starts_with('\'') {
        return character(text);
    }
    // A prefix counts only at the start of a word: `br"` is a string, the end of `for"` is not.
    if before.is_alphanumeric() || before == '_' || !text.starts_with(['b', 'c', 'r']) {
        return None;
    }
    let quote = text.find(['"', '#'])?;
    let raw = match text.get(..quote)? {
        "b" | "c" if text.get(quote..)?.starts_with('"') => return Some(string(text, quote + 1)),
        "r" | "br" | "cr" => text.get(quote..)?,
        _ => return None,
    };
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let body = raw.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |index| index + end.len());
    Some(quote + hashes + 1 + length)
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(rest) = text.get(index..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            index += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return index;
            }
        } else {
            index += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a string whose body starts at `start`.
fn string(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip_while(|(index, _)| *index < start) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// A quote begins a character only if another one ends it; else it is a lifetime or a label.
fn character(text: &str) -> Option<usize> {
    let body = text.get(1..)?;
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character may itself be a quote.
        let first = escape.chars().next()?.len_utf8();
        return escape.get(first..)?.find('\'').map(|end| end + first + 3);
    }
    let first = body.chars().next()?.len_utf8();
    body.get(first..)?.starts_with('\'').then_some(first + 2)
}

#[cfg(test)]
mod tests {
    use super::{code_only, without_tests};

    fn words(text: &str) -> String {
        code_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_strings_and_characters_are_blanked_out() {
        let cases = [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"a "b \" c" d"#, "a d"),
            (r##"a r#"b " c"# d"##, "a d"),
            (r#"a br"\" d"#, "a d"),
            ("a b\"c\" d", "a d"),
            ("a('\"') b('\\'') c('\\u{41}') d", "a( ) b( ) c( ) d"),
            ("fn a<'b>(c: &'b str) { 'd: loop {} }", "fn a<'b>(c: &'b str) { 'd: loop {} }"),
            ("#[r] a r b # c \"d\"", "#[r] a r b # c"),
            ("r#type \"a\" b", "r#type b"),
        ];
        for (text, code) in cases {
            assert_eq!(words(text), code, "{text}");
        }
    }

    #[test]
    fn every_line_stays_where_it_was() {
        let text = "a /* b\nc */ \"d\ne\" f\ng";
        assert_eq!(code_only(text).lines().count(), text.lines().count());
        assert_eq!(code_only(text).lines().last(), Some("g"));
    }

    #[test]
    fn items_of_tests_are_left_out() {
        let code = "a;\n#[cfg(test)]\nmod t {\n    { b }\n}\nc;\n#[cfg(test)]\nmod u;\nd;\n";
        let left = without_tests(code);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["a;", "c;", "d;"]);
        assert_eq!(left.lines().count(), code.lines().count());
    }
}
