//! The bot as an executor of approvals: who is known, whose keys count, and each step of an approval's life, taken in the
//! transaction of the event that it follows from.

use std::sync::Arc;

use jiff::Timestamp;
use qd_approvals::{
    Approvals, Ask, Asked, Asker, Cast, Directory, Executor, Key, KeyId, KeyOwner, Known, Place, Probe,
    Record, Reopened, SignedVote, Spending, Statement, SurfaceKey, Swept, WHOLE, trail,
};
use qd_core::{Asking, Effect, Event, ForgeCall, Moment, Rules, Standing, Step, Word, chat::Channel};
use qd_types::{ApprovalId, Identity, InstanceName, PersonId, Subject};
use qd_wire::v1::Order;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{HubError, keep, turn::Turn};

/// The name of the bot among executors, and of its chain.
pub(crate) const BOT: &str = "bot";

/// The surface of chat, whichever service that is.
const CHAT: &str = "console";

/// The surface of a team's own page.
pub(crate) const BOARD: &str = "board";

/// Where every card belongs.
pub(crate) fn place() -> Place {
    Place { surface: CHAT.into(), recipient: Channel::Approvals.as_str().into(), rank: 0 }
}

/// Where it goes that can't be shown there.
pub(crate) fn fallback() -> Place {
    Place { surface: CHAT.into(), recipient: Channel::Fallback.as_str().into(), rank: 1 }
}

/// The inbox of the team that it concerns.
fn board(team: &InstanceName) -> Place {
    Place { surface: BOARD.into(), recipient: team.to_string(), rank: 2 }
}

/// By what approvals are kept. Made anew when the rules or the keys change.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    pub(crate) executor: Executor,
    pub(crate) people: Directory,
    key: Arc<SurfaceKey>,
}

impl Keeper {
    /// `own` are the bot's keys that count, `key` the one that signs; `instances` are those by which instances sign, or signed.
    pub(crate) fn new(rules: &Rules, key: Arc<SurfaceKey>, own: &[[u8; 32]], instances: Vec<Key>) -> Self {
        let keys = instances.into_iter().map(|key| (KeyId::of(&key.public), key)).collect();
        let mut people = Directory { keys, ..Directory::default() };
        // Last: nobody else owns the bot's keys.
        own.iter().for_each(|public| people.add_key(*public, KeyOwner::Bot));
        for person in &rules.people {
            let mut identities = vec![Identity { service: "local".into(), account: person.id.to_string() }];
            let linked = rules.policies.people().find(|known| known.person.id == person.id);
            identities.extend(linked.into_iter().flat_map(|known| &known.identities).filter_map(|text| {
                let (service, account) = text.split_once(':').filter(|(service, _)| *service != "local")?;
                Some(Identity { service: service.to_owned(), account: account.to_owned() })
            }));
            let known = Known { roles: person.roles.clone(), identities, ..Known::default() };
            people.people.insert(person.id.clone(), known);
        }
        let executor = Executor { name: BOT.to_owned(), rules: rules.approvals.clone() };
        Self { executor, people, key }
    }

    /// What the bot signs with.
    pub(crate) fn key(&self) -> &SurfaceKey {
        &self.key
    }

    fn sign(&self, word: Word) -> Result<SignedVote, HubError> {
        self.key.sign(&word.statement()).map_err(|error| HubError::corrupt("approval_votes", error))
    }

    pub(crate) fn at<'c>(&'c self, c: &'c Connection, now: Timestamp) -> Result<Approvals<'c>, HubError> {
        Ok(Approvals::at(c, &self.executor, &self.people, now)?)
    }

    /// Takes a step. What becomes of it are events, to be handled in the same transaction.
    pub(crate) fn take(&self, c: &Connection, step: Step, moment: Moment) -> Result<Vec<Event>, HubError> {
        let now = moment.at;
        let approvals = self.at(c, now)?;
        match step {
            Step::Ask(asking) => {
                let result = match approvals.ask(self.ask_of(&asking, moment))? {
                    Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => {
                        Ok(Box::new(standing(c, &approvals, &id, now)?))
                    }
                    Asked::Refused(refusal) => Err(refusal),
                };
                Ok(vec![Event::Asked { asking, result }])
            }
            Step::Reopen { approval, by, asking } => {
                let asker = Asker::Person(by.clone());
                let result = match approvals.reopen(&approval, &asker, self.ask_of(&asking, moment))? {
                    Reopened::Opened(id) | Reopened::Queued(id) => {
                        trail::reopened(c, &approvals.show(&id)?, &by, now)?;
                        Ok(Box::new(standing(c, &approvals, &id, now)?))
                    }
                    Reopened::Refused(refusal) => Err(refusal),
                };
                let before = stands(c, &approvals, &approval, now)?;
                Ok(vec![before, Event::Reopened { asking, result }])
            }
            Step::Vote(word) => {
                let signed = self.sign(word)?;
                cast(c, &approvals, &signed, now)
            }
            Step::Send { to, word } => {
                let SignedVote { payload, key, signature } = self.sign(word)?;
                let key = key.as_str().to_owned();
                let order = Order::Vote(qd_wire::v1::SignedVote { payload, key, signature });
                keep::keep(c, &Effect::Tell { to, living: None, order: Box::new(order) }, now)?;
                Ok(Vec::new())
            }
            Step::Cast(vote) => {
                let key = KeyId::named(vote.key);
                let signed = SignedVote { payload: vote.payload, key, signature: vote.signature };
                cast(c, &approvals, &signed, now)
            }
            Step::CallOff { approval, reason } => {
                approvals.call_off(&approval, &reason)?;
                Ok(vec![stands(c, &approvals, &approval, now)?])
            }
            Step::Spend { approval, key, call } => {
                let Some(rebuilt) = rebuilt(&call) else {
                    return Err(HubError::corrupt("acts", format!("{key} is an act that no grant pays for")));
                };
                let spending = approvals.spend(&approval, WHOLE, rebuilt, &key)?;
                if spending == Spending::Planned {
                    keep::act(c, &key, &call, now.as_millisecond())?;
                }
                let stands = stands(c, &approvals, &approval, now)?;
                Ok(vec![stands, Event::Spent { approval, spending }])
            }
            Step::DidNot { approval } => {
                approvals.probed(&approval, WHOLE, &Probe::DidNot)?;
                Ok(vec![stands(c, &approvals, &approval, now)?])
            }
            Step::Finish { approval, outcome } => {
                approvals.finish(&approval, WHOLE, &outcome)?;
                Ok(vec![stands(c, &approvals, &approval, now)?])
            }
            Step::OnBoard { approval } => self.on_board(c, &approval, now),
            Step::Sweep => {
                self.unseen_again(c, &approvals, now)?;
                let mut events = Vec::new();
                for swept in approvals.sweep()? {
                    let (Swept::Expired(id)
                    | Swept::Lapsed(id)
                    | Swept::Abandoned(id)
                    | Swept::Escalate(id, _)
                    | Swept::Unseen(id)) = &swept;
                    events.push(stands(c, &approvals, id, now)?);
                    events.push(Event::Swept(swept));
                }
                Ok(events)
            }
        }
    }

    fn ask_of(&self, asking: &Asking, moment: Moment) -> Ask {
        Ask {
            subject: asking.subject.clone(),
            items: Vec::new(),
            words: asking.words.clone(),
            places: self.places(&asking.subject.instance, asking.terms.local_votes),
            waiter: Some(asking.request.clone()).filter(|request| !request.is_empty()),
            terms: asking.terms.clone(),
            fresh: moment.fresh,
        }
    }

    /// Where a card may stand, in their order. The embedded forge shows none, and a board where nobody could decide is no
    /// place for one.
    fn places(&self, team: &InstanceName, local_votes: bool) -> Vec<Place> {
        let mut places = vec![place(), fallback()];
        if local_votes || self.executor.rules.local_votes {
            places.push(board(team));
        }
        places
    }

    /// Its team's board shows it. That counts where no place before the board could.
    pub(crate) fn on_board(
        &self,
        c: &Connection,
        id: &ApprovalId,
        now: Timestamp,
    ) -> Result<Vec<Event>, HubError> {
        let approvals = self.at(c, now)?;
        if !approvals.exists(id)? {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        for place in approvals.due(id)?.into_iter().filter(|place| place.surface == BOARD) {
            if approvals.delivered(id, &place, &id.key())? {
                trail::card(c, &approvals.show(id)?, &place, &id.key(), now)?;
                events.push(stands(c, &approvals, id, now)?);
            }
        }
        Ok(events)
    }

    /// What no place took is tried again everywhere, for as long as people are asked: a channel may be back.
    fn unseen_again(
        &self,
        c: &Connection,
        approvals: &Approvals<'_>,
        now: Timestamp,
    ) -> Result<(), HubError> {
        for record in approvals.live()? {
            let lost = |card: &qd_approvals::Card| {
                card.state == "undeliverable" || (card.state == "pending" && card.place.surface == BOARD)
            };
            let cards = approvals.cards_of(record.id())?;
            if !record.state().is_open() || cards.is_empty() || !cards.iter().all(lost) {
                continue;
            }
            let places: Vec<Place> = cards.into_iter().map(|card| card.place).collect();
            approvals.route(record.id(), &places)?;
            keep::again(c, record.id(), now)?;
        }
        Ok(())
    }

    /// Decisions that somebody waits for, each once.
    pub(crate) fn resumed(&self, c: &Connection, now: Timestamp) -> Result<Vec<Event>, HubError> {
        let approvals = self.at(c, now)?;
        let mut events = Vec::new();
        for (id, waiter) in approvals.resumable()? {
            if let Some(resumption) = approvals.resume(&id, &waiter)? {
                events.push(stands(c, &approvals, &id, now)?);
                events.push(Event::Decided(resumption));
            }
        }
        Ok(events)
    }
}

/// What is about to be done, if a grant has to pay for it.
pub(crate) fn rebuilt(call: &ForgeCall) -> Option<&Subject> {
    match call {
        ForgeCall::Merge { rebuilt, .. } | ForgeCall::Pushed { rebuilt, .. } => Some(rebuilt),
        ForgeCall::Open { .. }
        | ForgeCall::Rebuild { .. }
        | ForgeCall::Remark { .. }
        | ForgeCall::Close { .. } => None,
    }
}

fn cast(
    c: &Connection,
    approvals: &Approvals<'_>,
    signed: &SignedVote,
    now: Timestamp,
) -> Result<Vec<Event>, HubError> {
    let cast = approvals.cast(signed)?;
    // Only what it claims to be about; whether that is so, `cast` has found out.
    let Ok(Statement { vote, .. }) = serde_json::from_str(&signed.payload) else {
        tracing::warn!(?cast, key = signed.key.as_str(), "something came as a vote and is none");
        return Ok(Vec::new());
    };
    match &cast {
        Cast::Counted(_) | Cast::Granted(_) | Cast::Denied { .. } => {
            trail::vote(c, &approvals.show(&vote.approval)?, &vote, signed, now)?;
        }
        Cast::Duplicate => {}
        Cast::Refused(refusal) => {
            tracing::info!(approval = %vote.approval, person = %vote.person.id, %refusal, "a vote does not count");
        }
    }
    let approval = vote.approval;
    let mut events = Vec::new();
    if approvals.exists(&approval)? {
        events.push(stands(c, approvals, &approval, now)?);
    }
    events.push(Event::Voted { approval, cast });
    Ok(events)
}

/// How an approval stands now. Whatever is new about it goes into the trail.
pub(crate) fn standing(
    c: &Connection,
    approvals: &Approvals<'_>,
    id: &ApprovalId,
    now: Timestamp,
) -> Result<Standing, HubError> {
    let record = approvals.show(id)?;
    trail::state(c, approvals, &record, now)?;
    Ok(shown(record))
}

/// As the core goes by it.
pub(crate) fn shown(record: Record) -> Standing {
    let Record { approval, words, reason, confirm, decide_until, .. } = record;
    Standing { approval, words, reason, confirm, decide_until }
}

pub(crate) fn stands(
    c: &Connection,
    approvals: &Approvals<'_>,
    id: &ApprovalId,
    now: Timestamp,
) -> Result<Event, HubError> {
    Ok(Event::Stands(Box::new(standing(c, approvals, id, now)?)))
}

/// Nothing that shut-out people or withdrawn keys said counts any more: says how everything that is open stands now.
pub(crate) fn count_again(turn: &mut Turn<'_>) -> Result<(), HubError> {
    let keeper = turn.keeper;
    let approvals = keeper.at(turn.c, turn.now)?;
    for person in approvals.strangers()? {
        approvals.drop_votes(&person)?;
    }
    for record in approvals.live()? {
        let stands = stands(turn.c, &approvals, record.id(), turn.now)?;
        turn.happens(stands)?;
    }
    Ok(())
}

/// The cards of everything that is open are delivered again: the same again is no edit, and what is gone is found out.
pub(crate) fn show_again(turn: &mut Turn<'_>) -> Result<(), HubError> {
    let own = turn.fleet.approvals.values().map(qd_core::Desk::approval);
    let foreign = turn.fleet.foreign.values().map(qd_core::Foreign::approval);
    let open: Vec<ApprovalId> =
        own.chain(foreign).filter(|approval| approval.state.is_open()).map(|it| it.id.clone()).collect();
    open.iter().try_for_each(|id| keep::again(turn.c, id, turn.now))
}

/// On what undecided a person voted, in words.
pub(crate) fn votes_of(turn: &Turn<'_>, person: &PersonId) -> Result<Vec<String>, HubError> {
    let approvals = turn.keeper.at(turn.c, turn.now)?;
    let mut votes = Vec::new();
    for id in approvals.votes_of(person)? {
        let title = approvals.show(&id)?.approval.subject.title();
        votes.push(format!("{title} ({})", id.key()));
    }
    Ok(votes)
}

/// A person is shut out: their open votes end.
pub(crate) fn drop_votes(turn: &mut Turn<'_>, person: &PersonId) -> Result<(), HubError> {
    let keeper = turn.keeper;
    let approvals = keeper.at(turn.c, turn.now)?;
    for id in approvals.drop_votes(person)? {
        let stands = stands(turn.c, &approvals, &id, turn.now)?;
        turn.happens(stands)?;
    }
    Ok(())
}

/// The keys of instances that were enrolled.
pub(crate) fn keys(c: &Connection) -> Result<Vec<Key>, HubError> {
    let sql = "SELECT instance, public, revoked_at IS NOT NULL FROM surface_keys ORDER BY public";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let name = name.parse().map_err(|error| HubError::corrupt("surface_keys", error))?;
        keys.push(Key { public: row.get(1)?, owner: KeyOwner::Instance(name), revoked: row.get(2)? });
    }
    Ok(keys)
}

/// Keeps the key of an instance; those that it had before sign no more. A key that was withdrawn, or is another
/// instance's, does not come back.
pub(crate) fn enrol(
    c: &Connection,
    instance: &InstanceName,
    public: &[u8; 32],
    now: Timestamp,
) -> Result<(), HubError> {
    c.prepare_cached("INSERT INTO surface_keys (public, instance) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![public, instance.as_str()])?;
    let sql = "SELECT 1 FROM surface_keys WHERE public = ?1 AND instance = ?2 AND revoked_at IS NULL";
    let holds: Option<i64> =
        c.prepare_cached(sql)?.query_row(params![public, instance.as_str()], |row| row.get(0)).optional()?;
    if holds.is_none() {
        return Err(HubError::KeyWithdrawn { instance: instance.to_string() });
    }
    let sql =
        "UPDATE surface_keys SET revoked_at = ?3 WHERE instance = ?2 AND public <> ?1 AND revoked_at IS NULL";
    c.prepare_cached(sql)?.execute(params![public, instance.as_str(), now.as_millisecond()])?;
    Ok(qd_audit::enrol(c, instance.as_str(), public)?)
}
