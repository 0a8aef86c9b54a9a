//! The App's own token, and the short ones of its installations: one per repository and purpose, with the least permissions,
//! kept in memory until 5 minutes before their end. Nothing here is written to a disk.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    client::{CallError, Client, Method},
    config::Place,
    pace::Lane,
};

/// A token is not used any more so long before its end.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// How long an App's own token counts: GitHub takes up to 10 minutes, and clocks differ (docs.github.com, "Generating a JSON
/// Web Token (JWT) for a GitHub App").
const OWN: SignedDuration = SignedDuration::from_mins(9);

/// How far back it says that it was made.
const BACK: SignedDuration = SignedDuration::from_mins(1);

/// The lane of what is no installation.
const NO_LANE: Lane = 0;

/// A token, and whom GitHub counts its requests for.
#[derive(Clone)]
pub struct Bearer {
    pub(crate) token: Option<SecretString>,
    pub(crate) lane: Lane,
}

impl Bearer {
    /// A token that is no installation's.
    pub fn new(token: SecretString) -> Self {
        Self { token: Some(token), lane: NO_LANE }
    }

    /// No token: for what GitHub tells everybody.
    pub fn nobody() -> Self {
        Self { token: None, lane: NO_LANE }
    }

    /// The token, for what is not asked by the client.
    pub(crate) fn token(&self) -> SecretString {
        self.token.clone().unwrap_or_default()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// What a token is for. It can do that and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The bot's own work: pull requests, issues, comments, checks, merges.
    Work,
    /// An instance's push.
    Push,
    /// Reading git's objects.
    Read,
    /// Reading what protects a branch.
    Protection,
    /// Reading logs of workflows and running them again.
    Workflows,
}

impl Scope {
    /// Its permissions (docs.github.com, "Permissions required for GitHub Apps"). `metadata` comes with each.
    pub fn permissions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Work => &[
                ("checks", "write"),
                ("contents", "write"),
                ("issues", "write"),
                ("pull_requests", "write"),
                ("statuses", "read"),
            ],
            Self::Push => &[("contents", "write")],
            Self::Read => &[("contents", "read")],
            Self::Protection => &[("administration", "read")],
            Self::Workflows => &[("actions", "write")],
        }
    }
}

/// A GitHub App: its id and its key. Shows nothing of the key.
#[derive(Clone)]
pub struct App {
    id: u64,
    key: Arc<RsaKeyPair>,
}

/// Why a key is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no private key of a GitHub App: a file that begins with -----BEGIN RSA PRIVATE KEY-----")]
pub struct NoKey;

impl App {
    /// From the App's id and its private key as PEM.
    pub fn new(id: u64, pem: &str) -> Result<Self, NoKey> {
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoKey)? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(NoKey),
        };
        Ok(Self { id, key: Arc::new(key.map_err(|_| NoKey)?) })
    }

    /// The App's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A token as the App itself.
    pub fn bearer(&self, now: Timestamp) -> Result<Bearer, CallError> {
        let failed = |what: &str| CallError::Unauthorized(format!("the App's key could not {what}"));
        let at = |span| now.checked_add(span).map(Timestamp::as_second).map_err(|_| failed("date a token"));
        let claims = json!({ "iss": self.id.to_string(), "iat": at(-BACK)?, "exp": at(OWN)? });
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| failed("sign"))?;
        Ok(Bearer::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into()))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}

/// As what GitHub is used.
#[derive(Clone)]
pub enum Login {
    /// A GitHub App.
    App(App),
    /// A fine-grained personal token: for small use. It can do what it was made for, whatever it is used for here.
    Token(SecretString),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => app.fmt(f),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// Who writes here, as GitHub names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The account: `quarterdeck[bot]`.
    pub login: String,
    /// The App's id, if it is one.
    pub app: Option<u64>,
}

/// A token that was made for an installation.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub bearer: Bearer,
    /// When it ends; a personal token does not say.
    pub ends: Option<Timestamp>,
    /// What its repository was called when it was made, which may be another name than the configuration has.
    pub called: Place,
}

/// An installation of the App.
#[derive(Debug, Clone, Deserialize)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// Where.
    pub account: Account,
    /// Since when it is suspended.
    #[serde(default)]
    pub suspended_at: Option<Timestamp>,
    /// What it was given.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// The events that it is told of.
    #[serde(default)]
    pub events: Vec<String>,
}

/// An account, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// Its name.
    pub login: String,
}

#[derive(Default)]
struct Known {
    installations: BTreeMap<String, Installation>,
    minted: BTreeMap<(Place, Scope), Minted>,
    /// Ids of repositories, which they keep when they are renamed.
    ids: BTreeMap<Place, u64>,
    own: Option<Own>,
}

/// The tokens that are in use.
pub struct Tokens {
    client: Client,
    login: Login,
    known: Mutex<Known>,
}

impl Tokens {
    pub(crate) fn new(client: Client, login: Login) -> Self {
        Self { client, login, known: Mutex::default() }
    }

    /// As the App itself; a personal token is all there is of its own.
    pub fn own_bearer(&self) -> Result<Bearer, CallError> {
        match &self.login {
            Login::App(app) => app.bearer(Timestamp::now()),
            Login::Token(token) => Ok(Bearer::new(token.clone())),
        }
    }

    /// As what it is used.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// A token for a repository and a purpose.
    pub async fn of(&self, place: &Place, scope: Scope) -> Result<Minted, CallError> {
        let mut known = self.known.lock().await;
        let key = (place.clone(), scope);
        if let Some(minted) = known.minted.get(&key).filter(|minted| minted.lasts(Timestamp::now())) {
            return Ok(minted.clone());
        }
        let minted = self.make(&mut known, place, scope).await?;
        known.minted.insert(key, minted.clone());
        Ok(minted)
    }

    /// A token of its own for somebody who keeps it: nobody else has it, and whoever asks again has found that it does not count.
    pub async fn handed_out(&self, place: &Place, scope: Scope) -> Result<Minted, CallError> {
        self.make(&mut *self.known.lock().await, place, scope).await
    }

    async fn make(&self, known: &mut Known, place: &Place, scope: Scope) -> Result<Minted, CallError> {
        let Login::App(_) = &self.login else {
            return Ok(Minted { bearer: self.own_bearer()?, ends: None, called: place.clone() });
        };
        let installation = self.installation(known, place).await?;
        self.mint(known, &installation, place, scope).await
    }

    /// A token that GitHub does not take any more goes, and what is known of its installation with it.
    pub async fn forget(&self, place: &Place, scope: Scope) {
        let mut known = self.known.lock().await;
        known.minted.remove(&(place.clone(), scope));
        known.installations.clear();
    }

    /// Who writes here.
    pub async fn own(&self) -> Result<Own, CallError> {
        #[derive(Deserialize)]
        struct Slug {
            slug: String,
        }
        let mut known = self.known.lock().await;
        if let Some(own) = &known.own {
            return Ok(own.clone());
        }
        let bearer = self.own_bearer()?;
        let own = match &self.login {
            // What an App writes is by an account of its name (docs.github.com, "About authentication with a GitHub App").
            Login::App(app) => {
                let Slug { slug } = self.client.get(&bearer, "/app").await?;
                Own { login: format!("{slug}[bot]"), app: Some(app.id()) }
            }
            Login::Token(_) => {
                let Account { login } = self.client.get(&bearer, "/user").await?;
                Own { login, app: None }
            }
        };
        known.own = Some(own.clone());
        Ok(own)
    }

    /// The installation that has the owner's repositories, if there is one.
    pub async fn installed(&self, place: &Place) -> Result<Installation, CallError> {
        self.installation(&mut *self.known.lock().await, place).await
    }

    async fn installation(&self, known: &mut Known, place: &Place) -> Result<Installation, CallError> {
        let owner = place.owner().to_ascii_lowercase();
        let counts = |one: &&Installation| one.suspended_at.is_none();
        if let Some(installation) = known.installations.get(&owner).filter(counts) {
            return Ok(installation.clone());
        }
        let all: Vec<Installation> = self.client.list(&self.own_bearer()?, "/app/installations").await?;
        known.installations =
            all.into_iter().map(|one| (one.account.login.to_ascii_lowercase(), one)).collect();
        known.installations.get(&owner).cloned().ok_or_else(|| {
            CallError::NotFound(format!("the App is not installed at {}: install it there", place.owner()))
        })
    }

    async fn mint(
        &self,
        known: &mut Known,
        installation: &Installation,
        place: &Place,
        scope: Scope,
    ) -> Result<Minted, CallError> {
        if installation.suspended_at.is_some() {
            let text = format!("the installation at {} is suspended: unsuspend it there", place.owner());
            return Err(CallError::Forbidden(text));
        }
        let permissions: BTreeMap<_, _> = scope.permissions().iter().copied().collect();
        let by_id = |id: u64| json!({ "repository_ids": [id], "permissions": permissions });
        let made = match known.ids.get(place) {
            Some(id) => self.made(installation, &by_id(*id)).await,
            None => {
                let by_name = json!({ "repositories": [place.name()], "permissions": permissions });
                match self.made(installation, &by_name).await {
                    // It may be called otherwise by now.
                    Err(CallError::Invalid(words)) => match self.id_of(installation, place).await {
                        Ok(id) => self.made(installation, &by_id(id)).await,
                        Err(CallError::NotFound(_) | CallError::Forbidden(_) | CallError::Invalid(_)) => {
                            Err(CallError::Invalid(words))
                        }
                        Err(error) => Err(error),
                    },
                    made => made,
                }
            }
        };
        let Made { token, expires_at, repositories } = made.map_err(|error| match error {
            CallError::Invalid(words) => CallError::Forbidden(format!(
                "the App has no token for {place} ({words}): give its installation that repository and these permissions: {}",
                named(scope)
            )),
            other => other,
        })?;
        let mut called = None;
        if let [repository] = repositories.as_slice() {
            known.ids.insert(place.clone(), repository.id);
            called = repository.full_name.parse().ok();
        }
        Ok(Minted {
            bearer: Bearer { token: Some(token.into()), lane: installation.id },
            ends: Some(expires_at),
            called: called.unwrap_or_else(|| place.clone()),
        })
    }

    async fn made(&self, installation: &Installation, body: &Value) -> Result<Made, CallError> {
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        self.client.change(&self.own_bearer()?, Method::Post, &path, body).await
    }

    /// The id of a repository that has no such name any more: under its old one GitHub still shows the way, to a token that
    /// sees names and nothing else (docs.github.com, "Renaming a repository").
    async fn id_of(&self, installation: &Installation, place: &Place) -> Result<u64, CallError> {
        let sees = json!({ "permissions": { "metadata": "read" } });
        let Made { token, .. } = self.made(installation, &sees).await?;
        let bearer = Bearer { token: Some(token.into()), lane: installation.id };
        let found: Called = self.client.get(&bearer, &format!("/repos/{place}")).await?;
        Ok(found.id)
    }
}

/// A token, as GitHub hands it out (docs.github.com, "Create an installation access token for an app").
#[derive(Deserialize)]
struct Made {
    token: String,
    expires_at: Timestamp,
    #[serde(default)]
    repositories: Vec<Called>,
}

/// A repository by its id, and what it is called now.
#[derive(Deserialize)]
struct Called {
    id: u64,
    full_name: String,
}

impl Minted {
    fn lasts(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| ends.duration_since(now) > EARLY)
    }
}

fn named(scope: Scope) -> String {
    let each: Vec<String> =
        scope.permissions().iter().map(|(name, level)| format!("{name}: {level}")).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["", "secret", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"] {
            assert_eq!(App::new(1, bad).err(), Some(NoKey));
        }
    }

    #[test]
    fn a_push_token_can_push_and_no_more() {
        assert_eq!(named(Scope::Push), "contents: write");
    }

    #[test]
    fn a_token_ends_five_minutes_early() {
        let now = Timestamp::now();
        let minted = |minutes| Minted {
            bearer: Bearer::new("t".to_owned().into()),
            ends: Some(now + SignedDuration::from_mins(minutes)),
            called: "acme/app".parse().unwrap(),
        };
        assert!(minted(6).lasts(now) && !minted(5).lasts(now));
    }
}
