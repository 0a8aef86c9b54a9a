//! Which tool servers a run gets: by configuration, by policy, and by what a person trusted of a repository's `.mcp.json`.

use std::process::Stdio;

use serde_json::json;

use crate::{
    acp::{Stage, transcript},
    mcp::{Client, PEER},
    support::{Up, git, until},
};

/// A stage whose configuration ends with this.
fn stage(more: &str) -> Stage {
    let stage = Stage::new("true");
    let file = stage.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{text}\n{more}")).unwrap();
    stage
}

/// Puts a server of somebody else beside the stage, and gives how it is started, as JSON.
fn peer(stage: &Stage) -> serde_json::Value {
    let script = stage.memory.path().join("peer.sh");
    std::fs::write(&script, PEER).unwrap();
    json!({ "command": "sh", "args": [script] })
}

/// Files a feature with these lines, and gives what its run said up to `last`.
pub(crate) async fn played(stage: &Stage, up: &Up, lines: &str, last: &str) -> String {
    let mut client = up.client("alpha", None);
    let file = ["feature", "add", "Play", "--description", lines, "--ready", "--team", "alpha"];
    stage.project.ok(&file);
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    for _ in 0..600 {
        let text = transcript(&mut client).await;
        if text.contains(last) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{last} was not said: {}", transcript(&mut client).await)
}

fn commit(stage: &Stage, text: &str) {
    let folder = stage.project.folder();
    std::fs::write(folder.join(".mcp.json"), text).unwrap();
    git(&folder, &["add", ".mcp.json"]);
    git(&folder, &["commit", "--quiet", "--message=Servers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gets_exactly_the_configured_servers_and_calls_a_tool_of_the_second() {
    let stage = Stage::new("true");
    let peer = peer(&stage);
    let file = stage.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let servers = format!(
        "\n[[teams]]\nname = \"beta\"\nprefix = \"B\"\n\n[mcp.servers.github]\nteams = [\"alpha\"]\n\n\
         [mcp.servers.docker]\nteams = [\"beta\"]\n\n[mcp.servers.discord]\n\n\
         [mcp.servers.clock]\ncommand = \"sh\"\nargs = [{}]\n",
        peer["args"][0]
    );
    std::fs::write(file, text + &servers).unwrap();
    let up = stage.project.up(&[]);
    let said = stage.project.ok(&["mcp", "trust", "--server", "clock"]);
    assert!(said.contains("Trusted as they are now: clock"), "{said}");
    let text = played(
        &stage,
        &up,
        "mcp\ncall clock clock {}\ncall github list_pull_requests {}\ncall discord list_channels {}\n\
         call github merge {\"number\": 1, \"head_sha\": \"4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0\"}\nsay done",
        "output: done",
    )
    .await;
    // Another team's is not there.
    assert!(text.contains("output: servers: board discord github clock"), "{text}");
    // Within the walls of agents: it sees nothing of our state, and has a home of its own.
    assert!(text.contains("noon; state 0, elsewhere refused, home written, secret unknown"), "{text}");
    assert!(text.contains("\"pull_requests\":[]"), "{text}");
    assert!(text.contains("\"dev\""), "{text}");
    // Nobody is asked for a merge that could never be.
    assert!(text.contains("The merge train takes merges of runs alone."), "{text}");
    assert!(!text.contains("\"state\":\"pending\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_starts_nothing_until_a_person_trusted_that_very_content() {
    let stage = stage("");
    let peer = peer(&stage);
    let text = json!({ "mcpServers": { "clock": peer } }).to_string();
    commit(&stage, &text);
    let up = stage.project.up(&[]);
    let doctor = String::from_utf8(stage.project.run(&["doctor"]).stdout).unwrap();
    assert!(
        doctor.contains("project: nobody trusted what .mcp.json says, and it starts nothing"),
        "{doctor}"
    );
    let said = played(&stage, &up, "mcp\nsay done", "output: done").await;
    assert!(said.contains("output: servers: board\n"), "{said}");
    assert!(
        said.contains("Nothing of this repository's .mcp.json is started: nobody trusted what it says. A person looks at it with: quarterdeck mcp trust project."),
        "{said}"
    );
    drop(up);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_starts_nothing_again() {
    let stage = stage("");
    let peer = peer(&stage);
    commit(&stage, &json!({ "mcpServers": { "clock": peer } }).to_string());
    let up = stage.project.up(&[]);
    let said = stage.project.ok(&["mcp", "trust"]);
    assert!(said.contains("Trusted as it is now. Another content starts nothing."), "{said}");
    assert!(said.contains("project-clock: sh "), "{said}");
    assert!(said.contains("Trusted as they are now: clock"), "{said}");
    let doctor = String::from_utf8(stage.project.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("project: .mcp.json is what ines trusted"), "{doctor}");
    let said = played(&stage, &up, "mcp\ncall project-clock clock {}\nsay done", "output: done").await;
    assert!(said.contains("output: servers: board project-clock"), "{said}");
    assert!(said.contains("noon; state 0, elsewhere refused, home written, secret unknown"), "{said}");

    commit(&stage, &json!({ "mcpServers": { "clock": peer, "more": peer } }).to_string());
    let doctor = String::from_utf8(stage.project.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("project: .mcp.json is not what ines trusted, and starts nothing"), "{doctor}");
    let head = git(&stage.project.folder(), &["rev-parse", "main"]);
    let forge = stage.project.forge("project");
    for _ in 0..200 {
        if git(&forge, &["rev-parse", "main"]) == head {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut client = up.client("alpha", None);
    stage.add("mcp\nsay done");
    until(&mut client, "A-2", |view| view.run.is_some()).await;
    let mut text = String::new();
    for _ in 0..600 {
        let page: serde_json::Value = client.get("runs/A-2.1/transcript?offset=0").await.unwrap();
        text = page.to_string();
        if text.contains("servers: ") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(text.contains("servers: board\\n") || text.contains("servers: board\""), "{text}");
    assert!(text.contains("it is not what ines trusted"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collision_and_a_no_of_policy_are_said() {
    let rule = "[mcp.servers.project-clock]\ncommand = \"sh\"\nagents = [\"other\"]\n\n[agents.other]\ncommand = [\"true\"]\n\n\
                [mcp.servers.docker]\n\n[[policies.rules]]\nname = \"closed\"\nactions = [\"server.use\"]\nteam = \"alpha\"\n\
                effect = \"deny\"\nreason = \"No servers here.\"\n";
    let stage = stage(rule);
    let peer = peer(&stage);
    commit(&stage, &json!({ "mcpServers": { "clock": peer } }).to_string());
    let up = stage.project.up(&[]);
    let said = stage.project.ok(&["mcp", "trust"]);
    let collides = "The server clock of this repository's .mcp.json is not started: here it is project-clock, and the configuration \
                    has project-clock: one of them needs another name.";
    assert!(said.contains(collides), "{said}");
    let said = played(&stage, &up, "mcp\nsay done", "output: done").await;
    assert!(said.contains("servers:") && !said.contains("servers: board"), "{said}");
    assert!(said.contains(collides), "{said}");
    assert!(
        said.contains("The server docker is not given: the policy closed says no: No servers here."),
        "{said}"
    );
}

#[test]
fn each_server_that_comes_along_is_there_alone_and_says_what_is_missing() {
    let stage = Stage::new("true");
    let project = &stage.project;
    let listed = project.ok(&["mcp", "list"]);
    for wanted in
        ["board  quarterdeck mcp board", "discord  quarterdeck", "docker  quarterdeck", "github  quarterdeck"]
    {
        assert!(listed.contains(wanted), "{wanted}: {listed}");
    }
    for (server, tool) in
        [("github", "list_issues"), ("discord", "read_messages"), ("docker", "list_containers")]
    {
        let mut client = Client::start(project, &["mcp", server], &[]);
        let names: Vec<String> =
            client.tools().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        assert!(names.iter().any(|name| name == tool), "{server}: {names:?}");
        client.end();
    }
    let mut client = Client::start(project, &["mcp", "github"], &[]);
    let said = client.call("list_issues", json!({}));
    let text = said["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("GitHub is not configured here. A person has to connect GitHub to this fleet"),
        "{text}"
    );
    client.end();
    let mut client = Client::start(project, &["mcp", "discord"], &[]);
    let said = client.call("read_messages", json!({ "channel": "dev" }));
    let text = said["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("Discord is not configured here. A person has to connect Discord to this fleet"),
        "{text}"
    );
    client.end();
}

#[test]
fn only_who_may_trusts() {
    let stage = stage("[[people]]\nname = \"vera\"\nroles = [\"viewer\"]\n");
    let peer = peer(&stage);
    commit(&stage, &json!({ "mcpServers": { "clock": peer } }).to_string());
    stage.project.ok(&["person", "--as", "vera", "passphrase"]);
    let refused =
        stage.project.command(&["mcp", "trust", "--as", "vera"]).stdin(Stdio::null()).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("You need the role owner, manager or operator for this."), "{said}");
    assert!(!stage.project.state().join("mcp-servers/trusted.json").exists());
}

/// The containers that an engine has, by name.
fn containers(engine: &qd_dockerd::Dockerd) -> String {
    let host = format!("unix://{}", engine.socket().display());
    let mut docker = std::process::Command::new("docker");
    let listed = docker.args(["--host", &host, "ps", "--all", "--format", "{{.Names}}"]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

#[test]
fn a_container_runs_once_a_person_agreed_and_only_once() {
    let Some(engine) = qd_dockerd::Dockerd::for_test() else { return };
    let stage = stage(&format!(
        "[[people]]\nname = \"mira\"\nroles = [\"manager\"]\n\n[mcp.docker]\nsocket = \"{}\"\nimages = [\"{}\"]\n",
        engine.socket().display(),
        qd_dockerd::IMAGE,
    ));
    let project = &stage.project;
    let file = project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("solo = true", "solo = false")).unwrap();
    project.ok(&["person", "--as", "mira", "passphrase"]);
    let up = project.up(&[]);
    let mut client = Client::start(project, &["mcp", "docker"], &[]);
    let wanted = json!({ "name": "sleeper", "image": qd_dockerd::IMAGE, "command": ["sleep", "300"] });
    let pending = client.call("run", wanted);
    let pending = &pending["structuredContent"];
    assert_eq!(pending["state"], "pending", "{pending}");
    assert_eq!(containers(&engine), "", "nothing runs before");
    let id = pending["approval"].as_str().unwrap();
    let said = project.ok(&["approvals", "approve", id, "--as", "mira"]);
    assert!(said.contains("granted"), "{said}");
    let done = client.call("call_outcome", json!({ "approval": id }));
    assert!(done["structuredContent"]["result"].is_object(), "{done}");
    assert_eq!(containers(&engine).trim(), "sleeper");
    // The grant is spent: asked again, it is the same outcome, and another call is another approval.
    let again = client.call("call_outcome", json!({ "approval": id }));
    assert_eq!(again["structuredContent"]["result"], done["structuredContent"]["result"]);
    assert_eq!(containers(&engine).trim(), "sleeper");
    let refused = client.call("run", json!({ "name": "other", "image": "alpine:3.22" }));
    assert_eq!(refused["isError"], true, "{refused}");
    client.end();
    drop(up);
}
