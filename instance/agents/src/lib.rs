//! The port for coding agents, and the command runner behind it.
