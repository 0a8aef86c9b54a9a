//! Why something does not happen now, and what would help: for surfaces that can't ask people.

use qd_types::{Decision, Person, Ruling};

use crate::{
    policies::{FAILED, NONE_PERMITS, Policies, UNKNOWN},
    request::{Principal, Request},
};

/// Names in a sentence; the rest is counted.
const NAMED: usize = 5;

/// A no, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why, as sentences, with the policy or rule that decided.
    pub reason: String,
    /// What would help, as sentences: who may, or who would have to agree.
    pub help: String,
    /// What decided.
    pub decision: Box<Decision>,
}

impl Policies {
    /// Nothing if policy allows it. What people would have to be asked for is refused as well, and says whom.
    pub fn permit(&self, request: &Request) -> Result<(), Refusal> {
        let decision = self.decide(request);
        let by = self.by(&decision.policy);
        let may = || self.who(|person| self.allows(request, person));
        let (reason, help) = match &decision.ruling {
            Ruling::Allow => return Ok(()),
            Ruling::Deny { reason } => {
                let reason = if by.is_empty() { reason.clone() } else { format!("{reason} So says {by}.") };
                (reason, help(&may(), &by))
            }
            Ruling::Ask(ask) => {
                let words = ask.requirement.describe();
                let deciders =
                    self.who(|person| person.roles.iter().any(|role| ask.requirement.roles.contains(role)));
                let help = match (may().as_slice(), deciders.as_slice()) {
                    ([], []) => "Nobody here could agree.".to_owned(),
                    ([], deciders) => format!("Who could agree: {}.", list(deciders)),
                    (may, _) => format!("Who may do it without asking: {}.", list(may)),
                };
                let reason = format!(
                    "People have to agree first, says {by}: {words}. They are asked when a person does it on the team's \
                     board or on the command line, or an agent with its tools."
                );
                (reason, help)
            }
        };
        Err(Refusal { reason, help, decision: Box::new(decision) })
    }

    fn allows(&self, request: &Request, person: &Person) -> bool {
        let principal = Principal::Person(person.clone());
        let request = Request { principal, ..request.clone() };
        self.decide(&request).ruling == Ruling::Allow
    }

    fn who(&self, fits: impl Fn(&Person) -> bool) -> Vec<String> {
        self.known.people().filter(|person| fits(person)).map(|person| person.id.to_string()).collect()
    }

    /// "the policy destroy", "the rule migrations", both if both decided; nothing where no policy did.
    fn by(&self, decided: &str) -> String {
        if matches!(decided, UNKNOWN | NONE_PERMITS | FAILED) {
            return String::new();
        }
        if self.rules.written().iter().any(|rule| rule.name == decided) {
            return format!("the rule {decided} of the configuration");
        }
        format!("the policy {decided}")
    }
}

fn help(may: &[String], by: &str) -> String {
    match may {
        [] if by.is_empty() => "Nobody here may; quarterdeck policy explain says why.".to_owned(),
        [] => format!("Nobody here may as long as {by} holds."),
        may => format!("Who may: {}.", list(may)),
    }
}

/// "ines, theo", and how many more.
fn list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
