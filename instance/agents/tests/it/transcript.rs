//! The transcript as a writer and its readers see it.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
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
    let limits = Limits { text: 100, whole: 2000, ..Limits::default() };
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

/// Parts of 2 KiB, so that most of the writer's time is rotation.
const SMALL: Limits = Limits { text: 100, whole: u64::MAX, part: 2000 };

/// All entries, read page by page, and how many lines were skipped.
fn all(path: &Path) -> (Vec<String>, usize) {
    let (mut all, mut skipped, mut next) = (vec![], 0, 0);
    loop {
        let page = transcript::read(path, next, 0).unwrap();
        all.extend(page.entries.into_iter().map(|entry| entry.text));
        skipped += page.skipped;
        if !page.more {
            assert_eq!(page.next, transcript::end(path).unwrap());
            return (all, skipped);
        }
        assert!(page.next > next, "it goes on");
        next = page.next;
    }
}

/// Names of the files, sorted.
fn files(dir: &TempDir) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(dir.path()).unwrap().map(name).collect();
    names.sort();
    names
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn a_long_one_is_rotated_and_reads_as_one() {
    let dir = TempDir::new().unwrap();
    let mut writer = open_with(&dir, "A-1.1", SMALL).unwrap();
    let (mut followed, mut next) = (vec![], 0);
    for number in 0..200 {
        writer.append(Kind::Output, &number.to_string()).unwrap();
        let page = transcript::read(writer.path(), next, 0).unwrap();
        followed.extend(texts(&page).into_iter().map(str::to_owned));
        next = page.next;
    }
    let path = writer.path().to_owned();
    assert_eq!(followed, numbers(200), "a follower sees every entry once, whatever is rotated");
    assert_eq!(all(&path), (numbers(200), 0));
    assert_eq!(next, writer.length());
    assert!(fs::metadata(&path).unwrap().len() <= 2200);
    // Each part is named by where in the whole it begins and ends. How long lines are depends on the clock.
    let named = files(&dir);
    let ends =
        |name: &str| name["t.".len()..].split(['-', '.']).take(2).map(str::to_owned).collect::<Vec<_>>();
    let (first, second) = (ends(&named[0]), ends(&named[1]));
    assert_eq!((first[0].as_str(), &first[1]), ("000000000000", &second[0]), "{named:?}");
    assert!(first[1] < second[1] && named[0].ends_with(".jsonl.gz"), "{named:?}");

    // Whoever goes on after a restart goes on with the numbers, and the header is still the first one's.
    let started = transcript::header(&path).unwrap().started;
    drop(writer);
    let mut writer = open_with(&dir, "A-1.1", SMALL).unwrap();
    writer.append(Kind::Output, "200").unwrap();
    assert_eq!(all(&path), (numbers(201), 0));
    assert_eq!(transcript::header(&path).unwrap().started, started);

    let newest = transcript::newest(&path, 3000).unwrap();
    assert!(newest.len() > 30 && newest.last().unwrap().text == "200", "over the border of a part");
    let mut markdown = Vec::new();
    transcript::export(&path, &mut markdown).unwrap();
    let markdown = String::from_utf8(markdown).unwrap();
    assert!(markdown.contains("\n0\n1\n2\n") && markdown.contains("\n199\n200\n"), "{markdown}");
}

#[test]
fn its_limit_counts_all_parts() {
    let dir = TempDir::new().unwrap();
    let limits = Limits { whole: 10_000, ..SMALL };
    let mut writer = open_with(&dir, "A-1.1", limits).unwrap();
    for number in 0..500 {
        writer.append(Kind::Output, &number.to_string()).unwrap();
    }
    let (all, _) = all(writer.path());
    assert_eq!(all.last().unwrap(), "The transcript has reached 10000 bytes. What follows is dropped.");
    assert!(writer.length() < 10_200 && all.len() < 200, "{}", all.len());
}

#[test]
fn what_a_crash_in_a_rotation_leaves_hurts_nobody() {
    let dir = TempDir::new().unwrap();
    let mut writer = open_with(&dir, "A-1.1", SMALL).unwrap();
    let mut before = fs::read(writer.path()).unwrap();
    let mut count = 0;
    while files(&dir).len() == 1 {
        before = fs::read(writer.path()).unwrap();
        writer.append(Kind::Output, &count.to_string()).unwrap();
        count += 1;
    }
    let path = writer.path().to_owned();
    drop(writer);
    let part = dir.path().join(&files(&dir)[0]);
    let compressed = fs::read(&part).unwrap();

    // The part is there, the file is still the old one, a line shorter even; and halves of both are left.
    fs::write(&path, &before).unwrap();
    fs::write(part.with_extension("gz.new"), &compressed[..40]).unwrap();
    fs::write(dir.path().join("t.jsonl.new"), "{\"transcript\":1").unwrap();
    assert_eq!(all(&path), (numbers(count - 1), 0));
    let mut writer = open_with(&dir, "A-1.1", SMALL).unwrap();
    assert_eq!(files(&dir), ["t.jsonl"]);
    for number in count - 1..count + 20 {
        writer.append(Kind::Output, &number.to_string()).unwrap();
    }
    assert_eq!(all(&path), (numbers(count + 20), 0));

    // A damaged part costs what can't be read, and nothing else. Lines differ in length, so the part made again may end elsewhere.
    let part = dir.path().join(&files(&dir)[0]);
    let compressed = fs::read(&part).unwrap();
    fs::remove_file(&part).unwrap();
    let (behind, _) = all(&path);
    let everything = numbers(count + 20);
    assert!(!behind.is_empty() && behind.len() < everything.len(), "{behind:?}");
    assert!(everything.ends_with(&behind), "{behind:?}");
    fs::write(&part, &compressed[..compressed.len() / 2]).unwrap();
    let (left, skipped) = all(&path);
    assert!(skipped > 0 && left.len() > behind.len() && left.ends_with(&behind), "{left:?}");
}

/// Not a test of its own: what [`a_writer_that_is_killed_loses_nothing`] kills.
#[test]
#[ignore = "it writes until it is killed"]
fn a_writer_to_be_killed() {
    let Ok(path) = std::env::var("TRANSCRIPT_OF_THE_WRITER") else { return };
    let header = Header::new("A-1.1".parse().unwrap(), "x");
    let mut writer = Transcript::open_with(Path::new(&path), &header, Redactor::default(), SMALL).unwrap();
    let begun = all(Path::new(&path)).0.len();
    for number in begun.. {
        writer.append(Kind::Output, &number.to_string()).unwrap();
        println!("wrote {number}");
    }
}

#[test]
fn a_writer_that_is_killed_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.jsonl");
    let mut written = 0;
    for round in 0..12 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--nocapture", "--exact", "it::transcript::a_writer_to_be_killed"])
            .env("TRANSCRIPT_OF_THE_WRITER", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Another place in the life of a part each time.
        let said = lines.by_ref().filter(|line| line.starts_with("wrote ")).take(50 + 7 * round).count();
        assert_eq!(said, 50 + 7 * round);
        writer.kill().unwrap();
        let more = lines.filter(|line| line.starts_with("wrote ")).count();
        writer.wait().unwrap();
        written += said + more;
        let (all, _) = all(&path);
        assert!(all.len() >= written && all.len() <= written + 1, "{} of {written}", all.len());
        assert_eq!(all, numbers(all.len()), "nothing twice, nothing lost, all in order");
        written = all.len();
    }
    assert!(files(&dir).len() > 10, "{:?}", files(&dir));
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
