//! What is not taken because of how much a caller asks for, and what is taken without being a tool's call: the rest of a
//! long result. Both are counted, and both stand in the trail.

use std::{sync::Arc, time::Duration};

use qd_audit::Kind;
use serde_json::{Value, json};

use super::{Answer, Refusal, Stage, audit::Account};
use crate::{Caller, Event, Guard, LimitError, ledger::payload};

/// Time for which the calls of one caller that are turned away are counted into one row.
const COUNTED: Duration = Duration::from_secs(60);

impl Guard {
    /// Why a call is not taken now. The trail has a row of the first, and a minute later one of how many followed it.
    pub(super) async fn turned_away(&self, account: Account, error: &LimitError) -> Answer {
        let answer = Answer::from(Refusal::new(Stage::Limits, error.to_string(), ""));
        let caller = account.caller().key();
        if !self.0.turned_away.is_first(&caller) {
            return answer;
        }
        let (inner, counted) = (Arc::downgrade(&self.0), account.event(Kind::Call, String::new()));
        tokio::spawn(async move {
            tokio::time::sleep(COUNTED).await;
            let Some(guard) = inner.upgrade().map(Guard) else { return };
            let more = guard.0.turned_away.more(&caller);
            if more > 0
                && let Err(error) = guard.0.trail.grouped(so_many(counted, more)).await
            {
                tracing::error!(%error, caller, more, "calls that were turned away are not in the trail");
            }
        });
        self.audited(account, answer).await
    }

    /// The whole of a result that was too long for an answer; `None` if it is not kept, or not for this caller.
    pub(crate) async fn whole(&self, caller: &Caller, uri: &str) -> Option<Result<String, Refusal>> {
        let (key, call) = (caller.key(), ulid::Ulid::generate().to_string());
        let kept = self.0.outputs.read(&key, uri)?;
        let slot = match self.0.gate.enter(&key) {
            Ok(slot) => slot,
            Err(error) => {
                let account = Account::about_tool(caller, call, kept.tool);
                let Answer::Refused(refusal) = self.turned_away(account, &error).await else { return None };
                return Some(Err(refusal));
            }
        };
        let text = format!("read the whole of a result of {}", kept.tool);
        let fields = json!({ "text": text, "tool": kept.tool, "result": uri, "answer": "done" });
        let caller = caller.clone();
        let event = Event { kind: Kind::Call, caller, call, approval: None, payload: payload(fields) };
        let noted = self.0.trail.grouped(event).await;
        drop(slot);
        Some(noted.map(|()| kept.text).map_err(|error| Refusal::store(&error)))
    }
}

fn so_many(mut event: Event, more: u64) -> Event {
    let text = format!("was refused {more} more calls within a minute ({})", Stage::Limits.as_str());
    event.payload.insert("text".to_owned(), Value::from(text));
    event.payload.insert("answer".to_owned(), Value::from("refused"));
    event.payload.insert("calls".to_owned(), Value::from(more));
    event
}
