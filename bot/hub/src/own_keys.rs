//! The bot's own keys, and how others take their place. The key of before counts until the next change: what it signed is still
//! on its way, and an instance that has not heard of the new one is spoken to with it.
//!
//! The new keys lie beside the old ones until one transaction tells every instance and lists them. Whatever comes after that is
//! done again at the next start.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use ed25519_dalek::Signer as _;
use jiff::Timestamp;
use qd_approvals::{SurfaceKey, secret_file};
use qd_audit::{Actor, pseudonym};
use qd_sqlite::outbox;
use qd_types::{InstanceName, PersonId};
use qd_wire::{
    call::NewKeys,
    sealed::SealingKey,
    signed::{fingerprint, hex, key_id},
    v1::Order,
};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use crate::{HubError, enrol, json::to_json, keeper::BOT};

/// The file of the key that signs, and of the one that is sealed to. The first is put in its place last.
const FILES: [&str; 2] = ["sealing.key", "surface.key"];

/// What the bot signs with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OwnKeys {
    pub(crate) now: Arc<SurfaceKey>,
    pub(crate) before: Option<Arc<SurfaceKey>>,
    /// Who has not taken the key of now.
    behind: BTreeSet<InstanceName>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The fingerprint of the key that signs from now on.
    pub key: String,
    /// Who is told.
    pub told: Vec<InstanceName>,
}

impl OwnKeys {
    /// The keys that lie in `folder`; a change that was cut short is brought to its end.
    pub(crate) fn open(c: &Connection, folder: &Path) -> Result<Self, HubError> {
        let next = folder.join("surface.key.next");
        if next.exists() {
            let public = SurfaceKey::open(&next)?.public();
            // Without that, nobody was told, and the next change takes it up.
            if qd_audit::signers(c)?
                .iter()
                .any(|signer| signer.name == BOT && *signer.key.as_bytes() == public)
            {
                take_over(folder)?;
            }
        }
        let now = Arc::new(SurfaceKey::open(&folder.join("surface.key"))?);
        let before = folder.join("surface.key.before");
        let before = if before.exists() { Some(Arc::new(SurfaceKey::open(&before)?)) } else { None };
        Ok(Self { now, before, behind: behind(c)? })
    }

    /// Once `told` are told: `next` signs, and the one of now goes on to count.
    pub(crate) fn follow(&mut self, next: SurfaceKey, told: &[InstanceName]) {
        self.before = Some(std::mem::replace(&mut self.now, Arc::new(next)));
        self.behind = told.iter().cloned().collect();
    }

    /// What is signed with to this instance.
    pub(crate) fn toward(&self, instance: &InstanceName) -> &SurfaceKey {
        match &self.before {
            Some(before) if self.behind.contains(instance) => before,
            _ => &self.now,
        }
    }

    pub(crate) fn is_behind(&self, instance: &InstanceName) -> bool {
        self.behind.contains(instance)
    }

    pub(crate) fn caught_up(&mut self, instance: &InstanceName) {
        self.behind.remove(instance);
    }

    /// The public halves that count, the newest first.
    pub(crate) fn public(&self) -> Vec<[u8; 32]> {
        std::iter::once(&self.now).chain(&self.before).map(|key| key.public()).collect()
    }
}

/// New keys in `folder`, that count for nothing yet; those of a change that was cut short before anybody was told. With what
/// is said of them to whoever knows `old`.
pub(crate) fn next(folder: &Path, old: &SurfaceKey) -> Result<(SurfaceKey, NewKeys), HubError> {
    let signing = SurfaceKey::open(&folder.join("surface.key.next"))?;
    let sealing = SealingKey::new(&secret_file(&folder.join("sealing.key.next"))?)
        .map_err(|error| HubError::Refused(error.to_string()))?;
    let proof = signing.signing().sign(NewKeys::proves(&key_id(&old.public())).as_bytes());
    let keys = NewKeys {
        signing: hex(&signing.public()),
        sealing: hex(&sealing.public()),
        proof: Some(hex(&proof.to_bytes())),
    };
    Ok((signing, keys))
}

/// The files of the next keys take the place of those of now, which take that of those of before. May be done again.
pub(crate) fn take_over(folder: &Path) -> Result<(), HubError> {
    for name in FILES {
        let (path, next) = (folder.join(name), folder.join(format!("{name}.next")));
        if !next.exists() {
            continue;
        }
        let moved = match fs::rename(&path, folder.join(format!("{name}.before"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::rename(&next, &path),
        };
        moved.map_err(|error| HubError::Refused(format!("{} can't be written: {error}", path.display())))?;
    }
    Ok(())
}

/// Tells every instance of the new keys, and lists them in the trail: from here on the change is made.
pub(crate) fn tell(
    c: &Connection,
    (old, new): (&[u8; 32], &[u8; 32]),
    keys: &NewKeys,
    by: &PersonId,
    now: Timestamp,
) -> Result<Vec<InstanceName>, HubError> {
    if let Some(late) = behind(c)?.first() {
        return Err(HubError::Refused(format!(
            "{late} has not taken the bot's last key yet, and would know neither: wait until it runs, or put it out with \
             quarterdeck bot revoke {late}"
        )));
    }
    let told = instances(c)?;
    let order = to_json("outbox", &Order::BotKeys(keys.clone()))?;
    for instance in &told {
        outbox::push(c, instance.as_str(), None, now.as_millisecond(), &order)?;
    }
    qd_audit::enrol(c, BOT, new)?;
    let text = format!("the bot has the key {} beside {}", fingerprint(new), fingerprint(old));
    enrol::note(c, Actor::Person(pseudonym(c, by)?), json!({ "text": text, "key": hex(new) }), now)?;
    Ok(told)
}

/// Whether an instance has not acknowledged that it was told.
pub(crate) fn waits(c: &Connection, instance: &InstanceName) -> Result<bool, HubError> {
    let sql = "SELECT 1 FROM outbox WHERE peer = ?1 AND body ->> 'order' = 'bot_keys'";
    let row: Option<i64> =
        c.prepare_cached(sql)?.query_row([instance.as_str()], |row| row.get(0)).optional()?;
    Ok(row.is_some())
}

/// Who has not acknowledged that they were told. Who was put out does not have to.
fn behind(c: &Connection) -> Result<BTreeSet<InstanceName>, HubError> {
    let mut behind = BTreeSet::new();
    for instance in instances(c)? {
        if waits(c, &instance)? {
            behind.insert(instance);
        }
    }
    Ok(behind)
}

/// Whoever has a key that counts.
fn instances(c: &Connection) -> Result<Vec<InstanceName>, HubError> {
    let sql = "SELECT DISTINCT instance FROM surface_keys WHERE revoked_at IS NULL ORDER BY instance";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut instances = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        instances.push(name.parse().map_err(|error| HubError::corrupt("surface_keys", error))?);
    }
    Ok(instances)
}
