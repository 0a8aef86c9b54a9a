//! Reading a transcript, also while it is written. A reader never fails over what a line holds.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::{Entry, Header, TranscriptError, VERSION};

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
    /// There is more in the file already.
    pub more: bool,
}

/// The entries from byte `from` on (0 for all), about `max_bytes` of the file at a time.
///
/// An offset beyond the end gives an empty page whose `next` is the end. A file that is not there yet gives an empty
/// page: a follower may come before the writer.
pub fn read(path: &Path, from: u64, max_bytes: usize) -> Result<Page, TranscriptError> {
    let failed = |doing| move |source| TranscriptError::Io { path: path.to_owned(), doing, source };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Page::default()),
        opened => opened.map_err(failed("open it"))?,
    };
    let length = file.metadata().map_err(failed("see its length"))?.len();
    let from = from.min(length);
    file.seek(SeekFrom::Start(from)).map_err(failed("find the place"))?;
    let cap = max_bytes.max(SMALLEST_PAGE);
    let mut bytes = Vec::new();
    file.take(cap as u64).read_to_end(&mut bytes).map_err(failed("read it"))?;

    let filled = bytes.len() == cap;
    let complete = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        // Longer than any line of ours: foreign, and waiting for its end would be waiting for ever.
        None if filled => cap,
        None => 0,
    };
    bytes.truncate(complete);
    let next = from + complete as u64;
    // A page that was filled by the cap ends before a line that is whole already, or soon is.
    let more = filled && next < length;
    let mut page = Page { next, more, ..Page::default() };
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        match serde_json::from_str::<Entry>(&line) {
            Ok(entry) => page.entries.push(entry),
            Err(_) if from == 0 && index == 0 && serde_json::from_str::<Header>(&line).is_ok() => {}
            Err(_) => page.skipped += 1,
        }
    }
    Ok(page)
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
