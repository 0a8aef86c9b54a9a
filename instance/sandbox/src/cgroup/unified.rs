//! The one tree of version 2.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{NoCgroups, gone, is_writable, make, set};
use crate::port::Limits;

/// Where the tree is, alone and beside the older ones.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What must be limited; the processor's share is, where that can be.
pub(super) const NEEDED: [&str; 2] = ["memory", "pids"];
const WANTED: &str = "cpu";
/// The group that the fleet itself goes to: one with groups below it may hold no processes.
const OWN: &str = "quarterdeck";
/// The processor's time is shared out in so many microseconds.
const PERIOD: u64 = 100_000;
/// Swap may not be accounted for, nor the processor.
const OPTIONAL: [&str; 2] = ["memory.swap.max", "cpu.max"];

/// A part of the tree that was delegated to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unified {
    folder: PathBuf,
}

impl Unified {
    /// The part that this process is in, by what the kernel says of it.
    pub(super) fn delegated(own: &str) -> Result<Self, NoCgroups> {
        let own = own_path(own).ok_or(NoCgroups::NotDelegated)?;
        let root = ROOTS.iter().map(Path::new).find(|root| root.join("cgroup.controllers").exists());
        let folder = root.ok_or(NoCgroups::NotDelegated)?.join(own);
        Self::at(if folder.ends_with(OWN) { folder.parent().unwrap_or(&folder) } else { &folder })
    }

    fn at(folder: &Path) -> Result<Self, NoCgroups> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        // The root of all was delegated to nobody, and has no limits.
        if !folder.join("cgroup.type").exists() {
            return Err(NoCgroups::NotDelegated);
        }
        let (there, below) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
        if !NEEDED.iter().all(|needed| words(&there).any(|word| word == *needed)) {
            return Err(NoCgroups::NoControllers(folder.to_owned()));
        }
        // Others' processes in it are a sign that it is no one's own, like a session of a desktop.
        let others = words(&read("cgroup.procs")).any(|pid| pid != std::process::id().to_string());
        let ready = NEEDED.iter().all(|needed| words(&below).any(|word| word == *needed));
        let ours =
            ["cgroup.subtree_control", "cgroup.procs"].iter().all(|name| is_writable(&folder.join(name)));
        if !ours || (others && !ready) {
            return Err(NoCgroups::NotDelegated);
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn prepare(&self) -> Result<(), NoCgroups> {
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

    pub(super) fn group(&self, name: &str, limits: &Limits) -> io::Result<PathBuf> {
        let group = self.folder.join(name);
        make(&group)?;
        set(&group, settings(limits), &OPTIONAL)?;
        Ok(group)
    }

    /// Where groups are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        let events = fs::read_to_string(self.folder.join(name).join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// An error until its last process is gone.
    pub(super) fn end(&self, name: &str) -> io::Result<()> {
        let group = self.folder.join(name);
        gone(fs::write(group.join("cgroup.kill"), "1"))?;
        gone(fs::remove_dir(&group))
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
