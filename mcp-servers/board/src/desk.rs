//! The way to the local API: whose client a tool speaks through, and what an error of it means to a caller.

use qd_api::{Client, ClientError};
use qd_guard::{Call, Caller, Fault, Permit};
use qd_types::InstanceName;

/// In whose name the API is asked. It decides by its own policies either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The caller's own.
    Caller,
    /// That of the people on whose behalf the caller works: others agreed to exactly this.
    Granted,
}

impl From<&Permit> for Voice {
    fn from(permit: &Permit) -> Self {
        match permit {
            Permit::Policy(_) => Self::Caller,
            Permit::Grant(_) => Self::Granted,
        }
    }
}

/// Whatever leads to the boards. It holds the tokens, so that no tool and no caller does.
pub trait Desk: Send + Sync + 'static {
    /// The teams whose boards can be asked.
    fn teams(&self) -> Vec<InstanceName>;

    /// A client of a team's API, as this caller.
    fn client(&self, caller: &Caller, team: &InstanceName, voice: Voice) -> Result<Client, Fault>;

    /// Who may do what, as a table, by the policies in force.
    fn policies(&self, caller: &Caller) -> Result<String, Fault>;
}

/// A client of the caller's own team.
pub(crate) fn own(desk: &dyn Desk, call: &Call, voice: Voice) -> Result<Client, Fault> {
    desk.client(&call.caller, call.caller.team(), voice)
}

/// What an error means for something that was only read.
pub(crate) fn unread(error: ClientError) -> Fault {
    Fault { unsure: false, ..unsure(error) }
}

/// What an error means for something that may have happened.
pub(crate) fn unsure(error: ClientError) -> Fault {
    match error {
        ClientError::NotRunning { place, .. } => Fault::failed(
            format!("No team runs here: nothing answers at {place}."),
            "A person starts it with: quarterdeck up",
        ),
        ClientError::Problem { problem } => Fault::failed(problem.detail, problem.hint.unwrap_or_default()),
        error @ (ClientError::Broken { .. } | ClientError::Unreadable(_)) => {
            Fault::unsure(format!("The board's answer was lost: {error}."), "Look whether it happened.")
        }
    }
}

/// A text as a part of an address.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_to_its_place() {
        assert_eq!(encoded("../../a b?x=1"), "..%2F..%2Fa%20b%3Fx%3D1");
    }

    #[test]
    fn an_error_says_what_to_do() {
        let gone =
            ClientError::NotRunning { place: "/s/api.sock".into(), source: std::io::Error::other("no") };
        let fault = unsure(gone);
        insta::assert_snapshot!(format!("{} {}", fault.problem, fault.way_out), @"No team runs here: nothing answers at /s/api.sock. A person starts it with: quarterdeck up");
        assert!(!fault.unsure);
    }
}
