//! Git's index, version 2, as far as we write it, and the record in the same form. Not a reader of git's own
//! indexes: agents write those.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use gix_hash::ObjectId;
use sha2::{Digest as _, Sha256};

use super::{Unfit, plan::Plan};

/// Seconds and nanoseconds.
pub(super) type Time = (i64, u32);

/// What the file system says of a file, cut down to what the index has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stat {
    pub(super) changed: Time,
    pub(super) modified: Time,
    pub(super) dev: u32,
    pub(super) ino: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u32,
}

/// What was known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) stat: Stat,
    pub(super) mode: u32,
    pub(super) id: ObjectId,
}

/// What was known of a folder's files, in the index's order.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<(Vec<u8>, Known)>);

const SEAL: usize = 20;
const FIXED: usize = 62;

impl Record {
    pub(super) fn read(path: &Path) -> Result<Self, Unfit> {
        let bytes =
            fs::read(path).map_err(Unfit::io("reading the record", path.as_os_str().as_encoded_bytes()))?;
        Self::decode(&bytes).ok_or_else(|| Unfit::new(format!("the record {} is damaged", path.display())))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
        if Sha256::digest(body).get(..SEAL)? != seal || body.get(..8)? != b"DIRC\0\0\0\x02" {
            return None;
        }
        let number =
            |bytes: &[u8], at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let count = number(body, 8)?;
        let mut rest = body.get(12..)?;
        let mut found = Vec::new();
        for _ in 0..count {
            let time = |at| Some((i64::from(number(rest, at)?), number(rest, at + 4)?));
            let stat = Stat {
                changed: time(0)?,
                modified: time(8)?,
                dev: number(rest, 16)?,
                ino: number(rest, 20)?,
                uid: number(rest, 28)?,
                gid: number(rest, 32)?,
                size: number(rest, 36)?,
            };
            let id = ObjectId::try_from(rest.get(40..60)?).ok()?;
            let name = rest.get(FIXED..)?;
            let end = name.iter().position(|byte| *byte == 0)?;
            found.push((name.get(..end)?.to_vec(), Known { stat, mode: number(rest, 24)?, id }));
            rest = rest.get(padded(end)..)?;
        }
        Some(Self(found))
    }

    /// What is known of each file of a plan.
    pub(super) fn of(&self, plan: &Plan) -> Vec<Option<Known>> {
        let mut known = self.0.iter().peekable();
        let find = |path: &Vec<u8>| {
            while known.next_if(|(older, _)| older < path).is_some() {}
            known.next_if(|(older, _)| older == path).map(|(_, known)| *known)
        };
        plan.files.iter().map(|file| &file.path).map(find).collect()
    }
}

/// The length of an entry with its name: a multiple of eight, with at least one zero at its end.
fn padded(name: usize) -> usize {
    (FIXED + name + 8) & !7
}

/// The index that git would have written after a check-out.
pub(super) fn encode(plan: &Plan, stats: &[Stat]) -> Vec<u8> {
    let mut bytes = entries(plan, stats);
    let tree = cache_tree(plan);
    bytes.extend_from_slice(b"TREE");
    bytes.extend_from_slice(&length(tree.len()).to_be_bytes());
    bytes.extend_from_slice(&tree);
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(&bytes);
    if let Ok(sum) = hasher.try_finalize() {
        bytes.extend_from_slice(sum.as_slice());
    } else {
        // A sum of zeros says that there is none.
        bytes.extend_from_slice(&[0; 20]);
    }
    bytes
}

/// Writes the record, in one piece or not at all. A file whose last change is not older than the record could
/// change again without a trace, so nothing is claimed of it.
pub(super) fn write_record(path: &Path, plan: &Plan, stats: &[Stat]) -> Result<(), Unfit> {
    let failed = |what| Unfit::io(what, path.as_os_str().as_encoded_bytes());
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    let mut file = tempfile::Builder::new()
        .prefix("record-")
        .tempfile_in(folder)
        .map_err(failed("making the record"))?;
    let about = file.as_file().metadata().map_err(failed("making the record"))?;
    let now: Time = (about.ctime(), u32::try_from(about.ctime_nsec()).unwrap_or_default());
    let settled = |stat: &Stat| if stat.changed < now { *stat } else { Stat::default() };
    let stats: Vec<Stat> = stats.iter().map(settled).collect();
    let mut bytes = entries(plan, &stats);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(seal.get(..SEAL).unwrap_or_default());
    file.write_all(&bytes).map_err(failed("writing the record"))?;
    file.persist(path).map_err(|error| failed("writing the record")(error.error))?;
    Ok(())
}

fn entries(plan: &Plan, stats: &[Stat]) -> Vec<u8> {
    let size: usize = plan.files.iter().map(|file| padded(file.path.len())).sum();
    let mut bytes = Vec::with_capacity(12 + size + 64 * plan.folders.len() + 64);
    bytes.extend_from_slice(b"DIRC\0\0\0\x02");
    bytes.extend_from_slice(&length(plan.files.len()).to_be_bytes());
    for (file, stat) in plan.files.iter().zip(stats) {
        let start = bytes.len();
        let cut = |seconds: i64| u32::try_from(seconds & 0xffff_ffff).unwrap_or_default();
        for number in [
            cut(stat.changed.0),
            stat.changed.1,
            cut(stat.modified.0),
            stat.modified.1,
            stat.dev,
            stat.ino,
            file.form.mode(),
            stat.uid,
            stat.gid,
            stat.size,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(file.id.as_slice());
        let name = u16::try_from(file.path.len().min(0xfff)).unwrap_or(0xfff);
        bytes.extend_from_slice(&name.to_be_bytes());
        bytes.extend_from_slice(&file.path);
        bytes.resize(start + padded(file.path.len()), 0);
    }
    bytes
}

/// The extension by which `git status` sees without looking that the index has what `HEAD` has.
fn cache_tree(plan: &Plan) -> Vec<u8> {
    let mut bytes = Vec::new();
    for folder in &plan.folders {
        bytes.extend_from_slice(&folder.name);
        bytes.push(0);
        bytes.extend_from_slice(format!("{} {}\n", folder.total, folder.folders.len()).as_bytes());
        bytes.extend_from_slice(folder.tree.as_slice());
    }
    bytes
}

/// A plan's parts were counted when it was read.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
