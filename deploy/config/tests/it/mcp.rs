//! The section of tool servers: which runs get which, and what is refused.

use qd_config::{McpServer, folded};

use crate::support::{Place, refused};

const SERVERS: &str = r#"[[teams]]
name = "alpha"
[[teams]]
name = "beta"
prefix = "B"
[mcp.servers.docker]
teams = ["alpha"]
[mcp.servers.files]
command = "files-server"
args = ["--root", "/srv"]
tiers = { read_file = "read" }
limits = { per_minute = 60 }
[mcp.docker]
images = ["alpine:3.22"]
roots = ["work"]
"#;

#[test]
fn what_a_server_may_is_shown() {
    let shown = Place::new(SERVERS).shown(&["mcp"]);
    for wanted in [
        "mcp.servers.docker.teams = [\"alpha\"]",
        "mcp.servers.files.limits.per_minute = 60",
        "mcp.servers.files.limits.at_once = 16",
        "DIR/work",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn a_server_is_narrowed_by_team_repository_and_agent() {
    let fits = |server: &McpServer, team: &str, repository: &str, agent: &str| {
        server.fits(&team.parse().unwrap(), &repository.parse().unwrap(), agent)
    };
    let all = McpServer::default();
    assert!(fits(&all, "alpha", "site", "claude"));
    let some = McpServer {
        teams: vec!["alpha".parse().unwrap()],
        repositories: vec!["site".parse().unwrap()],
        agents: vec!["claude".to_owned()],
        ..McpServer::default()
    };
    assert!(fits(&some, "alpha", "site", "claude"));
    assert!(!fits(&some, "beta", "site", "claude"));
    assert!(!fits(&some, "alpha", "other", "claude"));
    assert!(!fits(&some, "alpha", "site", "codex"));
    assert!(!fits(&McpServer { off: true, ..all }, "alpha", "site", "claude"));
}

#[test]
fn names_that_clients_would_confuse_are_refused() {
    assert_eq!(folded("My-Files"), folded("my_files"));
    let said = refused(
        "[mcp.servers.board]\ncommand = \"sh\"\n[mcp.servers.my-files]\ncommand = \"sh\"\n[mcp.servers.my_files]\ncommand = \
         \"sh\"\n[mcp.servers.a__b]\ncommand = \"sh\"\n[mcp.servers.Docker]\ncommand = \"sh\"\n[mcp.servers.agent]\ncommand = \"sh\"\n",
    );
    for wanted in [
        "board comes with the program and takes no command",
        "my_files and my-files are one name to many clients",
        "a__b has two _ side by side",
        "Docker and docker are one name to many clients",
        "policies call what an agent does by itself agent",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_server_needs_a_way_to_it_and_known_runs() {
    let said = refused(
        "[mcp.servers.one]\nteams = [\"nobody\"]\n[mcp.servers.two]\nurl = \"ftp://x\"\n[mcp.servers.three]\ncommand = \
         \"sh\"\nenv = [\"KEY=secret\"]\nagents = [\"none\"]\n",
    );
    assert!(!said.contains("secret"), "{said}");
    for wanted in [
        "is not a server that comes with the program (board, discord, docker, github, proxmox): give it a command or a url",
        "there is no team nobody",
        "is not an address like https://",
        "KEY has a value",
        "there is no agent none",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_service_account_has_a_name_of_its_own() {
    let said = refused(
        "[agents.claude]\ncommand = [\"true\"]\n[mcp]\nservices = [\"ci\", \"claude\", \"ci\", \"Build Server\", \"\"]\n",
    );
    for wanted in [
        "claude is an agent already",
        "ci stands there twice",
        "\"Build Server\" is no name for a service account",
        "\"\" is no name for a service account",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
