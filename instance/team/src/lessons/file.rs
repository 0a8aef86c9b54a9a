//! The file of a repository's lessons: Markdown, a line each, short enough to be told whole with every task.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use qd_types::RepositoryName;
use sha2::{Digest as _, Sha256};

/// Longest lesson, in characters.
pub(super) const LONGEST: usize = 300;
/// So many lessons a repository has at most.
pub(super) const MOST: usize = 30;

/// The lessons of one repository.
pub(super) struct File {
    path: PathBuf,
    repository: RepositoryName,
}

impl File {
    /// That of `repository` below the team's state.
    pub(super) fn of(state: &Path, repository: &RepositoryName) -> Self {
        let path = state.join("lessons").join(format!("{repository}.md"));
        Self { path, repository: repository.clone() }
    }

    /// The lessons, in the order in which they came. None if there is no file.
    pub(super) fn read(&self) -> io::Result<Vec<String>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        Ok(text.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect())
    }

    /// Adds one, unless it is there. The file is replaced as a whole.
    pub(super) fn add(&self, text: &str) -> io::Result<()> {
        let mut lessons = self.read()?;
        if lessons.iter().any(|known| known == text) {
            return Ok(());
        }
        if lessons.len() >= MOST {
            return Err(io::Error::other(format!("{} has {MOST} lessons already", self.repository)));
        }
        lessons.push(text.to_owned());
        self.write(&lessons)
    }

    /// Removes the one with this key. `false` if there is none.
    pub(super) fn remove(&self, key: &str) -> io::Result<bool> {
        let mut lessons = self.read()?;
        let before = lessons.len();
        lessons.retain(|text| self::key(&self.repository, text) != key);
        if lessons.len() == before {
            return Ok(false);
        }
        self.write(&lessons)?;
        Ok(true)
    }

    fn write(&self, lessons: &[String]) -> io::Result<()> {
        let Some(folder) = self.path.parent() else { return Ok(()) };
        fs::create_dir_all(folder)?;
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(temporary, "# Lessons for {}\n", self.repository)?;
        for text in lessons {
            writeln!(temporary, "- {text}")?;
        }
        temporary.as_file().sync_all()?;
        temporary.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

/// What a lesson is known by.
pub(super) fn key(repository: &RepositoryName, text: &str) -> String {
    let digest = Sha256::digest(format!("{repository}\n{text}"));
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_and_has_each_once() {
        let state = tempfile::TempDir::new().unwrap();
        let file = File::of(state.path(), &"billing".parse().unwrap());
        assert_eq!(file.read().unwrap(), Vec::<String>::new());
        file.add("Run make gen first.").unwrap();
        file.add("Tests need a free port.").unwrap();
        file.add("Run make gen first.").unwrap();
        let text = fs::read_to_string(state.path().join("lessons/billing.md")).unwrap();
        insta::assert_snapshot!(text, @"
        # Lessons for billing

        - Run make gen first.
        - Tests need a free port.
        ");
        assert!(!file.remove("00000000").unwrap());
        assert!(file.remove(&key(&"billing".parse().unwrap(), "Run make gen first.")).unwrap());
        assert_eq!(file.read().unwrap(), ["Tests need a free port."]);
        for number in 1..MOST {
            file.add(&number.to_string()).unwrap();
        }
        insta::assert_snapshot!(file.add("One more.").unwrap_err(), @"billing has 30 lessons already");
    }
}
