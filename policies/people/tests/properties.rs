//! Whatever is done in whatever order: a fleet keeps an owner, who is out stays out, and an identity is one person's.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;

use common::{Fleet, at, hash, id, identity};
use jiff::SignedDuration;
use proptest::prelude::*;
use qd_people::{Invitation, Scope, Seed, State, TokenKind, by_identity, by_token, find, list};
use qd_types::{PersonId, Role};
use secrecy::{ExposeSecret as _, SecretString};

const NAMES: [&str; 3] = ["ines", "theo", "mira"];
const IDENTITIES: [&str; 3] = ["discord:1", "github:octo", "local:dev"];

#[derive(Debug, Clone)]
enum Op {
    Invite(usize, bool),
    InviteAgain(usize),
    Accept(usize),
    Disable(usize),
    Remove(usize),
    Erase(usize),
    Give(usize, Role),
    Take(usize, Role),
    Link(usize, usize),
    Unlink(usize, usize),
    Token(usize),
    Seed(Vec<(usize, bool)>),
}

fn any_op() -> impl Strategy<Value = Op> {
    let who = || 0..NAMES.len();
    let role = || prop::sample::select(vec![Role::Owner, Role::Reviewer]);
    prop_oneof![
        (who(), any::<bool>()).prop_map(|(who, owner)| Op::Invite(who, owner)),
        who().prop_map(Op::InviteAgain),
        (0..8usize).prop_map(Op::Accept),
        who().prop_map(Op::Disable),
        who().prop_map(Op::Remove),
        who().prop_map(Op::Erase),
        (who(), role()).prop_map(|(who, role)| Op::Give(who, role)),
        (who(), role()).prop_map(|(who, role)| Op::Take(who, role)),
        (who(), 0..IDENTITIES.len()).prop_map(|(who, which)| Op::Link(who, which)),
        (who(), 0..IDENTITIES.len()).prop_map(|(who, which)| Op::Unlink(who, which)),
        who().prop_map(Op::Token),
        prop::collection::vec((who(), any::<bool>()), 0..3).prop_map(Op::Seed),
    ]
}

/// What has to be true beside what the tables say: which tokens are good.
#[derive(Default)]
struct Model {
    invitations: Vec<Invitation>,
    tokens: Vec<(PersonId, SecretString, bool)>,
    linked: BTreeMap<&'static str, PersonId>,
}

impl Model {
    fn out(&mut self, person: &PersonId) {
        for token in self.tokens.iter_mut().filter(|(whose, ..)| whose == person) {
            token.2 = false;
        }
        self.linked.retain(|_, whose| whose != person);
    }

    fn apply(&mut self, fleet: &Fleet, second: i64, op: &Op) {
        let people = fleet.people(second);
        let name = |who: usize| id(NAMES[who]);
        match op {
            Op::Invite(who, owner) => {
                let role = if *owner { Role::Owner } else { Role::Viewer };
                self.invitations.extend(people.invite(&name(*who), NAMES[*who], &[(Scope::Fleet, role)]));
            }
            Op::InviteAgain(who) => self.invitations.extend(people.invite_again(&name(*who))),
            Op::Accept(which) => {
                let Some(invitation) = self.invitations.get(*which) else { return };
                if let Ok(profile) = people.accept(invitation.token.expose_secret(), hash()) {
                    for token in self.tokens.iter_mut().filter(|(whose, ..)| *whose == profile.id) {
                        token.2 = false;
                    }
                    self.invitations.remove(*which);
                }
            }
            Op::Disable(who) => {
                if people.disable(&name(*who)).is_ok() {
                    self.out(&name(*who));
                }
            }
            Op::Remove(who) => {
                if people.remove(&name(*who)).is_ok() {
                    self.out(&name(*who));
                }
            }
            Op::Erase(who) => {
                if people.erase(&name(*who)).is_ok() {
                    assert_eq!(find(&fleet.db, &name(*who)).unwrap(), None);
                }
            }
            Op::Give(who, role) => drop(people.give_role(&name(*who), &Scope::Fleet, *role)),
            Op::Take(who, role) => drop(people.take_role(&name(*who), &Scope::Fleet, *role)),
            Op::Link(who, which) => {
                if people.link(&name(*who), &identity(IDENTITIES[*which])).is_ok() {
                    let before = self.linked.insert(IDENTITIES[*which], name(*who));
                    assert!(before.is_none_or(|before| before == name(*who)), "taken from somebody");
                }
            }
            Op::Unlink(who, which) => {
                if people.unlink(&name(*who), &identity(IDENTITIES[*which])).is_ok() {
                    assert_eq!(self.linked.remove(IDENTITIES[*which]), Some(name(*who)));
                }
            }
            Op::Token(who) => {
                let lasts = SignedDuration::from_hours(24);
                if let Ok(token) = people.make_token(&name(*who), TokenKind::Session, "x", lasts) {
                    self.tokens.push((name(*who), token, true));
                }
            }
            Op::Seed(seeds) => {
                let seeds: BTreeMap<usize, bool> = seeds.iter().copied().collect();
                let seeds: Vec<Seed> = seeds
                    .into_iter()
                    .map(|(who, owner)| Seed {
                        id: name(who),
                        roles: vec![if owner { Role::Owner } else { Role::Manager }],
                    })
                    .collect();
                if let Ok(seeded) = people.seed(&seeds) {
                    for departure in seeded.left {
                        self.out(&departure.person);
                    }
                }
            }
        }
    }

    fn check(&self, fleet: &Fleet, second: i64) {
        let all = list(&fleet.db).unwrap();
        let owners = all.iter().filter(|profile| profile.person(&[]).roles.contains(&Role::Owner));
        assert!(owners.count() > 0, "nobody is owner");
        for (whose, token, good) in &self.tokens {
            let found = by_token(&fleet.db, token.expose_secret(), at(second)).unwrap();
            assert_eq!(found.map(|signed_in| signed_in.profile.id), good.then(|| whose.clone()));
        }
        for text in IDENTITIES {
            let holders = all.iter().filter(|profile| profile.identities.contains(&identity(text))).count();
            assert!(holders <= 1, "{text} is {holders} people's");
            let found = by_identity(&fleet.db, &identity(text)).unwrap();
            assert_eq!(found.map(|profile| profile.id).as_ref(), self.linked.get(text));
        }
        for profile in all.iter().filter(|profile| profile.state != State::Active) {
            assert_eq!(profile.person(&[]).roles, []);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_order_of_verbs_breaks_what_must_hold(ops in prop::collection::vec(any_op(), 1..40)) {
        let (fleet, mut model) = (Fleet::with_owner(), Model::default());
        for (second, op) in ops.iter().enumerate() {
            model.apply(&fleet, second as i64, op);
            model.check(&fleet, second as i64);
        }
    }
}
