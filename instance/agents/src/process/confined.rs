//! A process within walls: a command line of the sandbox's is started, and the program within it.

use std::path::PathBuf;

use qd_sandbox::{Kind, Launch};

/// The exit code of a launcher that could not put up the walls. The program did not run then.
pub const NOT_CONFINED: i32 = 97;

/// Which walls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// What the command line begins with.
    pub launch: Launch,
    /// A folder for what is temporary, within the walls; it is there.
    pub tmp: PathBuf,
    /// What its environment holds besides: where a proxy is. A home only takes the place of ours, not of one that an agent
    /// was given.
    pub variables: Vec<(&'static str, String)>,
    /// Whose walls.
    pub kind: Kind,
}

impl Confined {
    /// Whether writes elsewhere are prevented.
    pub fn has_walls(&self) -> bool {
        self.kind != Kind::None
    }
}
