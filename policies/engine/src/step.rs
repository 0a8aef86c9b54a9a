//! Whether other rules of the configuration may widen rights, rule by rule, and what of them comes into force at once. It
//! is told from what the rules say, and not from a sample of requests. What can't be told counts as widening.

use qd_types::{PolicyRule, Role, RuleEffect, Verb, Way};

use crate::rules::verbs;

/// The way from the rules in force to those that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStep {
    /// The rules in force with everything of the wanted ones that only makes them stricter.
    pub now: Vec<PolicyRule>,
    /// What of the wanted rules may widen rights, a sentence without its full stop for each; empty if `now` is all of them.
    pub widens: Vec<String>,
}

impl RuleStep {
    /// From `before`, which are in force, to `wanted`. Both hold; names are unique in each.
    pub fn between(before: &[PolicyRule], wanted: &[PolicyRule]) -> Self {
        let of = |rules: &[PolicyRule], loosen: bool| -> Vec<PolicyRule> {
            rules.iter().filter(|rule| rule.loosen == loosen).cloned().collect()
        };
        let named = |rules: &[PolicyRule], name: &str| rules.iter().find(|rule| rule.name == name).cloned();
        let (strict, wanted_strict) = (of(before, false), of(wanted, false));
        let (loose, wanted_loose) = (of(before, true), of(wanted, true));
        let (mut now, mut widens) = (Vec::new(), loosened(&loose, &wanted_loose));
        let loosening = if widens.is_empty() { wanted_loose } else { loose };
        for rule in strict {
            match named(&wanted_strict, &rule.name) {
                Some(after) if is_stricter(&rule, &after) => now.push(after),
                Some(_) => {
                    widens.push(format!("the rule {} asks for less than it did, or elsewhere", rule.name));
                    now.push(rule);
                }
                None => {
                    widens.push(format!("the rule {} is gone: {}", rule.name, says(&rule)));
                    now.push(rule);
                }
            }
        }
        now.extend(loosening);
        for rule in wanted_strict {
            if named(&now, &rule.name).is_none() {
                now.push(rule);
            }
        }
        if widens.is_empty() {
            return Self { now: wanted.to_vec(), widens };
        }
        Self { now, widens }
    }
}

/// What of the loosening rules may widen rights. They count in their order, and each may take back what one before it gave.
fn loosened(before: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = before.iter();
    for rule in wanted {
        let same = |other: &&PolicyRule| same_but_reason(other, rule);
        if rest.by_ref().any(|other| same(&other)) {
            continue;
        }
        let known = before.iter().any(|other| other.name == rule.name);
        let what = if known { "loosens something else, or in another order" } else { "is new, and loosens" };
        found.push(format!("the rule {} {what}: {}", rule.name, says(rule)));
    }
    for gone in before.iter().filter(|rule| !wanted.iter().any(|other| other.name == rule.name)) {
        // The one that is gone may have been the stricter of two.
        let shares = |other: &PolicyRule| match (verbs(gone), verbs(other)) {
            (Ok(one), Ok(other)) => one.iter().any(|verb: &Verb| other.contains(verb)),
            _ => true,
        };
        if wanted.iter().any(shares) {
            found.push(format!("the rule {} is gone, and others loosen the same", gone.name));
        }
    }
    found
}

fn same_but_reason(one: &PolicyRule, other: &PolicyRule) -> bool {
    PolicyRule { reason: None, ..one.clone() } == PolicyRule { reason: None, ..other.clone() }
}

/// Whether `after`, of the same name, fits where `before` did, and asks for nothing less there.
fn is_stricter(before: &PolicyRule, after: &PolicyRule) -> bool {
    let place = |rule: &PolicyRule| {
        let (repository, branch) = (rule.repository.clone(), rule.branch.clone());
        (rule.actions.clone(), rule.team.clone(), repository, branch, rule.path.clone())
    };
    if place(before) != place(after) {
        return false;
    }
    match (before.effect, after.effect) {
        (_, RuleEffect::Deny) => true,
        (RuleEffect::Ask, RuleEffect::Ask) => {
            // What a rule leaves out is the policy's; where that asks nobody, it is what stands here.
            let count = at_least(before.quorum, after.quorum, 1);
            let way = at_least(before.way, after.way, Way::Button);
            let decide = at_most(before.decide_minutes, after.decide_minutes, 24 * 60);
            let execute = at_most(before.execute_minutes, after.execute_minutes, 60);
            let local = match (before.local_votes, after.local_votes) {
                (Some(true), _) | (_, Some(false)) => true,
                (one, other) => one == other,
            };
            count
                && way
                && decide
                && execute
                && local
                && fewer(before.roles.as_deref(), after.roles.as_deref())
        }
        _ => false,
    }
}

fn at_least<T: PartialOrd>(before: Option<T>, after: Option<T>, left_out: T) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(_), None) => false,
        (None, Some(after)) => after >= left_out,
        (Some(before), Some(after)) => after >= before,
    }
}

fn at_most(before: Option<u32>, after: Option<u32>, left_out: u32) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(_), None) => false,
        (None, Some(after)) => after <= left_out,
        (Some(before), Some(after)) => after <= before,
    }
}

fn fewer(before: Option<&[Role]>, after: Option<&[Role]>) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(_), None) => false,
        (None, Some(after)) => after.iter().all(|role| *role == Role::Owner),
        (Some(before), Some(after)) => after.iter().all(|role| before.contains(role)),
    }
}

/// What a rule says, for whoever decides on it: what it leaves out is left out here.
fn says(rule: &PolicyRule) -> String {
    let value = serde_json::to_value(rule).unwrap_or_default();
    let said =
        value.as_object().into_iter().flatten().filter(|(name, value)| {
            !value.is_null() && !matches!(name.as_str(), "name" | "reason" | "loosen")
        });
    said.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;

    fn rule(name: &str, loosen: bool, effect: RuleEffect, quorum: Option<u32>) -> PolicyRule {
        serde_json::from_value(serde_json::json!({
            "name": name, "actions": ["merge"], "effect": effect, "quorum": quorum, "loosen": loosen,
        }))
        .unwrap()
    }

    fn between(before: &[PolicyRule], wanted: &[PolicyRule]) -> (Vec<String>, String) {
        let RuleStep { now, widens } = RuleStep::between(before, wanted);
        (now.into_iter().map(|rule| rule.name).collect(), widens.join("; "))
    }

    #[test]
    fn stricter_at_once_and_looser_not() {
        use RuleEffect::{Allow, Ask, Deny};
        let (two, three) = (rule("main", false, Ask, Some(2)), rule("main", false, Ask, Some(3)));
        let (free, freeze) = (rule("free", true, Allow, None), rule("freeze", false, Deny, None));
        assert_eq!(between(&[], std::slice::from_ref(&two)), (vec!["main".into()], String::new()));
        assert!(
            RuleStep::between(std::slice::from_ref(&two), std::slice::from_ref(&three)).widens.is_empty()
        );
        assert!(between(std::slice::from_ref(&free), &[]).1.is_empty());
        insta::assert_snapshot!(between(std::slice::from_ref(&three), std::slice::from_ref(&two)).1, @"the rule main asks for less than it did, or elsewhere");
        let step = RuleStep::between(std::slice::from_ref(&three), &[free, freeze]);
        let names: Vec<&str> = step.now.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["main", "freeze"], "the freeze counts at once");
        insta::assert_snapshot!(step.widens.join("\n"), @r#"
        the rule free is new, and loosens: actions = ["merge"], effect = "allow"
        the rule main is gone: actions = ["merge"], effect = "ask", quorum = 3
        "#);
        let (one, other) = (rule("a", true, Ask, Some(1)), rule("b", true, Ask, Some(2)));
        insta::assert_snapshot!(between(&[one.clone(), other.clone()], std::slice::from_ref(&one)).1, @"the rule b is gone, and others loosen the same");
        insta::assert_snapshot!(between(&[one.clone(), other.clone()], &[other, one]).1, @r#"the rule a loosens something else, or in another order: actions = ["merge"], effect = "ask", quorum = 1"#);
    }
}
