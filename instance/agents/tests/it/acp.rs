//! The client for ACP agents, with an agent that misbehaves in every way that was seen.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use qd_agents::{
    AcpAgent, Agent, AgentEnd, AgentError, Ended, Metered, OnStart, Stop, Task, Transcript, TurnEnd,
    acp::{Abilities, Ask, Decision, Launch, McpServer, Permissions, Setting, Verdict},
    registry::Api,
    stop,
};
use secrecy::SecretString;
use tokio::sync::oneshot;

use super::support::{Place, alive, lives, until};

/// Plays verdicts in order, and keeps what it was asked.
#[derive(Default)]
struct Judge {
    verdicts: Mutex<Vec<Verdict>>,
    asked: Mutex<Vec<Ask>>,
}

impl Judge {
    fn new(verdicts: impl IntoIterator<Item = Verdict>) -> Arc<Self> {
        let mut verdicts: Vec<_> = verdicts.into_iter().collect();
        verdicts.reverse();
        Arc::new(Self { verdicts: Mutex::new(verdicts), asked: Mutex::default() })
    }
}

#[async_trait]
impl Permissions for Judge {
    async fn decide(&self, ask: &Ask) -> Verdict {
        self.asked.lock().unwrap().push(ask.clone());
        let verdict = self.verdicts.lock().unwrap().pop();
        verdict.unwrap_or_else(|| Verdict::Deny("nothing more is allowed".to_owned()))
    }
}

/// The fake agent, started with these flags.
fn fake(flags: &[&str]) -> AcpAgent {
    AcpAgent {
        name: "fake".to_owned(),
        launch: Launch {
            program: env!("CARGO_BIN_EXE_fake-acp-agent").to_owned(),
            args: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Launch::default()
        },
        can: Abilities { resume: true, load: true, mcp: true, files: false, asks: true },
        servers: Arc::new(Vec::<McpServer>::new()),
        api: None,
        model: None,
        model_in_session: true,
        mode: None,
        secrets: Vec::new(),
        limit: Duration::from_secs(30),
    }
}

/// The fake agent, and who decides what it may do.
struct Judged {
    agent: AcpAgent,
    judge: Arc<Judge>,
}

#[async_trait]
impl Agent for Judged {
    fn name(&self) -> &str {
        &self.agent.name
    }

    fn is_metered(&self, metered: &qd_agents::Metered) -> bool {
        self.agent.is_metered(metered)
    }

    async fn work(
        &self,
        task: Task,
        transcript: &mut Transcript,
        on_start: &dyn OnStart,
        stop: Stop,
    ) -> Result<AgentEnd, AgentError> {
        let task = Task { permissions: Arc::clone(&self.judge) as _, ..task };
        self.agent.work(task, transcript, on_start, stop).await
    }
}

fn judged(verdicts: impl IntoIterator<Item = Verdict>) -> (Judged, Arc<Judge>) {
    let judge = Judge::new(verdicts);
    (Judged { agent: fake(&[]), judge: Arc::clone(&judge) }, judge)
}

async fn work_until(
    place: &Place,
    agent: &dyn Agent,
    prompt: &str,
    stop: Stop,
) -> Result<AgentEnd, AgentError> {
    agent.work(place.task(prompt), &mut place.transcript(), &place.keeper, stop).await
}

async fn work(place: &Place, agent: &dyn Agent, prompt: &str) -> Result<AgentEnd, AgentError> {
    let (_stopper, never) = stop();
    let end = work_until(place, agent, prompt, never).await;
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    end
}

/// What it said on this prompt.
async fn says(agent: &dyn Agent, prompt: &str) -> String {
    let place = Place::new();
    let end = work(&place, agent, prompt).await.unwrap();
    assert_eq!(end.ended, Ended::Turn(TurnEnd::Done), "{:?}", place.entries());
    end.words
}

async fn fails(agent: &dyn Agent, prompt: &str) -> String {
    chain(&work(&Place::new(), agent, prompt).await.unwrap_err())
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

fn entries_of(place: &Place, kind: &str) -> Vec<String> {
    let prefix = format!("{kind}: ");
    place.entries().iter().filter_map(|entry| entry.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_turn_is_written_down_as_it_happens() {
    let place = Place::new();
    let prompt = "think Hm.\npiece Read\npiece ing the code.\ntool t1 read in_progress Read a.rs\nsay Done.\n\
                  tool t1 read completed Read a.rs\nusage 3150\ncomplain careful";
    let end = work(&place, &fake(&[]), prompt).await.unwrap();
    assert_eq!((end.ended, end.words.as_str()), (Ended::Turn(TurnEnd::Done), "Reading the code.\nDone."));
    let entries: Vec<String> =
        place.entries().into_iter().filter(|entry| !entry.starts_with("error_output")).collect();
    assert_eq!(entries[0], format!("prompt: {prompt}"));
    insta::assert_snapshot!(entries[1..entries.len() - 1].join("\n"), @"
    thought: Hm.
    output: Reading the code.
    tool: read: Read a.rs
    output: Done.
    tool: read, completed: Read a.rs
    system: By its own count it used 3150 tokens (3100 in, 50 out).
    system: By its own count it has cost 0.25 USD.
    ");
    assert!(entries.last().unwrap().starts_with("system: fake ended its turn after "), "{entries:?}");
    assert_eq!(entries_of(&place, "error_output"), ["careful"]);
}

#[tokio::test]
async fn version_two_with_the_shape_of_one_is_understood() {
    assert_eq!(says(&fake(&["--speaks", "2"]), "say hello").await, "hello");
    insta::assert_snapshot!(fails(&fake(&["--speaks", "7"]), "say hello").await, @r#"agent fake: its session failed: it answered initialize with an error: "Invalid request: unsupported ACP protocol version 7; this endpoint only supports ACP protocol version 1" (-32600)"#);
}

#[tokio::test]
async fn what_is_no_message_is_dropped_and_counted() {
    let place = Place::new();
    let end = work(&place, &fake(&["--garbage"]), "garbage\nodd-updates\nsay fine\nterminal").await.unwrap();
    assert_eq!(end.words, "fine\ntold -32601");
    insta::assert_snapshot!(entries_of(&place, "system")[0], @"Dropped what could not be understood: 6 lines, 4 updates.");
}

#[tokio::test]
async fn a_flood_is_taken_in_order() {
    let place = Place::new();
    let end = work(&place, &fake(&[]), "flood 5000\nsay end").await.unwrap();
    assert!(end.words.ends_with("word 4999\nend"), "{}", end.words);
    assert_eq!(entries_of(&place, "output").len(), 5001);
}

#[tokio::test]
async fn stop_reasons_are_facts_or_failures() {
    let place = Place::new();
    let end = work(&place, &fake(&[]), "stop max_tokens").await.unwrap();
    assert_eq!(end.ended, Ended::Turn(TurnEnd::TokenLimit));
    let end = work(&place, &fake(&[]), "stop max_turn_requests").await.unwrap();
    assert_eq!(end.ended, Ended::Turn(TurnEnd::RequestLimit));
    insta::assert_snapshot!(fails(&fake(&[]), "stop tired_of_it").await, @r#"agent fake: its session failed: its turn ended with the stop reason "tired_of_it", which is unknown"#);
    insta::assert_snapshot!(fails(&fake(&[]), "say I will not.\nstop refusal").await, @r#"agent fake: its session failed: it refused to go on; it said "I will not.""#);
    insta::assert_snapshot!(fails(&fake(&[]), "stop cancelled").await, @r#"agent fake: its session failed: its turn ended with the stop reason "cancelled", which is unknown"#);
    insta::assert_snapshot!(fails(&fake(&[]), "error -32603 Payment required").await, @r#"agent fake: its session failed: it answered session/prompt with an error: "Payment required: more of it" (-32603)"#);
}

#[tokio::test]
async fn an_agent_that_cannot_begin_says_why() {
    insta::assert_snapshot!(fails(&fake(&["--die", "4"]), "say x").await, @r#"agent fake: its session failed: it ended with exit code 4 before it answered initialize; it said "there is no key""#);
    insta::assert_snapshot!(fails(&fake(&["--needs-login"]), "say x").await, @r#"agent fake: its session failed: it answered session/new with an error: "Authentication required: more of it" (-32000); it wants a login or a key: see its entry in agents.toml"#);
}

#[tokio::test]
async fn one_that_dies_in_its_turn_leaves_its_exit_code() {
    let place = Place::new();
    let end = work(&place, &fake(&[]), "say half\nexit 9").await.unwrap();
    assert_eq!((end.ended, end.words.as_str()), (Ended::Exited(9), "half"));
}

#[tokio::test]
async fn permission_is_allowed_once_or_not_at_all() {
    let (agent, judge) =
        judged([Verdict::Allow, Verdict::Deny("not that".to_owned()), Verdict::Allow, Verdict::Allow]);
    let place = Place::new();
    let prompt = "ask a execute all git status\nask b execute all rm -rf /; true\nask c edit always x\nask d edit odd x\nask e edit all x";
    let end = work(&place, &agent, prompt).await.unwrap();
    assert_eq!(end.words, "told proceed\ntold stop\ntold no\ntold zz\ntold stop");
    insta::assert_snapshot!(entries_of(&place, "permission").join("\n"), @"
    asks for execute: Wants a: git status
    allowed once
    asks for execute: Wants b: rm -rf /; true
    denied: not that
    asks for edit: Wants c: x
    denied: it offers no way to allow this once
    asks for edit: Wants d: x
    allowed once
    asks for edit: Wants e: x
    denied: nothing more is allowed
    ");
    let asked = judge.asked.lock().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&asked[0]).unwrap(), @r#"
    {
      "run": "A-1.1",
      "agent": "fake",
      "call": "a",
      "title": "Wants a",
      "tool": null,
      "kind": "execute",
      "paths": [],
      "command": {
        "plain": [
          "git",
          "status"
        ]
      },
      "hosts": []
    }
    "#);
    insta::assert_snapshot!(serde_json::to_string(&asked[1].command).unwrap(), @r#"{"unclear":"rm -rf /; true"}"#);
}

#[tokio::test]
async fn a_call_may_be_asked_about_before_it_is_announced() {
    let place = Place::new();
    let prompt =
        "ask a execute all git status\ntool a execute in_progress Wants a\ntool a execute completed Wants a";
    let end = work(&place, &judged([Verdict::Allow]).0, prompt).await.unwrap();
    assert_eq!(end.words, "told proceed");
    // One call, which is told once when it is over.
    assert_eq!(entries_of(&place, "tool"), ["execute, completed: Wants a"]);
}

#[tokio::test]
async fn what_people_decide_about_holds_no_secret() {
    let (mut agent, judge) = judged([Verdict::Allow, Verdict::Allow]);
    agent.agent.secrets = vec![SecretString::from("tok-12345678".to_owned())];
    let place = Place::new();
    work(
        &place,
        &agent,
        "ask a execute all curl tok-12345678\nask b execute all echo tok-12345678 > /tmp/x; true",
    )
    .await
    .unwrap();
    let asked = serde_json::to_string(&*judge.asked.lock().unwrap()).unwrap();
    assert!(!asked.contains("12345678") && asked.matches("[redacted]").count() == 2, "{asked}");
}

#[tokio::test]
async fn nobody_to_ask_means_no() {
    assert_eq!(says(&fake(&[]), "ask a edit all x").await, "told stop");
}

#[tokio::test]
async fn a_person_who_decides_holds_up_nothing_and_no_clock_runs() {
    let (sender, decision) = oneshot::channel();
    let (mut agent, _) = judged([Verdict::Person(Box::pin(async move { decision.await.unwrap() }))]);
    agent.agent.limit = Duration::from_millis(900);
    let place = Place::new();
    let decides = async {
        let asked = || entries_of(&place, "permission").iter().any(|entry| entry == "a person is asked");
        until("a person is asked", asked).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        sender.send(Decision::Allow).unwrap();
    };
    let (end, ()) = tokio::join!(work(&place, &agent, "ask a edit all x\nsay on"), decides);
    let end = end.unwrap();
    assert_eq!(end.words, "told proceed\non");
    assert!(end.took < Duration::from_millis(900), "{:?}", end.took);
}

#[tokio::test]
async fn one_decision_does_not_wait_for_another() {
    let (sender, decision) = oneshot::channel();
    let person = Verdict::Person(Box::pin(async move { decision.await.unwrap() }));
    let (agent, _) = judged([person, Verdict::Allow]);
    let place = Place::new();
    let decides = async {
        let second = || entries_of(&place, "output").iter().any(|entry| entry == "second told proceed");
        until("the second is answered", second).await;
        sender.send(Decision::Deny("no".to_owned())).unwrap();
    };
    let (end, ()) = tokio::join!(work(&place, &agent, "ask-two a b"), decides);
    assert_eq!(end.unwrap().words, "second told proceed\nfirst told stop");
}

#[tokio::test]
async fn a_request_may_be_taken_back() {
    let person = Verdict::Person(Box::pin(std::future::pending()));
    assert_eq!(says(&judged([person]).0, "take-back a").await, "told cancelled");
}

#[tokio::test]
async fn the_time_limit_ends_a_turn_and_what_it_left_elsewhere() {
    let place = Place::new();
    let agent = AcpAgent { limit: Duration::from_millis(400), ..fake(&["--stays"]) };
    let end = work(&place, &agent, &format!("orphan {}/pid\nhang", place.tree().display())).await.unwrap();
    assert_eq!(end.ended, Ended::TimeLimit(Duration::from_millis(400)));
    let pid = fs::read_to_string(place.tree().join("pid")).unwrap();
    assert!(!lives(pid.trim()));
}

/// Stops it as soon as it has said "begun", and returns the end and how long that took.
async fn stopped(place: &Place, agent: &dyn Agent, prompt: &str, grace: Duration) -> (AgentEnd, Duration) {
    let (stopper, stop) = stop();
    let begun = Mutex::new(Instant::now());
    let stops = async {
        until("it begins", || place.entries().iter().any(|entry| entry == "output: begun")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        *begun.lock().unwrap() = Instant::now();
        stopper.stop(grace);
    };
    let (end, ()) = tokio::join!(work_until(place, agent, prompt, stop), stops);
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    let took = begun.lock().unwrap().elapsed();
    (end.unwrap(), took)
}

#[tokio::test]
async fn a_stop_is_a_ladder() {
    // Whatever it answers to a cancel, it was stopped.
    for step in ["hang", "hang-then-end"] {
        let place = Place::new();
        let (end, took) =
            stopped(&place, &fake(&[]), &format!("say begun\n{step}"), Duration::from_secs(10)).await;
        assert_eq!(end.ended, Ended::Stopped);
        assert!(took < Duration::from_secs(2), "{step}: {took:?}");
    }
    // One that asks is answered "cancelled", and goes on only then.
    let person = Verdict::Person(Box::pin(std::future::pending()));
    let place = Place::new();
    let prompt = "say begun\nask a edit all x\nask b edit all x";
    let (end, took) = stopped(&place, &judged([person]).0, prompt, Duration::from_secs(10)).await;
    assert_eq!((end.ended, end.words.as_str()), (Ended::Stopped, "begun\ntold cancelled\ntold cancelled"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    // What a shell of it left outside of its group goes with it.
    let place = Place::new();
    let prompt = format!("orphan {}/pid\nsay begun\nhang", place.tree().display());
    let (end, _) = stopped(&place, &fake(&["--stays"]), &prompt, Duration::from_secs(1)).await;
    assert_eq!(end.ended, Ended::Stopped);
    assert!(!lives(fs::read_to_string(place.tree().join("pid")).unwrap().trim()));
    // One that hears nothing is made to end.
    let place = Place::new();
    let mut deaf = fake(&[]);
    let script = format!("trap '' TERM; exec {}", deaf.launch.program);
    (deaf.launch.program, deaf.launch.args) = ("/bin/sh".to_owned(), vec!["-c".to_owned(), script]);
    let (end, took) = stopped(&place, &deaf, "say begun\nhang-hard", Duration::from_secs(1)).await;
    assert_eq!(end.ended, Ended::Stopped);
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_stop_before_there_is_a_session_works_too() {
    let place = Place::new();
    let (stopper, stop) = stop();
    let stops = async {
        until("it is started", || !place.keeper.groups.lock().unwrap().is_empty()).await;
        stopper.stop(Duration::from_secs(5));
    };
    let silent = fake(&["--silent"]);
    let (end, ()) = tokio::join!(work_until(&place, &silent, "say x", stop), stops);
    assert_eq!(end.unwrap().ended, Ended::Stopped);
}

#[tokio::test]
async fn a_dropped_turn_leaves_no_process() {
    let place = Place::new();
    let file = place.tree().join("pid");
    let agent = fake(&[]);
    let prompt = format!("orphan {}\nsay begun\nhang", file.display());
    tokio::select! {
        _ = work(&place, &agent, &prompt) => panic!("it cannot end by itself"),
        () = until("it begins", || place.entries().iter().any(|entry| entry == "output: begun")) => {}
    }
    let pid = fs::read_to_string(&file).unwrap();
    until("its processes are gone", || alive(place.keeper.pgid()).is_empty() && !lives(pid.trim())).await;
}

#[tokio::test]
async fn files_are_written_only_in_the_worktree() {
    let place = Place::new();
    let tree = place.tree();
    let tree = tree.display();
    // That was not offered to it.
    let offered = says(&fake(&[]), "offered").await;
    assert!(offered.contains("\"writeTextFile\":false") || !offered.contains("writeTextFile"), "{offered}");
    let prompt = format!(
        "write {tree}/new/a.txt hello\nread {tree}/new/a.txt\nwrite {tree}/.git/config x\nwrite {tree}/../out x\nread /etc/passwd"
    );
    let end = work(&place, &fake(&[]), &prompt).await.unwrap();
    let words = end.words.replace(&tree.to_string(), "TREE");
    insta::assert_snapshot!(words, @"
    told written
    told hello
    told TREE/.git/config is not a file in the worktree: only those are read and written
    told TREE/../out is not a file in the worktree: only those are read and written
    told /etc/passwd is not a file in the worktree: only those are read and written
    ");
    assert_eq!(fs::read_to_string(place.tree().join("new/a.txt")).unwrap(), "hello");
    assert!(!place.dir.path().join("out").exists());
    insta::assert_snapshot!(entries_of(&place, "tool").join("\n").replace(&tree.to_string(), "TREE"), @"
    edit, completed: wrote new/a.txt
    edit, refused: TREE/.git/config is not a file in the worktree: only those are read and written
    edit, refused: TREE/../out is not a file in the worktree: only those are read and written
    ");
}

#[tokio::test]
async fn a_session_goes_on_in_the_next_process() {
    for flag in ["--resume", "--load"] {
        let place = Place::new();
        let state = place.dir.path().join("state");
        let agent = fake(&[flag, "--state", state.to_str().unwrap()]);
        assert_eq!(work(&place, &agent, "remember").await.unwrap().words, "prompt 1 of s1");
        assert_eq!(work(&place, &agent, "remember").await.unwrap().words, "prompt 2 of s1");
        assert!(!place.entries().iter().any(|entry| entry.contains("this was said before")), "{flag}");
    }
}

#[tokio::test]
async fn one_that_fails_to_go_on_begins_anew_with_a_summary() {
    for flags in [&["--load-fails"][..], &["--resume-fails", "--load-fails"], &[]] {
        let place = Place::new();
        let state = place.dir.path().join("state");
        let agent = fake(&[flags, &["--state", state.to_str().unwrap()]].concat());
        work(&place, &agent, "say The half goes up.").await.unwrap();
        let end = work(&place, &agent, "remember\nsummary").await.unwrap();
        assert_eq!(end.words, "prompt 1 of s2\nsummary true", "{flags:?}");
        let system = entries_of(&place, "system");
        assert!(system.iter().any(|entry| entry.starts_with("The session could not go on (")), "{system:?}");
        assert_eq!(entries_of(&place, "prompt"), ["say The half goes up.", "remember\nsummary"]);
    }
    // What the summary looks like, the fake plays: its lines begin with "- you".
    let place = Place::new();
    work(&place, &fake(&[]), "say The half goes up.").await.unwrap();
    let summary = qd_agents::transcript::summary(&place.folder().transcript(), 4000).unwrap().unwrap();
    insta::assert_snapshot!(summary, @"
    # What happened before

    This goes on with work that was begun in another session, which could not be continued. The worktree is as it was left. The newest entries of its transcript:

    - you were told: say The half goes up.
    - you said: The half goes up.
    ");
}

#[tokio::test]
async fn model_and_mode_are_set_or_refused() {
    let with = |model: &str, flags: &[&str]| AcpAgent { model: Some(model.to_owned()), ..fake(flags) };
    assert_eq!(says(&with("large", &["--models"]), "say x").await, "x");
    insta::assert_snapshot!(fails(&with("huge", &["--models"]), "say x").await, @r#"agent fake: its session failed: it has no model "huge"; it offers small, large"#);
    insta::assert_snapshot!(fails(&with("large", &[]), "say x").await, @r#"agent fake: its session failed: it has no model "large"; it offers none"#);
    insta::assert_snapshot!(fails(&with("large", &["--models", "--keeps-model"]), "say x").await, @r#"agent fake: its session failed: it has no model "large"; it offers small"#);
    let mode = |mode: &str| AcpAgent { mode: Some(mode.to_owned()), ..fake(&["--modes"]) };
    assert_eq!(says(&mode("code"), "say x").await, "mode code\nx");
    insta::assert_snapshot!(fails(&mode("yolo"), "say x").await, @r#"agent fake: its session failed: it has no mode "yolo"; it offers ask, code"#);
}

#[tokio::test]
async fn mcp_servers_go_into_the_session_and_their_secrets_nowhere_else() {
    let board = McpServer::Stdio {
        name: "board".to_owned(),
        command: PathBuf::from("/bin/true"),
        args: Vec::new(),
        env: [("TOKEN".to_owned(), SecretString::from("tok-12345678".to_owned()))].into(),
    };
    let web = McpServer::Http {
        name: "web".to_owned(),
        url: "http://127.0.0.1:1/mcp".to_owned(),
        headers: [("authorization".to_owned(), SecretString::from("Bearer abc".to_owned()))].into(),
    };
    let with =
        |servers: Vec<McpServer>, flags: &[&str]| AcpAgent { servers: Arc::new(servers), ..fake(flags) };
    let place = Place::new();
    let end = work(&place, &with(vec![board.clone()], &[]), "mcp\nsay tok-12345678").await.unwrap();
    assert_eq!(end.words, "servers: board\n[redacted]");
    assert_eq!(says(&with(vec![board.clone(), web.clone()], &["--http"]), "mcp").await, "servers: board web");
    insta::assert_snapshot!(fails(&with(vec![web], &[]), "mcp").await, @r#"agent fake: its session failed: it has no MCP "web over HTTP"; it offers none"#);
    let mut without = with(vec![board], &[]);
    without.can.mcp = false;
    let place = Place::new();
    assert_eq!(work(&place, &without, "mcp").await.unwrap().words, "servers:");
    assert_eq!(entries_of(&place, "system")[0], "fake takes no MCP servers, so it works without board.");
}

#[tokio::test]
async fn it_sees_its_own_environment_and_home() {
    let mut place = Place::new();
    let mut agent = fake(&[]);
    agent.launch.settings = vec![Setting {
        files: [(".fake/settings.json".to_owned(), "{}".to_owned())].into(),
        ..Setting::default()
    }];
    insta::assert_snapshot!(work_error(&place, &agent).await, @"agent fake: its session failed: its configuration .fake/settings.json could not be written: it is written only into a home of its own, and it has none");
    agent.api = Some(Api::OpenaiChat);
    agent.launch.settings = vec![Setting {
        env: [("OPENAI_BASE_URL".to_owned(), "{base_url}/v1".to_owned())].into(),
        files: [(".fake/settings.json".to_owned(), "{token}".to_owned())].into(),
        ..Setting::default()
    }];
    place.metered = Some(Metered {
        base_urls: [(Api::OpenaiChat, "http://127.0.0.1:9".to_owned())].into(),
        token: SecretString::from("run-token-1".to_owned()),
    });
    let end = work(&place, &agent, "env OPENAI_BASE_URL\nenv CARGO_PKG_NAME\nsay run-token-1").await.unwrap();
    assert_eq!(
        end.words,
        "OPENAI_BASE_URL is http://127.0.0.1:9/v1\nCARGO_PKG_NAME is (not set)\n[redacted]"
    );
    assert_eq!(fs::read_to_string(place.dir.path().join("home/.fake/settings.json")).unwrap(), "run-token-1");
}

/// The error of a turn that starts no process.
async fn work_error(place: &Place, agent: &dyn Agent) -> String {
    let (_stopper, never) = stop();
    let error = work_until(place, agent, "say x", never).await.unwrap_err();
    chain(&error)
}
