//! The whole fleet, for managers: how the teams stand, what endangers their projects, what work took, what happened of
//! late. All of it is read.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_api::{CostBudget, CostView, FeatureView, FleetView, ProjectView, RunSummary, TeamView};
use qd_guard::{Call, Caller, Fault, Look, Server, Spec, ToolError, Who};
use qd_types::{Role, Stage, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    desk::{Desk, Voice, unread},
    read::{Nothing, TeamLine},
};

/// Longest time that is looked back, in hours.
const WEEK: u16 = 7 * 24;

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server
        .look(Status(desk.clone()))?
        .look(Risks(desk.clone()))?
        .look(Cost(desk.clone()))?
        .look(Digest(desk.clone()))
}

/// Only managers and owners look over the teams' shoulders.
fn is_manager(caller: &Caller) -> Result<(), Fault> {
    let Who::Person { person, .. } = &caller.who else {
        return Err(Fault::failed("This is for managers.", "Look at your own team with the tool team."));
    };
    if person.roles.iter().any(|role| matches!(role, Role::Owner | Role::Manager)) {
        return Ok(());
    }
    Err(Fault::failed(
        format!("{} is neither manager nor owner.", person.id),
        "Look at your own team with the tool team.",
    ))
}

/// What each team's board says to a path. A team that does not answer is named, and the others still count.
async fn each<T: serde::de::DeserializeOwned>(
    desk: &dyn Desk,
    call: &Call,
    path: &str,
) -> Result<(Vec<(String, T)>, Vec<String>), Fault> {
    let (mut said, mut silent, mut why) = (Vec::new(), Vec::new(), None);
    for team in desk.teams() {
        let answer = match desk.client(&call.caller, &team, Voice::Caller) {
            Ok(mut client) => client.get(path).await.map_err(unread),
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(answer) => said.push((team.to_string(), answer)),
            Err(fault) => {
                silent.push(team.to_string());
                why = Some(fault);
            }
        }
    }
    match why {
        Some(fault) if said.is_empty() => Err(fault),
        _ => Ok((said, silent)),
    }
}

/// What the bot says of all teams, those on other computers among them; a line that says why, if it says nothing.
async fn bot_says(desk: &dyn Desk, call: &Call, asked: &str) -> Vec<String> {
    let mut why = "there is no team here that could ask it".to_owned();
    for team in desk.teams() {
        let said = match desk.client(&call.caller, &team, Voice::Caller) {
            Ok(mut client) => client.get::<FleetView>(&format!("fleet?ask={asked}")).await,
            Err(_) => continue,
        };
        match said {
            Ok(view) => return view.lines,
            Err(error) => why = error.to_string(),
        }
    }
    vec![format!("The bot was not asked, or did not answer: {why}")]
}

struct Status(Arc<dyn Desk>);

#[derive(Serialize, JsonSchema)]
struct Fleet {
    /// The teams that answered.
    teams: Vec<TeamLine>,
    /// Those that did not.
    silent: Vec<String>,
    /// What the bot says of all teams, those on other computers among them.
    fleet: Vec<String>,
}

#[async_trait]
impl Look for Status {
    type Input = Nothing;
    type Output = Fleet;

    fn spec(&self) -> Spec {
        Spec::new("fleet_status", Tier::Read, "fleet.view")
            .described("Status of the fleet", "For managers: how each team stands.")
    }

    fn within(&self, caller: &Caller, _: &Nothing) -> Result<(), Fault> {
        is_manager(caller)
    }

    async fn look(&self, call: &Call, _: Nothing) -> Result<Fleet, Fault> {
        let (teams, silent) = each::<TeamView>(&*self.0, call, "").await?;
        let fleet = bot_says(&*self.0, call, "status").await;
        Ok(Fleet { teams: teams.into_iter().map(|(_, view)| view.into()).collect(), silent, fleet })
    }
}

struct Risks(Arc<dyn Desk>);

#[derive(Serialize, JsonSchema)]
struct Endangered {
    /// What is endangered, and by what.
    risks: Vec<Risk>,
    /// Teams that did not answer.
    silent: Vec<String>,
    /// What the bot says of all teams, those on other computers among them.
    fleet: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Risk {
    /// Whose.
    team: String,
    /// A project or a feature.
    what: String,
    /// What endangers it.
    why: String,
}

#[async_trait]
impl Look for Risks {
    type Input = Nothing;
    type Output = Endangered;

    fn spec(&self) -> Spec {
        Spec::new("fleet_risks", Tier::Read, "fleet.view").described(
            "Risks",
            "For managers: what endangers projects, and features that stand still until a person does something.",
        )
    }

    fn within(&self, caller: &Caller, _: &Nothing) -> Result<(), Fault> {
        is_manager(caller)
    }

    async fn look(&self, call: &Call, _: Nothing) -> Result<Endangered, Fault> {
        let (projects, mut silent) = each::<Vec<ProjectView>>(&*self.0, call, "projects").await?;
        let (features, more) = each::<Vec<FeatureView>>(&*self.0, call, "features").await?;
        let of_project = |(team, views): (String, Vec<ProjectView>)| {
            views.into_iter().flat_map(move |view| {
                let (team, what) = (team.clone(), format!("project {}", view.project.name));
                let risk = move |why| Risk { team: team.clone(), what: what.clone(), why };
                view.standing.risks.into_iter().map(risk).collect::<Vec<_>>()
            })
        };
        let of_feature = |(team, views): (String, Vec<FeatureView>)| {
            views.into_iter().filter_map(move |view| {
                let why = view.feature.held?;
                Some(Risk { team: team.clone(), what: view.feature.id.to_string(), why })
            })
        };
        silent.extend(more);
        silent.sort();
        silent.dedup();
        let risks = projects.into_iter().flat_map(of_project);
        let risks = risks.chain(features.into_iter().flat_map(of_feature)).collect();
        Ok(Endangered { risks, silent, fleet: bot_says(&*self.0, call, "risks").await })
    }
}

struct Cost(Arc<dyn Desk>);

/// How far back.
#[derive(Deserialize, JsonSchema)]
struct Since {
    /// Hours, 24 unless said, at most a week.
    #[serde(default)]
    hours: Option<u16>,
}

impl Since {
    fn begins(&self) -> Timestamp {
        let hours = self.hours.unwrap_or(24).clamp(1, WEEK);
        let back = SignedDuration::from_hours(i64::from(hours));
        Timestamp::now().checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[derive(Serialize, JsonSchema)]
struct Spent {
    /// By team.
    teams: Vec<TeamSpent>,
    /// Teams that did not answer.
    silent: Vec<String>,
    /// What the bot says of all teams, those on other computers among them.
    fleet: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct TeamSpent {
    /// Which.
    team: String,
    /// Runs that began in that time.
    runs: usize,
    /// Minutes that they took, by agent.
    minutes: BTreeMap<String, u64>,
    /// Whether its models are metered. If not, nothing is known of tokens and money.
    metered: bool,
    /// What its models took: today, this month, and in all.
    models: Vec<ModelsSpent>,
}

#[derive(Serialize, JsonSchema)]
struct ModelsSpent {
    /// `day 2026-11-21`, `month 2026-11`, `instance` for all of it.
    of: String,
    /// Tokens of all kinds.
    tokens: u64,
    /// Millionths of a US dollar, of what has a price.
    micro_dollars: u64,
    /// The budget in tokens, if there is one.
    limit_tokens: Option<u64>,
    /// The budget in millionths of a US dollar, if there is one.
    limit_micro_dollars: Option<u64>,
}

impl From<CostBudget> for ModelsSpent {
    fn from(budget: CostBudget) -> Self {
        let CostBudget { of, micro_dollars, tokens, limit_micro_dollars, limit_tokens } = budget;
        Self { of, tokens, micro_dollars, limit_tokens, limit_micro_dollars }
    }
}

#[async_trait]
impl Look for Cost {
    type Input = Since;
    type Output = Spent;

    fn spec(&self) -> Spec {
        Spec::new("fleet_cost", Tier::Read, "fleet.view").described(
            "What work took",
            "For managers: runs and the minutes they took, by team and agent, and what models took in tokens and money: today, \
             this month and in all.",
        )
    }

    fn within(&self, caller: &Caller, _: &Since) -> Result<(), Fault> {
        is_manager(caller)
    }

    async fn look(&self, call: &Call, since: Since) -> Result<Spent, Fault> {
        let begins = since.begins();
        let (runs, mut silent) = each::<Vec<RunSummary>>(&*self.0, call, "runs").await?;
        let (costs, more) = each::<CostView>(&*self.0, call, "costs?by=agent").await?;
        let mut costs: BTreeMap<String, CostView> = costs.into_iter().collect();
        silent.extend(more);
        silent.sort();
        silent.dedup();
        let spent = |(team, runs): (String, Vec<RunSummary>)| {
            let (mut seconds, mut count) = (BTreeMap::<String, u64>::new(), 0);
            for run in runs.into_iter().filter(|run| run.started_at >= begins) {
                count += 1;
                *seconds.entry(run.agent).or_default() += run.seconds;
            }
            let minutes = seconds.into_iter().map(|(agent, seconds)| (agent, seconds.div_ceil(60))).collect();
            let cost = costs.remove(&team);
            let metered = cost.as_ref().is_some_and(|cost| cost.metered);
            let budgets = cost.map(|cost| cost.budgets).unwrap_or_default();
            let models = budgets.into_iter().map(ModelsSpent::from).collect();
            TeamSpent { team, runs: count, minutes, metered, models }
        };
        let teams = runs.into_iter().map(spent).collect();
        Ok(Spent { teams, silent, fleet: bot_says(&*self.0, call, "cost").await })
    }
}

struct Digest(Arc<dyn Desk>);

#[derive(Serialize, JsonSchema)]
struct Happened {
    /// By team.
    teams: Vec<TeamHappened>,
    /// Teams that did not answer.
    silent: Vec<String>,
    /// What the bot says of all teams, those on other computers among them.
    fleet: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct TeamHappened {
    /// Which.
    team: String,
    /// Features by column, now.
    stages: BTreeMap<String, usize>,
    /// Merged in that time.
    merged: Vec<String>,
    /// What is under way, and how it stands.
    working: Vec<String>,
}

#[async_trait]
impl Look for Digest {
    type Input = Since;
    type Output = Happened;

    fn spec(&self) -> Spec {
        Spec::new("fleet_digest", Tier::Read, "fleet.view")
            .described("Digest", "For managers: what each team merged of late, and what it works on.")
    }

    fn within(&self, caller: &Caller, _: &Since) -> Result<(), Fault> {
        is_manager(caller)
    }

    async fn look(&self, call: &Call, since: Since) -> Result<Happened, Fault> {
        let begins = since.begins();
        let (features, silent) = each::<Vec<FeatureView>>(&*self.0, call, "features").await?;
        let happened = |(team, views): (String, Vec<FeatureView>)| {
            let (mut stages, mut merged, mut working) = (BTreeMap::new(), Vec::new(), Vec::new());
            for view in views {
                let FeatureView { feature, sentence, .. } = view;
                *stages.entry(feature.stage.to_string()).or_default() += 1;
                let title = format!("{} {}", feature.id, feature.wanted.title);
                match feature.stage {
                    Stage::Done if feature.updated_at >= begins => merged.push(title),
                    Stage::Backlog | Stage::Ready | Stage::Done | Stage::Cancelled => {}
                    _ => working.push(format!("{title}: {sentence}")),
                }
            }
            TeamHappened { team, stages, merged, working }
        };
        let teams = features.into_iter().map(happened).collect();
        Ok(Happened { teams, silent, fleet: bot_says(&*self.0, call, "digest").await })
    }
}
