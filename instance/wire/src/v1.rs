//! Version 1 of the wire: envelopes, and what they hold. Reports go up, orders come down.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod answer;
mod approvals;
mod audit;
mod facts;
mod fleet;
mod forge;
mod order;
mod presence;
mod read;
mod report;
mod said;

pub use answer::{Answer, Asked, Reply};
pub use approvals::{ApprovalCard, Heard, Shown, SignedVote};
pub use audit::{AuditHead, AuditSigned};
pub use facts::{
    Alert, Blocked, ChangeSize, CheckResult, Cost, FeatureReport, MilestoneProgress, RunEnding, RunFinished,
    Snapshot, StepFact,
};
pub use fleet::{FleetAnswer, FleetAsk, FleetQuery, Risk, TeamCost, TeamStatus};
pub use forge::{CheckReport, Finding, ForgeAct, ForgeOutcome, ForgeRequest};
pub use order::{
    Announcement, BoardCommand, FeatureEdit, ForgeCheck, IssueEvent, IssueHappened, Limited, NewWork,
    OnBehalf, Order, Proposal, Remark, Review, ReviewComment, Verdict,
};
pub use presence::{BoardDigest, Heartbeat, Hello, Presence, StageCount, TeamLimits, WIRE, WireVersion};
pub use read::{Kind, Read, ReadError, Unread, read};
pub use report::{Refusal, Report, Told};
pub use said::{Passage, Sentence};

/// Something numbered, on its way. `(sender, epoch, seq)` is its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope<T> {
    /// Starts at 1 and is raised whenever the sender's database may have gone back in time.
    pub epoch: u64,
    /// Without gaps within an epoch, from 1; given when it is first shipped.
    pub seq: u64,
    /// When it was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What it says.
    pub body: T,
}

/// The highest gapless `seq` of an epoch that the receiver has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The sender's epoch.
    pub epoch: u64,
    /// All up to here are kept; 0 for none.
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct V1 {
        report: Envelope<Report>,
        order: Envelope<Order>,
        ack: Ack,
        signed: crate::signed::Signed,
        header: crate::signed::Header,
        call: crate::call::Asking,
        answer: crate::call::Answer,
        card: crate::call::Card,
        unheard: crate::call::Unheard,
    }

    #[test]
    fn the_committed_schema_is_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/v1.json");
        let code = serde_json::to_string_pretty(&schemars::schema_for!(V1)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &code).unwrap();
        }
        // As values: the order of keys depends on what else is built.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            value(&committed) == value(&code),
            "schema/v1.json is stale: UPDATE_SCHEMA=1 cargo test -p qd-wire"
        );
    }
}
