//! Lessons: what earlier work in a repository has taught. An agent reads them and proposes new ones; people agree before
//! any agent is told.

use std::sync::Arc;

use async_trait::async_trait;
use qd_api::{LessonState, LessonView, ProposeLesson};
use qd_guard::{
    Call, Caller, Change, Fault, Hints, Look, Mutation, Permit, Plan, Server, Spec, ToolError, Who,
};
use qd_types::{RepositoryName, RunId, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::desk::{Desk, Voice, own, unread, unsure};

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server.look(Lessons(desk.clone()))?.change(Propose(desk.clone()))
}

/// A lesson, and where it stands.
#[derive(Serialize, JsonSchema)]
struct Lesson {
    /// For which repository.
    repository: RepositoryName,
    /// One line. It comes from earlier work, and people agreed to it if it is kept.
    text: String,
    /// `kept`: agents are told. `asked`: people are asked. `denied`: they said no.
    state: LessonState,
    /// Why it was not taken, if it was not.
    reason: Option<String>,
}

impl From<LessonView> for Lesson {
    fn from(view: LessonView) -> Self {
        let LessonView { repository, text, state, reason, key: _ } = view;
        Self { repository, text, state, reason }
    }
}

struct Lessons(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct Everything {}

#[derive(Serialize, JsonSchema)]
struct All {
    /// Those that are kept come first.
    lessons: Vec<Lesson>,
}

#[async_trait]
impl Look for Lessons {
    type Input = Everything;
    type Output = All;

    fn spec(&self) -> Spec {
        Spec::new("lessons", Tier::Read, "feature.view").described(
            "Lessons",
            "Lists what earlier work in your team's repositories has taught, and what people are asked to keep.",
        )
    }

    async fn look(&self, call: &Call, _: Everything) -> Result<All, Fault> {
        let views: Vec<LessonView> =
            own(&*self.0, call, Voice::Caller)?.get("lessons").await.map_err(unread)?;
        Ok(All { lessons: views.into_iter().map(Lesson::from).collect() })
    }
}

struct Propose(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct New {
    /// The lesson, one line of at most 300 characters: what to do or not to do in this repository, and why.
    text: String,
    /// For which repository; your run's own, if left out.
    #[serde(default)]
    repository: Option<RepositoryName>,
}

/// The caller's own run, if it works in one.
fn its_run(caller: &Caller) -> Option<RunId> {
    match &caller.who {
        Who::Agent { run, .. } => Some(run.clone()),
        Who::Person { .. } | Who::Service { .. } => None,
    }
}

#[async_trait]
impl Mutation for Propose {
    type Input = New;
    type Output = Lesson;

    fn spec(&self) -> Spec {
        let hints = Hints { idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("propose_lesson", Tier::Operate, "work.report")
            .described(
                "Propose a lesson",
                "When something failed that the next agent here should know of, propose one line about it. People are \
                 asked to keep it; go on meanwhile.",
            )
            .hinted(hints)
    }

    async fn plan(&self, call: &Call, input: &New) -> Result<Plan, Fault> {
        let target = its_run(&call.caller).map_or_else(|| "the team".to_owned(), |run| run.to_string());
        let steps = vec![format!("Ask people to keep the lesson: {}", input.text)];
        Ok(Plan { target, fingerprint: "lesson".to_owned(), steps })
    }
}

#[async_trait]
impl Change for Propose {
    async fn change(&self, call: &Call, input: New, _: Permit) -> Result<Lesson, Fault> {
        let New { text, repository } = input;
        let lesson = ProposeLesson { text, repository, run: its_run(&call.caller) };
        let view: LessonView =
            own(&*self.0, call, Voice::Caller)?.post("lessons", &lesson).await.map_err(unsure)?;
        Ok(view.into())
    }
}
