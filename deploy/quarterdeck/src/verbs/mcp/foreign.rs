//! A server of somebody else behind the guard: started with a cleared environment, a home of its own and walls, and served
//! with those of its tools that a person trusted.

use std::{path::Path, process::Stdio};

use qd_approvals::inert;
use qd_guard::proxy::{Found, Mapping, Pins, Proxy, Trust};
use tokio::process::{Child, Command};

use super::alone::Home;
use crate::{
    cli::{Common, Foreign},
    context::UserError,
    say,
    verbs::{Done, proof},
};

/// Longest line that a server wrote and people see, in characters.
pub(super) const LINE: usize = 300;

pub(super) async fn foreign(common: &Common, asked: Foreign) -> Done {
    let home = Home::open(common).await?;
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    let folder = home.folder().join(&asked.name);
    if !is_name(&asked.name) || super::servers::is_one(&asked.name) {
        return Err(UserError::usage(format!(
            "{:?} is no name for a server: take letters, digits, _ and -, and none of our own servers' names",
            asked.name
        )));
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| UserError::failed(format!("{} can't be made: {error}", folder.display())))?;
    let file = folder.join("pins.json");
    let mut pins = Pins::read(&file).map_err(|error| failed(&error))?;
    let mapping = mapping(asked.mapping.as_deref())?;
    let mut child = start(&home, &asked, &folder)?;
    let (Some(reader), Some(writer)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(UserError::failed("the server's standard input and output can't be had"));
    };
    let connected = Proxy::connect(&asked.name, (reader, writer), pins.clone(), mapping).await;
    let proxy = connected.map_err(|error| failed(&error))?;
    if asked.trust {
        proxy.found().iter().for_each(show);
        let new: Vec<&Found> = proxy
            .found()
            .iter()
            .filter(|found| found.trust != Trust::Pinned && found.refused.is_none())
            .collect();
        if new.is_empty() {
            say::line("There is nothing new to trust.");
            return Ok(());
        }
        proof::person(common, &home.loaded, &asked.who).await?;
        let trusted = new.iter().filter(|found| pins.trust(&found.tool));
        let names: Vec<String> = trusted.map(|found| inert::plain(&found.tool.name, LINE)).collect();
        pins.write(&file).map_err(|error| failed(&error))?;
        say::line(&format!("Trusted as they are now: {}", names.join(", ")));
        return Ok(());
    }
    let left_out = proxy.found().iter().filter(|found| !found.is_served()).count();
    if left_out > 0 {
        let args: Vec<_> = asked.command.iter().map(|part| part.to_string_lossy()).collect();
        say::note(&format!(
            "{left_out} tools of {name} are new or changed, and are not served until a person looked at them: quarterdeck mcp \
             guard --name {name} --trust -- {}",
            args.join(" "),
            name = asked.name,
        ));
    }
    let server = proxy.server().map_err(|error| failed(&error))?;
    let served = home.serve(&asked.name, server).await;
    child.kill().await.ok();
    served
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn mapping(file: Option<&Path>) -> Result<Mapping, UserError> {
    let Some(file) = file else { return Ok(Mapping::default()) };
    let wrong = |error: String| UserError::failed(format!("{} can't be read: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// Starts it. It ends with this process.
fn start(home: &Home, asked: &Foreign, folder: &Path) -> Result<Child, UserError> {
    let own = folder.join("home");
    std::fs::create_dir_all(&own)
        .map_err(|error| UserError::failed(format!("{} can't be made: {error}", own.display())))?;
    let walls = crate::walls::launcher(home.loaded.config.sandbox.kind)?;
    let (program, args) =
        asked.command.split_first().ok_or_else(|| UserError::usage("say which server to start, after --"))?;
    let mut command = match walls {
        Some(launcher) => {
            let mut command = Command::new(launcher);
            command.arg("confine");
            for path in std::iter::once(&own).chain(&asked.write) {
                command.arg("--write").arg(path);
            }
            command.arg("--").arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(args).env_clear().env("HOME", &own).env("TMPDIR", &own);
    for name in std::iter::once("PATH").chain(asked.env.iter().map(String::as_str)) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|error| {
        UserError::failed(format!("{} can't be started: {error}", program.to_string_lossy()))
    })
}

/// A tool, for whoever decides whether to trust it. What it says of itself is inert and quoted.
pub(super) fn show(found: &Found) {
    let state = match (&found.refused, &found.trust) {
        (Some(_), _) => "refused",
        (None, Trust::Pinned) => "trusted",
        (None, Trust::New) => "new",
        (None, Trust::Changed(_)) => "changed",
    };
    let name = inert::plain(&found.tool.name, LINE);
    say::line(&format!("{state:<8} {:<9} {name}", found.tier.as_str()));
    found
        .refused
        .iter()
        .chain(&found.warnings)
        .for_each(|why| say::line(&format!("  ! {}", inert::plain(why, LINE))));
    match &found.trust {
        Trust::Pinned => {}
        Trust::New => {
            found
                .tool
                .description
                .lines()
                .for_each(|line| say::line(&format!("  > {}", inert::plain(line, LINE))));
        }
        Trust::Changed(difference) => {
            difference.lines().for_each(|line| say::line(&format!("  {}", inert::plain(line, LINE))));
        }
    }
}
