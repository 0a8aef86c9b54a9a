//! What is brought into a team's machine: the unit, the script that starts it all, the configuration, where the program comes
//! from, and the invitation.

use qd_guard::Fault;
use qd_types::InstanceName;
use secrecy::ExposeSecret as _;

use super::hub::Invitation;
use crate::cluster::{Cluster, fingerprint};

/// The script that is run in the guest.
pub(super) const SCRIPT: &str = "/usr/local/lib/quarterdeck/bootstrap.sh";

/// The folder of what it reads.
const FOLDER: &str = "/etc/quarterdeck";

/// Longest file that the agent takes, in bytes.
const MOST: usize = 60 * 1024;

/// What every team's machine gets.
pub(super) struct Files {
    config: Option<String>,
    binary: Option<(String, String)>,
}

/// As the configuration has them; a file that can't be read is an error.
pub(super) fn of(cluster: &Cluster) -> Result<Files, Fault> {
    let machine = &cluster.config.machine;
    let config = machine.config.as_ref().map(|path| {
        let wrong = |why: String| {
            Fault::failed(
                format!("PROXMOX_TEAM_CONFIG {} can't be used: {why}.", path.display()),
                "A person looks at the file.",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        if text.len() > MOST { Err(wrong("it is longer than 60 KiB".to_owned())) } else { Ok(text) }
    });
    Ok(Files { config: config.transpose()?, binary: machine.binary.clone() })
}

impl Files {
    /// The hash of all but the invitation.
    pub(super) fn digest(&self) -> String {
        let (url, sha256) =
            self.binary.as_ref().map_or(("", ""), |(url, sha256)| (url.as_str(), sha256.as_str()));
        fingerprint([self.config.as_deref().unwrap_or_default(), url, sha256, SCRIPT_TEXT, UNIT])
    }

    /// Where the program comes from, as a plan says it.
    pub(super) fn origin(&self) -> String {
        match &self.binary {
            Some((url, sha256)) => {
                format!(" from {url} (SHA-256 {})", sha256.get(..12).unwrap_or_default())
            }
            None => " of the template".to_owned(),
        }
    }

    /// All files, by their whole paths; the script is the last. Without an invitation, those of an upgrade.
    pub(super) fn all(&self, invitation: Option<&Invitation>) -> Vec<(String, String)> {
        let at = |name: &str| format!("{FOLDER}/{name}");
        let mut all = vec![("/etc/systemd/system/quarterdeck@.service".to_owned(), UNIT.to_owned())];
        all.extend(self.config.as_ref().map(|text| (at("quarterdeck.toml"), text.clone())));
        all.extend(self.binary.as_ref().map(|(url, sha256)| (at("binary"), format!("{sha256}  {url}\n"))));
        if let Some(Invitation { url, token }) = invitation {
            all.push((at("invitation"), format!("{url} {}\n", token.expose_secret())));
        }
        all.push((SCRIPT.to_owned(), SCRIPT_TEXT.to_owned()));
        all
    }
}

/// The program that starts it all, and its arguments.
pub(super) fn argv(team: &InstanceName) -> Vec<String> {
    ["/bin/sh", SCRIPT, team.as_str()].map(str::to_owned).to_vec()
}

const SCRIPT_TEXT: &str = include_str!("../../../../deploy/proxmox/bootstrap.sh");

const UNIT: &str = include_str!("../../../../deploy/proxmox/quarterdeck@.service");
