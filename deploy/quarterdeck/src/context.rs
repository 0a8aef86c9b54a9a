//! From flags and files to what a verb works with: the configuration, the plan of the fleet, a client of a team.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use qd_agents::{CheckSpec, CommandAgent, registry::Registry};
use qd_api::{Client, Target};
use qd_config::{Chat, ChatChannel, DiscordThreads, Loaded, Sources};
use qd_core::{chat::Channel, forge::MergeMethod};
use qd_types::{InstanceName, Person, PersonId, RepositoryName, Role};

use crate::{
    cli::Common,
    fleet::{
        AgentPlan, AuditPlan, FleetPlan, GithubPlan, KnownAgent, RepositoryPlan, TeamPlan, bot_folder,
        team_folder, words,
    },
    metering,
    policies::PolicyPlan,
    walls,
};

/// A message for people: what is wrong, and the way out.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct UserError {
    text: String,
    /// Exit code: 1 failed, 2 wrong call.
    pub code: u8,
}

impl UserError {
    /// Something that did not work.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1 }
    }

    /// Something that was asked for wrongly.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 2 }
    }

    /// An error of the program, with what caused it.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let more = cause.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = cause.source();
        }
        Self::failed(text)
    }
}

/// Where the configuration is looked for.
pub fn sources(common: &Common) -> Result<Sources, UserError> {
    let cwd = std::env::current_dir()
        .map_err(|error| UserError::failed(format!("the current folder can't be read: {error}")))?;
    let mut flags = Vec::new();
    for pair in &common.set {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| UserError::usage(format!("--set takes KEY=VALUE, not {pair:?}")))?;
        flags.push((key.to_owned(), value.to_owned()));
    }
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let system_file = PathBuf::from("/etc/quarterdeck/config.toml");
    Ok(Sources { cwd, system_file, file: common.config.clone(), env, flags })
}

/// The configuration, checked.
pub fn load(sources: &Sources) -> Result<Loaded, UserError> {
    qd_config::load(sources)
        .map_err(|error| UserError::failed(format!("the configuration does not hold:\n{error}")))
}

/// Who the person at this computer is.
pub fn me(loaded: &Loaded, env: &BTreeMap<String, String>) -> Result<PersonId, UserError> {
    let people = &loaded.config.people;
    if let Some(me) = &loaded.config.fleet.me {
        return Ok(me.clone());
    }
    if let [only] = people.as_slice() {
        return Ok(only.name.clone());
    }
    let user = env.get("USER").and_then(|user| user.to_ascii_lowercase().parse().ok());
    if let Some(person) = user.and_then(|user: PersonId| people.iter().find(|person| person.name == user)) {
        return Ok(person.name.clone());
    }
    if people.is_empty() {
        return Err(UserError::failed("nobody is configured. In your repository, run: quarterdeck init"));
    }
    Err(UserError::failed("several people are configured: say who you are with fleet.me"))
}

/// The person at this computer, and everybody who is configured. Where nobody is, it is this computer's user alone, who may
/// do everything: tool servers are of use without a fleet.
pub fn household(
    loaded: &Loaded,
    env: &BTreeMap<String, String>,
) -> Result<(PersonId, Vec<Person>), UserError> {
    let people = &loaded.config.people;
    if !people.is_empty() {
        let all = people.iter().map(|person| Person { id: person.name.clone(), roles: person.roles.clone() });
        return Ok((me(loaded, env)?, all.collect()));
    }
    let user = env.get("USER").and_then(|user| user.to_ascii_lowercase().parse::<PersonId>().ok());
    let Some(id) = user else {
        return Err(me(loaded, env).err().unwrap_or_else(|| UserError::failed("nobody is configured")));
    };
    let roles = vec![Role::Owner, Role::Manager, Role::Operator, Role::Reviewer];
    Ok((id.clone(), vec![Person { id, roles }]))
}

/// What is to run.
pub fn plan(loaded: &Loaded, env: &BTreeMap<String, String>) -> Result<FleetPlan, UserError> {
    let config = &loaded.config;
    let me = me(loaded, env)?;
    if config.teams.is_empty() {
        return Err(UserError::failed("no team is configured. In your repository, run: quarterdeck init"));
    }
    let registry = registry(loaded)?;
    let mut agents = BTreeMap::new();
    for (name, agent) in &config.agents {
        agents.insert(name.clone(), agent_plan(loaded, &registry, (name, agent), env)?);
    }
    let all: Vec<_> = config.repositories.iter().map(|repository| repository.name.clone()).collect();
    let demanded = |demand, image| walls::demanded(loaded, demand, image);
    let teams = config.teams.iter().map(|team| {
        Ok::<_, UserError>(TeamPlan {
            id: team.id().clone(),
            name: team.name.clone(),
            prefix: team.prefix(),
            agent: team.agent.clone(),
            ladder: team.ladder.clone(),
            repositories: if team.repositories.is_empty() { all.clone() } else { team.repositories.clone() },
            slots: team.slots,
            reviews: team.reviews,
            quiet: team.quiet.clone(),
            disk: u64::from(team.disk_gib) << 30,
            walls: demanded(team.sandbox, None)?,
        })
    });
    let github = self::github(loaded, env)?;
    let repositories = config.repositories.iter().map(|repository| {
        Ok::<_, UserError>(RepositoryPlan {
            name: repository.name.clone(),
            source: repository.path.canonicalize().unwrap_or_else(|_| repository.path.clone()),
            remote: repository.remote.clone().or_else(|| github_remote(github.as_ref(), &repository.name)),
            target: repository.target.clone(),
            checks: repository
                .checks
                .iter()
                .map(|check| CheckSpec {
                    name: check.name.clone(),
                    command: check.command.clone(),
                    limit: minutes(check.minutes),
                    env_allow: Vec::new(),
                    tail: config.runs.log_lines as usize,
                })
                .collect(),
            method: match repository.merge_method {
                qd_config::MergeMethod::Merge => MergeMethod::Merge,
                qd_config::MergeMethod::Squash => MergeMethod::Squash,
            },
            protected: repository.protected,
            slots: repository.slots,
            hooks: repository.hooks,
            demands: demanded(repository.sandbox, repository.image.as_ref())?,
            setup: qd_worktrees::Setup {
                script: repository.setup.clone(),
                copies: repository.copies.clone(),
                shared: repository
                    .shared
                    .iter()
                    .map(|folder| qd_worktrees::Shared {
                        name: folder.name.clone(),
                        path: folder.path.clone(),
                    })
                    .collect(),
            },
        })
    });
    Ok(FleetPlan {
        state: loaded.state_dir.clone(),
        listen: config.web.listen,
        people: config.people.iter().map(|p| Person { id: p.name.clone(), roles: p.roles.clone() }).collect(),
        me,
        config: std::sync::Arc::new(loaded.config.clone()),
        policies: PolicyPlan::of(loaded),
        approvals: qd_approvals::Rules {
            deliver_within: minutes(config.approvals.deliver_minutes),
            decide_within: minutes(config.approvals.decide_minutes),
            execute_within: minutes(config.approvals.execute_minutes),
            // One process and one person's machine: what a team's own board takes counts here.
            local_votes: true,
            exposed: qd_approvals::Exposure::default(),
        },
        chat: channels(&config.chat),
        distil: distil(config)?,
        discord: self::discord(config, env)?,
        beside_agents: config.approvals.local_votes_beside_unsandboxed_agents,
        teams: teams.collect::<Result<_, _>>()?,
        repositories: repositories.collect::<Result<_, _>>()?,
        github,
        runs: qd_team::RunPolicy {
            repair_rounds: config.runs.repair_rounds,
            log_lines: config.runs.log_lines as usize,
            returns: config.runs.returns,
            large_files: u64::from(config.runs.large_files),
            large_lines: u64::from(config.runs.large_lines),
            preserved_days: config.runs.preserved_days,
            retry_pause: config.runs.retry_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            transcript: u64::from(config.runs.transcript_mib) << 20,
            question: qd_board::Budget {
                minutes: Some(config.runs.question_minutes),
                cents: config.gateway.budgets.question.cents.map(Into::into),
                tokens: config.gateway.budgets.question.tokens.map(Into::into),
            },
        },
        audit: audit(loaded)?,
        launcher: walls::launcher(config.sandbox.kind)?,
        walls: Some(walls::of_agents(&config.sandbox, &loaded.state_dir)?),
        zone: zone(config)?,
        agent_slots: config
            .agents
            .iter()
            .filter_map(|(name, agent)| Some((name.clone(), agent.slots?)))
            .collect(),
        agents,
        metering: metering::metering(&config.gateway, env)?,
        rules: config.rules.clone(),
    })
}

/// The agents that are known: those that come along, and those of `agents.toml` in the configuration's folder.
pub fn registry(loaded: &Loaded) -> Result<Registry, UserError> {
    let registry = Registry::built_in().map_err(|error| UserError::from_error(&error))?;
    let Some(folder) = loaded.file.as_ref().and_then(|file| file.parent()) else { return Ok(registry) };
    let file = folder.join("agents.toml");
    let shown = file.display().to_string();
    match std::fs::read_to_string(&file) {
        Ok(text) => registry.with(&shown, &text).map_err(|error| UserError::from_error(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(registry),
        Err(error) => Err(UserError::failed(format!("{shown} can't be read: {error}"))),
    }
}

/// The home in which an agent's own login is kept.
pub fn login_home(state: &std::path::Path, entry: &str) -> PathBuf {
    state.join("agents").join(entry).join("home")
}

fn agent_plan(
    loaded: &Loaded,
    registry: &Registry,
    (name, agent): (&str, &qd_config::Agent),
    env: &BTreeMap<String, String>,
) -> Result<AgentPlan, UserError> {
    let wrong = |key: &str, text: String| UserError::failed(format!("agents.{name}.{key}: {text}"));
    let mut secrets = Vec::new();
    for secret in &agent.redact {
        secrets.push(secret.resolve(env).map_err(|error| wrong("redact", error.to_string()))?);
    }
    let base = CommandAgent {
        name: name.to_owned(),
        argv: agent.command.clone().unwrap_or_default(),
        env_allow: agent.env.clone(),
        secrets,
        limit: minutes(agent.minutes),
    };
    if agent.command.is_some() {
        return Ok(AgentPlan::Command(base));
    }
    let entry = agent.entry.as_deref().unwrap_or(name);
    let mut commands = Vec::new();
    for (index, line) in agent.commands.iter().enumerate() {
        commands.push(words(line).map_err(|text| wrong(&format!("commands.{index}"), text))?);
    }
    let unknown = |error: qd_agents::registry::RegistryError| wrong("entry", error.to_string());
    let known = KnownAgent {
        entry: registry.get(entry).map_err(unknown)?.clone(),
        base,
        model: agent.model.clone(),
        mode: agent.mode.clone(),
        login: agent.login.then(|| login_home(&loaded.state_dir, entry)),
        commands,
    };
    AgentPlan::known(registry, entry, known).map_err(unknown)
}

/// Where old rows of the audit trail go, and when.
pub fn audit(loaded: &Loaded) -> Result<AuditPlan, UserError> {
    let audit = &loaded.config.audit;
    let days = |key: &str, span: &str| {
        qd_config::days(span).map_err(|text| UserError::failed(format!("audit.{key}: {text}")))
    };
    let retention = qd_audit::Retention {
        archive_days: days("after", &audit.after)?,
        keep_days: audit.keep.as_ref().map(|keep| days("keep", keep)).transpose()?,
    };
    Ok(AuditPlan { folder: audit.archive.as_ref().map(|folder| loaded.state_dir.join(folder)), retention })
}

/// The fleet's time zone: what is configured, or this computer's.
fn zone(config: &qd_config::Config) -> Result<jiff::tz::TimeZone, UserError> {
    match &config.fleet.time_zone {
        None => Ok(jiff::tz::TimeZone::system()),
        Some(name) => jiff::tz::TimeZone::get(name)
            .map_err(|error| UserError::failed(format!("fleet.time_zone: {error}"))),
    }
}

/// What people see of what happens: as it comes with the program, with what the configuration puts in its place.
fn distil(config: &qd_config::Config) -> Result<qd_core::Distil, UserError> {
    let Chat { rules, digests, risks, budget, .. } = &config.chat;
    let own = serde_json::json!({ "rules": rules, "digests": digests, "risks": risks, "budget": budget });
    qd_core::Distil::new(&own, zone(config)?).map_err(|error| UserError::failed(error.to_string()))
}

fn minutes(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 60)
}

/// The team a verb is about: the one that is named, or the only one.
pub fn team(common: &Common, loaded: &Loaded) -> Result<InstanceName, UserError> {
    let teams: Vec<&InstanceName> = loaded.config.teams.iter().map(|team| &team.name).collect();
    let known = || teams.iter().map(|team| team.as_str()).collect::<Vec<_>>().join(", ");
    match (&common.team, teams.as_slice()) {
        (Some(name), _) if teams.contains(&name) => Ok(name.clone()),
        (Some(name), _) if teams.is_empty() => Ok(name.clone()),
        (Some(name), _) => Err(UserError::usage(format!("there is no team {name}, there is {}", known()))),
        (None, [only]) => Ok((*only).clone()),
        (None, []) => {
            Err(UserError::failed("no team is configured here. In your repository, run: quarterdeck init"))
        }
        (None, _) => Err(UserError::usage(format!("say which team: --team with one of {}", known()))),
    }
}

/// A client of the running team: with a session's token as the person whose it is, without one as the person at this
/// computer.
pub fn client(common: &Common, loaded: &Loaded, token: Option<String>) -> Result<Client, UserError> {
    let team = team(common, loaded)?;
    let known = loaded.config.teams.iter().find(|each| each.name == team);
    let id = known.map_or(&team, qd_config::Team::id);
    let socket = team_folder(&loaded.state_dir, id).join("api.sock");
    Ok(Client::new(Target::Socket(socket), team.as_str(), token))
}

/// Discord, if it is configured and all of it is there.
pub fn discord(
    config: &qd_config::Config,
    env: &BTreeMap<String, String>,
) -> Result<Option<qd_discord::Config>, UserError> {
    let Some(discord) = &config.discord else { return Ok(None) };
    let token = discord_token(discord, env)?;
    // By what a team is known, whatever it is called now.
    let id = |name: &InstanceName| {
        let team = config.teams.iter().find(|team| team.name == *name);
        team.map_or(name, qd_config::Team::id).clone()
    };
    let roles = |roles: &qd_config::DiscordRoles| {
        roles.listed().into_iter().map(|(role, id)| (id.get(), role)).collect()
    };
    let mut guilds = Vec::new();
    for guild in &discord.guilds {
        guilds.push(qd_discord::Guild {
            id: guild.guild.get(),
            teams: guild.teams.iter().map(id).collect(),
            channels: discord_channels(&guild.channels)?,
            roles: roles(&guild.roles),
        });
    }
    Ok(Some(qd_discord::Config {
        token,
        guild: discord.guild.get(),
        channels: discord_channels(&discord.channels)?,
        roles: roles(&discord.roles),
        address: discord.api.clone(),
        per_minute: discord.commands_per_minute,
        threads: discord_threads(discord.threads),
        teams: discord.teams.iter().map(|(team, channel)| (id(team), channel.get())).collect(),
        guilds,
    }))
}

/// GitHub, if it is configured. As what the bot is there may be missing: a process without the bot needs it not.
pub fn github(loaded: &Loaded, env: &BTreeMap<String, String>) -> Result<Option<GithubPlan>, UserError> {
    let Some(github) = &loaded.config.github else { return Ok(None) };
    let wrong = |key: &str, text: String| UserError::failed(format!("github.{key}: {text}"));
    let mut repositories = BTreeMap::new();
    for (name, place) in &github.repositories {
        let place = place.parse().map_err(|error: qd_github::ConfigError| {
            wrong(&format!("repositories.{name}"), error.to_string())
        })?;
        repositories.insert(name.clone(), place);
    }
    let secret = |key: &str, secret: &Option<qd_config::Secret>| {
        let resolved = secret.as_ref().map(|secret| secret.resolve(env)).transpose();
        resolved.map_err(|error| wrong(key, error.to_string()))
    };
    let kept = qd_github::setup::kept(&bot_folder(&loaded.state_dir))
        .map_err(|error| UserError::failed(error.to_string()))?;
    let login = match (secret("token", &github.token)?, github.app, &github.key, &kept) {
        (Some(token), ..) => Some(qd_github::Login::Token(token)),
        (None, Some(id), Some(file), _) => {
            let pem = std::fs::read_to_string(file)
                .map_err(|error| wrong("key", format!("{} can't be read: {error}", file.display())))?;
            Some(qd_github::Login::App(
                qd_github::App::new(id, &pem).map_err(|error| wrong("key", error.to_string()))?,
            ))
        }
        (None, None, None, kept) => kept.as_ref().map(|kept| qd_github::Login::App(kept.app.clone())),
        (None, Some(id), None, Some(kept)) if kept.app.id() == id => {
            Some(qd_github::Login::App(kept.app.clone()))
        }
        (None, _, _, _) => {
            return Err(wrong("app", "an App needs both its id (app) and its private key (key)".to_owned()));
        }
    };
    let webhook_secret = secret("webhook_secret", &github.webhook_secret)?;
    Ok(Some(GithubPlan {
        repositories,
        api: github.api.clone(),
        git: github.git.clone(),
        login,
        webhook_secret: webhook_secret.or_else(|| kept.and_then(|kept| kept.webhook_secret)),
        allow_unprotected: github.allow_unprotected,
        writes_per_minute: github.writes_per_minute,
        listen: github.listen,
        look: github.look_seconds.map_or_else(
            || if github.listen.is_some() { qd_github::reconcile::EVERY } else { qd_github::reconcile::POLL },
            |seconds| std::time::Duration::from_secs(seconds.into()),
        ),
        roles: github.roles.iter().map(|(role, level)| (as_level(*level), *role)).collect(),
        bots: github.bots,
        forks: github.forks,
        reviews_vote: github.reviews_vote,
    }))
}

fn as_level(level: qd_config::Level) -> qd_github::webhook::Level {
    use qd_github::webhook::Level;
    match level {
        qd_config::Level::Read => Level::Read,
        qd_config::Level::Triage => Level::Triage,
        qd_config::Level::Write => Level::Write,
        qd_config::Level::Maintain => Level::Maintain,
        qd_config::Level::Admin => Level::Admin,
    }
}

/// Where a repository is pushed to that is on GitHub.
fn github_remote(github: Option<&GithubPlan>, repository: &RepositoryName) -> Option<String> {
    let github = github?;
    let place = github.repositories.get(repository)?;
    let addresses = qd_github::config::Addresses::of(&github.api, github.git.as_deref()).ok()?;
    Some(addresses.remote(place))
}

fn discord_channels(channels: &qd_config::DiscordChannels) -> Result<qd_discord::ChannelIds, UserError> {
    let (Some(dev), Some(alerts), Some(approvals)) = (channels.dev, channels.alerts, channels.approvals)
    else {
        let named = [("dev", channels.dev), ("alerts", channels.alerts), ("approvals", channels.approvals)];
        let missing: Vec<&str> =
            named.into_iter().filter(|(_, id)| id.is_none()).map(|(name, _)| name).collect();
        return Err(UserError::failed(format!(
            "discord.channels: {} missing. Make what is missing with: quarterdeck bot discord setup",
            missing.join(", ")
        )));
    };
    let [fallback, standup] =
        [channels.fallback, channels.standup].map(|id| id.map(qd_config::Snowflake::get));
    let (dev, alerts, approvals) = (dev.get(), alerts.get(), approvals.get());
    Ok(qd_discord::ChannelIds { dev, alerts, approvals, fallback, standup })
}

/// What is heard in threads.
pub fn discord_threads(threads: DiscordThreads) -> qd_discord::Threads {
    match threads {
        DiscordThreads::Off => qd_discord::Threads::Off,
        DiscordThreads::Mentions => qd_discord::Threads::Mentions,
        DiscordThreads::All => qd_discord::Threads::All,
    }
}

/// The bot's token.
pub fn discord_token(
    discord: &qd_config::Discord,
    env: &BTreeMap<String, String>,
) -> Result<secrecy::SecretString, UserError> {
    discord.token.resolve(env).map_err(|error| UserError::failed(format!("discord.token: {error}")))
}

fn channels(chat: &qd_config::Chat) -> qd_console::Layout {
    let channel = |channel: &ChatChannel| match channel {
        ChatChannel::Dev => Channel::Dev,
        ChatChannel::Alerts => Channel::Alerts,
        ChatChannel::Approvals => Channel::Approvals,
        ChatChannel::Standup => Channel::Standup,
    };
    qd_console::Layout {
        channels: chat.channels.iter().map(channel).collect(),
        fallback: chat.fallback.clone(),
    }
}
