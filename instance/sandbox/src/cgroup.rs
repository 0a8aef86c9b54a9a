//! Limits that hold for all processes of a sandbox together: control groups of version 2, where this process was given a
//! part of the tree to do with as it likes (systemd: `Delegate=yes`). Elsewhere limits hold for each process only.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use qd_types::{InstanceName, RunId};

use crate::port::{Found, Limits};

/// Where the tree is, alone and beside the older ones.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What must be limited; the processor's share is, where that can be.
const NEEDED: [&str; 2] = ["memory", "pids"];
const WANTED: &str = "cpu";
/// The group that the fleet itself goes to: one with groups below it may hold no processes.
const OWN: &str = "quarterdeck";
/// The processor's time is shared out in so many microseconds.
const PERIOD: u64 = 100_000;

/// A part of the tree that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    folder: PathBuf,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoCgroups {
    /// Nobody gave us one.
    #[error("no control group is delegated to this process (systemd: Delegate=yes)")]
    NotDelegated,
    /// Without these controllers it limits nothing.
    #[error("{} has no controllers for {}", .0.display(), NEEDED.join(" and "))]
    NoControllers(PathBuf),
    /// It could not be set up.
    #[error("{} can't be set up: {}", .0.display(), .1)]
    Failed(PathBuf, #[source] io::Error),
}

impl Cgroups {
    /// The part of the tree that this process is in, if it was delegated. Nothing is changed.
    ///
    /// # Errors
    /// If there is none: then limits hold for each process only.
    pub fn delegated() -> Result<Self, NoCgroups> {
        let own = fs::read_to_string("/proc/self/cgroup").ok();
        let own = own.as_deref().and_then(own_path).ok_or(NoCgroups::NotDelegated)?;
        let root = ROOTS.iter().map(Path::new).find(|root| root.join("cgroup.controllers").exists());
        let folder = root.ok_or(NoCgroups::NotDelegated)?.join(own);
        Self::at(if folder.ends_with(OWN) { folder.parent().unwrap_or(&folder) } else { &folder })
    }

    /// This part of the tree.
    ///
    /// # Errors
    /// As above.
    pub fn at(folder: &Path) -> Result<Self, NoCgroups> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        // The root of all was delegated to nobody, and has no limits.
        if !folder.join("cgroup.type").exists() {
            return Err(NoCgroups::NotDelegated);
        }
        let (there, below) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
        if !NEEDED.iter().all(|needed| words(&there).any(|word| word == *needed)) {
            return Err(NoCgroups::NoControllers(folder.to_owned()));
        }
        let writes = |name: &str| rustix::fs::access(folder.join(name), rustix::fs::Access::WRITE_OK).is_ok();
        // Others' processes in it are a sign that it is no one's own, like a session of a desktop.
        let others = words(&read("cgroup.procs")).any(|pid| pid != std::process::id().to_string());
        let ready = NEEDED.iter().all(|needed| words(&below).any(|word| word == *needed));
        if !writes("cgroup.subtree_control") || !writes("cgroup.procs") || (others && !ready) {
            return Err(NoCgroups::NotDelegated);
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Lets groups below be limited: this process goes into one of its own first. To be done once, by the fleet.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn prepare(&self) -> Result<(), NoCgroups> {
        let failed = |error| NoCgroups::Failed(self.folder.clone(), error);
        let own = self.folder.join(OWN);
        make(&own).map_err(failed)?;
        fs::write(own.join("cgroup.procs"), std::process::id().to_string()).map_err(failed)?;
        let control = self.folder.join("cgroup.subtree_control");
        for needed in NEEDED {
            fs::write(&control, format!("+{needed}")).map_err(failed)?;
        }
        if let Err(error) = fs::write(&control, format!("+{WANTED}")) {
            tracing::info!(%error, "the processor's share of a sandbox is not limited");
        }
        Ok(())
    }

    /// A group for a run, with its limits. `confine --cgroup` enters it.
    pub(crate) fn group(&self, instance: &InstanceName, run: &RunId, limits: &Limits) -> io::Result<PathBuf> {
        let group = self.folder.join(format!("{instance}.{run}"));
        make(&group)?;
        for (file, text) in settings(limits) {
            match fs::write(group.join(file), text) {
                // Swap may not be accounted for, nor the processor.
                Err(error) if matches!(file, "memory.swap.max" | "cpu.max") => {
                    tracing::debug!(%error, file, "a limit of a sandbox does not exist here");
                }
                result => result?,
            }
        }
        Ok(group)
    }

    /// What is there of an instance.
    pub(crate) fn find(&self, instance: &InstanceName) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(Ok(run)) = name.strip_prefix(&format!("{instance}.")).map(str::parse) else { continue };
            let events = fs::read_to_string(entry.path().join("cgroup.events")).unwrap_or_default();
            all.push(Found {
                id: name,
                run,
                running: events.lines().any(|line| line == "populated 1"),
                turn: None,
            });
        }
        Ok(all)
    }

    /// Kills all of a group, and removes it.
    pub(crate) async fn end(&self, found: &Found) -> io::Result<()> {
        let group = self.folder.join(&found.id);
        gone(fs::write(group.join("cgroup.kill"), "1"))?;
        let mut last = Ok(());
        for _ in 0..100 {
            last = gone(fs::remove_dir(&group));
            if last.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        last
    }
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

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// `0::/a/b`: the path below the tree's root.
fn own_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::/")).filter(|path| !path.contains(".."))
}

fn settings(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if let Some(bytes) = limits.memory {
        // Swap is memory, too; and who takes too much ends as a whole.
        all.push(("memory.max", bytes.to_string()));
        all.push(("memory.oom.group", "1".to_owned()));
        all.push(("memory.swap.max", "0".to_owned()));
    }
    if let Some(count) = limits.processes {
        all.push(("pids.max", count.to_string()));
    }
    if let Some(milli) = limits.millicpus {
        all.push(("cpu.max", format!("{} {PERIOD}", milli * PERIOD / 1_000)));
    }
    all
}

/// Enters a group, with all that this process starts from now on.
///
/// # Errors
/// If the kernel refuses.
pub fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

#[cfg(test)]
mod tests {
    use super::{own_path, settings};
    use crate::port::Limits;

    #[test]
    fn the_own_group_is_found() {
        assert_eq!(own_path("9:name=systemd:/x\n0::/user.slice/q.service\n"), Some("user.slice/q.service"));
        assert_eq!(own_path("0::/\n"), Some(""));
        assert_eq!(own_path("0::/../x\n"), None);
        assert_eq!(own_path("4:memory:/x\n"), None);
    }

    #[test]
    fn limits_are_what_the_kernel_takes() {
        let limits = Limits { memory: Some(1 << 20), processes: Some(32), millicpus: Some(1_500) };
        let said: Vec<String> =
            settings(&limits).into_iter().map(|(file, text)| format!("{file} {text}")).collect();
        insta::assert_snapshot!(said.join("\n"), @"
        memory.max 1048576
        memory.oom.group 1
        memory.swap.max 0
        pids.max 32
        cpu.max 150000 100000
        ");
        assert!(settings(&Limits::default()).is_empty());
    }
}
