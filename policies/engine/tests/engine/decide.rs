//! Single decisions: who is asked, what an error means, what is not known.

use std::{fmt::Write, sync::Arc};

use proptest::prelude::*;
use qd_engine::{Bundle, Facts, KnownTool, Policies, Principal, Request, Resource};
use qd_types::{Role, Ruling, Target, Tier, Verb};

use crate::world::*;

#[test]
fn the_table_of_the_design() {
    let policies = policies(&facts(), &[]);
    let mut text = String::new();
    let mut case = |request: &Request| writeln!(text, "{}", said(&policies, request)).unwrap();
    case(&agent(Verb::RunView, alpha()));
    case(&by("oskar", &[Role::Operator], Verb::RunStop, alpha()));
    case(&agent(Verb::FeatureAdd, alpha()));
    case(&Request::new(Principal::Team("alpha".parse().unwrap()), Verb::Merge, branch("next", false, None)));
    case(&agent(Verb::Merge, branch("main", true, None)));
    case(&agent(Verb::PlanAccept, alpha()));
    case(&by("mira", &[Role::Manager], Verb::PlanAccept, alpha()));
    case(&agent(Verb::QuestionAnswer, alpha()));
    case(&agent(Verb::InfrastructureProvision, Resource::Host("rack".into())));
    case(&agent(Verb::ToolDestroy, tool("vm_destroy")));
    case(&by("ines", &[Role::Owner], Verb::PolicyChange, Resource::Fleet));
    insta::assert_snapshot!(text, @"
    allow [read.work]
    allow [operate]
    ask 1 operator, not the requester; reaction; 24h to decide, 1h to execute [operate.ask]
    ask 1 owner or reviewer, not the requester; button; 72h to decide, 24h to execute [merge]
    ask 2 owners or reviewers, not the requester; button; 72h to decide, 24h to execute [merge.protected]
    ask 1 manager, not the requester; button; 72h to decide, 24h to execute [consent.ask]
    allow [consent]
    ask 1 owner or manager or operator or reviewer, not the requester; button; 72h to decide, 24h to execute [consent.question]
    ask 1 manager, not the requester; button; 24h to decide, 1h to execute [provision]
    ask 2 owners, not the requester; typed; 24h to decide, 15m to execute [destroy]
    ask 2 owners, not the requester; typed; 24h to decide, 1h to execute [govern]
    ");
}

#[test]
fn a_denial_says_why_and_by_which_policy() {
    let policies = policies(&facts(), &[]);
    let mut text = String::new();
    let mut case = |request: &Request| writeln!(text, "{}", said(&policies, request)).unwrap();
    case(&by("vera", &[Role::Viewer], Verb::FeatureAdd, alpha()));
    case(&by("nobody", &[Role::Owner], Verb::FeatureAdd, alpha()));
    case(&by("vera", &[Role::Owner], Verb::FeatureAdd, alpha()));
    case(&by("ines", &[], Verb::FeatureAdd, alpha()));
    case(&by("ines", &[Role::Owner], Verb::FeatureAdd, Resource::Team("gamma".parse().unwrap())));
    case(&by("ines", &[Role::Owner], Verb::FeatureAdd, Resource::Fleet));
    case(&agent(Verb::ApprovalVote, alpha()));
    case(&agent(Verb::FeatureAdd, Resource::Team("beta".parse().unwrap())));
    case(&agent(Verb::ToolRead, tool("vm_destroy")));
    case(&agent(Verb::PolicyChange, Resource::Fleet));
    case(&agent(Verb::ToolRead, tool("vm_list'\") || true")));
    insta::assert_snapshot!(text, @r#"
    deny: You need the role owner, manager or operator for this. You have: viewer. [none-permits]
    deny: nobody is not known here. [unknown]
    deny: You need the role owner, manager or operator for this. You have: none. [none-permits]
    deny: You need the role owner, manager or operator for this. You have: none. [none-permits]
    deny: There is no team gamma here. [unknown]
    deny: The request could not be evaluated: feature.add is not something to do to the fleet. [failed]
    deny: Only people decide on approvals. [never.decide]
    deny: A team and its agents neither see nor change another team's board. [never.other-team]
    deny: A tool is called in its own tier. [never.other-tier]
    deny: An agent never changes who may do what. [never.govern]
    deny: There is no tool vm_list'") || true of pve here. [unknown]
    "#);
}

#[test]
fn roles_that_are_not_asserted_do_not_count() {
    let all =
        |roles: &[Role]| Facts { people: vec![known("ines", roles), known("olaf", &Role::ALL)], ..facts() };
    // A policy that names people and things itself sees them all the same.
    let extra = r#"@id("named") @reason("Not while Olaf reviews.")
        forbid (principal is Person, action == Action::"run.stop", resource)
        unless { Person::"olaf" in Role::"reviewer" && Vm::"vm-7" in Host::"rack" };"#;
    let bundle = Arc::new(Bundle::load(&with(extra)).unwrap());
    let whole = Policies::new(bundle.clone(), &all(&Role::ALL), &[]).unwrap();
    for roles in [&[][..], &[Role::Viewer], &[Role::Reviewer], &[Role::Manager, Role::Viewer], &[Role::Owner]]
    {
        let exact = Policies::new(bundle.clone(), &all(roles), &[]).unwrap();
        for verb in Verb::ALL {
            let resource = match verb.target() {
                Target::Fleet => Resource::Fleet,
                Target::Team => alpha(),
                Target::Repository => Resource::Repository("sample".parse().unwrap()),
                Target::Branch => branch("main", true, None),
                Target::Tool => tool("vm_destroy"),
                Target::Server => Resource::Server("pve".into()),
                Target::Host => Resource::Host("rack".into()),
                Target::Vm => Resource::Vm("vm-7".into()),
            };
            let request = by("ines", roles, *verb, resource);
            assert_eq!(whole.decide(&request), exact.decide(&request), "{verb} as {roles:?}");
        }
    }
}

#[test]
fn solo_lifts_a_merge_but_destroys_nothing_with_two() {
    let mut facts = Facts { solo: true, ..facts() };
    let mut text = String::new();
    let all = [Role::Owner, Role::Manager, Role::Operator];
    for people in [vec![known("ines", &all)], vec![known("ines", &all), known("olaf", &[Role::Owner])]] {
        writeln!(text, "{} in the fleet", people.len()).unwrap();
        facts.people = people;
        let policies = policies(&facts, &[]);
        let requests = [
            agent(Verb::Merge, branch("main", true, None)),
            agent(Verb::InfrastructureProvision, Resource::Host("rack".into())),
            agent(Verb::InfrastructureDestroy, Resource::Vm("vm-7".into())),
            by("ines", &all, Verb::PolicyChange, Resource::Fleet),
        ];
        for request in requests {
            writeln!(text, "  {}: {}", request.verb, said(&policies, &request)).unwrap();
        }
    }
    insta::assert_snapshot!(text, @"
    1 in the fleet
      merge: ask 1 owner or reviewer (solo: the requester may decide); button; 72h to decide, 24h to execute [merge.protected]
      infrastructure.provision: ask 1 manager (solo: the requester may decide); button; 24h to decide, 1h to execute [provision]
      infrastructure.destroy: ask 1 owner (solo: the requester may decide); typed; 24h to decide, 15m to execute [destroy]
      policy.change: ask 1 owner (solo: the requester may decide); typed; 24h to decide, 1h to execute [govern]
    2 in the fleet
      merge: ask 1 owner or reviewer (solo: the requester may decide); button; 72h to decide, 24h to execute [merge.protected]
      infrastructure.provision: ask 1 manager, not the requester; button; 24h to decide, 1h to execute [provision]
      infrastructure.destroy: ask 2 owners, not the requester; typed; 24h to decide, 15m to execute [destroy]
      policy.change: ask 1 owner (solo: the requester may decide); typed; 24h to decide, 1h to execute [govern]
    ");
}

#[test]
fn no_policy_makes_solo_destroy_on_one_word_of_two() {
    let mut lax = files();
    let destroy = lax.get_mut("tiers/destroy.cedar").unwrap();
    *destroy = destroy.replace("@solo(\"alone\")", "@solo(\"one\")");
    let facts = Facts { solo: true, ..facts() };
    let policies = Policies::new(Arc::new(Bundle::load(&lax).unwrap()), &facts, &[]).unwrap();
    insta::assert_snapshot!(said(&policies, &agent(Verb::ToolDestroy, tool("vm_destroy"))), @"ask 2 owners, not the requester; typed; 24h to decide, 15m to execute [destroy]");
}

#[test]
fn a_policy_names_the_channel_of_a_tool() {
    let extra = r#"
        @id("quiet") @reason("Nothing of incidents leaves its channel.")
        forbid (principal, action in Action::"tool", resource)
        when { context has channel && context.channel == "incidents" };"#;
    let bundle = Arc::new(Bundle::load(&with(extra)).unwrap());
    let policies = Policies::new(bundle, &facts(), &[]).unwrap();
    let within = |channel: &str| Resource::ToolIn {
        server: "pve".into(),
        name: "vm_list".into(),
        channel: channel.into(),
    };
    let list = |resource| said(&policies, &agent(Verb::ToolRead, resource));
    insta::assert_snapshot!(list(within("incidents")), @"deny: Nothing of incidents leaves its channel. [quiet]");
    assert_eq!(list(within("dev")), list(tool("vm_list")), "the tool is the same, wherever it is called");
    assert!(list(within("dev")).starts_with("allow"), "{}", list(within("dev")));
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    // Cedar alone would skip this forbid, and the permit beside it would decide.
    let extra = r#"
        @id("ghost") @reason("Never.")
        forbid (principal, action == Action::"feature.add", resource) when { Person::"ghost".name == "x" };"#;
    let bundle = Arc::new(Bundle::load(&with(extra)).unwrap());
    let policies = Policies::new(bundle, &facts(), &[]).unwrap();
    let request = by("ines", &[Role::Owner], Verb::FeatureAdd, alpha());
    insta::assert_snapshot!(said(&policies, &request), @r#"deny: The policy ghost could not be evaluated: entity `Person::"ghost"` does not exist. [ghost]"#);
    assert_eq!(
        policies.decide(&by("ines", &[Role::Owner], Verb::FeatureEdit, alpha())).ruling,
        Ruling::Allow
    );
}

#[test]
fn an_error_of_the_second_look_denies_too() {
    let extra = r#"
        @id("ghost") @reason("Never.") @quorum("1") @roles("owner") @way("button") @decide_by("1h") @execute_by("1h")
        @local_votes("no") @solo("never")
        permit (principal, action == Action::"merge", resource)
        when { context.approved && Person::"ghost".name == "x" };"#;
    let bundle = Arc::new(Bundle::load(&with(extra)).unwrap());
    let policies = Policies::new(bundle, &facts(), &[]).unwrap();
    insta::assert_snapshot!(said(&policies, &agent(Verb::Merge, branch("main", true, None))), @r#"deny: The policy ghost could not be evaluated: entity `Person::"ghost"` does not exist. [ghost]"#);
}

#[test]
fn two_policies_that_ask_are_both_heard() {
    let extra = |roles: &str| {
        format!(
            r#"@id("money") @reason("It touches money.") @quorum("1") @roles("{roles}") @way("typed") @decide_by("1h")
               @execute_by("48h") @local_votes("no") @solo("never")
               permit (principal, action == Action::"merge", resource) when {{ context.approved }};"#
        )
    };
    let said_with = |roles| {
        let bundle = Arc::new(Bundle::load(&with(&extra(roles))).unwrap());
        let policies = Policies::new(bundle, &facts(), &[]).unwrap();
        said(&policies, &agent(Verb::Merge, branch("main", true, None)))
    };
    insta::assert_snapshot!(said_with("owner, manager"), @"ask 2 owners, not the requester; typed; 1h to decide, 24h to execute [merge.protected+money]");
    insta::assert_snapshot!(said_with("manager"), @"deny: The policies merge.protected+money together leave nobody who may decide. [merge.protected+money]");
}

#[test]
fn an_explanation_says_what_would_change_it() {
    let policies = policies(&facts(), &[]);
    insta::assert_snapshot!(hashless(&policies.explain(&by("vera", &[Role::Viewer], Verb::PlanAccept, alpha()))), @"
    vera (viewer), plan.accept on team alpha
      denied: You need the role owner, manager or operator for this. You have: viewer.
      with the role owner, manager or operator as well, it would be allowed
    ");
    insta::assert_snapshot!(hashless(&policies.explain(&by("ines", &[Role::Owner], Verb::Merge, branch("main", true, None)))), @"
    ines (owner), merge on branch main of sample, protected
      asks 2 owners or reviewers, not the requester; button; 72h to decide, 24h to execute
      by policy merge.protected (tiers/merge.cedar:23): A merge into a protected branch needs two owners or reviewers.
      once approved, it is allowed
    ");
    insta::assert_snapshot!(hashless(&policies.explain(&agent(Verb::PolicyChange, Resource::Fleet))), @"
    agent claude of alpha, policy.change on the fleet
      denied: An agent never changes who may do what.
      by policy never.govern (tiers/never.cedar:8): An agent never changes who may do what.
    ");
}

fn hashless(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("  policies ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn quorums_out_of_reach_are_found() {
    let few = Facts { people: vec![known("ines", &[Role::Owner, Role::Manager])], ..facts() };
    let findings: Vec<String> = policies(&few, &[]).check().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(findings.join("\n"), @"
    error: tiers/destroy.cedar:3: policy destroy: it asks for 2 with the role owner, and 1 of the known people have it; give the role to more people, or ask for fewer
    error: tiers/govern.cedar:15: policy govern.enrol: it asks for 2 with the role owner, and 1 of the known people have it; give the role to more people, or ask for fewer
    error: tiers/govern.cedar:3: policy govern: it asks for 2 with the role owner, and 1 of the known people have it; give the role to more people, or ask for fewer
    error: tiers/merge.cedar:23: policy merge.protected: it asks for 2 with the role owner or reviewer, and 1 of the known people have it; give the role to more people, or ask for fewer
    error: tiers/merge.cedar:44: policy merge.tool: it asks for 2 with the role owner or reviewer, and 1 of the known people have it; give the role to more people, or ask for fewer
    error: tiers/operate.cedar:37: policy operate.ask: it asks for 1 with the role operator, and 0 of the known people have it; give the role to more people, or ask for fewer
    ");
    let solo = Facts {
        solo: true,
        people: vec![known("ines", &[Role::Owner, Role::Manager, Role::Operator])],
        ..few
    };
    assert_eq!(policies(&solo, &[]).check(), []);
}

#[test]
fn a_server_name_has_no_slash() {
    let tool = KnownTool { server: "a/b".into(), name: "c".into(), tier: Tier::Read };
    let odd = Facts { tools: vec![tool], ..facts() };
    let error = Policies::new(Bundle::embedded().unwrap(), &odd, &[]).unwrap_err();
    insta::assert_snapshot!(error, @r#"the tool server "a/b" has a slash in its name: name it without one"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Names are data: no character of them is ever read as policy.
    #[test]
    fn any_name_stays_a_name(names in prop::collection::hash_set("\\PC{1,12}|[\"\\\\'\n\u{0}/:]{1,4}", 2..5)) {
        let names: Vec<String> = names.into_iter().collect();
        let tools = names.iter().map(|name| KnownTool { server: "odd".into(), name: name.clone(), tier: Tier::Read });
        let facts = Facts {
            tools: tools.collect(),
            hosts: names.clone(),
            vms: vec![],
            agents: names.iter().map(|name| ("alpha".parse().unwrap(), name.clone())).collect(),
            ..facts()
        };
        let policies = policies(&facts, &[]);
        for name in &names {
            let agent = Principal::Agent { team: "alpha".parse().unwrap(), name: name.clone() };
            let of = |name: &str| Resource::Tool { server: "odd".into(), name: name.to_owned() };
            let ruling = |verb, resource| policies.decide(&Request::new(agent.clone(), verb, resource)).ruling;
            prop_assert_eq!(ruling(Verb::ToolRead, of(name)), Ruling::Allow);
            prop_assert_eq!(ruling(Verb::InfrastructureView, Resource::Host(name.clone())), Ruling::Allow);
            let other = format!("{name}x");
            if !names.contains(&other) {
                prop_assert!(matches!(ruling(Verb::ToolRead, of(&other)), Ruling::Deny { .. }), "{}", other);
            }
        }
    }
}
