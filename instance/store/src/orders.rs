//! Orders, applied. Each is noted as received in the transaction that applies it; one that is refused is acknowledged, said back
//! to the bot, and never blocks what follows.

use jiff::Timestamp;
use qd_board::{EditFeature, Happened, NewFeature, PlanMode, Refused, Source, SourceKind};
use qd_sqlite::outbox::{self, Receipt};
use qd_types::{FeatureId, Person, PersonId, RepositoryName, SpentGrant, Stage};
use qd_wire::v1::{
    Announcement, Asked, BoardCommand, Envelope, ForgeCheck, Kind as _, NewWork, OnBehalf, Order, Proposal,
    Refusal, Remark, Report, Review, Sentence, Told, Verdict,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Store, StoreError, approvals, comments, events,
    events::Draft,
    features::{self, Then},
    feedback::{self, Feedback, Restated},
    fleet, forge, issues, limits, merged, questions, report, rows, runs,
    store::Lens,
    switches,
};

/// Commands of people that are remembered: many more than may be on their way when a bot is lost.
const SAID: i64 = 1024;

/// Released features that are named in one sentence.
const NAMED: usize = 10;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Done.
    Yes,
    /// Seen before.
    Again,
    /// Something before it is missing.
    Gap,
    /// It was refused, and is not asked again.
    Refused(String),
}

impl Store {
    /// Applies one order. `repository` is where a feature from afar is filed; `refused` says why what a person wants may not be
    /// carried out.
    pub async fn apply(
        &self,
        order: Envelope<Order>,
        repository: Option<RepositoryName>,
        refused: Option<String>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let lens = self.lens();
        self.write(move |c| take(c, &lens, order, repository, refused, now)).await
    }

    /// Takes an order that is a question: whoever gave it is told this.
    pub async fn apply_telling(
        &self,
        order: Envelope<Order>,
        text: String,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.write(move |c| {
            if let Some(applied) = received(c, &order)? {
                return Ok(applied);
            }
            tell(c, &order, text, now)?;
            Ok(Applied::Yes)
        })
        .await
    }

    /// Carries out what a person ordered and others agreed to, in `repository` if it files something. What it writes is known by
    /// that approval. Says what came of it, where that is more than that it is done.
    pub async fn command(
        &self,
        person: &PersonId,
        command: BoardCommand,
        repository: Option<RepositoryName>,
        paid: &SpentGrant,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (lens, person) = (self.lens(), person.clone());
        let id = format!("approval/{}", paid.grant().approval().key());
        self.write(move |c| command_given(c, &lens, &person, &command, &id, repository, now)).await
    }
}

/// See [`Store::apply`].
pub(crate) fn take(
    c: &Connection,
    lens: &Lens,
    order: Envelope<Order>,
    repository: Option<RepositoryName>,
    refused: Option<String>,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    if let Some(applied) = received(c, &order)? {
        return Ok(applied);
    }
    if said_before(c, &order)? {
        return Ok(Applied::Again);
    }
    if let Order::Unread(unread) = &order.body {
        outbox::keep_unread(c, rows::BOT, order.epoch, order.seq, &unread.payload)?;
    }
    // What it wrote before it was refused goes.
    c.execute_batch("SAVEPOINT apply")?;
    let done = match refused {
        Some(reason) => Err(refuse(reason)),
        None => apply(c, lens, &order, repository, now),
    };
    let applied = match done {
        Ok(told) => {
            if let Some(text) = told {
                tell(c, &order, text, now)?;
            }
            Applied::Yes
        }
        Err(StoreError::Db(error)) => return Err(StoreError::Db(error)),
        Err(refused) => {
            c.execute_batch("ROLLBACK TO apply")?;
            Applied::Refused(refused.to_string())
        }
    };
    c.execute_batch("RELEASE apply")?;
    if let Applied::Refused(why) = &applied {
        said_back(c, refusal(&order, why), now)?;
        questions::refused(c, &order.body, why, now)?;
    }
    Ok(applied)
}

/// That an order is not carried out, and why.
pub(crate) fn refusal(order: &Envelope<Order>, reason: &str) -> Refusal {
    Refusal {
        epoch: order.epoch,
        seq: order.seq,
        kind: order.body.kind(),
        person: person(&order.body).map(|person| person.id.clone()),
        reason: reason.into(),
    }
}

/// Takes an order's place in the sequence. `None` if it is a new one, else what becomes of it.
pub(crate) fn received(c: &Connection, order: &Envelope<Order>) -> Result<Option<Applied>, StoreError> {
    Ok(match outbox::receive(c, rows::BOT, order.epoch, order.seq)? {
        Receipt::Seen => Some(Applied::Again),
        Receipt::Gap => Some(Applied::Gap),
        Receipt::New => None,
    })
}

/// Whether a person's command came in an epoch before: a bot that was restored from a copy does not know what it has told
/// since. The moment at which it was given makes each command one of its own. To be called once for each order.
pub(crate) fn said_before(c: &Connection, order: &Envelope<Order>) -> Result<bool, StoreError> {
    let Order::Command { by: OnBehalf { at: Some(_), .. }, .. } = &order.body else { return Ok(false) };
    let words = rows::to_json("said", &order.body)?;
    let before: Option<i64> = c
        .prepare_cached("SELECT epoch FROM said WHERE words = ?1")?
        .query_row([&words], |row| row.get(0))
        .optional()?;
    let epoch = order.epoch as i64;
    match before {
        Some(before) => Ok(before < epoch),
        None => {
            c.prepare_cached("INSERT INTO said (words, epoch) VALUES (?1, ?2)")?
                .execute(params![words, epoch])?;
            c.prepare_cached("DELETE FROM said WHERE id <= (SELECT max(id) FROM said) - ?1")?
                .execute([SAID])?;
            Ok(false)
        }
    }
}

/// Notes that an order was refused, and says it back.
pub(crate) fn said_back(c: &Connection, refusal: Refusal, now: Timestamp) -> Result<(), StoreError> {
    events::write(c, &Draft::new("bot", "order_refused", refusal.reason.as_str()), now)?;
    report::push(c, None, now, &Report::Refused(refusal))
}

/// Whoever gave an order is told something.
fn tell(c: &Connection, order: &Envelope<Order>, text: String, now: Timestamp) -> Result<(), StoreError> {
    let Some(person) = person(&order.body) else { return Ok(()) };
    let told = Told { person: person.id.clone(), text: text.into() };
    report::push(c, None, now, &Report::Told(told))
}

/// For whom an order is given.
pub(crate) fn person(order: &Order) -> Option<&Person> {
    match order {
        Order::Command { by, .. } | Order::Reload { by } | Order::Trail { by, .. } => Some(&by.person),
        Order::Reopen { person, .. } => Some(person),
        Order::Announcement(announcement) => Some(&announcement.by.person),
        Order::Review(review) => review.person.as_ref(),
        Order::Issue(issue) => issue.person.as_ref(),
        _ => None,
    }
}

pub(crate) fn refuse(reason: impl Into<String>) -> StoreError {
    Refused { reason: reason.into() }.into()
}

/// Applies an order. What is said to whoever gave it, where it is more than that it was taken.
fn apply(
    c: &Connection,
    lens: &Lens,
    order: &Envelope<Order>,
    repository: Option<RepositoryName>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    match &order.body {
        Order::Command { by, command } => {
            let id = format!("order/{}/{}", order.epoch, order.seq);
            return command_given(c, lens, &by.person.id, command, &id, repository, now);
        }
        Order::ForgeOutcome { request, outcome } => forge::outcome_came(c, lens, request, outcome, now),
        Order::Approval(card) => approvals::put(c, lens, card, now),
        Order::AuditHead(_) | Order::AuditSigned(_) => {
            Err(refuse("It is about a trail: apply_audit takes it."))
        }
        Order::Trail { .. } => Err(refuse("It is a question: apply_telling takes it.")),
        Order::Vote(_) | Order::Reopen { .. } => {
            Err(refuse("A person said it about an approval: apply_word takes it."))
        }
        Order::RotateKey { .. } => {
            events::write(c, &Draft::new("bot", "team", "The bot wanted the team to take another key."), now)
        }
        Order::BotKeys(_) => events::write(c, &Draft::new("bot", "team", "The bot has another key."), now),
        Order::Unread(unread) => Err(refuse(format!("{} It is kept as it came.", unread.why))),
        Order::Review(review) => reviewed(c, lens, review, now),
        Order::CheckResult(check) => forge_checked(c, lens, check, now),
        Order::Issue(issue) => issues::changed(c, lens, issue, repository, now),
        // What it changes is put in force by whoever runs the team.
        Order::Reload { by } => {
            let text = "The configuration is to be read again.";
            events::write(c, &Draft::new(by.person.id.as_str(), "team", text), now)
        }
        Order::FleetAnswer { query, answer } => fleet::answered(c, query, answer),
        Order::Announcement(announcement) => announced(c, announcement, now),
    }
    .map(|()| None)
}

fn command_given(
    c: &Connection,
    lens: &Lens,
    person: &PersonId,
    command: &BoardCommand,
    id: &str,
    repository: Option<RepositoryName>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let actor = person.as_str();
    let happen = |feature: &FeatureId, happened: Happened, reason: Option<&str>| {
        let then = Then { reason: reason.map(str::to_owned), ..Then::default() };
        features::happen(c, lens, actor, feature, &happened, then, now)
    };
    match command {
        BoardCommand::AddFeature { title, stage, work } => {
            let filed = file(c, lens, person, (title, *stage == Stage::Ready, work), repository, now)?;
            // What is proposed for a goal is looked for under its number.
            return Ok(work.plan.map(|_| format!("Features for it are proposed as {filed}.")));
        }
        BoardCommand::RevertFeature { feature, why } => {
            let why = why.as_ref().map(Sentence::as_str);
            let filed = merged::revert(c, lens, person, feature, why, now)?.feature.id;
            return Ok(Some(format!("{filed} takes {feature} back, once its merge is approved.")));
        }
        BoardCommand::LimitTeam { limit, most } => {
            return limits::lower(c, lens, person, *limit, *most, now).map(Some);
        }
        BoardCommand::Release { count } => return release(c, lens, actor, *count, now).map(Some),
        BoardCommand::EditFeature(edit) => {
            let fields = EditFeature { version: edit.version, fields: edit.fields.clone() };
            features::apply_edit(c, lens, person, &edit.feature, fields, None, now).map(drop)
        }
        BoardCommand::MoveFeature { feature, stage } => happen(feature, Happened::Moved(*stage), None),
        BoardCommand::CancelFeature { feature } => happen(feature, Happened::Cancelled, None),
        BoardCommand::PauseFeature { feature, why } => features::pause(
            c,
            lens,
            actor,
            feature,
            Some(said(actor, why.as_ref().map(Sentence::as_str))),
            now,
        ),
        BoardCommand::ResumeFeature { feature } => features::pause(c, lens, actor, feature, None, now),
        BoardCommand::PauseTeam { why } => {
            switches::pause(c, actor, Some(said(actor, why.as_ref().map(Sentence::as_str))), now)
        }
        BoardCommand::ResumeTeam => switches::pause(c, actor, None, now),
        BoardCommand::Retry { feature } => {
            let dead: bool = c
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM operations WHERE feature = ?1 AND observed = 'dead')",
                )?
                .query_row([feature.to_string()], |row| row.get(0))?;
            if !dead {
                rows::feature_by_id(c, feature)?;
                return Err(refuse(format!("Nothing of {feature} gave up: there is nothing to try again.")));
            }
            happen(feature, Happened::Moved(Stage::Ready), Some("Tried again."))
        }
        BoardCommand::Stop { run } => runs::ask_stop(c, lens, run, actor, now),
        BoardCommand::Ask { id, question } => {
            let asked = Asked { id: id.clone(), by: person.clone() };
            questions::ask(c, lens, asked, question, repository, now)
        }
        BoardCommand::Guide { feature, text, remark, said } => {
            let run = feedback::active(c, feature)?.ok_or_else(|| {
                refuse(format!("No run works on {feature}: say it in its description, by an edit."))
            })?;
            let about = match remark {
                Remark::Guidance => format!("what {person} said"),
                Remark::Review => format!("the review of {person}"),
            };
            let id = said.as_ref().map_or_else(|| id.to_owned(), |said| format!("said/{said}"));
            let said = Feedback { id: &id, run: &run, about: &about, text: text.as_str() };
            features::edited_by(c, feature, person)?;
            match feedback::restate(c, lens, &said, now)? {
                Restated::New => {
                    feedback::put(c, lens, &said, now)?;
                    comments::write(c, person, feature, text.as_str().to_owned(), now)
                }
                Restated::Same | Restated::Changed => Ok(()),
                Restated::Taken(before) => Err(refuse(format!(
                    "Its agent has it already, as {before}. What else it should know, say in words of its own."
                ))),
            }
        }
    }
    .map(|()| None)
}

/// Moves what waits in the backlog to ready, the most urgent first: so many features, or all. Says how many those were.
fn release(
    c: &Connection,
    lens: &Lens,
    actor: &str,
    count: Option<u32>,
    now: Timestamp,
) -> Result<String, StoreError> {
    // A goal whose features are under way rests there: it is done by them.
    let waiting = rows::features(
        c,
        "WHERE stage = 'backlog' AND NOT EXISTS
         (SELECT 1 FROM runs WHERE feature = features.id AND ending ->> '$.end' = 'planned')
         ORDER BY priority, number LIMIT ?1",
        [count.map_or(-1, i64::from)],
    )?;
    for feature in &waiting {
        let then = Then { reason: Some("Released with the backlog.".to_owned()), ..Then::default() };
        features::happen(c, lens, actor, &feature.id, &Happened::Moved(Stage::Ready), then, now)?;
    }
    let mut names: Vec<String> = waiting.iter().take(NAMED).map(|feature| feature.id.to_string()).collect();
    let more = waiting.len().saturating_sub(NAMED);
    names.extend((more > 0).then(|| format!("{more} more")));
    match waiting.as_slice() {
        [] => Err(refuse("Nothing waits in the backlog.")),
        [_] => Ok(format!("Released 1 feature: {}.", names.join(", "))),
        all => Ok(format!("Released {} features: {}.", all.len(), names.join(", "))),
    }
}

/// Files a feature in the name of a person.
pub(crate) fn file(
    c: &Connection,
    lens: &Lens,
    person: &PersonId,
    (title, ready, work): (&str, bool, &NewWork),
    repository: Option<RepositoryName>,
    now: Timestamp,
) -> Result<FeatureId, StoreError> {
    let repository = repository.ok_or_else(|| {
        refuse("The team has several repositories, and it is not said in which one: file it on its board.")
    })?;
    let new = ordered(title, ready, work).checked()?;
    Ok(features::add(c, lens, person, new, repository, now)?.feature.id)
}

/// The feature that an order files.
pub fn ordered(title: &str, ready: bool, work: &NewWork) -> NewFeature {
    let mut new = NewFeature::titled(title);
    new.ready = ready;
    new.wanted.description = work.description.as_str().to_owned();
    new.wanted.priority = work.priority.unwrap_or(new.wanted.priority);
    new.wanted.labels.clone_from(&work.labels);
    new.wanted.plan = match work.plan {
        None => PlanMode::None,
        Some(Proposal::Goal) => PlanMode::Goal,
        Some(Proposal::Page) => PlanMode::Page,
    };
    new.wanted.source =
        work.issue.as_ref().map(|issue| Source { kind: SourceKind::Issue, reference: issue.clone() });
    new
}

/// "mira: wait for the release", or "by mira".
fn said(actor: &str, why: Option<&str>) -> String {
    match why.map(str::trim).filter(|why| !why.is_empty()) {
        Some(why) => format!("{actor}: {why}"),
        None => format!("by {actor}"),
    }
}

/// A review. Words of people of the fleet guide the run; those of outsiders are noted, and guide nobody.
fn reviewed(c: &Connection, lens: &Lens, review: &Review, now: Timestamp) -> Result<(), StoreError> {
    let run = feedback::of_pull_request(c, &review.repository, review.pull_request)?.ok_or_else(|| {
        refuse(format!("No run here has pull request {} of {}.", review.pull_request, review.repository))
    })?;
    let who =
        review.person.as_ref().map_or_else(|| review.author.to_string(), |person| person.id.to_string());
    let mut text = review.text.as_str().to_owned();
    for comment in &review.comments {
        let line = comment.line.map_or_else(String::new, |line| format!(":{line}"));
        text.push_str(&format!("\n\n{}{line}: {}", comment.path, comment.text));
    }
    let text = text.trim();
    let (word, guides) = match review.verdict {
        Verdict::Approved => ("finds it good", false),
        Verdict::ChangesRequested => ("wants changes", true),
        // Remarks on lines want something; a word beside them may be no more than that.
        Verdict::Commented => ("says something", !review.comments.is_empty()),
    };
    let text = if guides && text.is_empty() { "Changes are wanted, without words." } else { text };
    let about = format!("the review of {who}");
    let fresh = if let Some(person) = review.person.as_ref().filter(|_| guides) {
        let id = format!("review/{}", review.id);
        // Whose guidance a run takes does not decide about it.
        features::edited_by(c, run.feature(), &person.id)?;
        feedback::put(c, lens, &Feedback { id: &id, run: &run, about: &about, text }, now)?
    } else {
        true
    };
    if fresh {
        let said = format!("{who} {word} on pull request {}.", review.pull_request);
        runs::told(c, lens, &run, "review", said, now)?;
    }
    Ok(())
}

/// A check of the forge's own. A red one on the head that is under review goes back to the agent.
fn forge_checked(c: &Connection, lens: &Lens, check: &ForgeCheck, now: Timestamp) -> Result<(), StoreError> {
    let run = feedback::of_commit(c, &check.repository, &check.commit)?.ok_or_else(|| {
        refuse(format!("No run here has pushed {} to {}.", check.commit.short(), check.repository))
    })?;
    let word = if check.passed { "passed" } else { "is red" };
    let said =
        format!("Check {} of the forge {word} on {}: {}", check.name, check.commit.short(), check.summary);
    if !check.passed {
        let id = format!("check/{}", check.id);
        let about = format!("check {} of the forge, which is red", check.name);
        let mut text = check.summary.as_str().to_owned();
        if !check.excerpt.as_str().is_empty() {
            text.push_str(&format!("\n\nWhat its log says:\n\n{}", check.excerpt));
        }
        if let Some(url) = &check.url {
            text.push_str(&format!("\n\nIts log: {url}"));
        }
        if !feedback::put(c, lens, &Feedback { id: &id, run: &run, about: &about, text: &text }, now)? {
            return Ok(());
        }
    }
    runs::told(c, lens, &run, "check", said, now)
}

fn announced(c: &Connection, said: &Announcement, now: Timestamp) -> Result<(), StoreError> {
    let from = said.team.as_ref().map_or_else(String::new, |team| format!(" of {team}"));
    let text = format!("{}{from} to all teams: {}", said.by.person.id, said.text);
    events::write(c, &Draft::new(said.by.person.id.as_str(), "announcement", text), now)
}
