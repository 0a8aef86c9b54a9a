//! `quarterdeck agent`: which agents are known and installed, what they say of themselves, and their own logins.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use qd_api::FeatureView;
use serde_json::Value;

use crate::{
    acp::{Stage, fake, merged, transcript},
    support::{Project, add, approve, config, finished, git, until},
};

/// Entries of a user's own: one that shakes hands, one that dies, one that is not there, one with a login.
fn stage() -> Stage {
    let stage = Stage::new("true");
    let file = stage.project.folder().join("agents.toml");
    let own = |name: &str, program: &str, more: &str| {
        format!(
            "\n[{name}]\nprotocol = \"acp\"\ncommand = \"{program}\"\nlicence = \"MIT\"\ninstall = \"Get it.\"\n{more}"
        )
    };
    let program = fake().display().to_string();
    let entries = [
        std::fs::read_to_string(&file).unwrap(),
        own("dying", &program, "args = [\"--die\", \"4\"]\n[dying.permissions]\nasks = [\"edit\"]\n"),
        own("absent", "no-such-agent", ""),
        own("silent", &program, "login = [\"no-such-login\"]\n"),
    ];
    let login =
        "login = [\"sh\", \"-c\", \"echo token > $HOME/.login; env | cut -d= -f1 | sort > $HOME/seen\"]\n";
    let text = entries.concat().replacen("licence = \"MIT\"\n", &format!("licence = \"MIT\"\n{login}"), 1);
    std::fs::write(file, text).unwrap();
    stage
}

/// A verb on a computer with no agent on its PATH.
fn run(stage: &Stage, args: &[&str]) -> Output {
    let empty = stage.memory.path().join("bin");
    std::fs::create_dir_all(&empty).unwrap();
    stage.project.command(args).env("PATH", empty).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Without how long it took.
fn untimed(text: &str) -> String {
    let mask = |line: &str| match line.split_once("shakes hands in ") {
        Some((before, after)) => {
            let (_, rest) = after.split_once(" s").unwrap_or((after, ""));
            format!("{before}shakes hands in TIME{rest}")
        }
        None => line.to_owned(),
    };
    text.lines().map(mask).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_list_says_what_is_here_and_what_an_agent_cannot_do() {
    let stage = stage();
    let output = run(&stage, &["agent", "list"]);
    assert!(output.status.success());
    insta::assert_snapshot!(out(&output), @"
    absent        -                      Get it.
    claude        -                      npm install --global @agentclientprotocol/claude-agent-acp@0.100.0
    codex         -                      npm install --global @agentclientprotocol/codex-acp@2.6.0
    command       -                      any program that reads a prompt and changes files: give its command line
    cursor-agent  -                      see https://cursor.com/cli
    dying         installed              It forgets its session: the next turn begins with a summary. It takes no MCP servers: it works without the board's tools.
    fake          installed, configured
    fast-agent    -                      pip install fast-agent-mcp==0.10.46
    gemini        -                      npm install --global @google/gemini-cli@0.61.0
    goose         -                      npm install --global @aaif/goose@0.20.1
    opencode      -                      npm install --global opencode-ai@1.18.33
    pi            -                      npm install --global @earendil-works/pi-coding-agent@0.87.1 pi-acp@0.0.34
    qwen          -                      npm install --global @qwen-code/qwen-code@0.24.4
    silent        installed              It never asks before it does something: it works only within walls. It forgets its session: the next turn begins with a summary. It takes no MCP servers: it works without the board's tools.
    ");
    let listed: Vec<Value> =
        serde_json::from_slice(&run(&stage, &["agent", "list", "--json"]).stdout).unwrap();
    let known: Vec<&str> = listed.iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    for name in [
        "opencode",
        "claude",
        "codex",
        "gemini",
        "qwen",
        "goose",
        "pi",
        "fast-agent",
        "cursor-agent",
        "command",
    ] {
        assert!(known.contains(&name), "{name}");
    }
    let fake = listed.iter().find(|agent| agent["name"] == "fake").unwrap();
    insta::assert_snapshot!(
        format!("{} {} {} {} {}", fake["installed"], fake["configured"], fake["resume"], fake["load"], fake["licence"]),
        @r#"true true true false "MIT""#
    );
}

#[test]
fn a_doctor_shakes_hands_and_asks_nothing_of_a_model() {
    let stage = stage();
    let good = run(&stage, &["agent", "doctor", "fake"]);
    assert!(good.status.success());
    insta::assert_snapshot!(untimed(&out(&good)), @"✔ fake: fake-acp-agent 1.2.3, shakes hands in TIME");
    let told: Vec<Value> =
        serde_json::from_slice(&run(&stage, &["agent", "doctor", "fake", "--json"]).stdout).unwrap();
    assert_eq!(told[0]["version"], "fake-acp-agent 1.2.3");
    assert_eq!(
        (&told[0]["handshake"]["resume"], &told[0]["handshake"]["load"]),
        (&true.into(), &false.into())
    );
    assert_eq!(std::fs::read_dir(stage.memory.path()).unwrap().count(), 1, "no session was begun");

    let absent = run(&stage, &["agent", "doctor", "absent"]);
    assert!(!absent.status.success());
    insta::assert_snapshot!(out(&absent), @"✖ absent: no-such-agent is not on the PATH. Get it.");
    let dying = run(&stage, &["agent", "doctor", "dying"]);
    assert!(!dying.status.success());
    insta::assert_snapshot!(untimed(&out(&dying)), @r#"
    ✖ dying: fake-acp-agent 1.2.3, no handshake: it ended with exit code 4 before it answered initialize; it said "there is no key"
        It forgets its session: the next turn begins with a summary.
        It takes no MCP servers: it works without the board's tools.
    "#);
    let unknown = run(&stage, &["agent", "doctor", "hal"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&unknown.stderr), @r#"quarterdeck: there is no agent "hal"; known are absent, claude, codex, command, cursor-agent, dying, fake, fast-agent, gemini, goose, opencode, pi, qwen, silent, and your own agents.toml can add more"#);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_kept_for_its_agent_and_used_only_where_somebody_chose_it() {
    let stage = stage();
    let none = stage.project.run(&["agent", "login", "dying"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&none.stderr), @"quarterdeck: no login of dying is known: give its command as `login` in an entry of your own agents.toml, or use a key");
    let gone = stage.project.run(&["agent", "login", "silent"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&gone.stderr), @"quarterdeck: no-such-login can't be started: No such file or directory (os error 2). Get it.");
    let said =
        stage.project.command(&["agent", "login", "fake"]).env("PROVIDER_KEY", "secret").output().unwrap();
    let state = stage.project.state().canonicalize().unwrap().display().to_string();
    insta::assert_snapshot!(out(&said).replace(&state, "STATE").replace(&stage.project.state().display().to_string(), "STATE"), @"The login of fake is kept in STATE/agents/fake/home. It is used where `login = true` stands in its section. Whatever the agent runs can read it: a key in the gateway is the stronger way.");
    let home = stage.project.state().join("agents/fake/home");
    assert_eq!(std::fs::read_to_string(home.join(".login")).unwrap(), "token\n");
    assert_eq!(mode(&home), 0o700);
    let seen = std::fs::read_to_string(home.join("seen")).unwrap();
    assert!(!seen.contains("PROVIDER_KEY") && !seen.contains("QUARTERDECK"), "{seen}");

    // Without the choice, nothing of it is there, and nobody speaks of a login.
    let doctor = out(&stage.project.run(&["doctor"]));
    assert!(!doctor.contains("login"), "{doctor}");
    let file = stage.project.folder().join("quarterdeck.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    {
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        stage.add("env HOME\nwrite done.txt good");
        merged(&mut client).await;
        let told = transcript(&mut client).await;
        assert!(told.contains("HOME is /") && !told.contains("/agents/fake"), "{told}");
    }
    std::fs::write(&file, config.replace("[agents.fake]\n", "[agents.fake]\nlogin = true\n")).unwrap();
    let doctor = out(&stage.project.run(&["doctor"])).replace(&state, "STATE");
    let line = doctor.lines().find(|line| line.contains("login")).unwrap_or(&doctor).to_owned();
    insta::assert_snapshot!(line.replace(&stage.project.state().display().to_string(), "STATE"), @"● agent          fake uses a login of its own (STATE/agents/fake/home), which it can read: a key in the gateway is the stronger way");

    // With it, the agent's own figures are what there is, and they are marked.
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.project.ok(&[
        "feature",
        "add",
        "Next",
        "--description",
        "env HOME\nusage 3150\nwrite next.txt good",
        "--ready",
    ]);
    let spent = loop {
        let view: FeatureView = client.get("features/A-2").await.unwrap();
        match view.run.and_then(|run| run.spent) {
            Some(spent) => break spent,
            None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    insta::assert_snapshot!(spent.said(), @"3,150 tokens, $0.25 (estimated: the agent's own figures)");
    let told = stage.project.ok(&["run", "transcript", "A-2.1"]);
    assert!(told.contains("/agents/fake/home"), "{told}");
}

/// Commits are the run's: what an agent commits itself never reaches the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_the_agents_own_is_not_what_is_merged() {
    let project = Project::new(&[("README.md", "# Commits\n")]);
    let agent = "cat > /dev/null; echo good > out.txt; git add -A; \
                 git -c user.name=mallory -c user.email=m@localhost commit -qm mine || echo no commit";
    std::fs::write(project.folder().join("quarterdeck.toml"), config(agent, None)).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Write out.txt").await;
    let asks = |view: &FeatureView| view.sentence.contains("Asks to merge") || view.feature.held.is_some();
    let view = until(&mut client, "A-1", asks).await;
    if view.feature.held.is_none() {
        approve(&mut client, "A-1").await;
        until(&mut client, "A-1", finished).await;
    }
    let history = git(&project.forge("project"), &["log", "--topo-order", "--format=%an: %s", "main"]);
    assert!(!history.contains("mine") && !history.contains("mallory"), "{history}");
    insta::assert_snapshot!(history.trim(), @"
    Quarterdeck: A-1: Write out.txt
    Quarterdeck: A-1: Write out.txt
    Test: First
    ");
}
