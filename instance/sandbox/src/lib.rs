#![doc = include_str!("../README.md")]

mod bubblewrap;
pub mod cgroup;
pub mod docker;
pub mod egress;
pub mod forward;
mod landlock;
pub mod limits;
mod port;

pub use bubblewrap::Bubblewrap;
pub use cgroup::Cgroups;
pub use docker::{Docker, carried::again};
pub use landlock::Landlock;
pub use port::{
    Bounds, Found, Kind, Launch, Limits, Network, Prevents, Sandbox, SandboxError, Spec, Unwalled,
};
