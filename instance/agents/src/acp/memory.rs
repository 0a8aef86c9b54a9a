//! Which session a run had, kept beside its transcript: so that the next turn, also of a later program, goes on with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The file's name.
const FILE: &str = "session.json";

/// A session that may be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Whose it is.
    pub(super) agent: String,
    /// Its id, as the agent named it.
    pub(super) session: String,
    /// Where it works: a session of another folder would work there.
    pub(super) cwd: PathBuf,
}

fn path(transcript: &Path) -> PathBuf {
    transcript.with_file_name(FILE)
}

/// The session of this agent in this folder. A file that can't be read is none: then a new one begins.
pub(super) fn recall(transcript: &Path, agent: &str, cwd: &Path) -> Option<String> {
    let bytes = fs::read(path(transcript)).ok()?;
    let memory: Memory = serde_json::from_slice(&bytes).ok()?;
    (memory.agent == agent && memory.cwd == cwd).then_some(memory.session)
}

/// Keeps it. The old file stays until the new one is there.
pub(super) fn keep(transcript: &Path, memory: &Memory) -> io::Result<()> {
    let (path, new) = (path(transcript), transcript.with_file_name("session.json.new"));
    fs::write(&new, serde_json::to_vec(memory)?)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_again_by_its_agent_in_its_folder() {
        let dir = tempfile::TempDir::new().unwrap();
        let transcript = dir.path().join("transcript.jsonl");
        let memory = Memory { agent: "a".into(), session: "s1".into(), cwd: "/work".into() };
        keep(&transcript, &memory).unwrap();
        assert_eq!(recall(&transcript, "a", Path::new("/work")), Some("s1".to_owned()));
        assert_eq!(recall(&transcript, "b", Path::new("/work")), None);
        assert_eq!(recall(&transcript, "a", Path::new("/other")), None);
        fs::write(path(&transcript), "{torn").unwrap();
        assert_eq!(recall(&transcript, "a", Path::new("/work")), None);
    }
}
