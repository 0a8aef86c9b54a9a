//! The tools that change something that can be changed back: comment, label, open a pull request, run a check again.

use std::sync::Arc;

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_guard::{Call, Change, Fault, Hints, Mutation, Permit, Plan, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, NewPull, changing, looking, read::OneCheck, words};

/// Longest text, in characters; GitHub's own limit is 65,536.
const BODY: usize = 16_000;

/// Comments that are looked through for a mark.
const LOOKED_THROUGH: usize = 100;

fn outward(name: &'static str, action: &'static str, title: &'static str, about: &'static str) -> Spec {
    let spec = Spec::new(name, Tier::Operate, action).described(title, about);
    let hints = Hints { open_world: true, ..spec.hints };
    spec.hinted(hints)
}

/// What an effect is known by: its approval, or the call that policy allowed.
fn key(call: &Call, permit: &Permit) -> String {
    match permit {
        Permit::Grant(grant) => grant.grant().approval().to_string(),
        Permit::Policy(_) => call.id.clone(),
    }
}

fn happened(done: &Done) -> Probe {
    Probe::Happened(serde_json::to_string(done).unwrap_or_default())
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    /// The issue's, pull request's or check's number.
    number: u64,
    done: String,
}

fn done(number: u64, done: impl Into<String>) -> Done {
    Done { number, done: done.into() }
}

pub(crate) struct Say(pub(crate) Arc<Desk>);

/// A comment to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Saying {
    /// The issue or pull request.
    number: u64,
    /// What is said. Mentions wake nobody.
    body: String,
}

#[async_trait]
impl Mutation for Say {
    type Input = Saying;
    type Output = Done;

    fn spec(&self) -> Spec {
        outward(
            "comment",
            "pull_request.comment",
            "Comment",
            "Comments on an issue or a pull request. Mentions wake nobody.",
        )
    }

    async fn plan(&self, _: &Call, input: &Saying) -> Result<Plan, Fault> {
        words::text("comment", &input.body, BODY)?;
        let issue = self.0.github.issue(self.0.repository(), input.number).await.map_err(looking)?;
        let state = if issue.open { "open" } else { "closed" };
        Ok(Plan {
            target: format!("{}#{}", self.0.repository(), input.number),
            fingerprint: words::fingerprint([state]),
            steps: vec![format!("Comment on #{}, which is {state}: {:?}", input.number, input.body)],
        })
    }

    async fn probe(&self, approval: &str, input: &Saying) -> Probe {
        match self.0.github.comments(self.0.repository(), input.number, LOOKED_THROUGH).await {
            Ok(found) if found.iter().any(|comment| comment.body.contains(&words::mark(approval))) => {
                happened(&done(input.number, "commented"))
            }
            // Where there are more than were looked through, it may be among the rest.
            Ok(found) if found.len() >= LOOKED_THROUGH => {
                Probe::CantTell("There are too many comments to tell.".to_owned())
            }
            Ok(_) => Probe::DidNot,
            Err(error) => Probe::CantTell(error.to_string()),
        }
    }
}

#[async_trait]
impl Change for Say {
    async fn change(&self, call: &Call, input: Saying, permit: Permit) -> Result<Done, Fault> {
        let body = words::inert(words::text("comment", &input.body, BODY)?);
        let body = format!("{body}\n\n{}", words::mark(&key(call, &permit)));
        self.0.github.comment(self.0.repository(), input.number, &body).await.map_err(changing)?;
        Ok(done(input.number, "commented"))
    }
}

pub(crate) struct Label(pub(crate) Arc<Desk>);

/// Labels to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Labelling {
    /// The issue or pull request.
    number: u64,
    /// Labels to put on.
    #[serde(default)]
    on: Vec<String>,
    /// Labels to take off.
    #[serde(default)]
    off: Vec<String>,
}

impl Label {
    fn allowed(&self, input: &Labelling) -> Result<(), Fault> {
        let allowed = &self.0.config.labels;
        let odd = input.on.iter().chain(&input.off).find(|label| !allowed.contains(label));
        if odd.is_none() && !(input.on.is_empty() && input.off.is_empty()) {
            return Ok(());
        }
        let way_out = match allowed.as_slice() {
            [] => "No label may be changed: a person names `labels` in [mcp.github].".to_owned(),
            labels => format!("Take some of {}.", labels.join(", ")),
        };
        Err(Fault::failed("These are not labels that may be changed here.", way_out))
    }
}

#[async_trait]
impl Mutation for Label {
    type Input = Labelling;
    type Output = Done;

    fn spec(&self) -> Spec {
        let spec = outward(
            "label",
            "issue.label",
            "Label",
            "Puts labels on an issue or pull request, or takes them off.",
        );
        let hints = Hints { idempotent: true, ..spec.hints };
        spec.hinted(hints)
    }

    async fn plan(&self, _: &Call, input: &Labelling) -> Result<Plan, Fault> {
        self.allowed(input)?;
        let issue = self.0.github.issue(self.0.repository(), input.number).await.map_err(looking)?;
        Ok(Plan {
            target: format!("{}#{}", self.0.repository(), input.number),
            fingerprint: words::fingerprint(issue.labels.iter().map(String::as_str)),
            steps: vec![format!(
                "#{}: put on [{}], take off [{}].",
                input.number,
                input.on.join(", "),
                input.off.join(", ")
            )],
        })
    }

    /// Twice is as once.
    async fn probe(&self, _: &str, _: &Labelling) -> Probe {
        Probe::DidNot
    }
}

#[async_trait]
impl Change for Label {
    async fn change(&self, _: &Call, input: Labelling, _: Permit) -> Result<Done, Fault> {
        self.allowed(&input)?;
        self.0
            .github
            .label(self.0.repository(), input.number, &input.on, &input.off)
            .await
            .map_err(changing)?;
        Ok(done(input.number, "labelled"))
    }
}

pub(crate) struct Open(pub(crate) Arc<Desk>);

/// A pull request to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Opening {
    /// The team's own branch, pushed.
    head: String,
    /// The branch that it asks to be merged into.
    base: String,
    title: String,
    /// Mentions wake nobody.
    body: String,
}

impl Open {
    fn looked_at(&self, input: &Opening) -> Result<(), Fault> {
        words::branch(&input.base)?;
        words::text("title", &input.title, 200)?;
        words::text("text", &input.body, BODY)?;
        if words::branch(&input.head)?.starts_with(&self.0.config.branches) {
            return Ok(());
        }
        Err(Fault::failed(
            format!("Pull requests open here only from branches that begin with {}.", self.0.config.branches),
            "Push the work to a branch of the team's own.",
        ))
    }
}

#[async_trait]
impl Mutation for Open {
    type Input = Opening;
    type Output = Done;

    fn spec(&self) -> Spec {
        outward(
            "open_pull_request",
            "pull_request.open",
            "Open a pull request",
            "Opens a pull request from a branch of the team's own.",
        )
    }

    async fn plan(&self, _: &Call, input: &Opening) -> Result<Plan, Fault> {
        self.looked_at(input)?;
        let (github, repository) = (&self.0.github, self.0.repository());
        let sha = github.branch(repository, &input.head).await.map_err(looking)?;
        if let Some(pull) = github.pull_from(repository, &input.head).await.map_err(looking)? {
            return Err(Fault::failed(
                format!("#{} is open from this branch already.", pull.issue.number),
                "Push to the branch, or comment there.",
            ));
        }
        Ok(Plan {
            target: format!("{repository}:{}", input.head),
            fingerprint: words::fingerprint([&*sha, &*input.base]),
            steps: vec![format!("Open {:?} from {} ({sha}) into {}.", input.title, input.head, input.base)],
        })
    }

    async fn probe(&self, approval: &str, input: &Opening) -> Probe {
        match self.0.github.pull_from(self.0.repository(), &input.head).await {
            Ok(Some(pull)) if pull.issue.body.contains(&words::mark(approval)) => {
                happened(&done(pull.issue.number, "opened"))
            }
            Ok(_) => Probe::DidNot,
            Err(error) => Probe::CantTell(error.to_string()),
        }
    }
}

#[async_trait]
impl Change for Open {
    async fn change(&self, call: &Call, input: Opening, permit: Permit) -> Result<Done, Fault> {
        self.looked_at(&input)?;
        let body = format!("{}\n\n{}", words::inert(&input.body), words::mark(&key(call, &permit)));
        let new = NewPull { title: words::inert(&input.title), body, head: input.head, base: input.base };
        let number = self.0.github.open(self.0.repository(), &new).await.map_err(changing)?;
        Ok(done(number, "opened"))
    }
}

pub(crate) struct Rerun(pub(crate) Arc<Desk>);

#[async_trait]
impl Mutation for Rerun {
    type Input = OneCheck;
    type Output = Done;

    fn spec(&self) -> Spec {
        outward("rerun_check", "check.rerun", "Run a check again", "Runs a check again, on the same commit.")
    }

    async fn plan(&self, _: &Call, input: &OneCheck) -> Result<Plan, Fault> {
        let check = self.0.github.check(self.0.repository(), input.check).await.map_err(looking)?;
        Ok(Plan {
            target: format!("{} check {}", self.0.repository(), check.id),
            fingerprint: words::fingerprint([&*check.state, &*check.attempt.to_string()]),
            steps: vec![format!("Run the check {:?} again; it is {}.", check.name, check.state)],
        })
    }
}

#[async_trait]
impl Change for Rerun {
    async fn change(&self, _: &Call, input: OneCheck, _: Permit) -> Result<Done, Fault> {
        self.0.github.rerun(self.0.repository(), input.check).await.map_err(changing)?;
        Ok(done(input.check, "runs again"))
    }
}
