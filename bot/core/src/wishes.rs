//! What people want done with features and teams that takes more than passing it on: as the board takes it, or why it is not sent.

use qd_command::{EMPTY, Field, Limit};
use qd_text::say;
use qd_types::{FeatureId, InstanceName, Person, Stage};
use qd_wire::v1::{BoardCommand, FeatureEdit, FeatureReport, Limited, NewWork, Proposal};
use serde_json::{Map, Value, json};

use crate::{
    answer::Handled,
    chat::Given,
    commands::{find, only_team, order, say},
    event::Moment,
    state::FleetState,
};

/// A field as it is from now on, as the merge patch that the board takes.
pub(crate) fn edit(id: &FeatureId, field: Field, value: &str) -> BoardCommand {
    let empty = value.eq_ignore_ascii_case(EMPTY);
    let value = match field {
        Field::Labels if empty => json!([]),
        Field::Labels => value.split(',').map(str::trim).filter(|label| !label.is_empty()).collect(),
        Field::Description if empty => json!(""),
        Field::Priority => value.parse::<u8>().map_or_else(|_| json!(value), |number| json!(number)),
        Field::Size if !empty => json!(value.to_ascii_lowercase()),
        _ if empty => Value::Null,
        _ => json!(value),
    };
    let fields = Map::from_iter([(field.as_str().to_owned(), value)]);
    BoardCommand::EditFeature(FeatureEdit { feature: id.clone(), version: None, fields })
}

/// The run that works on a feature stops: that one, and no later one.
pub(crate) fn stop(report: &FeatureReport) -> Result<BoardCommand, String> {
    let run = report.run.clone().ok_or_else(|| say!("nothing-to-stop", feature = report.feature))?;
    Ok(BoardCommand::Stop { run })
}

/// A merged feature is taken back.
pub(crate) fn revert(report: &FeatureReport, why: Option<String>) -> Result<BoardCommand, String> {
    if report.merged.is_none() {
        return Err(say!("nothing-to-take-back", feature = report.feature));
    }
    Ok(BoardCommand::RevertFeature { feature: report.feature.clone(), why: why.map(Into::into) })
}

/// A goal, for which an agent proposes features.
fn goal_of(goal: String, page: bool) -> BoardCommand {
    let plan = Some(if page { Proposal::Page } else { Proposal::Goal });
    let work = NewWork { plan, ..NewWork::default() };
    BoardCommand::AddFeature { title: goal, stage: Stage::Ready, work }
}

/// A team does less at once, or as much as it is configured to.
pub(crate) fn limit(limit: Limit, most: Option<u32>) -> BoardCommand {
    let limit = match limit {
        Limit::Slots => Limited::Slots,
        Limit::Reviews => Limited::Reviews,
    };
    BoardCommand::LimitTeam { limit, most }
}

/// To the team that has the feature, if what it reported of it lets that be.
pub(crate) fn if_so(
    state: &FleetState,
    person: &Person,
    place: (&Given, Moment),
    id: &FeatureId,
    command: impl FnOnce(&FeatureReport) -> Result<BoardCommand, String>,
) -> Handled {
    match find(state, id).and_then(|(team, report)| Ok((team, command(report)?))) {
        Ok((team, command)) => order(state, person, place, team, command),
        Err(problem) => say(problem),
    }
}

/// A goal is filed with a team: what happens next is said, as nobody sees it at once.
pub(crate) fn plan(
    state: &FleetState,
    person: &Person,
    place: (&Given, Moment),
    team: Option<InstanceName>,
    (goal, page): (String, bool),
) -> Handled {
    let team = match team.map_or_else(|| only_team(state), Ok) {
        Ok(team) => team,
        Err(problem) => return say(problem),
    };
    let mut handled = order(state, person, place, team, goal_of(goal, page));
    if !handled.effects.is_empty() {
        let sent = handled.reply.take().unwrap_or_default();
        let next = if page { say!("plan-page") } else { say!("plan-goal") };
        handled.reply = Some(format!("{sent} {next}"));
    }
    handled
}
