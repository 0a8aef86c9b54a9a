//! Joining a fleet with a token, taking another key, and the file that says which bot the instance belongs to.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ed25519_dalek::Signer as _;
use jiff::Timestamp;
use qd_approvals::{KeyFileError, SurfaceKey, secret_file};
use qd_nats::NatsError;
use qd_team::UplinkError;
use qd_types::InstanceName;
use qd_wire::{
    call::{Answer, Asking, Call, JOIN, NewKeys, Said, Token, keys_of},
    port::CarryError,
    sealed::{SealError, SealingKey, seal},
    signed::{BOT, Expected, Header, Held, Kind, Refused, Signed, fingerprint, hex, key_id, unhex},
    v1::WIRE,
};
use serde::{Deserialize, Serialize};

use crate::{
    Identity, SignedUplink, Status,
    link::nonce,
    way::{When, authorities, way},
};

/// The file in an instance's state folder that says which bot it belongs to.
const FILE: &str = "uplink.json";

/// Which bot an instance belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where the bot is: `https://bot.example.org:7718`, or `tls://nats.example.org:4222/home` behind a NATS server.
    pub url: String,
    /// A file with the certificates of the authorities that are believed there, in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The fleet.
    pub fleet: String,
    /// What the instance is called there.
    pub instance: InstanceName,
    /// The bot's Ed25519 key, 32 bytes as lower-case hex.
    pub signing: String,
    /// The bot's X25519 key, 32 bytes as lower-case hex.
    pub sealing: String,
    /// The Ed25519 key that the bot had before, which counts until the next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// What people compare after an instance joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The fleet.
    pub fleet: String,
    /// The fingerprint of the instance's key.
    pub instance: String,
    /// The fingerprint of the bot's.
    pub bot: String,
}

/// Why an instance did not join, or has no other key.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The address.
    #[error("{0}")]
    Address(String),
    /// The authorities that are to be believed.
    #[error("{} can't be used as the certificates of authorities, in PEM: {problem}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The NATS server that the bot is behind.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// Nobody answers, or the bot refuses.
    #[error("{url}: {source}")]
    Carry {
        /// Where.
        url: String,
        /// What went wrong.
        #[source]
        source: CarryError,
    },
    /// Somebody else answers there.
    #[error(
        "{url} is not the bot that made the token: its keys are {keys}, and the token names {wanted}. Check the address; if it \
         is right, somebody stands in between"
    )]
    AnotherBot {
        /// Where.
        url: String,
        /// Whose keys answered.
        keys: String,
        /// Whose were expected.
        wanted: String,
    },
    /// The answer is not the bot's.
    #[error("the bot's answer does not hold: {0}")]
    Answer(#[from] Refused),
    /// What was said makes no sense.
    #[error("the bot's answer makes no sense: {0}")]
    Nonsense(String),
    /// A key of this instance.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file of this instance.
    #[error("{} can't be {doing}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Read or written.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It never joined.
    #[error("{} is not there: this team has not joined a bot. Start with: quarterdeck instance join URL TOKEN", path.display())]
    NotJoined {
        /// The file.
        path: PathBuf,
    },
    /// The bot did not take the other key.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
}

impl Link {
    /// Which bot the instance whose state is in `folder` belongs to; `None` if it never joined one.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, JoinError> {
        let path = folder.join(FILE);
        let failed = |source| JoinError::File { path: path.clone(), doing: "read", source };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The bot's Ed25519 key.
    ///
    /// # Errors
    /// If the file does not hold one.
    pub fn bot(&self) -> Result<[u8; 32], JoinError> {
        key(&self.signing)
    }

    /// The bot's Ed25519 keys that count, the newest first.
    ///
    /// # Errors
    /// If the file holds something else.
    pub fn bots(&self) -> Result<Vec<[u8; 32]>, JoinError> {
        std::iter::once(&self.signing).chain(&self.before).map(|text| key(text)).collect()
    }

    /// The uplink to that bot, of the instance whose state is in `folder`.
    ///
    /// # Errors
    /// If the address or a key can't be used.
    pub async fn uplink(&self, folder: &Path, status: Status) -> Result<SignedUplink, JoinError> {
        self.open(folder, status, When::AnyTime).await
    }

    async fn open(&self, folder: &Path, status: Status, when: When) -> Result<SignedUplink, JoinError> {
        let carrier = way(&self.url, self.ca.as_deref(), &self.instance, folder, when).await?;
        let identity = Identity {
            fleet: self.fleet.clone(),
            instance: self.instance.clone(),
            key: SurfaceKey::open(&folder.join("surface.key"))?,
            bot: self.bot()?,
        };
        let before = self.before.as_deref().map(key).transpose()?;
        Ok(SignedUplink::new(carrier, identity, status).beside(before).at(folder.to_owned()))
    }

    fn write(&self, folder: &Path) -> Result<(), JoinError> {
        let path = folder.join(FILE);
        let failed = |source| JoinError::File { path: path.clone(), doing: "written", source };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let new = path.with_extension("new");
        let written = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        written().map_err(failed)
    }
}

/// The two keys of an instance, and where they lie until they count.
struct Keys {
    folder: PathBuf,
    signing: SurfaceKey,
    sealing: SealingKey,
    /// They lie under other names beside those that count now.
    beside: bool,
}

impl Keys {
    /// The keys that there are, made if there are none; or new ones beside them.
    fn open(folder: &Path, beside: bool) -> Result<Self, JoinError> {
        let at = |name: &str| folder.join(if beside { format!("{name}.next") } else { name.to_owned() });
        let signing = SurfaceKey::open(&at("surface.key"))?;
        let sealing = SealingKey::new(&secret_file(&at("sealing.key"))?)?;
        Ok(Self { folder: folder.to_owned(), signing, sealing, beside })
    }

    fn public(&self, proof: Option<String>) -> NewKeys {
        NewKeys { signing: hex(&self.signing.public()), sealing: hex(&self.sealing.public()), proof }
    }

    /// From now on they are the keys of the instance.
    fn take_over(&self) -> Result<(), JoinError> {
        if !self.beside {
            return Ok(());
        }
        // The one that signs goes last: until then the bot is asked once more for the same.
        for name in ["sealing.key", "surface.key"] {
            let path = self.folder.join(name);
            fs::rename(self.folder.join(format!("{name}.next")), &path)
                .map_err(|source| JoinError::File { path, doing: "written", source })?;
        }
        Ok(())
    }
}

/// Joins the fleet of the bot at `url` with its token; the authorities in the file `ca` are believed there in place of the
/// system's. The instance's state is in `folder`; who joined before gets new keys.
///
/// # Errors
/// If the bot is another one than the token's, refuses, or can't be reached.
pub async fn join(url: &str, ca: Option<&Path>, token: &Token, folder: &Path) -> Result<Joined, JoinError> {
    let ca = ca.map(authorities).transpose()?;
    let carrier = way(url, ca.as_deref(), &token.instance, folder, When::Now).await?;
    let carry = |source| JoinError::Carry { url: url.to_owned(), source };
    let card = carrier.card().await.map_err(carry)?;
    let (signing, sealing) = (key(&card.signing)?, key(&card.sealing)?);
    let keys = keys_of(&signing, &sealing);
    if keys != token.bot {
        return Err(JoinError::AnotherBot { url: url.to_owned(), keys, wanted: token.bot.clone() });
    }
    let own = Keys::open(folder, Link::read(folder)?.is_some())?;
    let call = Call::Join { secret: token.secret.clone(), keys: own.public(None) };
    let asking = Asking { nonce: nonce().map_err(carry)?, call };
    let header = Header {
        version: WIRE,
        kind: Kind::Call,
        fleet: card.fleet.clone(),
        from: token.instance.to_string(),
        to: BOT.to_owned(),
        key: String::new(),
        epoch: 0,
        seq: 0,
        at: Timestamp::now(),
    };
    let nonsense = |error: serde_json::Error| JoinError::Nonsense(error.to_string());
    let payload = serde_json::to_string(&asking).map_err(nonsense)?;
    let signed = Signed::new(&header, payload, own.signing.signing()).map_err(nonsense)?;
    let sealed = seal(&sealing, JOIN, &signed.to_bytes().map_err(nonsense)?)?;
    let answer = carrier.join(sealed).await.map_err(carry)?;
    let expected =
        Expected { kind: Kind::Answer, fleet: &card.fleet, from: Some(BOT), to: token.instance.as_str() };
    let held = |_: &str, id: &str| if id == key_id(&signing) { Held::Alive(signing) } else { Held::Unknown };
    let opened = Signed::from_bytes(&answer)?.open(&expected, held)?;
    let answer: Answer = serde_json::from_str(&opened.payload).map_err(nonsense)?;
    match answer.said {
        Said::Done if answer.nonce == asking.nonce => {}
        other => return Err(JoinError::Nonsense(format!("{other:?}"))),
    }
    let link = Link {
        url: url.to_owned(),
        ca,
        fleet: card.fleet,
        instance: token.instance.clone(),
        signing: card.signing,
        sealing: card.sealing,
        before: None,
    };
    own.take_over()?;
    link.write(folder)?;
    let (instance, bot) = (fingerprint(&own.signing.public()), fingerprint(&signing));
    Ok(Joined { fleet: link.fleet, instance, bot })
}

/// Takes other keys, and tells the bot. The key of before counts beside the new one until the next change, so that what it
/// signed goes on to count, and a team that runs may go on with it until its next start. Cut short, the same call goes on.
///
/// # Errors
/// If the instance has not joined, or the bot does not take the keys.
pub async fn rotate(folder: &Path) -> Result<Joined, JoinError> {
    let link = Link::read(folder)?.ok_or_else(|| JoinError::NotJoined { path: folder.join(FILE) })?;
    let old = SurfaceKey::open(&folder.join("surface.key"))?;
    let uplink = link.open(folder, Status::default(), When::Now).await?;
    let new = other_keys(&uplink, folder, &old).await?;
    let (instance, bot) = (fingerprint(&new.signing.public()), fingerprint(&link.bot()?));
    Ok(Joined { fleet: link.fleet, instance, bot })
}

/// The same over an uplink that is open, unless the key in `folder` is another one than `old` already.
pub(crate) async fn rotated(uplink: &SignedUplink, folder: &Path, old: &str) -> Result<(), JoinError> {
    let now = SurfaceKey::open(&folder.join("surface.key"))?;
    if hex(&now.public()) == old {
        other_keys(uplink, folder, &now).await?;
    }
    Ok(())
}

async fn other_keys(uplink: &SignedUplink, folder: &Path, old: &SurfaceKey) -> Result<Keys, JoinError> {
    let new = Keys::open(folder, true)?;
    let proof = new.signing.signing().sign(NewKeys::proves(&key_id(&old.public())).as_bytes());
    uplink.tell(new.public(Some(hex(&proof.to_bytes())))).await?;
    new.take_over()?;
    Ok(new)
}

/// The bot has other keys, and the one of `before` counts beside them.
pub(crate) fn bot_has(folder: &Path, keys: &NewKeys, before: &[u8; 32]) -> Result<(), JoinError> {
    let link = Link::read(folder)?.ok_or_else(|| JoinError::NotJoined { path: folder.join(FILE) })?;
    let (signing, sealing) = (keys.signing.clone(), keys.sealing.clone());
    Link { signing, sealing, before: Some(hex(before)), ..link }.write(folder)
}

fn key(text: &str) -> Result<[u8; 32], JoinError> {
    let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| JoinError::Nonsense(format!("{text:?} is no key")))
}
