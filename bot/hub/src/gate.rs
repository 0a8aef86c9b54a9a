//! The bot's end of every transport: who calls is known by what they signed, and by nothing else. Bytes come in and go out;
//! HTTP, NATS and an instance in this process bring the same.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::{KeyId, KeyOwner, secret_file};
use qd_types::{InstanceName, PersonId};
use qd_wire::{
    call::{Answer, Asking, CREDENTIAL, Call, Card, FRESH, JOIN, NewKeys, Said, Token, Unheard, keys_of},
    port::{Gate, Reader},
    sealed::{SealingKey, seal},
    signed::{BOT, Expected, Header, Held, Kind, Opened, Refused, Signed, fingerprint, hex, key_id, unhex},
    v1::{Ack, Envelope, Report, WIRE},
};
use serde::Serialize;

use crate::{Hub, HubError, Rotated, keeper::Keeper, own_keys};

/// Where the credentials are from that instances ask for. They are made or looked up at that moment, sealed, and forgotten.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The credential by which an instance pushes to a repository, or why there is none, for people.
    async fn credential(&self, instance: &InstanceName, repository: &str) -> Result<Vec<u8>, String>;
}

/// A forge that is a folder needs none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

#[async_trait]
impl Credentials for NoCredentials {
    async fn credential(&self, _: &InstanceName, repository: &str) -> Result<Vec<u8>, String> {
        Err(format!("{repository} is on the embedded forge, which needs no credential"))
    }
}

/// The gate of a hub. Cheap to clone.
#[derive(Clone)]
pub struct HubGate {
    hub: Hub,
    fleet: Arc<str>,
    folder: PathBuf,
    sealing: Arc<RwLock<Arc<SealingKey>>>,
    credentials: Arc<dyn Credentials>,
}

/// A call that is what it says, and who made it.
struct Heard {
    instance: InstanceName,
    /// The public half of the key that signed it.
    public: [u8; 32],
    key: String,
    /// When, by the bot's clock as far as the instance knows it.
    said: Timestamp,
    asking: Asking,
}

impl HubGate {
    /// Opens the gate of `fleet`. The key that is sealed to lies in `folder`, beside the one that signs.
    ///
    /// # Errors
    /// If that key can't be had.
    pub fn open(
        hub: Hub,
        folder: &Path,
        fleet: &str,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Self, HubError> {
        let sealing = Arc::new(RwLock::new(sealing_key(folder)?));
        Ok(Self { hub, fleet: fleet.into(), folder: folder.to_owned(), sealing, credentials })
    }

    fn sealing(&self) -> Arc<SealingKey> {
        Arc::clone(&self.sealing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bot takes other keys, because `by` wants it, and every instance is told. The key of before counts beside the new one
    /// until the next change.
    ///
    /// # Errors
    /// If an instance has not taken the last one yet, or files or the database fail.
    pub async fn rotate_own(&self, by: &PersonId) -> Result<Rotated, HubError> {
        let (next, keys) = own_keys::next(&self.folder, &self.hub.own().now)?;
        let key = fingerprint(&next.public());
        let told = self.hub.rotate_own(next, keys, &self.folder, by).await?;
        *self.sealing.write().unwrap_or_else(PoisonError::into_inner) = sealing_key(&self.folder)?;
        tracing::info!(key, "the bot has another key");
        Ok(Rotated { key, told })
    }

    /// The token that lets an instance join with this secret.
    pub fn token(&self, instance: InstanceName, secret: String) -> Token {
        Token { instance, secret, bot: keys_of(&self.hub.surface_key(), &self.sealing().public()) }
    }

    fn opened(
        &self,
        signed: Signed,
        kind: Kind,
        from: Option<&str>,
        held: impl FnOnce(&str, &str) -> Held,
    ) -> Result<Opened, Unheard> {
        let expected = Expected { kind, fleet: &self.fleet, from, to: BOT };
        signed.open(&expected, held).map_err(|refused| {
            tracing::warn!(%refused, "an envelope is refused");
            Unheard::because(&refused)
        })
    }

    /// Opens a call, of an instance whose key counts.
    async fn hear(&self, call: &[u8]) -> Result<(Heard, Arc<Keeper>), Unheard> {
        let keeper = self.hub.keeper();
        let signed = Signed::from_bytes(call).map_err(|error| Unheard::because(&error))?;
        let opened = self.opened(signed, Kind::Call, None, |from, key| held(&keeper, from, key))?;
        let now = Timestamp::now();
        if now.duration_since(opened.header.at).abs() > FRESH {
            let refused = format!("the call is of {}, and it is {now} here", opened.header.at);
            return Err(Unheard { refused, now, stale: true });
        }
        let Held::Alive(public) = held(&keeper, &opened.header.from, &opened.header.key) else {
            return Err(Unheard::failed("the key is gone"));
        };
        let instance = name(&opened.header.from)?;
        let Header { key, at: said, .. } = opened.header;
        let heard = Heard { instance, public, key, said, asking: read(&opened.payload)? };
        Ok((heard, keeper))
    }

    async fn said(&self, heard: &Heard, keeper: &Keeper, reports: &[Vec<u8>]) -> Result<Said, Unheard> {
        let Heard { instance, public, asking, .. } = heard;
        match &asking.call {
            Call::Ship => {
                let batch = reports.iter().map(|bytes| self.report(instance, keeper, bytes));
                let batch = batch.collect::<Result<Vec<_>, _>>()?;
                Ok(Said::Ack(self.hub.receive(instance, batch).await.map_err(|error| failed(&error))?))
            }
            Call::Acknowledge { ack } => {
                self.hub.acknowledged(instance, *ack, heard.said).await.map_err(|error| failed(&error))?;
                Ok(Said::Done)
            }
            Call::Credential { repository, sealing } => {
                self.credential(instance, public, repository, sealing.as_deref()).await
            }
            Call::Rotate(keys) => self.rotate(instance, *public, keys).await,
            Call::Orders { .. } | Call::Join { .. } => {
                Ok(Said::Refused { reason: "That is asked for in another way.".to_owned() })
            }
        }
    }

    fn report(
        &self,
        from: &InstanceName,
        keeper: &Keeper,
        bytes: &[u8],
    ) -> Result<Envelope<Report>, Unheard> {
        let signed = Signed::from_bytes(bytes).map_err(|error| Unheard::because(&error))?;
        let held = |from: &str, key: &str| held(keeper, from, key);
        let Opened { header, payload } = self.opened(signed, Kind::Report, Some(from.as_str()), held)?;
        let Header { epoch, seq, at, .. } = header;
        Ok(Envelope { epoch, seq, at, body: Report::read(&payload) })
    }

    async fn credential(
        &self,
        instance: &InstanceName,
        public: &[u8; 32],
        repository: &str,
        named: Option<&str>,
    ) -> Result<Said, Unheard> {
        let keys = self.hub.enrolled().await.map_err(|error| failed(&error))?;
        let key = keys.iter().find(|key| key.signing == *public && !key.revoked);
        let named = || named.and_then(unhex).and_then(|bytes| bytes.try_into().ok());
        let Some(sealing) = key.and_then(|key| key.sealing.or_else(named)) else {
            let reason = format!("{instance} has no key to seal to: it has to join (quarterdeck bot invite)");
            return Ok(Said::Refused { reason });
        };
        Ok(match self.credentials.credential(instance, repository).await {
            Ok(secret) => match seal(&sealing, CREDENTIAL, &secret) {
                Ok(sealed) => Said::Sealed { sealed },
                Err(error) => Said::Refused { reason: error.to_string() },
            },
            Err(reason) => Said::Refused { reason },
        })
    }

    async fn rotate(&self, instance: &InstanceName, old: [u8; 32], keys: &NewKeys) -> Result<Said, Unheard> {
        let new = keys.public().map_err(Unheard::failed)?;
        if !keys.proven(&old) {
            let reason = "The new key did not sign for itself.".to_owned();
            return Ok(Said::Refused { reason });
        }
        match self.hub.rotate(instance, old, new).await {
            Ok(()) => {
                tracing::info!(%instance, key = key_id(&new.0), "an instance has another key");
                Ok(Said::Done)
            }
            Err(error @ HubError::KeyWithdrawn { .. }) => Ok(Said::Refused { reason: error.to_string() }),
            Err(error) => Err(failed(&error)),
        }
    }

    fn answer(&self, to: &InstanceName, nonce: &str, said: Said) -> Result<Vec<u8>, Unheard> {
        let now = Timestamp::now();
        let answer = Answer { nonce: nonce.to_owned(), now, said };
        self.sign(to, Kind::Answer, Ack { epoch: 0, seq: 0 }, now, &answer)
    }

    fn sign(
        &self,
        to: &InstanceName,
        kind: Kind,
        place: Ack,
        at: Timestamp,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, Unheard> {
        let (own, fleet, from) = (self.hub.own(), self.fleet.to_string(), BOT.to_owned());
        let Ack { epoch, seq } = place;
        let header = Header {
            version: WIRE,
            kind,
            fleet,
            from,
            to: to.to_string(),
            key: String::new(),
            epoch,
            seq,
            at,
        };
        let signed = serde_json::to_string(body)
            .and_then(|payload| Signed::new(&header, payload, own.toward(to).signing()))
            .and_then(|signed| signed.to_bytes());
        signed.map_err(|error| Unheard::failed(error.to_string()))
    }
}

#[async_trait]
impl Gate for HubGate {
    fn card(&self) -> Card {
        Card {
            fleet: self.fleet.to_string(),
            version: WIRE,
            signing: hex(&self.hub.surface_key()),
            sealing: hex(&self.sealing().public()),
            now: Timestamp::now(),
        }
    }

    async fn join(&self, sealed: &str) -> Result<Vec<u8>, Unheard> {
        let bytes = self.sealing().open(JOIN, sealed).map_err(|error| Unheard::failed(error.to_string()))?;
        let signed = Signed::from_bytes(&bytes).map_err(|error| Unheard::because(&error))?;
        // Nobody knows the key yet: it is in the call, and what counts is the token.
        let unproven: Asking = read(&signed.payload)?;
        let Call::Join { secret, keys } = &unproven.call else {
            return Err(Unheard::failed("it is no request to join"));
        };
        let public = keys.public().map_err(Unheard::failed)?;
        let opened = self.opened(signed, Kind::Call, None, |_, _| Held::Alive(public.0))?;
        let instance = name(&opened.header.from)?;
        let done = self.hub.join(&instance, secret, public).await;
        let said = match done {
            Ok(()) => Said::Done,
            Err(error @ (HubError::NotInvited { .. } | HubError::KeyWithdrawn { .. })) => {
                tracing::warn!(%instance, %error, "an instance may not join");
                return Err(Unheard::failed(error.to_string()));
            }
            Err(error) => return Err(failed(&error)),
        };
        tracing::info!(%instance, key = key_id(&public.0), "an instance joined");
        self.answer(&instance, &unproven.nonce, said)
    }

    async fn call(&self, call: &[u8], reports: &[Vec<u8>]) -> Result<Vec<u8>, Unheard> {
        let (heard, keeper) = self.hear(call).await?;
        let said = self.said(&heard, &keeper, reports).await?;
        self.answer(&heard.instance, &heard.asking.nonce, said)
    }

    async fn open(&self, call: &[u8]) -> Result<Reader, Unheard> {
        let (heard, _) = self.hear(call).await?;
        let Call::Orders { after } = heard.asking.call else {
            return Err(Unheard::failed("it is no call for orders"));
        };
        let noted = self.hub.acknowledged(&heard.instance, after, heard.said).await;
        noted.map_err(|error| failed(&error))?;
        Ok(Reader { instance: heard.instance.to_string(), key: heard.key, sent: after })
    }

    async fn orders(&self, reader: &mut Reader) -> Result<Vec<(Ack, Vec<u8>)>, Unheard> {
        let instance = name(&reader.instance)?;
        let orders = self.hub.orders_after(&instance, reader.sent).await.map_err(|error| failed(&error))?;
        // It may have been put out while it waited.
        if !matches!(held(self.hub.keeper().as_ref(), &reader.instance, &reader.key), Held::Alive(_)) {
            let (from, key) = (reader.instance.clone(), reader.key.chars().take(16).collect());
            return Err(Unheard::because(&Refused::RevokedKey { from, key }));
        }
        let mut lines = Vec::with_capacity(orders.len());
        for Envelope { epoch, seq, at, body } in orders {
            let place = Ack { epoch, seq };
            lines.push((place, self.sign(&instance, Kind::Order, place, at, &body)?));
            reader.sent = place;
        }
        Ok(lines)
    }
}

fn sealing_key(folder: &Path) -> Result<Arc<SealingKey>, HubError> {
    let secret = secret_file(&folder.join("sealing.key"))?;
    Ok(Arc::new(SealingKey::new(&secret).map_err(|error| HubError::Refused(error.to_string()))?))
}

/// What is known of an instance's key.
fn held(keeper: &Keeper, from: &str, key: &str) -> Held {
    match keeper.people.keys.get(&KeyId::named(key)) {
        Some(known) if matches!(&known.owner, KeyOwner::Instance(name) if name.as_str() == from) => {
            if known.revoked { Held::Revoked } else { Held::Alive(known.public) }
        }
        _ => Held::Unknown,
    }
}

fn name(text: &str) -> Result<InstanceName, Unheard> {
    text.parse().map_err(|error: qd_types::IdError| Unheard::failed(error.to_string()))
}

fn read(payload: &str) -> Result<Asking, Unheard> {
    serde_json::from_str(payload)
        .map_err(|error| Unheard::failed(format!("the call is not understood: {error}")))
}

/// A failure of ours: nothing was taken, and the same can be tried again.
fn failed(error: &HubError) -> Unheard {
    if matches!(error, HubError::Late { .. }) {
        tracing::info!(%error, "a call is not taken");
        return Unheard { stale: true, ..Unheard::failed(error.to_string()) };
    }
    tracing::error!(%error, "a call could not be answered");
    Unheard::failed("the bot could not store it: its log says why")
}
