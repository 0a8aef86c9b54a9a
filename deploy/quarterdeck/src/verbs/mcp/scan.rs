//! What the configuration files of coding agents would start, and the same file with each server behind the guard.

mod file;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use qd_approvals::inert;
use serde_json::{Value, json};

use crate::{
    cli::Common,
    context::{self, UserError},
    say,
    verbs::Done,
};
use file::File;

/// Known files: in a project, and below the home folder.
const IN_PROJECT: [&str; 8] = [
    ".mcp.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    "opencode.json",
    "opencode.jsonc",
    ".vscode/mcp.json",
    ".vscode/settings.json",
    ".zed/settings.json",
];
const AT_HOME: [&str; 8] = [
    ".claude.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    ".config/opencode/opencode.json",
    ".config/opencode/opencode.jsonc",
    ".config/Code/User/settings.json",
    ".config/Code/User/mcp.json",
    ".config/zed/settings.json",
];

/// Longest piece of somebody's configuration that is shown, in characters.
const PIECE: usize = 200;

/// A server in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    /// Where it stands in the file.
    place: Vec<String>,
    /// Whether program and arguments are one list.
    is_list: bool,
    kind: Kind,
    /// Names of variables whose values stand in the file.
    env: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Goes through the guard, or is one of ours.
    Guarded,
    /// A program that is started as you.
    Program(Vec<String>),
    /// A server on the network.
    Remote(String),
    /// What it is can't be told.
    Unclear,
}

pub(super) fn scan(common: &Common, file: Option<PathBuf>, write: bool) -> Done {
    let files = match file {
        Some(file) => vec![file],
        None => known(common)?,
    };
    if files.is_empty() {
        say::line("None of the files that are known is here. Name one: quarterdeck mcp scan FILE");
    }
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| UserError::failed(format!("{} can't be read: {error}", file.display())))?;
        let (entries, rewritten) = look(&text, is_toml(&file))
            .map_err(|problem| UserError::failed(format!("{} can't be read: {problem}", file.display())))?;
        tell(common, &file, &entries);
        if write {
            replace(&file, &text, &rewritten)?;
        } else if entries.iter().any(|entry| matches!(entry.kind, Kind::Program(_))) {
            say::note(&format!("Put them behind the guard: quarterdeck mcp scan {} --write", file.display()));
        }
        if entries.iter().any(|entry| matches!(entry.kind, Kind::Remote(_))) {
            say::note(
                "Those on the network stay as they are: quarterdeck mcp guard --name NAME --url URL guards one.",
            );
        }
    }
    Ok(())
}

fn known(common: &Common) -> Result<Vec<PathBuf>, UserError> {
    let sources = context::sources(common)?;
    let here = IN_PROJECT.iter().map(|name| sources.cwd.join(name));
    let home = sources.env.get("HOME").map(PathBuf::from);
    let there = home.iter().flat_map(|home| AT_HOME.iter().map(|name| home.join(name)));
    Ok(here.chain(there).filter(|path| path.is_file()).collect())
}

fn is_toml(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "toml")
}

fn tell(common: &Common, file: &Path, entries: &[Entry]) {
    if common.json {
        let row = |entry: &Entry| {
            let (kind, what) = said(&entry.kind);
            json!({ "name": entry.name, "kind": kind, "what": what, "env": entry.env })
        };
        let rows: Vec<Value> = entries.iter().map(row).collect();
        say::json(&json!({ "file": file, "servers": rows }));
        return;
    }
    say::line(&format!("{}: {} servers", file.display(), entries.len()));
    entries.iter().for_each(|entry| say::line(&line(entry)));
}

fn said(kind: &Kind) -> (&'static str, String) {
    match kind {
        Kind::Guarded => ("guarded", String::new()),
        Kind::Program(argv) => ("exposed", argv.join(" ")),
        Kind::Remote(url) => ("remote", url.clone()),
        Kind::Unclear => ("unclear", String::new()),
    }
}

fn line(entry: &Entry) -> String {
    let (kind, what) = said(&entry.kind);
    let env = match entry.env.as_slice() {
        [] => String::new(),
        names => format!("  with {}", names.join(", ")),
    };
    let text = format!("{}  {what}{env}", entry.name);
    format!("  {kind:<8} {}", inert::plain(text.trim_end(), PIECE))
}

/// The servers of a file, and the file with each program behind the guard.
fn look(text: &str, toml: bool) -> Result<(Vec<Entry>, String), String> {
    let mut file = File::read(text, toml)?;
    let entries = entries(&file.value()?);
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &entries {
        let Kind::Program(argv) = &entry.kind else { continue };
        let args = guarded(entry, argv, &mut taken);
        if !file.start_with(&entry.place, &args) {
            return Err(format!("how {} is started can't be changed: change it by hand", entry.name));
        }
    }
    let rewritten = file.text();
    let now = File::read(&rewritten, toml)?.value()?;
    // Whatever this would leave in front of the guard, a person has to know.
    if let Some(left) = self::entries(&now).iter().find(|entry| matches!(entry.kind, Kind::Program(_))) {
        return Err(format!("{} stands there twice: name it once", left.name));
    }
    Ok((entries, rewritten))
}

fn entries(whole: &Value) -> Vec<Entry> {
    let mut all: Vec<Entry> =
        file::servers(whole).into_iter().map(|(place, server)| entry(place, server)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn entry(place: Vec<String>, server: &Value) -> Entry {
    // Older ones of Zed have all of it within `command`.
    let holder = server.get("command").filter(|command| command.is_object()).unwrap_or(server);
    let text = |key: &str| holder.get(key).and_then(Value::as_str).map(str::to_owned);
    // What is no text can't be passed on as it is.
    let list = |key: &str| -> Option<Vec<String>> {
        let items =
            holder.get(key).map_or(Some(&[] as &[Value]), |list| list.as_array().map(Vec::as_slice))?;
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let argv = match text("command").or_else(|| text("path")) {
        Some(program) => list("args").map(|args| std::iter::once(program).chain(args).collect()),
        None => list("command"),
    };
    let url = text("url").or_else(|| text("httpUrl")).or_else(|| text("serverUrl"));
    let kind = match (argv.as_deref(), url) {
        (Some([program, verb, ..]), _) if is_ours(program) && verb == "mcp" => Kind::Guarded,
        (Some([_, ..]), _) => Kind::Program(argv.clone().unwrap_or_default()),
        (Some([]), Some(url)) => Kind::Remote(url.split(['?', '#']).next().unwrap_or_default().to_owned()),
        (Some([]), None) | (None, _) => Kind::Unclear,
    };
    let env = ["env", "environment"].iter().find_map(|key| holder.get(key)?.as_object());
    let mut names: Vec<String> = env.into_iter().flat_map(|env| env.keys().cloned()).collect();
    // Codex passes these on.
    let passed = holder.get("env_vars").and_then(Value::as_array).into_iter().flatten();
    names.extend(passed.filter_map(Value::as_str).map(str::to_owned));
    let name = place.last().cloned().unwrap_or_default();
    let is_list = holder.get("command").is_some_and(Value::is_array);
    Entry { name, place, is_list, kind, env: names }
}

/// Whether it is this program: found by its name, or where it lies.
fn is_ours(program: &str) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    program == "quarterdeck"
        || (Path::new(program).is_absolute()
            && real(Path::new(program))
                .is_some_and(|path| std::env::current_exe().ok().and_then(|own| real(&own)) == Some(path)))
}

/// The arguments of quarterdeck that start a server through the guard; its own come behind them. Another server gets
/// another name: a name's trust and home are its own.
fn guarded(entry: &Entry, argv: &[String], taken: &mut BTreeMap<String, Vec<String>>) -> Vec<String> {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '-' };
    let plain: String = entry.name.chars().map(letter).take(30).collect();
    let is_free = |name: &String| {
        !super::servers::is_one(name) && taken.get(name).is_none_or(|other| other.as_slice() == argv)
    };
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let name = std::iter::once(plain.clone()).chain(numbered).find(is_free).unwrap_or_default();
    taken.insert(name.clone(), argv.to_vec());
    let mut args = ["mcp", "guard", "--name", name.as_str()].map(str::to_owned).to_vec();
    for name in &entry.env {
        args.extend(["--env".to_owned(), name.clone()]);
    }
    args.push("--".to_owned());
    // A list holds its program already.
    args.extend(argv.first().filter(|_| !entry.is_list).cloned());
    args
}

/// Writes the file whole or not at all; what it was stays beside it.
fn replace(file: &Path, before: &str, after: &str) -> Done {
    if before == after {
        say::line("There is nothing to change.");
        return Ok(());
    }
    let failed =
        |error: std::io::Error| UserError::failed(format!("{} can't be written: {error}", file.display()));
    // A link stays one.
    let file = &file.canonicalize().map_err(failed)?;
    let mut kept = file.as_os_str().to_owned();
    kept.push(".before-guard");
    let mut half = file.as_os_str().to_owned();
    half.push(".half");
    if Path::new(&kept).exists() {
        let kept = Path::new(&kept).display();
        return Err(UserError::failed(format!("{kept} is there already: take it away first")));
    }
    std::fs::copy(file, &kept).map_err(failed)?;
    // The copy has the mode of the file: nobody else reads what stands in it.
    std::fs::copy(file, &half)
        .and_then(|_| std::fs::write(&half, after))
        .and_then(|()| std::fs::rename(&half, file))
        .map_err(failed)?;
    say::line(&format!(
        "Rewritten; as it was: {}. Each server serves nothing until you trust its tools: quarterdeck mcp guard --trust.",
        Path::new(&kept).display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_each_client_are_found_and_put_behind_the_guard() {
        let claude = r#"{"mcpServers": {
            "files": {"command": "npx", "args": ["-y", "files"], "env": {"FILES_KEY": "secret"}},
            "far": {"type": "http", "url": "https://mcp.example.com"},
            "board": {"command": "quarterdeck", "args": ["mcp", "board"]}}}"#;
        let (entries, rewritten) = look(claude, false).unwrap();
        let lines: Vec<String> = entries.iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
          guarded  board
          remote   far  https://mcp.example.com
          exposed  files  npx -y files  with FILES_KEY
        ");
        let now: Value = serde_json::from_str(&rewritten).unwrap();
        let before: Value = serde_json::from_str(claude).unwrap();
        let guarded = ["mcp", "guard", "--name", "files", "--env", "FILES_KEY", "--", "npx", "-y", "files"];
        assert_eq!(now["mcpServers"]["files"]["command"], "quarterdeck");
        assert_eq!(now["mcpServers"]["files"]["args"], json!(guarded));
        assert_eq!(now["mcpServers"]["files"]["env"], before["mcpServers"]["files"]["env"]);
        assert_eq!(now["mcpServers"]["far"], before["mcpServers"]["far"]);
        assert_eq!(now["mcpServers"]["board"], before["mcpServers"]["board"]);
        assert_eq!(look(&rewritten, false).unwrap().1, rewritten, "what is guarded stays as it is");

        let opencode = r#"{"mcp": {"files": {"type": "local", "command": ["npx", "files"]}}}"#;
        let now: Value = serde_json::from_str(&look(opencode, false).unwrap().1).unwrap();
        let guarded = ["quarterdeck", "mcp", "guard", "--name", "files", "--", "npx", "files"];
        assert_eq!(now["mcp"]["files"]["command"], json!(guarded));
    }

    #[test]
    fn what_people_wrote_beside_it_stays() {
        let codex = "# mine\n[mcp_servers.files]\ncommand = \"npx\" # the usual\nargs = [\n  # which\n  \"files\",\n]\nenv_vars = [\"FILES_KEY\"]\n\n[mcp_servers.far]\nurl = \"https://a.example/mcp?key=secret\"\n";
        let (entries, rewritten) = look(codex, true).unwrap();
        assert_eq!(entries[0].kind, Kind::Remote("https://a.example/mcp".to_owned()));
        insta::assert_snapshot!(rewritten, @r#"
        # mine
        [mcp_servers.files]
        command = "quarterdeck" # the usual
        args = ["mcp", "guard", "--name", "files", "--env", "FILES_KEY", "--", "npx",
          # which
          "files",
        ]
        env_vars = ["FILES_KEY"]

        [mcp_servers.far]
        url = "https://a.example/mcp?key=secret"
        "#);
        let vscode = r#"{
  // Mine.
  "servers": {
    "files": {
      "type": "stdio",
      "command": "npx", // the usual
      "args": [
        "-y", /* which */ "files",
      ],
      "env": { "FILES_KEY": "${input:key}" },
    },
    "plain": { "command": "other" },
  },
  "inputs": [{ "id": "key", "type": "promptString" }],
}
"#;
        let (_, rewritten) = look(vscode, false).unwrap();
        insta::assert_snapshot!(rewritten, @r#"
        {
          // Mine.
          "servers": {
            "files": {
              "type": "stdio",
              "command": "quarterdeck", // the usual
              "args": [
                "mcp",
                "guard",
                "--name",
                "files",
                "--env",
                "FILES_KEY",
                "--",
                "npx",
                "-y", /* which */ "files",
              ],
              "env": { "FILES_KEY": "${input:key}" },
            },
            "plain": {
              "command": "quarterdeck",
              "args": ["mcp", "guard", "--name", "plain", "--", "other"]
            },
          },
          "inputs": [{ "id": "key", "type": "promptString" }],
        }
        "#);
        assert_eq!(look(&rewritten, false).unwrap().1, rewritten);
        assert!(look("{ 'mine': 1 }", false).is_err());
    }

    #[test]
    fn whatever_their_names_each_has_its_own() {
        let text = r#"{"mcpServers": {
            "my files": {"command": "a"}, "my-files": {"command": "b"}, "board": {"command": "c"},
            "odd": {"command": "d", "args": [1]}},
            "projects": {"/home/me/it": {"mcpServers": {"my files": {"command": "a"}}}},
            "context_servers": {"old": {"command": {"path": "zed-server", "args": ["x"], "env": {"K": "v"}}}}}"#;
        let (entries, rewritten) = look(text, false).unwrap();
        let lines: Vec<String> = entries.iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        exposed  board  c
        exposed  my files  a
        exposed  my files  a
        exposed  my-files  b
        unclear  odd
        exposed  old  zed-server x  with K
        ");
        let now: Value = serde_json::from_str(&rewritten).unwrap();
        let name = |at: &Value| at["args"][3].as_str().unwrap().to_owned();
        let servers = &now["mcpServers"];
        assert_eq!(name(&servers["my files"]), "my-files");
        assert_eq!(name(&servers["my-files"]), "my-files-2");
        assert_eq!(name(&servers["board"]), "board-2", "our own have their names");
        assert_eq!(name(&now["projects"]["/home/me/it"]["mcpServers"]["my files"]), "my-files");
        assert_eq!(servers["odd"], json!({"command": "d", "args": [1]}), "what can't be passed on stays");
        let old = &now["context_servers"]["old"]["command"];
        assert_eq!(old["path"], "quarterdeck");
        assert_eq!(
            old["args"],
            json!(["mcp", "guard", "--name", "old", "--env", "K", "--", "zed-server", "x"])
        );
        let twice = r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#;
        assert!(look(twice, false).is_err());
    }

    #[test]
    fn the_file_is_replaced_whole_and_as_private_as_it_was() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        std::fs::write(&file, "before").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "before", "after").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let kept = folder.path().join("real.json.before-guard");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "before");
        assert_eq!((mode(&file), mode(&kept)), (0o600, 0o600));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(replace(&link, "after", "again").is_err(), "what is kept is not written over");
    }
}
