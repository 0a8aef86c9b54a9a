//! A transcript as Markdown: the whole of it for people, and the end of it for an agent that begins anew.

use std::{
    io::{self, Write},
    path::Path,
};

use qd_types::RunId;

use super::{Entry, Kind, TranscriptError, header, newest, read};

/// So much of the file is held in memory at a time.
const PAGE: usize = 1024 * 1024;

/// Writes the whole transcript as Markdown. What the agent said stands in fences that it can't close.
pub fn export(path: &Path, to: &mut dyn Write) -> Result<(), TranscriptError> {
    let failed =
        |source| TranscriptError::Io { path: path.to_owned(), doing: "write it as Markdown", source };
    let header = header(path)?;
    begin(&header.run, &header.agent, header.started, to).map_err(failed)?;
    let (mut from, mut block) = (0, Vec::new());
    loop {
        let page = read(path, from, PAGE)?;
        write_blocks(page.entries, &mut block, to).map_err(failed)?;
        if !page.more || page.next == from {
            break;
        }
        from = page.next;
    }
    write_block(&block, to).map_err(failed)
}

/// Writes entries that were read already in the same way.
pub fn markdown(run: &RunId, agent: &str, entries: Vec<Entry>, to: &mut dyn Write) -> io::Result<()> {
    if let Some(first) = entries.first() {
        begin(run, agent, first.at, to)?;
    }
    let mut block = Vec::new();
    write_blocks(entries, &mut block, to)?;
    write_block(&block, to)
}

fn begin(run: &RunId, agent: &str, started: jiff::Timestamp, to: &mut dyn Write) -> io::Result<()> {
    write!(to, "# Run {run}\n\n{}, from {started}.\n", inert(agent))
}

/// Writes every block that is whole. What follows may belong to the last one, which stays.
fn write_blocks(entries: Vec<Entry>, block: &mut Vec<Entry>, to: &mut dyn Write) -> io::Result<()> {
    for entry in entries {
        if block.first().is_some_and(|first| first.kind != entry.kind) {
            write_block(block, to)?;
            block.clear();
        }
        block.push(entry);
    }
    Ok(())
}

/// Entries of one kind that follow each other.
fn write_block(block: &[Entry], to: &mut dyn Write) -> io::Result<()> {
    let Some(first) = block.first() else { return Ok(()) };
    let text = block.iter().map(|entry| entry.text.trim_end()).collect::<Vec<_>>().join("\n");
    let fence = fence(&text);
    let at = first.at.strftime("%Y-%m-%d %H:%M:%S");
    write!(to, "\n## {} · {at}\n\n{fence}\n{text}\n{fence}\n", title(first.kind))
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Output => "The agent",
        Kind::ErrorOutput => "Its errors",
        Kind::Prompt => "Prompt",
        Kind::System => "The instance",
        Kind::Check => "Check",
        Kind::Thought => "Its thoughts",
        Kind::Tool => "Its tools",
        Kind::Permission => "Permission",
    }
}

/// A fence that is longer than any in the text.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest.max(2) + 1)
}

/// Without the marks that Markdown knows.
fn inert(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || " -_.".contains(c) { c } else { '?' }).collect()
}

/// What happened so far, for an agent that has no memory of it: the newest entries, at most `max` bytes of them. None if
/// nothing happened.
pub fn summary(path: &Path, max: usize) -> Result<Option<String>, TranscriptError> {
    // Long entries are shortened, so the end of the file holds more than enough.
    let mut entries = newest(path, max.saturating_mul(16))?;
    entries.retain(|entry| !matches!(entry.kind, Kind::Thought | Kind::ErrorOutput | Kind::System));
    let mut lines = Vec::new();
    let mut size = 0;
    for entry in entries.iter().rev() {
        let line = format!("- {}: {}", word(entry.kind), short(&entry.text));
        size += line.len() + 1;
        if size > max {
            break;
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    lines.reverse();
    Ok(Some(format!(
        "# What happened before\n\nThis goes on with work that was begun in another session, which could not be \
         continued. The worktree is as it was left. The newest entries of its transcript:\n\n{}",
        lines.join("\n")
    )))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Prompt => "you were told",
        Kind::Output => "you said",
        Kind::Tool => "you used a tool",
        Kind::Permission => "permission",
        Kind::Check => "check",
        Kind::System | Kind::Thought | Kind::ErrorOutput => "note",
    }
}

/// One line, at most 400 characters.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{} …", line.get(..at).unwrap_or("")),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        redact::Redactor,
        transcript::{Header, Transcript},
    };

    fn written(entries: &[(Kind, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("transcript.jsonl");
        let header = Header::new("A-1.1".parse().unwrap(), "fake [x](y)");
        let mut transcript = Transcript::open(&path, &header, Redactor::default()).unwrap();
        for (kind, text) in entries {
            transcript.append(*kind, text).unwrap();
        }
        (dir, path)
    }

    /// The export, with times masked.
    fn exported(entries: &[(Kind, &str)]) -> String {
        let (_dir, path) = written(entries);
        let mut out = Vec::new();
        export(&path, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mask = |line: &str| match line.split_once(" · ").or(line.split_once(", from ")) {
            Some((before, _)) => format!("{before} · TIME"),
            None => line.to_owned(),
        };
        text.lines().map(mask).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn people_can_read_it() {
        let entries = [
            (Kind::Prompt, "Round half up."),
            (Kind::Output, "Reading."),
            (Kind::Output, "```\n# not a heading of ours\n````"),
            (Kind::Tool, "edit, completed: round.rs"),
            (Kind::System, "fake ended its turn after 1 s."),
        ];
        insta::assert_snapshot!(exported(&entries), @"
        # Run A-1.1

        fake ?x??y? · TIME

        ## Prompt · TIME

        ```
        Round half up.
        ```

        ## The agent · TIME

        `````
        Reading.
        ```
        # not a heading of ours
        ````
        `````

        ## Its tools · TIME

        ```
        edit, completed: round.rs
        ```

        ## The instance · TIME

        ```
        fake ended its turn after 1 s.
        ```
        ");
    }

    #[test]
    fn a_summary_holds_the_newest() {
        let long = "word ".repeat(200);
        let (_dir, path) = written(&[
            (Kind::Prompt, "first"),
            (Kind::Output, &long),
            (Kind::Thought, "hm"),
            (Kind::Tool, "read: a"),
        ]);
        let all = summary(&path, 4000).unwrap().unwrap();
        assert!(
            all.contains("- you were told: first")
                && all.contains("- you used a tool: read: a")
                && !all.contains("hm")
        );
        assert!(all.lines().all(|line| line.len() < 500), "{all}");
        let little = summary(&path, 40).unwrap().unwrap();
        assert!(little.ends_with("\n\n- you used a tool: read: a"), "{little}");
        assert_eq!(summary(&written(&[]).1, 4000).unwrap(), None);
        assert_eq!(summary(Path::new("/no/such/file"), 4000).unwrap(), None);
    }

    proptest! {
        #[test]
        fn nothing_closes_the_fence(text in "[`a\n]{0,40}") {
            let fence = fence(&text);
            prop_assert!(fence.len() >= 3 && !text.contains(&fence));
        }
    }
}
