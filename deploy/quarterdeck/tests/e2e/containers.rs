//! Containers of a real engine around agents: tools and models through one socket, secrets nowhere, what survives a restart,
//! and what is removed; and an engine that does not answer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use qd_api::FeatureView;
use qd_dockerd::{Dockerd, IMAGE};

use crate::{
    acp::{Stage, merged, transcript},
    gateway::{KEY, Provider, holding},
    support::{Project, approve, config, finished, until},
};

/// Must be nowhere but in the fleet's own environment.
const PLANTED: &str = "planted-7c1f0e52";

/// The fake agent's image: ours, and the libraries that it needs.
const FAKE: &str = "fake:test";

fn sandbox(engine: &Dockerd, image: &str) -> String {
    format!(
        "\n[sandbox]\nsocket = \"{}\"\nimage = \"{image}\"\nmemory_mib = 256\nprocesses = 64\n",
        engine.socket().display()
    )
}

/// The shared libraries of a program, and its loader.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_hold_agents_that_reach_one_socket() {
    let engine = match Dockerd::start() {
        Ok(engine) => engine,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    tools_and_models(&engine).await;
    survives(&engine).await;
    goes_on_with_its_token(&engine).await;
}

async fn tools_and_models(engine: &Dockerd) {
    let fake = crate::acp::fake();
    let curl = PathBuf::from("/usr/bin/curl");
    let files = [libraries(&fake), libraries(&curl), vec![curl]].concat();
    engine.import(FAKE, &files).unwrap();
    let stage = Stage::new("test -f done.txt");
    let Some(provider) = Provider::start(&stage.project) else { return };
    let file = stage.project.folder().join("quarterdeck.toml");
    let memory = format!("[sandbox]\nwrite = [\"{}\"]\n", stage.memory.path().display());
    // The container's user is nobody, as the fleet is root here.
    fs::set_permissions(stage.memory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(&memory, &(sandbox(engine, FAKE) + &memory.replace("[sandbox]\n", "")));
    let text = text.replace("path = \".\"\n", "path = \".\"\nsandbox = \"docker\"\n");
    fs::write(&file, text + &provider.section()).unwrap();
    let up = stage.project.up(&[("PROVIDER_KEY", KEY), ("QD_PLANTED", PLANTED)]);
    let mut client = up.client("alpha", None);
    stage.add(
        "mcp\ncall board report_progress {\"text\": \"Half of it.\", \"percent\": 50}\nconsult scripted\nenv QD_PLANTED\n\
         env HOME\nwrite done.txt good",
    );
    merged(&mut client).await;
    let text = transcript(&mut client).await;
    assert!(text.contains("servers: board") && text.contains("/home/agent"), "{text}");
    assert!(text.contains("Half of it.") && text.contains("called 200"), "{text}");
    drop(up);
    for secret in [PLANTED, KEY] {
        assert!(!text.contains(secret), "{text}");
        let found = holding(&stage.project.state(), secret);
        assert!(found.is_empty(), "{found:?}");
    }
}

async fn survives(engine: &Dockerd) {
    let project = Project::new(&[("README.md", "# Containers\n")]);
    let agent = "cat > prompt.txt; echo begun; touch begun; while ! test -f go; do sleep 0.2; done; echo x > out.txt; rm go begun prompt.txt; echo over";
    let text = config(agent, Some("test -f out.txt"))
        + &sandbox(engine, IMAGE)
        + "kind = \"docker\"\nnetwork = \"closed\"\n";
    fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    project.ok(&["feature", "add", "Wait", "--ready"]);
    let begun = || holding_file(&project.state(), "begun");
    for _ in 0..300 {
        if begun().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let worktree = begun().unwrap().parent().unwrap().to_owned();
    let before = engine.containers();
    assert_eq!(before.len(), 1, "{before:?}");
    drop(up);
    // One of this fleet that no run has, and one of another fleet.
    let state = project.state().canonicalize().unwrap();
    let orphan = |fleet: &str| {
        let fleet = format!("quarterdeck.fleet={fleet}");
        let labels =
            ["--label", &fleet, "--label", "quarterdeck.instance=alpha", "--label", "quarterdeck.run=A-9.9"];
        let args =
            [&["run", "--detach", "--network", "none"], labels.as_slice(), &[IMAGE, "sleep", "100"]].concat();
        assert!(engine.docker(&args).success());
    };
    orphan(&state.display().to_string());
    orphan("/another");
    assert_eq!(engine.containers().len(), 3);
    let again = project.up(&[]);
    let mut client = again.client("alpha", None);
    // What it has said is said again, and nobody else says anything.
    for _ in 0..300 {
        let told = transcript(&mut client).await.matches("output: begun").count();
        if engine.containers().len() == 2 && told == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = engine.containers();
    assert!(after.len() == 2 && after.contains(&before[0]), "{before:?} {after:?}");
    fs::write(worktree.join("go"), "").unwrap();
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let text = transcript(&mut client).await;
    assert!(text.contains("over"), "{text}");
    assert_eq!(engine.containers().len(), 1, "the other fleet's is left alone");
}

/// What reaches its model through the run's socket goes on after a restart, too: with the token that it has.
async fn goes_on_with_its_token(engine: &Dockerd) {
    let project = Project::new(&[("README.md", "# Containers\n")]);
    let Some(provider) = Provider::start(&project) else { return };
    let agent = "cat > /dev/null; call() { curl -sS -o /dev/null -w '%{http_code}' $OPENAI_BASE_URL/chat/completions \
                 -H 'content-type: application/json' -H \"authorization: Bearer $OPENAI_API_KEY\" \
                 -d '{\"model\":\"scripted\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'; }; \
                 echo first $(call); touch begun; while ! test -f away; do sleep 0.1; done; echo meanwhile $(call); \
                 while ! test -f go; do sleep 0.2; done; echo token $OPENAI_API_KEY; echo second $(call); \
                 echo x > out.txt; rm go begun away; echo over";
    let text = config(agent, Some("test -f out.txt"))
        + &sandbox(engine, FAKE)
        + "kind = \"docker\"\n"
        + &provider.section();
    fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[("PROVIDER_KEY", KEY)]);
    project.ok(&["feature", "add", "Call", "--ready"]);
    for _ in 0..300 {
        if holding_file(&project.state(), "begun").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let worktree = holding_file(&project.state(), "begun").unwrap().parent().unwrap().to_owned();
    let before = engine.containers();
    drop(up);
    // It calls while nobody is there.
    fs::write(worktree.join("away"), "").unwrap();
    let again = project.up(&[("PROVIDER_KEY", KEY)]);
    let mut client = again.client("alpha", None);
    fs::write(worktree.join("go"), "").unwrap();
    merged(&mut client).await;
    let text = transcript(&mut client).await;
    for said in
        ["output: first 200", "output: meanwhile 200", "output: second 200", "output: token [redacted]"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    assert_eq!(view.run.unwrap().spent.unwrap().calls, 3, "{text}");
    let left = engine.containers();
    assert!(
        before.iter().filter(|id| !left.contains(id)).count() == 1 && left.len() + 1 == before.len(),
        "{left:?}"
    );
    drop(client);
    again.interrupt();
    for secret in [KEY, "qdr_"] {
        assert_eq!(holding(&project.state(), secret), Vec::<PathBuf>::new());
    }
    assert!(!project.state().join("instances/alpha/tools/A-1.1").exists());
}

/// A file of this name somewhere below a folder.
fn holding_file(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().find_map(|entry| {
        let path = entry.path();
        if entry.file_name() == name {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) { holding_file(&path, name) } else { None }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_agents_wait_and_everything_says_so() {
    let project = Project::new(&[("README.md", "# Containers\n")]);
    let socket = project.folder().join("no-engine");
    let more = format!("\n[sandbox]\nsocket = \"{}\"\nimage = \"x\"\n", socket.display());
    let text =
        config("echo x > out.txt", None).replace("path = \".\"\n", "path = \".\"\nsandbox = \"docker\"\n");
    fs::write(project.folder().join("quarterdeck.toml"), text + &more).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Wait", "--ready"]);
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    let told = loop {
        let text = transcript(&mut client).await;
        if text.contains("wait for their walls") {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let told = told
        .lines()
        .find(|line| line.contains("wait for"))
        .unwrap()
        .replace(&socket.display().to_string(), "SOCKET");
    let told = told.split(" (").next().unwrap().to_owned();
    insta::assert_snapshot!(told, @"system: Agents wait for their walls: docker can't be used here: no engine answers at SOCKET: start it, or correct sandbox.socket");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    assert!(view.feature.held.is_none(), "{}", view.sentence);
    let doctor = String::from_utf8(project.run(&["doctor"]).stdout).unwrap();
    assert!(
        doctor.contains("agents in project wait: docker can't be used here: no engine answers at"),
        "{doctor}"
    );
}
