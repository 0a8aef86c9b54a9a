//! One agent, as its table in `agents.toml` has it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path},
};

use serde::Deserialize;

use crate::acp::{BASE_URL, MODEL, Setting, TOKEN};

/// What is known of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The program. Empty for one that only a user's own entry can name.
    #[serde(default)]
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Names of variables of ours that it may see.
    #[serde(default)]
    pub env_allow: Vec<String>,
    /// The arguments with which it says its version.
    #[serde(default = "version")]
    pub version: Vec<String>,
    /// The command by which a person logs it in, in its own way. Without, it has none that is known.
    #[serde(default)]
    pub login: Vec<String>,
    /// Its licence, as SPDX has it, or a sentence.
    pub licence: String,
    /// How to get it, for people.
    pub install: String,
    /// Year and month in which the entry was tried with the real agent.
    #[serde(default)]
    pub tried: Option<String>,
    /// How it is told where its model is. Without, that is its own business: a login, or a key in its configuration.
    #[serde(default)]
    pub gateway: Option<Gateway>,
    /// How it is told which model.
    #[serde(default)]
    pub model: Model,
    /// What it asks about.
    #[serde(default)]
    pub permissions: Permission,
    /// What it can do.
    #[serde(default)]
    pub can: Can,
}

fn version() -> Vec<String> {
    vec!["--version".to_owned()]
}

/// How an agent is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The Agent Client Protocol.
    Acp,
    /// A command line that takes a prompt.
    Command,
}

/// The shape of the requests to a model's provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// OpenAI chat completions.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
}

/// How an agent is told where its model is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "GatewayTable")]
pub struct Gateway {
    /// What it speaks there.
    pub api: Api,
    /// What is set for it.
    pub how: Setting,
}

// Serde can't both flatten a table and refuse what is unknown in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayTable {
    api: Api,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl From<GatewayTable> for Gateway {
    fn from(GatewayTable { api, env, args, files }: GatewayTable) -> Self {
        Self { api, how: Setting { env, args, files } }
    }
}

/// How an agent is told which model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "ModelTable")]
pub struct Model {
    /// It is chosen in the session.
    pub session: bool,
    /// What is set for it.
    pub how: Setting,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    #[serde(default)]
    session: bool,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl From<ModelTable> for Model {
    fn from(ModelTable { session, env, args, files }: ModelTable) -> Self {
        Self { session, how: Setting { env, args, files } }
    }
}

/// What an agent asks about, and how it is told to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "PermissionTable")]
pub struct Permission {
    /// What it asks about. One that asks nothing works only where walls hold it.
    pub asks: Vec<Asks>,
    /// The mode of its session in which it asks.
    pub mode: Option<String>,
    /// What is set for it.
    pub how: Setting,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionTable {
    #[serde(default)]
    asks: Vec<Asks>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl From<PermissionTable> for Permission {
    fn from(PermissionTable { asks, mode, env, args, files }: PermissionTable) -> Self {
        Self { asks, mode, how: Setting { env, args, files } }
    }
}

/// What an agent may ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Writing files.
    Edit,
    /// Running commands.
    Execute,
    /// Calling tools of MCP servers.
    Mcp,
    /// Leaving a sandbox of its own.
    Escalation,
}

/// What an agent can do. What it can't is not offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Can {
    /// Resume a session in a new process.
    pub resume: bool,
    /// Load a session in a new process.
    pub load: bool,
    /// Use MCP servers.
    pub mcp: bool,
    /// Look at images.
    pub images: bool,
    /// Behave better if reading and writing of files is offered to it.
    pub files: bool,
    /// Report tokens or cost that can be used. Budgets never rely on it.
    pub cost: bool,
}

/// A key, and what is wrong with it.
type Wrong = (String, String);

impl Entry {
    /// Whether it asks before it does anything that policy would want to know of. If not, walls must hold it.
    pub fn asks(&self) -> bool {
        !self.permissions.asks.is_empty()
    }

    /// What the types can't say.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, text: &str| Err((key.to_owned(), text.to_owned()));
        if self.protocol == Protocol::Acp && self.command.trim().is_empty() {
            return wrong("command", "is empty: give the program");
        }
        for (key, text) in [("licence", &self.licence), ("install", &self.install)] {
            if text.trim().is_empty() {
                return wrong(key, "is empty");
            }
        }
        let used = self.gateway.is_some() || self.model != Model::default() || self.can != Can::default();
        if self.protocol == Protocol::Command && (used || self.permissions.how != Setting::default()) {
            return wrong(
                "protocol",
                "\"command\" knows no gateway, model, permissions or can: these are of ACP",
            );
        }
        if self.model.session && self.model.how != Setting::default() {
            return wrong("model", "is chosen in the session or set from outside, not both");
        }
        names("env", self.env.keys())?;
        names("env_allow", self.env_allow.iter())?;
        setting("permissions", &self.permissions.how, &[])?;
        setting("model", &self.model.how, &[MODEL])?;
        match &self.gateway {
            Some(gateway) => setting("gateway", &gateway.how, &[BASE_URL, TOKEN, MODEL]),
            None => Ok(()),
        }
    }
}

fn names<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Wrong> {
    for name in names {
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !first || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err((key.to_owned(), format!("{name:?} is no name of a variable")));
        }
    }
    Ok(())
}

/// Only these placeholders, only names of variables, only files below the home.
fn setting(table: &str, how: &Setting, allowed: &[&str]) -> Result<(), Wrong> {
    names(&format!("{table}.env"), how.env.keys())?;
    for name in how.files.keys() {
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !plain {
            return Err((format!("{table}.files"), format!("{name:?} is no path below its home")));
        }
    }
    for (key, text) in how.texts() {
        for word in ["{base_url}", "{token}", "{model}", "{key}", "{url}", "{mode}"] {
            if text.contains(word) && !allowed.contains(&word) {
                let known = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                return Err((
                    format!("{table}.{key}"),
                    format!("{word} has no meaning here; known are: {known}"),
                ));
            }
        }
    }
    Ok(())
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edit => "edit",
            Self::Execute => "execute",
            Self::Mcp => "mcp",
            Self::Escalation => "escalation",
        })
    }
}
