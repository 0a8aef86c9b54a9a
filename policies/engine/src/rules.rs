//! The configuration's rules on top of a bundle. First the loosening ones, then the rest, so that a stricter rule always
//! has the last word. A rule without `loosen` is held against the bundle when it is loaded, and at every decision only
//! what is stricter of both counts.

use globset::{GlobBuilder, GlobMatcher};
use jiff::SignedDuration;
use qd_types::{Ask, Class, PolicyRule, Requirement, Role, RuleEffect, Ruling, Target, Verb, Way};

use crate::{
    annotations::{Fleet, Solo},
    bundle::Bundle,
    policies::Verdict,
    request::{Branch, Request, Resource},
};

/// Why a rule is refused. The rule's name comes first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rule {rule}: {text}")]
pub struct RuleError {
    /// Its name.
    pub rule: String,
    /// What is wrong with it, and the way out.
    pub text: String,
}

/// Rules that hold.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    written: Vec<PolicyRule>,
    compiled: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    rule: PolicyRule,
    verbs: Vec<Verb>,
    branch: Option<GlobMatcher>,
    path: Option<GlobMatcher>,
}

impl Rules {
    pub(crate) fn new(written: &[PolicyRule], bundle: &Bundle) -> Result<Self, RuleError> {
        let mut compiled: Vec<Compiled> = Vec::new();
        for rule in written {
            let refuse = |text: String| RuleError { rule: rule.name.clone(), text };
            if compiled.iter().any(|other| other.rule.name == rule.name) {
                return Err(refuse("there are two of this name: name them apart".into()));
            }
            let one = Compiled::new(rule).map_err(refuse)?;
            one.hold_against(bundle).map_err(refuse)?;
            compiled.push(one);
        }
        // Loosening first; in the order of the file otherwise.
        compiled.sort_by_key(|one| !one.rule.loosen);
        Ok(Self { written: written.to_vec(), compiled })
    }

    pub(crate) fn written(&self) -> &[PolicyRule] {
        &self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// For the hash.
    pub(crate) fn canonical(&self) -> String {
        format!("{:?}", self.written)
    }

    /// The verdict after all rules that fit.
    pub(crate) fn apply(&self, request: &Request, base: Verdict, fleet: Fleet) -> Verdict {
        let fitting = self.compiled.iter().filter(|one| one.fits(request));
        let bundle = base.0.clone();
        fitting.fold(base, |verdict, one| one.apply(request.verb, &bundle, verdict, fleet))
    }

    /// The verdict after one rule alone, wherever it is; `None` if the rule is not about the action.
    pub(crate) fn apply_one(&self, name: &str, verb: Verb, base: Verdict, fleet: Fleet) -> Option<Verdict> {
        let one = self.compiled.iter().find(|one| one.rule.name == name)?;
        let bundle = base.0.clone();
        one.verbs.contains(&verb).then(|| one.apply(verb, &bundle, base, fleet))
    }
}

impl Compiled {
    fn new(rule: &PolicyRule) -> Result<Self, String> {
        let glob = |name: &str, text: &Option<String>, folders: bool| {
            text.as_ref()
                .map(|text| {
                    // In a path a star stays within a folder, and two stars don't; in a branch it is anything.
                    let glob = GlobBuilder::new(text).literal_separator(folders).build();
                    glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("{name}: {error}"))
                })
                .transpose()
        };
        let one = Self {
            verbs: verbs(rule)?,
            branch: glob("branch", &rule.branch, false)?,
            path: glob("path", &rule.path, true)?,
            rule: rule.clone(),
        };
        if rule.name.trim().is_empty() {
            return Err("it needs a name, by which decisions call it".into());
        }
        if rule.quorum == Some(0) {
            return Err("quorum is at least 1".into());
        }
        if rule.roles.as_ref().is_some_and(Vec::is_empty) {
            return Err("roles are empty: nobody could decide; effect = \"deny\" says that".into());
        }
        if rule.decide_minutes == Some(0) || rule.execute_minutes == Some(0) {
            return Err("decide_minutes and execute_minutes are at least 1".into());
        }
        if rule.effect != RuleEffect::Ask && one.has_fields() {
            return Err("quorum, roles, way, clocks and local_votes belong to effect = \"ask\"".into());
        }
        if rule.effect == RuleEffect::Allow && !rule.loosen {
            return Err(
                "effect = \"allow\" loosens the policies: write loosen = true, or leave it out".into()
            );
        }
        if rule.effect == RuleEffect::Deny && rule.loosen {
            return Err("effect = \"deny\" loosens nothing: leave loosen out".into());
        }
        Ok(one)
    }

    fn has_fields(&self) -> bool {
        let rule = &self.rule;
        rule.quorum.is_some()
            || rule.roles.is_some()
            || rule.way.is_some()
            || rule.decide_minutes.is_some()
            || rule.execute_minutes.is_some()
            || rule.local_votes.is_some()
    }

    /// Refuses a rule that would ask for less than the bundle does anywhere, and does not say `loosen`.
    fn hold_against(&self, bundle: &Bundle) -> Result<(), String> {
        if self.rule.loosen || self.rule.effect != RuleEffect::Ask {
            return Ok(());
        }
        for row in bundle.matrix().rows().iter().filter(|row| self.verbs.contains(&row.verb)) {
            for cell in &row.cells {
                let Ruling::Ask(base) = &cell.ruling else { continue };
                if let Some(how) = self.over(base).weaker_than(base) {
                    return Err(format!(
                        "for {} on {} {how}, which is less strict than the policy {}; ask for more, or write loosen = true",
                        row.verb, row.thing, cell.policy
                    ));
                }
            }
        }
        Ok(())
    }

    /// What the rule says, and what it leaves to the policy.
    fn over(&self, base: &Ask) -> Ask {
        let rule = &self.rule;
        let minutes = |given: Option<u32>, base| given.map_or(base, |m| SignedDuration::from_mins(m.into()));
        Ask {
            requirement: Requirement {
                roles: rule.roles.clone().unwrap_or_else(|| base.requirement.roles.clone()),
                count: rule.quorum.unwrap_or(base.requirement.count),
                solo: base.requirement.solo,
            },
            way: rule.way.unwrap_or(base.way),
            decide_by: minutes(rule.decide_minutes, base.decide_by),
            execute_by: minutes(rule.execute_minutes, base.execute_by),
            local_votes: rule.local_votes.unwrap_or(base.local_votes),
        }
    }

    /// Where the policy asks nobody.
    fn alone(&self, verb: Verb, fleet: Fleet) -> Ask {
        let solo = match verb.class() {
            Class::Read | Class::Operate | Class::Merge => Solo::One,
            Class::Consent | Class::Provision | Class::Destroy | Class::Govern => Solo::Alone,
        };
        self.over(&Ask {
            requirement: Requirement {
                roles: vec![Role::Owner],
                count: 1,
                solo: solo.lifts(fleet, verb.class()),
            },
            way: Way::Button,
            decide_by: SignedDuration::from_hours(24),
            execute_by: SignedDuration::from_hours(1),
            local_votes: false,
        })
    }

    fn fits(&self, request: &Request) -> bool {
        let rule = &self.rule;
        let branch = match &request.resource {
            Resource::Branch(branch) => Some(branch),
            _ => None,
        };
        let repository = match &request.resource {
            Resource::Repository(name) | Resource::Branch(Branch { repository: name, .. }) => Some(name),
            _ => None,
        };
        self.verbs.contains(&request.verb)
            && rule.team.as_ref().is_none_or(|team| request.teams().any(|touched| touched == team))
            && rule.repository.as_ref().is_none_or(|name| repository == Some(name))
            && self.branch.as_ref().is_none_or(|glob| branch.is_some_and(|b| glob.is_match(&b.name)))
            && self.path.as_ref().is_none_or(|glob| branch.is_some_and(|b| self.paths_fit(glob, b)))
    }

    /// A stricter rule fits if one path does; a looser one only if all do. What is not known counts against whoever asks.
    fn paths_fit(&self, glob: &GlobMatcher, branch: &Branch) -> bool {
        match (&branch.paths, self.rule.loosen) {
            (None, loosen) => !loosen,
            (Some(paths), true) => !paths.is_empty() && paths.iter().all(|path| glob.is_match(path)),
            (Some(paths), false) => paths.iter().any(|path| glob.is_match(path)),
        }
    }

    /// `bundle` is what the bundle alone says, `ruling` what is left of it after the rules before.
    fn apply(&self, verb: Verb, bundle: &Ruling, (ruling, policy): Verdict, fleet: Fleet) -> Verdict {
        let (rule, loosen) = (&self.rule, self.rule.loosen);
        let mine = || rule.name.clone();
        match (ruling, rule.effect) {
            // What is denied stays denied, whatever the rule.
            (Ruling::Deny { reason }, _) => (Ruling::Deny { reason }, policy),
            (_, RuleEffect::Deny) => (Ruling::Deny { reason: self.reason() }, mine()),
            (Ruling::Ask(_), RuleEffect::Allow) => (Ruling::Allow, mine()),
            (Ruling::Ask(ask), RuleEffect::Ask) if loosen => (Ruling::Ask(self.over(&ask)), mine()),
            // A looser rule asks for less; it never asks where nobody was asked.
            (Ruling::Allow, RuleEffect::Allow) => (Ruling::Allow, policy),
            (Ruling::Allow, RuleEffect::Ask) if loosen => (Ruling::Allow, policy),
            (now, RuleEffect::Ask) => self.tighten(verb, bundle, (now, policy), fleet),
        }
    }

    /// At least what the bundle asks for and what the rule says, whatever looser rules made of it.
    fn tighten(&self, verb: Verb, bundle: &Ruling, (now, policy): Verdict, fleet: Fleet) -> Verdict {
        let mut all = match bundle {
            Ruling::Ask(base) => base.and(&self.over(base)),
            Ruling::Allow | Ruling::Deny { .. } => self.alone(verb, fleet),
        };
        if let Ruling::Ask(now) = &now {
            all = all.and(now);
            if all == *now {
                return (Ruling::Ask(all), policy);
            }
        }
        let name = self.rule.name.clone();
        if all.requirement.roles.is_empty() {
            let reason =
                format!("The policy {policy} and the rule {name} together leave nobody who may decide.");
            return (Ruling::Deny { reason }, name);
        }
        (Ruling::Ask(all), name)
    }

    fn reason(&self) -> String {
        self.rule
            .reason
            .clone()
            .unwrap_or_else(|| format!("The rule {} of the configuration forbids it.", self.rule.name))
    }
}

/// The actions that a rule names and that it can fit.
pub(crate) fn verbs(rule: &PolicyRule) -> Result<Vec<Verb>, String> {
    if rule.actions.is_empty() {
        return Err("actions are empty: name some, or \"*\" for all".into());
    }
    let possible = |verb: Verb| match verb.target() {
        Target::Branch => true,
        Target::Repository => rule.branch.is_none() && rule.path.is_none(),
        _ => rule.branch.is_none() && rule.path.is_none() && rule.repository.is_none(),
    };
    let mut all = Vec::new();
    for pattern in &rule.actions {
        let named: Vec<Verb> = if pattern == "*" {
            Verb::ALL.to_vec()
        } else if let Some(tier) = pattern.strip_prefix("tier.") {
            Verb::ALL.iter().copied().filter(|verb| verb.class().as_str() == tier).collect()
        } else {
            vec![pattern.parse::<Verb>().map_err(|error| error.to_string())?]
        };
        if named.is_empty() {
            let tiers: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
            return Err(format!("there is no {pattern}; after tier. comes one of {}", tiers.join(", ")));
        }
        let fitting: Vec<Verb> = named.into_iter().filter(|verb| possible(*verb)).collect();
        if fitting.is_empty() {
            return Err(format!(
                "{pattern} never happens to a repository, branch or path, so this rule would never fit; \
                 leave them out, or name another action"
            ));
        }
        all.extend(fitting);
    }
    all.sort();
    all.dedup();
    Ok(all)
}
