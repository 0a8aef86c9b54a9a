//! A server of somebody else as a process: within the walls of agents, with a cleared environment and a home of its own. It
//! sees nothing of the fleet's state and of people's homes but what it was given.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use qd_config::{Sandbox, SandboxKind, SandboxNetwork};
use qd_sandbox::{Bounds, Kind, Network, Spec, Unwalled};
use qd_types::{FeatureId, InstanceName, RunId};
use tokio::process::{Child, Command};

use crate::{context::UserError, say, walls};

/// Whose sandboxes these are, for whoever looks at an engine.
const INSTANCE: &str = "mcp-guard";

/// What is started, and what it is given.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What the server is called here.
    pub name: &'a str,
    /// Its command line.
    pub command: Vec<OsString>,
    /// Names of variables of this environment that it is given, besides PATH.
    pub passed: &'a [String],
    /// Variables that it is given with these values.
    pub set: BTreeMap<String, String>,
    /// What it may read where it would see nothing, besides what its command line names.
    pub read: &'a [PathBuf],
    /// What it may write, besides its home.
    pub write: &'a [PathBuf],
}

/// Starts it, with its home in `folder`. It ends with this process.
pub async fn start(
    sandbox: &Sandbox,
    state: &Path,
    asked: &Wanted<'_>,
    folder: &Path,
) -> Result<Child, UserError> {
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    let own = folder.join("home");
    std::fs::create_dir_all(&own)
        .map_err(|error| UserError::failed(format!("{} can't be made: {error}", own.display())))?;
    let own = real(&own);
    let (program, args) =
        asked.command.split_first().ok_or_else(|| UserError::usage("say which server to start, after --"))?;
    let mut walls = walls::of_agents(sandbox, state)?;
    if let Err(error) = walls.sandbox.probe().await {
        if sandbox.kind != SandboxKind::Auto {
            let text =
                format!("{error}. Or set sandbox.kind to none: the server is then started without walls");
            return Err(UserError::failed(text));
        }
        say::note(&format!("There are no walls around {}: {error}.", asked.name));
        walls.sandbox = std::sync::Arc::new(Unwalled(Bounds(walls::program()?)));
    }
    let user = std::env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
    let state = real(state);
    let kind = walls.sandbox.kind();
    // Where only writes meet walls, its home is where it lies.
    let moved = matches!(kind, Kind::Bubblewrap | Kind::Docker);
    let mut read = named(asked, &state, &user);
    for path in asked.read.iter().chain(&walls.read) {
        read.push(apart(path, &state)?);
    }
    if kind == Kind::Bubblewrap {
        read.extend(qd_team::programs(&user));
    }
    let mut write = Vec::new();
    for path in asked.write.iter().chain(&walls.write) {
        write.push(apart(path, &state)?);
    }
    if kind == Kind::Landlock {
        write.extend(qd_confine::walls::devices());
    }
    // It speaks for itself with whom it has to: only where agents reach nothing at all does it not either.
    let network = match sandbox.network {
        SandboxNetwork::Closed => Network::Closed,
        SandboxNetwork::Auto | SandboxNetwork::Open => Network::Open,
    };
    let feature = FeatureId::new("GUARD", 1).map_err(|error| failed(&error))?;
    let spec = Spec {
        instance: INSTANCE.parse::<InstanceName>().map_err(|error| failed(&error))?,
        run: RunId::new(feature, 1),
        cwd: own.clone(),
        home: own.clone(),
        home_at: real(&user),
        write,
        read,
        hidden: vec![state],
        limits: walls.limits,
        network,
        turn: None,
        adopt: None,
    };
    let launch = walls.sandbox.launch(&spec).map_err(|error| failed(&error))?;
    let mut argv =
        launch.argv.into_iter().chain(std::iter::once(program.clone())).chain(args.iter().cloned());
    let first = argv.next().ok_or_else(|| UserError::usage("say which server to start, after --"))?;
    let mut command = Command::new(first);
    command.args(argv).current_dir(&own).env_clear();
    let tmp = if moved { PathBuf::from("/tmp") } else { own.clone() };
    command.env("HOME", if moved { &spec.home_at } else { &own }).env("TMPDIR", tmp);
    for name in std::iter::once("PATH").chain(asked.passed.iter().map(String::as_str)) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(&asked.set);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|error| {
        UserError::failed(format!("{} can't be started: {error}", program.to_string_lossy()))
    })
}

/// What the command line names, if it is there: a script, a folder to serve. Neither a home as a whole nor what holds our
/// state.
fn named(asked: &Wanted<'_>, state: &Path, user: &Path) -> Vec<PathBuf> {
    let paths = asked.command.iter().map(Path::new).filter(|path| path.is_absolute());
    let there = paths.filter_map(|path| path.canonicalize().ok());
    there.filter(|path| apart(path, state).is_ok() && !real(user).starts_with(path)).collect()
}

/// A path that has nothing to do with our state.
fn apart(path: &Path, state: &Path) -> Result<PathBuf, UserError> {
    let path = real(path);
    if path.starts_with(state) || state.starts_with(&path) {
        return Err(UserError::usage(format!(
            "{} holds the fleet's state or lies within it, and no server sees that: name another folder",
            path.display()
        )));
    }
    Ok(path)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
