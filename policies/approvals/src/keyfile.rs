//! The files that secret keys are kept in, readable by their owner alone.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::SurfaceKey;

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
#[error("the key at {} can't be {doing}: {problem}", path.display())]
pub struct KeyFileError {
    path: PathBuf,
    doing: &'static str,
    problem: String,
}

impl SurfaceKey {
    /// The key that is kept at `path`. See [`secret_file`].
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        secret_file(path).map(|secret| Self::new(&secret))
    }
}

/// The 32 secret bytes that are kept at `path`. They are made when they are first asked for, with mode 0600; a file that others
/// may read is refused.
pub fn secret_file(path: &Path) -> Result<[u8; 32], KeyFileError> {
    let failed = |doing, problem: String| KeyFileError { path: path.to_owned(), doing, problem };
    match read(path) {
        Ok(secret) => return Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", error.to_string())),
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| failed("made", error.to_string()))?;
    make(path, &secret).map_err(|error| failed("made", error.to_string()))?;
    Ok(secret)
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let bytes = fs::read(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it: chmod 600, and think of it as known"));
    }
    bytes.try_into().map_err(|_| io::Error::other("it is not 32 bytes: restore it from a backup"))
}

/// Under another name first: a key is there whole, or not at all.
fn make(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bot/surface.key");
        let made = SurfaceKey::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SurfaceKey::open(&path).unwrap().public(), made.public());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = SurfaceKey::open(&path).unwrap_err().to_string();
        insta::assert_snapshot!(refused.replace(&dir.path().display().to_string(), "…"), @"the key at …/bot/surface.key can't be read: others may read it: chmod 600, and think of it as known");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        let refused = SurfaceKey::open(&path).unwrap_err().to_string();
        insta::assert_snapshot!(refused.replace(&dir.path().display().to_string(), "…"), @"the key at …/bot/surface.key can't be read: it is not 32 bytes: restore it from a backup");
    }
}
