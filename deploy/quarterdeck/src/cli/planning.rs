//! Verbs of planning: goals, projects, boards as files.

use clap::{Args, Subcommand};
use qd_board::{Budget, exchange::Format, project::Milestone};
use qd_types::{FeatureId, InstanceName, PersonId, RepositoryName};

use super::Fields;

/// A goal to be planned, or what to do with plans.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Plan {
    /// What to do with a plan that is there
    #[command(subcommand)]
    pub verb: Option<PlanVerb>,
    /// What is to be reached, in a line
    #[arg(required = true)]
    pub goal: Option<String>,
    /// Propose it as a page in docs/plans, by pull request: merging it files the features
    #[arg(long, conflicts_with = "plan")]
    pub page: bool,
    /// Everything else
    #[command(flatten)]
    pub fields: Box<Fields>,
    /// Where, if the team has several repositories
    #[arg(long)]
    pub repository: Option<RepositoryName>,
}

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// The proposal for a goal, as a task list
    Show {
        /// The goal
        id: FeatureId,
    },
    /// Accept the proposal: its features are filed
    Accept {
        /// The goal
        id: FeatureId,
        /// The proposal as you changed it; - reads standard input
        #[arg(long)]
        file: Option<String>,
        /// Let the features wait in the backlog
        #[arg(long)]
        backlog: bool,
    },
}

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectVerb {
    /// List them, with how far they are
    List,
    /// How one stands: milestones, forecast, risks
    Show {
        /// Which
        name: String,
    },
    /// Add one
    Add {
        /// What it is called
        name: String,
        /// Everything else
        #[command(flatten)]
        fields: ProjectFields,
    },
    /// Change one; what is left out stays
    Edit {
        /// Which
        name: String,
        /// What changes
        #[command(flatten)]
        fields: ProjectFields,
    },
    /// Remove one that no feature names
    Remove {
        /// Which
        name: String,
    },
}

/// What people say of a project.
#[derive(Debug, Default, Args)]
pub struct ProjectFields {
    /// What is to be reached, Markdown; - reads it from standard input
    #[arg(long)]
    pub goal: Option<String>,
    /// Who answers for it
    #[arg(long, value_name = "NAME")]
    pub owner: Option<PersonId>,
    /// A milestone, with the day it is due or without; may be repeated, in their order
    #[arg(long = "milestone", value_name = "NAME[=DATE]", value_parser = milestone)]
    pub milestones: Vec<Milestone>,
    /// A team that works on it; may be repeated; none named: all
    #[arg(long = "for", value_name = "TEAM")]
    pub teams: Vec<InstanceName>,
    /// How many of its features run at once
    #[arg(long)]
    pub slots: Option<u32>,
    /// What it may cost
    #[command(flatten)]
    pub budget: BudgetFlags,
}

/// What a feature or a project may cost at most.
#[derive(Debug, Default, Args)]
pub struct BudgetFlags {
    /// Minutes of agents' work that it may take
    #[arg(long = "budget-minutes", value_name = "MINUTES")]
    minutes: Option<u32>,
    /// Tokens that it may take
    #[arg(long = "budget-tokens", value_name = "TOKENS")]
    tokens: Option<u64>,
    /// Hundredths of the currency that it may cost
    #[arg(long = "budget-cents", value_name = "CENTS")]
    cents: Option<u64>,
}

impl BudgetFlags {
    /// As a whole.
    pub fn all(&self) -> Budget {
        Budget { cents: self.cents, tokens: self.tokens, minutes: self.minutes }
    }

    /// As a merge patch of what was given; none if nothing was.
    pub fn patch(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        let given =
            [("cents", self.cents), ("tokens", self.tokens), ("minutes", self.minutes.map(u64::from))];
        let patch: serde_json::Map<_, _> =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        Some(patch).filter(|patch| !patch.is_empty())
    }
}

/// `Beta` or `Beta=2026-12-24`.
fn milestone(text: &str) -> Result<Milestone, String> {
    let (name, due) = match text.split_once('=') {
        Some((name, due)) => {
            let due = due.parse().map_err(|_| format!("{due:?} is not a day like 2026-12-24"))?;
            (name, Some(due))
        }
        None => (text, None),
    };
    Ok(Milestone { name: name.to_owned(), due })
}

/// What to import, and how.
#[derive(Debug, Args)]
pub struct ImportFlags {
    /// An export, or task lists in Markdown; - reads standard input
    pub file: String,
    /// json or markdown; left out, the file tells
    #[arg(long)]
    pub format: Option<Format>,
    /// Release what is open to the team at once
    #[arg(long)]
    pub ready: bool,
    /// Only say what would be filed
    #[arg(long)]
    pub dry_run: bool,
}
