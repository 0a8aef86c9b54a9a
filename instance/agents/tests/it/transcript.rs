//! The transcript as a writer and its readers see it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use proptest::prelude::*;
use qd_agents::{
    Redactor, Transcript,
    transcript::{self, Header, Kind, Limits, TranscriptError},
};
use secrecy::SecretString;
use tempfile::TempDir;

fn open(dir: &TempDir) -> Transcript {
    open_with(dir, "A-1.1", Limits::default()).unwrap()
}

fn open_with(dir: &TempDir, run: &str, limits: Limits) -> Result<Transcript, TranscriptError> {
    let redactor = Redactor::new(&[SecretString::from("hunter2".to_owned())]);
    Transcript::open_with(
        &dir.path().join("t.jsonl"),
        &Header::new(run.parse().unwrap(), "x"),
        redactor,
        limits,
    )
}

fn texts(page: &transcript::Page) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.text.as_str()).collect()
}

#[test]
fn it_reads_as_it_was_written() {
    let dir = TempDir::new().unwrap();
    let mut writer = open(&dir);
    let written = writer.append(Kind::Output, "\u{1b}[32mthe password is hunter2\u{1b}[0m").unwrap();
    assert_eq!(written, "the password is [redacted]");
    writer.append(Kind::Check, "tests passed\nin 2 s").unwrap();

    let file = fs::read_to_string(writer.path()).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    assert!(lines[0].starts_with(r#"{"transcript":1,"run":"A-1.1","agent":"x","started":""#), "{}", lines[0]);
    assert!(lines[1].ends_with(r#""kind":"output","text":"the password is [redacted]"}"#), "{}", lines[1]);
    assert_eq!(lines.len(), 3);

    let page = transcript::read(writer.path(), 0, 0).unwrap();
    assert_eq!(texts(&page), ["the password is [redacted]", "tests passed\nin 2 s"]);
    assert_eq!((page.next, page.skipped, page.more), (file.len() as u64, 0, false));
    assert_eq!(transcript::header(writer.path()).unwrap().agent, "x");
}

#[test]
fn a_follower_sees_every_entry_once() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.jsonl");
    assert_eq!(transcript::read(&path, 0, 0).unwrap(), transcript::Page::default());

    let mut writer = open(&dir);
    let (mut seen, mut next) = (vec![], 0);
    for n in 0..5 {
        writer.append(Kind::Output, &n.to_string()).unwrap();
        let page = transcript::read(&path, next, 0).unwrap();
        seen.extend(texts(&page).into_iter().map(str::to_owned));
        next = page.next;
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
    assert_eq!(next, writer.length());
    assert_eq!(transcript::read(&path, next + 1000, 0).unwrap().next, next);
}

#[test]
fn a_long_file_comes_in_pages() {
    let dir = TempDir::new().unwrap();
    let mut writer = open(&dir);
    for n in 0..100 {
        writer.append(Kind::Output, &format!("{n} {}", "x".repeat(10_000))).unwrap();
    }
    let (mut count, mut pages, mut next) = (0, 0, 0);
    loop {
        let page = transcript::read(writer.path(), next, 0).unwrap();
        for (at, entry) in page.entries.iter().enumerate() {
            assert!(entry.text.starts_with(&format!("{} ", count + at)));
        }
        (count, pages, next) = (count + page.entries.len(), pages + 1, page.next);
        if !page.more {
            break;
        }
    }
    assert_eq!(count, 100);
    assert!(pages > 5, "{pages}");
}

#[test]
fn a_torn_line_hurts_nobody() {
    let dir = TempDir::new().unwrap();
    let mut writer = open(&dir);
    writer.append(Kind::Output, "before").unwrap();
    let path = writer.path().to_owned();
    drop(writer);
    let whole = fs::metadata(&path).unwrap().len();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":\"2026-11-2").unwrap();

    let page = transcript::read(&path, 0, 0).unwrap();
    assert_eq!((texts(&page), page.next, page.skipped), (vec!["before"], whole, 0));

    open(&dir).append(Kind::Output, "after").unwrap();
    let page = transcript::read(&path, page.next, 0).unwrap();
    assert_eq!((texts(&page), page.skipped), (vec!["after"], 1));
    assert_eq!(fs::read_to_string(&path).unwrap().matches("\"transcript\":1").count(), 1);
}

#[test]
fn a_torn_header_is_written_again() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("t.jsonl"), "{\"transcript\":1,\"ru").unwrap();
    open(&dir).append(Kind::Output, "hello").unwrap();
    let page = transcript::read(&dir.path().join("t.jsonl"), 0, 0).unwrap();
    assert_eq!((texts(&page), page.skipped), (vec!["hello"], 0));
}

#[test]
fn foreign_files_are_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    let error = open_with(&dir, "A-2.1", Limits::default()).unwrap_err();
    assert!(error.to_string().ends_with("belongs to run A-1.1, not to A-2.1"), "{error}");
    for text in [
        "not a header\n",
        "{\"transcript\":2,\"run\":\"A-1.1\",\"agent\":\"x\",\"started\":\"2026-11-20T09:00:00Z\"}\n",
    ] {
        fs::write(dir.path().join("t.jsonl"), text).unwrap();
        let error = open_with(&dir, "A-1.1", Limits::default()).unwrap_err();
        assert!(matches!(error, TranscriptError::Header { .. }), "{error}");
    }
}

#[test]
fn damaged_lines_are_skipped_and_counted() {
    let dir = TempDir::new().unwrap();
    let mut writer = open(&dir);
    let entry =
        |text: &[u8]| [br#"{"at":"2026-11-20T09:00:00Z","kind":"output","text":""#, text, b"\"}\n"].concat();
    let mut file = OpenOptions::new().append(true).open(writer.path()).unwrap();
    file.write_all(&entry(b"caf\xe9")).unwrap();
    file.write_all(b"\xff\xfe\n[]\n\n{\"at\":\"2026-11-20T09:00:00Z\",\"kind\":\"dream\",\"text\":\"\"}\n")
        .unwrap();
    writer.append(Kind::System, "on").unwrap();
    let page = transcript::read(writer.path(), 0, 0).unwrap();
    assert_eq!((texts(&page), page.skipped), (vec!["caf\u{fffd}", "on"], 3));
}

#[test]
fn text_and_file_are_bounded() {
    let dir = TempDir::new().unwrap();
    let limits = Limits { text: 100, file: 2000 };
    let mut writer = open_with(&dir, "A-1.1", limits).unwrap();
    let text = writer.append(Kind::Output, &"é".repeat(100)).unwrap();
    assert_eq!(text, format!("{} … (cut, 100 bytes more)", "é".repeat(50)));
    for _ in 0..50 {
        writer.append(Kind::Output, &"x".repeat(100)).unwrap();
    }
    drop(writer);
    // The next writer knows that the file is full.
    open_with(&dir, "A-1.1", limits).unwrap().append(Kind::Output, "more").unwrap();

    let path = dir.path().join("t.jsonl");
    assert!(fs::metadata(&path).unwrap().len() < 2200);
    let page = transcript::read(&path, 0, 0).unwrap();
    let full = "The transcript has reached 2000 bytes. What follows is dropped.";
    assert_eq!(texts(&page).last(), Some(&full));
    assert_eq!(texts(&page).iter().filter(|text| **text == full).count(), 1);
}

proptest! {
    #[test]
    fn any_offset_can_be_read_from(bytes in proptest::collection::vec(any::<u8>(), 0..200), from in 0u64..600) {
        let dir = TempDir::new().unwrap();
        let mut writer = open(&dir);
        writer.append(Kind::Output, &String::from_utf8_lossy(&bytes)).unwrap();
        OpenOptions::new().append(true).open(writer.path()).unwrap().write_all(&bytes).unwrap();
        let page = transcript::read(writer.path(), from, 0).unwrap();
        let length = fs::metadata(writer.path()).unwrap().len();
        prop_assert!(page.next >= from.min(length) && page.next <= length);
    }
}
