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
    Policies::new(Arc::new(Bundle::embedded().unwrap()), &facts(), &[rule]).unwrap_err().to_string()
}

#[test]
fn a_rule_tightens_where_it_fits() {
    let mut rules = [
        PolicyRule { branch: Some("main".into()), quorum: Some(3), ..ask("main", &["merge"]) },
        PolicyRule { path: Some("migrations/**".into()), roles: Some(vec![Role::Owner]), ..ask("migrations", &["merge"]) },
        PolicyRule { team: Some("alpha".parse().unwrap()), ..ask("careful", &["feature.cancel"]) },
        PolicyRule { reason: Some("No machines this month.".into()), ..rule("frozen", &["tier.provision"], RuleEffect::Deny) },
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
    insta::assert_snapshot!(text, @"");
    assert_ne!(policies.hash(), policies.bundle().hash(), "rules are part of what decides");
}

#[test]
fn a_rule_that_loosens_has_to_say_so() {
    insta::assert_snapshot!(refused(PolicyRule { quorum: Some(1), ..ask("quick", &["merge"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { roles: Some(vec![Role::Owner, Role::Operator]), ..ask("quick", &["merge"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { way: Some(Way::Reaction), ..ask("quick", &["tier.destroy"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { decide_minutes: Some(60 * 24 * 9), ..ask("slow", &["merge"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { local_votes: Some(true), ..ask("local", &["merge"]) }), @"");
    insta::assert_snapshot!(refused(rule("free", &["merge"], RuleEffect::Allow)), @"");
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    insta::assert_snapshot!(refused(ask("typo", &["merg"])), @"");
    insta::assert_snapshot!(refused(ask("typo", &["tier.danger"])), @"");
    insta::assert_snapshot!(refused(ask("", &["merge"])), @"");
    insta::assert_snapshot!(refused(ask("none", &[])), @"");
    insta::assert_snapshot!(refused(PolicyRule { path: Some("src/**".into()), ..ask("never", &["feature.add"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { path: Some("src/[".into()), ..ask("glob", &["merge"]) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { quorum: Some(2), ..rule("both", &["merge"], RuleEffect::Deny) }), @"");
    insta::assert_snapshot!(refused(PolicyRule { loosen: true, ..rule("both", &["merge"], RuleEffect::Deny) }), @"");
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
    insta::assert_snapshot!(text, @"");
}

#[test]
fn a_rule_that_asks_for_more_than_there_are_is_found() {
    let rules = [PolicyRule { quorum: Some(4), ..ask("all", &["merge"]) }];
    let findings: Vec<String> = policies(&facts(), &rules).check().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(findings.join("\n"), @"");
}

static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| Arc::new(Bundle::embedded().unwrap()));

fn any_rule() -> impl Strategy<Value = PolicyRule> {
    let actions = prop::sample::select(vec!["*", "merge", "tier.operate", "tier.destroy", "tier.consent", "feature.add"]);
    let effect = prop::sample::select(vec![RuleEffect::Ask, RuleEffect::Ask, RuleEffect::Deny, RuleEffect::Allow]);
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
