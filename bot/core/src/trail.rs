//! What led to something, and what came of it. The bot's own trail is read by whoever keeps it; the team that has it is asked for
//! its part, which comes as what a person is told.

use qd_command::Which;
use qd_text::say;
use qd_types::{Person, RunId, Verb};
use qd_wire::v1::Order;

use crate::{
    answer::Handled,
    chat::Given,
    commands::{find, on_behalf, say},
    effect::Effect,
    event::Moment,
    state::FleetState,
    text::{self, presence::Clock},
    waits::fitting,
};

/// What led to something, and what came of it: what the bot's own trail says, and that of the team that has it.
pub(crate) fn asked(
    state: &FleetState,
    person: &Person,
    (given, moment): (&Given, Moment),
    what: &str,
) -> Handled {
    if let Err(refusal) = state.rules.permit_fleet(person, Verb::AuditView) {
        return say(format!("{} {}", refusal.reason, refusal.help));
    }
    let feature = what.parse::<RunId>().map(|run| run.feature().clone()).or_else(|_| what.parse());
    let (of, to) = match feature {
        Ok(feature) => match find(state, &feature) {
            Ok((team, _)) => (what.to_owned(), team),
            Err(problem) => return say(problem),
        },
        Err(_) => {
            let key = what.rsplit('/').next().unwrap_or(what).to_ascii_uppercase();
            let found = if key.is_empty() { Vec::new() } else { fitting(state, &Which::Key(key)) };
            match found.as_slice() {
                [one] => (one.approval().id.to_string(), one.approval().subject.instance.clone()),
                [] => return say(say!("no-trail", what = text::inert(what, 64))),
                _ => return say(say!("several-approvals", which = text::inert(what, 64))),
            }
        }
    };
    let sent = text::presence::order(state, &to, Clock::for_one(state, given), moment.at);
    let order = Box::new(Order::Trail { by: on_behalf(person, given, moment), of: of.clone() });
    let effects = vec![Effect::Tell { to: to.clone(), living: None, order }];
    let reply = Some(say!("trail-asked", sent = sent, team = to));
    Handled { effects, reply, trail: Some(of), ..Handled::default() }
}
