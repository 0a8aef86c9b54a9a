//! The fleet's hub behind machines of teams: invitations that a person left here, and who joined, asked of the fleet that
//! runs.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hyper::Method;
use jiff::Timestamp;
use qd_api::{Client, Target};
use qd_mcp_proxmox::{Hub, Invitation};
use qd_types::{InstanceName, PersonId};
use serde::{Deserialize, Serialize};

use super::departures;
use crate::enrolment::InstanceKey;

/// An invitation that waits for its team's machine.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// Where the bot hears teams.
    pub url: String,
    /// Works once.
    pub token: String,
    /// Until when.
    pub until: Timestamp,
}

/// The hub of the fleet with this state folder.
pub struct FleetHub {
    state: PathBuf,
}

fn file(state: &Path, team: &InstanceName) -> PathBuf {
    state.join("proxmox").join("invitations").join(format!("{team}.json"))
}

impl FleetHub {
    /// Of the fleet with this state folder.
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Leaves an invitation for a team's machine. Only this user can read it.
    ///
    /// # Errors
    /// That of the file.
    pub fn leave(&self, team: &InstanceName, left: &Left) -> std::io::Result<()> {
        let path = file(&self.state, team);
        let folder = path.parent().unwrap_or(&self.state);
        std::fs::create_dir_all(folder)?;
        // Made for its owner alone.
        let mut half = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut half, left)?;
        half.as_file().sync_all()?;
        half.persist(path).map(drop).map_err(|error| error.error)
    }

    async fn instances(&self) -> Result<Vec<InstanceKey>, String> {
        let target = Target::Socket(self.state.join("bot").join("api.sock"));
        let mut client = Client::new(target, "", None);
        let failed = |why: &dyn std::fmt::Display| {
            format!(
                "which teams joined can't be asked: {why}. A person starts quarterdeck up or quarterdeck bot"
            )
        };
        let answer = client.send(Method::GET, "/fleet/instances", Vec::new()).await;
        let (status, bytes) = answer.map_err(|error| failed(&error))?;
        if !status.is_success() {
            return Err(failed(&status));
        }
        serde_json::from_slice(bytes.as_ref()).map_err(|error| failed(&error))
    }
}

#[async_trait]
impl Hub for FleetHub {
    async fn invitation(&self, team: &InstanceName) -> Result<Invitation, String> {
        let way_out = format!("an owner invites it with: quarterdeck provision invite {team}");
        let path = file(&self.state, team);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("nobody invited it; {way_out}"));
            }
            Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
        };
        let left: Left = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} can't be read: {error}; {way_out}", path.display()))?;
        if left.until <= Timestamp::now() {
            return Err(format!("its invitation is over; {way_out}"));
        }
        Ok(Invitation { url: left.url, token: left.token.into() })
    }

    async fn has_joined(&self, team: &InstanceName) -> Result<bool, String> {
        let instances = self.instances().await?;
        Ok(instances.iter().any(|key| key.instance == *team && key.since.is_some() && !key.revoked))
    }

    async fn forget(&self, team: &InstanceName, by: Option<&PersonId>) -> Result<(), String> {
        // The bot may not run now, or in another process: it finds this, and goes by it.
        departures::leave(&self.state, team, by)?;
        let path = file(&self.state, team);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{} can't be removed: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn an_invitation_is_good_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let hub = FleetHub::new(folder.path());
        let team: InstanceName = "alpha".parse().unwrap();
        let left = |until| Left { url: "https://bot".to_owned(), token: "secret".to_owned(), until };
        insta::assert_snapshot!(hub.invitation(&team).await.unwrap_err(), @"nobody invited it; an owner invites it with: quarterdeck provision invite alpha");
        hub.leave(&team, &left(Timestamp::UNIX_EPOCH)).unwrap();
        insta::assert_snapshot!(hub.invitation(&team).await.unwrap_err(), @"its invitation is over; an owner invites it with: quarterdeck provision invite alpha");
        hub.leave(&team, &left(Timestamp::MAX)).unwrap();
        assert_eq!(hub.invitation(&team).await.unwrap().url, "https://bot");
        let mode = file(folder.path(), &team).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else reads it");
        hub.forget(&team, None).await.unwrap();
        hub.forget(&team, Some(&"mia".parse().unwrap())).await.unwrap();
        let waiting = departures::waiting(folder.path()).unwrap();
        assert_eq!(waiting.len(), 1, "the bot is told once");
        assert_eq!((&waiting[0].team, waiting[0].by.as_ref().map(PersonId::as_str)), (&team, Some("mia")));
        departures::done(folder.path(), &team).unwrap();
        assert_eq!(departures::waiting(folder.path()).unwrap().len(), 0);
        assert!(hub.invitation(&team).await.is_err());
        assert!(hub.has_joined(&team).await.is_err(), "no fleet runs");
    }
}
