//! Asking the bot about the whole fleet. The question goes up as a report and the answer comes down as an order: who asks waits
//! for that a moment, and hears that there was no answer if the bot is away.

use std::time::Duration;

use jiff::Timestamp;
use qd_api::{FleetQuestion, FleetView, Problem};
use qd_types::Verb;
use qd_wire::v1::{FleetAnswer, FleetAsk};
use tokio::time::Instant;
use ulid::Ulid;

use crate::{
    problem,
    team::{Answer, Caller, Team},
};

/// How long an answer is waited for.
const ANSWERS: Duration = Duration::from_secs(5);
/// Days of which the cost is told.
const DAYS: u32 = 7;

impl Team {
    /// What the bot says of the whole fleet.
    ///
    /// # Errors
    /// If the caller may not see the fleet, no bot is joined, or it does not answer within five seconds.
    pub async fn ask_fleet(&self, caller: &Caller, about: FleetQuestion) -> Answer<FleetView> {
        self.permit_fleet(caller, Verb::FleetView)?;
        if !self.is_linked() {
            return Err(problem::refused("This team has no bot to ask (quarterdeck instance join)."));
        }
        let (id, mut commits) = (Ulid::generate().to_string(), self.store().commits());
        let ask = match about {
            FleetQuestion::Status => FleetAsk::Status,
            FleetQuestion::Risks => FleetAsk::Risks,
            FleetQuestion::Cost => FleetAsk::Cost { days: DAYS },
            FleetQuestion::Digest => FleetAsk::Digest,
        };
        self.store().ask_fleet(id.clone(), ask, Timestamp::now()).await.map_err(problem::from_store)?;
        let deadline = Instant::now() + ANSWERS;
        loop {
            commits.borrow_and_update();
            if let Some(answer) = self.store().fleet_answer(&id).await.map_err(problem::from_store)? {
                return lines(answer).map(|lines| FleetView { lines });
            }
            if !matches!(tokio::time::timeout_at(deadline, commits.changed()).await, Ok(Ok(()))) {
                let text = "The bot did not answer within 5 seconds: quarterdeck instance status says why.";
                return Err(problem::refused(text));
            }
        }
    }
}

fn lines(answer: FleetAnswer) -> Result<Vec<String>, Problem> {
    Ok(match answer {
        FleetAnswer::Status { teams } => {
            teams.into_iter().map(|team| team.sentence.as_str().to_owned()).collect()
        }
        FleetAnswer::Risks { risks } => {
            risks.into_iter().map(|risk| format!("{}: {}", risk.team, risk.text.as_str())).collect()
        }
        FleetAnswer::Cost { days } => days
            .into_iter()
            .map(|cost| format!("{} {}: {}", cost.day, cost.team, cost.spent.said()))
            .collect(),
        FleetAnswer::Digest { lines } => lines.into_iter().map(|line| line.as_str().to_owned()).collect(),
        FleetAnswer::Refused { reason } => return Err(problem::refused(reason.as_str())),
    })
}
