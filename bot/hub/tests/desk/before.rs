//! A database of before approvals had a store of their own.

use insta::assert_snapshot;
use qd_sqlite::{Db, DbError, outbox};
use qd_types::{Action, Approval, ApprovalId, ApprovalState, Requirement, Role, RunId, Subject};
use qd_wire::v1::{ApprovalCard, ForgeOutcome};
use serde_json::json;

use crate::{
    reason,
    support::{Fleet, merge, rules},
};

/// The first version of the schema, as it was.
const V1: &str = "
CREATE TABLE features (team TEXT NOT NULL, id TEXT NOT NULL, report TEXT NOT NULL, PRIMARY KEY (team, id)) WITHOUT ROWID;
CREATE TABLE approvals (key TEXT PRIMARY KEY, desk TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alerts (
    team TEXT NOT NULL, cause TEXT NOT NULL, alert TEXT NOT NULL, PRIMARY KEY (team, cause)
) WITHOUT ROWID;
CREATE TABLE messages (
    key TEXT PRIMARY KEY, channel TEXT NOT NULL, message TEXT NOT NULL, pending INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, delivered TEXT, changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX messages_pending ON messages (channel, changed) WHERE pending = 1;
CREATE TABLE acts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, call TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL
);
CREATE INDEX acts_pending ON acts (id) WHERE state = 'pending';
CREATE TABLE grants (
    approval TEXT NOT NULL, item TEXT NOT NULL, act TEXT NOT NULL, digest TEXT NOT NULL, spent_at INTEGER NOT NULL,
    PRIMARY KEY (approval, item)
) WITHOUT ROWID;
";

/// A row of before: the approval of alpha's run A-1.`number`.
fn row(number: u32, state: ApprovalState) -> (ApprovalId, String) {
    let feature: qd_types::FeatureId = "A-1".parse().unwrap();
    let subject = Subject {
        action: Action::Merge(merge()),
        binding: None,
        instance: "alpha".parse().unwrap(),
        run: RunId::new(feature.clone(), number),
        feature,
        requesters: vec!["theo".parse().unwrap()],
        requirement: Requirement { roles: vec![Role::Owner, Role::Reviewer], count: 1, solo: false },
    };
    let id: ApprovalId = format!("bot/01ARZ3NDEKTSV4RRFFQ69G5FA{number}").parse().unwrap();
    let approval = Approval {
        id: id.clone(),
        digest: subject.digest().unwrap(),
        subject,
        state,
        votes: vec![],
        requested_at: jiff::Timestamp::UNIX_EPOCH,
        decided_at: None,
    };
    let card = ApprovalCard {
        approval,
        facts: "12 files.".into(),
        words: None,
        ended: None,
        confirm: None,
        decide_until: None,
    };
    let request = format!("A-1.{number}/merge/1");
    let merging = (state != ApprovalState::Requested).then(|| json!({ "request": request }));
    let desk = json!({
        "card": card, "feature_title": "One", "request": format!("A-1.{number}/ask"), "merging": merging,
    });
    (id, desk.to_string())
}

#[tokio::test]
async fn what_was_open_is_asked_anew_and_what_was_granted_lapses() {
    use ApprovalState::{Executed, Executing, Granted, Requested};
    let mut fleet = Fleet::asleep(rules());
    let rows = [(1, Requested), (2, Granted), (3, Executing), (4, Executed)].map(|(n, s)| row(n, s));
    let ids = rows.clone().map(|(id, _)| id);
    let old = Db::open(&fleet.dir.path().join("bot.db"), &[V1, outbox::SCHEMA]).unwrap();
    let act =
        json!({ "call": "merge", "approval": ids[2], "digest": "d".repeat(64), "order": {}, "checks": [] });
    old.write(move |c| {
        for (id, desk) in rows {
            c.execute("INSERT INTO approvals VALUES (?1, ?2)", [id.key(), desk])?;
        }
        c.execute(
            "INSERT INTO acts (key, call, state, changed) VALUES ('merge', ?1, 'pending', 0)",
            [act.to_string()],
        )?;
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
    drop(old);
    fleet.start().await;

    let ForgeOutcome::Asked { approval } = fleet.first("A-1.1/ask").await else { panic!() };
    assert_ne!(approval, ids[0], "asked anew, bound to more");
    assert_snapshot!(fleet.card(&ids[0]).await.ended.unwrap(), @"It was kept by an older version, which bound less than is bound now. It is asked anew.");
    assert_snapshot!(reason(fleet.first("A-1.2/merge/1").await), @"The approval lapsed: it was kept by an older version, which bound less than is bound now.");
    let ForgeOutcome::Unknown { reason } = fleet.first("A-1.3/merge/1").await else { panic!() };
    assert_snapshot!(reason, @"It can't be told whether it was done: it was kept by an older version, which bound less than is bound now. Look at the pull request.");
    let merges =
        "SELECT count(*) FROM acts WHERE state = 'pending' AND json_extract(call, '$.call') = 'merge'";
    assert_eq!(fleet.sql(merges), "0", "it is not begun again");

    fleet.delivered(&approval).await;
    assert_eq!(fleet.says("ines", "approve A-1").await, "Approved.");
    fleet.restart().await;
    assert_eq!(fleet.state(&approval), "granted");
    assert_eq!(fleet.sql("SELECT count(*) FROM approval_requests"), "1", "carried over once");
}
