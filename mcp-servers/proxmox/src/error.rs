//! What Proxmox's errors come to. It says most of them as a 500 with a sentence, and many only as the end of a task.

use qd_guard::Fault;

/// Longest part of a message that is handed on, in characters.
const SAID: usize = 300;

/// Why Proxmox did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PveError {
    /// The token is not one, or no longer.
    #[error("Proxmox does not know the token: {0}")]
    Unauthorized(String),
    /// A right is missing: where, and which.
    #[error("Proxmox does not allow it: {said}")]
    Forbidden {
        /// What it said.
        said: String,
        /// Path and privileges, where it names them.
        missing: Option<(String, String)>,
    },
    /// Parameters that it does not take, by their names.
    #[error("Proxmox does not take {}", fields(.0))]
    Invalid(Vec<(String, String)>),
    /// There is no such thing.
    #[error("There is no such thing: {0}")]
    NotFound(String),
    /// There is one already.
    #[error("There is one already: {0}")]
    Exists(String),
    /// Something else is being done to it.
    #[error("It is locked: {0}")]
    Locked(String),
    /// This version does not know the method.
    #[error("This Proxmox does not know it: {0}")]
    NotImplemented(String),
    /// The node does not answer.
    #[error("The node does not answer: {0}")]
    NodeDown(String),
    /// It said no, for another reason.
    #[error("Proxmox refused ({status}): {said}")]
    Refused {
        /// The status of its answer; 200 if a task ended so.
        status: u16,
        /// What it said.
        said: String,
    },
    /// The task was told to stop.
    #[error("The task was stopped before its end: {0}")]
    Stopped(String),
    /// No answer. `sent`: it may have happened all the same.
    #[error("Proxmox can't be reached: {said}")]
    Unreachable {
        /// What went wrong.
        said: String,
        /// Whether the request may have got there.
        sent: bool,
    },
    /// Nobody said which cluster, or by which token.
    #[error("Proxmox is not configured here: {0}")]
    NotConfigured(String),
    /// An answer that is none.
    #[error("Proxmox's answer can't be read: {0}")]
    Unreadable(String),
}

fn fields(errors: &[(String, String)]) -> String {
    let each: Vec<String> = errors.iter().map(|(name, said)| format!("{name} ({said})")).collect();
    each.join(", ")
}

/// One line, cut.
pub(crate) fn cut(message: &str) -> String {
    let line: String =
        message.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID).collect();
    line
}

impl PveError {
    /// From an answer that is no success. `message`: of its body, or its status line.
    pub fn of_answer(status: u16, message: &str, errors: Vec<(String, String)>) -> Self {
        let said = cut(message);
        match status {
            401 => Self::Unauthorized(said),
            403 => Self::Forbidden { missing: missing(&said), said },
            400 if !errors.is_empty() => Self::Invalid(errors),
            501 => Self::NotImplemented(said),
            595..=599 => Self::NodeDown(said),
            _ => Self::of_sentence(status, said),
        }
    }

    /// From the end of a task.
    pub fn of_task(exit: &str) -> Self {
        Self::of_sentence(200, cut(exit))
    }

    fn of_sentence(status: u16, said: String) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["hostname lookup", "no such cluster node"]) {
            Self::NodeDown(said)
        } else if has(&["already exists", "config file already exists"]) {
            Self::Exists(said)
        } else if has(&[
            "is locked (",
            "can't lock file",
            "got lock timeout",
            "can't acquire lock",
            "detected modified configuration",
        ]) {
            Self::Locked(said)
        } else if has(&["Permission check failed"]) {
            Self::Forbidden { missing: missing(&said), said }
        } else if has(&["does not exist", "no such ", "not found"]) {
            Self::NotFound(said)
        } else if has(&["received interrupt", "interrupted by signal"]) {
            Self::Stopped(said)
        } else {
            Self::Refused { status, said }
        }
    }

    /// Whether there is no such thing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    fn way_out(&self) -> String {
        match self {
            Self::Unauthorized(_) => {
                "A person has to check PROXMOX_USER, PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE, \
                                      and whether the token has expired."
                    .to_owned()
            }
            Self::Forbidden { missing: Some((path, privileges)), .. } => format!(
                "A person has to give user and token one of {privileges} on {path}: ask whoami for the commands."
            ),
            Self::Forbidden { .. } => "Ask whoami which rights are missing.".to_owned(),
            Self::Invalid(_) => "Call again with other values.".to_owned(),
            Self::NotFound(_) => "List what there is, and take one of those.".to_owned(),
            Self::Exists(_) => "Take another number or name, or leave it as it is.".to_owned(),
            Self::Locked(_) => "Something else changes it now. Look at it again, then call again.".to_owned(),
            Self::NotImplemented(_) => "Leave it: this version of Proxmox VE can't do it.".to_owned(),
            Self::NodeDown(_) => "Look at cluster_overview; call again when the node is online.".to_owned(),
            Self::Refused { .. } | Self::Stopped(_) => "Look at what it says, and call again.".to_owned(),
            Self::NotConfigured(_) => {
                "A person sets the PROXMOX_ variables where quarterdeck starts.".to_owned()
            }
            Self::Unreachable { .. } | Self::Unreadable(_) => {
                "Wait, look with doctor what is wrong, and at the guest what has become of it.".to_owned()
            }
        }
    }

    /// For a read.
    pub(crate) fn looking(&self) -> Fault {
        Fault::failed(format!("{self}."), self.way_out())
    }

    /// For a change. One without an answer may have happened.
    pub(crate) fn changing(&self, doing: &str) -> Fault {
        let text = format!("{doing}: {self}.");
        match self {
            Self::Unreachable { sent: true, .. } | Self::Unreadable(_) => Fault::unsure(text, self.way_out()),
            _ => Fault::failed(text, self.way_out()),
        }
    }
}

/// `Permission check failed (/vms/101, VM.PowerMgmt)`: path and privileges.
fn missing(said: &str) -> Option<(String, String)> {
    let (_, inner) = said.split_once("Permission check failed (")?;
    let (path, privileges) = inner.rsplit_once(')')?.0.split_once(", ")?;
    path.starts_with('/').then(|| (path.to_owned(), privileges.to_owned()))
}
