//! What a team pushes with, where its forge asks for something: asked of the bot at the moment it is needed, sealed on its way,
//! kept in memory until shortly before its end, and written nowhere.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_git::Access;
use qd_types::RepositoryName;
use qd_uplink::SignedUplink;
use qd_wire::sealed::SealingKey;
use qd_worktrees::{Credentials, Reach};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;

/// A push may take a while: a token is not begun with any more so long before its end.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// How long one counts that does not say when it ends.
const UNSAID: SignedDuration = SignedDuration::from_mins(10);

/// As the bot seals it (`qd_github::PushCredential`).
#[derive(Deserialize)]
struct Credential {
    address: String,
    /// Where the repository is now, said by newer bots.
    remote: Option<String>,
    user: String,
    password: SecretString,
    ends: Option<i64>,
}

/// The way to the bot, once there is one, and what was had through it.
#[derive(Default)]
pub(super) struct PushAccess {
    way: OnceLock<(Arc<SignedUplink>, SealingKey)>,
    known: Mutex<BTreeMap<RepositoryName, (Reach, Timestamp)>>,
}

impl fmt::Debug for PushAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushAccess")
    }
}

impl PushAccess {
    /// From now on it asks through this uplink, with answers sealed to this key.
    pub(super) fn through(&self, uplink: Arc<SignedUplink>, key: SealingKey) {
        self.way.get_or_init(|| (uplink, key));
    }
}

#[async_trait]
impl Credentials for PushAccess {
    async fn access(&self, repository: &RepositoryName) -> Result<Reach, String> {
        let Some((uplink, key)) = self.way.get() else {
            return Err("it comes from the bot, and no bot is known here (quarterdeck up, or quarterdeck instance join)".into());
        };
        let mut known = self.known.lock().await;
        let now = Timestamp::now();
        if let Some((reach, ends)) = known.get(repository)
            && ends.duration_since(now) > EARLY
        {
            return Ok(reach.clone());
        }
        let bytes = uplink.credential(repository.as_str(), key).await.map_err(|error| error.to_string())?;
        let Credential { address, remote, user, password, ends } = serde_json::from_slice(&bytes)
            .map_err(|_| "the bot's answer is no credential: one of the two is older".to_owned())?;
        let ends = ends.and_then(|ends| Timestamp::from_second(ends).ok());
        let ends = ends.or_else(|| now.checked_add(EARLY + UNSAID).ok()).unwrap_or(now);
        let reach = Reach { access: Access::basic(address, &user, &password), remote };
        known.insert(repository.clone(), (reach.clone(), ends));
        Ok(reach)
    }

    async fn forget(&self, repository: &RepositoryName) {
        self.known.lock().await.remove(repository);
    }
}
