//! Features that an agent works on which speaks ACP: what it asks for, what people decide, what a crash leaves, and how it is
//! stopped. The agent is a fake one that plays the lines of the feature's text.

use std::{path::PathBuf, time::Duration};

use qd_api::{ApprovalView, CastVote, Client, FeatureView, TranscriptPage};
use qd_types::{ApprovalState, Ballot};

use crate::{
    gateway::{KEY, Provider, holding},
    support::{Project, Up, approve, binary, finished, open_approval, until},
};

/// A project whose agent is the fake one, and a folder for what that remembers.
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) memory: tempfile::TempDir,
}

/// The fake agent of `qd-agents`, which a test run of the workspace builds beside our program.
pub(crate) fn fake() -> PathBuf {
    let program = PathBuf::from(binary()).parent().unwrap().join("fake-acp-agent");
    assert!(program.is_file(), "build it with: cargo build -p qd-agents --bin fake-acp-agent");
    program
}

impl Stage {
    pub(crate) fn new(check: &str) -> Self {
        let project = Project::new(&[("README.md", "# Lines\n")]);
        let memory = tempfile::Builder::new().prefix("fake-memory-").tempdir().unwrap();
        let sessions = memory.path().join("sessions");
        let agents = format!(
            "[fake]\nprotocol = \"acp\"\ncommand = \"{}\"\nargs = [\"--garbage\", \"--resume\", \"--state\", \"{}\"]\n\
             licence = \"MIT\"\ninstall = \"comes with the tests\"\n[fake.permissions]\nasks = [\"edit\", \"execute\"]\n\
             [fake.gateway]\napi = \"openai-chat\"\n[fake.gateway.env]\nOPENAI_BASE_URL = \"{{base_url}}/v1\"\n\
             OPENAI_API_KEY = \"{{token}}\"\n[fake.can]\nresume = true\nmcp = true\n",
            fake().display(),
            sessions.display()
        );
        std::fs::write(project.folder().join("agents.toml"), agents).unwrap();
        let config = format!(
            "[fleet]\nsolo = true\n\n[[people]]\nname = \"ines\"\nroles = [\"owner\", \"manager\", \"operator\"]\n\n\
             [approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n\n[sandbox]\nwrite = [\"{}\"]\n\n\
             [runs]\nrepair_rounds = 0\nretry_seconds = 0\n\n\
             [[teams]]\nname = \"alpha\"\nagent = \"fake\"\n\n[agents.fake]\n\n\
             [[repositories]]\nname = \"project\"\npath = \".\"\n\
             [[repositories.checks]]\nname = \"check\"\ncommand = '''{check}'''\n",
            memory.path().display()
        );
        std::fs::write(project.folder().join("quarterdeck.toml"), config).unwrap();
        Self { project, memory }
    }

    /// With this at the end of the configuration.
    pub(crate) fn with(check: &str, more: &str) -> Self {
        let stage = Self::new(check);
        let path = stage.project.folder().join("quarterdeck.toml");
        let config = std::fs::read_to_string(&path).unwrap() + more;
        std::fs::write(path, config).unwrap();
        stage
    }

    pub(crate) fn add(&self, text: &str) {
        self.project.ok(&["feature", "add", "Play", "--description", text, "--ready"]);
    }

    /// Command lines of its agents that still run.
    pub(crate) fn alive(&self) -> Vec<String> {
        running(&self.memory.path().display().to_string())
    }
}

/// Processes with this in their command line or environment.
pub(crate) fn running(mark: &str) -> Vec<String> {
    let read = |entry: &std::fs::DirEntry, name| std::fs::read(entry.path().join(name)).unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', " ");
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .map(|entry| (text(&read(&entry, "cmdline")), text(&read(&entry, "environ"))))
        .filter(|(line, environment)| line.contains(mark) || environment.contains(mark))
        .map(|(line, _)| line)
        .collect()
}

/// The fake agent with a provider behind the gateway, and a fleet that has its key. None where none can be started.
fn metered() -> Option<(Stage, Provider, Up)> {
    let stage = Stage::new("test -f done.txt");
    let provider = Provider::start(&stage.project)?;
    let path = stage.project.folder().join("quarterdeck.toml");
    let config = std::fs::read_to_string(&path).unwrap() + &provider.section();
    std::fs::write(path, config).unwrap();
    let up = stage.project.up(&[("PROVIDER_KEY", KEY)]);
    Some((stage, provider, up))
}

pub(crate) async fn vote(client: &mut Client, ballot: Ballot) -> ApprovalView {
    until(client, "A-1", |view| view.sentence.contains("Asks to")).await;
    let open = loop {
        match open_approval(client, "A-1").await {
            Some(open) => break open,
            None => tokio::time::sleep(Duration::from_millis(40)).await,
        }
    };
    let cast = CastVote::new(ballot, &open.approval.digest, None);
    client.post(&format!("approvals/{}/vote", open.approval.id.key()), &cast).await.unwrap()
}

pub(crate) async fn transcript(client: &mut Client) -> String {
    let (mut text, mut offset) = (String::new(), 0);
    loop {
        let page: TranscriptPage =
            client.get(&format!("runs/A-1.1/transcript?offset={offset}")).await.unwrap();
        for entry in &page.entries {
            text.push_str(&format!("{}: {}\n", entry.kind, entry.text));
        }
        if page.entries.is_empty() {
            return text;
        }
        offset = page.next_offset;
    }
}

pub(crate) async fn merged(client: &mut Client) {
    let asks = |view: &FeatureView| view.sentence.contains("Asks to merge") || view.feature.held.is_some();
    let view = until(client, "A-1", asks).await;
    assert!(view.feature.held.is_none(), "{}\n{}", view.sentence, transcript(client).await);
    approve(client, "A-1").await;
    until(client, "A-1", finished).await;
}

/// What became of the agent's own requests, oldest first.
pub(crate) async fn own(client: &mut Client) -> Vec<ApprovalState> {
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    let own = inbox.iter().filter(|view| view.approval.id.executor() == "alpha");
    let mut states: Vec<_> = own.map(|view| (view.approval.requested_at, view.approval.state)).collect();
    states.sort_by_key(|(at, _)| *at);
    states.into_iter().map(|(_, state)| state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_asks_for_is_allowed_once_or_denied() {
    let stage = Stage::new("test -f allowed.txt -a -f done.txt -a ! -f denied.txt");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("garbage\nodd-updates\nrun a touch allowed.txt\nrun b touch denied.txt\nwrite done.txt good");
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to")).await;
    let open = open_approval(&mut client, "A-1").await.unwrap();
    insta::assert_snapshot!(format!("{}. {}", open.title, open.facts), @r#"Run touch allowed.txt. On: touch allowed.txt. With: agent.command. Arguments: {"kind":"execute","tool":null,"paths":[],"command":{"plain":["touch","allowed.txt"]},"hosts":[]}."#);
    assert_eq!(vote(&mut client, Ballot::Approve).await.approval.state, ApprovalState::Granted);
    while own(&mut client).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert_eq!(vote(&mut client, Ballot::Deny).await.approval.state, ApprovalState::Denied);
    merged(&mut client).await;
    assert_eq!(own(&mut client).await, [ApprovalState::Executed, ApprovalState::Denied]);
    let told = transcript(&mut client).await;
    assert!(told.contains("permission: allowed once") && told.contains("output: told proceed"), "{told}");
    assert!(
        told.contains("permission: denied: ines said no.") && told.contains("output: told stop"),
        "{told}"
    );
    assert!(told.contains("Dropped what could not be understood"), "{told}");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

/// The agent asks, and the instance is killed before anybody decided.
async fn killed_while_it_asks(check: &str) -> (Stage, Up) {
    let stage = Stage::new(check);
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("remember\nrun a touch allowed.txt\nwrite done.txt good");
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to")).await;
    // It is killed as a crash does it.
    drop(up);
    let up = stage.project.up(&[]);
    (stage, up)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_after_the_instance_was_killed_reaches_the_same_session() {
    let (stage, up) = killed_while_it_asks("test -f allowed.txt -a -f done.txt").await;
    let mut client = up.client("alpha", None);
    vote(&mut client, Ballot::Approve).await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("You may do this, once: touch allowed.txt."), "{told}");
    assert!(told.contains("output: prompt 2 of"), "{told}");
    assert_eq!(own(&mut client).await, [ApprovalState::Executed], "asked once");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_after_the_instance_was_killed_holds() {
    let (stage, up) = killed_while_it_asks("test -f done.txt -a ! -f allowed.txt").await;
    let mut client = up.client("alpha", None);
    vote(&mut client, Ballot::Deny).await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("You may not do this: touch allowed.txt. ines said no."), "{told}");
    assert!(told.contains("output: told stop"), "it is not asked again: {told}");
    assert_eq!(own(&mut client).await, [ApprovalState::Denied], "asked once");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_stopped_in_the_middle_even_if_it_hangs() {
    for text in ["flood 200000\nhang", "run a touch never.txt\nhang", "hang-hard"] {
        let stage = Stage::new("true");
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        stage.add(text);
        until(&mut client, "A-1", |view| view.run.is_some()).await;
        while !transcript(&mut client).await.contains("prompt: ") {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        // A flood may have ended it already: it goes round in circles.
        let _output = stage.project.run(&["run", "stop", "A-1.1"]);
        until(&mut client, "A-1", |view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).await;
        assert_eq!(stage.alive(), Vec::<String>::new(), "{text}");
        assert!(!own(&mut client).await.iter().any(|state| state.is_open()), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_does_wrong_fails_its_run_and_nothing_else() {
    let says = async |text: &str| {
        let stage = Stage::new("true");
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        stage.add(text);
        let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
        assert_eq!(stage.alive(), Vec::<String>::new(), "{text}");
        held.sentence
    };
    insta::assert_snapshot!(says("write done.txt good\nstop changed_its_mind").await, @r#"Agent fake: its session failed: its turn ended with the stop reason "changed_its_mind", which is unknown. Needs a person."#);
    insta::assert_snapshot!(says("error -32603 Payment required").await, @r#"Agent fake: its session failed: it answered session/prompt with an error: "Payment required: more of it" (-32603). Needs a person."#);
    insta::assert_snapshot!(says("complain out of memory\nexit 3").await, @"Fake changed nothing. Needs a person.");
    // That its turn ended proves nothing.
    insta::assert_snapshot!(says("say All done, all tests are green.").await, @"Fake changed nothing. Needs a person.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_uses_of_its_model_is_metered_and_it_has_no_key_of_the_provider() {
    let Some((stage, _provider, up)) = metered() else { return };
    let mut client = up.client("alpha", None);
    stage.add(
        "consult scripted\nconsult scripted\nenv HOME\nenv OPENAI_API_KEY\nenv PROVIDER_KEY\nwrite done.txt good",
    );
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert_eq!(told.matches("called 200").count(), 2, "{told}");
    assert!(
        told.contains("OPENAI_API_KEY is [redacted]") && told.contains("PROVIDER_KEY is (not set)"),
        "{told}"
    );
    assert!(told.contains("HOME is /") && told.contains("/homes/A-1.1"), "a home of its own: {told}");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    let spent = view.run.unwrap().spent.unwrap();
    insta::assert_snapshot!(format!("{} calls, {}", spent.calls, spent.said()), @"2 calls, 2,100 tokens, price unknown");
    drop(client);
    up.interrupt();
    let everything = stage.project.folder().parent().unwrap().to_owned();
    assert_eq!(holding(&everything, KEY), Vec::<PathBuf>::new(), "the provider's key");
    assert_eq!(holding(&everything, "qdr_"), Vec::<PathBuf>::new(), "a run's token");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fails_for_want_of_budget_goes_on_with_more() {
    let Some((stage, _provider, up)) = metered() else { return };
    let mut client = up.client("alpha", None);
    let text = "consult scripted\nneed scripted\nwrite done.txt good";
    let budget = ["--budget-tokens", "1050", "--ready"];
    let verb = ["feature", "add", "Play", "--description", text];
    stage.project.ok(&[verb.as_slice(), &budget].concat());
    let asks = until(&mut client, "A-1", |view| view.sentence.contains("Asks for")).await;
    insta::assert_snapshot!(asks.sentence, @"Its budget of 1,050 tokens is used up. Asks for 2,100 tokens: one more manager.");
    approve(&mut client, "A-1").await;
    let asks = until(&mut client, "A-1", |view| view.sentence.contains("Asks for 4,200")).await;
    assert!(asks.feature.held.is_none(), "{}", asks.sentence);
    approve(&mut client, "A-1").await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert_eq!(told.matches("A call of its model was refused: a budget is used up.").count(), 2, "{told}");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_asks_works_only_within_walls() {
    let silent = |sandbox: &str| {
        let stage = Stage::new("test -f done.txt");
        for (name, from, to) in [
            ("agents.toml", "asks = [\"edit\", \"execute\"]", "asks = []"),
            ("quarterdeck.toml", "[sandbox]\n", &format!("[sandbox]\n{sandbox}\n")),
        ] {
            let path = stage.project.folder().join(name);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(path, text.replace(from, to)).unwrap();
        }
        stage
    };
    let refused = async |sandbox: &str| {
        let stage = silent(sandbox);
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        stage.add("write done.txt good");
        until(&mut client, "A-1", |view| view.feature.held.is_some()).await.sentence
    };
    insta::assert_snapshot!(refused("kind = \"none\"").await, @"Fake never asks before it does something, so it only works within walls that sandbox.unasked lists (docker, bubblewrap), and there are none here: see sandbox.kind. Needs a person.");
    insta::assert_snapshot!(refused("kind = \"landlock\"").await, @"Fake never asks before it does something, so it only works within walls that sandbox.unasked lists (docker, bubblewrap), and here they are landlock: see sandbox.kind. Needs a person.");
    let stage = silent("kind = \"landlock\"\nunasked = [\"landlock\"]");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("write done.txt good");
    merged(&mut client).await;
}
