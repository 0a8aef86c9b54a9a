//! What is asked of the bot, and the orders that come down. An order is applied and noted as received in one
//! transaction: a crash between the two can't happen.

use jiff::Timestamp;
use qd_board::{Happened, NewFeature};
use qd_sqlite::outbox::{self, Receipt};
use qd_types::{ApprovalId, RepositoryName};
use qd_wire::v1::{Ack, BoardCommand, Envelope, ForgeOutcome, ForgeRequest, Order, Report};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Store, StoreError, approvals, events,
    events::Draft,
    features::{self, Then},
    report, rows, runs,
    store::Lens,
    trail,
};

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
    /// Asks the bot for an outward act. Asking again with the same id asks nothing new.
    pub async fn request(&self, request: ForgeRequest, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        self.write(move |c| self::request(c, &lens, request, now)).await
    }

    /// Whether a request was made.
    pub async fn requested(&self, request: &str) -> Result<bool, StoreError> {
        let id = request.to_owned();
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM forge_requests WHERE id = ?1)")?
                .query_row([id], |row| row.get(0))?)
        })
        .await
    }

    /// What became of a request so far.
    pub async fn outcome(&self, request: &str) -> Result<Option<ForgeOutcome>, StoreError> {
        let id = request.to_owned();
        self.read(move |c| self::outcome(c, &id)).await
    }

    /// Up to where orders were received.
    pub async fn received(&self) -> Result<Ack, StoreError> {
        self.read(received).await
    }

    /// Applies one order. `repository` is where a feature from afar is filed; `refused` says why a command of a person
    /// may not be carried out.
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
}

/// See [`Store::request`].
pub(crate) fn request(
    c: &Connection,
    lens: &Lens,
    request: ForgeRequest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fresh = c
        .prepare_cached(
            "INSERT INTO forge_requests (id, run, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![request.id, request.run.to_string(), now.as_millisecond()])?;
    if fresh > 0 {
        trail::asked(c, lens, &request, now)?;
        report::push(c, None, now, &Report::ForgeRequest(request))?;
    }
    Ok(())
}

/// See [`Store::outcome`].
pub(crate) fn outcome(c: &Connection, request: &str) -> Result<Option<ForgeOutcome>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT outcome FROM forge_requests WHERE id = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?
        .flatten();
    text.map(|text| rows::json("forge_requests", &text)).transpose()
}

/// See [`Store::received`].
pub(crate) fn received(c: &Connection) -> Result<Ack, StoreError> {
    let (epoch, seq) = outbox::received(c, rows::BOT)?;
    Ok(Ack { epoch, seq })
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
    match outbox::receive(c, rows::BOT, order.epoch, order.seq)? {
        Receipt::Seen => return Ok(Applied::Again),
        Receipt::Gap => return Ok(Applied::Gap),
        Receipt::New => {}
    }
    if let Order::Unread(unread) = &order.body {
        outbox::keep_unread(c, rows::BOT, order.epoch, order.seq, &unread.payload)?;
    }
    // A refused order is acknowledged as refused and never blocks what follows; what it wrote goes.
    c.execute_batch("SAVEPOINT apply")?;
    let applied = match apply(c, lens, order.body, repository, refused, now) {
        Ok(()) => Applied::Yes,
        Err(StoreError::Db(error)) => return Err(StoreError::Db(error)),
        Err(refused) => {
            c.execute_batch("ROLLBACK TO apply")?;
            Applied::Refused(refused.to_string())
        }
    };
    c.execute_batch("RELEASE apply")?;
    if let Applied::Refused(why) = &applied {
        events::write(c, &Draft::new("bot", "order_refused", why.clone()), now)?;
    }
    Ok(applied)
}

fn apply(
    c: &Connection,
    lens: &Lens,
    order: Order,
    repository: Option<RepositoryName>,
    refused: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let refuse = |reason: String| StoreError::from(qd_board::Refused { reason });
    match order {
        Order::ForgeOutcome { request, outcome } => forge_outcome(c, lens, &request, &outcome, now),
        Order::Approval(card) => approvals::put(c, lens, &card, now),
        Order::AuditHead(_) | Order::AuditSigned(_) => {
            Err(refuse("It is about a trail: apply_audit takes it.".to_owned()))
        }
        Order::Vote(_) | Order::Reopen { .. } => {
            Err(refuse("A person said it about an approval: apply_word takes it.".to_owned()))
        }
        Order::Unread(unread) => Err(refuse(format!(
            "An order of the kind {} is not understood here ({}). It is kept: a newer version of this program may know it.",
            unread.kind, unread.why
        ))),
        Order::Command { person, surface: _, command } => {
            refused.map_or(Ok(()), |reason| Err(refuse(reason)))?;
            match command {
                BoardCommand::AddFeature { title, stage } => {
                    let repository = repository.ok_or_else(|| {
                        refuse("The team has several repositories: file it on its board.".into())
                    })?;
                    let mut new = NewFeature::titled(title);
                    new.ready = stage == qd_types::Stage::Ready;
                    features::add(c, lens, &person.id, new.checked()?, repository, now).map(drop)
                }
                BoardCommand::MoveFeature { feature, stage } => features::happen(
                    c,
                    lens,
                    person.id.as_str(),
                    &feature,
                    &Happened::Moved(stage),
                    Then::default(),
                    now,
                ),
                BoardCommand::CancelFeature { feature } => features::happen(
                    c,
                    lens,
                    person.id.as_str(),
                    &feature,
                    &Happened::Cancelled,
                    Then::default(),
                    now,
                ),
            }
        }
    }
}

fn forge_outcome(
    c: &Connection,
    lens: &Lens,
    request: &str,
    outcome: &ForgeOutcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let run: String = c
        .prepare_cached("SELECT run FROM forge_requests WHERE id = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::no_such("forge request", request))?;
    c.prepare_cached("UPDATE forge_requests SET outcome = ?2 WHERE id = ?1")?
        .execute(params![request, rows::to_json("forge_requests", outcome)?])?;
    let set_approval = |id: &ApprovalId| {
        c.prepare_cached("UPDATE runs SET approval = ?2 WHERE id = ?1")?.execute(params![run, id.to_string()])
    };
    let text = match outcome {
        ForgeOutcome::Opened { number } => format!("Pull request {number} is open."),
        ForgeOutcome::Asked { approval } => {
            set_approval(approval)?;
            "People are asked.".to_owned()
        }
        ForgeOutcome::Approved { approval, by } => {
            set_approval(approval)?;
            let names: Vec<&str> = by.iter().map(qd_types::PersonId::as_str).collect();
            c.prepare_cached("UPDATE runs SET approved_by = ?2 WHERE id = ?1")?
                .execute(params![run, rows::to_json("runs", &names)?])?;
            format!("Approved by {}.", names.join(", "))
        }
        ForgeOutcome::NotApproved { reason } => reason.clone(),
        ForgeOutcome::Merged { commit } => format!("The target branch holds {}.", commit.short()),
        ForgeOutcome::BaseMoved { base } => format!("The target branch moved to {}.", base.short()),
        ForgeOutcome::Closed => "The pull request is closed.".to_owned(),
        ForgeOutcome::Refused { reason } | ForgeOutcome::Unknown { reason } => reason.clone(),
    };
    let run = rows::parse("forge_requests", &run)?;
    trail::outcome(c, lens, &run, outcome, now)?;
    runs::told(c, lens, &run, "forge", text, now)
}
