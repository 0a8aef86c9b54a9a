//! What a payload means, without asking anybody: each event and action that is heard, and why of another one nothing is made.

use qd_core::{
    distil::PipelineKind,
    outside::{Done, IssueText, Verdict},
};
use qd_types::CommitId;

use super::payload::{CheckRun, Issue, Payload, User};

/// A workflow that ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: u64,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) commit: CommitId,
    pub(crate) passed: bool,
}

/// What a payload means.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    /// Nothing is made of it, and why.
    Nothing(&'static str),
    /// It is not known here.
    Unknown,
    /// Something was done to an issue.
    Issue { number: u64, done: Done, text: IssueText, mark: String },
    /// A comment was written.
    Comment { number: u64, id: u64, body: String, by: User, issue: Option<IssueText>, app: Option<u64> },
    /// A review was given.
    Review { number: u64, id: u64, head: CommitId, verdict: Verdict, body: String, by: User },
    /// A workflow ended elsewhere than on the default branch.
    Run(Run),
    /// A check of another App ended red.
    Check(Box<CheckRun>),
    /// A status of a commit is red.
    Status { id: u64, sha: String, name: String, summary: String, url: Option<String> },
    /// Something ran on the default branch.
    Ran { kind: PipelineKind, name: String, commit: CommitId, passed: bool, url: Option<String> },
    /// The repository is called otherwise, and was called so.
    Renamed { before: Option<String> },
    /// It belongs to somebody else.
    Transferred,
    /// It is gone.
    Deleted,
    /// The bot may reach repositories, or not any more; of which owner, and if names are given, which ones.
    Access { owner: String, names: Vec<String>, lost: Option<&'static str> },
}

/// What a payload of this kind means.
pub(crate) fn meaning(kind: &str, payload: &Payload) -> Meaning {
    let action = payload.action.as_deref().unwrap_or_default();
    match kind {
        "ping" => Meaning::Nothing("GitHub greets"),
        "issues" => issue(action, payload),
        "issue_comment" => comment(action, payload),
        "pull_request_review" => review(action, payload),
        "pull_request_review_comment" => Meaning::Nothing("a remark on a line comes with its review"),
        "pull_request_review_thread" => Meaning::Nothing("a thread is resolved by whoever resolves it"),
        "pull_request" => {
            Meaning::Nothing("what becomes of a pull request is asked of GitHub when it matters")
        }
        "push" => Meaning::Nothing("where branches stand is asked of GitHub when it matters"),
        "check_run" => check_run(action, payload),
        "check_suite" => Meaning::Nothing("its checks come one by one"),
        "status" => status(payload),
        "workflow_job" => Meaning::Nothing("a job is looked at when its workflow has ended"),
        "workflow_run" => workflow_run(action, payload),
        "deployment" => Meaning::Nothing("how a deployment goes comes as its statuses"),
        "deployment_status" => deployment(payload),
        "deployment_review" => Meaning::Nothing("GitHub asks for that review itself"),
        "milestone" | "label" => Meaning::Nothing("what it changes at issues comes as their events"),
        "release" => Meaning::Nothing("nothing depends on a release"),
        "merge_group" => Meaning::Nothing("what a merge queue tests comes as checks"),
        "repository" => repository(action, payload),
        "installation" => installation(action, payload),
        "installation_repositories" => repositories(action, payload),
        _ => Meaning::Unknown,
    }
}

/// What an issue says.
pub(crate) fn text(issue: &Issue) -> IssueText {
    IssueText {
        title: issue.title.clone(),
        body: issue.body.clone(),
        labels: issue.labels.iter().map(|label| label.name.clone()).collect(),
        milestone: issue.milestone.as_ref().map(|milestone| milestone.title.clone()),
    }
}

fn issue(action: &str, payload: &Payload) -> Meaning {
    let Some(issue) = &payload.issue else { return Meaning::Unknown };
    if issue.pull_request.is_some() {
        return Meaning::Nothing("a pull request is no issue here");
    }
    let label = || payload.label.as_ref().map(|label| label.name.clone());
    let done = match action {
        "labeled" => label().map(Done::Labelled),
        "unlabeled" => label().map(Done::Unlabelled),
        "edited" => Some(Done::Edited),
        "milestoned" | "demilestoned" => Some(Done::Milestoned),
        "closed" | "deleted" | "transferred" => Some(Done::Closed),
        "reopened" => Some(Done::Reopened),
        "opened" => return Meaning::Nothing("its labels come as events of their own"),
        _ => return Meaning::Nothing("the feature does not follow that"),
    };
    let mark = format!("{action}/{}", issue.updated_at.map_or(0, |at| at.as_millisecond()));
    done.map_or(Meaning::Unknown, |done| Meaning::Issue {
        number: issue.number,
        done,
        text: text(issue),
        mark,
    })
}

fn comment(action: &str, payload: &Payload) -> Meaning {
    let (Some(comment), Some(issue)) = (&payload.comment, &payload.issue) else { return Meaning::Unknown };
    if action != "created" {
        return Meaning::Nothing("what was said is read once, when it is said");
    }
    let Some(by) = comment.user.clone() else { return Meaning::Nothing("its author is gone") };
    Meaning::Comment {
        number: issue.number,
        id: comment.id,
        body: comment.body.clone(),
        by,
        issue: issue.pull_request.is_none().then(|| text(issue)),
        app: comment.performed_via_github_app.as_ref().map(|app| app.id),
    }
}

fn review(action: &str, payload: &Payload) -> Meaning {
    let (Some(review), Some(pull)) = (&payload.review, &payload.pull_request) else {
        return Meaning::Unknown;
    };
    if action != "submitted" {
        return Meaning::Nothing("a review is read once, when it is given");
    }
    let verdict = match review.state.to_ascii_lowercase().as_str() {
        "approved" => Verdict::Approved,
        "changes_requested" => Verdict::ChangesRequested,
        "commented" => Verdict::Commented,
        _ => return Meaning::Nothing("it says neither yes nor no"),
    };
    let (Ok(head), Some(by)) = (review.commit_id.parse(), review.user.clone()) else {
        return Meaning::Nothing("its author or its commit is gone");
    };
    Meaning::Review { number: pull.number, id: review.id, head, verdict, body: review.body.clone(), by }
}

/// What GitHub calls red (docs.github.com, "Check runs": conclusions).
pub(crate) fn is_red(conclusion: &str) -> bool {
    matches!(conclusion, "failure" | "timed_out" | "startup_failure")
}

fn check_run(action: &str, payload: &Payload) -> Meaning {
    let Some(check) = &payload.check_run else { return Meaning::Unknown };
    if check.app.as_ref().and_then(|app| app.slug.as_deref()) == Some("github-actions") {
        return Meaning::Nothing("a job is looked at when its workflow has ended");
    }
    match check.conclusion.as_deref() {
        Some(conclusion) if action == "completed" && is_red(conclusion) => {
            Meaning::Check(Box::new(check.clone()))
        }
        _ => Meaning::Nothing("a check that is not red is asked for when it matters"),
    }
}

fn status(payload: &Payload) -> Meaning {
    if !matches!(payload.state.as_deref(), Some("failure" | "error")) {
        return Meaning::Nothing("a status that is not red is asked for when it matters");
    }
    let (Some(id), Some(sha)) = (payload.id, payload.sha.clone()) else { return Meaning::Unknown };
    Meaning::Status {
        id,
        sha,
        name: payload.context.clone().unwrap_or_else(|| "status".to_owned()),
        summary: payload.description.clone().unwrap_or_default(),
        url: payload.target_url.clone(),
    }
}

fn workflow_run(action: &str, payload: &Payload) -> Meaning {
    let (Some(run), Some(repository)) = (&payload.workflow_run, &payload.repository) else {
        return Meaning::Unknown;
    };
    let passed = match run.conclusion.as_deref() {
        Some("success") => true,
        Some(conclusion) if is_red(conclusion) => false,
        _ => return Meaning::Nothing("a workflow that has not ended says nothing"),
    };
    let Ok(commit) = run.head_sha.parse() else { return Meaning::Unknown };
    if action != "completed" {
        return Meaning::Nothing("a workflow that has not ended says nothing");
    }
    if repository.default_branch.as_deref() != Some(run.head_branch.as_str()) {
        return Meaning::Run(Run { id: run.id, attempt: run.run_attempt, commit, passed });
    }
    // Workflows of before the year 2021 say no name.
    let name = if run.name.is_empty() { "workflow".to_owned() } else { run.name.clone() };
    let url = run.html_url.clone();
    Meaning::Ran { kind: PipelineKind::Workflow, name, commit, passed, url }
}

fn deployment(payload: &Payload) -> Meaning {
    let (Some(status), Some(deployment), Some(repository)) =
        (&payload.deployment_status, &payload.deployment, &payload.repository)
    else {
        return Meaning::Unknown;
    };
    if repository.default_branch.as_deref() != Some(deployment.branch.as_str()) {
        return Meaning::Nothing("it is not the default branch that is deployed");
    }
    let passed = match status.state.as_str() {
        "success" => true,
        "failure" | "error" => false,
        _ => return Meaning::Nothing("a deployment that has not ended says nothing"),
    };
    let Ok(commit) = deployment.sha.parse() else { return Meaning::Unknown };
    let (name, url) = (deployment.environment.clone(), status.target_url.clone());
    Meaning::Ran { kind: PipelineKind::Environment, name, commit, passed, url }
}

fn repository(action: &str, payload: &Payload) -> Meaning {
    let Some(repository) = &payload.repository else { return Meaning::Unknown };
    match action {
        "renamed" => {
            let changed = payload.changes.as_ref().and_then(|changes| changes.repository.as_ref());
            let name = changed.and_then(|changed| changed.name.as_ref()).map(|name| name.from.as_str());
            let owner = repository.full_name.split('/').next().unwrap_or_default();
            Meaning::Renamed { before: name.map(|name| format!("{owner}/{name}")) }
        }
        "transferred" => Meaning::Transferred,
        "deleted" => Meaning::Deleted,
        _ => Meaning::Nothing("nothing depends on that"),
    }
}

fn owner(payload: &Payload) -> String {
    let account = payload.installation.as_ref().and_then(|installation| installation.account.as_ref());
    account.map(|account| account.login.clone()).unwrap_or_default()
}

fn installation(action: &str, payload: &Payload) -> Meaning {
    let lost = match action {
        "suspend" => {
            Some("the App is suspended there. Its owner lifts that in the settings of the installation.")
        }
        "deleted" => Some("the App is not installed there any more. Install it again."),
        "created" | "unsuspend" => None,
        _ => return Meaning::Nothing("doctor compares permissions with what is needed"),
    };
    // Where it lists repositories when it goes, all are gone.
    let names = match lost {
        Some(_) => Vec::new(),
        None => payload.repositories.iter().map(|one| one.full_name.clone()).collect(),
    };
    Meaning::Access { owner: owner(payload), names, lost }
}

fn repositories(action: &str, payload: &Payload) -> Meaning {
    let (list, lost) = match action {
        "added" => (&payload.repositories_added, None),
        "removed" => (
            &payload.repositories_removed,
            Some("it was taken from the App's installation. Its owner adds it there again."),
        ),
        _ => return Meaning::Unknown,
    };
    let names: Vec<String> = list.iter().map(|one| one.full_name.clone()).collect();
    if names.is_empty() {
        return Meaning::Nothing("no repository is named");
    }
    Meaning::Access { owner: owner(payload), names, lost }
}

impl Meaning {
    /// In a few words, for a table of what becomes of which event.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::Nothing(why) => format!("nothing: {why}"),
            Self::Unknown => "not known".to_owned(),
            Self::Issue { number, done, .. } => format!("issue {number}: {done:?}"),
            Self::Comment { number, issue, .. } => {
                format!("comment on {} {number}", if issue.is_some() { "issue" } else { "pull request" })
            }
            Self::Review { number, verdict, .. } => format!("review of {number}: {verdict:?}"),
            Self::Run(run) => format!("run {}, {}", run.attempt, if run.passed { "green" } else { "red" }),
            Self::Check(check) => format!("check {}, red", check.name),
            Self::Status { name, .. } => format!("status {name}, red"),
            Self::Ran { name, passed, .. } => {
                format!("{name} ran, {}", if *passed { "green" } else { "red" })
            }
            Self::Renamed { before } => format!("renamed from {}", before.as_deref().unwrap_or("elsewhere")),
            Self::Transferred => "transferred".to_owned(),
            Self::Deleted => "deleted".to_owned(),
            Self::Access { names, lost, .. } => {
                format!("{} of {}", if lost.is_some() { "lost" } else { "reached" }, names.len())
            }
        }
    }
}
