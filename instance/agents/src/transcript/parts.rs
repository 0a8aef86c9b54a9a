//! The parts of a long transcript. Beside the file that is written, older parts lie compressed, each named by the bytes of
//! the whole that it holds:
//!
//! ```text
//! transcript.000000000000-000001048601.jsonl.gz
//! transcript.jsonl                                {"transcript":1,…,"from":1048601}
//! ```
//! Offsets count the bytes of all parts as if they were one file, so a reader that follows never notices a rotation.
//!
//! A rotation first writes the part, then begins the file anew, both by a rename. If a crash comes between, the file still
//! holds everything from its own `from` on: it always wins, and the part is made again.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// A compressed part of a transcript: the bytes from `from` up to, but without, `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) from: u64,
    pub(super) end: u64,
}

/// The parts of the transcript at `path`, in order, whole ones only.
pub(super) fn list(path: &Path) -> io::Result<Vec<Part>> {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
        return Ok(Vec::new());
    };
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some((from, end)) = bounds(name, stem) {
            parts.push(Part { path, from, end });
        }
    }
    parts.sort_by_key(|part| part.from);
    Ok(parts)
}

/// `STEM.FROM-END.jsonl.gz`
fn bounds(name: &str, stem: &str) -> Option<(u64, u64)> {
    let range = name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(".jsonl.gz")?;
    let (from, end) = range.split_once('-')?;
    let (from, end) = (from.parse().ok()?, end.parse().ok()?);
    (from < end).then_some((from, end))
}

/// Compresses the file at `path`, which holds the bytes from `from` up to `end`, into a part of its own. It is on disk when
/// this returns.
pub(super) fn keep(path: &Path, from: u64, end: u64) -> io::Result<()> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let to = path.with_file_name(format!("{stem}.{from:012}-{end:012}.jsonl.gz"));
    let mut original = File::open(path)?;
    replace(&to, |file| {
        // Text as repetitive as this is small at any level: the fastest keeps the writer waiting least.
        let mut encoder = GzEncoder::new(file, Compression::fast());
        let copied = io::copy(&mut original, &mut encoder)?;
        encoder.finish()?;
        if copied == end - from { Ok(()) } else { Err(io::Error::other("it is not as long as it was")) }
    })
}

/// The file `to` with what `write` writes, all of it or none: another file takes its place when it is on disk.
pub(super) fn replace(to: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = to.with_file_name(name);
    let written = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(
        |mut file| {
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&new, to)
        },
    );
    if let Err(error) = written {
        // On a full disk it would only be in the way.
        let _gone = fs::remove_file(&new);
        return Err(error);
    }
    // The name is on disk only with its folder.
    to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Removes what a rotation left that a crash cut short: parts that begin at `from` or later, for the file holds all of
/// them, and halves of files.
pub(super) fn forget(path: &Path, from: u64) -> io::Result<()> {
    for part in list(path)?.iter().filter(|part| part.from >= from) {
        fs::remove_file(&part.path)?;
    }
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
        return Ok(());
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".new")) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The bytes of a part from `offset` of the whole on, at most `cap` of them. Of a damaged part, as many as can be read.
pub(super) fn bytes(part: &Part, offset: u64, cap: usize) -> io::Result<Vec<u8>> {
    let mut decoder = GzDecoder::new(File::open(&part.path)?);
    let before = offset.saturating_sub(part.from);
    let mut bytes = Vec::new();
    if io::copy(&mut decoder.by_ref().take(before), &mut io::sink()).is_ok() {
        // What was read before the damage is kept.
        let _damage = decoder.take(cap as u64).read_to_end(&mut bytes);
    }
    Ok(bytes)
}
