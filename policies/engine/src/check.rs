//! What is wrong with policies that hold: warnings of the schema, policies that never decide, quorums that nobody can
//! reach, rules that are less strict.

use std::{collections::BTreeSet, fmt};

use qd_types::{Ask, Class, Role, RuleEffect, Ruling};

use crate::{
    matrix::Row,
    policies::{FAILED, Policies, or_list},
};

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Whether policies should not be used like that.
    pub severity: Severity,
    /// Where it comes from: a place in the bundle, or a rule of the configuration.
    pub place: String,
    /// What it is, and the way out.
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something can't ever happen.
    Error,
    /// Something is odd.
    Warning,
    /// Something is as somebody wanted it, and worth knowing.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.as_str(), self.place, self.text)
    }
}

impl Policies {
    /// Everything that is found, the worst first.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings: BTreeSet<Finding> = BTreeSet::new();
        let mut add = |severity, place: String, text: String| {
            findings.insert(Finding { severity, place, text });
        };
        for warning in &self.bundle.warnings {
            let place = warning.policy.clone().unwrap_or_default();
            add(Severity::Warning, format!("{}: policy {place}", warning.place), warning.text.clone());
        }
        if self.known.people().next().is_none() {
            let text =
                "nobody is configured, so whether people can reach the quorums was not looked at".to_owned();
            add(Severity::Note, "people".into(), text);
        }
        let matrix = self.bundle.matrix();
        if matrix.rows().iter().flat_map(|row| &row.cells).any(|cell| cell.policy == FAILED)
            || matrix.rows().is_empty()
        {
            add(Severity::Error, "matrix".into(), "a request could not be evaluated; it was denied".into());
        }
        let deciding: BTreeSet<&str> = matrix.deciding().collect();
        // The classes that a policy decides in, each with a quorum of its own if the fleet is solo.
        let classes = |id: &str| -> BTreeSet<Class> {
            let rows = matrix.rows().iter();
            let decides = |row: &&Row| row.cells.iter().any(|cell| cell.policy.split('+').any(|by| by == id));
            rows.filter(decides).map(|row| row.verb.class()).collect()
        };
        for (id, facts) in &self.bundle.facts {
            let place = || format!("{}: policy {id}", facts.place);
            if !deciding.contains(id.as_str()) {
                add(
                    Severity::Warning,
                    place(),
                    "it decides nothing in the matrix: another policy decides before it, or it names people, things or \
                     paths of its own"
                        .into(),
                );
            }
            for (asking, class) in facts
                .asking
                .iter()
                .flat_map(|asking| classes(id).into_iter().map(move |class| (asking, class)))
            {
                if let Some(text) = self.out_of_reach(&asking.ask(self.known.fleet(), class)) {
                    add(Severity::Error, place(), text);
                }
            }
        }
        for rule in self.rules.written() {
            let place = format!("rule {}", rule.name);
            if rule.loosen {
                let text = "it makes the policies less strict, as loosen = true says".to_owned();
                add(Severity::Note, place.clone(), text);
            }
            if rule.effect == RuleEffect::Ask
                && let Some(text) = self.rule_out_of_reach(&rule.name)
            {
                add(Severity::Error, place, text);
            }
        }
        findings.into_iter().collect()
    }

    /// The first action for which a rule asks for more people than there are.
    fn rule_out_of_reach(&self, name: &str) -> Option<String> {
        let fleet = self.known.fleet();
        let base = |policy: &str, class: Class| {
            let mut asks = policy.split('+').filter_map(|id| self.bundle.facts.get(id)?.asking.as_ref());
            let first = asks.next()?.ask(fleet, class);
            Some(asks.fold(first, |all, asking| all.and(&asking.ask(fleet, class))))
        };
        let rows = self.bundle.matrix().rows().iter();
        rows.flat_map(|row| row.cells.iter().map(move |cell| (row.verb, cell))).find_map(|(verb, cell)| {
            let ruling = match &cell.ruling {
                Ruling::Ask(_) => Ruling::Ask(base(&cell.policy, verb.class())?),
                other => other.clone(),
            };
            let applied = self.rules.apply_one(name, verb, (ruling, cell.policy.clone()), fleet)?;
            match applied {
                (Ruling::Ask(ask), by) if by == name => {
                    self.out_of_reach(&ask).map(|text| format!("for {verb}, {text}"))
                }
                _ => None,
            }
        })
    }

    /// Why the people who are known can't say yes, or `None` if they can.
    fn out_of_reach(&self, ask: &Ask) -> Option<String> {
        let roles: &[Role] = &ask.requirement.roles;
        let may = |person: &&qd_types::Person| roles.iter().any(|role| person.roles.contains(role));
        let people = self.known.people().filter(may).count();
        let needed = ask.requirement.count;
        // Without any people there is no fleet yet.
        let somebody = self.known.people().next().is_some();
        (somebody && people < usize::try_from(needed).unwrap_or(usize::MAX)).then(|| {
            format!(
                "it asks for {needed} with the role {}, and {people} of the known people have it; give the role to more \
                 people, or ask for fewer",
                or_list(roles)
            )
        })
    }
}
