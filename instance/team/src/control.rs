//! What people do with the team as a whole, and with its operations: pause, resume, list, retry, stop, drop.

use jiff::Timestamp;
use qd_board::{Happened, Observed, Operation};
use qd_store::{Pause, Which};
use qd_types::{Stage, Verb};

use crate::{
    asked::Change,
    features::said,
    problem,
    team::{Answer, Caller, Team},
};

/// Operations in one answer.
const OPERATIONS: usize = 200;

impl Team {
    /// Who paused the team; none while it works.
    pub async fn paused(&self) -> Answer<Option<Pause>> {
        self.store().paused().await.map_err(problem::from_store)
    }

    /// Pauses the team: what runs goes on, nothing starts.
    pub async fn pause(&self, caller: &Caller, why: Option<String>) -> Answer<()> {
        self.permitted(caller, Verb::TeamPause, || Change::PauseTeam { why: why.clone() }).await?;
        let (actor, said) = (caller.person.id.as_str(), said(caller, why));
        let paused = self.store().pause_team(actor, Some(said), Timestamp::now()).await;
        paused.map_err(problem::from_store)
    }

    /// Lets the team go on.
    pub async fn resume(&self, caller: &Caller) -> Answer<()> {
        self.permitted(caller, Verb::TeamResume, || Change::ResumeTeam).await?;
        let actor = caller.person.id.as_str();
        self.store().pause_team(actor, None, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// Operations, newest first.
    pub async fn operations(&self, which: Which) -> Answer<Vec<Operation>> {
        self.store().operations(which, OPERATIONS).await.map_err(problem::from_store)
    }

    /// One operation.
    pub async fn operation(&self, id: u64) -> Answer<Operation> {
        self.store().operation(id).await.map_err(problem::from_store)
    }

    /// Tries again what gave up: its feature is ready once more.
    pub async fn retry_operation(&self, caller: &Caller, id: u64) -> Answer<Operation> {
        let operation = self.gave_up(caller, Verb::OperationRetry, id).await?;
        let Some(feature) = operation.feature else {
            return Err(problem::refused(format!(
                "Operation {id} belongs to no feature: it is not retried."
            )));
        };
        let reason = Some(format!("Retry of operation {id}."));
        let moved = Happened::Moved(Stage::Ready);
        let moved =
            self.store().happen(&caller.person.id, &feature, moved, None, reason, Timestamp::now()).await;
        moved.map_err(problem::from_store)?;
        self.operation(id).await
    }

    /// Takes what gave up off the list. Its feature goes to the backlog.
    pub async fn drop_operation(&self, caller: &Caller, id: u64) -> Answer<Operation> {
        let operation = self.gave_up(caller, Verb::OperationDrop, id).await?;
        let now = Timestamp::now();
        match operation.feature {
            Some(feature) => {
                let reason = Some(format!("Operation {id} was dropped."));
                let moved = Happened::Moved(Stage::Backlog);
                let moved = self.store().happen(&caller.person.id, &feature, moved, None, reason, now).await;
                moved.map_err(problem::from_store)?;
            }
            None => {
                self.store().drop_operation(id, now).await.map_err(problem::from_store)?;
            }
        }
        self.operation(id).await
    }

    async fn gave_up(&self, caller: &Caller, verb: Verb, id: u64) -> Answer<Operation> {
        let change = || match verb {
            Verb::OperationDrop => Change::DropOperation { id },
            _ => Change::RetryOperation { id },
        };
        self.permitted(caller, verb, change).await?;
        let operation = self.operation(id).await?;
        if operation.observed != Observed::Dead {
            let reason =
                format!("Operation {id} is {}: only what gave up is retried or dropped.", operation.observed);
            return Err(problem::refused(reason));
        }
        Ok(operation)
    }

    /// Stops an operation that is under way, with the run that it belongs to.
    pub async fn stop_operation(&self, caller: &Caller, id: u64) -> Answer<Operation> {
        self.permitted(caller, Verb::OperationStop, || Change::StopOperation { id }).await?;
        let operation = self.operation(id).await?;
        let Some(run) = operation.run.clone().filter(|_| operation.ended_at.is_none()) else {
            let text =
                if operation.ended_at.is_some() { "has ended" } else { "can't be stopped: it is short" };
            return Err(problem::refused(format!("Operation {id} {text}.")));
        };
        self.stop(caller, &run).await?;
        self.operation(id).await
    }
}
