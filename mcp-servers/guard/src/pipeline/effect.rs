//! The effect: within its time, and stopped when nobody wants it any more. What was told to stop and did not say how it
//! ended can't be told.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::FutureExt as _;
use serde_json::Value;

use crate::{Call, Fault, Guard, Permit, Plan, entry::Entry};

/// What is said where it can't be told.
const LOOK: &str = "Look at what it was done to before anything is tried again.";

impl Guard {
    /// What would happen, on the state as it is now.
    pub(super) async fn plan(&self, call: &Call, entry: &Entry, input: &Value) -> Result<Plan, Fault> {
        let planning = entry.body.plan(call, input);
        tokio::time::timeout(entry.spec.time_limit, planning).await.unwrap_or_else(|_| {
            Err(Fault::failed("What would happen could not be found out in time.", "Try again later."))
        })
    }

    pub(super) async fn carry_out(
        &self,
        call: &Call,
        entry: Arc<Entry>,
        input: Value,
        permit: Permit,
    ) -> Result<Value, Fault> {
        let (limit, changes) = (entry.spec.time_limit, entry.changes());
        // Its own token: the time limit stops this call, and not the client's connection.
        let call = Call { cancel: call.cancel.child_token(), ..call.clone() };
        let stop = call.cancel.clone();
        if !changes {
            // Reading may be dropped anywhere.
            let reading = AssertUnwindSafe(entry.body.run(&call, input, permit)).catch_unwind();
            return tokio::select! {
                ended = tokio::time::timeout(limit, reading) => {
                    let broke = |_| Err(stopped(false, "The tool broke."));
                    ended.map_or_else(|_| Err(stopped(false, &late(limit))), |ended| ended.unwrap_or_else(broke))
                }
                () = stop.cancelled() => Err(stopped(false, "You cancelled it.")),
            };
        }
        let mut effect = pin!(AssertUnwindSafe(entry.body.run(&call, input, permit)).catch_unwind());
        let why = tokio::select! {
            biased;
            ended = &mut effect => return ended.unwrap_or_else(|_| Err(stopped(true, "The tool broke."))),
            () = tokio::time::sleep(limit) => late(limit),
            () = stop.cancelled() => "You cancelled it.".to_owned(),
        };
        stop.cancel();
        match tokio::time::timeout(self.0.settings.grace, &mut effect).await {
            Ok(ended) => ended.unwrap_or_else(|_| Err(stopped(true, "The tool broke."))),
            Err(_) => Err(stopped(true, &why)),
        }
    }
}

fn late(limit: std::time::Duration) -> String {
    format!("It took longer than {} s.", limit.as_secs_f32())
}

fn stopped(changes: bool, why: &str) -> Fault {
    if changes {
        Fault::unsure(format!("{why} It can't be told whether it happened."), LOOK)
    } else {
        Fault::failed(why, "Nothing was changed.")
    }
}
