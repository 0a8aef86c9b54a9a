//! The one total function by which a feature moves. Every refusal says why.

use qd_types::Stage;

/// What moves a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A person moved it.
    Moved(Stage),
    /// The scheduler opened a run.
    RunStarted,
    /// The run's pull request is open.
    PullRequestOpened,
    /// The run's change is on the target branch.
    Merged,
    /// The run ended without a merge; a person is needed, and this is why.
    RunEnded(String),
    /// The run ended without a merge, and another one follows by itself; this is why.
    RunRetries(String),
    /// The run goes on with its agent: what was in review is to be changed.
    BackToAgent,
    /// What was proposed for it was accepted, and became its parts; this is what it waits for.
    Planned(String),
    /// All its parts are done or cancelled.
    PartsDone,
    /// It was a question, and is answered.
    Answered,
    /// It was a question, and nothing more is tried to answer it; this is why.
    Unanswered(String),
    /// A person gave it up.
    Cancelled,
}

/// Where a feature stands, and what holds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The column.
    pub stage: Stage,
    /// Why it stands still until a person moves it.
    pub held: Option<String>,
}

/// A move that is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Why, and what would help.
    pub reason: String,
}

fn refuse(reason: impl Into<String>) -> Result<Position, Refused> {
    Err(Refused { reason: reason.into() })
}

fn at(stage: Stage) -> Result<Position, Refused> {
    Ok(Position { stage, held: None })
}

/// The position after `happened`, or why there is none.
pub fn transition(from: &Position, happened: &Happened) -> Result<Position, Refused> {
    use Stage::{Backlog, Cancelled, Done, Ready, Review, Running};
    match (from.stage, happened) {
        (Backlog, Happened::Moved(Ready)) | (Cancelled, Happened::Moved(Ready)) => at(Ready),
        (Ready, Happened::Moved(Backlog)) | (Cancelled, Happened::Moved(Backlog)) => at(Backlog),
        (Ready, Happened::Moved(Ready)) if from.held.is_some() => at(Ready),
        (stage, Happened::Moved(to)) if stage == *to => refuse(format!("It is in {stage} already.")),
        (Running | Review, Happened::Moved(_)) => {
            refuse("A run works on it. Stop the run first, then move it.".to_owned())
        }
        (Done, Happened::Moved(_)) => refuse("It is merged. File a new feature for what is still wanted."),
        (Backlog | Ready | Cancelled, Happened::Moved(to)) => {
            refuse(format!("Only a run takes a feature to {to}. People move between backlog and ready."))
        }
        (Ready, Happened::RunStarted) if from.held.is_none() => at(Running),
        (Ready, Happened::RunStarted) => refuse("It is held until a person moves it to ready again."),
        (stage, Happened::RunStarted) => refuse(format!("A run starts from ready, and this is in {stage}.")),
        (Running | Review, Happened::PullRequestOpened) => at(Review),
        (Running | Review, Happened::Merged) => at(Done),
        (Running | Review, Happened::RunEnded(why)) => Ok(Position { stage: Ready, held: Some(why.clone()) }),
        (Running | Review, Happened::RunRetries(_)) => at(Ready),
        (Running | Review, Happened::BackToAgent) => at(Running),
        (Running | Review, Happened::Planned(why)) => {
            Ok(Position { stage: Backlog, held: Some(why.clone()) })
        }
        (Running | Review, Happened::Answered) => at(Done),
        (Running | Review, Happened::Unanswered(_)) => at(Cancelled),
        (Backlog, Happened::PartsDone) => at(Done),
        (stage, Happened::PartsDone) => refuse(format!("Its parts are done, and it is in {stage} itself.")),
        (
            stage,
            Happened::PullRequestOpened
            | Happened::Merged
            | Happened::RunEnded(_)
            | Happened::RunRetries(_)
            | Happened::BackToAgent
            | Happened::Planned(_)
            | Happened::Answered
            | Happened::Unanswered(_),
        ) => refuse(format!("No run works on it: it is in {stage}.")),
        (Backlog | Ready, Happened::Cancelled) => at(Cancelled),
        (Running | Review, Happened::Cancelled) => {
            refuse("A run works on it. Stop the run first, then cancel it.")
        }
        (Done, Happened::Cancelled) => refuse("It is merged. File a feature that takes it back."),
        (Cancelled, Happened::Cancelled) => refuse("It is cancelled already."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_happening() -> impl Strategy<Value = Happened> {
        prop_oneof![
            prop::sample::select(Stage::ALL.to_vec()).prop_map(Happened::Moved),
            Just(Happened::RunStarted),
            Just(Happened::PullRequestOpened),
            Just(Happened::Merged),
            Just(Happened::RunEnded("checks red".into())),
            Just(Happened::RunRetries("the network".into())),
            Just(Happened::BackToAgent),
            Just(Happened::Planned("3 features".into())),
            Just(Happened::PartsDone),
            Just(Happened::Answered),
            Just(Happened::Unanswered("its agent is gone".into())),
            Just(Happened::Cancelled),
        ]
    }

    proptest! {
        #[test]
        fn done_is_reached_by_a_run_or_by_parts_and_never_left(events in prop::collection::vec(any_happening(), 0..24)) {
            let mut position = Position { stage: Stage::Backlog, held: None };
            let mut run_open = false;
            for event in events {
                let before = position.clone();
                match transition(&position, &event) {
                    Ok(next) => {
                        prop_assert_ne!(before.stage, Stage::Done);
                        if event == Happened::RunStarted {
                            prop_assert!(!run_open && before.held.is_none());
                            run_open = true;
                        }
                        let ends = matches!(
                            event,
                            Happened::Merged
                                | Happened::RunEnded(_)
                                | Happened::RunRetries(_)
                                | Happened::Planned(_)
                                | Happened::Answered
                                | Happened::Unanswered(_)
                        );
                        if ends {
                            prop_assert!(run_open);
                            run_open = false;
                        }
                        prop_assert_eq!(run_open, matches!(next.stage, Stage::Running | Stage::Review));
                        position = next;
                    }
                    Err(refused) => prop_assert!(refused.reason.ends_with('.')),
                }
            }
        }
    }
}
