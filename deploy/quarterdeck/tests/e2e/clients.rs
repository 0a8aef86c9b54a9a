//! What the servers' READMEs and the guide give to copy: each is a configuration of its client that starts one of our servers,
//! under a name that the program has.

use std::path::Path;

use crate::support::Project;

const CLIENTS: [&str; 6] = ["Claude Code", "Codex", "Gemini CLI", "opencode", "VS Code", "Zed"];

/// The blocks of a text: language and content.
fn blocks(text: &str) -> Vec<(String, String)> {
    let parts = text.split("```").skip(1).step_by(2);
    let block = |part: &str| part.split_once('\n').map(|(kind, text)| (kind.to_owned(), text.to_owned()));
    parts.filter_map(block).collect()
}

#[test]
fn what_readmes_give_to_copy_starts_our_servers() {
    let project = Project::new(&[("README.md", "# Clients\n")]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scanned = |ending: &str, text: &str| {
        let file = project.folder().join(format!("client.{ending}"));
        std::fs::write(&file, text).unwrap();
        project.ok(&["mcp", "scan", file.to_str().unwrap()])
    };
    for server in ["board", "discord", "docker", "github", "proxmox"] {
        let readme = std::fs::read_to_string(root.join(format!("mcp-servers/{server}/README.md"))).unwrap();
        let (_, part) = readme.split_once("## In a client").unwrap();
        for client in CLIENTS {
            assert!(part.contains(client), "{server}: {client}");
        }
        let blocks = blocks(part);
        assert!(blocks.len() >= CLIENTS.len(), "{server}: {}", blocks.len());
        for (kind, text) in blocks {
            if kind == "sh" {
                let (_, words) = text.trim().split_once(" -- quarterdeck ").unwrap();
                let words: Vec<&str> = words.split(' ').chain(["--help"]).collect();
                assert_eq!(words[..2], ["mcp", server], "{text}");
                project.ok(&words);
                continue;
            }
            let said = scanned(&kind, &text);
            let line = said.lines().nth(1).unwrap_or_default();
            assert!(
                said.contains("1 servers")
                    && line.trim().starts_with(&format!("guarded  quarterdeck-{server}")),
                "{text}: {said}"
            );
        }
    }
    let guide = std::fs::read_to_string(root.join("docs/src/guides/mcp.md")).unwrap();
    let rows =
        guide.lines().filter(|line| CLIENTS.iter().any(|client| line.starts_with(&format!("| {client} |"))));
    let (mut programs, mut remote) = (0, 0);
    for row in rows {
        for text in row.split('`').skip(1).step_by(2).filter(|text| text.starts_with('{')) {
            let said = scanned("json", text);
            programs += usize::from(said.contains("guarded  quarterdeck-board"));
            remote += usize::from(said.contains("remote   quarterdeck-board  http://127.0.0.1:8765/mcp"));
        }
    }
    // Codex takes TOML, and Gemini CLI the same as Claude Code over standard input and output.
    assert_eq!((programs, remote), (4, 5));
}

#[test]
fn a_scan_knows_the_files_of_all_six_clients() {
    let project = Project::new(&[("README.md", "# Clients\n")]);
    let put = |name: &str, text: &str| {
        let file = project.folder().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    put(".mcp.json", r#"{"mcpServers": {"one": {"command": "one"}}}"#);
    put(".codex/config.toml", "[mcp_servers.two]\ncommand = \"two\"\n");
    put(".gemini/settings.json", r#"{"mcpServers": {"three": {"command": "three", "args": ["x"]}}}"#);
    put("opencode.json", r#"{"mcp": {"four": {"type": "local", "command": ["four", "y"]}}}"#);
    put(".vscode/mcp.json", r#"{"servers": {"five": {"type": "stdio", "command": "five"}}}"#);
    put(".zed/settings.json", r#"{"context_servers": {"six": {"command": "six"}}}"#);
    let mut scan = project.command(&["mcp", "scan"]);
    let output = scan.env("HOME", project.state()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let folder = project.folder().canonicalize().unwrap().display().to_string();
    insta::assert_snapshot!(said.replace(&folder, "HERE"), @"
    HERE/.mcp.json: 1 servers
      exposed  one  one
    HERE/.gemini/settings.json: 1 servers
      exposed  three  three x
    HERE/.codex/config.toml: 1 servers
      exposed  two  two
    HERE/opencode.json: 1 servers
      exposed  four  four y
    HERE/.vscode/mcp.json: 1 servers
      exposed  five  five
    HERE/.zed/settings.json: 1 servers
      exposed  six  six
    ");
}
