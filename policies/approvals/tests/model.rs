//! The life of approvals against a model of it, on the real SQLite: two people, two surfaces, restarts, clocks that jump,
//! votes that come twice, late, in another order, forged or for something else. Whatever happens, the rows say what the
//! model says, and an effect happens at most once, with a quorum, without a requester, in time, on the digest that was
//! approved.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use qd_approvals::{
    Asker, Authorised, Cast, EffectState, Outcome, Probe, Reopened, SignedVote, WHOLE, confirm::Way,
};
use qd_types::{ApprovalId, ApprovalState, Ballot, RunId, Subject, Tier};
use support::{DAY, World, binding, call, person};

/// An hour: how long a grant holds.
const HOUR: i64 = 60;

/// Two who may decide, and the one who asked.
const PEOPLE: [&str; 3] = ["ines", "mira", "theo"];

/// A request, as the model has it.
#[derive(Debug, Clone)]
struct Ask {
    quorum: usize,
    state: ApprovalState,
    delivered: Option<i64>,
    granted: Option<i64>,
    yes: BTreeSet<usize>,
    effect: Option<EffectState>,
    /// How often it happened in the world.
    happened: u32,
    reopened: bool,
    /// What the run would do; a reopened request is for the same.
    what: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Forged,
    /// For what another request asks.
    OtherDigest,
}

#[derive(Debug, Clone)]
struct Mail {
    ask: usize,
    who: usize,
    yes: bool,
    fault: Fault,
}

#[derive(Debug, Clone)]
struct Model {
    asks: Vec<Ask>,
    mail: Vec<Mail>,
    now: i64,
    seen: i64,
    elapsed: i64,
}

#[derive(Debug, Clone)]
enum Then {
    Succeed,
    Fail,
    /// The process ends between the spending and the effect.
    CrashBefore,
    /// The process ends between the effect and its record.
    CrashAfter,
}

#[derive(Debug, Clone)]
enum Act {
    Ask {
        quorum: usize,
    },
    Deliver {
        ask: usize,
    },
    Sign {
        ask: usize,
        who: usize,
        yes: bool,
        remote: bool,
        fault: Fault,
    },
    Arrive {
        mail: usize,
    },
    /// Whoever is needed says yes.
    Agree {
        ask: usize,
    },
    Authorise {
        ask: usize,
        changed: bool,
        other: bool,
        then: Then,
    },
    Probe {
        ask: usize,
        blind: bool,
    },
    Withdraw {
        ask: usize,
    },
    Reopen {
        ask: usize,
    },
    Sweep,
    Restart,
    Pass {
        minutes: i64,
    },
}

impl Ask {
    fn new(quorum: usize, what: usize) -> Self {
        Self {
            quorum,
            state: ApprovalState::Requested,
            delivered: None,
            granted: None,
            yes: BTreeSet::new(),
            effect: None,
            happened: 0,
            reopened: false,
            what,
        }
    }

    fn settle(&mut self, elapsed: i64) {
        let over = |since: Option<i64>, limit| since.is_some_and(|since| elapsed - since >= limit);
        match self.state {
            ApprovalState::Requested if over(self.delivered, DAY) => self.state = ApprovalState::Expired,
            ApprovalState::Granted if over(self.granted, HOUR) => self.state = ApprovalState::Lapsed,
            ApprovalState::Executing
                if over(self.granted, HOUR) && self.effect == Some(EffectState::Planned) =>
            {
                self.end(EffectState::Failed);
            }
            _ => {}
        }
    }

    fn end(&mut self, effect: EffectState) {
        self.effect = Some(effect);
        self.state = match effect {
            EffectState::Done => ApprovalState::Executed,
            EffectState::Failed => ApprovalState::Failed,
            _ => ApprovalState::Unknown,
        };
    }

    /// Whether it is carried out now.
    fn authorise(&mut self, changed: bool, other: bool) -> bool {
        match (self.effect, self.state) {
            (None, ApprovalState::Granted) if changed => self.state = ApprovalState::Lapsed,
            (Some(EffectState::Planned), _) if changed && !other => self.end(EffectState::Failed),
            (None, ApprovalState::Granted) => {}
            (Some(EffectState::Planned), _) if !other => {}
            _ => return false,
        }
        if !changed {
            (self.state, self.effect) = (ApprovalState::Executing, Some(EffectState::UnderWay));
        }
        !changed
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self { asks: vec![], mail: vec![], now: 0, seen: 0, elapsed: 0 }).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Act> {
        let ask = (1..=2_usize).prop_map(|quorum| Act::Ask { quorum });
        if state.asks.is_empty() {
            return ask.boxed();
        }
        // Mostly where something can still happen.
        let count = state.asks.len();
        let alive =
            |ask: &Ask| !ask.state.is_final() || (ask.state == ApprovalState::Expired && !ask.reopened);
        let live: Vec<usize> = (0..count).filter(|ask| alive(&state.asks[*ask])).collect();
        let live = if live.is_empty() { vec![count - 1] } else { live };
        let one = prop_oneof![5 => prop::sample::select(live), 1 => 0..count];
        let mails = state.mail.len();
        let fault =
            prop_oneof![6 => Just(Fault::None), 1 => Just(Fault::Forged), 1 => Just(Fault::OtherDigest)];
        let sign = (one.clone(), 0..PEOPLE.len(), prop::bool::weighted(0.85), any::<bool>(), fault)
            .prop_map(|(ask, who, yes, remote, fault)| Act::Sign { ask, who, yes, remote, fault });
        let then = prop_oneof![
            2 => Just(Then::Succeed), 1 => Just(Then::Fail), 2 => Just(Then::CrashBefore), 2 => Just(Then::CrashAfter)
        ];
        let authorise = (one.clone(), prop::bool::weighted(0.15), prop::bool::weighted(0.3), then)
            .prop_map(|(ask, changed, other, then)| Act::Authorise { ask, changed, other, then });
        let arrive = prop_oneof![2 => Just(mails.saturating_sub(1)), 1 => 0..mails.max(1)]
            .prop_map(|mail| Act::Arrive { mail });
        let minutes = prop::sample::select(vec![1, 25, HOUR, DAY / 2, DAY, -1, -HOUR, -3 * DAY]);
        prop_oneof![
            1 => ask,
            3 => one.clone().prop_map(|ask| Act::Deliver { ask }),
            5 => sign,
            6 => arrive,
            3 => one.clone().prop_map(|ask| Act::Agree { ask }),
            8 => authorise,
            4 => (one.clone(), prop::bool::weighted(0.2)).prop_map(|(ask, blind)| Act::Probe { ask, blind }),
            1 => one.clone().prop_map(|ask| Act::Withdraw { ask }),
            2 => one.prop_map(|ask| Act::Reopen { ask }),
            1 => Just(Act::Sweep),
            1 => Just(Act::Restart),
            3 => minutes.prop_map(|minutes| Act::Pass { minutes }),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, act: &Act) -> bool {
        match act {
            Act::Ask { .. } | Act::Sweep | Act::Restart | Act::Pass { .. } => true,
            Act::Arrive { mail } => *mail < state.mail.len(),
            Act::Deliver { ask }
            | Act::Sign { ask, .. }
            | Act::Authorise { ask, .. }
            | Act::Probe { ask, .. }
            | Act::Agree { ask }
            | Act::Withdraw { ask }
            | Act::Reopen { ask } => *ask < state.asks.len(),
        }
    }

    fn apply(mut state: Self, act: &Act) -> Self {
        let elapsed = state.elapsed;
        match act {
            Act::Ask { quorum } => state.asks.push(Ask::new(*quorum, state.asks.len())),
            Act::Deliver { ask } => {
                let ask = &mut state.asks[*ask];
                if ask.state.is_open() && ask.delivered.is_none() {
                    ask.delivered = Some(elapsed);
                }
            }
            Act::Sign { ask, who, yes, fault, .. } => {
                state.mail.push(Mail { ask: *ask, who: *who, yes: *yes, fault: *fault });
            }
            Act::Arrive { mail } => {
                let mail = &state.mail[*mail];
                if mail.fault != Fault::Forged {
                    let ask = &mut state.asks[mail.ask];
                    ask.settle(elapsed);
                    if ask.state.is_open() && mail.fault == Fault::None && PEOPLE[mail.who] != "theo" {
                        if mail.yes {
                            ask.yes.insert(mail.who);
                        } else {
                            ask.state = ApprovalState::Denied;
                        }
                        if ask.state.is_open() && ask.yes.len() >= ask.quorum {
                            (ask.state, ask.granted) = (ApprovalState::Granted, Some(elapsed));
                        }
                    }
                }
            }
            Act::Agree { ask } => {
                let ask = &mut state.asks[*ask];
                ask.settle(elapsed);
                if ask.state.is_open() {
                    ask.yes.extend(0..ask.quorum);
                    (ask.state, ask.granted) = (ApprovalState::Granted, Some(elapsed));
                }
            }
            Act::Authorise { ask, changed, other, then } => {
                let ask = &mut state.asks[*ask];
                ask.settle(elapsed);
                if ask.authorise(*changed, *other) {
                    match then {
                        Then::Succeed => {
                            ask.happened += 1;
                            ask.end(EffectState::Done);
                        }
                        Then::Fail => ask.end(EffectState::Failed),
                        Then::CrashBefore => {}
                        Then::CrashAfter => ask.happened += 1,
                    }
                }
            }
            Act::Probe { ask, blind } => {
                let ask = &mut state.asks[*ask];
                if ask.effect == Some(EffectState::UnderWay) {
                    match (blind, ask.happened) {
                        (true, _) => ask.end(EffectState::Unknown),
                        (false, 0) => ask.effect = Some(EffectState::Planned),
                        (false, _) => ask.end(EffectState::Done),
                    }
                }
            }
            Act::Withdraw { ask } => {
                let ask = &mut state.asks[*ask];
                ask.settle(elapsed);
                if ask.state.is_open() {
                    ask.state = ApprovalState::Withdrawn;
                }
            }
            Act::Reopen { ask } => {
                let old = &mut state.asks[*ask];
                old.settle(elapsed);
                if old.state == ApprovalState::Expired && !old.reopened {
                    old.reopened = true;
                    let new = Ask::new(old.quorum, old.what);
                    state.asks.push(new);
                }
            }
            Act::Sweep => state.asks.iter_mut().for_each(|ask| ask.settle(elapsed)),
            Act::Restart => {}
            Act::Pass { minutes } => {
                state.now += minutes;
                state.elapsed += (state.now - state.seen).max(0);
                // A minute back is not a jump: callers read the clock before it is their turn.
                state.seen = if state.now < state.seen - 1 { state.now } else { state.now.max(state.seen) };
            }
        }
        state
    }
}

struct Real {
    world: World,
    runtime: tokio::runtime::Runtime,
    ids: Vec<ApprovalId>,
    subjects: Vec<Subject>,
    mail: Vec<SignedVote>,
    /// How often each happened in the world.
    happened: Vec<u32>,
}

/// Each request is for another run, so that no "no" of one holds for the next.
fn subject(quorum: usize, what: usize) -> Subject {
    let tier = if quorum == 2 { Tier::Destroy } else { Tier::Operate };
    let mut subject = call("container.touch", tier);
    subject.run = RunId::new(subject.feature.clone(), what as u32 + 1);
    subject
}

impl Real {
    fn sign(&mut self, act: &Act) -> SignedVote {
        let Act::Sign { ask, who, yes, remote, fault } = act else { panic!("{act:?}") };
        let surface = if *remote { "discord" } else { "board" };
        let ballot = if *yes { Ballot::Approve } else { Ballot::Deny };
        let rt = &self.runtime;
        let mut statement = rt.block_on(self.world.statement(&self.ids[*ask], PEOPLE[*who], surface, ballot));
        (statement.way, statement.typed) = (Way::Typed, Some("billing-db".into()));
        // Two votes at the same minute are two votes.
        statement.vote.reason = Some(format!("mail {}", self.mail.len()));
        if *fault == Fault::OtherDigest {
            let mut other = self.subjects[*ask].clone();
            binding(&mut other).fingerprint = "another".into();
            statement.vote.digest = other.digest().unwrap();
        }
        let mut vote = self.world.sign(&statement);
        if *fault == Fault::Forged {
            vote.payload = vote.payload.replace("mail", "letter");
        }
        vote
    }

    fn authorise(&mut self, model: &Model, act: &Act) {
        let Act::Authorise { ask, changed, other, then } = act else { panic!("{act:?}") };
        let (world, rt) = (&mut self.world, &self.runtime);
        let id = self.ids[*ask].clone();
        let mut rebuilt = self.subjects[*ask].clone();
        if *changed {
            binding(&mut rebuilt).fingerprint = "changed".into();
        }
        let effect = if *other { "act-2" } else { "act-1" };
        // The first effect that is paid for has this key, whichever it was.
        let key = format!("{effect}-{}", id.key());
        let key = match rt.block_on(world.run({
            let id = id.clone();
            move |a| a.effect(&id, WHOLE)
        })) {
            Some(row) if !*other => row.effect,
            Some(row) => format!("{}-again", row.effect),
            None => key,
        };
        let Authorised::Go(grant) = rt.block_on(world.authorise(&id, rebuilt.clone(), &key)) else { return };
        assert!(!changed, "another digest was carried out");
        assert_eq!(grant.grant().approval(), &id);
        let asked = &model.asks[*ask];
        assert!(asked.yes.len() >= asked.quorum, "without a quorum");
        let outcome = match then {
            Then::Succeed => Some(Outcome::Done("task-1".into())),
            Then::Fail => Some(Outcome::Failed("no".into())),
            Then::CrashBefore | Then::CrashAfter => None,
        };
        if matches!(then, Then::Succeed | Then::CrashAfter) {
            self.happened[*ask] += 1;
        }
        match outcome {
            Some(outcome) => assert!(rt.block_on(world.run(move |a| a.finish(&id, WHOLE, &outcome)))),
            None => world.restart(),
        }
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = {
            let _inside = runtime.enter();
            World::new()
        };
        runtime.block_on(world.run(|a| a.sweep()));
        Self { world, runtime, ids: vec![], subjects: vec![], mail: vec![], happened: vec![] }
    }

    fn apply(mut real: Self, model: &Model, act: Act) -> Self {
        match &act {
            Act::Ask { quorum } => {
                let subject = subject(*quorum, real.ids.len());
                match real.runtime.block_on(real.world.ask(subject.clone())) {
                    qd_approvals::Asked::Opened(id) => real.ids.push(id),
                    other => panic!("{other:?}"),
                }
                real.subjects.push(subject);
                real.happened.push(0);
            }
            Act::Deliver { ask } => {
                let id = real.ids[*ask].clone();
                let job = real.world.run(move |a| a.delivered(&id, &support::place("board", 0), "card-1"));
                real.runtime.block_on(job);
            }
            Act::Sign { .. } => {
                let vote = real.sign(&act);
                real.mail.push(vote);
            }
            Act::Arrive { mail } => {
                let cast = real.runtime.block_on(real.world.cast(real.mail[*mail].clone()));
                let bad = model.mail[*mail].fault != Fault::None || PEOPLE[model.mail[*mail].who] == "theo";
                assert!(!bad || matches!(cast, Cast::Refused(_)), "{cast:?}");
            }
            Act::Agree { ask } => {
                for who in 0..model.asks[*ask].quorum {
                    let sign = Act::Sign { ask: *ask, who, yes: true, remote: who == 0, fault: Fault::None };
                    let vote = real.sign(&sign);
                    drop(real.runtime.block_on(real.world.cast(vote)));
                }
            }
            Act::Authorise { .. } => real.authorise(model, &act),
            Act::Probe { ask, blind } => {
                let probe = match (blind, real.happened[*ask]) {
                    (true, _) => Probe::CantTell("no answer".into()),
                    (false, 0) => Probe::DidNot,
                    (false, _) => Probe::Happened("task-1".into()),
                };
                let id = real.ids[*ask].clone();
                real.runtime.block_on(real.world.run(move |a| a.probed(&id, WHOLE, &probe)));
            }
            Act::Withdraw { ask } => {
                let id = real.ids[*ask].clone();
                real.runtime.block_on(real.world.run(move |a| a.withdraw(&id, "not needed")));
            }
            Act::Reopen { ask } => {
                let (id, ines) = (real.ids[*ask].clone(), Asker::Person(person("ines")));
                let fresh = real.subjects[*ask].clone();
                let again = real.world.ask_of(fresh.clone());
                let reopened = real.runtime.block_on(real.world.run(move |a| a.reopen(&id, &ines, again)));
                if let Reopened::Opened(new) = reopened {
                    real.ids.push(new);
                    real.subjects.push(fresh);
                    real.happened.push(0);
                }
            }
            Act::Sweep => drop(real.runtime.block_on(real.world.run(|a| a.sweep()))),
            Act::Restart => real.world.restart(),
            Act::Pass { minutes } => real.world.pass(*minutes),
        }
        real
    }

    fn check_invariants(real: &Self, model: &Model) {
        let ids = real.ids.clone();
        let look = real.world.run(move |a| {
            let mut rows = Vec::new();
            for id in &ids {
                rows.push((a.show(id)?.state(), a.effect(id, WHOLE)?.map(|row| row.state)));
            }
            Ok(rows)
        });
        let rows = real.runtime.block_on(look);
        assert_eq!(rows.len(), model.asks.len());
        for (number, (ask, (state, effect))) in model.asks.iter().zip(rows).enumerate() {
            assert_eq!(state, ask.state, "request {number}");
            assert_eq!(effect, ask.effect, "effect of {number}");
            assert_eq!(real.happened[number], ask.happened, "in the world, {number}");
            assert!(ask.happened <= 1, "{number} happened {} times", ask.happened);
            assert!(
                state != ApprovalState::Executed || ask.happened == 1,
                "{number} is said to have happened"
            );
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn what_is_approved_happens_once_and_nothing_else_does(sequential 10..60 => Real);
}
