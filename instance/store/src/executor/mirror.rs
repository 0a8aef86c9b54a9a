//! Own approvals in the bot's channels: the cards that it is sent, and what people say there, which comes down as orders.
//! The bot shows and signs; it is tallied here, and nowhere else.

use jiff::Timestamp;
use qd_approvals::{Ask, Asked, Asker, Cast, Reopened, Statement};
use qd_sqlite::outbox::{self, Agreement};
use qd_types::{Action, ApprovalId, PersonId};
use qd_wire::v1::{Ack, Envelope, Heard, Order, Report};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Keeper, Own, inbox, within};
use crate::{Applied, Store, StoreError, events, events::Draft, orders, report, rows, store::Lens};

/// Why nothing holds that was granted before a restore.
const RESTORED: &str = "Since it was given, the team was restored from a backup: it may be used up.";

impl Store {
    /// Applies what a person said in chat: a vote, or the wish to have something asked again. What became of it goes back to
    /// them. `ask` is what would be asked again, or why it can't be.
    pub async fn apply_word(
        &self,
        keeper: &Keeper,
        order: Envelope<Order>,
        ask: Option<Result<Ask, String>>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.step(keeper, now, move |own| {
            if let Some(applied) = orders::received(own.c, &order)? {
                return Ok(applied);
            }
            // What can't be taken is acknowledged as refused and never blocks what follows; what it wrote goes.
            own.c.execute_batch("SAVEPOINT word")?;
            let applied = match own.word(order.body, ask) {
                Ok(()) => Applied::Yes,
                Err(StoreError::Db(error)) => return Err(StoreError::Db(error)),
                Err(refused) => {
                    own.c.execute_batch("ROLLBACK TO word")?;
                    events::write(own.c, &Draft::new("bot", "order_refused", refused.to_string()), own.now)?;
                    Applied::Refused(refused.to_string())
                }
            };
            own.c.execute_batch("RELEASE word")?;
            Ok(applied)
        })
        .await
    }

    /// Applies what a person ordered and others have to agree to first: it is not carried out, they are asked with `ask`.
    pub async fn apply_asking(
        &self,
        keeper: &Keeper,
        order: Envelope<Order>,
        ask: Ask,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.step(keeper, now, move |own| {
            if let Some(applied) = orders::received(own.c, &order)? {
                return Ok(applied);
            }
            if orders::said_before(own.c, &order)? {
                return Ok(Applied::Again);
            }
            match own.approvals.ask(ask)? {
                Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => {
                    own.noted(&id)?;
                    Ok(Applied::Yes)
                }
                Asked::Refused(refusal) => {
                    let why = refusal.to_string();
                    orders::said_back(own.c, orders::refusal(&order, &why), own.now)?;
                    Ok(Applied::Refused(why))
                }
            }
        })
        .await
    }

    /// The bot says what it has. If that is not what it was sent, it is new or was restored: it is sent all that holds now,
    /// the cards that are open among it. `true` if so. If it has more than it was sent, this side was restored: nothing that was
    /// granted here holds.
    pub async fn greeted(&self, keeper: &Keeper, has: Ack, now: Timestamp) -> Result<bool, StoreError> {
        let (keeper, lens) = (keeper.clone(), self.lens());
        self.write(move |c| greeted(c, &lens, &keeper, has, now)).await
    }

    /// The keys by which the bot signs what people say in chat, each with whether it was withdrawn.
    pub async fn bot_keys(&self) -> Result<Vec<([u8; 32], bool)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT public, revoked FROM surface_keys")?;
            let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(keys.collect::<Result<_, rusqlite::Error>>()?)
        })
        .await
    }
}

/// See [`Store::greeted`].
pub(crate) fn greeted(
    c: &Connection,
    lens: &Lens,
    keeper: &Keeper,
    has: Ack,
    now: Timestamp,
) -> Result<bool, StoreError> {
    within(c, lens, keeper, now, |own| {
        match outbox::agree(own.c, rows::BOT, has.epoch, has.seq)? {
            Agreement::Same => return Ok(false),
            Agreement::PeerLost => {}
            // What was granted may be used up already: nobody here knows.
            Agreement::OwnLost => own.approvals.lapse_all(RESTORED).map(drop)?,
        }
        own.c.execute("DELETE FROM cards_up", [])?;
        report::anew(own.c, own.lens, own.now)?;
        Ok(true)
    })
}

impl Own<'_> {
    fn word(&self, order: Order, ask: Option<Result<Ask, String>>) -> Result<(), StoreError> {
        let refuse = |reason: &str| StoreError::from(qd_board::Refused { reason: reason.to_owned() });
        match (order, ask) {
            (Order::Vote(signed), _) => {
                let Ok(Statement { vote, .. }) = serde_json::from_str(&signed.payload) else {
                    return Err(refuse("Something came as a vote and is none."));
                };
                let cast = self.cast(signed)?;
                let counted = !matches!(cast, Cast::Refused(_));
                let text = self.said(&vote.approval, &cast)?;
                self.heard(vote.approval, vote.person.id, counted, text)
            }
            (Order::Reopen { approval, person }, Some(ask)) => {
                let (counted, text) = match ask {
                    Ok(ask) => match self.reopen(&approval, &Asker::Person(person.id.clone()), ask)? {
                        Reopened::Opened(new) | Reopened::Queued(new) => {
                            (true, format!("It is asked again, as {}.", new.key()))
                        }
                        Reopened::Refused(refusal) => (false, refusal.to_string()),
                    },
                    Err(why) => (false, why),
                };
                self.heard(approval, person.id, counted, text)
            }
            _ => Err(refuse("It is not what a person said about an approval.")),
        }
    }

    fn said(&self, id: &ApprovalId, cast: &Cast) -> Result<String, StoreError> {
        Ok(match cast {
            Cast::Counted(tally) => format!("Noted: {} of {}.", tally.approved.len(), tally.needed),
            Cast::Granted(_) => {
                let action = self.approvals.show(id)?.approval.subject.action;
                if matches!(action, Action::Question(_)) { "Answered." } else { "Approved." }.to_owned()
            }
            Cast::Denied { .. } => "Denied.".to_owned(),
            Cast::Duplicate => "That vote was noted before.".to_owned(),
            Cast::Refused(refusal) => refusal.to_string(),
        })
    }

    fn heard(
        &self,
        approval: ApprovalId,
        person: PersonId,
        counted: bool,
        text: String,
    ) -> Result<(), StoreError> {
        report::push(self.c, None, self.now, &Report::Heard(Heard { approval, person, counted, text }))
    }

    /// Sends the bot the card of each own approval that stands otherwise than it was told last.
    pub(super) fn mirror(&self) -> Result<(), StoreError> {
        let live = self.approvals.live()?;
        for record in live.iter().filter(|record| !record.queued) {
            self.shown_up(record.id())?;
        }
        let told: Vec<String> = self
            .c
            .prepare_cached("SELECT approval FROM cards_up")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, rusqlite::Error>>()?;
        for id in told {
            let id: ApprovalId = rows::parse("cards_up", &id)?;
            if !live.iter().any(|record| *record.id() == id) {
                self.shown_up(&id)?;
            }
        }
        Ok(())
    }

    /// Sends the bot the card of one that has ended, if it knows it.
    pub(super) fn ended_up(&self, id: &ApprovalId) -> Result<(), StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM cards_up WHERE approval = ?1)";
        let known: bool = self.c.prepare_cached(sql)?.query_row([id.to_string()], |row| row.get(0))?;
        if known { self.shown_up(id) } else { Ok(()) }
    }

    /// Sends the bot the card of one, unless it was told exactly that.
    pub(super) fn shown_up(&self, id: &ApprovalId) -> Result<(), StoreError> {
        let card = inbox::card(self.c, self.approvals.show(id)?)?;
        let (key, json) = (id.to_string(), rows::to_json("cards_up", &card)?);
        let told: Option<String> = self
            .c
            .prepare_cached("SELECT card FROM cards_up WHERE approval = ?1")?
            .query_row([&key], |row| row.get(0))
            .optional()?;
        if told.as_ref() == Some(&json) {
            return Ok(());
        }
        if card.approval.state.is_final() {
            // Nothing can happen to it any more: there is nothing to compare with later.
            self.c.prepare_cached("DELETE FROM cards_up WHERE approval = ?1")?.execute([&key])?;
        } else {
            let sql = "INSERT INTO cards_up VALUES (?1, ?2) ON CONFLICT DO UPDATE SET card = excluded.card";
            self.c.prepare_cached(sql)?.execute(params![key, json])?;
        }
        let living = format!("approval:{}", id.key());
        report::push(self.c, Some(&living), self.now, &Report::Approval(Box::new(card)))
    }
}
