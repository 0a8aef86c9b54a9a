//! The reconciler of the clocks: looks at everything that is live, ends what is over, and says what people must be told.
//! It takes no hints, and may run at any time, twice.

use qd_types::{ApprovalId, ApprovalState, Role};

use crate::{ApprovalError, Approvals, rows};

/// What the reconciler did, for the caller to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    /// Nobody decided in time. Its cards are to be closed; a person may open it again.
    Expired(ApprovalId),
    /// It was granted, and not carried out in time.
    Lapsed(ApprovalId),
    /// It was paid for and never begun in time: it does not happen any more.
    Abandoned(ApprovalId),
    /// Half of its time is over: mention these roles, once.
    Escalate(ApprovalId, Vec<Role>),
    /// No person can have seen it: alert. It does not expire meanwhile.
    Unseen(ApprovalId),
}

impl Approvals<'_> {
    /// Brings everything in line with the clock. Each thing is said once.
    pub fn sweep(&self) -> Result<Vec<Swept>, ApprovalError> {
        let mut swept = Vec::new();
        for mut record in
            rows::select(self.c, "state IN ('requested', 'granted', 'executing')", [], self.now)?
        {
            let (from, id) = (record.state(), record.approval.id.clone());
            if self.settle(&mut record)? {
                swept.push(match from {
                    ApprovalState::Requested => Swept::Expired(id),
                    ApprovalState::Granted => Swept::Lapsed(id),
                    _ => Swept::Abandoned(id),
                });
                continue;
            }
            let Some(opened) = record.opened.filter(|_| from.is_open()) else { continue };
            match record.decide_from {
                Some(since) => {
                    let half = since.saturating_add(record.decide_ms / 2);
                    if self.now >= half && !record.escalated {
                        self.mark("escalated", &id, true)?;
                        swept.push(Swept::Escalate(id, record.approval.subject.requirement.roles));
                    }
                }
                None => {
                    if !record.alerted && self.unseen(&id, opened)? {
                        self.mark("alerted", &id, true)?;
                        swept.push(Swept::Unseen(id));
                    }
                }
            }
        }
        Ok(swept)
    }
}
