//! The bot's Discord, and its try-out.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qd_config::Snowflake;

/// What to do with Discord.
#[derive(Debug, Subcommand)]
pub enum DiscordVerb {
    /// Invite the bot, make missing channels and roles if you agree, register commands, say hello
    Setup(DiscordSetup),
}

/// How Discord is set up.
#[derive(Debug, Args)]
pub struct DiscordSetup {
    /// The guild, where the configuration has none yet
    #[arg(long, value_name = "ID")]
    pub guild: Option<Snowflake>,
    /// The environment variable that holds the bot's token, where the configuration names none yet
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub token_env: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A thread on each feature: off, mentions (what mentions the bot is heard) or all. Left out: as configured
    #[arg(long, value_name = "WHAT", value_enum)]
    pub threads: Option<Threads>,
    /// A channel for each team besides
    #[arg(long)]
    pub team_channels: bool,
    /// Agree to everything that would be asked
    #[arg(long)]
    pub yes: bool,
}

/// What is heard in the threads of features.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Threads {
    /// There are none
    Off,
    /// What mentions the bot
    Mentions,
    /// Everything; the application needs its Message Content Intent
    All,
}

/// Trying things out.
#[derive(Debug, Subcommand)]
pub enum DevVerb {
    /// A Discord of your own on this computer, with a page to type, click and react: no account is needed
    FakeDiscord(FakeDiscord),
}

/// How the fake is served.
#[derive(Debug, Args)]
pub struct FakeDiscord {
    /// Where
    #[arg(long, default_value = "127.0.0.1:4000")]
    pub listen: std::net::SocketAddr,
    /// A person of the guild and the roles they hold there, like ines=owner,manager; may be repeated. Left out: those
    /// of the configuration here
    #[arg(long = "person", value_name = "NAME=ROLES")]
    pub people: Vec<String>,
}
