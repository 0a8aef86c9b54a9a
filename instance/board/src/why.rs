//! What a feature waits for, and the one sentence that says so: the same on the card, in `feature why`, in chat.
//! Derived whenever it is read, from facts; never stored.

use jiff::Timestamp;
use qd_types::{Approval, FeatureId, Stage, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Feature, Run, RunEnd, StepState};

/// What keeps a feature from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// Another feature has to be merged.
    Dependency,
    /// People have to approve.
    Approval,
    /// A person has to answer.
    Question,
    /// Checks run or are red.
    Checks,
    /// Money or time is used up.
    Budget,
    /// A person has to do something.
    Person,
    /// All slots are taken.
    Slot,
    /// The forge has to answer, through the bot.
    Forge,
}

/// What is true now, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// What it waits for; `None` while it moves or rests.
    pub waits: Option<Waits>,
    /// One sentence.
    pub sentence: String,
}

/// All that the sentence is made from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The feature.
    pub feature: &'a Feature,
    /// Its newest run.
    pub run: Option<&'a Run>,
    /// Dependencies that are not merged yet.
    pub unmet: &'a [FeatureId],
    /// Its open approval.
    pub approval: Option<&'a Approval>,
    /// Whether a slot is free.
    pub slot_free: bool,
    /// Whether the team has an agent.
    pub has_agent: bool,
    /// Repair rounds that are allowed.
    pub repair_rounds: u32,
    /// Now.
    pub now: Timestamp,
}

fn why(waits: impl Into<Option<Waits>>, sentence: impl Into<String>) -> Why {
    Why { waits: waits.into(), sentence: sentence.into() }
}

impl Situation<'_> {
    /// What is true now.
    pub fn why(&self) -> Why {
        match self.feature.stage {
            Stage::Backlog => why(None, "Not released yet."),
            Stage::Cancelled => why(None, "Cancelled."),
            Stage::Done => self.done(),
            Stage::Ready => self.ready(),
            Stage::Running | Stage::Review => {
                self.run.map_or_else(|| why(None, "Starts."), |run| self.running(run))
            }
        }
    }

    fn done(&self) -> Why {
        let Some(run) = self.run else { return why(None, "Done.") };
        let Some(RunEnd::Merged { commit }) = &run.end else { return why(None, "Merged. Cleans up.") };
        let approved = match run.approved_by.as_slice() {
            [] => String::new(),
            names => format!(" Approved by {}.", join(names)),
        };
        why(None, format!("Merged as {} after {}.{approved}", commit.short(), minutes(run.seconds(self.now))))
    }

    fn ready(&self) -> Why {
        if let Some(held) = &self.feature.held {
            return why(Waits::Person, format!("{} Needs a person.", full_stop(held)));
        }
        if !self.unmet.is_empty() {
            let names: Vec<String> = self.unmet.iter().map(ToString::to_string).collect();
            return why(Waits::Dependency, format!("Waits for {} to be merged.", join(&names)));
        }
        if !self.has_agent {
            return why(Waits::Person, "No agent is configured for this team. Needs a person.");
        }
        if self.slot_free {
            why(None, "Next. Starts now.")
        } else {
            why(Waits::Slot, "Next. Starts when a slot is free.")
        }
    }

    fn running(&self, run: &Run) -> Why {
        if run.stop.is_some() {
            return why(None, "Is being stopped.");
        }
        let Some(step) = run.next_step() else { return why(None, "Ends.") };
        let started = run.step(step).is_some_and(|row| row.state == StepState::Started);
        match step {
            Step::Worktree => why(None, "Makes a worktree."),
            Step::Agent if run.round > 0 => why(
                Waits::Checks,
                format!("{}, repair round {} of {}.", red(run), run.round, self.repair_rounds),
            ),
            Step::Agent => why(None, format!("{} works.", capital(&run.agent))),
            Step::Checks => why(Waits::Checks, "Runs the checks."),
            Step::Commit => why(None, "Commits."),
            Step::Push => why(Waits::Forge, "Pushes its branch."),
            Step::PullRequest => why(Waits::Forge, "Waits for the pull request to be opened."),
            Step::Review => self.review(run, started),
            Step::Merge => {
                why(Waits::Checks, "Approved. Tests the merge with what is on the target branch now.")
            }
            Step::CleanUp => why(None, "Merged. Cleans up."),
        }
    }

    fn review(&self, run: &Run, started: bool) -> Why {
        if let Some(approval) = self.approval {
            let tally = approval.tally();
            let missing = (tally.needed as usize).saturating_sub(tally.approved.len());
            let roles: Vec<&str> =
                approval.subject.requirement.roles.iter().map(|role| role.as_str()).collect();
            let sentence = format!(
                "Asks to {}. {missing} more {}.",
                lower(&approval.subject.action.title()),
                roles.join(" or ")
            );
            return why(Waits::Approval, sentence);
        }
        let number = run.pull_request.map_or_else(String::new, |number| format!(" {number}"));
        let waits = if started { Waits::Forge } else { Waits::Approval };
        why(waits, format!("Pull request{number} is open, people are being asked."))
    }
}

fn red(run: &Run) -> String {
    let red: Vec<&str> = run
        .newest_checks()
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name.as_str())
        .collect();
    match red.as_slice() {
        [] => "Repairs".to_owned(),
        [one] => format!("Check {one} is red"),
        many => format!("{} checks are red", many.len()),
    }
}

/// "18 s", "41 min", "2 h 5 min": a duration as people say it.
pub fn minutes(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ if (seconds / 60).is_multiple_of(60) => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn full_stop(text: &str) -> String {
    if text.ends_with(['.', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
