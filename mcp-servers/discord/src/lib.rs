#![doc = include_str!("../README.md")]

mod budget;
mod config;
mod live;
#[cfg(test)]
mod memory;
mod port;
mod read;
mod write;

use std::sync::Arc;

use qd_engine::Resource;
use qd_guard::{CAREFUL, Caller, Fault, Server, ToolError};

pub use config::{Config, Team};
pub use live::OnDiscord;
pub use port::{Answer, Discord, DiscordError, Message, Nowhere, Place, Post};

use budget::Budget;

/// The server's name.
const NAME: &str = "discord";

/// What every tool needs.
pub(crate) struct Desk {
    config: Config,
    discord: Arc<dyn Discord>,
    budget: Budget,
}

impl Desk {
    /// A tool in a channel, for the policy: a rule may name either.
    pub(crate) fn place(tool: &str, channel: &str) -> Resource {
        Resource::ToolIn { server: NAME.to_owned(), name: tool.to_owned(), channel: channel.to_owned() }
    }

    /// A tool in the caller's own channel. Without a team there is none, and the tool says so itself.
    pub(crate) fn own(&self, tool: &str, caller: &Caller) -> Option<Resource> {
        self.team(caller).ok().map(|team| Self::place(tool, &team.channel))
    }

    /// The caller's team. A team that nobody configured has no channel.
    fn team(&self, caller: &Caller) -> Result<&Team, Fault> {
        self.config.teams.get(caller.team().as_str()).ok_or_else(|| {
            Fault::failed(
                format!("The team {} has no channel.", caller.team()),
                "A person names one in [mcp.discord.teams].",
            )
        })
    }
}

/// The server.
pub fn server(config: Config, discord: Arc<dyn Discord>) -> Result<Server, ToolError> {
    let budget = Budget::new(config.posts_per_minute);
    let desk = Arc::new(Desk { config, discord, budget });
    Server::new(NAME, format!("The channels of one team. {CAREFUL}"))
        .look(read::Channels(desk.clone()))?
        .look(read::Messages(desk.clone()))?
        .look(read::Answered(desk.clone()))?
        .change(write::Posting(desk.clone()))?
        .change(write::Ask(desk.clone()))?
        .change(write::Thread(desk))
}

/// An error in looking.
pub(crate) fn looking(error: DiscordError) -> Fault {
    let way_out = error.way_out();
    Fault::failed(format!("{error}."), way_out)
}

/// An error in changing: what Discord did not say itself can't be told.
pub(crate) fn changing(error: DiscordError) -> Fault {
    match error {
        DiscordError::Unreachable(_) => Fault::unsure(
            format!("{error}. It can't be told whether it happened."),
            "Look before anything is tried again.",
        ),
        error => looking(error),
    }
}
