//! The contents of `.mcp.json` that people trusted, by their hashes. Another content is nobody's word.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use qd_types::{PersonId, RepositoryName};
use serde::{Deserialize, Serialize};

use super::declared::Content;

/// What was trusted, for each repository one content: the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    repositories: BTreeMap<RepositoryName, Entry>,
}

/// One content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of the file, as lower-case hex.
    pub hash: String,
    /// Who trusted it.
    pub person: PersonId,
    /// When.
    pub at: Timestamp,
}

/// How a content stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A person trusted exactly this.
    Trusted(Entry),
    /// A person trusted another.
    Changed(Entry),
    /// Nobody trusted any.
    New,
}

/// Why the file can't be used. Then nothing is trusted.
#[derive(Debug, thiserror::Error)]
#[error("what people trusted of repositories can't be {doing} in {}: {source}", path.display())]
pub struct TrustedError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

fn file(state: &Path) -> PathBuf {
    super::folder(state).join("trusted.json")
}

impl Trusted {
    /// As it is on disk; without a file nothing is trusted.
    pub fn read(state: &Path) -> Result<Self, TrustedError> {
        let path = file(state);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| TrustedError {
                path,
                doing: "read",
                source: error.into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(TrustedError { path, doing: "read", source }),
        }
    }

    /// Puts it on disk, whole or not at all.
    pub fn write(&self, state: &Path) -> Result<(), TrustedError> {
        let path = file(state);
        let write = || {
            let folder = super::folder(state);
            std::fs::create_dir_all(&folder)?;
            let mut half = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut half, self)?;
            half.as_file().sync_all()?;
            half.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| TrustedError { path: path.clone(), doing: "written", source })
    }

    /// How a content stands.
    pub fn of(&self, repository: &RepositoryName, content: &Content) -> Standing {
        match self.repositories.get(repository) {
            Some(entry) if entry.hash == content.hash => Standing::Trusted(entry.clone()),
            Some(entry) => Standing::Changed(entry.clone()),
            None => Standing::New,
        }
    }

    /// A person trusts exactly this content, and no other one of this repository any more.
    pub fn trust(&mut self, repository: &RepositoryName, content: &Content, person: PersonId, at: Timestamp) {
        let entry = Entry { hash: content.hash.clone(), person, at };
        self.repositories.insert(repository.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_for_one_content_of_one_repository() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Content::new(b"{}".to_vec()), Content::new(b"{ }".to_vec()));
        let (site, shop) = ("site".parse().unwrap(), "shop".parse().unwrap());
        let mut trusted = Trusted::read(folder.path()).unwrap();
        assert_eq!(trusted.of(&site, &one), Standing::New);
        trusted.trust(&site, &one, "ines".parse().unwrap(), Timestamp::UNIX_EPOCH);
        trusted.write(folder.path()).unwrap();
        let trusted = Trusted::read(folder.path()).unwrap();
        assert!(matches!(trusted.of(&site, &one), Standing::Trusted(_)));
        assert!(matches!(trusted.of(&site, &other), Standing::Changed(_)));
        assert_eq!(trusted.of(&shop, &one), Standing::New);
        std::fs::write(file(folder.path()), "{").unwrap();
        assert!(Trusted::read(folder.path()).is_err(), "what can't be read trusts nothing");
    }
}
