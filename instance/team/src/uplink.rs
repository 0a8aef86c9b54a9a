//! The port to the bot, and the two relays: reports up, orders down. At least once, in order; an order is applied in
//! the transaction that notes it as received.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_store::Applied;
use qd_wire::v1::{Ack, Envelope, Order, Report};

use crate::team::Team;

/// Reports shipped at once.
const BATCH: usize = 128;
/// The longest pause between two tries while the bot is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
}

/// Ships reports until the task is dropped.
pub(crate) async fn relay_reports(team: Team, uplink: Arc<dyn Uplink>) {
    let mut commits = team.store().commits();
    let mut pause = Duration::from_millis(250);
    // Whether it is known what the bot has: after each failure it may be another one.
    let mut greeted = false;
    loop {
        commits.borrow_and_update();
        match ship(&team, uplink.as_ref(), &mut greeted).await {
            Ok(true) => pause = Duration::from_millis(250),
            Ok(false) => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                greeted = false;
                tracing::warn!(%error, ?pause, "reports wait");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
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
    let mut pause = Duration::from_millis(250);
    loop {
        match take(&team, uplink.as_ref()).await {
            Ok(()) => pause = Duration::from_millis(250),
            Err(error) => {
                tracing::warn!(%error, ?pause, "orders can't be taken");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn take(team: &Team, uplink: &dyn Uplink) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let after = team.store().received().await?;
    for order in uplink.orders(after).await? {
        let repository = team.options().only_repository().cloned();
        let (seq, now) = (order.seq, Timestamp::now());
        let refused = match &order.body {
            Order::Command { person, command, .. } => {
                let permitted = team.permit_order(person, command.verb());
                permitted.err().map(|refusal| format!("{} {}", refusal.reason, refusal.help))
            }
            Order::ForgeOutcome { .. }
            | Order::Approval(_)
            | Order::Vote(_)
            | Order::Reopen { .. }
            | Order::AuditHead(_)
            | Order::AuditSigned(_)
            | Order::Unread(_) => None,
        };
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
            _ => team.store().apply(order, repository, refused, now).await?,
        };
        match applied {
            Applied::Yes | Applied::Again => {}
            Applied::Refused(reason) => tracing::warn!(seq, reason, "an order was refused"),
            Applied::Gap => return Err(format!("order {seq} came before the one that is next").into()),
        }
    }
    Ok(())
}
