//! What GitHub's payloads say, as far as it is read here (docs.github.com, "Webhook events and payloads"). Everything may be
//! missing: fields come and go, and what is not named here is kept with the delivery and not read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// A payload of any event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Payload {
    pub(crate) action: Option<String>,
    pub(crate) sender: Option<User>,
    pub(crate) repository: Option<Repository>,
    pub(crate) repositories_added: Vec<Repository>,
    pub(crate) repositories_removed: Vec<Repository>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) issue: Option<Issue>,
    pub(crate) label: Option<Named>,
    pub(crate) comment: Option<Comment>,
    pub(crate) pull_request: Option<PullRequest>,
    pub(crate) review: Option<Review>,
    pub(crate) check_run: Option<CheckRun>,
    pub(crate) workflow_run: Option<WorkflowRun>,
    pub(crate) deployment: Option<Deployment>,
    pub(crate) deployment_status: Option<DeploymentStatus>,
    pub(crate) changes: Option<Changes>,
    pub(crate) installation: Option<Installation>,
    // `status` has its fields at the top.
    pub(crate) id: Option<u64>,
    pub(crate) sha: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
}

/// An account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    pub(crate) login: String,
    /// `User`, `Bot`, `Organization`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl User {
    /// Whether it is a program's.
    pub(crate) fn is_bot(&self) -> bool {
        self.kind == "Bot" || self.login.ends_with("[bot]")
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) full_name: String,
    pub(crate) default_branch: Option<String>,
}

/// The App at somebody's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Installation {
    pub(crate) account: Option<User>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Named {
    #[serde(deserialize_with = "text")]
    pub(crate) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Titled {
    pub(crate) title: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) title: String,
    #[serde(deserialize_with = "text")]
    pub(crate) body: String,
    pub(crate) labels: Vec<Named>,
    pub(crate) milestone: Option<Titled>,
    pub(crate) state: String,
    pub(crate) updated_at: Option<Timestamp>,
    /// There if it is a pull request.
    pub(crate) pull_request: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    #[serde(deserialize_with = "text")]
    pub(crate) body: String,
    pub(crate) user: Option<User>,
    pub(crate) performed_via_github_app: Option<App>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PullRequest {
    pub(crate) number: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Review {
    pub(crate) id: u64,
    #[serde(deserialize_with = "text")]
    pub(crate) body: String,
    pub(crate) user: Option<User>,
    #[serde(deserialize_with = "text")]
    pub(crate) commit_id: String,
    /// `approved`, `changes_requested`, `commented`, `dismissed`; in answers of the API in capitals.
    pub(crate) state: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) head_sha: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) html_url: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) output: Output,
    pub(crate) app: Option<App>,
    pub(crate) pull_requests: Vec<PullRequest>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Output {
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WorkflowRun {
    pub(crate) id: u64,
    pub(crate) run_attempt: u32,
    #[serde(deserialize_with = "text")]
    pub(crate) name: String,
    #[serde(deserialize_with = "text")]
    pub(crate) head_branch: String,
    pub(crate) head_sha: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) html_url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployment {
    pub(crate) sha: String,
    #[serde(rename = "ref")]
    pub(crate) branch: String,
    #[serde(deserialize_with = "text")]
    pub(crate) environment: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeploymentStatus {
    pub(crate) state: String,
    pub(crate) target_url: Option<String>,
}

/// What an event changed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Changes {
    pub(crate) repository: Option<RepositoryChange>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RepositoryChange {
    pub(crate) name: Option<From>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct From {
    pub(crate) from: String,
}

/// A text that may be `null`.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}
