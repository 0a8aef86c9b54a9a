//! The demo's stage: its sample project, persons, teams and features, from the files in `assets/demo`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use qd_agents::{CheckSpec, CommandAgent};
use qd_board::{Dependency, NewFeature, Wanted};
use qd_config::Mcp;
use qd_core::forge::MergeMethod;
use qd_git::{Git, Identity, NewCommit};
use qd_team::RunPolicy;
use qd_types::{FeatureId, InstanceName, Person, RepositoryName, Role};
use rust_embed::RustEmbed;
use serde::Deserialize;

use super::{acting, apart, failed};
use crate::{
    cli::Demo,
    context::UserError,
    fleet::{AgentPlan, Fleet, FleetPlan, RepositoryPlan, TeamPlan},
    policies::{self, PolicyPlan},
    verbs::known_tools,
};

/// Commits of the sample's history that the demo shows at its end.
const HISTORY: usize = 20;

/// The tool server of somebody else.
pub(super) const SERVER: &str = "notes.sh";

#[derive(RustEmbed)]
#[folder = "assets/demo"]
struct Assets;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureFile {
    feature: Vec<FeatureEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureEntry {
    id: FeatureId,
    team: InstanceName,
    title: String,
    description: String,
    depends: Vec<FeatureId>,
    /// Who works on it, if not the team's own agent.
    agent: Option<String>,
}

/// A feature and the board it goes on.
pub(super) struct Planned {
    pub(super) team: InstanceName,
    pub(super) feature: NewFeature,
}

/// Everything that the demo starts with.
pub(super) struct Scene {
    pub(super) plan: FleetPlan,
    pub(super) you: Person,
    pub(super) requester: Person,
    pub(super) features: Vec<Planned>,
}

fn text(name: &str) -> Result<String, UserError> {
    let file = Assets::get(name).ok_or_else(|| UserError::failed(format!("the demo's {name} is missing")))?;
    String::from_utf8(file.data.into_owned()).map_err(|error| failed(&error))
}

fn id<T: std::str::FromStr<Err = qd_types::IdError>>(text: &str) -> Result<T, UserError> {
    text.parse().map_err(|error: T::Err| failed(&error))
}

/// Lays the stage below `root`.
pub(super) async fn lay(root: &Path, demo: &Demo) -> Result<Scene, UserError> {
    let sample = root.join("sample");
    write_sample(&sample).await?;
    let script = root.join("script.toml");
    std::fs::write(&script, text("script.toml")?).map_err(|error| failed(&error))?;
    std::fs::write(root.join(SERVER), text(SERVER)?).map_err(|error| failed(&error))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let argv = [
        program.to_string_lossy().into_owned(),
        "scripted-agent".into(),
        "--script".into(),
        script.to_string_lossy().into_owned(),
    ];
    let agent = CommandAgent {
        name: "scripted".into(),
        argv: argv.to_vec(),
        env_allow: Vec::new(),
        secrets: Vec::new(),
        limit: Duration::from_secs(120),
    };
    let repository: RepositoryName = id("sample")?;
    let team = |name: &str, prefix: &str| {
        Ok::<_, UserError>(TeamPlan {
            id: id(name)?,
            name: id(name)?,
            prefix: prefix.into(),
            agent: Some(agent.name.clone()),
            ladder: Vec::new(),
            repositories: vec![repository.clone()],
            slots: 2,
            reviews: None,
            quiet: Vec::new(),
            disk: 20 << 30,
            walls: None,
        })
    };
    let you = Person { id: id("ines")?, roles: vec![Role::Owner, Role::Operator] };
    let requester = Person { id: id("theo")?, roles: vec![Role::Manager, Role::Reviewer] };
    let teams = vec![team("alpha", "A")?, team("beta", "B")?, team(apart::NAME, "G")?];
    let people = vec![you.clone(), requester.clone()];
    let names = teams.iter().map(|team| team.name.clone()).collect();
    let agents = [agent.name.as_str(), acting::NAME].into_iter();
    let mut known = policies::facts(false, people.iter().cloned(), names, vec![repository.clone()], agents);
    known.tools.extend(known_tools(&Mcp::default()));
    let plan = FleetPlan {
        metering: Some(acting::metering().await?),
        state: root.join("state"),
        listen: demo.listen,
        people,
        me: you.id.clone(),
        config: std::sync::Arc::default(),
        policies: PolicyPlan::default(known),
        approvals: qd_approvals::Rules { local_votes: true, ..qd_approvals::Rules::default() },
        chat: qd_console::Layout::default(),
        distil: qd_core::Distil::new(&serde_json::Value::Null, jiff::tz::TimeZone::system())
            .map_err(|error| failed(&error))?,
        discord: None,
        github: None,
        // Its two people are made up, and so is what they decide.
        beside_agents: qd_config::BesideAgents::Allow,
        teams,
        repositories: vec![RepositoryPlan {
            name: repository,
            source: sample,
            remote: None,
            target: "main".into(),
            checks: vec![CheckSpec {
                name: "test".into(),
                command: "cargo test --offline --quiet".into(),
                limit: Duration::from_secs(300),
                env_allow: vec!["RUSTUP_TOOLCHAIN".into()],
                tail: demo.log_lines,
            }],
            method: MergeMethod::Merge,
            protected: false,
            slots: None,
            setup: qd_worktrees::Setup::default(),
            hooks: false,
            demands: None,
        }],
        runs: RunPolicy {
            repair_rounds: 2,
            log_lines: demo.log_lines,
            returns: 3,
            large_files: 40,
            large_lines: 800,
            preserved_days: 14,
            retry_pause: None,
            transcript: 64 << 20,
            question: qd_board::Budget::default(),
        },
        audit: crate::fleet::AuditPlan::default(),
        launcher: crate::walls::launcher(qd_config::SandboxKind::Auto)?,
        walls: None,
        zone: jiff::tz::TimeZone::system(),
        agents: BTreeMap::from([
            (agent.name.clone(), AgentPlan::Command(agent)),
            (acting::NAME.to_owned(), acting::agent(&script)?),
        ]),
        agent_slots: BTreeMap::new(),
        rules: Vec::new(),
    };
    let file: FeatureFile = toml::from_str(&text("features.toml")?).map_err(|error| failed(&error))?;
    let mut known: Vec<FeatureId> = Vec::new();
    let mut features = Vec::new();
    for entry in file.feature {
        known.push(entry.id);
        features.push(Planned {
            team: entry.team,
            feature: NewFeature {
                wanted: Wanted {
                    title: entry.title,
                    description: entry.description,
                    depends_on: entry.depends.into_iter().map(Dependency::done).collect(),
                    agent: entry.agent,
                    ..Wanted::default()
                },
                ready: true,
                ..NewFeature::default()
            },
        });
    }
    Ok(Scene { plan, you, requester, features })
}

/// The sample project as a repository with one commit.
async fn write_sample(folder: &Path) -> Result<(), UserError> {
    for name in Assets::iter() {
        let Some(path) = name.strip_prefix("sample/") else { continue };
        let file =
            Assets::get(&name).ok_or_else(|| UserError::failed(format!("the demo's {name} is missing")))?;
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        std::fs::write(&path, file.data).map_err(|error| failed(&error))?;
    }
    std::fs::write(folder.join(".gitignore"), "/target\n").map_err(|error| failed(&error))?;
    let git_dir = folder.join(".git");
    let repository = Git::new().init_bare(&git_dir, "main").await.map_err(|error| failed(&error))?;
    let tree = repository.write_tree(folder, None).await.map_err(|error| failed(&error))?;
    let new = NewCommit {
        tree: &tree,
        parents: &[],
        message: "Invoices: totals, discounts, receipts\n",
        identity: &Identity::new("Theo", "theo@localhost"),
        at: jiff::Timestamp::now(),
    };
    let commit = repository.commit_tree(&new).await.map_err(|error| failed(&error))?;
    let swapped =
        repository.update_ref("refs/heads/main", &commit, None).await.map_err(|error| failed(&error))?;
    if swapped != qd_git::Swap::Done {
        return Err(UserError::failed("the sample's main branch could not be made"));
    }
    Ok(())
}

/// `git log --graph` of the sample's main branch, where the merged work is.
pub(super) async fn graph(fleet: &Fleet, scene: &Scene) -> Result<String, UserError> {
    let (Some(bot), Some(repository)) = (fleet.bot(), scene.plan.repositories.first()) else {
        return Ok(String::new());
    };
    let folder = bot.forge.git_dir(&repository.name);
    let forge = Git::new().open(&folder).await.map_err(|error| failed(&error))?;
    forge.log_graph(&repository.target, HISTORY).await.map_err(|error| failed(&error))
}
