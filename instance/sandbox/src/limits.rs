//! Limits of a process and all that it starts, entered by itself.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::port::Limits;

/// Puts limits on this process: there is no way back. With them go new privileges: a program that others may become root
/// by does not make it root.
pub fn enter(limits: &Limits) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    for (resource, limit) in [(Resource::Data, limits.memory), (Resource::Nproc, limits.processes)] {
        if limit.is_some() {
            setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
        }
    }
    // A core is a copy of its memory, in a place that nobody looks after.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}
