//! Limits that hold for all processes of a sandbox together: control groups, where this process may make some. One tree of
//! version 2 that was delegated to it (systemd: `Delegate=yes`), or the older trees, one for each controller. Elsewhere
//! limits hold for each process only.

mod older;
mod unified;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use qd_types::{InstanceName, RunId};

use self::{older::Older, unified::Unified};
use crate::port::{Found, Limits};

/// Tries to remove a group whose last process is going, and the time between two.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A part of the tree, or of the trees, that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups(Trees);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trees {
    Unified(Unified),
    Older(Older),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoCgroups {
    /// Nobody gave us one.
    #[error("no control group is delegated to this process (systemd: Delegate=yes)")]
    NotDelegated,
    /// Without these controllers it limits nothing.
    #[error("{} has no controllers for {}", .0.display(), unified::NEEDED.join(" and "))]
    NoControllers(PathBuf),
    /// It could not be set up.
    #[error("{} can't be set up: {}", .0.display(), .1)]
    Failed(PathBuf, #[source] io::Error),
}

impl Cgroups {
    /// The part of the trees that this process is in, if it may make groups there. Nothing is changed. `fleet` is the
    /// fleet's state folder: where several share a tree, each has groups of its own.
    ///
    /// # Errors
    /// If there is none: then limits hold for each process only.
    pub fn delegated(fleet: &Path) -> Result<Self, NoCgroups> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        match Unified::delegated(&own) {
            Ok(unified) => Ok(Self(Trees::Unified(unified))),
            Err(error) => Older::writable(&own, fleet).map(|older| Self(Trees::Older(older))).ok_or(error),
        }
    }

    /// Lets groups below be limited: in a tree of version 2, this process goes into one of its own first. To be done once,
    /// by the fleet.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn prepare(&self) -> Result<(), NoCgroups> {
        match &self.0 {
            Trees::Unified(unified) => unified.prepare(),
            Trees::Older(_) => Ok(()),
        }
    }

    /// The groups of a run, with its limits: one in each tree. `confine --cgroup` enters them.
    pub(crate) fn groups(
        &self,
        instance: &InstanceName,
        run: &RunId,
        limits: &Limits,
    ) -> io::Result<Vec<PathBuf>> {
        let name = format!("{instance}.{run}");
        match &self.0 {
            Trees::Unified(unified) => unified.group(&name, limits).map(|group| vec![group]),
            Trees::Older(older) => older.groups(&name, limits),
        }
    }

    /// What is there of an instance.
    pub(crate) fn find(&self, instance: &InstanceName) -> io::Result<Vec<Found>> {
        let folder = match &self.0 {
            Trees::Unified(unified) => unified.folder(),
            Trees::Older(older) => older.folder(),
        };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let id = entry?.file_name().to_string_lossy().into_owned();
            let Some(Ok(run)) = id.strip_prefix(&format!("{instance}.")).map(str::parse) else { continue };
            let running = match &self.0 {
                Trees::Unified(unified) => unified.is_running(&id),
                Trees::Older(older) => older.is_running(&id),
            };
            all.push(Found { id, run, running, turn: None });
        }
        Ok(all)
    }

    /// Kills all of a run's groups, and removes them.
    pub(crate) async fn end(&self, found: &Found) -> io::Result<()> {
        let mut last = Ok(());
        for _ in 0..TRIES {
            last = match &self.0 {
                Trees::Unified(unified) => unified.end(&found.id),
                Trees::Older(older) => older.end(&found.id),
            };
            if last.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        last
    }
}

/// Enters a group, with all that this process starts from now on.
///
/// # Errors
/// If the kernel refuses.
pub fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Writes limits. One that the kernel does not have here is left out, if it is none of those that are needed.
fn set(group: &Path, settings: Vec<(&'static str, String)>, optional: &[&str]) -> io::Result<()> {
    for (file, text) in settings {
        match fs::write(group.join(file), text) {
            Err(error) if optional.contains(&file) => {
                tracing::debug!(%error, file, "a limit of a sandbox does not exist here");
            }
            result => result?,
        }
    }
    Ok(())
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}
