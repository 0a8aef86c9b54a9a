//! The embedded Forge: a bare repository with pull requests, issues, labels and milestones.
