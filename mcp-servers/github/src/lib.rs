#![doc = include_str!("../README.md")]

mod config;
mod live;
#[cfg(test)]
mod memory;
mod merge;
mod port;
mod read;
mod words;
mod write;

use std::sync::Arc;

use qd_guard::{CAREFUL, Fault, Server, ToolError};

pub use config::Config;
pub use live::OnGitHub;
pub use port::{
    Check, Comment, GitHub, GitHubError, Issue, Merging, NewPull, Nowhere, Place, Pull, Review, Train,
};

/// What every tool needs.
pub(crate) struct Desk {
    config: Config,
    github: Arc<dyn GitHub>,
    train: Arc<dyn Train>,
}

impl Desk {
    fn repository(&self) -> &str {
        &self.config.repository
    }
}

/// The server of one repository.
pub fn server(config: Config, github: Arc<dyn GitHub>, train: Arc<dyn Train>) -> Result<Server, ToolError> {
    let desk = Arc::new(Desk { config, github, train });
    Server::new(
        "github",
        format!("Issues, pull requests, reviews, checks and code of one repository. {CAREFUL}"),
    )
    .look(read::Issues(desk.clone()))?
    .look(read::ShowIssue(desk.clone()))?
    .look(read::Pulls(desk.clone()))?
    .look(read::ShowPull(desk.clone()))?
    .look(read::Reviews(desk.clone()))?
    .look(read::Checks(desk.clone()))?
    .look(read::CheckLog(desk.clone()))?
    .look(read::Search(desk.clone()))?
    .change(write::Say(desk.clone()))?
    .change(write::Label(desk.clone()))?
    .change(write::Open(desk.clone()))?
    .change(write::Rerun(desk.clone()))?
    .approved(merge::Merge(desk))
}

/// An error in looking.
pub(crate) fn looking(error: GitHubError) -> Fault {
    let way_out = error.way_out();
    Fault::failed(format!("{error}."), way_out)
}

/// An error in changing: what GitHub did not say itself can't be told.
pub(crate) fn changing(error: GitHubError) -> Fault {
    match error {
        GitHubError::Unreachable(_) => Fault::unsure(
            format!("{error}. It can't be told whether it happened."),
            "Look before anything is tried again.",
        ),
        error => looking(error),
    }
}
