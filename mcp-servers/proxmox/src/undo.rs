//! How changes of configurations are taken back: what stood there before is kept, with the digest of the configuration that
//! the change led to. A guest that was changed since is not what it was changed to: then nothing is taken back.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_guard::{Caller, Fault, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Cluster, Looked, text},
    effect::{Decided, Effect, Ready},
    names::VmId,
    requests,
    seen::{Nothing, Reading},
};

/// Changes that are kept; older ones go.
const MOST: usize = 200;

/// What stood there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inverse {
    /// What is set back.
    pub(crate) set: Vec<(String, String)>,
    /// What was not there.
    pub(crate) delete: Vec<String>,
}

impl Looked {
    /// What puts these keys back to what they are now.
    pub(crate) fn inverse(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Inverse {
        let mut inverse = Inverse { set: Vec::new(), delete: Vec::new() };
        for key in keys {
            let key = key.as_ref();
            match self.set(key) {
                Some(old) => inverse.set.push((key.to_owned(), old)),
                None => inverse.delete.push(key.to_owned()),
            }
        }
        inverse
    }
}

/// A change that can be taken back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    id: String,
    at: Timestamp,
    vmid: VmId,
    what: String,
    /// The digest of the configuration that it led to.
    after: String,
    inverse: Inverse,
}

fn broken(path: &Path, doing: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::failed(
        format!("{} can't be {doing}: {error}.", path.display()),
        "A person looks at the state folder.",
    )
}

impl Cluster {
    fn kept_in(&self) -> Result<PathBuf, Fault> {
        self.folder.as_ref().map(|folder| folder.join("undo")).ok_or_else(|| {
            Fault::failed("There is no state folder here.", "Start it with quarterdeck mcp proxmox.")
        })
    }

    /// Keeps how a change is taken back. The change has happened: that this fails is said, and no more.
    pub(crate) async fn keep(&self, id: &str, what: &str, ready: &Ready) -> Result<Option<String>, Fault> {
        let Some((guest, inverse)) = &ready.inverse else { return Ok(None) };
        let folder = self.kept_in()?;
        let config = self.see(&requests::config(guest)).await?;
        let kept = Kept {
            id: id.to_owned(),
            at: Timestamp::now(),
            vmid: guest.vmid,
            what: what.to_owned(),
            after: text(&config, "digest").to_owned(),
            inverse: inverse.clone(),
        };
        let path = folder.join(format!("{id}.json"));
        let write = || {
            fs::create_dir_all(&folder)?;
            let half = folder.join(format!("{id}.half"));
            let mut file = File::create(&half)?;
            file.write_all(&serde_json::to_vec(&kept)?)?;
            file.sync_all()?;
            fs::rename(&half, &path)
        };
        write().map_err(|error: io::Error| broken(&path, "written", &error))?;
        let mut all = self.all_kept()?;
        // Ids grow with time.
        all.sort_by(|one, other| other.id.cmp(&one.id));
        for old in all.iter().skip(MOST) {
            let _ = fs::remove_file(folder.join(format!("{}.json", old.id)));
        }
        Ok(Some(format!("undo_change {id}")))
    }

    fn all_kept(&self) -> Result<Vec<Kept>, Fault> {
        let folder = self.kept_in()?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(broken(&folder, "read", &error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| broken(&folder, "read", &error))?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let bytes = fs::read(&path).map_err(|error| broken(&path, "read", &error))?;
                all.push(serde_json::from_slice(&bytes).map_err(|error| broken(&path, "read", &error))?);
            }
        }
        Ok(all)
    }
}

/// A change, as it is told.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// With which `undo_change` takes it back.
    id: String,
    /// When.
    at: String,
    vmid: VmId,
    what: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Changes {
    changes: Vec<Told>,
}

pub(crate) struct ListChanges;

#[async_trait]
impl Reading for ListChanges {
    type Input = Nothing;
    type Output = Changes;

    fn spec() -> Spec {
        Spec::new("list_changes", Tier::Read, "change.list").described(
            "List changes",
            "Lists the changes of guests' configurations that were made here and can be taken back, the newest first.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Changes, Fault> {
        let rows = cluster.resources().await?;
        let own: Vec<VmId> = cluster.guests(caller, &rows).map(|guest| guest.vmid).collect();
        let mut all = cluster.all_kept()?;
        all.retain(|kept| own.contains(&kept.vmid));
        all.sort_by(|one, other| other.id.cmp(&one.id));
        let told =
            |kept: Kept| Told { id: kept.id, at: kept.at.to_string(), vmid: kept.vmid, what: kept.what };
        Ok(Changes { changes: all.into_iter().map(told).collect() })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// The change's id, as `list_changes` has it.
    change: String,
}

pub(crate) struct UndoChange;

#[async_trait]
impl Effect for UndoChange {
    type Input = Which;

    fn spec() -> Spec {
        Spec::new("undo_change", Tier::Provision, "change.undo").described(
            "Take a change back",
            "Sets a guest's configuration back to what it was before a change, if nothing was changed since.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Which) -> Result<Ready, Fault> {
        let found = cluster.all_kept()?.into_iter().find(|kept| kept.id == input.change);
        let kept = found.ok_or_else(|| {
            Fault::failed("There is no such change here.", "Take one that list_changes has.")
        })?;
        let looked = cluster.own(caller, kept.vmid).await?;
        if looked.digest.as_str() != kept.after {
            return Err(Fault::failed(
                format!("{} was changed since.", looked.guest),
                "Look at it with get_guest, and set what is to be otherwise.",
            ));
        }
        let Inverse { set, delete } = &kept.inverse;
        let names: Vec<String> = set
            .iter()
            // A key may be long, and is nobody's business here.
            .map(|(name, value)| if name == "sshkeys" { name.clone() } else { format!("{name}={value}") })
            .chain(delete.iter().map(|name| format!("no {name}")))
            .collect();
        let step = format!("Set {} back: {} (it was: {})", looked.guest, names.join(", "), kept.what);
        let request = requests::configure(&looked.guest, Some(&looked.digest), set, delete);
        let back = looked.inverse(set.iter().map(|(name, _)| name).chain(delete));
        let guest = looked.guest.clone();
        Ok(Ready { inverse: Some((guest, back)), ..looked.ready(&kept.id, step, vec![request]) })
    }
}

impl Decided for UndoChange {}
