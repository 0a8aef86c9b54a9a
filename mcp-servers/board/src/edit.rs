//! Features filed, edited and moved.

use std::sync::Arc;

use async_trait::async_trait;
use qd_api::{FeatureView, MoveFeature};
use qd_guard::{Call, Change, Fault, Hints, Mutation, Permit, Plan, Server, Spec, ToolError, safe::Below};
use qd_types::{FeatureId, RepositoryName, Stage, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    desk::{Desk, Voice, own, unread, unsure},
    read::FeatureLine,
};

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server.change(Add(desk.clone()))?.change(Edit(desk.clone()))?.change(Move(desk.clone()))
}

/// What came of a change.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Changed {
    feature: FeatureLine,
}

impl From<FeatureView> for Changed {
    fn from(view: FeatureView) -> Self {
        Self { feature: view.into() }
    }
}

/// The fields that were given, as the API takes them.
fn fields(given: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(given) {
        Ok(Value::Object(fields)) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

struct Add(Arc<dyn Desk>);

/// What a feature holds, besides its title. What is left out of a new one is empty; of an edit, it stays.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Fields {
    /// Markdown: what is wanted, and how to tell that it is done.
    #[serde(default)]
    description: Option<String>,
    /// All commands that have to pass besides the repository's checks.
    #[serde(default)]
    checks: Option<Vec<String>>,
    /// 0 (most urgent) to 4.
    #[serde(default)]
    priority: Option<u8>,
    /// All labels.
    #[serde(default)]
    labels: Option<Vec<String>>,
    /// All features that have to be merged first, or with `@review` in review.
    #[serde(default)]
    depends_on: Option<Vec<String>>,
    /// All paths that it will touch, or patterns of them: `src/api/**`.
    #[serde(default)]
    paths: Option<Vec<Below>>,
    /// The project it belongs to.
    #[serde(default)]
    project: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct NewFeature {
    /// One line.
    title: String,
    #[serde(flatten)]
    fields: Fields,
    /// The feature that it is a part of.
    #[serde(default)]
    epic: Option<FeatureId>,
    /// Where, if the team has several repositories.
    #[serde(default)]
    repository: Option<RepositoryName>,
    /// Release it to the team at once.
    #[serde(default)]
    ready: Option<bool>,
}

#[async_trait]
impl Mutation for Add {
    type Input = NewFeature;
    type Output = Changed;

    fn spec(&self) -> Spec {
        Spec::new("add", Tier::Operate, "feature.add").described(
            "File a feature",
            "Files a feature on your team's board. It waits in the backlog unless ready is true.",
        )
    }

    async fn plan(&self, call: &Call, input: &NewFeature) -> Result<Plan, Fault> {
        let stage = if input.ready == Some(true) { "ready" } else { "the backlog" };
        Ok(Plan {
            target: format!("board of {}", call.caller.team()),
            // Filing depends on nothing that is there.
            fingerprint: "new".to_owned(),
            steps: vec![format!("File “{}” into {stage}.", input.title)],
        })
    }
}

#[async_trait]
impl Change for Add {
    async fn change(&self, call: &Call, input: NewFeature, permit: Permit) -> Result<Changed, Fault> {
        let mut client = own(&*self.0, call, Voice::from(&permit))?;
        let view: FeatureView = client.post("features", &fields(&input)).await.map_err(unsure)?;
        Ok(view.into())
    }
}

async fn current(desk: &dyn Desk, call: &Call, id: &FeatureId) -> Result<FeatureView, Fault> {
    own(desk, call, Voice::Caller)?.get(&format!("features/{id}")).await.map_err(unread)
}

/// Refuses an edit that was made from what is not there any more.
fn is_seen(view: &FeatureView, version: Option<u64>) -> Result<(), Fault> {
    match version {
        Some(seen) if seen != view.feature.version => Err(Fault::failed(
            format!("{} is at version {} by now, and you saw {seen}.", view.feature.id, view.feature.version),
            "Look at it with show, and call again with its version.",
        )),
        _ => Ok(()),
    }
}

struct Edit(Arc<dyn Desk>);

#[derive(Serialize, Deserialize, JsonSchema)]
struct EditFeature {
    /// Which.
    #[serde(skip_serializing)]
    id: FeatureId,
    /// The version that you saw; refused if another is there.
    #[serde(default)]
    version: Option<u64>,
    /// One line.
    #[serde(default)]
    title: Option<String>,
    #[serde(flatten)]
    fields: Fields,
}

#[async_trait]
impl Mutation for Edit {
    type Input = EditFeature;
    type Output = Changed;

    fn spec(&self) -> Spec {
        let hints = Hints { destructive: true, idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("edit", Tier::Operate, "feature.edit")
            .described(
                "Edit a feature",
                "Edits a feature; what is left out stays. The history keeps what was there.",
            )
            .hinted(hints)
    }

    async fn plan(&self, call: &Call, input: &EditFeature) -> Result<Plan, Fault> {
        let view = current(&*self.0, call, &input.id).await?;
        is_seen(&view, input.version)?;
        let mut changed = fields(input);
        changed.remove("version");
        if changed.is_empty() {
            return Err(Fault::failed("There is nothing to change.", "Give at least one field."));
        }
        Ok(Plan {
            target: input.id.to_string(),
            fingerprint: format!("version {}", view.feature.version),
            steps: changed.iter().map(|(name, value)| format!("Set {name} to {value}.")).collect(),
        })
    }
}

#[async_trait]
impl Change for Edit {
    async fn change(&self, call: &Call, input: EditFeature, permit: Permit) -> Result<Changed, Fault> {
        let mut client = own(&*self.0, call, Voice::from(&permit))?;
        let path = format!("features/{}", input.id);
        let view: FeatureView = client.patch(&path, &fields(&input)).await.map_err(unsure)?;
        Ok(view.into())
    }
}

struct Move(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct Where {
    /// Which.
    id: FeatureId,
    /// The column: backlog or ready.
    stage: Stage,
    /// The version that you saw; refused if another is there.
    #[serde(default)]
    version: Option<u64>,
    /// Why, for the history.
    #[serde(default)]
    reason: Option<String>,
}

#[async_trait]
impl Mutation for Move {
    type Input = Where;
    type Output = Changed;

    fn spec(&self) -> Spec {
        let hints = Hints { idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("move", Tier::Operate, "feature.move")
            .described(
                "Move a feature",
                "Moves a feature to backlog or ready. What is ready, the team starts.",
            )
            .hinted(hints)
    }

    async fn plan(&self, call: &Call, input: &Where) -> Result<Plan, Fault> {
        let view = current(&*self.0, call, &input.id).await?;
        is_seen(&view, input.version)?;
        Ok(Plan {
            target: input.id.to_string(),
            fingerprint: format!("version {}", view.feature.version),
            steps: vec![format!("Move it from {} to {}.", view.feature.stage, input.stage)],
        })
    }
}

#[async_trait]
impl Change for Move {
    async fn change(&self, call: &Call, input: Where, permit: Permit) -> Result<Changed, Fault> {
        let mut client = own(&*self.0, call, Voice::from(&permit))?;
        let body = MoveFeature { stage: input.stage, version: input.version, reason: input.reason };
        let view: FeatureView =
            client.post(&format!("features/{}/move", input.id), &body).await.map_err(unsure)?;
        Ok(view.into())
    }
}
