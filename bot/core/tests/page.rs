//! What pull requests and milestones are made to show on the forge, through the one function.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use insta::assert_snapshot;
use jiff::Timestamp;
use qd_core::{
    Asking, Effect, Event, FleetState, ForgeCall, Moment, Rules, Standing, Step,
    chat::{Channel, Message, Way},
    forge::{Conclusion, ForgeError, NewIssue},
    handle,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{
    Approval, ApprovalState, Ballot, CommitId, Confirm, InstanceName, Line, Merge, Person, Role, Stage, Vote,
};
use qd_wire::v1::{
    CheckReport, FeatureReport, ForgeAct, ForgeOutcome, ForgeRequest, MilestoneProgress, Order, Report,
};

fn commit(letter: char) -> CommitId {
    letter.to_string().repeat(40).parse().unwrap()
}

fn person(name: &str) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![Role::Owner] }
}

struct Fleet(FleetState);

impl Fleet {
    fn new() -> Self {
        let teams: Vec<InstanceName> = ["alpha", "beta"].map(|name| name.parse().unwrap()).to_vec();
        let people = vec![person("ines"), person("theo")];
        let known = |person| KnownPerson { person, identities: Vec::new() };
        let facts = Facts {
            people: people.iter().cloned().map(known).collect(),
            teams: teams.clone(),
            repositories: vec!["sample".parse().unwrap()],
            ..Facts::default()
        };
        Self(FleetState::new(Rules {
            teams,
            people,
            renamed: BTreeMap::new(),
            policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
            merge_methods: BTreeMap::new(),
            read: BTreeSet::new(),
            protected: BTreeSet::new(),
            unprotected: BTreeSet::new(),
            approvals: qd_approvals::Rules::default(),
            distil: qd_core::Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
        }))
    }

    fn happens(&mut self, event: Event) -> Vec<Effect> {
        let at = Timestamp::from_second(36_840).unwrap();
        handle(&mut self.0, event, Moment { at, fresh: ulid::Ulid::from_parts(1, 1) }).effects
    }

    fn report(&mut self, report: Report) -> Vec<Effect> {
        self.happens(Event::Report { instance: "alpha".parse().unwrap(), report: Box::new(report) })
    }

    fn request(&mut self, id: &str, act: ForgeAct) -> Vec<Effect> {
        let (feature, run) = ("A-1".parse().unwrap(), "A-1.1".parse().unwrap());
        self.report(Report::ForgeRequest(ForgeRequest { id: id.into(), feature, run, act }))
    }

    fn feature(&mut self, stage: Stage, sentence: &str) -> Vec<Effect> {
        self.report(Report::Feature(FeatureReport {
            feature: "A-1".parse().unwrap(),
            title: "Split the importer".into(),
            stage,
            line: Line::default(),
            sentence: sentence.into(),
            agent: Some("claude".into()),
            pull_request: Some(7),
            merged: None,
            seconds: None,
            needs_person: false,
            spent: None,
            repository: Some("sample".parse().unwrap()),
            issue: None,
            run: None,
            question: None,
        }))
    }

    /// People are asked, as the store would take it.
    fn asked(&mut self) -> (Standing, Vec<Effect>) {
        let act = ForgeAct::AskMerge {
            merge: Merge {
                repository: "sample".parse().unwrap(),
                pull_request: 7,
                target: "main".into(),
                head: commit('4'),
                diff: "d".repeat(64),
                paths: None,
            },
            requesters: vec!["theo".parse().unwrap()],
            words: Some("Splits it. /approve".into()),
            facts: "12 files, +214 −380. Passed on exactly this commit: test.".into(),
            findings: vec![qd_wire::v1::Finding {
                path: "src/a.rs".into(),
                line: 3,
                text: "Unused @x".into(),
            }],
        };
        let effects = self.request("A-1.1/ask", act);
        let asking = effects.iter().find_map(|effect| match effect {
            Effect::Step(Step::Ask(asking)) => Some(Asking::clone(asking)),
            _ => None,
        });
        let asking = asking.unwrap();
        let standing = Standing {
            approval: Approval {
                id: "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
                digest: asking.subject.digest().unwrap(),
                subject: asking.subject.clone(),
                state: ApprovalState::Requested,
                votes: vec![],
                requested_at: Timestamp::UNIX_EPOCH,
                decided_at: None,
            },
            words: asking.words.clone(),
            reason: None,
            confirm: Confirm { way: Way::Button, typed: false },
            decide_until: None,
        };
        let result = Ok(Box::new(standing.clone()));
        (standing, self.happens(Event::Asked { asking: Box::new(asking), result }))
    }

    fn stands(&mut self, standing: &Standing, state: ApprovalState, reason: &str) -> Vec<Effect> {
        let mut standing = standing.clone();
        standing.approval.state = state;
        standing.approval.votes.push(Vote {
            approval: standing.approval.id.clone(),
            digest: standing.approval.digest.clone(),
            person: person("ines"),
            surface: "console".into(),
            ballot: if state == ApprovalState::Denied { Ballot::Deny } else { Ballot::Approve },
            reason: None,
            at: Timestamp::UNIX_EPOCH,
        });
        standing.reason = Some(reason.into());
        self.happens(Event::Stands(Box::new(standing)))
    }
}

fn calls(effects: &[Effect]) -> Vec<(&str, &ForgeCall)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Forge { key, call } => Some((key.as_str(), call)),
            _ => None,
        })
        .collect()
}

fn sticky(effects: &[Effect]) -> String {
    let found = calls(effects).into_iter().find_map(|(key, call)| match call {
        ForgeCall::Show { text, .. } => {
            assert_eq!(key, "page/sample/7", "one per pull request");
            Some(text.clone())
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no sticky comment: {effects:?}"))
}

fn card(effects: &[Effect]) -> String {
    let found = calls(effects).into_iter().find_map(|(_, call)| match call {
        ForgeCall::Card { text, number: 7, .. } => Some(text.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no card: {effects:?}"))
}

fn check(effects: &[Effect]) -> (CommitId, Conclusion, String) {
    let found = calls(effects).into_iter().find_map(|(_, call)| match call {
        ForgeCall::Check { commit, check, .. } => {
            assert_eq!(check.name, "quarterdeck");
            Some((commit.clone(), check.conclusion, check.text.clone().unwrap().title))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no check: {effects:?}"))
}

fn draft(effects: &[Effect]) -> Option<bool> {
    calls(effects).into_iter().find_map(|(_, call)| match call {
        ForgeCall::Draft { draft, .. } => Some(*draft),
        _ => None,
    })
}

#[test]
fn the_sticky_comment_says_how_it_stands_what_was_decided_and_how_to_command() {
    let mut fleet = Fleet::new();
    assert_snapshot!(sticky(&fleet.feature(Stage::Review, "Waits for people.")), @"
    **A-1 Split the importer** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` In review: pull request #7. Waits for people.

    Say here, in a comment: `/qd feature show A-1`, `/qd feature guide A-1 TEXT`, `/qd feature review A-1 TEXT`, or `/qd help`.
    ");
    let (standing, effects) = fleet.asked();
    assert_snapshot!(sticky(&effects), @"
    **A-1 Split the importer** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` In review: pull request #7. Waits for people.

    - **Merge 4444444 into main** is asked. 12 files, +214 −380. Passed on exactly this commit: test. Decide: 1 owner or reviewer, not the requester. 0 of 1 so far.

    Say here, in a comment: `/qd feature show A-1`, `/qd feature guide A-1 TEXT`, `/qd feature review A-1 TEXT`, or `/qd help`.
    ");
    let effects = fleet.stands(&standing, ApprovalState::Executed, "4f2a91c0aa");
    assert_snapshot!(sticky(&effects), @"
    **A-1 Split the importer** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` In review: pull request #7. Waits for people.

    - Merge 4444444 into main: approved by ines, merged as 4f2a91c.

    Say here, in a comment: `/qd feature show A-1`, `/qd feature guide A-1 TEXT`, `/qd feature review A-1 TEXT`, or `/qd help`.
    ");
}

#[test]
fn it_is_a_draft_while_its_agent_works_and_left_alone_when_it_is_over() {
    let mut fleet = Fleet::new();
    assert_eq!(draft(&fleet.feature(Stage::Running, "Its agent works.")), Some(true));
    assert_eq!(draft(&fleet.feature(Stage::Review, "Waits for people.")), Some(false));
    assert_eq!(draft(&fleet.feature(Stage::Done, "Merged.")), None);
}

#[test]
fn what_nothing_shows_to_work_is_opened_as_a_draft() {
    let mut fleet = Fleet::new();
    let mut opened = |passed: Option<bool>| {
        let checks = passed.map(|passed| CheckReport { name: "test".into(), passed });
        let effects = fleet.request(
            "A-1.1/pull_request",
            ForgeAct::OpenPullRequest {
                repository: "sample".parse().unwrap(),
                branch: "qd/alpha/A-1".into(),
                target: "main".into(),
                head: commit('4'),
                title: "Split the importer".into(),
                body: "Closes #3".into(),
                checks: checks.into_iter().collect(),
                labels: vec!["api".into()],
                milestone: Some("2.0".into()),
            },
        );
        let new = calls(&effects).into_iter().find_map(|(_, call)| match call {
            ForgeCall::Open { new, .. } => Some(new.clone()),
            _ => None,
        });
        new.unwrap()
    };
    assert!(opened(None).draft && opened(Some(false)).draft);
    let ready = opened(Some(true));
    assert!(!ready.draft);
    assert_eq!((ready.labels, ready.milestone), (vec!["api".to_owned()], Some("2.0".to_owned())));
}

#[test]
fn the_card_is_that_of_chat_with_how_it_is_answered_here() {
    let mut fleet = Fleet::new();
    let (standing, effects) = fleet.asked();
    let chat = effects.iter().find_map(|effect| match effect {
        Effect::Put(Message { channel: Channel::Approvals, text, .. }) => Some(text.clone()),
        _ => None,
    });
    let answer = card(&effects).strip_prefix(&chat.unwrap()).unwrap().to_owned();
    assert_snapshot!(answer.trim(), @"Say here: `/approve 01ARZ3NDEKTSV4RRFFQ69G5FAV`, or `/deny 01ARZ3NDEKTSV4RRFFQ69G5FAV` and why.");
    let decided = fleet.stands(&standing, ApprovalState::Denied, "");
    assert_snapshot!(card(&decided), @"✘ Merge 4444444 into main (A-1, alpha): Merge denied by ines.");
}

#[test]
fn the_check_is_green_by_the_grant_alone() {
    use ApprovalState as S;
    let mut fleet = Fleet::new();
    let (standing, effects) = fleet.asked();
    let mut said = vec![check(&effects)];
    for state in [S::Granted, S::Executing, S::Executed] {
        said.push(check(&fleet.stands(&standing, state, "4f2a91c0aa")));
    }
    for state in [S::Denied, S::Expired, S::Lapsed, S::Withdrawn, S::Failed, S::Unknown] {
        let mut fleet = Fleet::new();
        let (standing, _) = fleet.asked();
        let (_, conclusion, title) = check(&fleet.stands(&standing, state, "It is over."));
        assert_eq!(conclusion, Conclusion::Failure, "{state:?}: {title}");
    }
    assert!(said.iter().all(|(commit, ..)| *commit == self::commit('4')));
    let lines: Vec<String> = said.iter().map(|(_, how, title)| format!("{how:?}: {title}")).collect();
    assert_snapshot!(lines.join("\n"), @"
    Pending: Asks 1 owner or reviewer, not the requester: 0 of 1 so far
    Pending: Approved by ines. It turns green on the tested merge.
    Pending: Approved by ines. It turns green on the tested merge.
    Success: approved by ines, merged as 4f2a91c.
    ");
}

#[test]
fn a_tested_commit_that_was_not_merged_is_green_no_more() {
    let merge = |error: ForgeError| {
        let mut fleet = Fleet::new();
        let (standing, _) = fleet.asked();
        fleet.stands(&standing, ApprovalState::Granted, "");
        let approval = standing.approval.id.clone();
        let qd_types::Action::Merge(merge) = standing.approval.subject.action.clone() else { panic!() };
        let (approval_, tested, base) = (approval.clone(), commit('5'), commit('0'));
        fleet.request(
            "A-1.1/merge/1",
            ForgeAct::Merge { approval: approval_, merge, tested, base, checks: vec![] },
        );
        let effects = fleet.happens(Event::Merged { approval, result: Err(error) });
        calls(&effects).into_iter().find_map(|(_, call)| match call {
            ForgeCall::Check { commit, check, .. } => Some((commit.clone(), check.conclusion)),
            _ => None,
        })
    };
    let moved = ForgeError::BaseMoved { actual: commit('9') };
    assert_eq!(merge(moved), Some((commit('5'), Conclusion::Pending)));
    let refused = ForgeError::Refused { reason: "no".into() };
    assert_eq!(merge(refused), Some((commit('5'), Conclusion::Failure)));
    let unknown = ForgeError::Unavailable { reason: "cut".into() };
    assert_eq!(merge(unknown), None, "whether it was merged is not known");
}

#[test]
fn a_milestone_is_told_by_an_issue_in_it() {
    let mut fleet = Fleet::new();
    fleet.feature(Stage::Review, "Needs a decision on SameSite.");
    let mut progress = MilestoneProgress {
        project: "API".into(),
        milestone: "2.0".into(),
        done: 3,
        features: 5,
        percent: 60,
        due: Some("2026-12-01".parse().unwrap()),
        forecast: Some("2026-12-04".parse().unwrap()),
        repository: Some("sample".parse().unwrap()),
        blocked: vec!["A-1".parse().unwrap()],
        risks: vec!["API is 3 days late at this pace".into()],
    };
    let roll_up = |effects: &[Effect]| -> (NewIssue, String, bool) {
        let found = calls(effects).into_iter().find_map(|(_, call)| match call {
            ForgeCall::RollUp { issue, text, over } => Some((issue.clone(), text.clone(), *over)),
            _ => None,
        });
        found.unwrap()
    };
    let (issue, text, over) = roll_up(&fleet.report(Report::Milestone(progress.clone())));
    assert_eq!((issue.milestone.as_deref(), over), (Some("2.0"), false));
    assert_snapshot!(format!("{}\n{}\n\n{text}", issue.title, issue.body), @"
    2.0 (API): how far it is
    How far this milestone is stands in the comment below, which is edited as alpha goes on. The issue is closed when all of it is merged.

    **Milestone** · alpha: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    1 feature stands still:
    - A-1: Needs a decision on SameSite.
    - ⚠ API is 3 days late at this pace
    ");
    progress.done = 5;
    let (same, _, over) = roll_up(&fleet.report(Report::Milestone(progress.clone())));
    assert_eq!((same, over), (issue, true), "the same issue, which is over");
    progress.repository = None;
    assert!(calls(&fleet.report(Report::Milestone(progress))).is_empty(), "nowhere to say it");
}

#[test]
fn what_a_run_needs_of_another_team_is_an_issue_with_its_label() {
    let mut fleet = Fleet::new();
    let need = |fleet: &mut Fleet, team: &str| {
        let act = ForgeAct::OpenIssue {
            repository: "sample".parse().unwrap(),
            team: team.parse().unwrap(),
            text: "A schema for totals.\n\nCloses #1".into(),
        };
        fleet.request("A-1.1/need/1", act)
    };
    let refused = |effects: &[Effect]| {
        let reason = effects.iter().find_map(|effect| match effect {
            Effect::Tell { order, .. } => match order.as_ref() {
                Order::ForgeOutcome { outcome: ForgeOutcome::Refused { reason }, .. } => Some(reason.clone()),
                _ => None,
            },
            _ => None,
        });
        reason.unwrap()
    };
    assert_snapshot!(refused(&need(&mut fleet, "gamma")), @"There is no team gamma. There is alpha, beta.");
    assert_snapshot!(refused(&need(&mut fleet, "alpha")), @"It is alpha itself that asks. File a feature for it.");

    let effects = need(&mut fleet, "beta");
    let [(_, ForgeCall::OpenIssue { instance, request, team, issue })] = calls(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(issue.labels, ["team:beta"]);
    assert_snapshot!(issue.title, @"alpha needs beta: A schema for totals.");
    // Quoted, line by line: what the agent wrote closes no issue, and calls nobody.
    let quoted: Vec<&str> = issue.body.lines().skip(1).collect();
    assert!(quoted.iter().all(|line| line.starts_with("> ")), "{}", issue.body);
    assert!(issue.body.contains("> A schema for totals") && !issue.body.contains("#1"), "{}", issue.body);
    let (instance, request, team) = (instance.clone(), request.clone(), team.clone());
    let event =
        Event::IssueOpened { instance, request, team, issue: Box::new(issue.clone()), result: Ok(12) };
    let effects = fleet.happens(event);
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Put(message) => Some((message.about.clone().unwrap().team.to_string(), message.text.clone())),
        _ => None,
    });
    let (about, text) = told.unwrap();
    assert_eq!(about, "beta");
    assert_snapshot!(text, @"**alpha needs beta: A schema for totals.** · issue #12 of sample. Its label gives it to the team, once somebody with the right says so.");
    let opened = effects.iter().any(|effect| match effect {
        Effect::Tell { order, .. } => matches!(
            order.as_ref(),
            Order::ForgeOutcome { outcome: ForgeOutcome::IssueOpened { number: 12 }, .. }
        ),
        _ => false,
    });
    assert!(opened, "{effects:?}");
}
