//! The port for worktrees, and git behind it.
