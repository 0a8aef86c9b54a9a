//! The ways of teams to the bot. Inside one process it is the bot's gate itself: the envelopes are signed and verified as on any
//! wire.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use qd_approvals::SurfaceKey;
use qd_hub::HubGate;
use qd_nats::Server;
use qd_types::InstanceName;
use qd_uplink::{Identity, JoinError, Link, SignedUplink, Status};
use qd_wire::{
    call::Card,
    port::{Carrier, CarryError, Gate as _},
    sealed::SealingKey,
    v1::Ack,
};

use super::{
    FleetPlan,
    plan::bot_folder,
    start::{Bot, FleetError},
};
use crate::enrolment::LinkState;

/// From hand to hand.
struct InProcess {
    gate: HubGate,
}

#[async_trait]
impl Carrier for InProcess {
    async fn card(&self) -> Result<Card, CarryError> {
        Ok(self.gate.card())
    }

    async fn join(&self, sealed: String) -> Result<Vec<u8>, CarryError> {
        self.gate.join(&sealed).await.map_err(CarryError::Unheard)
    }

    async fn call(&self, call: Vec<u8>, reports: Vec<Vec<u8>>) -> Result<Vec<u8>, CarryError> {
        self.gate.call(&call, &reports).await.map_err(CarryError::Unheard)
    }

    async fn orders(&self, call: Vec<u8>, _: Ack) -> Result<Vec<Vec<u8>>, CarryError> {
        let mut reader = self.gate.open(&call).await.map_err(CarryError::Unheard)?;
        let orders = self.gate.orders(&mut reader).await.map_err(CarryError::Unheard)?;
        Ok(orders.into_iter().map(|(_, line)| line).collect())
    }
}

/// How the links of the teams that run here stand. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Links(Arc<Mutex<Vec<Known>>>);

/// A team, where its bot is if that is elsewhere, and how the link stands.
type Known = (InstanceName, Option<String>, Status);

/// A way to a bot, and the bot's keys that count, the newest first.
type Way = (Arc<SignedUplink>, Vec<[u8; 32]>);

impl Links {
    /// All of them, as they stand now.
    pub(super) fn now(&self) -> Vec<LinkState> {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |(instance, url, status): &Known| LinkState {
            instance: instance.clone(),
            url: url.clone(),
            state: status.now(),
        };
        links.iter().map(state).collect()
    }

    fn add(&self, instance: &InstanceName, url: Option<String>) -> Status {
        let status = Status::default();
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|(known, _, _)| known != instance);
        links.push((instance.clone(), url, status.clone()));
        status
    }
}

/// The NATS server over which the bot hears teams, if there is one, and as whom it speaks to it.
pub fn nats(config: &qd_config::Config, state: &Path) -> Result<Option<Server>, JoinError> {
    let Some(url) = config.hub.nats.clone() else { return Ok(None) };
    let key = qd_uplink::nats_key(&bot_folder(state))?;
    let ca = config.hub.nats_ca.as_deref().map(qd_uplink::authorities).transpose()?;
    Ok(Some(Server { url, user: "bot".to_owned(), key, ca }))
}

/// A team's way to its bot, and the bot's keys: to the one in this process, or to the one that it joined. None if there is
/// neither: what it has to say waits.
pub(super) async fn uplink(
    plan: &FleetPlan,
    team: &InstanceName,
    bot: Option<&Bot>,
    links: &Links,
) -> Result<Option<Way>, FleetError> {
    let folder = plan.team_folder(team);
    if let Some(bot) = bot {
        let key = SurfaceKey::open(&folder.join("surface.key")).map_err(qd_uplink::JoinError::from)?;
        let (fleet, keys) = (plan.config.fleet.name.clone(), bot.hub.surface_keys());
        let identity = Identity { fleet, instance: team.clone(), key, bot: bot.hub.surface_key() };
        let carrier = Arc::new(InProcess { gate: bot.gate.clone() });
        let status = links.add(team, None);
        let uplink = SignedUplink::new(carrier, identity, status).beside(keys.get(1).copied());
        return Ok(Some((Arc::new(uplink), keys)));
    }
    let Some(link) = Link::read(&folder)? else { return Ok(None) };
    let status = links.add(team, Some(link.url.clone()));
    Ok(Some((Arc::new(link.uplink(&folder, status).await?), link.bots()?)))
}

/// What the bot seals to. Beside the bot it is a key of this moment, which is written nowhere; elsewhere it is the one that joined.
pub(super) fn sealing(folder: &Path, beside: bool) -> Result<SealingKey, FleetError> {
    let secret = if beside {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| FleetError::Random(error.to_string()))?;
        secret
    } else {
        qd_approvals::secret_file(&folder.join("sealing.key")).map_err(JoinError::from)?
    };
    Ok(SealingKey::new(&secret).map_err(JoinError::from)?)
}
