//! What the tests of pages show. Not what a team says: nothing here was ever stored.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use jiff::Timestamp;
use qd_api::{ApprovalView, FeatureView, RunSummary, RunView, TeamView};
use qd_board::{Feature, Wanted};
use qd_types::{Line, Stage};

pub(crate) fn team() -> TeamView {
    TeamView {
        name: "alpha".parse().unwrap(),
        you: "ines".parse().unwrap(),
        running: 0,
        slots: 2,
        lowered: None,
        seq: 7,
        paused: None,
        asks: 0,
        unshipped: 0,
        refuses: None,
        version: "0.1.0".into(),
    }
}

pub(crate) fn feature(wanted: Wanted) -> FeatureView {
    FeatureView {
        feature: Feature {
            id: "A-2".parse().unwrap(),
            repository: "sample".parse().unwrap(),
            wanted,
            touched: vec![],
            stage: Stage::Ready,
            held: None,
            paused: None,
            not_before: None,
            rung: 0,
            author: "theo".parse().unwrap(),
            editors: vec![],
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        },
        waits: None,
        sentence: "Next. Starts now.".into(),
        run: None,
        clashes: vec![],
        spent: None,
    }
}

pub(crate) fn run() -> RunView {
    let summary = RunSummary {
        id: "A-2.1".parse().unwrap(),
        title: "Split".into(),
        agent: "claude".into(),
        model: Some("large".into()),
        assigned_by: "rule big-ones".into(),
        line: Line::default(),
        branch: "qd/alpha/A-2-split".into(),
        commit: None,
        pull_request: None,
        checks_passed: 0,
        checks: 0,
        approved_by: vec![],
        end: None,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
        seconds: 90,
        spent: None,
    };
    RunView {
        summary,
        sentence: String::new(),
        steps: vec![],
        check_results: vec![],
        base: None,
        round: 0,
        words: None,
        plan: None,
        plan_waits: false,
        feedback: None,
        stopping: false,
        approval: None,
    }
}

pub(crate) fn approval(number: u64) -> ApprovalView {
    let subject: qd_types::Subject = serde_json::from_value(serde_json::json!({
        "action": {
            "action": "merge", "repository": "sample", "pull_request": number, "target": "main",
            "head": "a".repeat(40), "diff": "d".repeat(64),
        },
        "instance": "alpha", "feature": "A-2", "run": "A-2.1", "requesters": ["theo"],
        "requirement": { "roles": ["owner"], "count": 1, "solo": false },
    }))
    .unwrap();
    ApprovalView {
        approval: qd_types::Approval {
            id: format!("bot/01ARZ3NDEKTSV4RRFFQ69G5FA{number}").parse().unwrap(),
            digest: subject.digest().unwrap(),
            state: qd_types::ApprovalState::Requested,
            votes: vec![],
            requested_at: Timestamp::UNIX_EPOCH,
            decided_at: None,
            subject,
        },
        title: format!("Merge #{number}"),
        feature_title: "Split".into(),
        facts: "2 files".into(),
        words: None,
        ended: None,
        confirm: None,
        decide_until: None,
        deciding: false,
        refusal: None,
        snoozed: None,
    }
}
