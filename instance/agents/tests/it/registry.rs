//! The registry of agents, and the look at what is installed.

use std::{fs, sync::Arc, time::Duration};

use qd_agents::{
    acp::McpServer,
    handshake::{Found, look},
    registry::{Fit, Protocol, Registry},
};

fn user(text: &str) -> Result<Registry, String> {
    let registry = Registry::built_in().unwrap().with("agents.toml", text);
    registry.map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

fn wrong(text: &str) -> String {
    user(&format!("[mine]\nlicence = \"MIT\"\ninstall = \"x\"\n{text}")).unwrap_err()
}

#[test]
fn the_agents_that_come_along() {
    let registry = Registry::built_in().unwrap();
    let line = |(name, entry): (&str, &qd_agents::registry::Entry)| {
        let asks = entry.permissions.asks.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
        let api = entry.gateway.as_ref().map_or("-".to_owned(), |gateway| format!("{:?}", gateway.api));
        let can = &entry.can;
        let can = [
            (can.resume, "resume"),
            (can.load, "load"),
            (can.mcp, "mcp"),
            (can.images, "images"),
            (can.files, "files"),
            (can.cost, "cost"),
        ];
        let can = can.iter().filter(|(can, _)| *can).map(|(_, word)| *word).collect::<Vec<_>>().join("+");
        format!("{name} | {} | {api} | asks {asks} | can {can}", entry.command)
    };
    insta::assert_snapshot!(registry.iter().map(line).collect::<Vec<_>>().join("\n"), @"
    claude | claude-agent-acp | Anthropic | asks edit+mcp | can resume+load+mcp+images+cost
    codex | codex-acp | OpenaiResponses | asks escalation | can resume+load+mcp+images+cost
    command |  | - | asks  | can 
    cursor-agent | cursor-agent | - | asks edit+execute+mcp | can load+mcp
    fast-agent | fast-agent-acp | OpenaiChat | asks edit | can resume+load+mcp+files
    gemini | gemini | Gemini | asks edit+mcp | can mcp+images
    goose | goose | OpenaiChat | asks edit+execute | can load+mcp+images
    opencode | opencode | OpenaiChat | asks edit+execute | can resume+load+mcp+images
    pi | pi-acp | OpenaiChat | asks  | can load
    qwen | qwen | OpenaiChat | asks edit | can resume+load+mcp+images
    ");
    assert!(
        registry.iter().all(|(_, entry)| entry.protocol == Protocol::Command || !entry.command.is_empty())
    );
    assert!(registry.iter().all(|(_, entry)| !entry.licence.is_empty() && !entry.install.is_empty()));
}

#[test]
fn a_bad_entry_is_named_with_its_key() {
    insta::assert_snapshot!(wrong("protocol = \"acp\""), @"agents.toml: agent mine, key command: is empty: give the program");
    insta::assert_snapshot!(wrong("protocol = \"mcp\"\ncommand = \"x\""), @"agents.toml: agent mine, key protocol: unknown variant `mcp`, expected `acp` or `command`");
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\ncan.fly = true"), @"agents.toml: agent mine, key can.fly: unknown field `fly`, expected one of `resume`, `load`, `mcp`, `images`, `files`, `cost`");
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\ncan.load = \"yes\""), @r#"agents.toml: agent mine, key can.load: invalid type: string "yes", expected a boolean"#);
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\ngateway.env.URL = \"{base_url}\""), @"agents.toml: agent mine, key gateway: missing field `api`");
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\nmodel.env.M = \"{token}\""), @"agents.toml: agent mine, key model.env.M: {token} has no meaning here; known are: {model}");
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\nmodel.files.\"../up\" = \"{model}\""), @r#"agents.toml: agent mine, key model.files: "../up" is no path below its home"#);
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\nmodel = { session = true, args = [\"{model}\"] }"), @"agents.toml: agent mine, key model: is chosen in the session or set from outside, not both");
    insta::assert_snapshot!(wrong("protocol = \"acp\"\ncommand = \"x\"\nenv.\"A B\" = \"x\""), @r#"agents.toml: agent mine, key env: "A B" is no name of a variable"#);
    insta::assert_snapshot!(wrong("protocol = \"command\"\ncommand = \"x\"\ncan.load = true"), @r#"agents.toml: agent mine, key protocol: "command" knows no gateway, model, permissions or can: these are of ACP"#);
    insta::assert_snapshot!(user("[mine]\nprotocol = \"acp\"\ncommand = \"x\"").unwrap_err(), @"agents.toml: agent mine, key (all of it): missing field `licence`");
    insta::assert_snapshot!(user("[\"My agent\"]\n").unwrap_err(), @"agents.toml: agent My agent, key (its name): an agent's name is lower-case letters, digits, - and _");
    insta::assert_snapshot!(user("[mine").unwrap_err(), @"
    agents.toml is not TOML: TOML parse error at line 1, column 6
      |
    1 | [mine
      |      ^
    unclosed table, expected `]`
    ");
}

fn fit() -> Fit {
    Fit {
        login: None,
        mode: None,
        servers: Arc::new(Vec::<McpServer>::new()),
        model: None,
        env_allow: Vec::new(),
        secrets: Vec::new(),
        limit: Duration::from_secs(10),
    }
}

#[test]
fn an_entry_of_ones_own_replaces_or_adds() {
    let registry =
        user("[pi]\nprotocol = \"command\"\ncommand = \"pi\"\nlicence = \"MIT\"\ninstall = \"x\"").unwrap();
    assert_eq!(registry.get("pi").unwrap().protocol, Protocol::Command);
    assert!(!registry.get("pi").unwrap().asks() && registry.get("goose").unwrap().asks());
    assert_eq!(registry.agent("pi", fit()).unwrap().name(), "pi");
    assert_eq!(registry.agent("opencode", fit()).unwrap().name(), "opencode");
    insta::assert_snapshot!(registry.agent("command", fit()).err().unwrap(), @"agent command has no command line: give `command` and `args` in an entry of your own");
    insta::assert_snapshot!(registry.agent("no-such", fit()).err().unwrap(), @r#"there is no agent "no-such"; known are claude, codex, command, cursor-agent, fast-agent, gemini, goose, opencode, pi, qwen, and your own agents.toml can add more"#);
}

async fn found(args: &str) -> Found {
    let fake = env!("CARGO_BIN_EXE_fake-acp-agent");
    let entry = format!(
        "[fake]\nprotocol = \"acp\"\ncommand = \"{fake}\"\nargs = {args}\nlicence = \"MIT\"\ninstall = \"x\""
    );
    let registry = user(&entry).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let found =
        look("fake", registry.get("fake").unwrap(), folder.path(), None, Duration::from_secs(5)).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    found
}

#[tokio::test]
async fn a_look_tells_version_and_abilities() {
    let found = found(r#"["--load", "--speaks", "2", "--garbage", "--stays"]"#).await;
    assert!(found.program.is_some());
    assert_eq!(found.version.as_deref(), Some("fake-acp-agent 1.2.3"));
    let hello = found.handshake.unwrap().unwrap();
    assert_eq!(hello.agent.as_deref(), Some("fake 1.2.3"));
    assert!(hello.load && hello.images && !hello.resume && !hello.mcp_http);
}

#[tokio::test]
async fn a_look_at_a_broken_one_says_why() {
    insta::assert_snapshot!(found(r#"["--die", "4"]"#).await.handshake.unwrap().unwrap_err(), @r#"no handshake: it ended with exit code 4 before it answered initialize; it said "there is no key""#);
    let registry =
        user("[gone]\nprotocol = \"acp\"\ncommand = \"no-such-agent\"\nlicence = \"MIT\"\ninstall = \"x\"")
            .unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let gone = look("gone", registry.get("gone").unwrap(), folder.path(), None, Duration::from_secs(5)).await;
    assert_eq!((gone.program, gone.version, gone.handshake), (None, None, None));
}

#[tokio::test]
async fn a_silent_one_is_not_waited_for() {
    let fake = env!("CARGO_BIN_EXE_fake-acp-agent");
    let entry = format!(
        "[fake]\nprotocol = \"acp\"\ncommand = \"{fake}\"\nargs = [\"--silent\"]\nlicence = \"MIT\"\ninstall = \"x\""
    );
    let folder = tempfile::TempDir::new().unwrap();
    let registry = user(&entry).unwrap();
    let found =
        look("fake", registry.get("fake").unwrap(), folder.path(), None, Duration::from_millis(500)).await;
    insta::assert_snapshot!(found.handshake.unwrap().unwrap_err(), @"no handshake: it did not answer initialize within 0.5 s; is it an ACP agent, and does it start without questions?");
}
