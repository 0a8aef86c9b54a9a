#![doc = include_str!("../README.md")]

mod bubblewrap;
pub mod docker;
pub mod egress;
pub mod forward;
mod landlock;
pub mod limits;
mod port;

pub use bubblewrap::Bubblewrap;
pub use docker::Docker;
pub use landlock::Landlock;
pub use port::{
    Bounds, Found, Kind, Launch, Limits, Network, Prevents, Sandbox, SandboxError, Spec, Unwalled,
};
