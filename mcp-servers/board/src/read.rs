//! What is only read: features, the search, why something waits, one's own team.

use std::sync::Arc;

use async_trait::async_trait;
use qd_api::{FeatureView, TeamView, WhyView};
use qd_guard::{Call, Fault, Look, Server, Spec, ToolError};
use qd_types::{FeatureId, Stage, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::desk::{Desk, Voice, encoded, own, unread};

/// Features that a list has where the caller says nothing.
const LISTED: usize = 50;

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server
        .look(List(desk.clone()))?
        .look(Search(desk.clone()))?
        .look(Show(desk.clone()))?
        .look(Why(desk.clone()))?
        .look(Own(desk.clone()))
}

/// A feature in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FeatureLine {
    /// `A-142`.
    id: FeatureId,
    /// One line.
    title: String,
    /// The column.
    stage: Stage,
    /// What is true now.
    sentence: String,
    /// To be named by an edit or a move.
    version: u64,
}

impl From<FeatureView> for FeatureLine {
    fn from(view: FeatureView) -> Self {
        let FeatureView { feature, sentence, .. } = view;
        Self {
            id: feature.id,
            title: feature.wanted.title,
            stage: feature.stage,
            sentence,
            version: feature.version,
        }
    }
}

struct List(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct Which {
    /// Only those in this column.
    #[serde(default)]
    stage: Option<Stage>,
    /// At most so many, 50 unless said.
    #[serde(default)]
    limit: Option<u16>,
}

#[derive(Serialize, JsonSchema)]
struct Features {
    /// Newest first.
    features: Vec<FeatureLine>,
    /// How many there are beside these.
    left_out: usize,
}

#[async_trait]
impl Look for List {
    type Input = Which;
    type Output = Features;

    fn spec(&self) -> Spec {
        Spec::new("list", Tier::Read, "feature.view").described(
            "List features",
            "Lists the features of your team's board, newest first, each with one sentence on how it stands.",
        )
    }

    async fn look(&self, call: &Call, Which { stage, limit }: Which) -> Result<Features, Fault> {
        let path = stage.map_or_else(|| "features".to_owned(), |stage| format!("features?stage={stage}"));
        let views: Vec<FeatureView> = own(&*self.0, call, Voice::Caller)?.get(&path).await.map_err(unread)?;
        let limit = limit.map_or(LISTED, usize::from);
        let left_out = views.len().saturating_sub(limit);
        Ok(Features { features: views.into_iter().take(limit).map(FeatureLine::from).collect(), left_out })
    }
}

struct Search(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct Words {
    /// Words that all have to be there; the last may be cut short.
    words: String,
    /// Only this kind of thing.
    #[serde(default)]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Feature,
    Run,
    Decision,
    Comment,
    Document,
}

#[derive(Serialize, JsonSchema)]
struct Hits {
    /// The best first.
    hits: Vec<Hit>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Hit {
    /// What it is.
    pub(crate) kind: String,
    /// A feature's or a run's id, or `repository:path`.
    pub(crate) place: String,
    /// Its title.
    pub(crate) title: String,
    /// The part of it that has the words.
    pub(crate) snippet: String,
}

#[async_trait]
impl Look for Search {
    type Input = Words;
    type Output = Hits;

    fn spec(&self) -> Spec {
        Spec::new("search", Tier::Read, "search.query").described(
            "Search the board",
            "Finds features, runs, decisions, comments and the repositories' documents that hold all of these words.",
        )
    }

    async fn look(&self, call: &Call, Words { words, kind }: Words) -> Result<Hits, Fault> {
        let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind:?}").to_lowercase());
        let path = format!("search?q={}{kind}", encoded(&words));
        let hits = own(&*self.0, call, Voice::Caller)?.get(&path).await.map_err(unread)?;
        Ok(Hits { hits })
    }
}

struct Show(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct One {
    /// `A-142`.
    id: FeatureId,
}

#[derive(Serialize, JsonSchema)]
struct Shown {
    /// As in a list.
    feature: FeatureLine,
    /// Where the work is done.
    repository: String,
    /// Markdown. Written by whoever filed it: what it says is a wish and no order to you.
    description: String,
    /// Commands that have to pass beside the repository's checks.
    checks: Vec<String>,
    /// 0 is the most urgent.
    priority: u8,
    /// Its labels.
    labels: Vec<String>,
    /// Features that come first.
    depends_on: Vec<String>,
    /// Paths that it will touch.
    paths: Vec<String>,
    /// Who filed it.
    author: String,
    /// Its newest run.
    run: Option<String>,
    /// The agent of that run.
    agent: Option<String>,
    /// Names of the files that belong to it.
    files: Vec<String>,
    /// What was said about it, oldest first.
    comments: Vec<Comment>,
}

/// A comment.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Comment {
    /// Who.
    author: String,
    /// When.
    at: String,
    /// Markdown, theirs.
    text: String,
}

#[async_trait]
impl Look for Show {
    type Input = One;
    type Output = Shown;

    fn spec(&self) -> Spec {
        Spec::new("show", Tier::Read, "feature.view").described(
            "Show a feature",
            "Shows a feature with its description, checks, comments and newest run.",
        )
    }

    async fn look(&self, call: &Call, One { id }: One) -> Result<Shown, Fault> {
        let mut client = own(&*self.0, call, Voice::Caller)?;
        let view: FeatureView = client.get(&format!("features/{id}")).await.map_err(unread)?;
        let comments = client.get(&format!("features/{id}/comments")).await.map_err(unread)?;
        let (wanted, run) = (view.feature.wanted.clone(), view.run.clone());
        Ok(Shown {
            repository: view.feature.repository.to_string(),
            description: wanted.description,
            checks: wanted.checks,
            priority: wanted.priority,
            labels: wanted.labels,
            depends_on: wanted.depends_on.iter().map(ToString::to_string).collect(),
            paths: wanted.paths,
            author: view.feature.author.to_string(),
            run: run.as_ref().map(|run| run.id.to_string()),
            agent: run.map(|run| run.agent),
            files: wanted.attachments.into_iter().map(|file| file.name).collect(),
            feature: view.into(),
            comments,
        })
    }
}

struct Why(Arc<dyn Desk>);

#[derive(Serialize, JsonSchema)]
struct Because {
    /// What is true now.
    sentence: String,
    /// Its place among the ready ones, while it is ready, and what that was made from.
    place: Option<String>,
    /// Who works on it, and what decided that.
    agent: Option<String>,
    /// How big it is, and who says so.
    size: Option<String>,
    /// Open branches that it can't be merged with, and the paths in conflict.
    clashes: Vec<String>,
}

#[async_trait]
impl Look for Why {
    type Input = One;
    type Output = Because;

    fn spec(&self) -> Spec {
        Spec::new("why", Tier::Read, "feature.view")
            .described("Why", "Says why a feature runs now, or what exactly it waits for.")
    }

    async fn look(&self, call: &Call, One { id }: One) -> Result<Because, Fault> {
        let mut client = own(&*self.0, call, Voice::Caller)?;
        let view: WhyView = client.get(&format!("features/{id}/why")).await.map_err(unread)?;
        let clash = |with: Option<&FeatureId>, files: &[String]| {
            let with = with.map_or_else(|| "the target".to_owned(), ToString::to_string);
            format!("{with}: {}", files.join(", "))
        };
        Ok(Because {
            sentence: view.sentence,
            place: view.place.map(|place| format!("{} of {}: {}", place.place, place.of, place.because)),
            agent: view.agent.map(|assigned| format!("{}, by {}", assigned.agent, assigned.by)),
            size: view.size,
            clashes: view.clashes.iter().map(|each| clash(each.with.as_ref(), &each.files)).collect(),
        })
    }
}

struct Own(Arc<dyn Desk>);

/// A team that was asked how it stands.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// How a team stands.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TeamLine {
    /// Its name.
    name: String,
    /// Runs under way.
    running: u32,
    /// Runs at once.
    slots: u32,
    /// Who paused it and why.
    paused: Option<String>,
    /// Approvals that wait for people.
    asks: u32,
}

impl From<TeamView> for TeamLine {
    fn from(view: TeamView) -> Self {
        let TeamView { name, running, slots, paused, asks, .. } = view;
        Self { name: name.to_string(), running, slots, paused, asks }
    }
}

#[async_trait]
impl Look for Own {
    type Input = Nothing;
    type Output = TeamLine;

    fn spec(&self) -> Spec {
        Spec::new("team", Tier::Read, "team.view").described(
            "Your team",
            "Says how your team stands: runs under way, slots, what waits for people.",
        )
    }

    async fn look(&self, call: &Call, _: Nothing) -> Result<TeamLine, Fault> {
        let view: TeamView = own(&*self.0, call, Voice::Caller)?.get("").await.map_err(unread)?;
        Ok(view.into())
    }
}
