//! The port to the hub: with what a team joins, and whether it did.

use async_trait::async_trait;
use qd_types::{InstanceName, PersonId};
use secrecy::SecretString;

/// With what a team joins, once.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Where the bot hears teams: `https://bot.example.org`.
    pub url: String,
    /// The token.
    pub token: SecretString,
}

/// Where teams belong to. Errors are sentences with the way out.
#[async_trait]
pub trait Hub: Send + Sync {
    /// An invitation that is good now. It is only looked for: people made it.
    async fn invitation(&self, team: &InstanceName) -> Result<Invitation, String>;

    /// Whether the team has joined.
    async fn has_joined(&self, team: &InstanceName) -> Result<bool, String>;

    /// Its machine is gone: what was kept of its invitation goes, and its key counts no more at the hub. `by` is who wanted that,
    /// if it was a person.
    async fn forget(&self, team: &InstanceName, by: Option<&PersonId>) -> Result<(), String>;
}

/// Where there is no hub.
pub struct NoHub;

const NO_HUB: &str =
    "There is no hub here. A person starts quarterdeck up or quarterdeck bot, with hub.listen set.";

#[async_trait]
impl Hub for NoHub {
    async fn invitation(&self, _: &InstanceName) -> Result<Invitation, String> {
        Err(NO_HUB.to_owned())
    }

    async fn has_joined(&self, _: &InstanceName) -> Result<bool, String> {
        Err(NO_HUB.to_owned())
    }

    async fn forget(&self, _: &InstanceName, _: Option<&PersonId>) -> Result<(), String> {
        Ok(())
    }
}
