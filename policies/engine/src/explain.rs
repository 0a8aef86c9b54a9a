//! Why a request is decided as it is, and what would change it.

use std::fmt::Write;

use qd_types::{Person, Role, Ruling};

use crate::{
    policies::{FAILED, NONE_PERMITS, Policies, UNKNOWN, or_list},
    request::{Principal, Request},
};

impl Policies {
    /// A few lines for people: the ruling, who decided, and what would change it.
    pub fn explain(&self, request: &Request) -> String {
        let decision = self.decide(request);
        let mut text = String::new();
        let mut say = |line: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
        };
        let who = match &request.principal {
            Principal::Person(person) => {
                let roles: Vec<&str> = self.known.roles_of(person).iter().map(|role| role.as_str()).collect();
                let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
                format!("{} ({roles})", person.id)
            }
            other => other.to_string(),
        };
        say(format!("{who}, {} on {}", request.verb, request.resource));
        say(match &decision.ruling {
            Ruling::Allow => "  allowed".to_owned(),
            Ruling::Ask(ask) => format!("  asks {}", ask.describe()),
            Ruling::Deny { reason } => format!("  denied: {reason}"),
        });
        for policy in decision.policy.split('+') {
            match self.bundle.policy(policy) {
                Some((place, reason)) => say(format!("  by policy {policy} ({place}): {reason}")),
                None if matches!(policy, UNKNOWN | NONE_PERMITS | FAILED) => {}
                None => say(format!("  by rule {policy} of the configuration")),
            }
        }
        let (base, policy) = self.base(request);
        if base != decision.ruling {
            say(format!("  without rules of the configuration: {} by {policy}", base.as_str()));
        }
        for change in self.changes(request, &decision.ruling) {
            say(format!("  {change}"));
        }
        say(format!("  policies {}", self.hash().short()));
        text
    }

    /// What would change the ruling: an approval, another role.
    fn changes(&self, request: &Request, ruling: &Ruling) -> Vec<String> {
        let mut changes = Vec::new();
        if let Ruling::Ask(_) = ruling {
            changes.push("once approved, it is allowed".to_owned());
        }
        let Principal::Person(person) = &request.principal else { return changes };
        let (mut allowed, mut asked) = (Vec::new(), Vec::new());
        for role in Role::ALL.into_iter().filter(|role| !person.roles.contains(role)) {
            match self.ruling_with(request, person, role) {
                Some(Ruling::Allow) => allowed.push(role),
                Some(Ruling::Ask(_)) => asked.push(role),
                Some(Ruling::Deny { .. }) | None => {}
            }
        }
        if !matches!(ruling, Ruling::Allow) && !allowed.is_empty() {
            changes.push(format!("with the role {} as well, it would be allowed", or_list(&allowed)));
        }
        if matches!(ruling, Ruling::Deny { .. }) && !asked.is_empty() {
            changes.push(format!("with the role {} as well, people would be asked", or_list(&asked)));
        }
        if changes.is_empty() && matches!(ruling, Ruling::Deny { .. }) {
            changes.push("no other role would change that".to_owned());
        }
        changes
    }

    /// What would be said if the person had one more role.
    fn ruling_with(&self, request: &Request, person: &Person, role: Role) -> Option<Ruling> {
        let mut roles = self.known.roles_of(person);
        roles.push(role);
        let person = Person { id: person.id.clone(), roles };
        let known = self.known.with_roles(&self.bundle.vocabulary, &person)?;
        let request = Request { principal: Principal::Person(person), ..request.clone() };
        let base = crate::policies::evaluate(&self.bundle, &known, &request, &String::new);
        let base = base.unwrap_or_else(|verdict| verdict);
        Some(self.rules.apply(&request, base, self.known.fleet()).0)
    }
}
