//! The lines of a log that say why a job is red.

/// Lines before the error, and after it.
const AROUND: (usize, usize) = (36, 3);
/// Characters of an excerpt: what a passage of the wire takes, with some to spare.
const LONGEST: usize = 3600;
/// What a runner writes before an error (docs.github.com, "Workflow commands for GitHub Actions").
const ERROR: &str = "##[error]";

/// The end of what was printed up to the last error; without one, the end of the log.
pub(crate) fn excerpt(log: &str) -> String {
    let lines: Vec<String> = log.lines().map(plain).filter(|line| !line.is_empty()).collect();
    let (before, after) = AROUND;
    // The last error often says no more than that a process ended so; what led to it stands before.
    let end = lines.iter().rposition(|line| line.contains(ERROR)).map_or(lines.len(), |at| at + 1 + after);
    let end = end.min(lines.len());
    let start = end.saturating_sub(before + after + 1);
    let mut shown: Vec<&str> = Vec::new();
    let mut length = 0;
    for line in lines.get(start..end).unwrap_or_default().iter().rev() {
        length += line.chars().count() + 1;
        if length > LONGEST {
            break;
        }
        shown.push(line);
    }
    shown.reverse();
    shown.join("\n")
}

/// A line without the moment that the runner writes before it, and without colours.
fn plain(line: &str) -> String {
    let line = match line.split_once(' ') {
        Some((moment, rest)) if is_moment(moment) => rest,
        _ if is_moment(line.trim()) => "",
        _ => line,
    };
    let mut out = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            // A control sequence goes up to its letter (ECMA-48).
            for letter in letters.by_ref() {
                if letter.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !letter.is_control() || letter == '\t' {
            out.push(letter);
        }
    }
    out.trim_end().to_owned()
}

fn is_moment(word: &str) -> bool {
    let word = word.trim_start_matches('\u{feff}');
    word.len() >= 20 && word.ends_with('Z') && word.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn the_lines_before_the_last_error_are_shown_without_moments_and_colours() {
        let log = "\u{feff}2026-05-08T10:00:00.0000000Z Run cargo test\n\
            2026-05-08T10:00:01.0000000Z \u{1b}[31mtest adds ... FAILED\u{1b}[0m\n\
            2026-05-08T10:00:01.1000000Z \n\
            2026-05-08T10:00:02.0000000Z ##[error]Process completed with exit code 101.\n\
            2026-05-08T10:00:03.0000000Z Post job cleanup.\n";
        insta::assert_snapshot!(excerpt(log), @r"
        Run cargo test
        test adds ... FAILED
        ##[error]Process completed with exit code 101.
        Post job cleanup.
        ");
        let long: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        assert!(excerpt(&long).ends_with("line 9999") && excerpt(&long).lines().count() == 40);
        assert!(excerpt(&"é".repeat(20_000)).is_empty(), "a line that does not fit is not shown");
        assert_eq!(excerpt(""), "");
    }
}
