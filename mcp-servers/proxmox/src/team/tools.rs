//! The tools that make and take away machines of teams, and say how far they are.

use std::time::Duration;

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_guard::{Approved, Call, Caller, Fault, Mutation, Plan, Spec};
use qd_types::{InstanceName, SpentGrant, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Machines, NewTeam,
    journal::Record,
    steps::{Event, Phase, Step},
    way::Way,
    words,
};
use crate::{
    cluster::{Cluster, fingerprint},
    names::{NodeName, StorageId, VmId},
    seen::{Nothing, Reading},
};

/// How long one may take. A full clone and a first boot are in it.
const TIME: Duration = Duration::from_secs(3 * 3_600);

/// A team's machine, as it is told.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Machine {
    team: InstanceName,
    vmid: Option<VmId>,
    node: NodeName,
    /// Where it is on its way.
    standing: String,
}

impl Machine {
    fn of(record: &Record) -> Self {
        Self {
            team: record.order.team.clone(),
            vmid: record.vmid,
            node: record.node.clone(),
            standing: words(record),
        }
    }
}

/// Makes a machine for a team.
pub(crate) struct TeamCreate(pub(crate) Machines);

#[async_trait]
impl Mutation for TeamCreate {
    type Input = NewTeam;
    type Output = Machine;

    fn spec(&self) -> Spec {
        Spec::new("team_create", Tier::Provision, "team.create")
            .described(
                "Make a machine for a team",
                "Makes a virtual machine from a template, brings the team's instance into it, and waits until it has joined \
                 the fleet. If anything fails, all of it is taken away; cut short, it goes on where it was.",
            )
            .within(TIME)
    }

    async fn plan(&self, call: &Call, input: &NewTeam) -> Result<Plan, Fault> {
        let target = format!("team {}", input.team);
        match self.0.cluster.journal()?.read(&input.team)? {
            // It was agreed to, and is under way: what is left of it is the rest of exactly that.
            Some(record) if record.order == *input => {
                let step = format!("Go on: the machine of {} {}.", input.team, words(&record));
                Ok(Plan { target, fingerprint: record.fingerprint, steps: vec![step] })
            }
            Some(record) => Err(Fault::failed(
                format!("There is a machine of {}, asked for otherwise: it {}.", input.team, words(&record)),
                "Ask for exactly the same, or have it taken away with team_destroy.",
            )),
            None => {
                let order = self.0.order(&call.caller, input).await?;
                self.0.cluster.room(input.pool.as_ref(), order.needs).await?;
                Ok(Plan { target, fingerprint: order.fingerprint, steps: order.steps })
            }
        }
    }

    async fn probe(&self, _: &str, input: &NewTeam) -> Probe {
        let record = self.0.cluster.journal().and_then(|journal| journal.read(&input.team));
        match record {
            Ok(Some(record)) if record.order == *input && record.phase == Phase::Done => {
                Probe::Happened(serde_json::to_string(&Machine::of(&record)).unwrap_or_default())
            }
            // What it did is written down: tried again, it goes on from there, or from the start.
            Ok(_) => Probe::DidNot,
            Err(fault) => Probe::CantTell(fault.problem),
        }
    }
}

#[async_trait]
impl Approved for TeamCreate {
    async fn carry_out(&self, call: &Call, input: NewTeam, _: SpentGrant) -> Result<Machine, Fault> {
        self.0.create(call, input).await
    }
}

impl Machines {
    /// Makes it, or goes on with it.
    pub(crate) async fn create(&self, call: &Call, input: NewTeam) -> Result<Machine, Fault> {
        let journal = self.cluster.journal()?;
        let _held = journal.hold(&input.team)?;
        let mut record = match journal.read(&input.team)? {
            Some(record) if record.order == input => record,
            Some(record) => {
                let problem = format!("There is a machine of {} already: it {}.", input.team, words(&record));
                return Err(Fault::failed(problem, "Have it taken away with team_destroy first."));
            }
            None => {
                let order = self.order(&call.caller, &input).await?;
                Record {
                    mark: call.id.clone(),
                    fingerprint: order.fingerprint,
                    vmid: None,
                    node: order.template.guest.node,
                    phase: Phase::Forward(Step::Reserve),
                    order: input,
                }
            }
        };
        match (Way { machines: self, journal: &journal, call }).go(&mut record).await? {
            None => Ok(Machine::of(&record)),
            Some(why) => Err(Fault::failed(
                format!("There is no machine of {}: {why}. Nothing of it is left.", record.order.team),
                "Look what is wrong, then call again.",
            )),
        }
    }
}

/// A team whose machine goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OldTeam {
    pub(crate) team: InstanceName,
    /// Where a last backup is kept. Without, nothing of it is left.
    #[serde(default)]
    pub(crate) backup_to: Option<StorageId>,
}

/// Takes a team's machine away.
pub(crate) struct TeamDestroy(pub(crate) Machines);

impl Machines {
    fn known(&self, team: &InstanceName) -> Result<Record, Fault> {
        self.cluster.journal()?.read(team)?.ok_or_else(|| {
            Fault::failed(format!("There is no machine of {team} here."), "Look at list_teams.")
        })
    }

    /// Drains it and takes it away, or goes on with that.
    pub(crate) async fn destroy(&self, call: &Call, input: &OldTeam) -> Result<Machine, Fault> {
        let journal = self.cluster.journal()?;
        let _held = journal.hold(&input.team)?;
        let mut record = self.known(&input.team)?;
        let way = Way { machines: self, journal: &journal, call };
        if record.phase == Phase::Done {
            way.drain(&record, input.backup_to.as_ref()).await?;
        }
        way.moved(&mut record, Event::Unwanted("people want it gone".to_owned()))?;
        way.go(&mut record).await?;
        Ok(Machine::of(&record))
    }
}

#[async_trait]
impl Mutation for TeamDestroy {
    type Input = OldTeam;
    type Output = Machine;

    fn spec(&self) -> Spec {
        Spec::new("team_destroy", Tier::Destroy, "team.destroy")
            .described(
                "Take a team's machine away",
                "Shuts a team's machine down and deletes it with its disks; first, if asked, a last backup is made. The team's \
                 key counts no more at the hub.",
            )
            .within(TIME)
    }

    async fn plan(&self, _: &Call, input: &OldTeam) -> Result<Plan, Fault> {
        let record = self.0.known(&input.team)?;
        let number = record.vmid.map_or_else(|| "none yet".to_owned(), |vmid| vmid.to_string());
        let mut steps = vec![format!("Shut the machine of {} down (guest {number}).", input.team)];
        if let Some(storage) = &input.backup_to {
            self.0.cluster.storage(storage)?;
            steps.push(format!("Back it up to {storage}; if that fails, nothing is deleted."));
        }
        steps.push("Delete it with its disks and snapshots, for good.".to_owned());
        steps.push(format!("Put {} out of the fleet: its key counts no more.", input.team));
        let backup = input.backup_to.as_ref().map_or("", StorageId::as_str);
        let fingerprint = fingerprint([&*record.mark, &number, backup]);
        Ok(Plan { target: format!("team {}", input.team), fingerprint, steps })
    }

    async fn probe(&self, _: &str, input: &OldTeam) -> Probe {
        match self.0.cluster.journal().and_then(|journal| journal.read(&input.team)) {
            Ok(None) => Probe::Happened(format!("There is no machine of {} any more.", input.team)),
            Ok(Some(_)) => Probe::DidNot,
            Err(fault) => Probe::CantTell(fault.problem),
        }
    }
}

#[async_trait]
impl Approved for TeamDestroy {
    async fn carry_out(&self, call: &Call, input: OldTeam, _: SpentGrant) -> Result<Machine, Fault> {
        self.0.destroy(call, &input).await
    }
}

/// The machines there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Known {
    machines: Vec<Machine>,
}

pub(crate) struct ListTeams;

#[async_trait]
impl Reading for ListTeams {
    type Input = Nothing;
    type Output = Known;

    fn spec() -> Spec {
        Spec::new("list_teams", Tier::Read, "team.list").described(
            "List machines of teams",
            "Lists the machines that were made for teams, and how far each is on its way.",
        )
    }

    async fn read(cluster: &Cluster, _: &Caller, _: Nothing) -> Result<Known, Fault> {
        let mut records = cluster.journal()?.all()?;
        records.sort_by(|one, other| one.order.team.cmp(&other.order.team));
        Ok(Known { machines: records.iter().map(Machine::of).collect() })
    }
}
