//! What was kept before approvals had a store of their own, carried over once. Nothing that was granted then holds: it was
//! not bound to all that is bound now. What was open is asked anew.

use qd_core::{
    Effect, Event,
    chat::{Channel, Message, MessageKey},
    text,
};
use qd_types::{Action, ApprovalState};
use qd_wire::v1::{ApprovalCard, ForgeAct, ForgeOutcome, ForgeRequest, Order, Report};
use serde::Deserialize;

use crate::{HubError, json::from_json, keep, turn::Turn};

/// A row of before.
#[derive(Deserialize)]
struct Before {
    card: ApprovalCard,
    request: String,
    merging: Option<Merging>,
}

#[derive(Deserialize)]
struct Merging {
    request: String,
}

/// Ends what is not over, and asks anew for what was open.
pub(crate) fn carry_over(turn: &mut Turn<'_>) -> Result<(), HubError> {
    let rows: Vec<String> = {
        let mut statement = turn.c.prepare("SELECT desk FROM approvals_before ORDER BY key")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for row in rows {
        let before: Before = from_json("approvals_before", &row)?;
        if !before.card.approval.state.is_final() {
            end(turn, before)?;
        }
    }
    // A merge that was paid for in the old way: whether it was begun can't be told, and it is not begun again.
    turn.c.execute(
        "UPDATE acts SET state = 'done' WHERE state = 'pending' AND json_extract(call, '$.call') = 'merge'
         AND json_extract(call, '$.rebuilt') IS NULL",
        [],
    )?;
    turn.c.execute("DELETE FROM approvals_before", [])?;
    Ok(())
}

fn end(turn: &mut Turn<'_>, before: Before) -> Result<(), HubError> {
    let Before { mut card, request, merging } = before;
    let was = card.approval.state;
    let subject = card.approval.subject.clone();
    let (to, key) = (subject.instance.clone(), card.approval.id.key());
    let reason = text::older(was);
    let state = match was {
        ApprovalState::Requested => ApprovalState::Withdrawn,
        ApprovalState::Granted => ApprovalState::Lapsed,
        _ => ApprovalState::Unknown,
    };
    card.approval.state = state;
    card.ended = Some(reason.clone());
    let text = text::older_card(&subject, &reason);
    let key = format!("approval:{key}");
    let mut effects = vec![Effect::Put(Message::new(Channel::Approvals, MessageKey(key.clone()), text))];
    let words = card.words.clone();
    let facts = card.facts.clone();
    effects.push(tell(&to, Some(key), Order::Approval(Box::new(card))));
    if let Some(Merging { request }) = merging {
        let outcome = match was {
            ApprovalState::Executing => ForgeOutcome::Unknown { reason },
            _ => ForgeOutcome::NotApproved { reason },
        };
        effects.push(tell(&to, None, Order::ForgeOutcome { request, outcome }));
    }
    for effect in &effects {
        keep::keep(turn.c, effect, turn.now)?;
    }
    if was != ApprovalState::Requested {
        return Ok(());
    }
    let requesters = subject.requesters;
    let act = match subject.action {
        Action::Merge(merge) => ForgeAct::AskMerge { merge, requesters, words, facts, findings: Vec::new() },
        Action::Push(push) => ForgeAct::AskPush { push, requesters, words, facts },
        // The bot asked for nothing else.
        _ => return Ok(()),
    };
    let asked = ForgeRequest { id: request, feature: subject.feature, run: subject.run, act };
    let report = Box::new(Report::ForgeRequest(asked));
    turn.happens(Event::Report { instance: to, report }).map(drop)
}

fn tell(to: &qd_types::InstanceName, living: Option<String>, order: Order) -> Effect {
    Effect::Tell { to: to.clone(), living, order: Box::new(order) }
}
