//! What of a running fleet can change: its teams, its repositories, and the routes to them. Whoever is under way keeps the
//! routes that it came by.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use axum::{
    Router,
    extract::{OriginalUri, Request},
    middleware,
    routing::any,
};
use qd_api::Problem;
use qd_core::chat::Commands;
use qd_engine::{Engine, EngineError};
use qd_team::{ProblemResponse, Team, Trains};
use qd_types::{InstanceName, PersonId};
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

use super::{
    FleetPlan,
    link::Links,
    policies,
    start::{self, Bot, FleetError},
};
use crate::{
    enrolment::LinkState,
    governed::{Governed, Step},
    http::{self, Guard},
    people::ballots,
};

/// A socket of the command line, and by what its team is known; none for the bot's.
struct Socket {
    team: Option<InstanceName>,
    path: PathBuf,
    task: AbortHandle,
}

/// What of the configuration decides who may do what: as it is in force, and as it is written.
#[derive(Debug, Clone)]
pub(super) struct Law {
    pub(super) in_force: Governed,
    pub(super) wanted: Governed,
}

/// The changing parts of a fleet.
pub struct Live {
    law: Mutex<Law>,
    plan: Arc<RwLock<FleetPlan>>,
    policies: Arc<Engine>,
    teams: Mutex<Vec<Team>>,
    trains: Trains,
    links: Links,
    bot: Option<Bot>,
    guard: Guard,
    extra: Router,
    router: RwLock<Router>,
    sockets: Mutex<Vec<Socket>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

impl Live {
    pub(super) fn new(
        plan: Arc<RwLock<FleetPlan>>,
        (law, policies): (Law, Arc<Engine>),
        teams: Vec<Team>,
        (trains, links): (Trains, Links),
        bot: Option<Bot>,
        guard: Guard,
        extra: Router,
    ) -> Self {
        let router = router(&teams, bot.as_ref()).merge(extra.clone());
        let (teams, sockets) = (Mutex::new(teams), Mutex::default());
        let (law, router) = (Mutex::new(law), RwLock::new(router));
        Self { law, plan, policies, teams, trains, links, bot, guard, extra, router, sockets }
    }

    /// What of the configuration is in force, and what is written.
    pub(super) fn law(&self) -> Law {
        locked(&self.law).clone()
    }

    /// From now on this counts, whatever is written. People follow with [`Live::follow_law`].
    pub(super) fn enforce(&self, governed: Governed) -> Result<(), EngineError> {
        self.policies.set_rules(&governed.rules)?;
        governed.clone().put_into(&mut self.plan.write().unwrap_or_else(PoisonError::into_inner));
        locked(&self.law).in_force = governed;
        Ok(())
    }

    /// Brings people in line with what is in force, and tells whoever goes by it.
    pub(super) async fn follow_law(&self) -> Result<(), FleetError> {
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        start::seed_people(self.guard.roster(), &plan).await?;
        self.share_policies().await
    }

    /// The teams, in the order of the configuration.
    pub fn teams(&self) -> Vec<Team> {
        locked(&self.teams).clone()
    }

    /// How the links of the teams to their bots stand.
    pub fn links(&self) -> Vec<LinkState> {
        self.links.now()
    }

    pub(crate) fn bot(&self) -> Option<&Bot> {
        self.bot.as_ref()
    }

    /// The fleet's state folder.
    pub(super) fn state(&self) -> PathBuf {
        match self.plan.read() {
            Ok(plan) => plan.state.clone(),
            Err(poisoned) => poisoned.into_inner().state.clone(),
        }
    }

    /// The tool servers of others of which people trusted tools, and when that changed last.
    pub(super) fn trusted_servers(&self) -> Vec<(String, std::time::SystemTime)> {
        let others = match self.plan.read() {
            Ok(plan) => plan.policies.others.clone(),
            Err(poisoned) => poisoned.into_inner().policies.others.clone(),
        };
        others.trusted()
    }

    /// The policies in force.
    pub fn policies(&self) -> &Arc<Engine> {
        &self.policies
    }

    /// Has the policies know the people there are, and the bot go by both as they are in force now.
    pub(super) async fn share_policies(&self) -> Result<(), FleetError> {
        if let Some(bot) = &self.bot {
            return bot.telling.tell().await;
        }
        let people = self.guard.roster().active().await?;
        let facts = match self.plan.read() {
            Ok(plan) => plan.policies.facts_with(&people),
            Err(poisoned) => poisoned.into_inner().policies.facts_with(&people),
        };
        Ok(self.policies.set_facts(&facts)?)
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    fn router(&self) -> Router {
        match self.router.read() {
            Ok(router) => router.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// Answers each request by the routes that there are when it comes.
    pub(super) fn service(self: &Arc<Self>) -> Router {
        let live = Arc::clone(self);
        Router::new().fallback(move |request: Request| {
            let router = live.router();
            async move { router.oneshot(request).await }
        })
    }

    /// Opens the sockets that are missing, and closes those of teams that are gone.
    pub(super) async fn serve_sockets(self: &Arc<Self>) -> Result<(), FleetError> {
        let mut wanted: Vec<(Option<InstanceName>, PathBuf)> =
            self.teams().iter().map(|team| (Some(team.id()), team.state_folder().join("api.sock"))).collect();
        if self.bot.is_some() {
            let folder = match self.plan.read() {
                Ok(plan) => plan.bot_folder(),
                Err(poisoned) => poisoned.into_inner().bot_folder(),
            };
            wanted.push((None, folder.join("api.sock")));
        }
        let mut sockets = locked(&self.sockets);
        sockets.retain(|socket| {
            let stays = wanted.iter().any(|(team, _)| *team == socket.team);
            if !stays {
                close(socket);
            }
            stays
        });
        for (team, path) in wanted {
            if sockets.iter().any(|socket| socket.team == team) {
                continue;
            }
            let listener = http::bind_socket(&path)
                .map_err(|source| FleetError::Serve { place: path.display().to_string(), source })?;
            let task = tokio::spawn(http::serve_socket(listener, self.service(), self.guard.clone()));
            sockets.push(Socket { team, path, task: task.abort_handle() });
        }
        Ok(())
    }

    /// Puts a plan in force: policies first, and nothing at all if they do not hold; repositories and teams that are new
    /// start, teams that are gone end, all others take over what can be taken over while they work.
    /// What may widen rights waits for people: that is returned, in words.
    pub(super) async fn apply(self: &Arc<Self>, plan: &FleetPlan) -> Result<Vec<String>, FleetError> {
        let mut plan = plan.clone();
        let wanted = Governed::of(&plan);
        let Step { now, widens } = self.law().in_force.toward(&wanted);
        now.clone().put_into(&mut plan);
        plan.policies.facts = plan.policies.facts_with(&self.guard.roster().active().await?);
        // What runs goes on to be counted where it was.
        plan.approvals.exposed = match self.plan.read() {
            Ok(before) => before.approvals.exposed.clone(),
            Err(poisoned) => poisoned.into_inner().approvals.exposed.clone(),
        };
        let plan = &plan;
        policies::adopt(&self.policies, &plan.policies, &wanted.rules, &self.teams()).await?;
        *locked(&self.law) = Law { in_force: now, wanted };
        start::seed_people(self.guard.roster(), plan).await?;
        if let Some(bot) = &self.bot {
            for repository in plan.repositories.iter().filter(|repository| plan.is_here(&repository.name)) {
                bot.forge
                    .add_repository(&repository.name, Some(&repository.source), &repository.target)
                    .await?;
            }
        }
        let before = self.teams();
        let mut after = Vec::new();
        for team_plan in &plan.teams {
            match before.iter().find(|team| team.id() == team_plan.id) {
                // What needs a restart stays as it is: prefix and state are the running team's own.
                Some(team) => {
                    team.adopt(start::options(plan, team_plan, &self.policies, team.tools()));
                    after.push(team.clone());
                }
                // A process that runs one team, or the bot alone, starts no other.
                None if self.bot.is_none() || before.is_empty() => {}
                None => {
                    after.push(
                        start::start_team(
                            plan,
                            team_plan,
                            &self.policies,
                            self.bot.as_ref(),
                            (&self.trains, &self.links),
                        )
                        .await?,
                    );
                }
            }
        }
        match self.plan.write() {
            Ok(mut guard) => *guard = plan.clone(),
            Err(poisoned) => *poisoned.into_inner() = plan.clone(),
        }
        self.share_policies().await?;
        if let Some(bot) = &self.bot
            && bot.console.set_layout(plan.chat.clone()).await?
        {
            bot.hub.chat_changed().await?;
        }
        *locked(&self.teams) = after.clone();
        let routes = router(&after, self.bot.as_ref()).merge(self.extra.clone());
        match self.router.write() {
            Ok(mut guard) => *guard = routes,
            Err(poisoned) => *poisoned.into_inner() = routes,
        }
        self.serve_sockets().await?;
        for gone in before.iter().filter(|team| !after.iter().any(|other| other.id() == team.id())) {
            tracing::info!(team = %gone.name(), "a team is retired");
            gone.shut_down().await;
        }
        Ok(widens)
    }

    /// Has the trails of all that runs here forget who stands behind a pseudonym.
    pub async fn forget(&self, person: &PersonId) -> Result<(), FleetError> {
        if let Some(bot) = &self.bot {
            bot.hub.forget(person).await?;
        }
        for team in self.teams() {
            team.forget(person).await?;
        }
        Ok(())
    }

    pub(super) async fn shut_down(&self) {
        for team in self.teams() {
            team.shut_down().await;
        }
        locked(&self.sockets).drain(..).for_each(|socket| close(&socket));
    }
}

fn close(socket: &Socket) {
    socket.task.abort();
    if let Err(error) = std::fs::remove_file(&socket.path) {
        tracing::debug!(path = %socket.path.display(), %error, "a socket was gone already");
    }
}

async fn no_such_api(OriginalUri(uri): OriginalUri) -> ProblemResponse {
    let hint = "The API of a team is at /teams/TEAM/api/v1; quarterdeck team list names them.";
    let detail = format!("There is nothing at {}.", uri.path());
    ProblemResponse(Problem { kind: "not-found".into(), status: 404, detail, hint: Some(hint.into()) })
}

fn router(teams: &[Team], bot: Option<&Bot>) -> Router {
    let mut router = qd_web::router(teams.to_vec(), qd_web::RouterOptions { console: bot.is_some() });
    for team in teams {
        router = router.nest(&format!("/teams/{}/api/v1", team.name()), qd_team::router(team.clone()));
    }
    if let Some(bot) = bot {
        let commands: Arc<dyn Commands> = Arc::new(bot.hub.clone());
        let names: Vec<String> = teams.iter().map(|team| team.name().to_string()).collect();
        router = router.merge(http::pulls::router(Arc::new(bot.forges.clone()), names.clone()));
        let console = qd_console::router(bot.console.clone(), commands, names);
        router = router.merge(console.layer(middleware::from_fn(ballots::proven)));
    }
    // A team or a version that is not there: a program asks, so a problem answers, and no page.
    router = router.route("/teams/{team}/api/{*path}", any(no_such_api));
    let home = teams.first().map_or_else(|| "/console".to_owned(), |team| format!("/teams/{}/", team.name()));
    router.merge(http::home(&home))
}
