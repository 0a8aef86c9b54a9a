//! A server of somebody else behind the guard: started within walls, or reached over the network, and served with those of
//! its tools that a person trusted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use qd_approvals::inert;
use qd_guard::{
    proxy::{Found, Mapping, Pins, Proxy, Trust},
    reach::{Reach, SystemNames},
};
use secrecy::SecretString;
use tokio::process::Child;

use super::{alone::Home, shell_word};
use crate::{
    cli::{Common, Foreign},
    context::UserError,
    say,
    servers::{
        outside,
        walled::{self, Wanted},
    },
    verbs::{Done, proof},
};

/// Longest line that a server wrote and people see, in characters.
pub(super) const LINE: usize = 300;

/// How long a server may take to begin and to list its tools. One that is fetched first takes a while.
const BEGIN: Duration = Duration::from_secs(120);

pub(super) async fn foreign(common: &Common, asked: Foreign) -> Done {
    let mut home = Home::open(common).await?;
    let passed = asked.env.iter().chain(&asked.bearer).filter_map(|name| std::env::var(name).ok());
    home.secrets.extend(outside::secrets(passed));
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
    let (proxy, mut child) = connect(&home, &asked, &folder, pins.clone(), mapping).await?;
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
        say::note(&format!(
            "{left_out} tools of {} are new or changed, and are not served until a person looked at them: {}",
            asked.name,
            again(&asked),
        ));
    }
    let server = proxy.server().map_err(|error| failed(&error))?;
    home.aside = Some(proxy.aside());
    let served = match asked.listening.listen {
        Some(_) => {
            let (listening, private) = (&asked.listening, asked.allow_private);
            Box::pin(home.listen(common, &asked.name, server, listening, private)).await
        }
        None => Box::pin(home.serve(common, &asked.name, server)).await,
    };
    if let Some(child) = &mut child {
        child.kill().await.ok();
    }
    served
}

/// Connects to it: over the network, or to a process that it is started as.
async fn connect(
    home: &Home,
    asked: &Foreign,
    folder: &Path,
    pins: Pins,
    mapping: Mapping,
) -> Result<(Proxy, Option<Child>), UserError> {
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    if let Some(url) = &asked.url {
        let reach =
            Reach::new(url, asked.allow_private, &SystemNames).await.map_err(|error| failed(&error))?;
        let token = asked.bearer.as_deref().map(|name| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.map(SecretString::from).ok_or_else(|| UserError::usage(format!("{name} is not set")))
        });
        let transport = reach.transport(token.transpose()?.as_ref());
        let connecting = Proxy::connect(&asked.name, transport, pins, mapping);
        let connected = tokio::time::timeout(BEGIN, connecting).await.map_err(|_| late(asked))?;
        return Ok((connected.map_err(|error| failed(&error))?, None));
    }
    let wanted = Wanted {
        name: &asked.name,
        command: asked.command.clone(),
        passed: &asked.env,
        set: BTreeMap::new(),
        read: &asked.read,
        write: &asked.write,
    };
    let (sandbox, state) = (&home.loaded.config.sandbox, &home.loaded.state_dir);
    let mut child = walled::start(sandbox, state, &wanted, folder).await?;
    let (Some(reader), Some(writer)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(UserError::failed("the server's standard input and output can't be had"));
    };
    let connecting = Proxy::connect(&asked.name, (reader, writer), pins, mapping);
    let connected = tokio::time::timeout(BEGIN, connecting).await.map_err(|_| late(asked))?;
    Ok((connected.map_err(|error| failed(&error))?, Some(child)))
}

fn late(asked: &Foreign) -> UserError {
    UserError::failed(format!(
        "the server {} did not begin a session within {} s",
        asked.name,
        BEGIN.as_secs()
    ))
}

/// The command that shows its tools and trusts them.
fn again(asked: &Foreign) -> String {
    let mut words = ["quarterdeck", "mcp", "guard", "--name", &asked.name].map(str::to_owned).to_vec();
    let mut flag = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    for (name, paths) in [
        ("--mapping", asked.mapping.as_slice()),
        ("--read", asked.read.as_slice()),
        ("--write", asked.write.as_slice()),
    ] {
        paths.iter().for_each(|path| flag(name, &path.to_string_lossy()));
    }
    asked.env.iter().for_each(|value| flag("--env", value));
    asked.url.iter().for_each(|value| flag("--url", value));
    asked.bearer.iter().for_each(|value| flag("--bearer", value));
    if asked.allow_private {
        words.push("--allow-private".to_owned());
    }
    words.push("--trust".to_owned());
    if asked.url.is_none() {
        words.push("--".to_owned());
        words.extend(asked.command.iter().map(|part| part.to_string_lossy().into_owned()));
    }
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
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
