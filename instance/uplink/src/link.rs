//! The uplink over any transport: reports are signed, answers and orders are verified, and the bot's clock is known.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_approvals::SurfaceKey;
use qd_team::{Uplink, UplinkError};
use qd_types::InstanceName;
use qd_wire::{
    call::{Answer, Asking, CREDENTIAL, Call, NewKeys, Said},
    port::{Carrier, CarryError},
    sealed::SealingKey,
    signed::{BOT, Expected, Header, Held, Kind, Opened, Signed, fingerprint, hex, key_id},
    v1::{Ack, Envelope, Order, Report, WIRE},
};
use serde::{Deserialize, Serialize};

use crate::join;

/// Bytes of reports that travel at once; what is more follows.
const AT_ONCE: usize = 2 * 1024 * 1024;

/// Who speaks, and to whom.
#[derive(Debug)]
pub struct Identity {
    /// The fleet.
    pub fleet: String,
    /// The instance.
    pub instance: InstanceName,
    /// What it signs with.
    pub key: SurfaceKey,
    /// What the bot signs with: Ed25519, 32 bytes.
    pub bot: [u8; 32],
}

/// How the link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When the bot was heard last, by this computer's clock.
    pub heard: Option<Timestamp>,
    /// How far the bot's clock is ahead of this one, in milliseconds; negative if it is behind.
    pub ahead_ms: i64,
    /// How long a call and its answer took, in milliseconds: the offset is known to half of that.
    pub round_trip_ms: u64,
    /// Why it does not work now; `None` while it does.
    pub trouble: Option<String>,
}

/// How the link stands, for whoever shows it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Status(Arc<Mutex<State>>);

impl Default for Status {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { heard: None, ahead_ms: 0, round_trip_ms: 0, trouble: None })))
    }
}

impl Status {
    /// As it stands now.
    pub fn now(&self) -> State {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The bot's time, as far as it is known.
    fn bots_time(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.now().ahead_ms);
        Timestamp::now().checked_add(ahead).unwrap_or_else(|_| Timestamp::now())
    }

    /// The bot said that it was `theirs`, some time between `sent` and now.
    fn measure(&self, theirs: Timestamp, sent: Timestamp) {
        let took = Timestamp::now().duration_since(sent);
        let middle = sent.checked_add(took / 2).unwrap_or(sent);
        self.change(|state| {
            state.ahead_ms = millis(theirs.duration_since(middle));
            state.round_trip_ms = millis(took).unsigned_abs();
        });
    }

    fn heard(&self) {
        self.change(|state| (state.heard, state.trouble) = (Some(Timestamp::now()), None));
    }

    fn trouble(&self, why: &str) {
        self.change(|state| state.trouble = Some(why.to_owned()));
    }
}

fn millis(span: SignedDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The uplink of an instance, over a transport.
pub struct SignedUplink {
    carrier: Arc<dyn Carrier>,
    identity: Identity,
    /// The bot's keys that count, the newest first.
    bot: RwLock<Vec<[u8; 32]>>,
    /// The instance's state folder, if its bot is elsewhere.
    home: Option<PathBuf>,
    status: Status,
    /// What the bot was told that is kept here.
    acknowledged: Mutex<Option<Ack>>,
}

impl SignedUplink {
    /// An uplink of `identity` over `carrier`. `status` is changed as it goes.
    pub fn new(carrier: Arc<dyn Carrier>, identity: Identity, status: Status) -> Self {
        let bot = RwLock::new(vec![identity.bot]);
        Self { carrier, identity, bot, home: None, status, acknowledged: Mutex::default() }
    }

    /// The same, and the bot's key of before counts as well.
    #[must_use]
    pub fn beside(mut self, before: Option<[u8; 32]>) -> Self {
        self.bot.get_mut().unwrap_or_else(PoisonError::into_inner).extend(before);
        self
    }

    /// The same, and other keys are kept in `folder`, from where [`Link`](crate::Link) reads them.
    #[must_use]
    pub(crate) fn at(mut self, folder: PathBuf) -> Self {
        self.home = Some(folder);
        self
    }

    fn bot(&self) -> Vec<[u8; 32]> {
        self.bot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A credential to push to a repository, made by the bot at this moment.
    ///
    /// # Errors
    /// If there is none, in the bot's words, or the bot can't be reached.
    pub async fn credential(&self, repository: &str, key: &SealingKey) -> Result<Vec<u8>, UplinkError> {
        let sealing = Some(hex(&key.public()));
        let call = Call::Credential { repository: repository.to_owned(), sealing };
        match self.ask(call, &[]).await? {
            Said::Sealed { sealed } => {
                key.open(CREDENTIAL, &sealed).map_err(|error| UplinkError(error.to_string()))
            }
            other => Err(unexpected(other)),
        }
    }

    /// Says that the instance has other keys from now on.
    ///
    /// # Errors
    /// If the bot does not take them, or can't be reached.
    pub async fn tell(&self, keys: NewKeys) -> Result<(), UplinkError> {
        match self.ask(Call::Rotate(keys), &[]).await? {
            Said::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, call: Call, reports: &[Vec<u8>]) -> Result<Said, UplinkError> {
        let asked = match self.once(&call, reports).await {
            // The bot has another clock: by that one, the same is heard.
            Err(CarryError::Unheard(unheard)) if unheard.stale => {
                self.status.measure(unheard.now, Timestamp::now());
                self.once(&call, reports).await
            }
            asked => asked,
        };
        self.told(asked)
    }

    async fn once(&self, call: &Call, reports: &[Vec<u8>]) -> Result<Said, CarryError> {
        let sent = Timestamp::now();
        let asking = Asking { nonce: nonce()?, call: call.clone() };
        let bytes = self.call(&asking)?;
        let answer = self.carrier.call(bytes, reports.to_vec()).await?;
        let opened = self.open(&answer, Kind::Answer)?;
        let answer: Answer = serde_json::from_str(&opened.payload).map_err(away)?;
        if answer.nonce != asking.nonce {
            return Err(CarryError::Away("an answer to something else came back".to_owned()));
        }
        self.status.measure(answer.now, sent);
        Ok(answer.said)
    }

    /// Notes how it went.
    fn told<T>(&self, asked: Result<T, CarryError>) -> Result<T, UplinkError> {
        match asked {
            Ok(said) => {
                self.status.heard();
                Ok(said)
            }
            Err(error) => {
                self.status.trouble(&error.to_string());
                Err(UplinkError(error.to_string()))
            }
        }
    }

    fn call(&self, asking: &Asking) -> Result<Vec<u8>, CarryError> {
        let none = Ack { epoch: 0, seq: 0 };
        self.sign(Kind::Call, none, self.status.bots_time(), serde_json::to_string(asking).map_err(away)?)
    }

    fn sign(&self, kind: Kind, place: Ack, at: Timestamp, payload: String) -> Result<Vec<u8>, CarryError> {
        let Ack { epoch, seq } = place;
        let (fleet, from) = (self.identity.fleet.clone(), self.identity.instance.to_string());
        let (to, key) = (BOT.to_owned(), String::new());
        let header = Header { version: WIRE, kind, fleet, from, to, key, epoch, seq, at };
        let signed = Signed::new(&header, payload, self.identity.key.signing()).map_err(away)?;
        signed.to_bytes().map_err(away)
    }

    fn open(&self, bytes: &[u8], kind: Kind) -> Result<Opened, CarryError> {
        let (Identity { fleet, instance, .. }, bot) = (&self.identity, self.bot());
        let expected = Expected { kind, fleet, from: Some(BOT), to: instance.as_str() };
        let held = |_: &str, key: &str| {
            bot.iter()
                .find(|public| key == key_id(public))
                .map_or(Held::Unknown, |public| Held::Alive(*public))
        };
        Signed::from_bytes(bytes).and_then(|signed| signed.open(&expected, held)).map_err(away)
    }

    fn order(&self, bytes: &[u8]) -> Result<Envelope<Order>, CarryError> {
        let Opened { header, payload } = self.open(bytes, Kind::Order)?;
        let Header { epoch, seq, at, .. } = header;
        Ok(Envelope { epoch, seq, at, body: Order::read(&payload) })
    }

    async fn take(&self, after: Ack) -> Result<Vec<Envelope<Order>>, CarryError> {
        let asking = Asking { nonce: nonce()?, call: Call::Orders { after } };
        let lines = self.carrier.orders(self.call(&asking)?, after).await?;
        lines.iter().map(|line| self.order(line)).collect()
    }

    fn acknowledged(&self) -> MutexGuard<'_, Option<Ack>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Uplink for SignedUplink {
    async fn ship(&self, batch: Vec<Envelope<Report>>) -> Result<Ack, UplinkError> {
        let (mut lines, mut bytes) = (Vec::with_capacity(batch.len()), 0);
        for Envelope { epoch, seq, at, body } in batch {
            let payload = serde_json::to_string(&body).map_err(|error| UplinkError(error.to_string()))?;
            let line = self.sign(Kind::Report, Ack { epoch, seq }, at, payload);
            let line = line.map_err(|error| UplinkError(error.to_string()))?;
            bytes += line.len();
            if bytes > AT_ONCE && !lines.is_empty() {
                break;
            }
            lines.push(line);
        }
        match self.ask(Call::Ship, &lines).await? {
            Said::Ack(ack) => Ok(ack),
            other => Err(unexpected(other)),
        }
    }

    async fn orders(&self, after: Ack) -> Result<Vec<Envelope<Order>>, UplinkError> {
        // A stream that opens acknowledges by itself; one that is open has to be told.
        if self.acknowledged().is_some_and(|known| known != after) {
            match self.ask(Call::Acknowledge { ack: after }, &[]).await? {
                Said::Done => {}
                other => return Err(unexpected(other)),
            }
        }
        let taken = match self.take(after).await {
            Err(CarryError::Unheard(unheard)) if unheard.stale => {
                self.status.measure(unheard.now, Timestamp::now());
                self.take(after).await
            }
            taken => taken,
        };
        *self.acknowledged() = taken.is_ok().then_some(after);
        self.told(taken)
    }

    async fn bot_keys(&self, keys: &NewKeys) -> Result<Option<Vec<[u8; 32]>>, UplinkError> {
        let known = self.bot();
        let Ok((new, _)) = keys.public() else { return Ok(None) };
        if known.contains(&new) {
            return Ok(Some(known));
        }
        let Some(before) = known.into_iter().find(|known| keys.proven(known)) else { return Ok(None) };
        if let Some(folder) = &self.home {
            join::bot_has(folder, keys, &before).map_err(|error| UplinkError(error.to_string()))?;
        }
        let now = vec![new, before];
        self.bot.write().unwrap_or_else(PoisonError::into_inner).clone_from(&now);
        tracing::info!(key = fingerprint(&new), "the bot has another key");
        Ok(Some(now))
    }

    async fn rotate(&self, old: &str) -> Result<(), UplinkError> {
        let Some(folder) = &self.home else {
            return Err(UplinkError("the team runs in the bot's own process".to_owned()));
        };
        join::rotated(self, folder, old).await.map_err(|error| UplinkError(error.to_string()))
    }
}

fn away(error: impl std::fmt::Display) -> CarryError {
    CarryError::Away(error.to_string())
}

fn unexpected(said: Said) -> UplinkError {
    UplinkError(match said {
        Said::Refused { reason } => reason,
        other => format!("the bot answered something else: {other:?}"),
    })
}

/// 16 random bytes.
pub(crate) fn nonce() -> Result<String, CarryError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(away)?;
    Ok(hex(&bytes))
}
