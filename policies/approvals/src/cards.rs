//! Cards: where a request is shown, and the receipts that say so. A card is delivered when the service returned its id,
//! and not before.

use qd_types::{ApprovalId, ApprovalState};
use rusqlite::{Row, params};

use crate::{ApprovalError, Approvals, clock::Elapsed, rows};

/// A place where a card belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which surface: `discord`, `github`, `board`.
    pub surface: String,
    /// Where or to whom on it: a channel, a pull request, a person.
    pub recipient: String,
    /// 0 first. A place of a higher rank is used when all of a lower one failed.
    pub rank: u32,
}

/// A card as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Of which approval.
    pub approval: ApprovalId,
    /// Where.
    pub place: Place,
    /// `pending`, `delivered`, `undeliverable` or `closed`.
    pub state: String,
    /// The service's id of it.
    pub receipt: Option<String>,
    /// Why it could not be delivered.
    pub problem: Option<String>,
}

/// Something that a surface has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardOrder {
    /// Show it, then say [`Approvals::delivered`] or [`Approvals::undeliverable`].
    Show(Card),
    /// Edit it to say who decided, without its buttons; then say [`Approvals::closed`].
    Close(Card),
}

/// What follows when a card could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// Another copy can be seen, or may yet be.
    Elsewhere,
    /// The next places are due.
    Fallback(Vec<Place>),
    /// Nobody can see it, and no place is left: the caller alerts. If nobody ever could, its clock does not run.
    Alert,
    /// It was not a card that is to be shown.
    Nothing,
}

const COLUMNS: &str =
    "cards.approval, cards.surface, cards.recipient, cards.rank, cards.state, cards.receipt, cards.problem";

/// A pending card of an open request whose lower ranks all failed.
const DUE: &str = "cards.state = 'pending' AND requests.state = 'requested' AND requests.opened IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM approval_cards AS before WHERE before.approval = cards.approval
        AND before.rank < cards.rank AND before.state <> 'undeliverable')";

impl Approvals<'_> {
    /// Everything that surfaces have to do now, oldest request first, at most `limit`. It may be asked at any time and as
    /// often as one likes.
    pub fn cards_due(&self, limit: u32) -> Result<Vec<CardOrder>, ApprovalError> {
        let mut orders: Vec<CardOrder> = self
            .cards(&format!("{DUE} ORDER BY requests.seq LIMIT ?1"), [limit])?
            .into_iter()
            .map(CardOrder::Show)
            .collect();
        let close =
            "cards.state = 'delivered' AND requests.state <> 'requested' ORDER BY requests.seq LIMIT ?1";
        orders.extend(self.cards(close, [limit])?.into_iter().map(CardOrder::Close));
        Ok(orders)
    }

    /// Where a card of this one is to be shown now: the places that nothing was heard of yet, of the lowest rank that can
    /// still show it.
    pub fn due(&self, id: &ApprovalId) -> Result<Vec<Place>, ApprovalError> {
        let due = self.cards(&format!("cards.approval = ?1 AND {DUE}"), [id.to_string()])?;
        Ok(due.into_iter().map(|card| card.place).collect())
    }

    /// All cards of an approval.
    pub fn cards_of(&self, id: &ApprovalId) -> Result<Vec<Card>, ApprovalError> {
        self.cards("cards.approval = ?1 ORDER BY cards.rank, cards.surface", [id.to_string()])
    }

    /// The service returned the card's id. The first delivered card starts the clock. `false` if there is no such card that
    /// waits for it, or no id.
    pub fn delivered(&self, id: &ApprovalId, place: &Place, receipt: &str) -> Result<bool, ApprovalError> {
        if receipt.trim().is_empty() {
            return Ok(false);
        }
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_cards SET state = 'delivered', receipt = ?4, problem = NULL, changed_at = ?5
                 WHERE approval = ?1 AND surface = ?2 AND recipient = ?3 AND state IN ('pending', 'undeliverable')",
            )?
            .execute(params![
                id.to_string(),
                place.surface,
                place.recipient,
                receipt,
                self.wall.as_millisecond()
            ])?;
        if changed == 1 {
            self.c
                .prepare_cached(
                    "UPDATE approval_requests SET decide_from = ?2, decide_until_at = ?3 + decide_ms
                     WHERE id = ?1 AND decide_from IS NULL AND opened IS NOT NULL AND state = 'requested'",
                )?
                .execute(params![id.to_string(), self.now, self.wall.as_millisecond()])?;
        }
        Ok(changed == 1)
    }

    /// The card can't be delivered there, or was removed from there.
    pub fn undeliverable(
        &self,
        id: &ApprovalId,
        place: &Place,
        problem: &str,
    ) -> Result<Undelivered, ApprovalError> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_cards SET state = 'undeliverable', receipt = NULL, problem = ?4, changed_at = ?5
                 WHERE approval = ?1 AND surface = ?2 AND recipient = ?3 AND state IN ('pending', 'delivered')",
            )?
            .execute(params![
                id.to_string(),
                place.surface,
                place.recipient,
                problem,
                self.wall.as_millisecond()
            ])?;
        let open = rows::find(self.c, id, self.now)?.is_some_and(|record| record.state().is_open());
        if changed == 0 || !open {
            return Ok(Undelivered::Nothing);
        }
        let cards = self.cards_of(id)?;
        if cards.iter().any(|card| {
            card.state == "delivered" || (card.state == "pending" && card.place.rank <= place.rank)
        }) {
            return Ok(Undelivered::Elsewhere);
        }
        let next = self.due(id)?;
        if next.is_empty() {
            self.mark("alerted", id, true)?;
            return Ok(Undelivered::Alert);
        }
        Ok(Undelivered::Fallback(next))
    }

    /// The card says who decided and has no buttons any more. `false` if it was not open.
    pub fn closed(&self, id: &ApprovalId, place: &Place) -> Result<bool, ApprovalError> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_cards SET state = 'closed', changed_at = ?4
                 WHERE approval = ?1 AND surface = ?2 AND recipient = ?3 AND state = 'delivered'",
            )?
            .execute(params![id.to_string(), place.surface, place.recipient, self.wall.as_millisecond()])?;
        Ok(changed == 1)
    }

    /// Gives an open request further places, or tries again where it could not be delivered.
    pub fn route(&self, id: &ApprovalId, places: &[Place]) -> Result<(), ApprovalError> {
        if self.settled(id)?.state() == ApprovalState::Requested {
            self.keep_places(id, places)?;
            self.mark("alerted", id, false)?;
        }
        Ok(())
    }

    pub(crate) fn keep_places(&self, id: &ApprovalId, places: &[Place]) -> Result<(), ApprovalError> {
        for place in places {
            self.c
                .prepare_cached(
                    "INSERT INTO approval_cards (approval, surface, recipient, rank, state, changed_at)
                     VALUES (?1, ?2, ?3, ?4, 'pending', ?5) ON CONFLICT DO UPDATE
                     SET rank = excluded.rank, state = 'pending', problem = NULL, changed_at = excluded.changed_at
                     WHERE state = 'undeliverable'",
                )?
                .execute(params![
                    id.to_string(),
                    place.surface,
                    place.recipient,
                    place.rank,
                    self.wall.as_millisecond()
                ])?;
        }
        Ok(())
    }

    /// Whether nobody can have seen it yet: no card was ever delivered, and either none can be, or it takes too long.
    pub(crate) fn unseen(&self, id: &ApprovalId, opened: Elapsed) -> Result<bool, ApprovalError> {
        let late = self.now.saturating_sub(opened) >= crate::ask::millis(self.executor.rules.deliver_within);
        let failed = self.cards_of(id)?.iter().all(|card| card.state == "undeliverable");
        Ok(late || failed)
    }

    /// Notes whether people were told.
    pub(crate) fn mark(
        &self,
        column: &'static str,
        id: &ApprovalId,
        told: bool,
    ) -> Result<(), ApprovalError> {
        self.c
            .prepare_cached(&format!("UPDATE approval_requests SET {column} = ?2 WHERE id = ?1"))?
            .execute(params![id.to_string(), told])?;
        Ok(())
    }

    fn cards(&self, condition: &str, args: impl rusqlite::Params) -> Result<Vec<Card>, ApprovalError> {
        let mut statement = self.c.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM approval_cards AS cards
             JOIN approval_requests AS requests ON requests.id = cards.approval WHERE {condition}"
        ))?;
        let mut rows = statement.query(args)?;
        let mut cards = Vec::new();
        while let Some(row) = rows.next()? {
            cards.push(card(row)?);
        }
        Ok(cards)
    }
}

fn card(row: &Row<'_>) -> Result<Card, ApprovalError> {
    Ok(Card {
        approval: rows::id(&row.get::<_, String>(0)?)?,
        place: Place { surface: row.get(1)?, recipient: row.get(2)?, rank: row.get(3)? },
        state: row.get(4)?,
        receipt: row.get(5)?,
        problem: row.get(6)?,
    })
}
