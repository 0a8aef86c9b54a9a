//! One module per verb or family of verbs. Each says what it did, or what is wrong and the way out.

mod agent;
mod approvals;
mod audit;
mod config;
mod confine;
mod contain;
mod cost;
mod demo;
mod dev;
mod discord;
mod doctor;
mod exchange;
mod feature;
mod github;
mod init;
mod lesson;
mod link;
mod mcp;
mod nats;
mod operation;
mod person;
mod plan;
mod policy;
mod preserved;
mod project;
mod proof;
mod provision;
mod recurring;
mod roster;
mod run;
mod search;
mod up;

pub(crate) use mcp::{RUN_TOKEN, folder_of_tools, known_tools};

use std::process::ExitCode;

use clap::CommandFactory as _;
use hyper::Method;
use qd_api::{Client, ClientError, Problem, Target};
use qd_types::Ballot;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cli::{Cli, DevVerb, Verb},
    context::{self, UserError},
    fleet::team_folder,
    say,
};

type Done = Result<(), UserError>;

/// Does what the command line says.
pub async fn run(cli: Cli) -> ExitCode {
    match Box::pin(dispatch(cli)).await {
        Ok(code) => code,
        Err(error) => {
            say::problem(&error.to_string());
            ExitCode::from(error.code)
        }
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, UserError> {
    let Cli { verb, common } = cli;
    match verb {
        Verb::Up { listen, console } => up::up(&common, listen, console).await?,
        Verb::Instance(instance) => link::instance(&common, instance).await?,
        Verb::Bot(bot) => link::bot(&common, bot).await?,
        Verb::Dev(DevVerb::FakeDiscord(flags)) => dev::fake_discord(&common, flags).await?,
        Verb::Demo(demo) => return demo::demo(&common, demo).await,
        Verb::Init { force } => init::init(&common, force).await?,
        Verb::Feature(verb) => feature::feature(&common, verb).await?,
        Verb::Run(verb) => run::run(&common, verb).await?,
        Verb::Operation(verb) => operation::operation(&common, verb).await?,
        Verb::Cost(flags) => cost::cost(&common, flags).await?,
        Verb::Search { words, kind } => search::search(&common, &words, kind).await?,
        Verb::Teams(verb) => roster::team(&common, verb).await?,
        Verb::Repo(verb) => roster::repo(&common, verb).await?,
        Verb::Recurring(verb) => recurring::recurring(&common, verb).await?,
        Verb::Preserved(verb) => preserved::preserved(&common, verb).await?,
        Verb::Plan(plan) => plan::plan(&common, plan).await?,
        Verb::Project(verb) => project::project(&common, verb).await?,
        Verb::Export { format, stage } => exchange::export(&common, format, stage).await?,
        Verb::Import(flags) => exchange::import(&common, flags).await?,
        Verb::Pause { reason } => operation::pause(&common, reason).await?,
        Verb::Resume => operation::resume(&common).await?,
        Verb::Approvals(verb) => approvals::approvals(&common, verb).await?,
        Verb::Approve(ballot) => approvals::vote(&common, ballot, Ballot::Approve).await?,
        Verb::Deny(ballot) => approvals::vote(&common, ballot, Ballot::Deny).await?,
        Verb::Audit(verb) => audit::audit(&common, verb)?,
        Verb::Agent(verb) => return agent::agent(&common, verb).await,
        Verb::Lesson(verb) => lesson::lesson(&common, verb).await?,
        Verb::Config(verb) => config::config(&common, verb).await?,
        Verb::Policy(verb) => return policy::policy(&common, verb).await,
        Verb::Person(person) => person::person(&common, person).await?,
        Verb::Mcp(verb) => Box::pin(mcp::mcp(&common, verb)).await?,
        Verb::Provision(asked) => Box::pin(provision::provision(&common, asked)).await?,
        Verb::Url(flags) => up::url(&common, flags).await?,
        Verb::Doctor => return doctor::doctor(&common).await,
        Verb::Version => version(common.json),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "quarterdeck", &mut std::io::stdout());
        }
        Verb::Confine { write, no_walls, memory, processes, cgroup, command } => {
            let walls = (!no_walls).then_some(write);
            let limits = qd_sandbox::Limits { memory, processes, millicpus: None };
            return Ok(confine::confine(walls, &cgroup, &limits, &command));
        }
        Verb::Contain { order, command } => return Ok(contain::contain(&order, command).await),
        Verb::Forward { port, socket, command } => return Ok(contain::forward(port, &socket, &command)),
        Verb::ScriptedAgent { script, acp } => return scripted(&script, acp).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn version(json: bool) {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        say::json(&serde_json::json!({ "version": version, "wire": 1 }));
    } else {
        say::line(&format!("quarterdeck {version}, wire v1"));
    }
}

async fn scripted(script: &std::path::Path, acp: bool) -> Result<ExitCode, UserError> {
    use qd_agents::scripted::{Played, Script};
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    let script = Script::load(script).map_err(|error| failed(&error))?;
    if acp {
        demo::acting::play(&script).await.map_err(|error| failed(&error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut prompt = String::new();
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut prompt).map_err(|error| failed(&error))?;
    let cwd = std::env::current_dir().map_err(|error| failed(&error))?;
    let played = script.play(&prompt, &cwd, &mut std::io::stdout()).await.map_err(|error| failed(&error))?;
    Ok(if played == Played::Nothing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a client's error means to the person who typed the verb.
fn explain(error: ClientError) -> UserError {
    match error {
        ClientError::NotRunning { place, .. } => UserError::failed(format!(
            "nothing runs here ({place} does not answer). Start it with: quarterdeck up"
        )),
        ClientError::Problem { problem } => match problem.hint {
            Some(hint) => UserError::failed(format!("{} {hint}", problem.detail)),
            None => UserError::failed(problem.detail),
        },
        other => UserError::from_error(&other),
    }
}

/// A text from the command line; `-` reads standard input.
fn text_or_stdin(text: Option<String>) -> Result<Option<String>, UserError> {
    match text.as_deref() {
        Some("-") => std::io::read_to_string(std::io::stdin())
            .map(Some)
            .map_err(|error| UserError::failed(format!("standard input can't be read: {error}"))),
        _ => Ok(text),
    }
}

/// The configuration and a client of the team, as the person at this computer.
fn connect(common: &crate::cli::Common) -> Result<qd_api::Client, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    context::client(common, &loaded, None)
}

/// A client of the fleet itself: of the process that runs the bot, or else of any that serves a team.
async fn fleet_client(loaded: &qd_config::Loaded, token: Option<&str>) -> Result<Client, UserError> {
    let teams = loaded.config.teams.iter().map(|team| team_folder(&loaded.state_dir, team.id()));
    let folders = std::iter::once(loaded.state_dir.join("bot")).chain(teams);
    let mut last = None;
    for folder in folders {
        let target = Target::Socket(folder.join("api.sock"));
        let mut client = Client::new(target.clone(), "", token.map(str::to_owned));
        match client.send(Method::GET, "/health", Vec::new()).await {
            Ok(_) => return Ok(client),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.map_or_else(|| UserError::failed("no team is configured here"), explain))
}

/// A question to the fleet itself.
async fn fleet_post<B: Serialize, T: DeserializeOwned>(
    client: &mut Client,
    path: &str,
    body: &B,
) -> Result<T, UserError> {
    let body = serde_json::to_vec(body).map_err(|error| UserError::from_error(&error))?;
    fleet_answer(client.send(Method::POST, path, body).await.map_err(explain)?)
}

/// What the fleet itself answered.
fn fleet_answer<T: DeserializeOwned>(
    (status, bytes): (hyper::StatusCode, impl AsRef<[u8]>),
) -> Result<T, UserError> {
    let unreadable = |error: serde_json::Error| UserError::from_error(&error);
    if status.is_success() {
        return serde_json::from_slice(bytes.as_ref()).map_err(unreadable);
    }
    let problem: Problem = serde_json::from_slice(bytes.as_ref()).map_err(unreadable)?;
    Err(explain(ClientError::Problem { problem }))
}

/// A text as a part of an address.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
