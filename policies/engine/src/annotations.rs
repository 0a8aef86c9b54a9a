//! What stands above a policy: its reason, and who is asked. A policy that looks at `context.approved` asks, and has to
//! say everything; one that does not asks nobody, and may say nothing of it.

use std::str::FromStr;

use cedar_policy::{Effect, Policy};
use jiff::SignedDuration;
use qd_types::{Ask, Class, Requirement, Role, Way};
use serde_json::Value;

/// All that an asking policy has to say.
const ASKING: [&str; 7] = ["quorum", "roles", "way", "decide_by", "execute_by", "local_votes", "solo"];
/// Most people that can be asked for. More is a slip of the keyboard.
const MAX_QUORUM: u32 = 20;

/// Who is asked, as a policy says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asking {
    ask: Ask,
    solo: Solo,
}

/// What `solo = true` changes: one person decides, who may be the requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Solo {
    /// Nothing.
    Never,
    /// That.
    One,
    /// That, but only while the fleet has no second person.
    Alone,
}

impl FromStr for Solo {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            "one" => Ok(Self::One),
            "alone" => Ok(Self::Alone),
            _ => Err("never, one or alone"),
        }
    }
}

/// How many run the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fleet {
    /// `solo = true`: one person runs it, and may decide what they asked for.
    pub(crate) solo: bool,
    /// How many people it knows.
    pub(crate) people: usize,
}

impl Solo {
    /// Whether one person decides here, who may be the requester. Whatever a policy says: where there is a second person,
    /// nothing is destroyed on one word.
    pub(crate) fn lifts(self, fleet: Fleet, class: Class) -> bool {
        let alone = fleet.people <= 1;
        fleet.solo
            && match self {
                Self::Never => false,
                Self::One => alone || class != Class::Destroy,
                Self::Alone => alone,
            }
    }
}

impl Asking {
    /// For this fleet, and an action of this class.
    pub(crate) fn ask(&self, fleet: Fleet, class: Class) -> Ask {
        let mut ask = self.ask.clone();
        if self.solo.lifts(fleet, class) {
            ask.requirement.count = 1;
            ask.requirement.solo = true;
        }
        ask
    }
}

/// The reason, and who is asked if the policy asks; or everything that is wrong.
pub(crate) fn read(policy: &Policy) -> Result<(String, Option<Asking>), Vec<String>> {
    let mut wrong = Vec::new();
    for (name, _) in policy.annotations() {
        if !matches!(name, "id" | "reason") && !ASKING.contains(&name) {
            wrong.push(format!("@{name} is not known; there are @id, @reason, @{}", ASKING.join(", @")));
        }
    }
    let reason = policy.annotation("reason").unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        wrong.push("@reason(\"…\") is missing: a sentence for whoever is asked or denied".to_owned());
    }
    let asks = looks_at_approved(policy);
    let says = ASKING.iter().find(|name| policy.annotation(name).is_some());
    let asking = match (asks, policy.effect(), says) {
        (true, Effect::Forbid, _) => {
            wrong.push("a forbid may not look at context.approved: no approval lifts a forbid".to_owned());
            None
        }
        (true, Effect::Permit, _) => asking(policy, &mut wrong),
        (false, _, Some(name)) => {
            wrong.push(format!("it has @{name}, but asks nobody: it does not look at context.approved"));
            None
        }
        (false, _, None) => None,
    };
    if wrong.is_empty() { Ok((reason, asking)) } else { Err(wrong) }
}

fn asking(policy: &Policy, wrong: &mut Vec<String>) -> Option<Asking> {
    let quorum = field(policy, "quorum", wrong, |text| {
        text.parse().ok().filter(|quorum| (1..=MAX_QUORUM).contains(quorum)).ok_or("a number from 1 to 20")
    });
    let roles = field(policy, "roles", wrong, |text| {
        let roles: Result<Vec<Role>, _> = text.split(',').map(|role| role.trim().parse()).collect();
        roles.map_err(|_| "roles, separated by commas: owner, manager, operator, reviewer, viewer")
    });
    let way = field(policy, "way", wrong, |text| {
        text.parse::<Way>().map_err(|_| "reaction, button, typed or passphrase")
    });
    let decide_by = field(policy, "decide_by", wrong, duration);
    let execute_by = field(policy, "execute_by", wrong, duration);
    let local_votes = field(policy, "local_votes", wrong, |text| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no"),
    });
    let solo = field(policy, "solo", wrong, Solo::from_str);
    let requirement = Requirement { roles: roles?, count: quorum?, solo: false };
    let ask = Ask {
        requirement,
        way: way?,
        decide_by: decide_by?,
        execute_by: execute_by?,
        local_votes: local_votes?,
    };
    Some(Asking { ask, solo: solo? })
}

fn field<T>(
    policy: &Policy,
    name: &str,
    wrong: &mut Vec<String>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Option<T> {
    let Some(text) = policy.annotation(name) else {
        wrong.push(format!("it looks at context.approved, so it asks people: @{name} is missing"));
        return None;
    };
    match read(text.trim()) {
        Ok(value) => Some(value),
        Err(want) => {
            wrong.push(format!("@{name}(\"{text}\") has to be {want}"));
            None
        }
    }
}

fn duration(text: &str) -> Result<SignedDuration, &'static str> {
    let want = "a time like 15m, 24h or 1h 30m, at least a minute and at most 30 days";
    let duration: SignedDuration = text.parse().map_err(|_| want)?;
    let good = SignedDuration::from_mins(1)..=SignedDuration::from_hours(30 * 24);
    if good.contains(&duration) { Ok(duration) } else { Err(want) }
}

/// Whether `context.approved` stands anywhere in it. One that has no JSON counts as if it did.
fn looks_at_approved(policy: &Policy) -> bool {
    policy.to_json().map_or(true, |json| contains_approved(&json))
}

fn contains_approved(json: &Value) -> bool {
    match json {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let reads = matches!(key.as_str(), "." | "has")
                && value.get("attr").and_then(Value::as_str) == Some("approved")
                && value.pointer("/left/Var").and_then(Value::as_str) == Some("context");
            reads || contains_approved(value)
        }),
        Value::Array(items) => items.iter().any(contains_approved),
        _ => false,
    }
}
