//! Which process carries out an approved call. Several share a ledger, and each holds a lock on a file for every effect of
//! its own; the system lets go of it with the process. So an effect that is under way and whose file nobody holds was cut
//! short, and one whose file is held is somebody's business who lives.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use qd_types::ApprovalId;

/// An effect whose lock this process holds.
#[derive(Debug)]
struct Held {
    _lock: File,
    /// It is carried out here; else it is looked at here whether it happened.
    runs: bool,
}

/// The locks that this process holds.
#[derive(Debug)]
pub(super) struct Carried {
    folder: PathBuf,
    held: Mutex<BTreeMap<ApprovalId, Held>>,
}

impl Carried {
    /// Below the folder of a ledger.
    pub(super) fn below(ledger: &Path) -> io::Result<Self> {
        let folder = ledger.join("carried");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, held: Mutex::default() })
    }

    /// Takes an effect, to carry it out. `false` if somebody has it, here or in another process.
    pub(super) fn begin(&self, id: &ApprovalId) -> io::Result<bool> {
        let mut held = self.held();
        if held.contains_key(id) {
            return Ok(false);
        }
        let lock = self.lock(id)?;
        Ok(lock.map(|lock| held.insert(id.clone(), Held { _lock: lock, runs: true })).is_some())
    }

    /// Takes an effect that seems to be under way, to look whether it happened. `false` if somebody carries it out.
    pub(super) fn look_at(&self, id: &ApprovalId) -> io::Result<bool> {
        let mut held = self.held();
        if let Some(held) = held.get(id) {
            return Ok(!held.runs);
        }
        let lock = self.lock(id)?;
        Ok(lock.map(|lock| held.insert(id.clone(), Held { _lock: lock, runs: false })).is_some())
    }

    /// Lets go of it, once it is written down how it stands.
    pub(super) fn let_go(&self, id: &ApprovalId) {
        let Some(held) = self.held().remove(id) else { return };
        // The name goes first: who waits for the lock sees that its file is nobody's any more.
        if let Err(error) = fs::remove_file(self.file(id)) {
            tracing::debug!(%error, %id, "the lock of an effect was gone already");
        }
        drop(held);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<ApprovalId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if nobody has it.
    fn lock(&self, id: &ApprovalId) -> io::Result<Option<File>> {
        loop {
            let lock = File::options().write(true).create(true).truncate(false).open(self.file(id))?;
            match lock.try_lock() {
                Ok(()) if lock.metadata()?.nlink() > 0 => return Ok(Some(lock)),
                // It was let go of between the two steps.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn file(&self, id: &ApprovalId) -> PathBuf {
        let id = id.to_string();
        // The half in which no two requests are alike. It has no slash.
        self.folder.join(id.rsplit('/').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_an_effect() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(), ()].map(|()| Carried::below(folder.path()).unwrap());
        let id: ApprovalId = "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert!(one.begin(&id).unwrap());
        assert!(!one.begin(&id).unwrap() && !one.look_at(&id).unwrap());
        assert!(!other.begin(&id).unwrap() && !other.look_at(&id).unwrap());
        one.let_go(&id);
        assert_eq!(fs::read_dir(folder.path().join("carried")).unwrap().count(), 0);
        // Who looks whether it happened may look again, and nobody carries it out meanwhile.
        assert!(other.look_at(&id).unwrap() && other.look_at(&id).unwrap());
        assert!(!other.begin(&id).unwrap() && !one.begin(&id).unwrap());
        // The process dies.
        drop(other);
        assert!(one.begin(&id).unwrap());
    }
}
