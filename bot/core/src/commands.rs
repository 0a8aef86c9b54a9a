//! Commands that people give in chat. The answer is for them alone; what follows is the same as from any surface.

use qd_command::{Command, Which, parse};
use qd_types::{ApprovalState, FeatureId, InstanceName, Person, Stage};
use qd_wire::v1::{BoardCommand, FeatureReport, Order};

use crate::{
    answer::Handled,
    chat::Given,
    desk,
    effect::Effect,
    event::Moment,
    state::{Desk, FleetState},
    text,
};

/// Features in one answer.
const LISTED: usize = 15;

/// Takes one command.
pub(crate) fn handle(
    state: &mut FleetState,
    person: &Person,
    given: &Given,
    text: &str,
    moment: Moment,
) -> Handled {
    let command = match parse(text) {
        Ok(command) => command,
        Err(error) => return say(error.to_string()),
    };
    match command {
        Command::Help => say(qd_command::HELP),
        Command::Approvals => say(approvals(state)),
        Command::Board { team } => say(board(state, team.as_ref())),
        Command::Approve { which, typed } => {
            ballot(state, &which, |desk| desk::ballot(desk, person, given, desk::Said::Yes { typed }, moment))
        }
        Command::Deny { which, reason } => {
            ballot(state, &which, |desk| desk::ballot(desk, person, given, desk::Said::No { reason }, moment))
        }
        Command::Reopen { which } => reopen(state, person, &which),
        Command::FeatureShow { id } => say(match find(state, &id) {
            Ok((team, report)) => text::feature(&team, report),
            Err(problem) => problem,
        }),
        Command::FeatureAdd { team, ready, title } => {
            let team = match team.map_or_else(|| only_team(state), Ok) {
                Ok(team) => team,
                Err(problem) => return say(problem),
            };
            let stage = if ready { Stage::Ready } else { Stage::Backlog };
            order(state, person, &given.surface, team, BoardCommand::AddFeature { title, stage })
        }
        Command::FeatureMove { id, stage } => match find(state, &id) {
            Ok((team, _)) => {
                order(state, person, &given.surface, team, BoardCommand::MoveFeature { feature: id, stage })
            }
            Err(problem) => say(problem),
        },
        Command::FeatureCancel { id } => match find(state, &id) {
            Ok((team, _)) => {
                order(state, person, &given.surface, team, BoardCommand::CancelFeature { feature: id })
            }
            Err(problem) => say(problem),
        },
    }
}

fn say(reply: impl Into<String>) -> Handled {
    Handled { effects: Vec::new(), reply: Some(reply.into()) }
}

/// Board commands go to the team, which decides again for that person.
fn order(
    state: &FleetState,
    person: &Person,
    surface: &str,
    to: InstanceName,
    command: BoardCommand,
) -> Handled {
    if let Err(refusal) = state.rules.permit(person, command.verb(), &to) {
        return say(format!("{} {}", refusal.reason, refusal.help));
    }
    let reply = Some(format!("Sent to {to}."));
    let order = Order::Command { person: person.clone(), surface: surface.to_owned(), command };
    Handled { effects: vec![Effect::Tell { to, living: None, order: Box::new(order) }], reply }
}

fn find<'a>(state: &'a FleetState, id: &FeatureId) -> Result<(InstanceName, &'a FeatureReport), String> {
    let mut found = state.features.iter().filter(|((_, feature), _)| feature == id);
    match (found.next(), found.next()) {
        (Some(((team, _), report)), None) => Ok((team.clone(), report)),
        (None, _) => Err(format!("No team has reported a feature {id}.")),
        (Some(_), Some(_)) => {
            Err(format!("Several teams have a feature {id}: give them prefixes of their own."))
        }
    }
}

fn only_team(state: &FleetState) -> Result<InstanceName, String> {
    match state.rules.teams.as_slice() {
        [one] => Ok(one.clone()),
        teams => {
            let names: Vec<&str> = teams.iter().map(InstanceName::as_str).collect();
            Err(format!(
                "Say for which team: feature add --team NAME TITLE, with one of {}.",
                names.join(", ")
            ))
        }
    }
}

fn fits(desk: &Desk, which: &Which) -> bool {
    match which {
        Which::Key(key) => desk.approval().id.key().starts_with(key.as_str()),
        Which::Feature(id) => desk.approval().subject.feature == *id,
    }
}

fn pick<'a>(state: &'a FleetState, which: &Which) -> Result<&'a Desk, String> {
    let mut open =
        state.approvals.values().filter(|desk| fits(desk, which) && desk.approval().state.is_open());
    match (open.next(), open.next()) {
        (Some(desk), None) => Ok(desk),
        (Some(_), Some(_)) => Err(format!("Several approvals fit {which}. Use the id on the card.")),
        (None, _) => match state.approvals.values().rev().find(|desk| fits(desk, which)) {
            Some(closed) => Err(text::late(closed)),
            None => Err(format!("Nothing is asked under {which}. Type approvals for what waits.")),
        },
    }
}

fn ballot(state: &FleetState, which: &Which, said: impl FnOnce(&Desk) -> Effect) -> Handled {
    match pick(state, which) {
        Ok(found) => vec![said(found)].into(),
        Err(problem) => say(problem),
    }
}

/// Opens again what expired last under that name.
fn reopen(state: &FleetState, person: &Person, which: &Which) -> Handled {
    let expired = |desk: &&Desk| desk.approval().state == ApprovalState::Expired;
    match state.approvals.values().rev().filter(|desk| fits(desk, which)).find(expired) {
        Some(desk) => match desk::reopen(state, person, desk) {
            Ok(effect) => vec![effect].into(),
            Err(no) => say(no),
        },
        None => say(format!("Nothing has expired under {which}.")),
    }
}

fn approvals(state: &FleetState) -> String {
    let open: Vec<String> = state
        .approvals
        .values()
        .filter(|desk| desk.approval().state.is_open())
        .take(LISTED)
        .map(|found| {
            let approval = found.approval();
            let subject = &approval.subject;
            format!(
                "{} {} ({}, {})",
                approval.id.key(),
                subject.action.title(),
                subject.feature,
                subject.instance
            )
        })
        .collect();
    if open.is_empty() { "Nothing waits for people.".to_owned() } else { open.join("\n") }
}

fn board(state: &FleetState, team: Option<&InstanceName>) -> String {
    let lines: Vec<String> = state
        .features
        .iter()
        .filter(|((name, _), report)| team.is_none_or(|team| team == name) && report.agent.is_some())
        .rev()
        .take(LISTED)
        .map(|((name, id), report)| {
            let title = text::inert(&report.title, 60);
            format!("`{}` {id} {title} · {name}: {}", report.line.bars(), report.sentence)
        })
        .collect();
    if lines.is_empty() { "No runs yet.".to_owned() } else { lines.join("\n") }
}
