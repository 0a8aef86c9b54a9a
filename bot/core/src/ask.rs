//! Questions to a team: given as an order, looked into there by a run that only reads, and shown as one message that is edited
//! into the answer. What is said in it is an agent's word: quoted, and with what it stands on.

use qd_text::say;
use qd_types::{InstanceName, Person, Stage, Verb};
use qd_wire::v1::{Answer, BoardCommand, FeatureReport, Reply};

use crate::{
    answer::Handled,
    chat::{About, Given, MessageKey},
    commands, desk,
    effect::Effect,
    event::Moment,
    inquiry, near,
    state::FleetState,
    text::{self, presence::Clock},
};

/// Asks a team. Where others have to agree first, the message comes when the team looks into it.
pub(crate) fn ask(
    state: &FleetState,
    person: &Person,
    (given, moment): (&Given, Moment),
    team: InstanceName,
    question: String,
) -> Handled {
    if !state.rules.teams.contains(&team) {
        return commands::say(near::no_team(&state.rules.teams, &team));
    }
    let id = moment.fresh.to_string();
    let sent = text::presence::order(state, &team, Clock::of(state), moment.at);
    let asked = text::ask::asked(person.id.as_str(), &team, &question, &sent);
    let at_once = state.rules.permit(person, Verb::TeamAsk, &team).is_ok();
    let message = at_once.then(|| put(state, &team, &id, asked));
    let command = BoardCommand::Ask { id, question: question.into() };
    let mut handled = commands::order(state, person, (given, moment), team, command);
    if !handled.effects.is_empty() {
        handled.effects.extend(message);
        let channel = state.rules.distil.routes.feature.channel.as_str();
        handled.reply = handled.reply.map(|sent| say!("ask-sent", sent = sent, channel = channel));
    }
    handled
}

/// A question that stands on a team's board, until it is over: then its answer says so.
pub(crate) fn stands(state: &FleetState, team: &InstanceName, report: &FeatureReport) -> Option<Effect> {
    let asked = report.question.as_ref()?;
    let open = !matches!(report.stage, Stage::Done | Stage::Cancelled);
    open.then(|| put(state, team, &asked.id, text::ask::stands(asked, team, report)))
}

/// What became of a question.
pub(crate) fn answered(state: &FleetState, team: &InstanceName, answer: &Answer) -> Effect {
    let found = match &answer.reply {
        Reply::NoAgent => inquiry::found(state, team, answer.question.as_str()),
        Reply::Said { .. } | Reply::Unknown { .. } => String::new(),
    };
    put(state, team, &answer.asked.id, text::ask::answered(team, answer, &found))
}

fn put(state: &FleetState, team: &InstanceName, id: &str, text: String) -> Effect {
    let channel = state.rules.distil.routes.feature.channel;
    desk::put(channel, MessageKey(format!("ask:{team}:{id}")), text).about(About::team(team))
}
