//! What people want done with features and teams, and what they ask of milestones, projects and the trail, through the one
//! function: what they are answered, and what the team is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use qd_core::{
    Effect, Event, FleetState, Handled, Moment, Rules,
    chat::{Given, Proof},
    handle, presence,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{Line, Person, Role, Stage};
use qd_wire::v1::{
    BoardDigest, FeatureReport, Heartbeat, MilestoneProgress, Order, Report, TeamLimits, Told,
};

fn person(name: &str, role: Role) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![role] }
}

fn people() -> Vec<Person> {
    vec![person("olaf", Role::Operator), person("vera", Role::Viewer)]
}

/// Two teams of which nothing is known. The policies take long to make.
fn fresh() -> FleetState {
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let teams = vec!["alpha".parse().unwrap(), "delta".parse().unwrap()];
    let facts =
        Facts { people: people().into_iter().map(known).collect(), teams: teams.clone(), ..Facts::default() };
    FleetState::new(Rules {
        teams,
        people: people(),
        renamed: BTreeMap::new(),
        policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules::default(),
        distil: qd_core::Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
    })
}

struct Fleet {
    state: FleetState,
    at: Timestamp,
}

impl Fleet {
    fn new() -> Self {
        static FRESH: LazyLock<FleetState> = LazyLock::new(fresh);
        let mut state = FRESH.clone();
        let at = "2026-11-21T08:14:00Z".parse().unwrap();
        state.listens = presence::Listens::from(at);
        Self { state, at }
    }

    fn happens(&mut self, event: Event) -> Handled {
        handle(&mut self.state, event, Moment { at: self.at, fresh: ulid::Ulid::from_parts(1, 1) })
    }

    fn report(&mut self, team: &str, report: Report) {
        self.happens(Event::Report { instance: team.parse().unwrap(), report: Box::new(report) });
    }

    fn feature(&mut self, id: &str, change: impl FnOnce(&mut FeatureReport)) {
        let mut report = FeatureReport {
            feature: id.parse().unwrap(),
            title: "Split it".into(),
            stage: Stage::Backlog,
            line: Line::default(),
            sentence: "In the backlog.".into(),
            agent: None,
            pull_request: None,
            merged: None,
            seconds: None,
            needs_person: false,
            spent: None,
            repository: None,
            issue: None,
            run: None,
            question: None,
        };
        change(&mut report);
        self.report("alpha", Report::Feature(report));
    }

    fn beat(&mut self, limits: Option<TeamLimits>) {
        let board = BoardDigest { limits, ..BoardDigest::default() };
        let beat = Heartbeat { at: self.at, beat_seconds: 15, runs: 0, board };
        self.report("alpha", Report::Heartbeat(Box::new(beat)));
    }

    fn milestone(&mut self, team: &str, project: &str, milestone: &str, due: Option<&str>) {
        self.report(
            team,
            Report::Milestone(MilestoneProgress {
                project: project.into(),
                milestone: milestone.into(),
                done: 3,
                features: 5,
                percent: 60,
                due: due.map(|due| due.parse().unwrap()),
                forecast: due.map(|_| "2026-12-04".parse().unwrap()),
                repository: None,
                blocked: due.iter().map(|_| "A-1".parse().unwrap()).collect(),
                risks: due.iter().map(|_| "2.0 is late at this pace.".into()).collect(),
            }),
        );
    }

    /// What the team is told, and the person.
    fn says(&mut self, text: &str) -> String {
        self.says_as("olaf", text)
    }

    fn says_as(&mut self, name: &str, text: &str) -> String {
        let person = people().into_iter().find(|person| person.id.as_str() == name).unwrap();
        let given = Given::on_console(Proof::SignedIn);
        let done = self.happens(Event::Command { person, given, text: text.into() });
        let told = done.effects.iter().filter_map(|effect| match effect {
            Effect::Tell { to, order, .. } => match &**order {
                Order::Command { command, .. } => {
                    Some(format!("{to}: {}", serde_json::to_string(command).unwrap()))
                }
                Order::Trail { of, .. } => Some(format!("{to}: the trail of {of}")),
                other => Some(format!("{to}: {other:?}")),
            },
            _ => None,
        });
        let asks = done.trail.iter().map(|of| format!("(the bot's trail of {of})"));
        told.chain(asks).chain(done.reply.clone()).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn each_field_is_edited_as_the_board_takes_it() {
    let mut fleet = Fleet::new();
    fleet.beat(None);
    fleet.feature("A-1", |_| {});
    let edits = [
        "title Split the importer",
        "description It is too big.\nSplit it.",
        "description none",
        "priority 0",
        "labels api, Import ,",
        "labels none",
        "size XL",
        "size none",
        "project API",
        "milestone None",
        "due 2026-12-24",
        "due none",
    ];
    let told: Vec<String> =
        edits.iter().map(|edit| fleet.says(&format!("feature edit A-1 {edit}"))).collect();
    insta::assert_snapshot!(told.join("\n").replace("\nSent to alpha.", ""), @r#"
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"title":"Split the importer"}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"description":"It is too big.\nSplit it."}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"description":""}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"priority":0}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"labels":["api","Import"]}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"labels":[]}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"size":"xl"}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"size":null}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"project":"API"}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"milestone":null}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"due":"2026-12-24"}}
    alpha: {"command":"edit_feature","feature":"A-1","version":null,"fields":{"due":null}}
    "#);
    insta::assert_snapshot!(fleet.says("feature edit A-9 priority 0"), @"No team has reported a feature A-9. Did you mean A-1?");
}

#[test]
fn what_has_nothing_to_stop_or_to_take_back_says_so() {
    let mut fleet = Fleet::new();
    fleet.beat(None);
    fleet.feature("A-1", |_| {});
    insta::assert_snapshot!(fleet.says("feature stop A-1"), @"No run works on A-1: there is nothing to stop.");
    insta::assert_snapshot!(fleet.says("feature revert A-1"), @"A-1 is not merged: there is nothing to take back.");
    fleet.feature("A-1", |report| {
        report.stage = Stage::Running;
        report.run = Some("A-1.2".parse().unwrap());
    });
    insta::assert_snapshot!(fleet.says("feature stop A-1"), @r#"
    alpha: {"command":"stop","run":"A-1.2"}
    Sent to alpha.
    "#);
    fleet.feature("A-1", |report| {
        report.stage = Stage::Done;
        report.merged = Some("ab".repeat(20).parse().unwrap());
    });
    insta::assert_snapshot!(fleet.says("feature revert A-1 It is slow"), @r#"
    alpha: {"command":"revert_feature","feature":"A-1","why":"It is slow"}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says("feature revert A-1"), @r#"
    alpha: {"command":"revert_feature","feature":"A-1","why":null}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says_as("vera", "feature stop A-1"), @"No run works on A-1: there is nothing to stop.");
    insta::assert_snapshot!(fleet.says_as("vera", "feature revert A-1"), @"You need the role owner, manager or operator for this. You have: viewer. Who may: olaf.");
}

#[test]
fn a_goal_is_filed_and_what_comes_of_it_is_said() {
    let mut fleet = Fleet::new();
    fleet.beat(None);
    insta::assert_snapshot!(fleet.says("plan Faster imports"), @"Say for which team, with one of alpha, delta.");
    insta::assert_snapshot!(fleet.says("plan --team alpha Faster imports"), @r#"
    alpha: {"command":"add_feature","title":"Faster imports","stage":"ready","work":{"repository":null,"description":"","priority":null,"labels":[],"issue":null,"plan":"goal"}}
    Sent to alpha. An agent proposes features for it. People accept them on the team's page, or with quarterdeck plan; then they are filed.
    "#);
    insta::assert_snapshot!(fleet.says("plan --team alpha --page Faster imports"), @r#"
    alpha: {"command":"add_feature","title":"Faster imports","stage":"ready","work":{"repository":null,"description":"","priority":null,"labels":[],"issue":null,"plan":"page"}}
    Sent to alpha. An agent proposes features for it as a page, by pull request. They are filed when that is merged.
    "#);
    insta::assert_snapshot!(fleet.says("plan --team gamma Faster imports"), @"There is no team gamma. There is alpha, delta.");
    insta::assert_snapshot!(fleet.says_as("vera", "plan --team alpha Faster imports"), @"You need the role owner, manager or operator for this. You have: viewer. Who may: olaf.");
}

#[test]
fn milestones_and_projects_are_as_teams_reported_them() {
    let mut fleet = Fleet::new();
    insta::assert_snapshot!(fleet.says("milestone"), @"No team has reported a milestone.");
    insta::assert_snapshot!(fleet.says("project"), @"No team has reported a project with milestones.");
    insta::assert_snapshot!(fleet.says("project API"), @"No team has reported a project with milestones.");
    insta::assert_snapshot!(fleet.says("milestone gamma"), @"There is no team gamma. There is alpha, delta.");
    fleet.feature("A-1", |report| report.sentence = "Checks are red. Needs a person.".into());
    fleet.milestone("alpha", "API", "later", None);
    fleet.milestone("alpha", "API", "2.0", Some("2026-12-01"));
    fleet.milestone("delta", "Site", "launch", None);
    insta::assert_snapshot!(fleet.says("milestone"), @"
    **Milestone** · alpha: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    1 feature stands still:
    - A-1: Checks are red. Needs a person.
    - ⚠ 2.0 is late at this pace.
    **Milestone** · alpha: API later: 60 %, 3 of 5 merged
    **Milestone** · delta: Site launch: 60 %, 3 of 5 merged
    ");
    insta::assert_snapshot!(fleet.says("milestone delta"), @"**Milestone** · delta: Site launch: 60 %, 3 of 5 merged");
    insta::assert_snapshot!(fleet.says("project"), @"
    **API** · alpha: 6 of 10 merged in 2 milestones
    **Site** · delta: 3 of 5 merged in 1 milestone
    ");
    insta::assert_snapshot!(fleet.says("project api"), @"
    **API** · alpha: 6 of 10 merged in 2 milestones
    **Milestone** · alpha: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    1 feature stands still:
    - A-1: Checks are red. Needs a person.
    - ⚠ 2.0 is late at this pace.
    **Milestone** · alpha: API later: 60 %, 3 of 5 merged
    ");
    insta::assert_snapshot!(fleet.says("project Apo"), @"No team has reported a project Apo. There is API, Site.");
}

#[test]
fn limits_are_as_the_team_beats_and_lowered_by_order() {
    let mut fleet = Fleet::new();
    insta::assert_snapshot!(fleet.says("team limits alpha"), @"alpha has not said yet how much it does at once.");
    let limits = TeamLimits {
        slots: 1,
        configured_slots: 2,
        taken: 1,
        reviews: None,
        configured_reviews: None,
        in_review: 3,
        lowered: vec!["olaf lowered the runs.".into()],
    };
    fleet.beat(Some(limits));
    insta::assert_snapshot!(fleet.says("team limits alpha"), @"
    alpha: 1 of 1 slots are taken. The configuration has 2.
    In review: 3. Nothing new starts from: no limit. The configuration has no limit.
    olaf lowered the runs.
    ");
    insta::assert_snapshot!(fleet.says("team limits alpha slots 1"), @r#"
    alpha: {"command":"limit_team","limit":"slots","most":1}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says("team limits alpha reviews default"), @r#"
    alpha: {"command":"limit_team","limit":"reviews","most":null}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says("team limits gamma"), @"There is no team gamma. There is alpha, delta.");
    insta::assert_snapshot!(fleet.says("team limits gamma slots 1"), @"There is no team gamma. There is alpha, delta.");
    insta::assert_snapshot!(fleet.says_as("vera", "team limits alpha slots 1"), @"You need the role owner, manager or operator for this. You have: viewer. Who may: olaf.");
    insta::assert_snapshot!(fleet.says("team release alpha"), @r#"
    alpha: {"command":"release","count":null}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says("team release alpha 2"), @r#"
    alpha: {"command":"release","count":2}
    Sent to alpha.
    "#);
    insta::assert_snapshot!(fleet.says_as("vera", "team release alpha"), @"You need the role owner, manager or operator for this. You have: viewer. Who may: olaf.");
}

#[test]
fn what_came_of_an_order_is_told_once() {
    let mut fleet = Fleet::new();
    let text = "Released 2 features: A-1, A-2.\nWith *more*.".into();
    let olaf = people().remove(0).id;
    fleet.report("alpha", Report::Told(Told { person: olaf.clone(), text }));
    let collect = || Event::Collect { person: olaf.clone(), of: None };
    insta::assert_snapshot!(fleet.happens(collect()).reply.unwrap(), @r#"
    alpha: Released 2 features: A-1, A-2.
    With \*more\*.
    "#);
    assert_eq!(fleet.happens(collect()).reply, None);
}

#[test]
fn the_trail_is_asked_of_the_bot_and_of_the_team_that_has_it() {
    let mut fleet = Fleet::new();
    fleet.beat(None);
    fleet.feature("A-1", |_| {});
    insta::assert_snapshot!(fleet.says("audit show A-1"), @"
    alpha: the trail of A-1
    (the bot's trail of A-1)
    Its team's own trail: Sent to alpha. What alpha says comes with the next answer that you get.
    ");
    insta::assert_snapshot!(fleet.says("audit show A-1.2"), @"
    alpha: the trail of A-1.2
    (the bot's trail of A-1.2)
    Its team's own trail: Sent to alpha. What alpha says comes with the next answer that you get.
    ");
    insta::assert_snapshot!(fleet.says("audit show A-9"), @"No team has reported a feature A-9. Did you mean A-1?");
    insta::assert_snapshot!(fleet.says("audit show 01ARZ3"), @"Nothing is known under 01ARZ3: it takes the id of a feature, a run or an approval.");
}
