//! The one writer of a transcript. It only appends, it never grows without bound, and what is old it compresses.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Entry, Header, Kind, TranscriptError, parts, read};
use crate::{
    redact::Redactor,
    text::{LINE_CAP, RawLine, scrub},
};

/// How much a transcript holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one entry's text.
    pub text: usize,
    /// Bytes of all its parts, before they are compressed. What comes later is dropped, and the last entry says so.
    pub whole: u64,
    /// Bytes of the file that is written. When it is longer, it becomes a compressed part, and a new one is begun.
    pub part: u64,
}

impl Default for Limits {
    /// 16 KiB for a text: longer lines are data, not words. 64 MiB for the whole: days of talk. 1 MiB for a part: the agent
    /// waits some milliseconds while one is compressed, and so does a reader.
    fn default() -> Self {
        Self { text: LINE_CAP, whole: 64 * 1024 * 1024, part: 1024 * 1024 }
    }
}

/// The end of the last entry's text, by which a later writer knows that the file is full.
const FULL: &str = "What follows is dropped.";

/// The writer. Every entry is one write to the system, without a sync.
#[derive(Debug)]
pub struct Transcript {
    path: PathBuf,
    file: File,
    header: Header,
    length: u64,
    full: bool,
    limits: Limits,
    redactor: Redactor,
}

impl Transcript {
    /// Begins the file, or goes on with it after a restart: then a torn last line is closed and the old header stays.
    pub fn open(path: &Path, header: &Header, redactor: Redactor) -> Result<Self, TranscriptError> {
        Self::open_with(path, header, redactor, Limits::default())
    }

    /// The same with other limits.
    pub fn open_with(
        path: &Path,
        header: &Header,
        redactor: Redactor,
        limits: Limits,
    ) -> Result<Self, TranscriptError> {
        let failed = |doing| move |source| TranscriptError::Io { path: path.to_owned(), doing, source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("make its folder"))?;
        }
        let mut file = append_to(path).map_err(failed("open it"))?;
        let found = read::first_line(&mut file, path)?;
        if let Some(found) = &found
            && found.run != header.run
        {
            let (found, wanted) = (found.run.clone(), header.run.clone());
            return Err(TranscriptError::OtherRun { path: path.to_owned(), found, wanted });
        }
        let is_new = found.is_none();
        let header = found.unwrap_or_else(|| header.clone());
        let mut transcript =
            Self { path: path.to_owned(), file, header, length: 0, full: false, limits, redactor };
        if is_new {
            // Nothing, or a header that was torn by a crash: there is no entry to lose.
            transcript.file.set_len(0).map_err(failed("clear it"))?;
            let line = transcript.encode(&transcript.header)?;
            transcript.put(&line)?;
        } else {
            // Of a rotation that a crash cut short.
            parts::forget(path, transcript.header.from).map_err(failed("remove half a part of it"))?;
            transcript.resume().map_err(failed("read its end"))?;
        }
        Ok(transcript)
    }

    fn resume(&mut self) -> io::Result<()> {
        self.length = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(self.length.saturating_sub(512)))?;
        let mut end = Vec::new();
        (&self.file).take(512).read_to_end(&mut end)?;
        if !end.ends_with(b"\n") {
            self.file.write_all(b"\n")?;
            self.length += 1;
        }
        self.full = String::from_utf8_lossy(&end).trim_end().ends_with(&format!("{FULL}\"}}"));
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long the transcript is in bytes, over all its parts: what a follower that starts now reads from.
    pub fn length(&self) -> u64 {
        self.header.from + self.length
    }

    /// Takes these secrets out of everything that is written from now on.
    pub fn learn<'a>(&mut self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        self.redactor.learn(secrets);
    }

    /// The secrets that are taken out.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Writes one entry and gives back the text as it was written: cleaned, redacted, cut.
    pub fn append(&mut self, kind: Kind, text: &str) -> Result<String, TranscriptError> {
        self.append_line(kind, &RawLine { bytes: text.as_bytes().to_vec(), dropped: 0 })
    }

    pub(crate) fn append_line(&mut self, kind: Kind, line: &RawLine) -> Result<String, TranscriptError> {
        let entry = Entry { at: Timestamp::now(), kind, text: scrub(line, &self.redactor, self.limits.text) };
        if self.full {
            return Ok(entry.text);
        }
        let line = self.encode(&entry)?;
        if self.length() + line.len() as u64 > self.limits.whole {
            let text = format!("The transcript has reached {} bytes. {FULL}", self.limits.whole);
            let last = self.encode(&Entry { at: entry.at, kind: Kind::System, text })?;
            self.put(&last)?;
            self.full = true;
        } else {
            self.put(&line)?;
            if self.length > self.limits.part {
                self.rotate().map_err(|source| TranscriptError::Io {
                    path: self.path.clone(),
                    doing: "begin a new part of it",
                    source,
                })?;
            }
        }
        Ok(entry.text)
    }

    /// Compresses what is there into a part, and begins the file anew.
    fn rotate(&mut self) -> io::Result<()> {
        let end = self.length();
        parts::keep(&self.path, self.header.from, end)?;
        let header = Header { from: end, ..self.header.clone() };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        parts::replace(&self.path, |file| file.write_all(&line))?;
        self.file = append_to(&self.path)?;
        (self.header, self.length) = (header, line.len() as u64);
        Ok(())
    }

    fn encode(&self, line: &impl serde::Serialize) -> Result<Vec<u8>, TranscriptError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| self.failed(error.into()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn put(&mut self, line: &[u8]) -> Result<(), TranscriptError> {
        self.file.write_all(line).map_err(|source| self.failed(source))?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> TranscriptError {
        TranscriptError::Io { path: self.path.clone(), doing: "append to it", source }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}
