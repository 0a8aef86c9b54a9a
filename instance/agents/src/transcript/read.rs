//! Reading a transcript, also while it is written and rotated. A reader never fails over what a line holds.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    Entry, Header, TranscriptError, VERSION,
    parts::{self, Part},
};

/// So many bytes are read at once at least: more than the longest line that the writer makes.
const SMALLEST_PAGE: usize = 128 * 1024;

/// Longest header line.
const HEADER_CAP: usize = 4096;

/// Some entries, and where the next ones begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The byte offset to read from next. It never points into a line that is still being written.
    pub next: u64,
    /// Lines that are no entries: torn by a crash, damaged, or of a kind that this version doesn't know.
    pub skipped: usize,
    /// There is more already.
    pub more: bool,
}

/// The entries from byte `from` on (0 for all), about `max_bytes` at a time. Bytes are counted over all parts of the
/// transcript, as if it were one file.
///
/// An offset beyond the end gives an empty page whose `next` is the end. A file that is not there yet gives an empty
/// page: a follower may come before the writer.
pub fn read(path: &Path, from: u64, max_bytes: usize) -> Result<Page, TranscriptError> {
    let failed = |doing| move |source| TranscriptError::Io { path: path.to_owned(), doing, source };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Page::default()),
        opened => opened.map_err(failed("open it"))?,
    };
    let begins = begins(&mut file, path)?;
    let cap = max_bytes.max(SMALLEST_PAGE);
    if from < begins {
        let parts = parts::list(path).map_err(failed("see its older parts"))?;
        if let Some(part) = parts.iter().find(|part| from < part.end && part.from < begins) {
            return of_part(part, from.max(part.from), cap).map_err(failed("read an older part of it"));
        }
    }
    let end = begins + file.metadata().map_err(failed("see its length"))?.len();
    let from = from.clamp(begins, end);
    file.seek(SeekFrom::Start(from - begins)).map_err(failed("find the place"))?;
    let mut bytes = Vec::new();
    file.take(cap as u64).read_to_end(&mut bytes).map_err(failed("read it"))?;

    let filled = bytes.len() == cap;
    bytes.truncate(whole(&bytes, cap));
    let next = from + bytes.len() as u64;
    // A page that was filled by the cap ends before a line that is whole already, or soon is.
    Ok(page(&bytes, from == begins, next, filled && next < end))
}

/// The newest entries: those in about the last `bytes` of the transcript.
pub fn newest(path: &Path, bytes: usize) -> Result<Vec<Entry>, TranscriptError> {
    let mut from = end(path)?.saturating_sub(bytes as u64);
    let mut entries = Vec::new();
    loop {
        let page = read(path, from, bytes)?;
        entries.extend(page.entries);
        if !page.more || page.next == from {
            return Ok(entries);
        }
        from = page.next;
    }
}

/// How long the transcript is, over all its parts: what a follower that starts now reads from. 0 if there is none yet.
pub fn end(path: &Path) -> Result<u64, TranscriptError> {
    let failed = |doing| move |source| TranscriptError::Io { path: path.to_owned(), doing, source };
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        opened => {
            let mut file = opened.map_err(failed("open it"))?;
            let length = file.metadata().map_err(failed("see its length"))?.len();
            Ok(begins(&mut file, path)? + length)
        }
    }
}

/// The entries of a part from `from` on. What can't be read of a damaged one counts as one line.
fn of_part(part: &Part, from: u64, cap: usize) -> io::Result<Page> {
    let wanted = usize::try_from(part.end - from).unwrap_or(usize::MAX).min(cap);
    let mut bytes = parts::bytes(part, from, cap)?;
    let damaged = bytes.len() < wanted;
    if !damaged && from + (bytes.len() as u64) < part.end {
        bytes.truncate(whole(&bytes, cap));
    }
    let next = if damaged { part.end } else { from + bytes.len() as u64 };
    let mut page = page(&bytes, from == part.from, next, true);
    page.skipped += usize::from(damaged);
    Ok(page)
}

/// How many of the bytes are whole lines.
fn whole(bytes: &[u8], cap: usize) -> usize {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        // Longer than any line of ours: foreign, and waiting for its end would be waiting for ever.
        None if bytes.len() == cap => cap,
        None => 0,
    }
}

fn page(bytes: &[u8], first: bool, next: u64, more: bool) -> Page {
    let mut page = Page { next, more, ..Page::default() };
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        match serde_json::from_str::<Entry>(&line) {
            Ok(entry) => page.entries.push(entry),
            Err(_) if first && index == 0 && serde_json::from_str::<Header>(&line).is_ok() => {}
            Err(_) => page.skipped += 1,
        }
    }
    page
}

/// Where in the whole this file begins: as its header says, or behind the parts if that can't be read.
fn begins(file: &mut File, path: &Path) -> Result<u64, TranscriptError> {
    let failed = |source| TranscriptError::Io { path: path.to_owned(), doing: "see its older parts", source };
    match first_line(file, path) {
        Ok(Some(header)) => Ok(header.from),
        Ok(None) | Err(TranscriptError::Header { .. }) => {
            Ok(parts::list(path).map_err(failed)?.last().map_or(0, |part| part.end))
        }
        Err(error) => Err(error),
    }
}

/// The file's header.
pub fn header(path: &Path) -> Result<Header, TranscriptError> {
    let failed = |source| TranscriptError::Io { path: path.to_owned(), doing: "open it", source };
    first_line(&mut File::open(path).map_err(failed)?, path)?
        .ok_or_else(|| TranscriptError::Header { path: path.to_owned(), source: None })
}

/// The header, or none if the first line is not finished.
pub(super) fn first_line(file: &mut File, path: &Path) -> Result<Option<Header>, TranscriptError> {
    let failed = |source| TranscriptError::Io { path: path.to_owned(), doing: "read its first line", source };
    let broken = |source| TranscriptError::Header { path: path.to_owned(), source };
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(HEADER_CAP as u64).read_to_end(&mut bytes).map_err(failed)?;
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < HEADER_CAP { Ok(None) } else { Err(broken(None)) };
    };
    let header: Header =
        serde_json::from_slice(bytes.get(..end).unwrap_or(&[])).map_err(|source| broken(Some(source)))?;
    if header.transcript == VERSION { Ok(Some(header)) } else { Err(broken(None)) }
}
