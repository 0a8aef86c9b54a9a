//! Votes from other processes. The database belongs to the server, so a terminal puts its signed vote into a folder, and
//! the server takes it from there. A vote proves itself: who can write into the folder can still not forge one.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use qd_approvals::{Approvals, Cast, SignedVote, Statement};
use qd_audit::{About, Actor, Entry, Kind};
use qd_types::{Ballot, Vote};
use serde_json::json;

use super::{LedgerError, payload, trail::Rows};

/// Largest file that is looked at, in bytes; a vote's payload may be 64 KiB.
const MAX_FILE: u64 = 128 * 1024;

/// Files that are taken at one look.
const AT_ONCE: usize = 64;

/// Where votes are put.
pub fn folder(state: &Path) -> PathBuf {
    state.join("votes")
}

/// Puts a vote where the server that has `state` open finds it. The answer appears beside it, as `<name>.txt`; its path is
/// returned.
pub fn put(state: &Path, vote: &SignedVote) -> io::Result<PathBuf> {
    let folder = folder(state);
    fs::create_dir_all(&folder)?;
    let name = ulid::Ulid::generate().to_string();
    // Written whole before it has the name that is looked for.
    let half = folder.join(format!("{name}.half"));
    fs::write(&half, serde_json::to_vec(vote)?)?;
    fs::rename(&half, folder.join(format!("{name}.json")))?;
    Ok(folder.join(format!("{name}.txt")))
}

/// The right to take votes, until it is dropped; `None` while another process has it.
pub(super) fn alone(state: &Path) -> io::Result<Option<File>> {
    let lock = File::options().write(true).create(true).truncate(false).open(state.join("votes.lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The files that wait, oldest first.
pub(super) fn waiting(state: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder(state)) else { return Vec::new() };
    let is_vote = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_vote).take(AT_ONCE).collect();
    files.sort();
    files
}

pub(super) fn read(file: &Path) -> Result<SignedVote, String> {
    let mut text = Vec::new();
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(MAX_FILE).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Answers, and takes the vote away. A vote that stays is taken again, and is a duplicate then.
pub(super) fn answer(file: &Path, text: &str) {
    let told = fs::write(file.with_extension("txt"), text).and_then(|()| fs::remove_file(file));
    if let Err(error) = told {
        tracing::warn!(%error, file = %file.display(), "a vote can't be answered");
    }
}

/// Casts a vote, with its rows of the trail.
pub(super) fn cast(
    approvals: &Approvals<'_>,
    rows: &Rows<'_>,
    signed: &SignedVote,
    at: Timestamp,
) -> Result<String, LedgerError> {
    let cast = approvals.cast(signed)?;
    let (decided, answer) = match &cast {
        Cast::Refused(refusal) => return Ok(refusal.to_string()),
        Cast::Duplicate => return Ok("This vote came before.".to_owned()),
        Cast::Counted(tally) => {
            (None, format!("Your vote counts: {} of {}.", tally.approved.len(), tally.needed))
        }
        Cast::Granted(_) => (Some("granted"), "Your vote counts, and it is granted.".to_owned()),
        Cast::Denied { .. } => (Some("denied"), "Your no is final.".to_owned()),
    };
    // It was cast, so it is a statement.
    let Ok(Statement { vote, .. }) = serde_json::from_str::<Statement>(&signed.payload) else {
        return Ok(answer);
    };
    let said = if vote.ballot == Ballot::Approve { "yes" } else { "no" };
    let fields = json!({ "text": format!("voted {said}"), "surface": vote.surface, "digest": vote.digest });
    let actor = rows.person(&vote.person.id)?;
    rows.entry(&entry(approvals, Kind::Vote, actor, &vote, at, fields)?)?;
    if let Some(decided) = decided {
        let record = approvals.show(&vote.approval)?;
        let actor = Actor::Team(record.approval.subject.instance);
        let fields = json!({ "text": decided, "digest": vote.digest });
        rows.entry(&entry(approvals, Kind::Decision, actor, &vote, at, fields)?)?;
    }
    Ok(answer)
}

fn entry(
    approvals: &Approvals<'_>,
    kind: Kind,
    actor: Actor,
    vote: &Vote,
    at: Timestamp,
    fields: serde_json::Value,
) -> Result<Entry, LedgerError> {
    let subject = approvals.show(&vote.approval)?.approval.subject;
    let about = About {
        feature: Some(subject.feature),
        run: Some(subject.run),
        approval: Some(vote.approval.clone()),
        ..About::default()
    };
    Ok(Entry { kind, actor, about, at, payload: payload(fields) })
}
