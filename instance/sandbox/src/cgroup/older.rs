//! The older trees, one for each controller. Nothing is delegated there: who may write to its own group may make groups
//! below it. Several fleets may share them, so each has a folder of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};

use super::{gone, is_writable, make, set};
use crate::port::Limits;

/// Where the trees are.
const ROOT: &str = "/sys/fs/cgroup";
/// What must be limited; the processor's share is, where that can be.
const NEEDED: [&str; 2] = ["memory", "pids"];
const WANTED: &str = "cpu";
/// The processor's time is shared out in so many microseconds.
const PERIOD: u64 = 100_000;
/// Swap may not be accounted for, nor the processor.
const OPTIONAL: [&str; 3] = ["memory.memsw.limit_in_bytes", "cpu.cfs_period_us", "cpu.cfs_quota_us"];

/// Folders of the fleet's own, with their controllers: that of memory, of process ids, and of the processor where it is
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Older {
    memory: PathBuf,
    pids: PathBuf,
    cpu: Option<PathBuf>,
}

impl Older {
    /// Below the groups that this process is in, by what the kernel says of it; none where it may make none.
    pub(super) fn writable(own: &str, fleet: &Path) -> Option<Self> {
        let digest = Sha256::digest(fleet.as_os_str().as_encoded_bytes());
        let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let at = |controller: &str| {
            let folder = Path::new(ROOT).join(controller).join(own_path(own, controller)?);
            let there = folder.join("cgroup.procs").exists() && is_writable(&folder);
            there.then(|| folder.join(format!("quarterdeck-{digits}")))
        };
        let [memory, pids] = NEEDED.map(at);
        Some(Self { memory: memory?, pids: pids?, cpu: at(WANTED) })
    }

    fn trees(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.memory, &self.pids].into_iter().chain(&self.cpu)
    }

    pub(super) fn groups(&self, name: &str, limits: &Limits) -> io::Result<Vec<PathBuf>> {
        let mut groups = Vec::new();
        for tree in self.trees() {
            make(tree)?;
            let group = tree.join(name);
            make(&group)?;
            set(&group, settings(limits, |other| tree == other, self), &OPTIONAL)?;
            groups.push(group);
        }
        Ok(groups)
    }

    /// Where groups are found: each run has one in each tree.
    pub(super) fn folder(&self) -> &Path {
        &self.pids
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        !processes(&self.pids.join(name)).is_empty()
    }

    /// An error until its last process is gone. Nothing new starts meanwhile.
    pub(super) fn end(&self, name: &str) -> io::Result<()> {
        let group = self.pids.join(name);
        gone(fs::write(group.join("pids.max"), "0"))?;
        for pid in processes(&group) {
            match kill_process(pid, Signal::KILL) {
                Err(error) if error != rustix::io::Errno::SRCH => return Err(error.into()),
                _ => {}
            }
        }
        // That of the process ids goes last: by it the run is found.
        for tree in self.cpu.iter().chain([&self.memory, &self.pids]) {
            gone(fs::remove_dir(tree.join(name)))?;
            // The fleet's own folder, when it was the last one.
            let _ = fs::remove_dir(tree);
        }
        Ok(())
    }
}

fn processes(group: &Path) -> Vec<Pid> {
    let all = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    all.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

/// `4:memory:/a/b` and `5:cpu,cpuacct:/a`: the path below the tree of a controller.
fn own_path<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    let path = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(":/")?;
        controllers.split(',').any(|each| each == controller).then_some(path)
    });
    path.filter(|path| !path.contains(".."))
}

/// What a tree takes of the limits.
fn settings(limits: &Limits, is: impl Fn(&PathBuf) -> bool, trees: &Older) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if let Some(bytes) = limits.memory.filter(|_| is(&trees.memory)) {
        // Swap is memory, too.
        all.push(("memory.limit_in_bytes", bytes.to_string()));
        all.push(("memory.memsw.limit_in_bytes", bytes.to_string()));
    }
    if let Some(count) = limits.processes.filter(|_| is(&trees.pids)) {
        all.push(("pids.max", count.to_string()));
    }
    if let Some(milli) = limits.millicpus.filter(|_| trees.cpu.as_ref().is_some_and(is)) {
        all.push(("cpu.cfs_period_us", PERIOD.to_string()));
        all.push(("cpu.cfs_quota_us", (milli * PERIOD / 1_000).to_string()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Older, own_path, settings};
    use crate::port::Limits;

    #[test]
    fn the_own_group_of_each_controller_is_found() {
        let own = "8:pids:/\n4:memory:/user/a\n3:cpu,cpuacct:/b\n2:cpuset:/../x\n0::/c\n";
        let paths = ["pids", "memory", "cpu", "cpuset", "blkio"].map(|controller| own_path(own, controller));
        assert_eq!(paths, [Some(""), Some("user/a"), Some("b"), None, None]);
    }

    #[test]
    fn each_tree_takes_its_own_limits() {
        let trees = Older { memory: "/m".into(), pids: "/p".into(), cpu: Some("/c".into()) };
        let limits = Limits { memory: Some(1 << 20), processes: Some(32), millicpus: Some(1_500) };
        let mut said = Vec::new();
        for tree in trees.trees() {
            let settings = settings(&limits, |other| tree == other, &trees);
            said.extend(
                settings.into_iter().map(|(file, text)| format!("{}: {file} {text}", tree.display())),
            );
        }
        insta::assert_snapshot!(said.join("\n"), @"
        /m: memory.limit_in_bytes 1048576
        /m: memory.memsw.limit_in_bytes 1048576
        /p: pids.max 32
        /c: cpu.cfs_period_us 100000
        /c: cpu.cfs_quota_us 150000
        ");
    }
}
