//! The bot's Discord and GitHub, and their try-outs.

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

/// What to do with GitHub.
#[derive(Debug, Subcommand)]
pub enum GithubVerb {
    /// Make a GitHub App in your browser and keep its key here, or use a token that you have
    Setup(GithubSetup),
}

/// How GitHub is set up.
#[derive(Debug, Args)]
pub struct GithubSetup {
    /// What the App is called: nobody else on GitHub may have an App of this name
    #[arg(long, default_value = "quarterdeck", value_name = "NAME")]
    pub name: String,
    /// The organization that the App is to belong to; left out, you
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// Where GitHub reaches the bot, like https://bot.example.org/github/webhooks; left out, it is polled
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// A repository of the configuration that is on GitHub, like widget=acme/widget; may be repeated
    #[arg(long = "repository", value_name = "NAME=OWNER/NAME")]
    pub repositories: Vec<String>,
    /// The API of an own server, like https://HOST/api/v3
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// The environment variable that holds a fine-grained token, in place of an App
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub token_env: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Use repositories whose target branch a push token could move; cards then say so
    #[arg(long)]
    pub allow_unprotected: bool,
    /// Where the page with the button is served
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
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
