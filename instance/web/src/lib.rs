//! The local board: pages over the team.
