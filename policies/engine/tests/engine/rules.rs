//! The configuration's rules: they tighten, or say that they loosen.

use std::{
    fmt::Write,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;
use qd_engine::{Bundle, Policies, Request, Resource};
use qd_types::{PolicyRule, Role, RuleEffect, Ruling, Verb, Way};

use crate::world::*;

fn rule(name: &str, actions: &[&str], effect: RuleEffect) -> PolicyRule {
    PolicyRule {
        name: name.into(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        team: None,
        repository: None,
        branch: None,
        path: None,
        effect,
        quorum: None,
        roles: None,
        way: None,
        decide_minutes: None,
        execute_minutes: None,
        local_votes: None,
        reason: None,
        loosen: false,
    }
}

fn ask(name: &str, actions: &[&str]) -> PolicyRule {
    rule(name, actions, RuleEffect::Ask)
}

fn refused(rule: PolicyRule) -> String {
    Policies::new(BUNDLE.clone(), &facts(), &[rule]).unwrap_err().to_string()
}

#[test]
fn a_rule_tightens_where_it_fits() {
    let mut rules = [
        PolicyRule { branch: Some("main".into()), quorum: Some(3), ..ask("main", &["merge"]) },
        PolicyRule {
            path: Some("migrations/**".into()),
            roles: Some(vec![Role::Owner]),
            ..ask("migrations", &["merge"])
        },
        PolicyRule { team: Some("alpha".parse().unwrap()), ..ask("careful", &["feature.cancel"]) },
        PolicyRule {
            reason: Some("No machines this month.".into()),
            ..rule("frozen", &["tier.provision"], RuleEffect::Deny)
        },
    ];
    rules[2].way = Some(Way::Passphrase);
    let policies = policies(&facts(), &rules);
    let mut text = String::new();
    let mut case = |request: &Request| writeln!(text, "{}", said(&policies, request)).unwrap();
    case(&agent(Verb::Merge, branch("main", true, Some(&["src/lib.rs"]))));
    case(&agent(Verb::Merge, branch("next", false, Some(&["src/lib.rs", "migrations/7/up.sql"]))));
    case(&agent(Verb::Merge, branch("next", false, None)));
    case(&agent(Verb::Merge, branch("next", false, Some(&["src/lib.rs"]))));
    case(&by("oskar", &[Role::Operator], Verb::FeatureCancel, alpha()));
    case(&by("oskar", &[Role::Operator], Verb::FeatureCancel, Resource::Team("beta".parse().unwrap())));
    case(&by("vera", &[Role::Viewer], Verb::FeatureCancel, alpha()));
    case(&agent(Verb::InfrastructureProvision, Resource::Host("rack".into())));
    insta::assert_snapshot!(text, @"
    ask 3 owners or reviewers, not the requester; button; 72h to decide, 24h to execute [main]
    ask 1 owner, not the requester; button; 72h to decide, 24h to execute [migrations]
    ask 1 owner, not the requester; button; 72h to decide, 24h to execute [migrations]
    ask 1 owner or reviewer, not the requester; button; 72h to decide, 24h to execute [merge]
    ask 1 owner, not the requester; passphrase; 24h to decide, 1h to execute [careful]
    allow [operate]
    deny: You need the role owner, manager or operator for this. You have: viewer. [none-permits]
    deny: No machines this month. [frozen]
    ");
    assert_ne!(policies.hash(), policies.bundle().hash(), "rules are part of what decides");
}

#[test]
fn a_star_is_any_branch_and_one_folder() {
    let rules = [
        PolicyRule { branch: Some("release*".into()), ..rule("release", &["merge"], RuleEffect::Deny) },
        PolicyRule { path: Some("ci/*.yml".into()), ..rule("ci", &["merge"], RuleEffect::Deny) },
    ];
    let policies = policies(&facts(), &rules);
    let by =
        |name, path: &str| policies.decide(&agent(Verb::Merge, branch(name, false, Some(&[path])))).policy;
    assert_eq!(by("release/1.2", "src/lib.rs"), "release");
    assert_eq!(by("main", "ci/test.yml"), "ci");
    assert_eq!(by("main", "ci/old/test.yml"), "merge");
}

#[test]
fn a_rule_that_loosens_has_to_say_so() {
    insta::assert_snapshot!(refused(PolicyRule { quorum: Some(1), ..ask("quick", &["merge"]) }), @"the rule quick: for merge on a protected branch 1 person would decide instead of 2, which is less strict than the policy merge.protected; ask for more, or write loosen = true");
    insta::assert_snapshot!(refused(PolicyRule { roles: Some(vec![Role::Owner, Role::Operator]), ..ask("quick", &["merge"]) }), @"the rule quick: for merge on a branch the role operator would decide too, which is less strict than the policy merge; ask for more, or write loosen = true");
    insta::assert_snapshot!(refused(PolicyRule { way: Some(Way::Reaction), ..ask("quick", &["tier.destroy"]) }), @"the rule quick: for preserved.prune on its own team a reaction would do instead of typed, which is less strict than the policy destroy; ask for more, or write loosen = true");
    insta::assert_snapshot!(refused(PolicyRule { decide_minutes: Some(60 * 24 * 9), ..ask("slow", &["merge"]) }), @"the rule slow: for merge on a branch there would be 216h to decide instead of 72h, which is less strict than the policy merge; ask for more, or write loosen = true");
    insta::assert_snapshot!(refused(PolicyRule { local_votes: Some(true), ..ask("local", &["merge"]) }), @"the rule local: for merge on a branch local votes would count, which is less strict than the policy merge; ask for more, or write loosen = true");
    insta::assert_snapshot!(refused(rule("free", &["merge"], RuleEffect::Allow)), @r#"the rule free: effect = "allow" loosens the policies: write loosen = true, or leave it out"#);
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    insta::assert_snapshot!(refused(ask("typo", &["merg"])), @r#"the rule typo: "merg" is not an action: a name like feature.add or merge; quarterdeck policy matrix lists them all"#);
    insta::assert_snapshot!(refused(ask("typo", &["tier.danger"])), @"the rule typo: there is no tier.danger; after tier. comes one of read, operate, merge, consent, provision, destroy, govern");
    insta::assert_snapshot!(refused(ask("", &["merge"])), @"the rule : it needs a name, by which decisions call it");
    insta::assert_snapshot!(refused(ask("none", &[])), @r#"the rule none: actions are empty: name some, or "*" for all"#);
    insta::assert_snapshot!(refused(PolicyRule { path: Some("src/**".into()), ..ask("never", &["feature.add"]) }), @"the rule never: feature.add never happens to a repository, branch or path, so this rule would never fit; leave them out, or name another action");
    insta::assert_snapshot!(refused(PolicyRule { path: Some("src/[".into()), ..ask("glob", &["merge"]) }), @"the rule glob: path: error parsing glob 'src/[': unclosed character class; missing ']'");
    insta::assert_snapshot!(refused(PolicyRule { quorum: Some(2), ..rule("both", &["merge"], RuleEffect::Deny) }), @r#"the rule both: quorum, roles, way, clocks and local_votes belong to effect = "ask""#);
    insta::assert_snapshot!(refused(PolicyRule { loosen: true, ..rule("both", &["merge"], RuleEffect::Deny) }), @r#"the rule both: effect = "deny" loosens nothing: leave loosen out"#);
}

#[test]
fn what_is_loosened_is_listed_and_never_more_than_meant() {
    let docs = PolicyRule {
        path: Some("docs/**".into()),
        loosen: true,
        ..rule("docs", &["merge"], RuleEffect::Allow)
    };
    let night = PolicyRule { loosen: true, quorum: Some(1), ..ask("night", &["merge"]) };
    let strict = PolicyRule { branch: Some("main".into()), quorum: Some(3), ..ask("strict", &["merge"]) };
    let policies = policies(&facts(), &[strict, night, docs]);
    let mut text = String::new();
    let mut case = |request: &Request| writeln!(text, "{}", said(&policies, request)).unwrap();
    case(&agent(Verb::Merge, branch("next", true, Some(&["docs/a.md"]))));
    case(&agent(Verb::Merge, branch("next", true, Some(&["docs/a.md", "src/lib.rs"]))));
    case(&agent(Verb::Merge, branch("next", true, None)));
    case(&agent(Verb::Merge, branch("main", true, Some(&["docs/a.md"]))));
    case(&by("vera", &[Role::Viewer], Verb::Merge, branch("next", true, Some(&["docs/a.md"]))));
    for rule in policies.loosened() {
        writeln!(text, "loosened by {}", rule.name).unwrap();
    }
    for finding in policies.check() {
        writeln!(text, "{finding}").unwrap();
    }
    insta::assert_snapshot!(text, @"
    allow [docs]
    ask 1 owner or reviewer, not the requester; button; 72h to decide, 24h to execute [night]
    ask 1 owner or reviewer, not the requester; button; 72h to decide, 24h to execute [night]
    ask 3 owners or reviewers, not the requester; button; 72h to decide, 24h to execute [strict]
    deny: You need the role owner, manager, operator or reviewer for this. You have: viewer. [none-permits]
    loosened by night
    loosened by docs
    note: rule docs: it makes the policies less strict, as loosen = true says
    note: rule night: it makes the policies less strict, as loosen = true says
    ");
}

#[test]
fn a_rule_that_asks_for_more_than_there_are_is_found() {
    let rules = [PolicyRule { quorum: Some(4), ..ask("all", &["merge"]) }];
    let findings: Vec<String> = policies(&facts(), &rules).check().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(findings.join("\n"), @"error: rule all: for merge, it asks for 4 with the role owner or reviewer, and 3 of the known people have it; give the role to more people, or ask for fewer");
}

static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| Bundle::embedded().unwrap());

fn any_rule() -> impl Strategy<Value = PolicyRule> {
    let actions = prop::sample::select(vec![
        "*",
        "merge",
        "tier.operate",
        "tier.destroy",
        "tier.consent",
        "feature.add",
    ]);
    let effect =
        prop::sample::select(vec![RuleEffect::Ask, RuleEffect::Ask, RuleEffect::Deny, RuleEffect::Allow]);
    let roles = prop::option::of(prop::sample::subsequence(Role::ALL.to_vec(), 1..=3));
    let place = (
        prop::option::of(Just("alpha")),
        prop::option::of(prop::sample::select(vec!["main", "*"])),
        prop::option::of(Just("src/**")),
    );
    let way = prop::option::of(prop::sample::select(Way::ALL.to_vec()));
    (actions, effect, roles, place, way, prop::option::of(1..4_u32), prop::option::of(1..9000_u32)).prop_map(
        |(actions, effect, roles, (team, branch, path), way, quorum, decide_minutes)| PolicyRule {
            roles,
            team: team.map(|team| team.parse().unwrap()),
            branch: branch.map(Into::into),
            path: path.map(Into::into),
            way,
            quorum,
            decide_minutes,
            ..rule("any", &[actions], effect)
        },
    )
}

fn some_requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for (name, role) in [("ines", Role::Owner), ("oskar", Role::Operator), ("vera", Role::Viewer)] {
        for verb in [Verb::FeatureAdd, Verb::PlanAccept, Verb::PreservedPrune] {
            requests.push(by(name, &[role], verb, alpha()));
        }
        requests.push(by(name, &[role], Verb::Merge, branch("main", true, None)));
    }
    for protected in [true, false] {
        for paths in [None, Some(&["src/lib.rs"][..]), Some(&["docs/a.md"][..])] {
            requests.push(agent(Verb::Merge, branch("main", protected, paths)));
        }
    }
    requests.extend([agent(Verb::FeatureAdd, alpha()), agent(Verb::ToolDestroy, tool("vm_destroy"))]);
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_rule_widens_rights_without_saying_so(rules in prop::collection::vec(any_rule(), 1..3)) {
        let rules: Vec<PolicyRule> = rules
            .into_iter()
            .enumerate()
            .map(|(index, rule)| PolicyRule { name: format!("rule-{index}"), ..rule })
            .collect();
        let plain = Policies::new(BUNDLE.clone(), &facts(), &[]).unwrap();
        // A rule that would is refused; one that is taken has to keep its promise.
        if let Ok(ruled) = Policies::new(BUNDLE.clone(), &facts(), &rules) {
            for request in some_requests() {
                match (plain.decide(&request).ruling, ruled.decide(&request).ruling) {
                    (Ruling::Allow, _) | (_, Ruling::Deny { .. }) => {}
                    (Ruling::Ask(before), Ruling::Ask(after)) => prop_assert_eq!(after.weaker_than(&before), None),
                    (before, after) => prop_assert!(false, "{:?}: {:?} became {:?}", request, before, after),
                }
            }
        }
    }
}
