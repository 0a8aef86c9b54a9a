//! Policy: yes, ask these people, or no.

use qd_engine::Request;
use qd_types::{Ask, PolicyHash, Ruling, Tier};

use super::{Refusal, Stage, parse::Parsed};
use crate::{Caller, Guard};

/// What policy said, if it was no no.
pub(super) enum Verdict {
    /// It may happen.
    Allowed {
        /// Which policy said so.
        policy: String,
        /// Of which bundle.
        hash: PolicyHash,
    },
    /// It may happen once these people said so.
    Ask {
        /// Who, and how.
        ask: Ask,
        /// Of which bundle.
        hash: PolicyHash,
    },
}

impl Guard {
    pub(super) fn judge(&self, caller: &Caller, parsed: &Parsed) -> Result<Verdict, Refusal> {
        let spec = &parsed.entry.spec;
        let resource =
            parsed.entry.subject(caller, Some(&parsed.input)).map_err(|fault| Refusal::fault(&fault))?;
        let mut request = Request::new(caller.principal(), spec.verb, resource);
        request.team = Some(caller.team().clone());
        let decision = self.0.law.decide(&request);
        match decision.ruling {
            Ruling::Deny { reason } => Err(Refusal::new(
                Stage::Policy,
                format!("The policy {} says no: {reason}", decision.policy),
                "No other tool and no other wording changes that. Finish without it, or say what is missing.",
            )),
            Ruling::Allow if !matches!(spec.tier, Tier::Read | Tier::Operate) => Err(Refusal::new(
                Stage::Policy,
                format!(
                    "The policy {} allows this without asking anybody, and a tool of the tier {} is never called so.",
                    decision.policy,
                    spec.tier.as_str()
                ),
                "Have the policies ask people for it.",
            )),
            Ruling::Allow => Ok(Verdict::Allowed { policy: decision.policy, hash: decision.hash }),
            Ruling::Ask(ask) => Ok(Verdict::Ask { ask, hash: decision.hash }),
        }
    }
}
