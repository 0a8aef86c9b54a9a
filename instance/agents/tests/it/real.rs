//! Real agents, with a scripted model instead of a real one. Not run unless they are there: `QUARTERDECK_TEST_LLM` is the
//! address of the scripted model, `QUARTERDECK_TEST_AGENTS` a list of folders with the agents' programs, as in `PATH`.
//!
//! The script stands in the prompt: `[[cwd=DIR steps=write,sh:CMD]]`; `write` makes `DIR/hello.txt`.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use qd_agents::{
    AcpAgent, Agent, AgentEnd, AgentError, Ended, Metered, TurnEnd,
    acp::{Ask, McpServer, Permissions, Verdict},
    handshake::look,
    registry::{Entry, Fit, Registry},
    stop,
};
use secrecy::SecretString;

use super::support::{Place, alive, until};

/// Allows everything, and keeps what it was asked.
#[derive(Default)]
struct Yes(Mutex<Vec<Ask>>);

#[async_trait]
impl Permissions for Yes {
    async fn decide(&self, ask: &Ask) -> Verdict {
        self.0.lock().unwrap().push(ask.clone());
        Verdict::Allow
    }
}

/// The entry of the registry, with the program where it is on this machine.
fn entry(name: &str) -> Entry {
    let mut entry = Registry::built_in().unwrap().get(name).unwrap().clone();
    let folders = std::env::var("QUARTERDECK_TEST_AGENTS").expect("QUARTERDECK_TEST_AGENTS is set");
    let programs = std::env::split_paths(&folders).map(|folder| folder.join(&entry.command));
    let program = programs.into_iter().find(|program| program.exists()).expect("the agent is installed");
    entry.command = program.to_str().unwrap().to_owned();
    entry
}

fn agent(name: &str, place: &mut Place) -> AcpAgent {
    let base_url = std::env::var("QUARTERDECK_TEST_LLM").expect("QUARTERDECK_TEST_LLM is set");
    let api = entry(name).gateway.expect("it is told where its model is").api;
    let token = SecretString::from("run-token-12345".to_owned());
    place.metered = Some(Metered { base_urls: [(api, base_url)].into(), token });
    let model = if name == "claude" { "claude-sonnet-4-5" } else { "scripted" };
    let fit = Fit {
        servers: Arc::new(Vec::<McpServer>::new()),
        model: Some(model.to_owned()),
        login: None,
        mode: None,
        env_allow: Vec::new(),
        secrets: Vec::new(),
        limit: Duration::from_secs(120),
    };
    entry(name).acp(name, fit)
}

async fn turn(place: &Place, agent: &AcpAgent, steps: &str) -> Result<AgentEnd, AgentError> {
    let (_stopper, never) = stop();
    let prompt = format!("Do it. [[cwd={} steps={steps}]]", place.tree().display());
    let end = agent.work(place.task(&prompt), &mut place.transcript(), &place.keeper, never).await;
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    end
}

async fn work(place: &Place, agent: &AcpAgent, steps: &str) -> AgentEnd {
    let end = turn(place, agent, steps).await;
    end.unwrap_or_else(|error| panic!("{error:?}\n{}", place.entries().join("\n")))
}

fn hello(place: &Place) -> PathBuf {
    place.tree().join("hello.txt")
}

/// What every agent must do: shake hands, write a file, run a command, go on in another process.
async fn works(name: &str) -> Vec<Ask> {
    let mut place = Place::new();
    let found = look(name, &entry(name), place.dir.path(), Some("scripted"), Duration::from_secs(60)).await;
    let said = found.handshake.unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert!(said.agent.is_some() || found.version.is_some(), "{said:?}");

    let yes = Arc::new(Yes::default());
    place.permissions = Arc::clone(&yes) as _;
    let agent = agent(name, &mut place);
    let end = work(&place, &agent, "write,sh:git status").await;
    let transcript = || place.entries().join("\n");
    assert_eq!(end.ended, Ended::Turn(TurnEnd::Done), "{}", transcript());
    assert_eq!(fs::read_to_string(hello(&place)).unwrap().trim(), "hello over ACP", "{}", transcript());
    assert!(!transcript().contains("run-token-12345"));
    let asked = yes.0.lock().unwrap().clone();
    for ask in &asked {
        assert!(ask.paths.iter().all(|path| path.inside), "{ask:#?}");
    }
    // The next process goes on with the session, or has a summary.
    let end = work(&place, &agent, "sh:git log").await;
    assert_eq!(end.ended, Ended::Turn(TurnEnd::Done), "{}", transcript());
    let anew = transcript().contains("could not go on");
    assert_eq!(anew, !agent.can.resume && !agent.can.load, "{}", transcript());
    asked
}

/// What every agent that asks must hear: a no, a stop; and that its model fails, it must tell.
async fn hears(name: &str) {
    let mut place = Place::new();
    let agent = agent(name, &mut place);
    let _ = turn(&place, &agent, "write").await;
    assert!(!hello(&place).exists(), "{}", place.entries().join("\n"));

    let place = Place::new();
    let (stopper, stop) = stop();
    let prompt = format!("Do it. [[cwd={} steps=slow:60]]", place.tree().display());
    let stops = async {
        until("it is told", || place.entries().iter().any(|entry| entry.starts_with("prompt"))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        stopper.stop(Duration::from_secs(10));
    };
    let mut transcript = place.transcript();
    let (end, ()) =
        tokio::join!(agent.work(place.task(&prompt), &mut transcript, &place.keeper, stop), stops);
    let end = end.unwrap();
    assert_eq!(end.ended, Ended::Stopped);
    assert!(end.took < Duration::from_secs(30), "{:?}", end.took);
}

#[tokio::test]
#[ignore = "needs opencode and the scripted model"]
async fn opencode() {
    let asked = works("opencode").await;
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(asked[0].paths.iter().any(|path| path.path.ends_with("hello.txt")), "{asked:#?}");
    assert!(asked[1].command.is_some(), "{asked:#?}");
    hears("opencode").await;
    let mut place = Place::new();
    let agent = agent("opencode", &mut place);
    let end = turn(&place, &agent, "err:402").await;
    assert!(end.is_err(), "{end:?}\n{}", place.entries().join("\n"));
}

#[tokio::test]
#[ignore = "needs goose and the scripted model"]
async fn goose() {
    assert_eq!(works("goose").await.len(), 2);
    hears("goose").await;
}

#[tokio::test]
#[ignore = "needs gemini and the scripted model"]
async fn gemini() {
    assert!(!works("gemini").await.is_empty());
    hears("gemini").await;
}

#[tokio::test]
#[ignore = "needs qwen and the scripted model"]
async fn qwen() {
    assert!(!works("qwen").await.is_empty());
    hears("qwen").await;
}

#[tokio::test]
#[ignore = "needs claude-agent-acp and the scripted model"]
async fn claude() {
    assert!(!works("claude").await.is_empty());
    hears("claude").await;
}

#[tokio::test]
#[ignore = "needs codex-acp and the scripted model"]
async fn codex() {
    works("codex").await;
}

#[tokio::test]
#[ignore = "needs pi-acp, pi and the scripted model"]
async fn pi() {
    assert_eq!(works("pi").await, []);
}

#[tokio::test]
#[ignore = "needs fast-agent and the scripted model"]
async fn fast_agent() {
    works("fast-agent").await;
}
