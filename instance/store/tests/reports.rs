//! What the bot is told, and what it orders: facts once, living states as they stand, refusals said back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use qd_board::{EditFeature, FailureClass, Feedback, NewFeature, Project, RunEnd, Wanted};
use qd_store::{Applied, NewRun, RunFact, Settings, Store};
use qd_types::{FeatureId, Person, RepositoryName, Role, RunId, Spent, Stage, Step};
use qd_wire::v1::{
    Ack, BoardCommand, ChangeSize, Envelope, FeatureEdit, ForgeCheck, IssueEvent, IssueHappened, Kind as _,
    Limited, NewWork, OnBehalf, Order, Proposal, Remark, Report, Review, RunEnding, TeamLimits, Verdict,
};

struct Board {
    store: Store,
    orders: u64,
    _dir: tempfile::TempDir,
}

fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn ines() -> Person {
    Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] }
}

fn guide(feature: &FeatureId, text: &str, remark: Remark, said: Option<&str>) -> BoardCommand {
    let said = said.map(str::to_owned);
    BoardCommand::Guide { feature: feature.clone(), text: text.into(), remark, said }
}

fn sample() -> RepositoryName {
    "sample".parse().unwrap()
}

impl Board {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: "A".into(),
            slots: 2,
            reviews: None,
            repair_rounds: 3,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone: jiff::tz::TimeZone::UTC,
        };
        let store = Store::open(&dir.path().join("board.db"), settings).unwrap();
        Self { store, orders: 0, _dir: dir }
    }

    async fn add(&self, wanted: Wanted) -> FeatureId {
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        self.store.add(&ines().id, new, sample(), now()).await.unwrap().feature.id
    }

    async fn run(&self, feature: &FeatureId) -> RunId {
        let new = NewRun {
            feature: feature.clone(),
            agent: "claude".into(),
            model: None,
            assigned_by: "the default".into(),
            branch: format!("qd/alpha/{feature}"),
        };
        self.store.open_run(new, now()).await.unwrap().id
    }

    /// All that waits, acknowledged as it goes.
    async fn shipped(&self) -> Vec<Report> {
        let mut all = Vec::new();
        loop {
            let batch = self.store.ship(128).await.unwrap();
            let Some(last) = batch.last() else { return all };
            let ack = Ack { epoch: last.epoch, seq: last.seq };
            all.extend(batch.into_iter().map(|envelope| envelope.body));
            self.store.acknowledged(ack).await.unwrap();
        }
    }

    async fn order(&mut self, body: Order) -> Applied {
        self.orders += 1;
        let order = Envelope { epoch: 1, seq: self.orders, at: now(), body };
        self.store.apply(order, Some(sample()), None, now()).await.unwrap()
    }

    async fn command(&mut self, command: BoardCommand) -> Applied {
        let by = OnBehalf { person: ines(), surface: "console".into(), identity: None, at: None };
        self.order(Order::Command { by, command }).await
    }
}

fn counted(reports: &[Report]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for report in reports {
        *counts.entry(report.kind()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn ten_thousand_changes_while_the_bot_is_away_are_one_report_per_living_state_and_the_facts() {
    let board = Board::new();
    let mut features = Vec::new();
    for number in 0..20 {
        features.push(board.add(Wanted { title: format!("Part {number}"), ..Wanted::default() }).await);
    }
    let edits: Vec<_> = features
        .iter()
        .map(|id| {
            let (store, id) = (board.store.clone(), id.clone());
            tokio::spawn(async move {
                for round in 0_u8..=250 {
                    let edit = EditFeature::of(None).set("priority", round % 2);
                    store.edit(&ines().id, &id, edit, None, now()).await.unwrap();
                    store.raise("disk", "The disk is full.", round % 2 == 0, now()).await.unwrap();
                }
            })
        })
        .collect();
    for edit in edits {
        edit.await.unwrap();
    }
    for _ in 0..100 {
        board.store.beat(15, None, now()).await.unwrap();
    }
    let run = board.run(&features[0]).await;
    let end = RunEnd::Failed { reason: "It gave up.".into(), class: FailureClass::GaveUp };
    board.store.end_run(&run, Some(Step::Agent), end, now()).await.unwrap();
    // The way is tried all the while, and cut each time.
    let first = board.store.ship(8).await.unwrap();
    for _ in 0..50 {
        assert_eq!(board.store.ship(8).await.unwrap(), first);
    }
    let counts = counted(&board.shipped().await);
    assert_eq!(counts.get("feature"), Some(&20), "{counts:?}");
    assert_eq!(counts.get("heartbeat"), Some(&1));
    assert_eq!(counts.get("run_finished"), Some(&1));
    assert!(counts.get("alert").is_some_and(|alerts| *alerts <= 2), "{counts:?}");
    assert!(counts.values().sum::<usize>() < 30, "{counts:?}");
}

#[tokio::test]
async fn a_run_that_ends_tells_its_facts_once_and_nothing_raw() {
    let board = Board::new();
    let project: Project =
        serde_json::from_str(r#"{"name": "importer", "milestones": [{"name": "1.0"}]}"#).unwrap();
    board.store.add_project(&ines().id, project, now()).await.unwrap();
    let wanted = Wanted {
        title: "Split the importer".into(),
        project: Some("importer".into()),
        milestone: Some("1.0".into()),
        ..Wanted::default()
    };
    let feature = board.add(wanted).await;
    let run = board.run(&feature).await;
    board.store.begin_step(&run, Step::Agent, now()).await.unwrap();
    let size = ChangeSize { commits: 1, files: 12, insertions: 214, deletions: 380 };
    let facts = vec![RunFact::Worked(90_000), RunFact::Change(size)];
    board.store.end_step(&run, Step::Agent, None, facts, now()).await.unwrap();
    let spent = Spent { calls: 3, tokens: 1_200, micro_dollars: 420_000, ..Spent::default() };
    board.store.spent(&run, spent, now()).await.unwrap();
    let end = RunEnd::Failed { reason: "x".repeat(5_000), class: FailureClass::CheckFailed };
    board.store.end_run(&run, Some(Step::Checks), end.clone(), now()).await.unwrap();
    board.store.end_run(&run, Some(Step::Checks), end, now()).await.unwrap();
    let reports = board.shipped().await;
    insta::assert_snapshot!(format!("{:?}", counted(&reports)), @r#"{"alert": 1, "blocked": 1, "cost": 1, "feature": 1, "milestone": 1, "run_finished": 1}"#);
    for report in &reports {
        let json = serde_json::to_value(report).unwrap();
        match report {
            Report::RunFinished(finished) => {
                assert_eq!(finished.change, Some(size));
                assert!(json["end"]["reason"].as_str().unwrap().chars().count() <= 400, "a log is cut");
                let mut short = finished.clone();
                let class = "check_failed".to_owned();
                short.end = RunEnding::Failed { reason: "…".into(), class };
                let text = serde_json::to_string(&Report::RunFinished(short)).unwrap();
                insta::assert_snapshot!(text, @r#"{"report":"run_finished","run":"A-1.1","title":"Split the importer","repository":"sample","agent":"claude","model":null,"end":{"end":"failed","reason":"…","class":"check_failed"},"steps":[{"step":"agent","done":true,"seconds":0},{"step":"checks","done":false,"seconds":0}],"checks":[],"rounds":0,"pull_request":null,"change":{"commits":1,"files":12,"insertions":214,"deletions":380},"spent":{"calls":3,"tokens":1200,"micro_dollars":420000,"unpriced_tokens":0,"warning":null,"estimated":false},"seconds":0,"worked_seconds":90}"#);
            }
            Report::Cost(_) => {
                let text = serde_json::to_string(report).unwrap();
                insta::assert_snapshot!(text, @r#"{"report":"cost","day":"2026-11-21","spent":{"calls":3,"tokens":1200,"micro_dollars":420000,"unpriced_tokens":0,"warning":null,"estimated":false}}"#);
            }
            Report::Milestone(_) => {
                let text = serde_json::to_string(report).unwrap();
                insta::assert_snapshot!(text, @r#"{"report":"milestone","project":"importer","milestone":"1.0","done":0,"features":1,"percent":0,"due":null,"forecast":null,"repository":"sample","blocked":["A-1"],"risks":["A-1 needs a person.","Nobody answers for it: it has no owner."]}"#);
            }
            Report::Blocked(_) => insta::assert_snapshot!(json["since"], @r#""2026-11-21T08:00:00Z""#),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_bot_that_knows_nothing_is_told_what_holds_by_name() {
    let board = Board::new();
    let feature = board.add(Wanted { title: "One".into(), ..Wanted::default() }).await;
    board.store.raise("disk", "The disk is full.", false, now()).await.unwrap();
    board.store.raise("policies", "They are broken.", false, now()).await.unwrap();
    board.store.raise("policies", "They hold again.", true, now()).await.unwrap();
    board.shipped().await;
    let (rules, people) = (qd_approvals::Rules::default(), qd_approvals::Directory::default());
    let keeper = qd_store::Keeper::new(&"alpha".parse().unwrap(), rules, people);
    assert!(board.store.greeted(&keeper, Ack { epoch: 0, seq: 0 }, now()).await.unwrap());
    let reports = board.shipped().await;
    let snapshot = reports.iter().find_map(|report| match report {
        Report::Snapshot(snapshot) => Some(snapshot.clone()),
        _ => None,
    });
    let snapshot = snapshot.unwrap();
    assert_eq!((snapshot.features, snapshot.alerts), (vec![feature], vec!["disk".to_owned()]));
    assert_eq!(counted(&reports).get("alert"), Some(&1));
}

#[tokio::test]
async fn orders_of_every_kind_are_applied_once_and_what_is_refused_is_said_back() {
    let mut board = Board::new();
    let work = NewWork { description: "As agreed.".into(), priority: Some(0), ..NewWork::default() };
    let add = BoardCommand::AddFeature { title: "One".into(), stage: Stage::Ready, work };
    assert_eq!(board.command(add).await, Applied::Yes);
    let id: FeatureId = "A-1".parse().unwrap();
    let fields = serde_json::json!({"title": "Two"}).as_object().unwrap().clone();
    let edit = FeatureEdit { feature: id.clone(), version: None, fields };
    assert_eq!(board.command(BoardCommand::EditFeature(edit)).await, Applied::Yes);
    let pause = BoardCommand::PauseFeature { feature: id.clone(), why: Some("the release".into()) };
    assert_eq!(board.command(pause).await, Applied::Yes);
    let snapshot = board.store.snapshot(&id, now()).await.unwrap();
    insta::assert_snapshot!(snapshot.why.sentence, @"Paused: ines: the release.");
    assert_eq!((snapshot.feature.wanted.priority, snapshot.feature.wanted.title.as_str()), (0, "Two"));
    assert_eq!(board.command(BoardCommand::ResumeFeature { feature: id.clone() }).await, Applied::Yes);
    assert_eq!(board.command(BoardCommand::PauseTeam { why: None }).await, Applied::Yes);
    assert_eq!(board.store.paused().await.unwrap().unwrap().sentence(), "by ines");
    assert_eq!(board.command(BoardCommand::ResumeTeam).await, Applied::Yes);
    board.shipped().await;
    for refused in [
        BoardCommand::ResumeTeam,
        BoardCommand::Retry { feature: id.clone() },
        guide(&id, "Use the new type.", Remark::Guidance, None),
        BoardCommand::Stop { run: "A-1.1".parse().unwrap() },
        BoardCommand::CancelFeature { feature: "A-9".parse().unwrap() },
    ] {
        assert!(matches!(board.command(refused).await, Applied::Refused(_)));
    }
    let said: Vec<String> = board
        .shipped()
        .await
        .into_iter()
        .filter_map(|report| match report {
            Report::Refused(refusal) => {
                Some(format!("{} {} {}: {}", refusal.seq, refusal.kind, refusal.person?, refusal.reason))
            }
            _ => None,
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    7 command ines: The team is not paused.
    8 command ines: Nothing of A-1 gave up: there is nothing to try again.
    9 command ines: No run works on A-1: say it in its description, by an edit.
    10 command ines: there is no run A-1.1
    11 command ines: there is no feature A-9
    ");
}

/// What people were told of their orders, and why others were refused.
async fn told(board: &Board) -> String {
    let reports = board.shipped().await.into_iter();
    let said = reports.filter_map(|report| match report {
        Report::Told(told) => Some(format!("{}: {}", told.person, told.text)),
        Report::Refused(refusal) => Some(format!("refused: {}", refusal.reason)),
        _ => None,
    });
    said.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn limits_are_lowered_until_they_are_taken_back_and_the_backlog_is_released() {
    let mut board = Board::new();
    let limit = |limit, most| BoardCommand::LimitTeam { limit, most };
    let limits = async |board: &Board| -> TeamLimits {
        board.store.beat(15, None, now()).await.unwrap();
        let reports = board.shipped().await.into_iter();
        let mut found = reports.filter_map(|report| match report {
            Report::Heartbeat(beat) => beat.board.limits,
            _ => None,
        });
        found.next_back().unwrap()
    };
    for order in [
        limit(Limited::Slots, Some(3)),
        limit(Limited::Slots, Some(0)),
        limit(Limited::Slots, Some(1)),
        limit(Limited::Reviews, Some(4)),
    ] {
        board.command(order).await;
    }
    insta::assert_snapshot!(told(&board).await, @"
    refused: Runs at once: the configuration has 2 at most, and 3 is more: that is a change of the configuration.
    refused: Nothing at once is a pause: pause the team.
    ines: Runs at once: 1 at most, as ines has it, until somebody takes that back.
    ines: Features in review: 4 at most, as ines has it, until somebody takes that back.
    ");
    let lowered = limits(&board).await;
    assert_eq!((lowered.slots, lowered.configured_slots), (1, 2));
    assert_eq!((lowered.reviews, lowered.configured_reviews), (Some(4), None));
    insta::assert_snapshot!(lowered.lowered.iter().map(|who| who.as_str()).collect::<Vec<_>>().join("\n"), @"
    ines lowered: Runs at once.
    ines lowered: Features in review.
    ");
    board.command(limit(Limited::Slots, None)).await;
    board.command(limit(Limited::Reviews, None)).await;
    insta::assert_snapshot!(told(&board).await, @"
    ines: Runs at once: 2 at most, as the configuration has it.
    ines: Features in review: without a limit, as the configuration has it.
    ");
    assert_eq!(limits(&board).await, TeamLimits { slots: 2, configured_slots: 2, ..TeamLimits::default() });

    board.command(BoardCommand::Release { count: None }).await;
    for (title, priority) in [("One", 2), ("Two", 0), ("Three", 1)] {
        let work = NewWork { priority: Some(priority), ..NewWork::default() };
        let add = BoardCommand::AddFeature { title: title.into(), stage: Stage::Backlog, work };
        assert_eq!(board.command(add).await, Applied::Yes);
    }
    board.command(BoardCommand::Release { count: Some(2) }).await;
    board.command(BoardCommand::Release { count: None }).await;
    insta::assert_snapshot!(told(&board).await, @"
    refused: Nothing waits in the backlog.
    ines: Released 2 features: A-2, A-3.
    ines: Released 1 feature: A-1.
    ");
}

#[tokio::test]
async fn a_goal_is_filed_and_what_is_merged_is_taken_back() {
    let mut board = Board::new();
    let work = NewWork { plan: Some(Proposal::Goal), ..NewWork::default() };
    board.command(BoardCommand::AddFeature { title: "Goal".into(), stage: Stage::Ready, work }).await;
    let goal = board.store.snapshot(&"A-1".parse().unwrap(), now()).await.unwrap().feature;
    assert_eq!(goal.wanted.plan, qd_board::PlanMode::Goal);
    let id = board.add(Wanted { title: "One".into(), ..Wanted::default() }).await;
    let revert =
        || BoardCommand::RevertFeature { feature: "A-2".parse().unwrap(), why: Some("It is slow".into()) };
    board.command(revert()).await;
    let run = board.run(&id).await;
    let commit = "4f2a91c0".repeat(5).parse::<qd_types::CommitId>().unwrap();
    board.store.end_run(&run, Some(Step::Merge), RunEnd::Merged { commit }, now()).await.unwrap();
    assert_eq!(board.command(revert()).await, Applied::Yes);
    insta::assert_snapshot!(told(&board).await, @"
    ines: Features for it are proposed as A-1.
    refused: A-2 is not merged: there is nothing to take back.
    ines: A-3 takes A-2 back, once its merge is approved.
    ");
    let back = board.store.snapshot(&"A-3".parse().unwrap(), now()).await.unwrap().feature;
    assert_eq!((back.author, back.stage), (ines().id, Stage::Ready));
    insta::assert_snapshot!(format!("{}: {}", back.wanted.title, back.wanted.description), @"
    Take back A-2: One: Undo merge 4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0 of A-2.

    It is slow
    ");
}

#[tokio::test]
async fn what_people_and_the_forge_say_about_a_run_waits_for_its_agent() {
    let mut board = Board::new();
    let id = board.add(Wanted { title: "One".into(), ..Wanted::default() }).await;
    let run = board.run(&id).await;
    let commit = "4f2a91c0".repeat(5).parse::<qd_types::CommitId>().unwrap();
    let facts = vec![RunFact::Pushed(commit.clone()), RunFact::PullRequest(7)];
    board.store.note(&run, facts).await.unwrap();
    let rosa = qd_types::Identity { service: "github".into(), account: "rosa".into() };
    let review = |id: &str, person: Option<Person>| Review {
        id: id.into(),
        repository: sample(),
        pull_request: 7,
        head: commit.clone(),
        author: rosa.clone(),
        person,
        verdict: Verdict::ChangesRequested,
        text: "Use the new error type here too.".into(),
        comments: Vec::new(),
    };
    assert_eq!(board.command(guide(&id, "Keep it small.", Remark::Guidance, None)).await, Applied::Yes);
    for order in [
        Order::Review(Box::new(review("1", Some(ines())))),
        Order::Review(Box::new(review("1", Some(ines())))),
        // An outsider is heard, and guides nobody.
        Order::Review(Box::new(review("2", None))),
        Order::CheckResult(ForgeCheck {
            id: "9".into(),
            repository: sample(),
            pull_request: Some(7),
            commit: commit.clone(),
            name: "lint".into(),
            passed: false,
            summary: "2 warnings".into(),
            excerpt: "src/lib.rs:3: unused".into(),
            url: None,
        }),
    ] {
        assert_eq!(board.order(order).await, Applied::Yes);
    }
    let said = board.store.feedback(&run).await.unwrap();
    insta::assert_snapshot!(said.iter().map(|(about, text)| format!("{about}: {text}")).collect::<Vec<_>>().join("\n"), @"
    check lint of the forge, which is red: 2 warnings

    What its log says:

    src/lib.rs:3: unused
    what ines said: Keep it small.
    the review of ines: Use the new error type here too.
    ");
    let feature = board.store.snapshot(&id, now()).await.unwrap().feature;
    assert!(feature.requesters().contains(&ines().id), "who guides does not decide");
}

#[tokio::test]
async fn what_was_said_is_meant_otherwise_until_its_agent_has_it() {
    let mut board = Board::new();
    let id = board.add(Wanted { title: "Split it".into(), ..Wanted::default() }).await;
    let run = board.run(&id).await;
    let said = |remark| guide(&id, "Use the new type.", remark, Some("discord/1"));
    let told = async |board: &Board| {
        let said = board.store.feedback(&run).await.unwrap();
        said.iter().map(|(about, text)| format!("{about}: {text}")).collect::<Vec<_>>().join("\n")
    };
    for _ in 0..2 {
        assert_eq!(board.command(said(Remark::Guidance)).await, Applied::Yes);
    }
    insta::assert_snapshot!(told(&board).await, @"what ines said: Use the new type.");
    assert_eq!(board.command(said(Remark::Review)).await, Applied::Yes);
    insta::assert_snapshot!(told(&board).await, @"the review of ines: Use the new type.");
    let back = Feedback { about: "what was said".into(), text: "All of it.".into() };
    let base = "4f2a91c0".repeat(5).parse().unwrap();
    board.store.back_to_agent(&run, back, base, now()).await.unwrap();
    assert_eq!(board.command(said(Remark::Review)).await, Applied::Yes, "it is what it is");
    let Applied::Refused(why) = board.command(said(Remark::Guidance)).await else {
        panic!("its agent has it")
    };
    insta::assert_snapshot!(why, @"Its agent has it already, as the review of ines. What else it should know, say in words of its own.");
}

#[tokio::test]
async fn an_issue_becomes_a_feature_once_and_only_by_a_person_of_the_fleet() {
    let mut board = Board::new();
    let issue = |happened, person| {
        Order::Issue(Box::new(IssueEvent {
            id: "1".into(),
            repository: sample(),
            number: 12,
            happened,
            title: "It crashes".into(),
            body: "On start.".into(),
            labels: vec!["bug".into()],
            milestone: Some("May".into()),
            priority: Some(1),
            author: qd_types::Identity { service: "github".into(), account: "mallory".into() },
            person,
        }))
    };
    let Applied::Refused(why) = board.order(issue(IssueHappened::Assigned, None)).await else {
        unreachable!("an outsider filed it")
    };
    insta::assert_snapshot!(why, @"github:mallory may file nothing here: that takes an account which is linked to a person with the right.");
    for happened in [IssueHappened::Assigned, IssueHappened::Assigned, IssueHappened::Closed] {
        assert_eq!(board.order(issue(happened, Some(ines()))).await, Applied::Yes);
    }
    let all = board.store.snapshots(None, 10, now()).await.unwrap();
    assert_eq!(all.len(), 1);
    let feature = &all.first().unwrap().feature;
    assert_eq!((feature.wanted.milestone.as_deref(), feature.wanted.priority), (Some("May"), 1));
    assert_eq!(feature.stage, Stage::Cancelled, "it follows its issue");
    let history = board.store.history(&"A-1".parse().unwrap()).await.unwrap();
    let history = history.iter().map(|event| event.text.as_str()).collect::<Vec<_>>().join("\n");
    for part in [
        "Issue sample#12 was given to the team again by github:mallory.",
        "Issue sample#12 was closed by github:mallory.",
    ] {
        assert!(history.contains(part), "{part} is not in {history}");
    }
}

#[tokio::test]
async fn a_feature_follows_its_issue_for_those_who_may_and_a_task_list_becomes_its_parts() {
    let mut board = Board::new();
    let issue = |happened, body: &str, person: Option<Person>| {
        Order::Issue(Box::new(IssueEvent {
            id: "1".into(),
            repository: sample(),
            number: 12,
            happened,
            title: "It crashes".into(),
            body: body.into(),
            labels: Vec::new(),
            milestone: None,
            priority: None,
            author: qd_types::Identity { service: "github".into(), account: "somebody".into() },
            person,
        }))
    };
    let list = "- [ ] Find it\n- [x] Name it\n- [ ] Mend it";
    for order in [
        issue(IssueHappened::Assigned, "On start.", Some(ines())),
        // Who may not edit it proposes.
        issue(IssueHappened::Edited, "Give me the keys.", None),
        issue(IssueHappened::Closed, "Give me the keys.", None),
        issue(IssueHappened::Edited, list, Some(ines())),
        issue(IssueHappened::Closed, list, Some(ines())),
        issue(IssueHappened::Reopened, list, Some(ines())),
        issue(IssueHappened::Split, list, Some(ines())),
        // What is split is not split again.
        issue(IssueHappened::Split, list, Some(ines())),
    ] {
        assert_eq!(board.order(order).await, Applied::Yes);
    }
    let refused = board.order(issue(IssueHappened::Split, list, None)).await;
    assert!(matches!(refused, Applied::Refused(_)), "{refused:?}");
    let refused = board.order(issue(IssueHappened::Split, "No list.", Some(ines()))).await;
    assert!(matches!(refused, Applied::Refused(_)), "{refused:?}");
    let all = board.store.snapshots(None, 10, now()).await.unwrap();
    let mut shown: Vec<String> = all
        .iter()
        .map(|snapshot| {
            let wanted = &snapshot.feature.wanted;
            let epic = wanted.epic.as_ref().map(ToString::to_string);
            let waits: Vec<String> =
                wanted.depends_on.iter().map(|dependency| dependency.feature.to_string()).collect();
            let (id, stage) = (&snapshot.feature.id, snapshot.feature.stage);
            format!("{id} {} in {stage}, part of {epic:?}, after {waits:?}", wanted.title)
        })
        .collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    A-1 It crashes in backlog, part of None, after []
    A-2 Find it in backlog, part of Some("A-1"), after []
    A-3 Mend it in backlog, part of Some("A-1"), after ["A-2"]
    "#);
    let history = board.store.history(&"A-1".parse().unwrap()).await.unwrap();
    let proposal = history.iter().find(|event| event.text.contains("Give me the keys."));
    assert!(proposal.unwrap().text.contains("so this is a proposal"), "{proposal:?}");
}
