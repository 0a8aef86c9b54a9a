//! Teams whose machines are gone: a file each, left by whoever took the machine away, in whichever process. The bot puts the team
//! out of the fleet and removes it. Leaving one takes rights away and gives none, so that no proof is asked for beyond being able
//! to write to the state folder, where the bot's own keys lie.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use qd_hub::Hub;
use qd_types::{InstanceName, PersonId};
use serde::{Deserialize, Serialize};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A team whose machine is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// Which.
    pub team: InstanceName,
    /// Who wanted that, if it was a person.
    pub by: Option<PersonId>,
}

fn folder(state: &Path) -> PathBuf {
    state.join("proxmox").join("departures")
}

fn file(state: &Path, team: &InstanceName) -> PathBuf {
    folder(state).join(format!("{team}.json"))
}

/// Leaves word. The same again is the same file.
///
/// # Errors
/// A sentence that names the file.
pub fn leave(state: &Path, team: &InstanceName, by: Option<&PersonId>) -> Result<(), String> {
    let path = file(state, team);
    let write = || {
        let folder = folder(state);
        std::fs::create_dir_all(&folder)?;
        let half = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer(&half, &Departure { team: team.clone(), by: by.cloned() })?;
        half.as_file().sync_all()?;
        half.persist(&path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error: io::Error| format!("{} can't be written: {error}", path.display()))
}

/// All that the bot has not gone by yet.
///
/// # Errors
/// That of the folder. A file that can't be read is left where it is, and logged.
pub fn waiting(state: &Path) -> io::Result<Vec<Departure>> {
    let entries = match std::fs::read_dir(folder(state)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut waiting = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let read = std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        match read {
            Ok(departure) => waiting.push(departure),
            Err(error) => tracing::warn!(%error, file = %path.display(), "a team's departure can't be read"),
        }
    }
    Ok(waiting)
}

/// The bot went by it.
///
/// # Errors
/// That of the file.
pub fn done(state: &Path, team: &InstanceName) -> io::Result<()> {
    match std::fs::remove_file(file(state, team)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts teams out of the fleet whose machines are gone, until the task is dropped. What nobody is named for counts as the word of
/// `me`, who runs the bot.
pub async fn follow(state: PathBuf, hub: Hub, me: PersonId) {
    let state = Arc::new(state);
    let mut told = false;
    loop {
        let here = Arc::clone(&state);
        let looked = tokio::task::spawn_blocking(move || waiting(&here)).await;
        match looked.map_err(io::Error::other).flatten() {
            Ok(waiting) => {
                told = false;
                for Departure { team, by } in waiting {
                    put_out(&state, &hub, &team, by.as_ref().unwrap_or(&me)).await;
                }
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "whose machine is gone can't be looked at");
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn put_out(state: &Path, hub: &Hub, team: &InstanceName, by: &PersonId) {
    match hub.revoke(team, by).await {
        Ok(keys) => {
            tracing::info!(%team, keys, "its machine is gone: the team is out of the fleet");
            if let Err(error) = done(state, team) {
                tracing::warn!(%error, %team, "a team's departure is noted and stays");
            }
        }
        Err(error) => tracing::error!(%error, %team, "a team whose machine is gone can't be put out"),
    }
}
