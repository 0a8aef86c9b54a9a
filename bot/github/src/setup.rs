//! Making an App by manifest, keeping its key, and looking whether it may do what it has to. Not the page that a browser shows:
//! that is the program's.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    GitHub,
    app::{App, Bearer, Installation, Login, NoKey},
    client::{CallError, Client, Method},
    config::Place,
};

/// What the App needs, and for what: the union of what its tokens are minted with, and what its webhooks need.
pub const PERMISSIONS: [(&str, &str, &str); 10] = [
    ("actions", "write", "reads the logs of red checks and runs flaky ones again"),
    ("administration", "read", "sees how a branch is protected"),
    ("checks", "write", "writes the check quarterdeck"),
    ("contents", "write", "pushes branches and merges"),
    ("deployments", "read", "hears of deployments"),
    ("issues", "write", "reads, opens and answers issues"),
    ("merge_queues", "read", "hears of a merge queue"),
    ("metadata", "read", "sees repositories and who may do what in them"),
    ("pull_requests", "write", "opens pull requests and answers in them"),
    ("statuses", "read", "sees checks of other services"),
];

/// The events that it is told of (docs.github.com, "Webhook events and payloads").
pub const EVENTS: [&str; 20] = [
    "check_run",
    "check_suite",
    "deployment",
    "deployment_review",
    "deployment_status",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "milestone",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "release",
    "repository",
    "status",
    "workflow_job",
    "workflow_run",
];

/// An App that was made. Its secrets are shown nowhere.
#[derive(Debug, Clone, Deserialize)]
pub struct Made {
    /// Its id.
    pub id: u64,
    /// What it is called in addresses.
    pub slug: String,
    /// Where it is looked at and installed.
    pub html_url: String,
    /// Its private key.
    pub pem: SecretString,
    /// What its webhooks are signed with; none if it has no webhook.
    pub webhook_secret: Option<SecretString>,
}

/// An App that was made before.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The App.
    pub app: App,
    /// What its webhooks are signed with.
    pub webhook_secret: Option<SecretString>,
}

/// Why the App's files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file system.
    #[error("{} can't be {doing}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// "read".
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read the key.
    #[error("others can read {path}: chmod 600 {path}, and make another key if somebody did", path = path.display())]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// What is in it.
    #[error("{} is not as quarterdeck bot github setup wrote it: remove the folder and run that again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The key.
    #[error("{}: {source}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: NoKey,
    },
}

/// What the form posts to GitHub (docs.github.com, "Registering a GitHub App from a manifest").
pub fn manifest(name: &str, webhook: Option<&str>, redirect: &str) -> Value {
    let permissions: serde_json::Map<String, Value> =
        PERMISSIONS.iter().map(|(name, level, _)| ((*name).to_owned(), json!(level))).collect();
    let mut manifest = json!({
        "name": name,
        "url": "https://github.com/apps",
        "description": "Coordinates autonomous software teams.",
        "redirect_url": redirect,
        "public": false,
        "default_permissions": permissions,
        "default_events": EVENTS,
    });
    if let (Some(url), Some(manifest)) = (webhook, manifest.as_object_mut()) {
        manifest.insert("hook_attributes".into(), json!({ "url": url, "active": true }));
    }
    manifest
}

/// Where the form posts to: the pages of a GitHub, for the account that is signed in or for an organisation.
pub fn form_address(pages: &str, organisation: Option<&str>, state: &str) -> String {
    match organisation {
        Some(name) => format!("{pages}/organizations/{name}/settings/apps/new?state={state}"),
        None => format!("{pages}/settings/apps/new?state={state}"),
    }
}

/// Takes the code that GitHub sent back for the App: once, within an hour.
pub async fn convert(client: &Client, code: &str) -> Result<Made, CallError> {
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if code.is_empty() || !code.chars().all(is_code) {
        return Err(CallError::Invalid("the code that came back is none".to_owned()));
    }
    client
        .change(&Bearer::nobody(), Method::Post, &format!("/app-manifests/{code}/conversions"), &json!({}))
        .await
}

#[derive(Serialize, Deserialize)]
struct Card {
    id: u64,
    slug: String,
}

struct Files {
    card: PathBuf,
    key: PathBuf,
    secret: PathBuf,
}

fn files(folder: &Path) -> Files {
    let folder = folder.join("github");
    Files {
        card: folder.join("app.json"),
        key: folder.join("app.pem"),
        secret: folder.join("webhook.secret"),
    }
}

/// Keeps an App in the bot's folder, for nobody else to read. The one that was there before goes.
pub fn keep(folder: &Path, made: &Made) -> Result<PathBuf, KeepError> {
    let at = files(folder);
    let home = folder.join("github");
    let failed = |source| KeepError::File { path: home.clone(), doing: "made", source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&home).map_err(failed)?;
    write(&at.key, made.pem.expose_secret())?;
    match &made.webhook_secret {
        Some(secret) => write(&at.secret, secret.expose_secret())?,
        None if at.secret.exists() => fs::remove_file(&at.secret).map_err(|source| KeepError::File {
            path: at.secret.clone(),
            doing: "removed",
            source,
        })?,
        None => {}
    }
    // The card is last: with it the App counts.
    write(&at.card, &json!({ "id": made.id, "slug": made.slug }).to_string())?;
    Ok(at.key)
}

fn write(path: &Path, text: &str) -> Result<(), KeepError> {
    let failed = |source| KeepError::File { path: path.to_owned(), doing: "written", source };
    let new = path.with_extension("new");
    let written = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(failed)
}

/// The App that is kept in the bot's folder, if there is one.
pub fn kept(folder: &Path) -> Result<Option<Kept>, KeepError> {
    let at = files(folder);
    let card = match fs::read_to_string(&at.card) {
        Ok(card) => card,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeepError::File { path: at.card, doing: "read", source }),
    };
    let Card { id, .. } =
        serde_json::from_str(&card).map_err(|_| KeepError::Damaged { path: at.card.clone() })?;
    let pem = read(&at.key)?;
    let app = App::new(id, &pem).map_err(|source| KeepError::Key { path: at.key.clone(), source })?;
    let webhook_secret = if at.secret.exists() { Some(read(&at.secret)?.into()) } else { None };
    Ok(Some(Kept { app, webhook_secret }))
}

fn read(path: &Path) -> Result<String, KeepError> {
    let failed = |source| KeepError::File { path: path.to_owned(), doing: "read", source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeepError::Open { path: path.to_owned() });
    }
    fs::read_to_string(path).map_err(failed)
}

/// What an App has at an owner, as far as it lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacks {
    /// Permissions, each with what it is for: `issues: write (reads, opens and answers issues)`.
    pub permissions: Vec<String>,
    /// Events that it is not told of.
    pub events: Vec<String>,
}

/// How webhooks arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// At this address.
    At(String),
    /// They don't.
    None,
}

fn reaches(has: &str, needs: &str) -> bool {
    let rank = |level: &str| ["read", "write", "admin"].iter().position(|known| *known == level);
    rank(has) >= rank(needs) && rank(has).is_some()
}

fn lacks(installation: &Installation) -> Lacks {
    let missing = PERMISSIONS.iter().filter(|(name, level, _)| {
        !installation.permissions.get(*name).is_some_and(|has| reaches(has, level))
    });
    let permissions = missing.map(|(name, level, why)| format!("{name}: {level} ({why})")).collect();
    let events = EVENTS.iter().filter(|event| !installation.events.iter().any(|known| known == *event));
    Lacks { permissions, events: events.map(|event| (*event).to_owned()).collect() }
}

impl GitHub {
    /// What the App lacks where this repository is; nothing can be said of a personal token.
    pub async fn lacks(&self, place: &Place) -> Result<Option<Lacks>, CallError> {
        match self.tokens().login() {
            Login::Token(_) => Ok(None),
            Login::App(_) => Ok(Some(lacks(&self.tokens().installed(place).await?))),
        }
    }

    /// Where the App's webhooks go (docs.github.com, "Get a webhook configuration for an app").
    pub async fn hook(&self) -> Result<Hook, CallError> {
        #[derive(Deserialize)]
        struct Config {
            url: Option<String>,
        }
        let Login::App(_) = self.tokens().login() else { return Ok(Hook::None) };
        let found: Result<Config, _> =
            self.client().get(&self.tokens().own_bearer()?, "/app/hook/config").await;
        match found {
            Ok(Config { url: Some(url) }) if !url.is_empty() => Ok(Hook::At(url)),
            Ok(_) | Err(CallError::NotFound(_)) => Ok(Hook::None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::{Account, Scope};

    #[test]
    fn every_token_is_minted_with_what_the_app_asks_for() {
        let has: BTreeMap<_, _> = PERMISSIONS.iter().map(|(name, level, _)| (*name, *level)).collect();
        for scope in [Scope::Work, Scope::Push, Scope::Read, Scope::Protection, Scope::Workflows] {
            for (name, level) in scope.permissions() {
                assert!(has.get(name).is_some_and(|has| reaches(has, level)), "{name}: {level}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_it_is_for() {
        let mut permissions: BTreeMap<String, String> =
            PERMISSIONS.iter().map(|(name, level, _)| ((*name).to_owned(), (*level).to_owned())).collect();
        permissions.insert("issues".into(), "read".into());
        permissions.remove("checks");
        let mut events: Vec<String> = EVENTS.iter().map(|event| (*event).to_owned()).collect();
        events.retain(|event| event != "push");
        let account = Account { login: "acme".into() };
        let found = lacks(&Installation { id: 1, account, suspended_at: None, permissions, events });
        insta::assert_snapshot!(found.permissions.join("\n"), @r"
        checks: write (writes the check quarterdeck)
        issues: write (reads, opens and answers issues)
        ");
        assert_eq!(found.events, ["push"]);
    }

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kept(folder.path()).unwrap().is_none());
        let made = Made {
            id: 7,
            slug: "quarterdeck-acme".into(),
            html_url: String::new(),
            pem: "no key".to_owned().into(),
            webhook_secret: Some("s".to_owned().into()),
        };
        let key = keep(folder.path(), &made).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(kept(folder.path()), Err(KeepError::Key { .. })));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(kept(folder.path()), Err(KeepError::Open { .. })));
    }
}
