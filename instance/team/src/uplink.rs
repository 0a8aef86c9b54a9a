//! The port to the bot, and what goes by it: reports up, orders down, and a beat that says that the team is there. At least
//! once, in order; an order is applied in the transaction that notes it as received.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::Ask;
use qd_board::{
    backoff::{Backoff, Jitter, MAX_RETRIES},
    chance,
};
use qd_store::{Applied, Keeper, StoreError};
use qd_types::{RepositoryName, Verb};
use qd_wire::{
    call::NewKeys,
    v1::{Ack, BoardCommand, Envelope, Hello, IssueEvent, IssueHappened, Kind as _, Order, Report, WIRE},
};
use tokio::sync::watch;

use crate::team::Team;

/// Reports on their way at once.
const BATCH: usize = 128;
/// The pauses between two tries while the bot is away, spread so that teams that lost it together do not come back together.
const BACKOFF: Backoff =
    Backoff { shortest_ms: 250, longest_ms: 30_000, retries: MAX_RETRIES, jitter: Jitter::Decorrelated };
/// In a hundred: so far below its quota an outbox that was full takes new runs again.
const ROOM: u64 = 90;

/// How the team speaks to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkPolicy {
    /// How often it says that it is there.
    pub beat: Duration,
    /// Bytes of reports that may wait for the bot before no new run starts. What people decide, and what the runs under way
    /// still tell, is kept beyond it: nothing is dropped.
    pub outbox: u64,
}

impl Default for UplinkPolicy {
    fn default() -> Self {
        Self { beat: Duration::from_secs(15), outbox: 64 << 20 }
    }
}

/// What the uplink has the rest of the team know.
#[derive(Default)]
pub(crate) struct Signals {
    /// Why nothing new starts, if too much waits for the bot.
    refuses: RwLock<Option<String>>,
    /// Raised whenever an order wants the configuration read again.
    reload: watch::Sender<u64>,
    /// Raised when what a beat says is another thing now.
    beat: tokio::sync::Notify,
}

impl Team {
    /// Why nothing new starts, if too much waits for the bot.
    pub fn refuses(&self) -> Option<String> {
        match self.signals().refuses.read() {
            Ok(guard) => guard.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    fn set_refuses(&self, why: Option<String>) {
        match self.signals().refuses.write() {
            Ok(mut guard) => *guard = why,
            Err(poisoned) => *poisoned.into_inner() = why,
        }
    }

    /// Ticks whenever an order wants the configuration read again. Whoever runs the team reads it.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.signals().reload.subscribe()
    }

    /// The next beat comes at once.
    pub(crate) fn beat_now(&self) {
        self.signals().beat.notify_one();
    }

    pub(crate) fn reload_wanted(&self) {
        self.signals().reload.send_modify(|count| *count += 1);
    }
}

/// The bot can't be reached now. Everything waits and is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the bot can't be reached: {0}")]
pub struct UplinkError(pub String);

/// The way to the bot.
#[async_trait]
pub trait Uplink: Send + Sync {
    /// Hands reports over, or none. Answers with the highest one that the bot has committed.
    async fn ship(&self, batch: Vec<Envelope<Report>>) -> Result<Ack, UplinkError>;
    /// Orders after `after`, which are thereby acknowledged. Waits a while if there are none.
    async fn orders(&self, after: Ack) -> Result<Vec<Envelope<Order>>, UplinkError>;
    /// The bot has other keys from now on. Gives those of its keys that count, the newest first, once they are kept for good;
    /// `None` if the new one does not prove that it takes the place of one that counts.
    async fn bot_keys(&self, keys: &NewKeys) -> Result<Option<Vec<[u8; 32]>>, UplinkError>;
    /// Takes another key in the place of `old`, and tells the bot; nothing if that was done already.
    async fn rotate(&self, old: &str) -> Result<(), UplinkError>;
}

/// Waits between tries, the longer the more of them failed.
struct Pauses {
    seed: u64,
    tries: u32,
}

impl Pauses {
    /// Others than those of any other team, and than those after any other start.
    fn of(team: &Team, what: &str) -> Self {
        let started = Timestamp::now().as_nanosecond().to_string();
        Self { seed: chance::seed(&[team.id().as_str(), what, &started]), tries: 0 }
    }

    fn over(&mut self) {
        self.tries = 0;
    }

    fn next(&mut self) -> Duration {
        self.tries = (self.tries + 1).min(MAX_RETRIES);
        BACKOFF.delay(self.seed, self.tries).unwrap_or(Duration::from_millis(BACKOFF.longest_ms))
    }
}

/// Says that the team is there, and looks how much waits for the bot, until the task is dropped. Without a bot it looks too.
pub(crate) async fn beat(team: Team) {
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wire: WIRE,
        takes: Order::kinds().into_iter().collect(),
        at: Timestamp::now(),
        beat_seconds: seconds(team.options().uplink.beat),
    };
    if let Err(error) = team.store().hello(hello, Timestamp::now()).await {
        tracing::error!(%error, "the team can't say what it is");
    }
    loop {
        let beat = team.options().uplink.beat;
        let beaten = async {
            let refuses = weighed(&team).await?;
            team.store().beat(seconds(beat), refuses, Timestamp::now()).await
        };
        if let Err(error) = beaten.await {
            tracing::error!(%error, "the team can't say that it is there");
        }
        tokio::select! {
            () = tokio::time::sleep(beat) => {}
            () = team.signals().beat.notified() => {}
        }
    }
}

fn seconds(beat: Duration) -> u32 {
    u32::try_from(beat.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// Why no new run starts, if too much waits for the bot. That it began or ended is an entry of the log.
async fn weighed(team: &Team) -> Result<Option<String>, qd_store::StoreError> {
    let quota = team.options().uplink.outbox;
    let waits = team.store().outbox().await?;
    let was = team.refuses();
    let limit = if was.is_some() { quota / 100 * ROOM } else { quota };
    let now = (waits.bytes >= limit).then(|| full(quota));
    if was.is_some() != now.is_some() {
        let text = now.clone().unwrap_or_else(|| "The outbox has room again: new runs start.".to_owned());
        tracing::warn!(rows = waits.rows, bytes = waits.bytes, quota, "{text}");
        team.store().say("team", "team", text, Timestamp::now()).await?;
    }
    team.set_refuses(now.clone());
    Ok(now)
}

/// The same as long as it lasts: it stands on the card of every feature that is ready.
fn full(quota: u64) -> String {
    format!(
        "The outbox of {} MiB is full of what waits for the bot. No new run starts before the bot takes it, or \
         uplink.outbox_mib is more.",
        quota >> 20
    )
}

/// Ships reports until the task is dropped.
pub(crate) async fn relay_reports(team: Team, uplink: Arc<dyn Uplink>) {
    let mut commits = team.store().commits();
    let mut pauses = Pauses::of(&team, "reports");
    // Whether it is known what the bot has: after each failure it may be another one.
    let mut greeted = false;
    loop {
        commits.borrow_and_update();
        match ship(&team, uplink.as_ref(), &mut greeted).await {
            Ok(true) => pauses.over(),
            Ok(false) => {
                pauses.over();
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                greeted = false;
                let pause = pauses.next();
                tracing::warn!(%error, ?pause, "reports wait");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn ship(
    team: &Team,
    uplink: &dyn Uplink,
    greeted: &mut bool,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    if !*greeted {
        let has = uplink.ship(Vec::new()).await?;
        if team.store().greeted(&team.keeper(), has, Timestamp::now()).await? {
            tracing::warn!("the bot does not know what it was told: it is told again all that holds");
        }
        *greeted = true;
    }
    if team.store().unshipped().await? == 0 {
        return Ok(false);
    }
    let batch = team.store().ship(BATCH).await?;
    let ack = uplink.ship(batch).await?;
    team.store().acknowledged(ack).await?;
    Ok(true)
}

/// Applies orders until the task is dropped.
pub(crate) async fn relay_orders(team: Team, uplink: Arc<dyn Uplink>) {
    let mut pauses = Pauses::of(&team, "orders");
    loop {
        match take(&team, uplink.as_ref()).await {
            Ok(()) => pauses.over(),
            Err(error) => {
                let pause = pauses.next();
                tracing::warn!(%error, ?pause, "orders can't be taken");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn take(team: &Team, uplink: &dyn Uplink) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let after = team.store().received().await?;
    for order in uplink.orders(after).await? {
        let (seq, now) = (order.seq, Timestamp::now());
        let mut follows = Follows::of(&order.body);
        let applied = match &order.body {
            Order::AuditHead(_) | Order::AuditSigned(_) => {
                team.store().apply_audit(order, team.key(), now).await?
            }
            Order::Vote(_) => {
                let applied = team.store().apply_word(&team.keeper(), order, None, now).await?;
                qd_failpoint::reached("word_counted");
                applied
            }
            Order::Reopen { approval, .. } => {
                let ask = Some(team.asked_again(approval).await);
                team.store().apply_word(&team.keeper(), order, ask, now).await?
            }
            other => {
                let judged = match keys(team, uplink, other).await? {
                    Some(refused) => Err(refused),
                    None => judge(team, other).await,
                };
                if matches!(judged, Ok(Judged::Ask(_))) {
                    // What it has the process do is done when people agreed.
                    follows = Follows::Nothing;
                }
                carry_out(team, order, judged).await?
            }
        };
        match applied {
            // Again: a crash may have come between the two.
            Applied::Yes | Applied::Again => follows.happen(team),
            Applied::Refused(reason) => tracing::warn!(seq, reason, "an order was refused"),
            Applied::Gap => return Err(format!("order {seq} came before the one that is next").into()),
        }
    }
    Ok(())
}

/// What an order about keys has the team do, before it is noted as received; why it is refused, if it is.
async fn keys(
    team: &Team,
    uplink: &dyn Uplink,
    order: &Order,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    match order {
        Order::BotKeys(keys) => match uplink.bot_keys(keys).await? {
            Some(keys) => {
                qd_failpoint::reached("bot_keys_kept");
                team.enrol(keys).await?;
                Ok(None)
            }
            None => {
                Ok(Some("The bot's new key does not prove that it takes the place of the last.".to_owned()))
            }
        },
        // Whoever wanted it sees the refusal, and says it again.
        Order::RotateKey { old } => Ok(uplink.rotate(old).await.err().map(|error| error.to_string())),
        _ => Ok(None),
    }
}

/// What becomes of an order that is not refused.
enum Judged {
    /// It is carried out. Where a feature that it files belongs, if it files one.
    Do(Option<RepositoryName>),
    /// People are asked first.
    Ask(Box<(Keeper, Ask)>),
    /// It is a question, and this the answer.
    Tell(String),
}

/// Whether an order is carried out. The error is why the person for whom it acts may not have that.
async fn judge(team: &Team, order: &Order) -> Result<Judged, String> {
    let request = match order {
        Order::Command { by, command } => team.asks_first(by, command).await?,
        Order::Reload { by } => team.asks_to_reload(by).await?,
        _ => None,
    };
    if let Some(request) = request {
        return Ok(Judged::Ask(Box::new(request)));
    }
    let repository = permitted(team, order).await?;
    match order {
        Order::Trail { of, .. } => team.story(of).await.map(Judged::Tell).map_err(|problem| problem.detail),
        _ => Ok(Judged::Do(repository)),
    }
}

/// Carries an order out, or asks people about it: each in the transaction that notes it as received.
async fn carry_out(
    team: &Team,
    order: Envelope<Order>,
    judged: Result<Judged, String>,
) -> Result<Applied, StoreError> {
    let now = Timestamp::now();
    let (repository, refused) = match judged {
        Ok(Judged::Ask(request)) => {
            let (keeper, ask) = *request;
            let applied = team.store().apply_asking(&keeper, order, ask, now).await?;
            team.changes_wait();
            qd_failpoint::reached("order_asked");
            return Ok(applied);
        }
        Ok(Judged::Tell(text)) => return team.store().apply_telling(order, text, now).await,
        Ok(Judged::Do(repository)) => (repository, None),
        Err(reason) => (None, Some(reason)),
    };
    let applied = team.store().apply(order, repository, refused, now).await?;
    qd_failpoint::reached("order_applied");
    Ok(applied)
}

/// Where a feature that an order files belongs, if it files one.
async fn permitted(team: &Team, order: &Order) -> Result<Option<RepositoryName>, String> {
    let known = |name: &RepositoryName| {
        team.known_repository(name).map(|()| Some(name.clone())).map_err(|problem| problem.detail)
    };
    match order {
        Order::Command { by, command } => {
            team.permit_order(&by.person, command.verb())?;
            team.place_of(command).await
        }
        Order::Reload { by } => team.permit_order(&by.person, Verb::ConfigReload).map(|()| None),
        Order::Trail { by, .. } => team.permit_order(&by.person, Verb::AuditView).map(|()| None),
        Order::Announcement(said) => team.permit_order(&said.by.person, Verb::ChatPost).map(|()| None),
        Order::Issue(issue) => {
            let IssueEvent { person, happened, repository, .. } = issue.as_ref();
            let verb = match happened {
                IssueHappened::Assigned | IssueHappened::Split => Verb::FeatureAdd,
                IssueHappened::Edited | IssueHappened::Planned => Verb::FeatureEdit,
                IssueHappened::Closed => Verb::FeatureCancel,
                IssueHappened::Reopened => Verb::FeatureMove,
            };
            if let Some(person) = person {
                team.permit_order(person, verb)?;
            }
            known(repository)
        }
        Order::Review(review) => match &review.person {
            Some(person) => team.permit_order(person, Verb::RunGuide).map(|()| None),
            // Its words are noted, and guide nobody.
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// What an order has the process do once its rows are written. May be done twice.
enum Follows {
    Stop(qd_types::RunId),
    Reload,
    Beat,
    Nothing,
}

impl Follows {
    fn of(order: &Order) -> Self {
        match order {
            Order::Command { command: BoardCommand::Stop { run }, .. } => Self::Stop(run.clone()),
            Order::Command { command: BoardCommand::LimitTeam { .. }, .. } => Self::Beat,
            Order::Reload { .. } => Self::Reload,
            _ => Self::Nothing,
        }
    }

    fn happen(self, team: &Team) {
        match self {
            Self::Stop(run) => team.signal_stop(&run),
            Self::Reload => team.reload_wanted(),
            Self::Beat => team.beat_now(),
            Self::Nothing => {}
        }
    }
}
