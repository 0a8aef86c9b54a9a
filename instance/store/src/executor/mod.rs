//! The instance as an executor of approvals of its own: budgets, questions, guarded calls. Each step of such an approval's
//! life is one transaction with its event, its report and its row of the audit trail. What the bot executes is in the
//! inbox only as a copy, see `approvals.rs`.

mod budget;
mod inbox;
mod mirror;
mod plan;

pub use inbox::Answered;
pub(crate) use inbox::{card_of, cards, open_keys, open_of};
pub(crate) use mirror::greeted;
pub use plan::{Accepted, Proposal};

use jiff::Timestamp;
use qd_approvals::{
    Approvals, Ask, AskRefusal, Asked, Asker, Authorised, CardOrder, Cast, DENIALS_PER_RUN, Directory,
    Effect, Executor, KeyId, Outcome, Place, Probe, Record, Reopened, Rules, SignedVote, Spending, Statement,
    Swept, WHOLE, trail,
};
use qd_types::{Action, ApprovalId, ApprovalState, Ballot, InstanceName, PersonId, RunId, Subject};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, events, events::Draft, features, report, resting, rows, store::Lens};

/// Cards that are brought in line at once.
const CARDS: u32 = 64;

/// Who waits for the answer to a question: whoever reads it, at any time.
pub const QUESTION: &str = "question";

/// By what the instance's own approvals are kept: its name, its rules, who is known, and whose keys count. Made anew for
/// each step, so that nobody decides by a role that they had.
#[derive(Debug, Clone)]
pub struct Keeper {
    executor: Executor,
    people: Directory,
}

impl Keeper {
    /// `name` is what the instance is known by: the first half of every id, and the name of its chain.
    pub fn new(name: &InstanceName, rules: Rules, people: Directory) -> Self {
        Self { executor: Executor { name: name.to_string(), rules }, people }
    }

    /// Who is known, and what each may decide.
    pub fn people(&self) -> &Directory {
        &self.people
    }

    /// The id of an own approval, by its unique part.
    pub fn id(&self, key: &str) -> Option<ApprovalId> {
        format!("{}/{key}", self.executor.name).parse().ok()
    }
}

/// Where every card of an own approval belongs: the board's inbox, which reads these very rows.
pub fn place() -> Place {
    Place { surface: "board".into(), recipient: "inbox".into(), rank: 0 }
}

/// The own approvals within one transaction.
struct Own<'c> {
    c: &'c Connection,
    approvals: Approvals<'c>,
    lens: &'c Lens,
    now: Timestamp,
}

impl Store {
    /// Asks people, unless that is refused or asked already.
    pub async fn ask(&self, keeper: &Keeper, ask: Ask, now: Timestamp) -> Result<Asked, StoreError> {
        self.step(keeper, now, move |own| {
            let asked = own.approvals.ask(ask)?;
            match &asked {
                Asked::Opened(id)
                | Asked::Queued(id)
                | Asked::Already(id)
                | Asked::Refused(AskRefusal::Expired { id }) => own.noted(id)?,
                Asked::Refused(_) => {}
            }
            Ok(asked)
        })
        .await
    }

    /// Tallies a signed vote at once.
    pub async fn cast_own(
        &self,
        keeper: &Keeper,
        signed: qd_wire::v1::SignedVote,
        now: Timestamp,
    ) -> Result<Cast, StoreError> {
        self.step(keeper, now, move |own| own.cast(signed)).await
    }

    /// Whoever asked no longer wants it, however far it is short of being under way. `false` if it is too late.
    pub async fn withdraw(
        &self,
        keeper: &Keeper,
        id: &ApprovalId,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.step(keeper, now, move |own| {
            let done = own.approvals.call_off(&id, &reason)?;
            own.noted(&id)?;
            Ok(done)
        })
        .await
    }

    /// Brings all own approvals in line with the clock, and says on the board and to the bot what people must be told.
    pub async fn sweep(&self, keeper: &Keeper, now: Timestamp) -> Result<Vec<Swept>, StoreError> {
        self.step(keeper, now, |own| {
            let swept = own.approvals.sweep()?;
            for one in &swept {
                match one {
                    Swept::Expired(id) | Swept::Lapsed(id) | Swept::Abandoned(id) => own.noted(id)?,
                    Swept::Escalate(id, roles) => {
                        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                        own.alert(
                            id,
                            &format!("half of its time is over. Who may decide: {}", roles.join(" or ")),
                        )?;
                    }
                    Swept::Unseen(id) => own.alert(id, "nobody can have seen it yet")?,
                }
            }
            Ok(swept)
        })
        .await
    }

    /// A person opens an expired request again; `ask` is the same, as it would be asked for now.
    pub async fn reopen(
        &self,
        keeper: &Keeper,
        id: &ApprovalId,
        by: &Asker,
        ask: Ask,
        now: Timestamp,
    ) -> Result<Reopened, StoreError> {
        let (id, by) = (id.clone(), by.clone());
        self.step(keeper, now, move |own| own.reopen(&id, &by, ask)).await
    }

    /// The last question before an effect, see [`qd_approvals::authorise`]: on `Go`, the grant is spent and the effect under
    /// way, and both are on disk.
    pub async fn authorise(
        &self,
        keeper: &Keeper,
        (id, item): (&ApprovalId, &str),
        rebuilt: Subject,
        effect: &str,
        now: Timestamp,
    ) -> Result<Authorised, StoreError> {
        let (of, which, subject, key) = (id.clone(), item.to_owned(), rebuilt.clone(), effect.to_owned());
        let spending = self
            .step(keeper, now, move |own| {
                let spending = own.approvals.spend(&of, &which, &subject, &key)?;
                own.noted(&of)?;
                Ok(spending)
            })
            .await?;
        match spending {
            Spending::Lapsed { difference, reason } => Ok(Authorised::Lapsed { difference, reason }),
            Spending::Refused(refusal) => Ok(Authorised::Refused(refusal)),
            Spending::Planned => {
                let Keeper { executor, people } = keeper;
                let (on, by) = ((id, item), (executor, people));
                Ok(qd_approvals::authorise(&self.db, by.0, by.1, on, rebuilt, effect, now).await?)
            }
        }
    }

    /// Says how an effect that is under way ended. `false` if it was said before.
    pub async fn finish(
        &self,
        keeper: &Keeper,
        (id, item): (&ApprovalId, &str),
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, item) = (id.clone(), item.to_owned());
        self.step(keeper, now, move |own| {
            let finished = own.approvals.finish(&id, &item, &outcome)?;
            own.noted(&id)?;
            Ok(finished)
        })
        .await
    }

    /// Effects that were paid for and have not ended. After a start, look whether those under way happened, and say so with
    /// [`Self::probed`].
    pub async fn interrupted(&self, keeper: &Keeper, now: Timestamp) -> Result<Vec<Effect>, StoreError> {
        self.look(keeper, now, |approvals| Ok(approvals.interrupted()?)).await
    }

    /// What a look at the world said about an effect that was cut short. `false` if it is not under way.
    pub async fn probed(
        &self,
        keeper: &Keeper,
        (id, item): (&ApprovalId, &str),
        probe: Probe,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, item) = (id.clone(), item.to_owned());
        self.step(keeper, now, move |own| {
            let probed = own.approvals.probed(&id, &item, &probe)?;
            own.noted(&id)?;
            Ok(probed)
        })
        .await
    }

    /// Resumes a run's `waiter`: gives what was decided since, oldest first, each once.
    pub async fn resume(
        &self,
        keeper: &Keeper,
        run: &RunId,
        waiter: &str,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let (run, waiter) = (run.clone(), waiter.to_owned());
        self.step(keeper, now, move |own| {
            let mut decided = Vec::new();
            for (id, waits) in own.approvals.resumable()? {
                let record = own.approvals.show(&id)?;
                if waits == waiter && record.approval.subject.run == run {
                    own.approvals.resume(&id, &waiter)?;
                    own.noted(&id)?;
                    decided.push(record);
                }
            }
            Ok(decided)
        })
        .await
    }

    /// Whether something was decided that a run's `waiter` was not told of yet.
    pub async fn resumable(
        &self,
        keeper: &Keeper,
        run: &RunId,
        waiter: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (run, waiter) = (run.clone(), waiter.to_owned());
        self.look(keeper, now, move |approvals| {
            for (id, waits) in approvals.resumable()? {
                if waits == waiter && approvals.show(&id)?.approval.subject.run == run {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// A `waiter` was told how this one was decided: it is not told again.
    pub async fn told(
        &self,
        keeper: &Keeper,
        id: &ApprovalId,
        waiter: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, waiter) = (id.clone(), waiter.to_owned());
        self.step(keeper, now, move |own| Ok(own.approvals.resume(&id, &waiter).map(drop)?)).await
    }

    /// The effect of an own approval, if its grant was spent.
    pub async fn own_effect(
        &self,
        keeper: &Keeper,
        id: &ApprovalId,
        now: Timestamp,
    ) -> Result<Option<Effect>, StoreError> {
        let id = id.clone();
        self.look(keeper, now, move |approvals| Ok(approvals.effect(&id, WHOLE)?)).await
    }

    /// Takes one step. Whatever it changes, cards, answers and what the bot is told follow in the same transaction.
    async fn step<T: Send + 'static>(
        &self,
        keeper: &Keeper,
        now: Timestamp,
        take: impl FnOnce(&Own<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (keeper, lens) = (keeper.clone(), self.lens());
        self.write(move |c| within(c, &lens, &keeper, now, take)).await
    }

    async fn look<T: Send + 'static>(
        &self,
        keeper: &Keeper,
        now: Timestamp,
        look: impl FnOnce(&Approvals<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let keeper = keeper.clone();
        self.read(move |c| look(&Approvals::reading(c, &keeper.executor, &keeper.people, now)?)).await
    }
}

/// One step of own approvals, and what follows from it.
fn within<T>(
    c: &Connection,
    lens: &Lens,
    keeper: &Keeper,
    now: Timestamp,
    take: impl FnOnce(&Own<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    qd_audit::begin(c, &keeper.executor.name)?;
    let approvals = Approvals::at(c, &keeper.executor, &keeper.people, now)?;
    let own = Own { c, approvals, lens, now };
    let taken = take(&own)?;
    own.show()?;
    own.answer()?;
    own.mirror()?;
    Ok(taken)
}

impl Own<'_> {
    /// Tallies a signed vote, and notes what becomes of it.
    fn cast(&self, signed: qd_wire::v1::SignedVote) -> Result<Cast, StoreError> {
        let signed = SignedVote {
            payload: signed.payload,
            key: KeyId::named(signed.key),
            signature: signed.signature,
        };
        let cast = self.approvals.cast(&signed)?;
        // Only what it claims to be about; whether that is so, `cast` has found out.
        let Ok(Statement { vote, .. }) = serde_json::from_str(&signed.payload) else { return Ok(cast) };
        if !self.approvals.exists(&vote.approval)? {
            return Ok(cast);
        }
        if matches!(cast, Cast::Counted(_) | Cast::Granted(_) | Cast::Denied { .. }) {
            let record = self.approvals.show(&vote.approval)?;
            trail::vote(self.c, &record, &vote, &signed, self.now)?;
            let question = matches!(record.approval.subject.action, Action::Question(_));
            let word = match vote.ballot {
                Ballot::Approve if question => "answers",
                Ballot::Approve => "approves",
                Ballot::Deny => "denies",
            };
            let person = vote.person.id.as_str();
            let mut event = Draft::new(person, "vote", format!("{person} {word}."));
            event.feature = Some(record.approval.subject.feature.clone());
            event.run = Some(record.approval.subject.run);
            event.reason = vote.reason;
            events::write(self.c, &event, self.now)?;
        }
        self.noted(&vote.approval)?;
        if let Cast::Denied { pause, .. } = cast {
            self.denied(&vote.approval, pause)?;
        }
        Ok(cast)
    }

    /// Opens an expired request again, if whoever wants that may.
    fn reopen(&self, id: &ApprovalId, by: &Asker, ask: Ask) -> Result<Reopened, StoreError> {
        let reopened = self.approvals.reopen(id, by, ask)?;
        if let (Reopened::Opened(new) | Reopened::Queued(new), Asker::Person(person)) = (&reopened, by) {
            trail::reopened(self.c, &self.approvals.show(new)?, person, self.now)?;
            self.told(new)?;
            // It was closed before: what is new is that it was opened again.
            self.shown_up(id)?;
            self.goes_on(id, person)?;
        }
        self.noted(id)?;
        Ok(reopened)
    }

    /// Where an approval stands goes into the trail, the log and the report, if it is news.
    fn noted(&self, id: &ApprovalId) -> Result<(), StoreError> {
        let record = self.approvals.show(id)?;
        if !trail::state(self.c, &self.approvals, &record, self.now)? {
            return Ok(());
        }
        self.told(id)?;
        if record.state() == ApprovalState::Expired
            && matches!(record.approval.subject.action, Action::Tool(_))
        {
            self.stops(&record)?;
        }
        if record.state() == ApprovalState::Requested { Ok(()) } else { self.calm(id) }
    }

    /// Nobody decided in time on what an agent wanted to do: its run waits as it is, until a person opens it again or lets it
    /// go on without.
    fn stops(&self, expired: &Record) -> Result<(), StoreError> {
        let run = &expired.approval.subject.run;
        let works: Option<bool> = self
            .c
            .prepare_cached("SELECT ending IS NULL FROM runs WHERE id = ?1")?
            .query_row([run.to_string()], |row| row.get(0))
            .optional()?;
        let feature = run.feature();
        if works != Some(true) || rows::feature_by_id(self.c, feature)?.paused.is_some() {
            return Ok(());
        }
        let else_ = format!("let it go on without it with `quarterdeck feature resume {feature}`");
        let why = resting::stopped(&expired.approval, &else_);
        features::set_paused(self.c, self.lens, "team", feature, Some(why), self.now)
    }

    /// What expired is asked again: the run that waits because of it goes on.
    fn goes_on(&self, expired: &ApprovalId, person: &PersonId) -> Result<(), StoreError> {
        let record = self.approvals.show(expired)?;
        if matches!(record.approval.subject.action, Action::Policy(_)) {
            return Ok(());
        }
        let feature = record.approval.subject.run.feature().clone();
        let paused = rows::feature_by_id(self.c, &feature)?.paused;
        if paused.is_some_and(|why| resting::stands_for(&why, expired)) {
            features::set_paused(self.c, self.lens, person.as_str(), &feature, None, self.now)?;
        }
        Ok(())
    }

    /// Where an approval stands goes into the log and the report.
    fn told(&self, id: &ApprovalId) -> Result<(), StoreError> {
        let record = self.approvals.show(id)?;
        let subject = &record.approval.subject;
        let text = format!("{}: {:?}.", subject.action.title(), record.state());
        let mut event = Draft::new("team", "approval", text);
        event.reason = record.reason.clone();
        if !rows::has_feature(self.c, &subject.feature)? {
            // It is for the fleet, a repository or the whole board, and for no feature.
            return events::write(self.c, &event, self.now);
        }
        event.feature = Some(subject.feature.clone());
        event.run = Some(subject.run.clone());
        events::write(self.c, &event, self.now)?;
        report::feature(self.c, self.lens, &subject.feature, self.now)
    }

    /// The inbox reads these rows: a card that is due is shown by the commit, and closed by it.
    fn show(&self) -> Result<(), StoreError> {
        for order in self.approvals.cards_due(CARDS)? {
            match order {
                CardOrder::Show(card) => {
                    let receipt = card.approval.key();
                    if self.approvals.delivered(&card.approval, &card.place, &receipt)? {
                        let record = self.approvals.show(&card.approval)?;
                        trail::card(self.c, &record, &card.place, &receipt, self.now)?;
                    }
                }
                CardOrder::Close(card) => {
                    self.approvals.closed(&card.approval, &card.place)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the answers of questions that were decided, once.
    fn answer(&self) -> Result<(), StoreError> {
        for (id, waiter) in self.approvals.resumable()?.into_iter().filter(|(_, waiter)| waiter == QUESTION) {
            let Some(resumption) = self.approvals.resume(&id, &waiter)? else { continue };
            let answers: Vec<Answered> = resumption.answers.into_iter().map(Answered::from).collect();
            self.c
                .prepare_cached("INSERT INTO answers VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![id.to_string(), rows::to_json("answers", &answers)?])?;
            self.noted(&id)?;
        }
        Ok(())
    }

    /// People are told of a request that stands still, once, until it is decided.
    fn alert(&self, id: &ApprovalId, why: &str) -> Result<(), StoreError> {
        let record = self.approvals.show(id)?;
        let subject = &record.approval.subject;
        let text = format!("{}: {} is not decided, and {why}.", subject.feature, subject.action.title());
        self.c
            .prepare_cached("INSERT INTO escalations VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([id.to_string()])?;
        let mut event = Draft::new("team", "approval_alert", text.clone());
        event.feature = Some(subject.feature.clone());
        event.run = Some(subject.run.clone());
        events::write(self.c, &event, self.now)?;
        report::alerted(self.c, &format!("approval:{id}"), text, false, self.now)
    }

    /// A no holds for the run: what else of it asked for the same has ended with it. After too many, people are told.
    fn denied(&self, id: &ApprovalId, too_many: bool) -> Result<(), StoreError> {
        let run = self.approvals.show(id)?.approval.subject.run;
        for record in self.approvals.of_run(&run)? {
            self.noted(record.id())?;
        }
        if !too_many {
            return Ok(());
        }
        let feature = run.feature();
        let text = format!(
            "{run} was told no {DENIALS_PER_RUN} times. It is paused, and may not ask for anything any more: let it go on \
             with `quarterdeck feature resume {feature}`, or stop it."
        );
        if rows::feature_by_id(self.c, feature)?.paused.is_none() {
            features::set_paused(self.c, self.lens, "team", feature, Some(text.clone()), self.now)?;
        }
        let mut event = Draft::new("team", "approval_alert", text.clone());
        event.feature = Some(run.feature().clone());
        event.run = Some(run.clone());
        events::write(self.c, &event, self.now)?;
        report::alerted(self.c, &format!("denials:{run}"), text, false, self.now)
    }

    /// It is decided: what people were told of it is over.
    fn calm(&self, id: &ApprovalId) -> Result<(), StoreError> {
        let told = self
            .c
            .prepare_cached("DELETE FROM escalations WHERE approval = ?1")?
            .execute([id.to_string()])?;
        if told == 0 {
            return Ok(());
        }
        report::alerted(self.c, &format!("approval:{id}"), "over".to_owned(), true, self.now)
    }
}

/// A run ended: nobody is asked on its behalf any more, and what was granted to it and not used does not hold.
pub(crate) fn run_ended(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Nothing is tallied here, so nobody has to be known.
    let (nobody, people) = (Executor::new(""), Directory::default());
    let ended = Approvals::at(c, &nobody, &people, now)?.run_ended(run, reason)?;
    let Some(first) = ended.first() else { return Ok(()) };
    let executor = Executor::new(first.executor());
    let own = Own { c, approvals: Approvals::at(c, &executor, &people, now)?, lens, now };
    ended.iter().try_for_each(|id| {
        own.noted(id)?;
        own.ended_up(id)
    })
}
