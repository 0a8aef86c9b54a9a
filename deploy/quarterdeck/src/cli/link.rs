//! `bot` and `instance` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qd_types::InstanceName;
use qd_wire::call::Token;

use super::{DiscordVerb, GithubVerb, Who};

/// The bot, or what to do with those that belong to it.
#[derive(Debug, Args)]
pub struct Bot {
    /// What to do; left out, the bot runs alone
    #[command(subcommand)]
    pub verb: Option<BotVerb>,
}

/// What to do at the bot.
#[derive(Debug, Subcommand)]
pub enum BotVerb {
    /// Print a token with which a team on another computer joins: once, for 15 minutes
    Invite {
        /// The team
        name: InstanceName,
        /// Who invites
        #[command(flatten)]
        who: Who,
    },
    /// Put a team out of the fleet, at once
    Revoke {
        /// The team
        name: InstanceName,
        /// Who says so
        #[command(flatten)]
        who: Who,
    },
    /// Take other keys, and tell all teams; or have one team take another key
    Rotate {
        /// The team; left out, the bot
        name: Option<InstanceName>,
        /// Who says so
        #[command(flatten)]
        who: Who,
    },
    /// List the teams that joined, and the fingerprints of their keys
    Instances,
    /// Print a user for the configuration of the NATS server: the bot's own, or that of a team
    NatsUser {
        /// The team; left out, the bot
        #[arg(requires = "nkey")]
        name: Option<InstanceName>,
        /// What quarterdeck instance nats-key printed on the team's computer
        nkey: Option<String>,
    },
    /// Discord, where people command the fleet
    #[command(subcommand)]
    Discord(DiscordVerb),
    /// Set GitHub up: an App by manifest, or a token
    #[command(subcommand)]
    Github(GithubVerb),
}

/// A team that runs alone, or how it belongs to a bot.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Instance {
    /// Which team
    #[arg(required = true)]
    pub name: Option<InstanceName>,
    /// What to do; left out, the team runs
    #[command(subcommand)]
    pub verb: Option<InstanceVerb>,
}

/// What to do at an instance.
#[derive(Debug, Subcommand)]
pub enum InstanceVerb {
    /// Join the fleet of a bot with the token that quarterdeck bot invite printed there
    Join {
        /// Where the bot is, like https://bot.example.org or tls://nats.example.org:4222/FLEET
        url: String,
        /// A file (PEM) with the certificate of the authority that signed the bot's or the NATS server's certificate
        /// [default: the system's authorities]
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// The token
        token: Token,
    },
    /// Take another key; the one there is counts beside it until the next change
    Rotate {
        /// Which team
        name: InstanceName,
    },
    /// Print the public key by which a NATS server knows the team
    NatsKey {
        /// Which team
        name: InstanceName,
    },
    /// How the link to the bot stands
    Status {
        /// Which team
        name: InstanceName,
    },
}
