//! `[github]`: which repositories are on GitHub, and as what the bot is there. Not the people: their accounts are linked with
//! `quarterdeck person link`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use qd_types::{RepositoryName, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Config, Secret};

/// GitHub, for the repositories that are there. Without this section there is the embedded forge alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Github {
    /// Which repository of this file is which of GitHub's: `widget = "acme/widget"`. All others are on the embedded forge.
    #[serde(default)]
    pub repositories: BTreeMap<RepositoryName, String>,
    /// The GitHub App's id. Default: the App that `quarterdeck bot github setup` made.
    #[serde(default)]
    pub app: Option<u64>,
    /// The file with the App's private key. Default: the one that `quarterdeck bot github setup` wrote.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// A fine-grained personal token in place of an App, for small use: `{ env = "NAME" }` or `{ file = "…" }`. Instances push
    /// with it, so it needs `allow_unprotected`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// What GitHub signs its webhooks with: `{ env = "NAME" }` or `{ file = "…" }`. Default: the one that
    /// `quarterdeck bot github setup` wrote. Without one no webhook is taken.
    #[serde(default)]
    pub webhook_secret: Option<Secret>,
    /// The address of the API: `https://HOST/api/v3` for an own server. Default: `https://api.github.com`.
    #[serde(default = "default_api")]
    pub api: String,
    /// Where repositories are cloned from. Default: what belongs to `api`.
    #[serde(default)]
    pub git: Option<String>,
    /// Whether repositories are used whose target branch a push token could move; every merge card then says so. Default:
    /// false.
    #[serde(default)]
    pub allow_unprotected: bool,
    /// Requests that change something, in a minute, 1 to 6000. GitHub asks for no more than 60. Default: 60.
    #[serde(default = "default_writes")]
    #[schemars(range(min = 1, max = 6000))]
    pub writes_per_minute: u32,
    /// Where webhooks arrive, at the path `/github/webhooks`, like `127.0.0.1:8473` behind a proxy with a public address.
    /// Takes a secret. Default: none; GitHub is then asked every half minute what happened.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "socket-address"))]
    pub listen: Option<SocketAddr>,
    /// Seconds between two looks for what was not delivered, 1 to 3600. Default: 600; without `listen` 30.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3600))]
    pub look_seconds: Option<u32>,
    /// What an account must be able to do in a repository for a role of its person to count there: `owner = "admin"`. The
    /// levels are GitHub's: read, triage, write, maintain, admin. Default: nothing; people have the roles that they have here.
    #[serde(default)]
    pub roles: BTreeMap<Role, Level>,
    /// Whether programs other than the bot may give commands, label and review, as whom they are linked to. Default: false.
    #[serde(default)]
    pub bots: bool,
    /// Whether commands are taken under pull requests from forks. Default: false.
    #[serde(default)]
    pub forks: bool,
    /// Whether an approving review counts as a vote of whoever may decide on the merge. Default: true.
    #[serde(default = "default_votes")]
    pub reviews_vote: bool,
}

/// What an account may do in a repository, as GitHub has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Read.
    Read,
    /// Sort issues.
    Triage,
    /// Push.
    Write,
    /// Maintain.
    Maintain,
    /// All of it.
    Admin,
}

fn default_votes() -> bool {
    true
}

fn default_api() -> String {
    "https://api.github.com".to_owned()
}

fn default_writes() -> u32 {
    60
}

/// What must hold of it. Who the bot is there is for `up` and `setup` to say: setup works without.
pub(crate) fn check(config: &Config, add: &mut impl FnMut(String, String)) {
    let Some(github) = &config.github else { return };
    for (key, secret) in [("token", &github.token), ("webhook_secret", &github.webhook_secret)] {
        if matches!(secret, Some(Secret::Value(_))) {
            let text = "the secret itself does not belong into the configuration: name a variable, { env = \"NAME\" }, or a \
                        file, { file = \"…\" }";
            add(format!("github.{key}"), text.into());
        }
    }
    if github.token.is_some() && (github.app.is_some() || github.key.is_some()) {
        add("github.token".into(), "there is an App as well: leave one of them out".into());
    }
    if github.token.is_some() && !github.allow_unprotected {
        let text = "a personal token can move the target branch, and nothing can tell its check from another's: use an App \
                    (quarterdeck bot github setup), or set github.allow_unprotected = true";
        add("github.token".into(), text.into());
    }
    for (key, address) in [("api", Some(&github.api)), ("git", github.git.as_ref())] {
        let Some(address) = address else { continue };
        if !(address.starts_with("https://") || address.starts_with("http://")) || address.ends_with('/') {
            let text =
                format!("{address:?} is no address, like https://api.github.com, without a / at its end");
            add(format!("github.{key}"), text);
        }
    }
    if !(1..=6000).contains(&github.writes_per_minute) {
        add("github.writes_per_minute".into(), "it goes from 1 to 6000".into());
    }
    if github.look_seconds.is_some_and(|seconds| !(1..=3600).contains(&seconds)) {
        add("github.look_seconds".into(), "it goes from 1 to 3600".into());
    }
    let mut taken = BTreeSet::new();
    for (name, place) in &github.repositories {
        let key = format!("github.repositories.{name}");
        if !config.repositories.iter().any(|repository| repository.name == *name) {
            add(key.clone(), format!("there is no repository {name} under [[repositories]]"));
        }
        if place.split('/').filter(|part| !part.is_empty()).count() != 2 || place.matches('/').count() != 1 {
            add(
                key.clone(),
                format!("{place:?} is no repository of GitHub's: write owner/name, like acme/widget"),
            );
        }
        if !taken.insert(place.to_ascii_lowercase()) {
            add(key, format!("{place} is named twice: each repository has one name here"));
        }
    }
    for (index, repository) in config.repositories.iter().enumerate() {
        if repository.remote.is_some() && github.repositories.contains_key(&repository.name) {
            let text = format!("{} is on GitHub, and pushed there: leave remote out", repository.name);
            add(format!("repositories.{index}.remote"), text);
        }
    }
}
