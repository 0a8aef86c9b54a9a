//! `cost` on the command line.

use clap::{Args, ValueEnum};
use qd_api::CostBy;

/// What models have cost.
#[derive(Debug, Clone, Copy, Args)]
pub struct CostFlags {
    /// What it is added up by
    #[arg(long, value_enum, default_value_t = ByArg::Day)]
    pub by: ByArg,
    /// Write comma-separated values
    #[arg(long)]
    pub csv: bool,
}

/// What costs are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    /// Each run
    Run,
    /// Each feature
    Feature,
    /// Each repository
    Repository,
    /// Each agent
    Agent,
    /// Each provider and model
    Model,
    /// Each day, in the fleet's time zone
    Day,
}

impl From<ByArg> for CostBy {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Run => Self::Run,
            ByArg::Feature => Self::Feature,
            ByArg::Repository => Self::Repository,
            ByArg::Agent => Self::Agent,
            ByArg::Model => Self::Model,
            ByArg::Day => Self::Day,
        }
    }
}
