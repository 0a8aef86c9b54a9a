//! Git for worktrees and the local forge: the git command for what changes a repository, git2 for what reads one.
