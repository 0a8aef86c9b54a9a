//! Machines of teams: the port to whoever makes them, and what people ask of it here. Who may have what is decided behind the
//! port, where it happens; what people have to agree to is a card like any other.

use async_trait::async_trait;
use qd_command::{Command, NewMachine, OldMachine, parse};
use qd_text::say;
use qd_types::{ApprovalId, InstanceName, Person};
use serde::{Deserialize, Serialize};

use crate::{
    answer::Handled,
    chat::{Channel, Given, Message, MessageKey, Scope},
    effect::Effect,
    event::Moment,
    handle::told_later,
    state::FleetState,
    text,
};

/// A machine, as it is asked for or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineOrder {
    /// Make it.
    Create(NewMachine),
    /// Take it away.
    Destroy(OldMachine),
}

impl MachineOrder {
    /// Of a command that orders one.
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::VmCreate { machine } => Some(Self::Create(machine.clone())),
            Command::VmDestroy { machine } => Some(Self::Destroy(machine.clone())),
            _ => None,
        }
    }

    /// Whose machine.
    pub fn team(&self) -> &InstanceName {
        match self {
            Self::Create(machine) => &machine.team,
            Self::Destroy(machine) => &machine.team,
        }
    }

    /// The cluster that it names.
    pub fn cluster(&self) -> Option<&str> {
        match self {
            Self::Create(machine) => machine.cluster.as_deref(),
            Self::Destroy(machine) => machine.cluster.as_deref(),
        }
    }
}

/// An order for a machine: a row until it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineCall {
    /// Its id: the same order is the same message.
    pub id: String,
    /// Who ordered it, with the roles that they held then.
    pub by: Person,
    /// The command, in the grammar of `bot/command`.
    pub line: String,
    /// What would happen, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<MachinePlan>,
    /// What people decide on, once they are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
}

impl MachineCall {
    /// What is ordered; `None` if the line is none of this version's.
    pub fn order(&self) -> Option<MachineOrder> {
        MachineOrder::of(&parse(&self.line).ok()?)
    }
}

/// What would happen, and who would have to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachinePlan {
    /// Step by step.
    pub steps: Vec<String>,
    /// Who: "1 manager, not the requester".
    pub people: String,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineStep {
    /// Steps that are done.
    pub done: u32,
    /// Of how many, if that is known.
    pub of: Option<u32>,
    /// What happens now, as a sentence.
    pub text: String,
}

/// What became of an order that was gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineGoing {
    /// People decide on this.
    Waits(ApprovalId),
    /// It was done: what there is now.
    Done(MachineStanding),
    /// It was not, and why, as sentences.
    Not(String),
}

/// A machine that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStanding {
    /// Whose.
    pub team: String,
    /// Its number and where it is, as far as it has them.
    pub place: String,
    /// How far it is.
    pub standing: String,
}

/// Whoever makes machines. Errors are sentences with the way out, for the person.
#[async_trait]
pub trait Machines: Send + Sync {
    /// The clusters that are named in orders; whether there is one without a name goes unsaid.
    fn clusters(&self) -> Vec<String>;

    /// Machines that there are, and how far each is.
    async fn list(&self, by: &Person) -> Result<Vec<MachineStanding>, String>;

    /// What an order would do. Nothing is done.
    async fn plan(&self, by: &Person, order: &MachineOrder) -> Result<MachinePlan, String>;

    /// Goes on with an order: asks people, or carries out what they agreed to. Called again with the same approval, it says how
    /// that stands; nothing is done twice.
    async fn go_on(
        &self,
        by: &Person,
        order: &MachineOrder,
        approval: Option<&ApprovalId>,
        progress: &(dyn Fn(MachineStep) + Send + Sync),
    ) -> MachineGoing;
}

/// What a person wants to know or have of machines: the port is asked after the command's transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Which there are.
    List,
    /// Where they are made.
    Clusters,
    /// What an order would do.
    Plan(MachineOrder),
    /// Have it carried out: the row is written in the command's transaction.
    Order(Box<MachineCall>),
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Machined {
    /// It is known what would happen.
    Planned,
    /// It goes on.
    Step(MachineStep),
    /// It was done.
    Done(MachineStanding),
    /// It was not.
    Not(String),
}

/// Whether a command is about machines.
pub(crate) fn concerns(command: &Command) -> bool {
    matches!(
        command,
        Command::VmList
            | Command::VmPlan { .. }
            | Command::VmCreate { .. }
            | Command::VmDestroy { .. }
            | Command::VmClusters
    )
}

/// A command about machines.
pub(crate) fn wanted(person: &Person, given: &Given, command: &Command, moment: Moment) -> Handled {
    // Machines belong to the whole fleet: a place that has some teams has no say in them.
    if let Scope::Only(_) = given.scope {
        return Handled { reply: Some(say!("machines-elsewhere")), ..Handled::default() };
    }
    let wanted = match command {
        Command::VmPlan { machine } => Wanted::Plan(MachineOrder::Create(machine.clone())),
        Command::VmCreate { .. } | Command::VmDestroy { .. } => Wanted::Order(Box::new(MachineCall {
            id: moment.fresh.to_string(),
            by: person.clone(),
            line: command.to_string(),
            plan: None,
            approval: None,
        })),
        Command::VmClusters => Wanted::Clusters,
        _ => Wanted::List,
    };
    Handled { wanted: Some(wanted), ..Handled::default() }
}

/// The living message of an order.
fn message(call: &MachineCall, text: String) -> Message {
    Message::new(Channel::Dev, MessageKey(format!("machine:{}", call.id)), text)
}

/// What follows from what happened to an order.
pub(crate) fn happened(state: &mut FleetState, call: &MachineCall, now: Machined) -> Vec<Effect> {
    match now {
        Machined::Planned => vec![Effect::Put(message(call, text::machines::planned(call)))],
        Machined::Step(step) => vec![Effect::Refresh(message(call, text::machines::step(call, &step)))],
        Machined::Done(said) => vec![Effect::Put(message(call, text::machines::done(call, &said)))],
        // Nobody else was told of it: whoever ordered it is, and no channel.
        Machined::Not(why) if call.plan.is_none() => {
            vec![told_later(state, &call.by.id, text::machines::refused(call, &why))]
        }
        Machined::Not(why) => vec![Effect::Put(message(call, text::machines::not(call, &why)))],
    }
}
