//! Who somebody is here: their roles, what they may decide, and which accounts are theirs, as far as whoever asks may know.

use qd_engine::Refusal;
use qd_text::say;
use qd_types::{Identity, Person, PersonId, Subject, Verb};

use crate::{
    answer::Handled,
    chat::{Given, Scope},
    commands::{say, whom},
    near,
    state::FleetState,
    waits,
};

/// Shows somebody: oneself, or another one to whoever may see the fleet. Their accounts are known to whoever keeps them, and are
/// told to themselves, and to people who may link accounts.
pub(crate) fn show(state: &FleetState, asks: &Person, given: &Given, name: Option<PersonId>) -> Handled {
    let Some(name) = name.filter(|name| *name != asks.id) else {
        return Handled { accounts: Some(asks.id.clone()), ..say(oneself(state, asks, given)) };
    };
    if let Scope::Only(_) = given.scope {
        return say(say!("people-elsewhere"));
    }
    if let Err(Refusal { reason, .. }) = state.rules.permit_fleet(asks, Verb::FleetView) {
        return say(say!("people-not-yours", person = name, why = reason));
    }
    let Some(person) = state.rules.person(&name) else { return say(near::no_person(state, &name)) };
    let count = decidable(state, person, given);
    let reply = say!("they-are", person = person.id, roles = roles(person), count = count);
    let links = whom(state.rules.permit_fleet(asks, Verb::PersonLink)).is_ok();
    Handled { accounts: links.then_some(name), ..say(reply) }
}

fn oneself(state: &FleetState, person: &Person, given: &Given) -> String {
    let account =
        given.account.as_ref().map_or_else(String::new, |account| format!(", {}:{account}", given.surface));
    let count = decidable(state, person, given);
    say!("you-are", person = person.id, account = account, roles = roles(person), count = count)
}

fn roles(person: &Person) -> String {
    let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
    if roles.is_empty() { say!("no-role") } else { roles.join(", ") }
}

/// How much of what is open, as far as it is seen from here, they may decide.
fn decidable(state: &FleetState, person: &Person, given: &Given) -> usize {
    let may = |subject: &Subject| {
        let seen = given.scope.has(&subject.instance);
        seen && subject.requirement.refuses(person, &subject.requesters).is_none()
    };
    waits::open(state).filter(|approval| may(&approval.subject)).count()
}

/// Accounts that are somebody's, for whoever may know them.
pub fn accounts(accounts: &[Identity]) -> String {
    if accounts.is_empty() {
        return say!("accounts-none");
    }
    let all: Vec<String> = accounts.iter().map(|one| format!("{}:{}", one.service, one.account)).collect();
    say!("accounts", accounts = all.join(", "))
}
