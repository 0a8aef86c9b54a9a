//! Machines that are ordered in chat: the tools of each cluster's server, through a guard of its own, in the bot's process. The
//! guard decides for the person who ordered; what people have to agree to is an approval of the bot's.

use std::{collections::BTreeMap, path::Path, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::{Authorised, Directory, Executor, Outcome, Probe, Terms};
use qd_command::{NewMachine, OldMachine};
use qd_core::machines::{MachineGoing, MachineOrder, MachinePlan, MachineStanding, MachineStep, Machines};
use qd_engine::Engine;
use qd_guard::{
    Answer, Approvals, Asked, Asking, Caller, EngineLaw, Event, Guard, Incoming, Ledger, LedgerError,
    Progress, Refusal, Settings, Standing, StoreError, ToolError, Trail as _, Who,
};
use qd_hub::{Hub, HubError};
use qd_mcp_proxmox::{Cluster, ConfigError};
use qd_types::{ApprovalId, InstanceName, Person, Subject};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{
    built_in::{self, CLUSTER},
    hub::FleetHub,
};
use crate::verbs::folder_of_tools;

/// Under whose name the requests are kept: the bot's. No team is called so.
const BOT: &str = "bot";

/// Steps that wait to be told.
const STEPS: usize = 16;

/// Longest that [`Approvals::moved`] waits.
const LOOK: Duration = Duration::from_secs(1);

/// Cores and memory in MiB, where an order says nothing: as `quarterdeck provision create` has them.
const USUAL: (u32, u32) = (2, 4096);

/// Why machines can't be ordered here.
#[derive(Debug, thiserror::Error)]
pub enum MachinesError {
    /// What the environment says of the cluster.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ToolError),
    /// Where calls are written down.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What a crash cut short.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bot's own name.
    #[error(transparent)]
    Name(#[from] qd_types::IdError),
}

/// The guard over a cluster's tools.
struct ClusterMachines {
    guard: Guard,
    bot: InstanceName,
    template: Option<u32>,
}

impl ClusterMachines {
    /// Of the cluster that the environment names so. What a crash cut short is looked at.
    ///
    /// # Errors
    /// If the environment says what is not understood, or something can't be opened.
    async fn open(name: &str, state: &Path, policies: &Arc<Engine>, hub: Hub) -> Result<Self, MachinesError> {
        let config = built_in::cluster(name)?;
        let template = config.machine.template;
        let cluster = Cluster::connect(config)?.keeping(state.join("proxmox").join(name));
        let server = qd_mcp_proxmox::server(name, cluster, Arc::new(FleetHub::new(state)))?;
        let place = folder_of_tools(state).join(BOT).join(name);
        // Nobody is asked in it: it has the trail of calls.
        let ledger =
            Ledger::open(&place, Executor::new(BOT), Directory::default(), Arc::new(Timestamp::now)).await?;
        let ledger = Arc::new(ledger);
        let law = Arc::new(EngineLaw::new(Arc::clone(policies)));
        let approvals = Arc::new(BotApprovals { hub, trail: Arc::clone(&ledger) });
        let guard = Guard::new(server, law, approvals, ledger, Settings::default());
        guard.recover().await?;
        Ok(Self { guard, bot: BOT.parse()?, template })
    }

    fn caller(&self, by: &Person) -> Caller {
        Caller::new(Who::Person { person: by.clone(), team: self.bot.clone() })
    }

    fn call_of(&self, order: &MachineOrder) -> Result<(&'static str, Value), String> {
        match order {
            MachineOrder::Create(machine) => Ok(("team_create", self.new_team(machine)?)),
            MachineOrder::Destroy(OldMachine { team, backup_to, .. }) => {
                Ok(("team_destroy", json!({ "team": team, "backup_to": backup_to })))
            }
        }
    }

    fn new_team(&self, machine: &NewMachine) -> Result<Value, String> {
        let Some(template) = machine.template.or(self.template) else {
            return Err("Say from which template: --template 9000. A person may set one for all, with \
                        PROXMOX_TEAM_TEMPLATE."
                .to_owned());
        };
        Ok(json!({
            "team": machine.team, "template": template, "pool": machine.pool,
            "cores": machine.cores.unwrap_or(USUAL.0), "memory_mib": machine.memory.unwrap_or(USUAL.1),
            "disk_gib": machine.disk, "storage": machine.storage,
        }))
    }

    async fn call(
        &self,
        by: &Person,
        (tool, arguments): (&str, &Value),
        told: &(dyn Fn(MachineStep) + Send + Sync),
    ) -> Answer {
        let (listener, mut steps) = mpsc::channel(STEPS);
        let mut incoming = Incoming::default();
        incoming.name = tool.to_owned();
        let given = arguments.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        incoming.arguments = given.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>();
        incoming.progress = Progress::to(listener, false);
        let caller = self.caller(by);
        let mut called = pin!(self.guard.call(&caller, incoming));
        loop {
            tokio::select! {
                answer = &mut called => return answer,
                Some(step) = steps.recv() => {
                    // Steps are few, and counted up from nothing.
                    let count = |number: f64| number.clamp(0.0, 1000.0) as u32;
                    told(MachineStep { done: count(step.done), of: step.total.map(count), text: step.text });
                }
            }
        }
    }
}

fn sentence(refusal: &Refusal) -> String {
    format!("{} {}", refusal.problem, refusal.way_out).trim().to_owned()
}

fn standing(row: &Value) -> MachineStanding {
    let text = |key: &str| match row.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let number = text("vmid").map_or_else(|| "no number yet".to_owned(), |number| format!("guest {number}"));
    let node = text("node").map_or_else(String::new, |node| format!(" on {node}"));
    MachineStanding {
        team: text("team").unwrap_or_default(),
        place: format!("{number}{node}"),
        standing: text("standing").unwrap_or_default(),
    }
}

fn whole(result: qd_guard::Outcome) -> Value {
    match result {
        qd_guard::Outcome::Whole(value) => value,
        qd_guard::Outcome::Cut { .. } => Value::Null,
    }
}

impl ClusterMachines {
    async fn list(&self, by: &Person) -> Result<Vec<MachineStanding>, String> {
        match self.call(by, ("list_teams", &json!({})), &|_| {}).await {
            Answer::Done { result, .. } => {
                let listed = whole(result);
                let rows = listed.get("machines").and_then(Value::as_array);
                Ok(rows.into_iter().flatten().map(standing).collect())
            }
            Answer::Refused(refusal) => Err(sentence(&refusal)),
            Answer::Pending(_) | Answer::Preview(_) => {
                Err("People would have to agree to a list.".to_owned())
            }
        }
    }

    async fn plan(&self, by: &Person, order: &MachineOrder) -> Result<MachinePlan, String> {
        let (tool, mut arguments) = self.call_of(order)?;
        if let Some(fields) = arguments.as_object_mut() {
            fields.insert(qd_guard::DRY_RUN.to_owned(), Value::Bool(true));
        }
        match self.call(by, (tool, &arguments), &|_| {}).await {
            Answer::Preview(preview) => Ok(MachinePlan {
                steps: preview.steps,
                people: preview.people.unwrap_or_else(|| "nobody".to_owned()),
            }),
            Answer::Refused(refusal) => Err(sentence(&refusal)),
            Answer::Done { .. } | Answer::Pending(_) => {
                Err("The plan was not one: look at the bot's log.".to_owned())
            }
        }
    }

    async fn go_on(
        &self,
        by: &Person,
        order: &MachineOrder,
        approval: Option<&ApprovalId>,
        progress: &(dyn Fn(MachineStep) + Send + Sync),
    ) -> MachineGoing {
        let answer = match approval {
            Some(approval) => {
                let asked = json!({ "approval": approval.to_string() });
                self.call(by, ("call_outcome", &asked), progress).await
            }
            None => match self.call_of(order) {
                Ok((tool, arguments)) => self.call(by, (tool, &arguments), progress).await,
                Err(why) => return MachineGoing::Not(why),
            },
        };
        match answer {
            Answer::Done { result, .. } => MachineGoing::Done(standing(&whole(result))),
            Answer::Pending(pending) => match pending.approval.parse() {
                Ok(approval) => MachineGoing::Waits(approval),
                Err(error) => MachineGoing::Not(format!("What people are asked has no id: {error}.")),
            },
            Answer::Refused(refusal) => MachineGoing::Not(sentence(&refusal)),
            Answer::Preview(_) => MachineGoing::Not("Nothing was done, as if that was asked for.".to_owned()),
        }
    }
}

/// All clusters that the environment names, by their names; one that can't be had is there with the reason, and orders that
/// name it are refused with that.
pub struct Clusters(BTreeMap<Option<String>, Result<ClusterMachines, String>>);

impl Clusters {
    /// Opens them.
    pub async fn open(state: &Path, policies: &Arc<Engine>, hub: &Hub) -> Self {
        let mut all = BTreeMap::new();
        for name in built_in::clusters() {
            let server = name.as_ref().map_or_else(|| CLUSTER.to_owned(), |name| format!("{CLUSTER}-{name}"));
            let opened = ClusterMachines::open(&server, state, policies, hub.clone()).await;
            let opened = opened.map_err(|error| {
                tracing::error!(server, %error, "machines of a cluster can't be ordered in chat");
                format!("Machines can't be ordered: {error}. A person sets that right where the bot runs.")
            });
            all.insert(name, opened);
        }
        Self(all)
    }

    fn of(&self, order: &MachineOrder) -> Result<&ClusterMachines, String> {
        let named = order.cluster().map(str::to_owned);
        match (self.0.get(&named), named) {
            (Some(Ok(machines)), _) => Ok(machines),
            (Some(Err(why)), _) => Err(why.clone()),
            (None, Some(name)) => Err(format!("There is no cluster {name}. Which there are: vm clusters")),
            (None, None) => {
                Err("Say on which cluster: --cluster NAME. Which there are: vm clusters".to_owned())
            }
        }
    }
}

#[async_trait]
impl Machines for Clusters {
    fn clusters(&self) -> Vec<String> {
        self.0.keys().flatten().cloned().collect()
    }

    async fn list(&self, by: &Person) -> Result<Vec<MachineStanding>, String> {
        let mut all = Vec::new();
        for (name, machines) in &self.0 {
            let listed = match machines {
                Ok(machines) => machines.list(by).await,
                Err(why) => Err(why.clone()),
            };
            match (listed, name) {
                (Ok(listed), None) => all.extend(listed),
                (Ok(listed), Some(name)) => all.extend(listed.into_iter().map(|each| MachineStanding {
                    place: format!("{}, cluster {name}", each.place),
                    ..each
                })),
                (Err(why), _) if self.0.len() == 1 => return Err(why),
                // What another cluster has is said all the same.
                (Err(why), name) => all.push(MachineStanding {
                    team: "Not listed".to_owned(),
                    place: format!("cluster {}", name.as_deref().unwrap_or("without a name")),
                    standing: why,
                }),
            }
        }
        Ok(all)
    }

    async fn plan(&self, by: &Person, order: &MachineOrder) -> Result<MachinePlan, String> {
        self.of(order)?.plan(by, order).await
    }

    async fn go_on(
        &self,
        by: &Person,
        order: &MachineOrder,
        approval: Option<&ApprovalId>,
        progress: &(dyn Fn(MachineStep) + Send + Sync),
    ) -> MachineGoing {
        match self.of(order) {
            Ok(machines) => machines.go_on(by, order, approval, progress).await,
            Err(why) => MachineGoing::Not(why),
        }
    }
}

/// The guard's approvals, kept by the bot: they are cards in chat like everything that the bot asks.
struct BotApprovals {
    hub: Hub,
    trail: Arc<Ledger>,
}

fn failed(doing: &'static str) -> impl FnOnce(HubError) -> StoreError {
    move |error| StoreError { doing, problem: error.to_string() }
}

#[async_trait]
impl Approvals for BotApprovals {
    async fn ask(&self, asking: Asking) -> Result<Asked, StoreError> {
        let asked = self.hub.ask_call(asking.subject, Terms::from(&asking.terms)).await;
        Ok(match asked.map_err(failed("Asking people"))? {
            qd_approvals::Asked::Opened(id)
            | qd_approvals::Asked::Queued(id)
            | qd_approvals::Asked::Already(id) => Asked::Stands(id),
            qd_approvals::Asked::Refused(refusal) => Asked::Refused(refusal.to_string()),
        })
    }

    async fn standing(&self, id: &ApprovalId) -> Result<Option<Standing>, StoreError> {
        let found = self.hub.call_standing(id).await.map_err(failed("Looking at an approval"))?;
        Ok(found.map(|found| Standing {
            id: found.record.id().clone(),
            state: found.record.state(),
            reason: found.record.reason.clone(),
            queued: found.record.queued,
            left_ms: found.record.left_ms,
            effect: found.effect.map(|effect| (effect.state, effect.outcome)),
            subject: found.record.approval.subject,
        }))
    }

    async fn authorise(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, StoreError> {
        self.hub.authorise_call(id, rebuilt).await.map_err(failed("Spending a grant"))
    }

    async fn finish(&self, id: &ApprovalId, outcome: Outcome, event: Event) -> Result<(), StoreError> {
        let new = self.hub.finish_call(id, outcome).await.map_err(failed("Noting what came of it"))?;
        if new { self.trail.durable(event).await } else { Ok(()) }
    }

    async fn withdraw(&self, id: &ApprovalId, reason: &str) -> Result<bool, StoreError> {
        self.hub.withdraw_call(id, reason).await.map_err(failed("Withdrawing a request"))
    }

    async fn interrupted(&self) -> Result<Vec<ApprovalId>, StoreError> {
        self.hub.interrupted_calls().await.map_err(failed("Looking for what was cut short"))
    }

    async fn probed(&self, id: &ApprovalId, probe: Probe) -> Result<(), StoreError> {
        self.hub.probed_call(id, probe).await.map_err(failed("Noting what a look said"))
    }

    async fn moved(&self) {
        self.hub.moved(LOOK).await;
    }
}
