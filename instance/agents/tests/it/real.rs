//! Real agents, with a scripted model instead of a real one. Not run unless they are there: `QUARTERDECK_TEST_LLM` is the
//! address of the scripted model, `QUARTERDECK_TEST_OPENCODE` the program.
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
    Agent, AgentEnd, Ended, TurnEnd,
    acp::{Ask, DenyAll, Endpoint, McpServer, Permissions, Verdict},
    registry::{Fit, Registry},
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

/// The agent from the registry, with another program. None if this machine has it not.
fn agent(place: &Place, permissions: Arc<dyn Permissions>) -> Option<Arc<dyn Agent>> {
    let base_url = std::env::var("QUARTERDECK_TEST_LLM").ok()?;
    let program = std::env::var("QUARTERDECK_TEST_OPENCODE").ok()?;
    let known = Registry::built_in().unwrap();
    let mut entry = known.get("opencode").unwrap().clone();
    entry.command = program;
    let fit = Fit {
        permissions,
        servers: Arc::new(Vec::<McpServer>::new()),
        endpoints: Arc::new(Some(Endpoint {
            base_url,
            token: SecretString::from("run-token-12345".to_owned()),
        })),
        model: Some("scripted".to_owned()),
        homes: Some(place.dir.path().join("homes")),
        env_allow: Vec::new(),
        secrets: Vec::new(),
        limit: Duration::from_secs(120),
    };
    Some(Arc::new(entry.acp("opencode", fit)))
}

async fn work(place: &Place, agent: &dyn Agent, steps: &str) -> AgentEnd {
    let (_stopper, never) = stop();
    let prompt = format!("Do it. [[cwd={} steps={steps}]]", place.tree().display());
    let end = agent.work(place.task(&prompt), &mut place.transcript(), &place.keeper, never).await;
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    end.unwrap_or_else(|error| panic!("{error:?}\n{}", place.entries().join("\n")))
}

fn hello(place: &Place) -> PathBuf {
    place.tree().join("hello.txt")
}

#[tokio::test]
#[ignore = "needs opencode and the scripted model, see above"]
async fn opencode_writes_asks_and_goes_on() {
    let place = Place::new();
    let yes = Arc::new(Yes::default());
    let Some(agent) = agent(&place, Arc::clone(&yes) as _) else { panic!("the variables are not set") };
    let end = work(&place, &*agent, "write,sh:git status").await;
    let transcript = place.entries().join("\n");
    assert_eq!(end.ended, Ended::Turn(TurnEnd::Done), "{transcript}");
    assert_eq!(fs::read_to_string(hello(&place)).unwrap(), "hello over ACP\n", "{transcript}");
    let asked = yes.0.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(asked[0].paths.iter().any(|path| path.path == hello(&place) && path.inside), "{asked:#?}");
    assert!(asked[1].command.is_some(), "{asked:#?}");
    assert!(!transcript.contains("run-token-12345"));
    // The next process goes on with the session.
    work(&place, &*agent, "sh:git log").await;
    assert!(
        !place.entries().iter().any(|entry| entry.contains("could not go on")),
        "{}",
        place.entries().join("\n")
    );
}

#[tokio::test]
#[ignore = "needs opencode and the scripted model, see above"]
async fn opencode_hears_no_and_stop_and_errors() {
    let place = Place::new();
    let Some(agent) = agent(&place, Arc::new(DenyAll)) else { panic!("the variables are not set") };
    work(&place, &*agent, "write").await;
    assert!(!hello(&place).exists(), "{}", place.entries().join("\n"));

    let place = Place::new();
    let (stopper, stop) = stop();
    let prompt = format!("Do it. [[cwd={} steps=slow:60]]", place.tree().display());
    let stops = async {
        until("it speaks", || place.entries().iter().any(|entry| entry.starts_with("prompt"))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        stopper.stop(Duration::from_secs(10));
    };
    let mut transcript = place.transcript();
    let (end, ()) =
        tokio::join!(agent.work(place.task(&prompt), &mut transcript, &place.keeper, stop), stops);
    let end = end.unwrap();
    assert_eq!(end.ended, Ended::Stopped);
    assert!(end.took < Duration::from_secs(30), "{:?}", end.took);

    let place = Place::new();
    let (_stopper, never) = qd_agents::stop();
    let prompt = format!("Do it. [[cwd={} steps=err:402]]", place.tree().display());
    let end = agent.work(place.task(&prompt), &mut place.transcript(), &place.keeper, never).await;
    assert!(end.is_err(), "{end:?}\n{}", place.entries().join("\n"));
}
