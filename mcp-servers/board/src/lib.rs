#![doc = include_str!("../README.md")]

mod ask;
mod desk;
mod edit;
mod fleet;
mod lessons;
mod offers;
mod read;
mod talk;

use std::sync::Arc;

use qd_guard::{Server, ToolError};

pub use desk::{Desk, Voice};

/// Its name in every configuration, and in policies.
pub const NAME: &str = "board";

/// What the agent of a run may call: everything of its own team, nothing of the fleet.
pub const OF_A_RUN: [&str; 17] = [
    "list",
    "search",
    "show",
    "why",
    "question",
    "add",
    "edit",
    "move",
    "comment",
    "report_progress",
    "report_blocker",
    "ask_human",
    "request_review",
    "attach",
    "team",
    "lessons",
    "propose_lesson",
];

/// The server over whatever leads to the local API.
pub fn server(desk: Arc<dyn Desk>) -> Result<Server, ToolError> {
    let about =
        "The board of a team of coding agents: features, what they wait for, and the people behind them.";
    let server = Server::new(NAME, about);
    let server = read::tools(server, &desk)?;
    let server = edit::tools(server, &desk)?;
    let server = talk::tools(server, &desk)?;
    let server = ask::tools(server, &desk)?;
    let server = offers::all(server, &desk)?;
    let server = lessons::tools(server, &desk)?;
    fleet::tools(server, &desk)
}

#[cfg(test)]
mod tests {
    use qd_api::Client;
    use qd_guard::{Caller, Fault};
    use qd_types::{InstanceName, Tier};

    use super::*;

    struct Nowhere;

    impl Desk for Nowhere {
        fn teams(&self) -> Vec<InstanceName> {
            Vec::new()
        }

        fn client(&self, _: &Caller, _: &InstanceName, _: Voice) -> Result<Client, Fault> {
            Err(Fault::failed("There is no board.", ""))
        }

        fn policies(&self, _: &Caller) -> Result<String, Fault> {
            Err(Fault::failed("There are no policies.", ""))
        }
    }

    #[test]
    fn every_tool_is_described_and_has_schemas() {
        let server = server(Arc::new(Nowhere)).unwrap();
        server.verify().unwrap();
        let tools = server.known_tools();
        let said: Vec<String> =
            tools.iter().map(|tool| format!("{} {}", tool.tier.as_str(), tool.name)).collect();
        insta::assert_snapshot!(said.join("\n"), @"
        operate add
        operate ask_human
        operate attach
        operate comment
        operate edit
        read feature
        read fleet_cost
        read fleet_digest
        read fleet_risks
        read fleet_status
        read hand_over
        read lessons
        read list
        operate move
        read policies
        operate propose_lesson
        read question
        operate report_blocker
        operate report_progress
        operate request_review
        read runbooks
        read search
        read show
        read stand_up
        read team
        read team_board
        read triage
        read why
        ");
        let of_a_run = tools.iter().filter(|tool| OF_A_RUN.contains(&tool.name.as_str()));
        assert_eq!(of_a_run.count(), OF_A_RUN.len());
        assert!(tools.iter().all(|tool| tool.tier <= Tier::Operate));
    }
}
