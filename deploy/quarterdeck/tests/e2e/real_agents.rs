//! Real agents with a scripted model behind the metering gateway: a feature from card to merge, a decision after a crash, a
//! stop in the middle, a budget, and what a provider may answer. The test command brings the agents and says where they
//! are; without them nothing is tested here.
//!
//! The script stands in the feature's text: `[[cwd=DIR steps=write,sh:CMD]]`; `write` makes `DIR/hello.txt`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use qd_api::{ApprovalView, Client, FeatureView};
use qd_types::{ApprovalState, Ballot, Stage as Place};

use crate::{
    acp::{merged, own, running, transcript, vote},
    gateway::{KEY, Provider, holding},
    support::{Project, Up, open_approval, until},
};

/// A project with a real agent and its model.
struct Stage {
    project: Project,
    _provider: Provider,
}

/// The entry that the registry has, with the program where the test command put it.
fn entry(name: &str, program: &Path) -> String {
    let registry = include_str!("../../../../instance/agents/src/registry/agents.toml");
    let begin = registry.find(&format!("\n[{name}]\n")).unwrap();
    let rest = &registry[begin + 1..];
    let ends = |line: &str| line.starts_with('[') && !line.starts_with(&format!("[{name}"));
    let lines = rest.lines().take_while(|line| !ends(line));
    let entry: String = lines.map(|line| format!("{line}\n")).collect();
    entry.replace(&format!("command = \"{name}\""), &format!("command = \"{}\"", program.display()))
}

impl Stage {
    /// Nothing where the agents are not there.
    fn new(name: &str, check: &str) -> Option<Self> {
        let Some(agents) = std::env::var_os("QUARTERDECK_TEST_AGENTS") else {
            eprintln!("skipped: the test command brings the agents, cargo xtask test");
            return None;
        };
        let program = PathBuf::from(agents).join(name).canonicalize().unwrap();
        let project = Project::new(&[("README.md", "# Lines\n")]);
        let provider = Provider::start(&project)?;
        std::fs::write(project.folder().join("agents.toml"), entry(name, &program)).unwrap();
        let config = format!(
            "[fleet]\nsolo = true\n\n[[people]]\nname = \"ines\"\nroles = [\"owner\", \"manager\", \"operator\"]\n\n\
             [approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n\n[runs]\nrepair_rounds = 0\n\n\
             [[teams]]\nname = \"alpha\"\nagent = \"{name}\"\n\n[agents.{name}]\nmodel = \"scripted\"\n\n\
             [[repositories]]\nname = \"project\"\npath = \".\"\n\
             [[repositories.checks]]\nname = \"check\"\ncommand = '''{check}'''\n{}",
            provider.section()
        );
        std::fs::write(project.folder().join("quarterdeck.toml"), config).unwrap();
        Some(Self { project, _provider: provider })
    }

    fn up(&self) -> Up {
        self.project.up(&[("PROVIDER_KEY", KEY)])
    }

    fn add(&self, steps: &str, more: &[&str]) {
        let tree = self.project.state().join("instances/alpha/worktrees/A-1.1");
        let text = format!("Do it. [[cwd={} steps={steps}]]", tree.display());
        let verb = ["feature", "add", "Play", "--description", &text, "--ready"];
        self.project.ok(&[verb.as_slice(), more].concat());
    }

    /// Processes that still run with the home of the run.
    fn alive(&self) -> Vec<String> {
        running(&self.project.state().join("instances/alpha/homes").display().to_string())
    }

    /// Nothing runs any more, and the provider's key is in no file.
    fn nothing_is_left(&self) {
        assert_eq!(self.alive(), Vec::<String>::new());
        let everything = self.project.folder().parent().unwrap().to_owned();
        assert_eq!(holding(&everything, KEY), Vec::<PathBuf>::new(), "the provider's key");
    }
}

/// Says yes to all that is asked, up to the merge, and gives the titles of what it said yes to.
async fn allow_all(client: &mut Client) -> Vec<String> {
    let mut allowed = Vec::new();
    loop {
        let asks = |view: &FeatureView| view.sentence.contains("Asks ") || view.feature.held.is_some();
        let view = until(client, "A-1", asks).await;
        if view.feature.held.is_some() || view.sentence.contains("Asks to merge") {
            return allowed;
        }
        if let Some(open) = open_approval(client, "A-1").await {
            let cast = qd_api::CastVote::new(Ballot::Approve, &open.approval.digest, None);
            let path = format!("approvals/{}/vote", open.approval.id.key());
            let _: ApprovalView = client.post(&path, &cast).await.unwrap();
            allowed.push(open.title);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn carries_a_feature(name: &str) {
    let Some(stage) = Stage::new(name, "grep -q 'hello over ACP' hello.txt && test -f ran.txt") else {
        return;
    };
    let up = stage.up();
    let mut client = up.client("alpha", None);
    stage.add("write,sh:touch ran.txt", &[]);
    allow_all(&mut client).await;
    merged(&mut client).await;
    assert!(own(&mut client).await.iter().all(|state| *state == ApprovalState::Executed));
    let told = transcript(&mut client).await;
    assert!(told.contains("permission: allowed once"), "{told}");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    let spent = view.run.unwrap().spent.unwrap();
    // Three answers for the two steps and the end; a title besides, if the agent wants one.
    assert!(spent.calls >= 3 && spent.tokens == 1_050 * spent.calls, "{spent:?}");
    assert!(spent.said().contains("price unknown"), "{}", spent.said());
    stage.nothing_is_left();
}

async fn goes_on_after_a_crash(name: &str, steps: &str, ballot: Ballot) {
    let check = match ballot {
        Ballot::Approve => "test -f ran.txt",
        Ballot::Deny => "test ! -f ran.txt",
    };
    let Some(stage) = Stage::new(name, check) else { return };
    let up = stage.up();
    let mut client = up.client("alpha", None);
    stage.add(steps, &[]);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to")).await;
    drop(up);
    let up = stage.up();
    let mut client = up.client("alpha", None);
    vote(&mut client, ballot).await;
    if ballot == Ballot::Deny && !steps.contains("write") {
        until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    } else {
        merged(&mut client).await;
    }
    let told = transcript(&mut client).await;
    assert!(!told.contains("The session could not go on"), "{told}");
    let decided = if ballot == Ballot::Approve { "You may do this, once" } else { "You may not do this" };
    assert!(told.contains(&format!("{decided}: touch ran.txt")), "{told}");
    assert_eq!(own(&mut client).await.len(), 1, "asked once: {told}");
    stage.nothing_is_left();
}

async fn is_stopped(name: &str, steps: &str) {
    let Some(stage) = Stage::new(name, "true") else { return };
    let up = stage.up();
    let mut client = up.client("alpha", None);
    stage.add(steps, &[]);
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    // It is in the middle: a call is under way, or it asks.
    let log = stage.project.folder().with_file_name("provider").join("llm.log");
    let word = format!("\"{}\"", steps.split(':').next().unwrap());
    let plays = || std::fs::read_to_string(&log).unwrap_or_default().contains(&word);
    for _ in 0..600 {
        if plays() || transcript(&mut client).await.contains("permission: a person is asked") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stage.project.ok(&["run", "stop", "A-1.1"]);
    until(&mut client, "A-1", |view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).await;
    assert!(!own(&mut client).await.iter().any(|state| state.is_open()), "{steps}");
    stage.nothing_is_left();
}

async fn hits_its_budget(name: &str) {
    let Some(stage) = Stage::new(name, "test -f ran.txt") else { return };
    let up = stage.up();
    let mut client = up.client("alpha", None);
    stage.add("write,sh:touch ran.txt", &["--budget-tokens", "1500"]);
    let allowed = allow_all(&mut client).await;
    assert!(allowed.iter().any(|title| title.starts_with("Change a budget from 1,500")), "{allowed:?}");
    merged(&mut client).await;
    stage.nothing_is_left();
}

/// The model's provider answers with an error: the run fails, or is tried again, and a person hears why.
async fn hears_of_its_provider(name: &str, status: &str, words: &str) {
    let Some(stage) = Stage::new(name, "true") else { return };
    let up = stage.up();
    let mut client = up.client("alpha", None);
    stage.add(&format!("err:{status}"), &[]);
    for _ in 0..600 {
        if stage.project.ok(&["feature", "show", "A-1"]).contains(words) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let history = stage.project.ok(&["feature", "show", "A-1"]);
    assert!(history.contains(words), "{history}");
    let told = transcript(&mut client).await;
    assert!(!told.contains("output: DONE"), "{told}");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    assert_ne!(view.feature.stage, Place::Done);
    if view.run.is_some_and(|run| run.ended_at.is_none()) {
        stage.project.run(&["run", "stop", "A-1.1"]);
        let ended = |view: &FeatureView| view.run.as_ref().is_some_and(|run| run.ended_at.is_some());
        until(&mut client, "A-1", |view| ended(view) || view.feature.held.is_some()).await;
    }
    stage.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_carries_a_feature() {
    carries_a_feature("opencode").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_goes_on_with_a_yes_after_a_crash() {
    goes_on_after_a_crash("opencode", "write,sh:touch ran.txt", Ballot::Approve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_goes_on_with_a_no_after_a_crash() {
    goes_on_after_a_crash("opencode", "write,sh:touch ran.txt", Ballot::Deny).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_is_stopped_while_its_model_speaks() {
    is_stopped("opencode", "slow:60").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_is_stopped_while_its_model_hangs() {
    is_stopped("opencode", "hang:60").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_is_stopped_while_it_asks() {
    is_stopped("opencode", "sh:touch ran.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_hits_its_budget() {
    hits_its_budget("opencode").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_says_that_its_model_wants_money() {
    hears_of_its_provider("opencode", "402", "openai wants to be paid (402)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_has_to_slow_down() {
    hears_of_its_provider("opencode", "429", "openai").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_carries_a_feature() {
    carries_a_feature("goose").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_goes_on_with_a_yes_after_a_crash() {
    goes_on_after_a_crash("goose", "sh:touch ran.txt", Ballot::Approve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_is_stopped_while_its_model_speaks() {
    is_stopped("goose", "slow:60").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_is_stopped_while_it_asks() {
    is_stopped("goose", "sh:touch ran.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_hits_its_budget() {
    hits_its_budget("goose").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_does_not_say_that_its_model_wants_money_but_the_gateway_does() {
    hears_of_its_provider("goose", "402", "openai wants to be paid (402)").await;
}
