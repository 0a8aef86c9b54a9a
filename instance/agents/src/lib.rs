#![doc = include_str!("../README.md")]

pub mod acp;
pub mod check;
pub mod command;
pub mod folder;
pub mod handshake;
pub mod metered;
pub mod port;
pub mod process;
pub mod prompt;
pub mod redact;
pub mod registry;
pub mod scripted;
mod text;
pub mod transcript;

pub use acp::AcpAgent;
pub use check::{CheckEnd, CheckError, CheckPlace, CheckResult, CheckSpec, check_environment, run_check};
pub use command::CommandAgent;
pub use folder::RunFolder;
pub use metered::Metered;
pub use port::{Agent, AgentEnd, AgentError, OwnCount, Task};
pub use process::{
    Confined, Ended, GRACE, Leftover, NOT_CONFINED, OnStart, ProcessError, ProcessGroup, Stop, Stopper,
    TurnEnd, kill_leftover, stop,
};
pub use redact::Redactor;
pub use transcript::Transcript;
