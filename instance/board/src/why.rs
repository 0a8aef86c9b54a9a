//! What a feature waits for, and the one sentence that says so: the same on the card, in `feature why`, in chat.
//! Derived whenever it is read, from facts; never stored.

use jiff::{Timestamp, tz::TimeZone};
use qd_types::{Action, Approval, Stage, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Feature, PlanMode, Run, RunEnd, StepState, schedule::Hold};

/// Whether a person was asked or only may: it waits for the same.
const PLAN_WAITS: &str = "Its plan is written. Waits for a person to accept it.";

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
    /// Somebody paused it.
    Paused,
    /// A time has to come.
    Time,
    /// Another feature works on the same.
    Conflict,
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
    /// What the scheduler last said of it, while it is ready; none if it starts, or was not looked at yet.
    pub hold: Option<&'a Hold>,
    /// The fleet's time zone.
    pub zone: &'a TimeZone,
    /// Its open approval.
    pub approval: Option<&'a Approval>,
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
            Stage::Backlog => why(None, self.feature.held.as_deref().unwrap_or("Not released yet.")),
            Stage::Cancelled => self.cancelled(),
            Stage::Done => self.done(),
            Stage::Ready => self.ready(),
            Stage::Running | Stage::Review => {
                self.run.map_or_else(|| why(None, "Starts."), |run| self.running(run))
            }
        }
    }

    fn done(&self) -> Why {
        let Some(run) = self.run else { return why(None, "Done.") };
        let commit = match &run.end {
            Some(RunEnd::Merged { commit }) => commit,
            Some(RunEnd::Planned { features }) => {
                return why(None, format!("All of its {features} features are done or cancelled."));
            }
            Some(RunEnd::Answered { known, .. }) => {
                let how = if *known { "Answered" } else { "Its agent doesn't know: said" };
                return why(
                    None,
                    format!("{how} by run {} after {}.", run.id, minutes(run.seconds(self.now))),
                );
            }
            _ => return why(None, "Merged. Cleans up."),
        };
        let approved = match run.approved_by.as_slice() {
            [] => String::new(),
            names => format!(" Approved by {}.", join(names)),
        };
        why(None, format!("Merged as {} after {}.{approved}", commit.short(), minutes(run.seconds(self.now))))
    }

    fn cancelled(&self) -> Why {
        match self.run.and_then(|run| run.end.as_ref()) {
            Some(RunEnd::Failed { reason, .. } | RunEnd::Stopped { reason })
                if self.feature.wanted.plan == PlanMode::Answer =>
            {
                why(None, format!("Not answered: {reason}"))
            }
            _ => why(None, "Cancelled."),
        }
    }

    fn ready(&self) -> Why {
        match self.hold {
            Some(hold) => why(hold.waits(), hold.sentence(self.zone)),
            None => why(None, "Next. Starts now."),
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
            Step::Agent if self.approval.is_some() => self.asks(),
            Step::Agent if run.repairs() > 0 => why(
                Waits::Checks,
                format!("{}, repair round {} of {}.", red(run), run.repairs(), self.repair_rounds),
            ),
            Step::Agent if self.plan_waits(run) => why(Waits::Question, PLAN_WAITS),
            Step::Agent if self.feature.wanted.plan == PlanMode::Answer => {
                why(None, format!("{} looks into it.", capital(&run.agent)))
            }
            Step::Agent if run.plan.is_none() && self.feature.wanted.plan != PlanMode::None => {
                why(None, format!("{} plans.", capital(&run.agent)))
            }
            Step::Agent if run.feedback.is_some() => {
                let about = run.feedback.as_ref().map_or("", |feedback| feedback.about.as_str());
                why(None, format!("{} works on {about}.", capital(&run.agent)))
            }
            Step::Agent => why(None, format!("{} works.", capital(&run.agent))),
            Step::Checks => why(Waits::Checks, "Runs the checks."),
            Step::Commit => why(None, "Commits."),
            Step::Push if self.approval.is_some() => self.review(run, started),
            Step::Push => why(Waits::Forge, "Pushes its branch."),
            Step::PullRequest => why(Waits::Forge, "Waits for the pull request to be opened."),
            Step::Review => self.review(run, started),
            Step::Merge => {
                why(Waits::Checks, "Approved. Tests the merge with what is on the target branch now.")
            }
            Step::CleanUp => why(None, "Merged. Cleans up."),
        }
    }

    fn plan_waits(&self, run: &Run) -> bool {
        self.feature.wanted.plan.asks() && run.plan.is_some() && run.plan_accepted.is_none()
    }

    /// What the instance itself asks for, while its agent waits or works.
    fn asks(&self) -> Why {
        let Some(approval) = self.approval else { return why(None, "Asks.") };
        let who = approval.subject.requirement.who(1);
        match &approval.subject.action {
            Action::Budget(budget) => why(
                Waits::Budget,
                format!("{} Asks for {}: one more {who}.", budget.used_up(), budget.said(budget.to)),
            ),
            Action::Question(_) => {
                why(Waits::Question, format!("Asks a question. Waits for one more {who}."))
            }
            Action::Plan(_) => why(Waits::Question, PLAN_WAITS),
            _ => {
                let title = lower(&approval.subject.title());
                why(Waits::Approval, format!("Asks to {title}. Waits for {who}."))
            }
        }
    }

    fn review(&self, run: &Run, started: bool) -> Why {
        if let Some(approval) = self.approval {
            let tally = approval.tally();
            let missing = (tally.needed as usize).saturating_sub(tally.approved.len());
            let who = approval.subject.requirement.who(missing);
            let sentence = format!("Asks to {}. {missing} more {who}.", lower(&approval.subject.title()));
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

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
