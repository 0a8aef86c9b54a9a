//! What is written down of teams' machines: a file each, whole or not at all, on disk before anything follows from it. Who
//! works on one holds its lock, also against other processes.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use qd_guard::Fault;
use qd_types::InstanceName;
use serde::{Deserialize, Serialize};

use super::{NewTeam, steps::Phase};
use crate::names::{NodeName, VmId};

/// A team's machine, as far as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// What the guest's description holds: whose it is can be told by it, also after a lost answer.
    pub(crate) mark: String,
    /// What was asked for.
    pub(crate) order: NewTeam,
    /// What people agreed to.
    pub(crate) fingerprint: String,
    /// The number, once it is reserved.
    pub(crate) vmid: Option<VmId>,
    /// Where the guest is.
    pub(crate) node: NodeName,
    /// Where it is on its way.
    pub(crate) phase: Phase,
}

impl Record {
    /// What the guest's description is, by which it is known.
    pub(crate) fn description(&self) -> String {
        format!("The machine of {}, made by Quarterdeck as {}.", self.order.team, self.mark)
    }
}

/// The records of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Journal(PathBuf);

/// Held while one works on a team's machine, or reserves room.
pub(crate) struct Held(#[allow(dead_code, reason = "closing the file lets go")] File);

fn broken(path: &Path, doing: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::failed(
        format!("{} can't be {doing}: {error}.", path.display()),
        "A person looks at the state folder; nothing was changed since.",
    )
}

impl Journal {
    /// In this folder.
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.join("teams"))
    }

    fn file(&self, team: &InstanceName) -> PathBuf {
        self.0.join(format!("{team}.json"))
    }

    fn locked(&self, name: &str) -> Result<(PathBuf, File), Fault> {
        let path = self.0.join(format!("{name}.lock"));
        let open = || {
            fs::create_dir_all(&self.0)?;
            File::options().create(true).truncate(false).write(true).open(&path)
        };
        open().map_err(|error| broken(&path, "opened", &error)).map(|file| (path.clone(), file))
    }

    /// Nobody else works on this team's machine until it is dropped.
    pub(crate) fn hold(&self, team: &InstanceName) -> Result<Held, Fault> {
        let (path, file) = self.locked(team.as_str())?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(Fault::failed(
                format!("Something else works on the machine of {team} now."),
                "Wait, and look how far it is, then call again.",
            )),
            Err(TryLockError::Error(error)) => Err(broken(&path, "locked", &error)),
        }
    }

    /// Nobody else reserves until it is dropped. That takes one look at the cluster.
    pub(crate) async fn reserving(&self) -> Result<Held, Fault> {
        // No team has that name.
        let (path, file) = self.locked("+reserving")?;
        let held = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
        let held = held.await.map_err(|error| broken(&path, "locked", &error))?;
        held.map(Held).map_err(|error| broken(&path, "locked", &error))
    }

    /// What is written of a team; `None` if nothing.
    pub(crate) fn read(&self, team: &InstanceName) -> Result<Option<Record>, Fault> {
        let path = self.file(team);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| broken(&path, "read", &e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(&path, "read", &error)),
        }
    }

    /// All records.
    pub(crate) fn all(&self) -> Result<Vec<Record>, Fault> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(broken(&self.0, "read", &error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| broken(&self.0, "read", &error))?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                match fs::read(&path) {
                    Ok(bytes) => {
                        all.push(serde_json::from_slice(&bytes).map_err(|e| broken(&path, "read", &e))?);
                    }
                    // It went between the two looks.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(broken(&path, "read", &error)),
                }
            }
        }
        Ok(all)
    }

    /// Writes it, on disk before this returns. What is gone has no record.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Fault> {
        let path = self.file(&record.order.team);
        let write = || {
            fs::create_dir_all(&self.0)?;
            if record.phase == Phase::Gone {
                fs::remove_file(&path)?;
            } else {
                let half = self.0.join(format!("{}.half", record.order.team));
                let mut file = File::create(&half)?;
                file.write_all(&serde_json::to_vec(record)?)?;
                file.sync_all()?;
                fs::rename(&half, &path)?;
            }
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error: io::Error| broken(&path, "written", &error))
    }
}
