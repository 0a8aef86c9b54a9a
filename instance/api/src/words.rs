//! What the local API says and takes. Views hold what was derived; the domain's own types stay in `qd-board`.

use jiff::Timestamp;
use qd_board::{
    Assignment, CheckFact, Clash, Feature, Feedback, NewFeature, Project, RunEnd, Standing, Waits,
    exchange::Format,
};
use qd_types::{
    Approval, ApprovalState, Ballot, CommitId, Confirm, FeatureId, InstanceName, Line, PersonId,
    RepositoryName, Role, RunId, Spent, Stage, Step,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A feature as every surface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureView {
    /// What is stored.
    #[serde(flatten)]
    pub feature: Feature,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// What is true now, in a sentence.
    pub sentence: String,
    /// Its newest run.
    pub run: Option<RunSummary>,
    /// Open branches that it can't be merged with.
    #[serde(default)]
    pub clashes: Vec<Clash>,
    /// What all its runs have spent on models, if they were metered.
    #[serde(default)]
    pub spent: Option<Spent>,
}

/// Why a feature runs now, or what exactly it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// What is true now, in a sentence.
    pub sentence: String,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// Its place among the ready ones, while it is ready.
    pub place: Option<Place>,
    /// Who works on it, and what decided that.
    pub agent: Option<Assignment>,
    /// How big it is, and who says so: "s, by rule docs are small".
    pub size: Option<String>,
    /// Open branches that it can't be merged with.
    pub clashes: Vec<Clash>,
    /// The feature.
    pub feature: FeatureView,
}

/// A place in the order in which ready features start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// From 1.
    pub place: u32,
    /// Of so many.
    pub of: usize,
    /// What the place was made from: "urgency 1, unblocks 3".
    pub because: String,
}

/// A run in a list or on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// `A-142.2`.
    pub id: RunId,
    /// Title of the feature.
    pub title: String,
    /// The agent's name.
    pub agent: String,
    /// The model that it is told to use.
    #[serde(default)]
    pub model: Option<String>,
    /// What decided on agent and model.
    #[serde(default)]
    pub assigned_by: String,
    /// The nine marks.
    pub line: Line,
    /// Its branch.
    pub branch: String,
    /// The checked commit.
    pub commit: Option<CommitId>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// Checks that passed, and all, by their newest result.
    pub checks_passed: u32,
    /// All checks, by their newest result.
    pub checks: u32,
    /// Who approved.
    pub approved_by: Vec<String>,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// When it was opened.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// Seconds so far.
    pub seconds: u64,
    /// What it has spent on models, if they are metered.
    #[serde(default)]
    pub spent: Option<Spent>,
}

/// One step, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Which.
    pub step: Step,
    /// Its mark.
    pub mark: qd_types::Mark,
    /// A short fact: "318".
    pub note: Option<String>,
    /// Milliseconds it took, once it ended.
    pub millis: Option<u64>,
}

/// A run in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// What is true now, in a sentence.
    pub sentence: String,
    /// All nine.
    pub steps: Vec<StepView>,
    /// All check results, oldest first.
    pub check_results: Vec<CheckFact>,
    /// Where the branch starts.
    pub base: Option<CommitId>,
    /// Repair rounds begun.
    pub round: u32,
    /// The agent's last words; quoted, never trusted.
    pub words: Option<String>,
    /// The plan that the agent wrote before it worked.
    #[serde(default)]
    pub plan: Option<String>,
    /// Whether the plan waits for a person.
    #[serde(default)]
    pub plan_waits: bool,
    /// Why it went back to its agent, if it did.
    #[serde(default)]
    pub feedback: Option<Feedback>,
    /// Whether a person asked to stop it.
    pub stopping: bool,
    /// Its open approval.
    pub approval: Option<ApprovalView>,
}

/// A piece of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptPage {
    /// The entries, oldest first.
    pub entries: Vec<TranscriptEntry>,
    /// Where to go on.
    pub next_offset: u64,
    /// Whether the run has ended, so that nothing more will come.
    pub ended: bool,
}

/// One entry of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptEntry {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `prompt`, `output`, `error_output`, `system`, `check`, `thought`, `tool` or `permission`.
    pub kind: String,
    /// What was written. Data, never markup.
    pub text: String,
}

/// A change as a unified diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffView {
    /// The diff.
    pub text: String,
    /// Whether it was cut.
    pub cut: bool,
    /// Files changed.
    pub files: u64,
    /// Lines added.
    pub insertions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// An approval as it stands in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    /// As its executor keeps it.
    #[serde(flatten)]
    pub approval: Approval,
    /// "Merge 4f2a91c into main".
    pub title: String,
    /// Title of the feature.
    pub feature_title: String,
    /// Facts for the card.
    pub facts: String,
    /// The agent's words, quoted.
    pub words: Option<String>,
    /// How it ended, once it did.
    pub ended: Option<String>,
    /// How a yes has to be given, if the executor says so.
    pub confirm: Option<Confirm>,
    /// Until when people have to decide, once a card was delivered.
    #[schemars(with = "Option<String>")]
    pub decide_until: Option<Timestamp>,
    /// A vote given here travels to the executor: "deciding".
    pub deciding: bool,
    /// Why the caller may not decide; `None` if they may, or if it is closed.
    pub refusal: Option<String>,
    /// Until when the caller put it off.
    #[schemars(with = "Option<String>")]
    pub snoozed: Option<Timestamp>,
}

/// Puts an approval off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snooze {
    /// For so long, at most a week; left out, it comes back now.
    #[serde(default)]
    pub minutes: Option<u32>,
}

/// A question to people, on behalf of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskQuestion {
    /// Which run wants to know.
    pub run: RunId,
    /// The question, 1 to 2000 characters.
    pub text: String,
    /// Answers to choose from, at most 20. Without any, and without a schema, the answer is a text.
    #[serde(default)]
    pub choices: Vec<String>,
    /// JSON Schema of a good answer, instead of choices.
    #[serde(default)]
    pub schema: Option<serde_json::Value>,
    /// Who is asked; left out, everybody whom the policies let answer.
    #[serde(default)]
    pub roles: Vec<Role>,
}

/// What a run needs of another team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeedTeam {
    /// Which run can't go on without it.
    pub run: RunId,
    /// The team that could help.
    pub team: InstanceName,
    /// What is needed, 1 to 2000 characters.
    pub text: String,
}

/// What became of asking another team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NeedView {
    /// Number of the issue, once it is open.
    pub issue: Option<u64>,
    /// Why there will be none.
    pub refused: Option<String>,
}

/// A question, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionView {
    /// The unique part of its approval's id.
    pub key: String,
    /// Which run asked.
    pub run: RunId,
    /// The question.
    pub text: String,
    /// JSON Schema of a good answer; none takes any text.
    pub schema: Option<serde_json::Value>,
    /// `requested` until somebody answers, then `executed`; `denied` if somebody refused to answer.
    pub state: ApprovalState,
    /// Why it stands there, as a sentence.
    pub reason: Option<String>,
    /// What was answered, by the names of the people.
    pub answers: Vec<AnswerView>,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerView {
    /// Whose.
    pub person: PersonId,
    /// A text, or what the schema takes.
    pub value: serde_json::Value,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CastVote {
    /// Yes or no.
    pub ballot: Ballot,
    /// The digest that the person saw.
    pub digest: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// The name of the target, typed out, where an approval wants that.
    #[serde(default)]
    pub typed: Option<String>,
    /// The answer to a question: any JSON that the question's schema takes.
    #[serde(default)]
    pub answer: Option<serde_json::Value>,
}

impl CastVote {
    /// A plain yes or no on what was seen.
    pub fn new(ballot: Ballot, digest: impl ToString, reason: Option<String>) -> Self {
        Self { ballot, digest: digest.to_string(), reason, typed: None, answer: None }
    }
}

/// Where a feature should go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveFeature {
    /// The column.
    pub stage: Stage,
    /// The version that was seen.
    #[serde(default)]
    pub version: Option<u64>,
    /// Why, for the history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Why something is done, for the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A comment to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// Markdown.
    pub text: String,
}

/// What to export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportFilter {
    /// How it is written.
    #[serde(default)]
    pub format: Format,
    /// Only features of this stage.
    #[serde(default)]
    pub stage: Option<Stage>,
}

/// A file to be imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportFile {
    /// How it is written.
    pub format: Format,
    /// What is in it.
    pub text: String,
    /// The file's name: items without an id are known by it, so that a second import skips them.
    #[serde(default)]
    pub name: Option<String>,
    /// Release what is open to the team at once.
    #[serde(default)]
    pub ready: bool,
    /// Only say what would be filed.
    #[serde(default)]
    pub dry_run: bool,
}

/// A plan, accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptPlan {
    /// The plan as the person changed it; left out, it is accepted as it is.
    #[serde(default)]
    pub text: Option<String>,
    /// For a goal: its features wait in the backlog, and are not released to the team at once.
    #[serde(default)]
    pub backlog: bool,
}

/// Work that was kept when its worktree went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreservedView {
    /// Whose.
    pub run: RunId,
    /// Which repository's.
    pub repository: RepositoryName,
    /// The commit that has it all.
    pub commit: CommitId,
    /// When it was preserved.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// When it goes.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Why it was preserved.
    pub note: String,
    /// Files that differ from what the run started from.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// Where preserved work is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestorePreserved {
    /// A folder that does not exist yet, as an absolute path: a clone is put there.
    #[serde(default)]
    pub folder: Option<std::path::PathBuf>,
}

/// Where preserved work was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredView {
    /// The branch in the team's mirror.
    pub branch: String,
    /// What has it.
    pub commit: CommitId,
    /// The clone, if one was asked for.
    pub folder: Option<std::path::PathBuf>,
}

/// Which preserved work to let go of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrunePreserved {
    /// What was preserved more days ago than this; left out, as configured.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A recurring feature to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRecurring {
    /// What it is called.
    pub name: String,
    /// A cron expression of five fields in the fleet's time zone, or `@daily` and the like.
    pub schedule: String,
    /// The feature that is filed.
    pub feature: NewFeature,
    /// Left out if it can't start within so many minutes; 60 unless said.
    #[serde(default)]
    pub start_deadline_minutes: Option<u32>,
}

/// A recurring feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringView {
    /// What it is called.
    pub name: String,
    /// When.
    pub schedule: String,
    /// The feature that is filed.
    pub feature: NewFeature,
    /// Whether it stands still.
    pub suspended: bool,
    /// Left out if it can't start within so many minutes.
    pub start_deadline_minutes: u32,
    /// The occurrence that was filed or left out last.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
    /// The next one; none while it is suspended.
    #[schemars(with = "Option<String>")]
    pub next: Option<Timestamp>,
    /// The feature that it filed the last time, while that is open.
    pub open: Option<FeatureId>,
}

/// What the instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamView {
    /// Its name.
    pub name: InstanceName,
    /// The person that the caller is.
    pub you: PersonId,
    /// Runs under way.
    pub running: u32,
    /// Runs at once.
    pub slots: u32,
    /// Who lowered that, as a sentence; none while it is as configured.
    #[serde(default)]
    pub lowered: Option<String>,
    /// The number of the newest entry of the log when this was read: what a page follows from.
    #[serde(default)]
    pub seq: u64,
    /// Who paused it and why; none while it works.
    #[serde(default)]
    pub paused: Option<String>,
    /// Approvals that are open.
    pub asks: u32,
    /// Reports that wait to be heard by the bot.
    pub unshipped: u64,
    /// Why no new run starts, if too much waits for the bot.
    #[serde(default)]
    pub refuses: Option<String>,
    /// The program's version.
    pub version: String,
}

/// Something that happened, as the event stream carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its place in the log, from 1, without gaps.
    pub seq: u64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Who: a person's name, `team` or `bot`.
    pub actor: String,
    /// `feature_added`, `feature_edited`, `feature_moved`, `run_started`, `step`, `run_ended`, `approval`.
    pub kind: String,
    /// Which feature.
    pub feature: Option<FeatureId>,
    /// Which run.
    pub run: Option<RunId>,
    /// What, in a sentence.
    pub text: String,
    /// Why, as the actor said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What changed: each field with its value before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<serde_json::Value>,
}

/// What holds when an event stream begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardSnapshot {
    /// The number of the newest entry of the log that is in it.
    pub seq: u64,
    /// The team.
    pub team: TeamView,
    /// All features, newest first.
    pub features: Vec<FeatureView>,
}

/// An error, as RFC 9457 has it, with a hint on what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A name for the kind of error: `not-found`, `refused`, `stale`, `invalid`, `too-large`, `method-not-allowed`,
    /// `unsupported-media-type`, `unauthorized`, `forbidden`, `internal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A project with what is derived from its features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectView {
    /// What people said.
    #[serde(flatten)]
    pub project: Project,
    /// Raised by every change; an edit names the one it was made from.
    pub version: u64,
    /// How it stands.
    pub standing: Standing,
}

/// An edit of a project as a merge patch (RFC 7396): what is left out stays, `null` clears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditProject {
    /// The version that was seen; left out, the edit is made to whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The fields, with their new values.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}
