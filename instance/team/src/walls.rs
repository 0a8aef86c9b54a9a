//! The walls around what runs for a team: where an agent may write, and where a check may. The team's state, with other
//! worktrees, git folders, tokens and databases in it, is sealed, and so are the fleet's, with people and approvals in it,
//! and people's own check-outs.

use std::path::{Path, PathBuf};

use qd_agents::Confined;
use qd_confine::{
    Walls,
    walls::{beside, devices},
};

use qd_types::RunId;

use crate::options::TeamOptions;

impl TeamOptions {
    /// For something that works for `run` in `own`; none where nothing can confine it. What is temporary goes into a
    /// folder of the run's own.
    pub(crate) fn confined(&self, run: &RunId, own: &Path) -> std::io::Result<Option<Confined>> {
        let Some(launcher) = self.launcher.clone() else { return Ok(None) };
        let tmp = self.state.join("tmp").join(run.to_string());
        std::fs::create_dir_all(&tmp)?;
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut sealed = vec![real(&self.state), real(self.state.parent().unwrap_or(&self.state))];
        sealed.extend(self.sealed.iter().map(|path| real(path)));
        sealed.extend(self.repositories.values().map(|repository| real(&repository.source)));
        let mut writable = devices();
        for root in [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()] {
            writable.extend(beside(&real(&root), &sealed));
        }
        if let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
            writable.extend(beside(&real(&home), &sealed));
        }
        for name in [
            "CARGO_HOME",
            "RUSTUP_HOME",
            "GOPATH",
            "GOCACHE",
            "GOMODCACHE",
            "GRADLE_USER_HOME",
            "XDG_CACHE_HOME",
        ] {
            if let Some(path) = std::env::var_os(name).map(PathBuf::from) {
                writable.extend(beside(&real(&path), &sealed));
            }
        }
        for repository in self.repositories.values() {
            let caches = self.state.join("caches").join(repository.spec.name.as_str());
            writable.extend(caches.exists().then_some(caches));
        }
        writable.push(own.to_owned());
        writable.push(tmp.clone());
        writable.sort();
        writable.dedup();
        Ok(Some(Confined { launcher, walls: Walls { writable }, tmp }))
    }
}
