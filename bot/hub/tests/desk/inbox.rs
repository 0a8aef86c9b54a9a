//! What a forge delivers: kept before it is answered, told once and in order, whatever ends the process; and what the core
//! makes of it, up to the orders and the comments.

use insta::assert_snapshot;
use qd_core::{
    chat::Scope,
    inbox::{Delivery, Inbox as _, News, Settled, Taken},
    outside::{
        Actor, CheckNews, Done, Ended, IssueNews, IssueText, LineComment, Outside, ReviewNews, Spoken, Spot,
        Verdict,
    },
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{Identity, Person, Role};
use qd_wire::v1::{FeatureReport, Order, Report};

use crate::support::{Fleet, commit, person, rules};

fn delivery(id: &str) -> Delivery {
    Delivery { id: id.into(), kind: "ping".into(), body: b"{}".to_vec() }
}

fn spot(number: u64) -> Spot {
    Spot { repository: "sample".parse().unwrap(), number }
}

fn by(login: &str, person: Option<Person>) -> Actor {
    Actor { account: Identity { service: "github".into(), account: login.into() }, person }
}

fn ines() -> Actor {
    by("ines-gh", Some(person("ines", Role::Owner)))
}

fn text(body: &str) -> IssueText {
    IssueText {
        title: "It crashes".into(),
        body: body.into(),
        labels: vec!["Bug".into(), "team:alpha".into(), "priority:1".into()],
        milestone: Some("May".into()),
    }
}

fn issue(done: Done, body: &str, by: Actor) -> Outside {
    let id = format!("{done:?}/{body}");
    Outside::Issue(Box::new(IssueNews { id, at: spot(12), done, issue: text(body), by }))
}

fn says(comment: &str, text_of: &str, by: Actor, body: &str) -> Outside {
    Outside::Command(Box::new(Spoken {
        at: spot(12),
        comment: comment.into(),
        by,
        text: text_of.into(),
        more: false,
        issue: Some(text(body)),
        scope: Scope::Only(vec!["alpha".parse().unwrap()]),
    }))
}

fn news(what: Outside) -> Vec<News> {
    vec![News { key: None, what }]
}

/// A fleet whose ines and olaf have accounts at GitHub.
async fn fleet() -> Fleet {
    let linked = |person: Person| {
        let identities = vec![format!("github:{}-gh", person.id)];
        KnownPerson { person, identities }
    };
    let mut rules = rules();
    let facts = Facts {
        people: rules.people.iter().cloned().map(linked).collect(),
        teams: rules.teams.clone(),
        repositories: vec!["sample".parse().unwrap()],
        ..Facts::default()
    };
    rules.policies = std::sync::Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap());
    Fleet::with(rules).await
}

/// What was written at the forge, by key.
fn written(fleet: &Fleet) -> String {
    fleet.sql(
        "SELECT coalesce(group_concat(key || ': ' || coalesce(call ->> '$.body', call ->> '$.text'), char(10)), '')
         FROM (SELECT * FROM acts WHERE call ->> '$.call' IN ('answer', 'settle') OR key LIKE 'issue/%' ORDER BY id)",
    )
}

async fn ordered(fleet: &mut Fleet) -> String {
    let orders = fleet.orders().await;
    let line = |order: &Order| match order {
        Order::Issue(issue) => Some(format!(
            "issue {:?} by {} as {:?}: {} {:?} {:?} {:?}",
            issue.happened,
            issue.author,
            issue.person.as_ref().map(|person| person.id.to_string()),
            issue.body,
            issue.labels,
            issue.milestone,
            issue.priority
        )),
        Order::Review(review) => Some(format!(
            "review {:?} by {:?}: {} {:?}",
            review.verdict,
            review.person.as_ref().map(|person| person.id.to_string()),
            review.text,
            review.comments
        )),
        Order::CheckResult(check) => {
            Some(format!("check {}: {} {}", check.name, check.summary, check.excerpt))
        }
        _ => None,
    };
    orders.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn reported(number: Option<u64>, stage: qd_types::Stage) -> Report {
    Report::Feature(FeatureReport {
        feature: "A-1".parse().unwrap(),
        title: "It crashes".into(),
        stage,
        line: qd_types::Line::default(),
        sentence: "It waits.".into(),
        agent: None,
        pull_request: number,
        merged: None,
        seconds: None,
        needs_person: false,
        spent: None,
        repository: Some("sample".parse().unwrap()),
        issue: Some("sample#12".into()),
        run: None,
        question: None,
    })
}

#[tokio::test]
async fn a_delivery_is_kept_once_and_worked_off_in_order_over_restarts() {
    let mut fleet = Fleet::new().await;
    for (id, taken) in [("a", Taken::New), ("b", Taken::New), ("a", Taken::Again)] {
        assert_eq!(fleet.hub().take(delivery(id)).await.unwrap(), taken);
    }
    let first = fleet.hub().next().await.unwrap();
    assert_eq!((first.delivery.id.as_str(), first.attempts), ("a", 0));
    // Nothing was settled, so the same comes again after the restart, as the second attempt.
    fleet.restart().await;
    let again = fleet.hub().next().await.unwrap();
    assert_eq!((again.place, again.delivery.id.as_str(), again.attempts), (first.place, "a", 1));
    let told = || vec![News { key: Some("comment/1".into()), what: says("1", "fleet status", ines(), "x") }];
    fleet.hub().settle(again.place, Settled::Done, "a command", told()).await.unwrap();
    let second = fleet.hub().next().await.unwrap();
    assert_eq!(second.delivery.id, "b");
    // The same news by another way are told once, and a delivery that is settled stays so.
    fleet.hub().settle(second.place, Settled::Ignored, "unknown", told()).await.unwrap();
    fleet.hub().settle(second.place, Settled::Ignored, "unknown", Vec::new()).await.unwrap();
    fleet.restart().await;
    assert_eq!(fleet.hub().take(delivery("a")).await.unwrap(), Taken::Again);
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), fleet.hub().next()).await;
    assert!(more.is_err(), "nothing waits");
    let kept =
        "SELECT group_concat(delivery || ' ' || state || ' ' || (body IS NOT NULL), ', ') FROM deliveries";
    assert_snapshot!(fleet.sql(kept), @"a done 0, b ignored 1");
    assert_eq!(fleet.sql("SELECT count(*) FROM acts"), "1");
    fleet.hub().note("place", "1").await.unwrap();
    fleet.hub().note("place", "2").await.unwrap();
    assert_eq!(fleet.hub().noted("place").await.unwrap().as_deref(), Some("2"));
    assert_eq!(fleet.hub().noted("elsewhere").await.unwrap(), None);
}

#[tokio::test]
async fn an_issue_is_given_to_a_team_by_a_person_with_the_right_and_others_propose() {
    let mut fleet = fleet().await;
    let label = || Done::Labelled("team:alpha".into());
    let viewer = || by("vera-gh", Some(person("vera", Role::Viewer)));
    for what in [
        issue(label(), "On start.", by("mallory", None)),
        issue(label(), "On start.", viewer()),
        issue(label(), "On start.", ines()),
        // The same again is no news; what is edited without the right is a proposal, once.
        issue(label(), "On start.", ines()),
        issue(Done::Edited, "Give me the keys.", by("mallory", None)),
        issue(Done::Edited, "Give me the keys.", by("mallory", None)),
    ] {
        fleet.hub().tell(news(what)).await.unwrap();
    }
    fleet.report(reported(None, qd_types::Stage::Backlog)).await;
    fleet.restart().await;
    for what in [
        says("7", "split", ines(), "Give me the keys."),
        says("8", "take", ines(), "- [ ] On start."),
        says("9", "split", ines(), "- [ ] On start."),
        issue(Done::Closed, "- [ ] On start.", by("mallory", None)),
        issue(Done::Reopened, "- [ ] On start.", ines()),
        issue(Done::Labelled("team:beta".into()), "- [ ] On start.", ines()),
        issue(Done::Unlabelled("team:alpha".into()), "- [ ] On start.", ines()),
        issue(Done::Closed, "- [ ] On start.", ines()),
    ] {
        fleet.hub().tell(news(what)).await.unwrap();
    }
    assert_snapshot!(ordered(&mut fleet).await, @r##"
    issue Assigned by github:ines-gh as Some("ines"): On start. ["bug"] Some("May") Some(1)
    issue Edited by github:mallory as None: Give me the keys. ["bug"] Some("May") Some(1)
    issue Assigned by github:ines-gh as Some("ines"): - [ ] On start. ["bug"] Some("May") Some(1)
    issue Split by github:ines-gh as Some("ines"): - [ ] On start. ["bug"] Some("May") Some(1)
    issue Closed by github:mallory as None: - [ ] On start. ["bug"] Some("May") Some(1)
    issue Reopened by github:ines-gh as Some("ines"): - [ ] On start. ["bug"] Some("May") Some(1)
    "##);
    let said = written(&fleet);
    for part in [
        "**vera-gh**: ",
        "**mallory**: You may not edit sample#12, so what this issue says now is a proposal.",
        "issue/sample#12: **A-1** of alpha: in the backlog.",
        "comment/7: **ines-gh**: The issue says something else than what its team was given.",
        "comment/8: **ines-gh**: alpha has it, as this issue stands now.",
        "comment/9: **ines-gh**: Sent to alpha.",
        "**ines-gh**: There is no team beta.",
        "**ines-gh**: A-1 stays on the board of alpha, and follows this issue no more.",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(said.matches("is a proposal").count(), 1, "{said}");
}

#[tokio::test]
async fn a_comment_decides_for_whoever_may_and_says_what_is_missing() {
    let mut fleet = fleet().await;
    let id = fleet.ask("A-1.1/ask").await;
    let key = id.key();
    let say = |comment: &str, who: Actor| says(comment, &format!("approve {key}"), who, "x");
    for (comment, who) in [
        ("1", by("mallory", None)),
        ("2", by("olaf-gh", Some(person("olaf", Role::Operator)))),
        // An account that is linked to somebody else is nobody's proof.
        ("3", by("olaf-gh", Some(person("ines", Role::Owner)))),
        ("4", ines()),
        ("5", ines()),
    ] {
        fleet.hub().tell(news(say(comment, who))).await.unwrap();
    }
    let said = written(&fleet).replace(&key, "KEY");
    // When it was decided is now.
    let said = said.rsplit_once(" at ").unwrap().0;
    assert_snapshot!(said, @r##"
    answer/sample#12/comment/1: **mallory**: I don't know who github:mallory is here. If you are known in chat, ask there for a code with: link github. Then write it here: /qd link CODE. Else an owner links the account with: quarterdeck person link NAME github:mallory
    answer/sample#12/comment/2: **olaf-gh**: You need the role owner or reviewer for this. You have: operator.
    answer/sample#12/comment/3: **olaf-gh**: It is not proved who gave this vote: the account github:olaf-gh is not linked to ines.
    answer/sample#12/comment/4: **ines-gh**: Approved.
    answer/sample#12/comment/5: **ines-gh**: A-1 was already approved
    "##);
    assert_eq!(fleet.state(&id), "granted");
}

#[tokio::test]
async fn a_review_guides_and_counts_for_the_head_that_was_looked_at() {
    let mut fleet = fleet().await;
    fleet.report(reported(Some(7), qd_types::Stage::Review)).await;
    let id = fleet.ask("A-1.1/ask").await;
    let review = |id: &str, verdict, head, by| {
        let remark = LineComment {
            path: "src/lib.rs".into(),
            line: Some(3),
            text: "Name it otherwise.".into(),
            thread: Some("T1".into()),
        };
        let comments = if verdict == Verdict::Approved { Vec::new() } else { vec![remark] };
        let text = "Please.".to_owned();
        let review =
            ReviewNews { id: id.into(), at: spot(7), head, by, verdict, text, comments, votes: true };
        news(Outside::Review(Box::new(review)))
    };
    let check = CheckNews {
        id: "job/5".into(),
        at: spot(7),
        commit: commit('4'),
        name: "build".into(),
        ended: Ended::Red,
        summary: "It failed in: cargo test".into(),
        excerpt: "test adds ... FAILED".into(),
        url: None,
    };
    let hub = fleet.hub().clone();
    hub.tell(review("1", Verdict::ChangesRequested, commit('4'), ines())).await.unwrap();
    hub.tell(review("2", Verdict::Commented, commit('4'), by("mallory", None))).await.unwrap();
    hub.tell(news(Outside::Check(Box::new(check.clone())))).await.unwrap();
    let flaky = CheckNews { ended: Ended::Flaky, ..check.clone() };
    hub.tell(news(Outside::Check(Box::new(flaky)))).await.unwrap();
    let elsewhere = CheckNews { at: spot(8), ..check };
    hub.tell(news(Outside::Check(Box::new(elsewhere)))).await.unwrap();
    // The head that is asked about is 4; a yes to another one does not count, and one by an outsider neither.
    hub.tell(review("3", Verdict::Approved, commit('3'), ines())).await.unwrap();
    hub.tell(review("4", Verdict::Approved, commit('4'), by("mallory", None))).await.unwrap();
    assert_eq!(fleet.state(&id), "requested");
    hub.tell(review("5", Verdict::Approved, commit('4'), ines())).await.unwrap();
    assert_eq!(fleet.state(&id), "granted");
    assert_snapshot!(ordered(&mut fleet).await, @r##"
    review ChangesRequested by Some("ines"): Please. [ReviewComment { path: "src/lib.rs", line: Some(3), text: Passage("Name it otherwise.") }]
    review Commented by None: Please. [ReviewComment { path: "src/lib.rs", line: Some(3), text: Passage("Name it otherwise.") }]
    check build: It failed in: cargo test test adds ... FAILED
    review Approved by Some("ines"): Please. []
    review Approved by None: Please. []
    review Approved by Some("ines"): Please. []
    "##);
    // The run comes back with another head: what the thread asked for is done by it.
    let merge = qd_types::Merge { head: commit('6'), ..crate::support::merge() };
    fleet.request("A-1.1/ask/1", Fleet::ask_merge(merge)).await;
    assert_snapshot!(written(&fleet), @r##"
    answer/sample#7/review/3: **ines-gh**: You looked at 3333333, and what is asked about is 4444444: that yes does not count. Look at the newest commit.
    answer/sample#7/review/5: **ines-gh**: Approved.
    thread/sample#7/T1/6666666666666666666666666666666666666666: Done with 6666666.
    "##);
}
