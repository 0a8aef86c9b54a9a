//! The trail of the bot and that of people: what is old goes to segment files, as the configuration in force says. Teams
//! see to their own.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use qd_hub::Hub;

use super::FleetPlan;
use crate::people::Roster;

/// How often it is looked for what is old.
const LOOK: Duration = Duration::from_secs(3600);

/// Archives until the task is dropped.
pub(super) async fn archive(plan: Arc<RwLock<FleetPlan>>, roster: Roster, hub: Hub) {
    loop {
        let (audit, bot) = match plan.read() {
            Ok(plan) => (plan.audit.clone(), plan.bot_folder()),
            Err(poisoned) => {
                let plan = poisoned.into_inner();
                (plan.audit.clone(), plan.bot_folder())
            }
        };
        let folder = audit.segments(&bot.join("bot.db"));
        if let Err(error) = hub.archive(folder, audit.retention).await {
            tracing::error!(%error, "old rows of the bot's audit trail could not be archived, it is tried again");
        }
        if let Err(error) = roster.archive(&audit.segments(roster.path()), audit.retention).await {
            tracing::error!(%error, "old rows of the trail of people could not be archived, it is tried again");
        }
        tokio::time::sleep(LOOK).await;
    }
}
