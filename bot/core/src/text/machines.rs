//! What people read about machines of teams.

use qd_text::say;
use qd_types::{Action, PersonId, Subject};

use super::{QUOTE, TITLE, inert};
use crate::machines::{MachineCall, MachineOrder, MachinePlan, MachineStanding, MachineStep};

/// Marks of a bar whose steps are not counted.
const MARKS: u32 = 8;

fn head(call: &MachineCall) -> String {
    match call.order() {
        Some(MachineOrder::Destroy(machine)) => {
            say!("machine-head-destroy", team = machine.team, person = call.by.id)
        }
        Some(order) => say!("machine-head-create", team = order.team(), person = call.by.id),
        None => say!("machine-head-unread", person = call.by.id),
    }
}

fn steps(plan: &MachinePlan) -> String {
    let line = |(number, step): (usize, &String)| format!("{}. {}", number + 1, inert(step, QUOTE));
    plan.steps.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// What would happen, for whoever asked.
pub fn plan(plan: &MachinePlan) -> String {
    say!("machine-plan", steps = steps(plan), people = plan.people)
}

/// It is known what would happen, and people are asked.
pub(crate) fn planned(call: &MachineCall) -> String {
    let plan = call.plan.as_ref();
    let (steps, people) = plan.map_or_else(Default::default, |plan| (steps(plan), plan.people.clone()));
    say!("machine-planned", head = head(call), steps = steps, people = people)
}

pub(crate) fn step(call: &MachineCall, step: &MachineStep) -> String {
    let of = step.of.unwrap_or(MARKS).clamp(1, 20);
    let bars: String = (0..of).map(|mark| if mark < step.done { '▰' } else { '▱' }).collect();
    say!("machine-step", head = head(call), bars = bars, text = inert(&step.text, QUOTE))
}

pub(crate) fn done(call: &MachineCall, now: &MachineStanding) -> String {
    let said = match call.order() {
        Some(MachineOrder::Destroy(machine)) => say!("machine-gone", team = machine.team),
        _ => say!("machine-there", machine = line(now)),
    };
    say!("machine-done", head = head(call), said = said)
}

pub(crate) fn not(call: &MachineCall, why: &str) -> String {
    say!("machine-not", head = head(call), why = inert(why, QUOTE))
}

/// For whoever ordered it, where nobody else was told.
pub(crate) fn refused(call: &MachineCall, why: &str) -> String {
    match call.order() {
        Some(MachineOrder::Destroy(machine)) => {
            say!("machine-refused-destroy", team = machine.team, why = why)
        }
        Some(order) => say!("machine-refused-create", team = order.team(), why = why),
        None => why.to_owned(),
    }
}

/// The answer to an order of which it is not known yet what it would do.
pub fn noted(call: &MachineCall) -> String {
    say!("machine-noted", head = head(call))
}

/// The answer to an order that people are asked about.
pub fn asked(call: &MachineCall) -> String {
    let people = call.plan.as_ref().map_or("", |plan| &plan.people);
    say!("machine-asked", people = people)
}

/// There is nobody who makes machines.
pub fn none() -> String {
    say!("machines-none")
}

/// Clusters that orders name, a line each.
pub fn clusters(names: &[String]) -> String {
    if names.is_empty() {
        return say!("clusters-none");
    }
    let line = |name: &String| say!("cluster-line", name = inert(name, TITLE));
    names.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Machines, a line each.
pub fn list(machines: &[MachineStanding]) -> String {
    if machines.is_empty() {
        return say!("machines-empty");
    }
    machines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(each: &MachineStanding) -> String {
    let (team, standing) = (inert(&each.team, TITLE), inert(&each.standing, QUOTE));
    say!("machine-line", team = team, standing = standing, place = inert(&each.place, TITLE))
}

/// What a machine that is asked for has, from what would be bound. The card makes it inert.
pub fn facts(subject: &Subject) -> String {
    let arguments = subject.binding.as_ref().map(|binding| &binding.arguments);
    let field = |name: &str| match arguments.and_then(|all| all.get(name)) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let on_cluster = |said: String| match cluster(subject) {
        Some(cluster) => format!("{said} {}", say!("machine-cluster", cluster = cluster)),
        None => said,
    };
    if field("template").is_none() {
        return on_cluster(match field("backup_to") {
            Some(storage) => say!("machine-facts-backup", storage = storage),
            None => say!("machine-facts-gone"),
        });
    }
    let disk = field("disk_gib").map_or_else(|| say!("machine-disk-templates"), |gib| format!("{gib} GiB"));
    on_cluster(say!(
        "machine-facts",
        cores = field("cores").unwrap_or_default(),
        memory = field("memory_mib").unwrap_or_default(),
        disk = disk,
        template = field("template").unwrap_or_default(),
        pool = field("pool").unwrap_or_else(|| say!("machine-no-pool"))
    ))
}

/// The cluster that it is about, if that has a name: the server of its tools is called by it.
fn cluster(subject: &Subject) -> Option<String> {
    let tool = subject.binding.as_ref()?.tool.as_ref()?;
    let (server, _) = tool.name.split_once('.')?;
    server.strip_prefix("proxmox-").map(str::to_owned)
}

fn team(subject: &Subject) -> Option<String> {
    let binding = subject.binding.as_ref()?;
    Some(binding.arguments.get("team")?.as_str()?.to_owned())
}

/// What an approval that the bot keeps is about; of machines, in words of their own. It is inert.
pub(crate) fn title(subject: &Subject) -> String {
    let title = match (&subject.action, team(subject)) {
        (Action::Tool(call), Some(team)) if call.does == "team.create" => {
            say!("machine-title-create", team = team)
        }
        (Action::Tool(call), Some(team)) if call.does == "team.destroy" => {
            say!("machine-title-destroy", team = team)
        }
        _ => subject.title(),
    };
    inert(&title, TITLE)
}

/// For what, and whose: of a machine, who ordered it.
pub(crate) fn place(subject: &Subject) -> String {
    if subject.instance.as_str() == crate::foreign::BOT {
        let people: Vec<&str> = subject.requesters.iter().map(PersonId::as_str).collect();
        return say!("place-fleet", people = people.join(", "));
    }
    say!("place", feature = subject.feature, team = subject.instance)
}

/// By what an approval is named in a sentence.
pub(crate) fn named(subject: &Subject) -> String {
    if subject.instance.as_str() == crate::foreign::BOT {
        title(subject)
    } else {
        subject.feature.to_string()
    }
}
