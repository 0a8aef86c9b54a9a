//! Real agents with a scripted model: a feature from card to merge, a decision after a crash, a stop in the middle. The test
//! command brings the agents and says where they are; without them nothing is tested here.
//!
//! The script stands in the feature's text: `[[cwd=DIR steps=write,sh:CMD]]`; `write` makes `DIR/hello.txt`.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use qd_api::{Client, FeatureView};
use qd_types::{ApprovalState, Ballot};

use crate::{
    acp::{merged, own, running, transcript, vote},
    support::{Project, open_approval, until},
};

/// The scripted model, ended when it is dropped.
struct Model {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Model {
    fn start(program: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("python3")
            .arg(program)
            .arg(port.to_string())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port, _folder: folder }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A project with a real agent, its home, and its model.
struct Stage {
    project: Project,
    home: tempfile::TempDir,
    model: Model,
}

/// How an agent is pointed at its model, as it stands in its entry.
fn entry(name: &str, program: &Path, home: &Path, port: u16) -> String {
    let (args, env, can) = match name {
        "opencode" => (
            r#"["acp"]"#,
            format!(
                "OPENCODE_DISABLE_MODELS_FETCH = \"1\"\nOPENCODE_DISABLE_AUTOUPDATE = \"1\"\n\
                 OPENCODE_CONFIG_CONTENT = '''{{\"provider\":{{\"gateway\":{{\"npm\":\"@ai-sdk/openai-compatible\",\
                 \"name\":\"Gateway\",\"options\":{{\"baseURL\":\"http://127.0.0.1:{port}/v1\",\"apiKey\":\"fake\"}},\
                 \"models\":{{\"scripted\":{{\"name\":\"scripted\"}}}}}}}},\"model\":\"gateway/scripted\",\
                 \"small_model\":\"gateway/scripted\",\"permission\":{{\"edit\":\"ask\",\"bash\":\"ask\"}}}}'''\n"
            ),
            "resume = true\nload = true",
        ),
        _ => (
            r#"["acp", "--with-builtin", "developer"]"#,
            format!(
                "GOOSE_DISABLE_KEYRING = \"1\"\nGOOSE_TELEMETRY_ENABLED = \"false\"\nGOOSE_PROVIDER = \"openai\"\n\
                 OPENAI_HOST = \"http://127.0.0.1:{port}\"\nOPENAI_API_KEY = \"fake\"\nGOOSE_MODEL = \"scripted\"\n\
                 GOOSE_MODE = \"approve\"\n"
            ),
            "load = true",
        ),
    };
    format!(
        "[{name}]\nprotocol = \"acp\"\ncommand = \"{}\"\nargs = {args}\nlicence = \"x\"\ninstall = \"x\"\n\
         [{name}.env]\nHOME = \"{}\"\n{env}[{name}.permissions]\nasks = [\"edit\", \"execute\"]\n[{name}.can]\n{can}\n",
        program.display(),
        home.display()
    )
}

impl Stage {
    /// Nothing where the agents are not there.
    fn new(name: &str, check: &str) -> Option<Self> {
        let (Some(agents), Some(model)) =
            (std::env::var_os("QUARTERDECK_TEST_AGENTS"), std::env::var_os("QUARTERDECK_TEST_MODEL"))
        else {
            eprintln!("skipped: the test command brings the agents, cargo xtask test");
            return None;
        };
        let program = PathBuf::from(agents).join(name).canonicalize().unwrap();
        let model = Model::start(Path::new(&model));
        let home = tempfile::Builder::new().prefix("agent-home-").tempdir().unwrap();
        let project = Project::new(&[("README.md", "# Lines\n")]);
        let entry = entry(name, &program, home.path(), model.port);
        std::fs::write(project.folder().join("agents.toml"), entry).unwrap();
        let config = format!(
            "[fleet]\nsolo = true\n\n[[people]]\nname = \"ines\"\nroles = [\"owner\", \"manager\", \"operator\"]\n\n\
             [approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n\n[runs]\nrepair_rounds = 0\n\n\
             [[teams]]\nname = \"alpha\"\nagent = \"{name}\"\n\n[agents.{name}]\n\n\
             [[repositories]]\nname = \"project\"\npath = \".\"\n\
             [[repositories.checks]]\nname = \"check\"\ncommand = '''{check}'''\n"
        );
        std::fs::write(project.folder().join("quarterdeck.toml"), config).unwrap();
        Some(Self { project, home, model })
    }

    fn add(&self, steps: &str) {
        let tree = self.project.state().join("instances/alpha/worktrees/A-1.1");
        let text = format!("Do it. [[cwd={} steps={steps}]]", tree.display());
        self.project.ok(&["feature", "add", "Play", "--description", &text, "--ready"]);
    }

    /// Processes that still run with the agent's home.
    fn alive(&self) -> Vec<String> {
        assert!(self.model.port > 0);
        running(&self.home.path().display().to_string())
    }
}

async fn carries_a_feature(name: &str) {
    let Some(stage) = Stage::new(name, "grep -q 'hello over ACP' hello.txt && test -f ran.txt") else {
        return;
    };
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("write,sh:touch ran.txt");
    allow_all(&mut client).await;
    merged(&mut client).await;
    assert!(own(&mut client).await.iter().all(|state| *state == ApprovalState::Executed));
    let told = transcript(&mut client).await;
    assert!(told.contains("permission: allowed once"), "{told}");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

/// Some agents ask about a file in a way that only a person can judge.
async fn allow_all(client: &mut Client) {
    loop {
        let asks = |view: &FeatureView| view.sentence.contains("Asks to") || view.feature.held.is_some();
        let view = until(client, "A-1", asks).await;
        if view.feature.held.is_some() || view.sentence.contains("Asks to merge") {
            return;
        }
        if open_approval(client, "A-1").await.is_some() {
            vote(client, Ballot::Approve).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn goes_on_after_a_crash(name: &str, steps: &str, ballot: Ballot) {
    let check = match ballot {
        Ballot::Approve => "test -f ran.txt",
        Ballot::Deny => "test -f hello.txt -a ! -f ran.txt",
    };
    let Some(stage) = Stage::new(name, check) else { return };
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add(steps);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to")).await;
    drop(up);
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    vote(&mut client, ballot).await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(!told.contains("The session could not go on"), "{told}");
    assert!(told.contains("this, once: touch ran.txt") || ballot == Ballot::Deny, "{told}");
    assert_eq!(own(&mut client).await.len(), 1, "asked once: {told}");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

async fn is_stopped(name: &str) {
    for steps in ["slow:60", "hang:60", "sh:touch ran.txt"] {
        let Some(stage) = Stage::new(name, "true") else { return };
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        stage.add(steps);
        until(&mut client, "A-1", |view| view.run.is_some()).await;
        while !transcript(&mut client).await.contains("prompt: ") {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.project.ok(&["run", "stop", "A-1.1"]);
        until(&mut client, "A-1", |view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).await;
        assert_eq!(stage.alive(), Vec::<String>::new(), "{steps}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_carries_a_feature() {
    carries_a_feature("opencode").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_goes_on_after_a_crash() {
    goes_on_after_a_crash("opencode", "write,sh:touch ran.txt", Ballot::Approve).await;
    goes_on_after_a_crash("opencode", "write,sh:touch ran.txt", Ballot::Deny).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_is_stopped() {
    is_stopped("opencode").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_says_that_its_model_wants_money() {
    let Some(stage) = Stage::new("opencode", "true") else { return };
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("err:402");
    // It says so at once, so the run fails. Whether it is tried again is not for the agent to say.
    let failed =
        |view: &FeatureView| view.feature.held.is_some() || view.sentence.contains("last run failed");
    until(&mut client, "A-1", failed).await;
    let told = transcript(&mut client).await;
    assert!(!told.contains("output: DONE"), "{told}");
    assert_eq!(stage.alive(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_carries_a_feature() {
    carries_a_feature("goose").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_goes_on_after_a_crash() {
    goes_on_after_a_crash("goose", "sh:touch ran.txt", Ballot::Approve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goose_is_stopped() {
    is_stopped("goose").await;
}
