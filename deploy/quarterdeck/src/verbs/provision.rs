//! `provision`: machines of teams, by the tools of a cluster's server. The command is a client of the guard as any other: what
//! people have to agree to waits for them, in another terminal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use qd_guard::{Answer, Incoming, Outcome};
use qd_types::InstanceName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Done, link, mcp};
use crate::{
    cli::{Common, NewMachine, Provision, ProvisionVerb, Who},
    context::{self, UserError},
    enrolment::Invitation,
    say,
    servers::hub::{FleetHub, Left},
};

/// Between two looks whether people decided.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn provision(common: &Common, asked: Provision) -> Done {
    let server = asked.cluster.map_or_else(|| "proxmox".to_owned(), |cluster| format!("proxmox-{cluster}"));
    let (tool, arguments) = match asked.verb {
        ProvisionVerb::Invite { name, who } => return invite(common, &name, &who).await,
        ProvisionVerb::Create(machine) => ("team_create", order(*machine)?),
        ProvisionVerb::Resize { name, cores, memory } => {
            ("team_resize", json!({ "team": name, "cores": cores, "memory_mib": memory }))
        }
        ProvisionVerb::Upgrade { name, snapshot } => {
            ("team_upgrade", json!({ "team": name, "snapshot": snapshot }))
        }
        ProvisionVerb::Destroy { name, backup_to } => {
            ("team_destroy", json!({ "team": name, "backup_to": backup_to }))
        }
        ProvisionVerb::List => ("list_teams", json!({})),
    };
    let result = Box::pin(called(common, &server, tool, &arguments)).await?;
    told(common, &result);
    Ok(())
}

fn order(machine: NewMachine) -> Result<Value, UserError> {
    let keys: Vec<String> = match &machine.ssh_keys {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| UserError::usage(format!("{} can't be read: {error}", path.display())))?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    let dry_run = machine.dry_run.then_some(true);
    Ok(json!({
        "team": machine.name, "template": machine.template, "pool": machine.pool, "cores": machine.cores,
        "memory_mib": machine.memory, "disk_gib": machine.disk, "storage": machine.storage, "ssh_keys": keys,
        "address": machine.address, "gateway": machine.gateway, "dry_run": dry_run,
    }))
}

async fn invite(common: &Common, name: &InstanceName, who: &Who) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let invited = link::proven(common, who, &format!("/fleet/instances/{name}/invite")).await?;
    match invited {
        Invitation::Waits { text } => say::line(&text),
        Invitation::Token { token, urls, until, alone } => {
            // Over HTTP, where the bot hears both ways: that needs nothing but the token.
            let url = urls
                .into_iter()
                .next()
                .ok_or_else(|| UserError::failed("the bot hears no machine: see hub.listen"))?;
            let left = Left { url, token, until };
            FleetHub::new(&loaded.state_dir).leave(name, &left).map_err(|error| {
                UserError::failed(format!(
                    "the invitation can't be kept in {}: {error}",
                    loaded.state_dir.display()
                ))
            })?;
            let until = until.strftime("%H:%M UTC");
            say::line(&format!(
                "{name} is invited, until {until}. Its machine: quarterdeck provision create {name}"
            ));
            if let Some(alone) = alone {
                say::line(&alone);
            }
        }
    }
    Ok(())
}

/// What was asked for and is not over: the same command goes on with it, and nobody is asked again.
#[derive(Serialize, Deserialize)]
struct Asked {
    arguments: Value,
    approval: String,
}

/// Where that is kept for a tool and a team.
fn file_of(state: &Path, server: &str, tool: &str, arguments: &Value) -> Option<PathBuf> {
    let team = arguments.get("team")?.as_str()?;
    let changes = arguments.get("dry_run").is_none_or(Value::is_null);
    changes.then(|| state.join("proxmox").join(server).join("asked").join(format!("{tool}-{team}.json")))
}

fn kept(file: Option<&PathBuf>, arguments: &Value) -> Option<String> {
    let asked: Asked = serde_json::from_slice(&std::fs::read(file?).ok()?).ok()?;
    (asked.arguments == *arguments).then_some(asked.approval)
}

fn keep(file: &Path, asked: &Asked) -> Result<(), UserError> {
    let write = || {
        let folder = file.parent().unwrap_or(file);
        std::fs::create_dir_all(folder)?;
        let half = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&half, asked)?;
        half.as_file().sync_all()?;
        half.persist(file).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error: std::io::Error| {
        UserError::failed(format!("{} can't be written: {error}", file.display()))
    })
}

/// Calls a tool, waits for people where they have to agree, and returns what came of it.
async fn called(common: &Common, server: &str, tool: &str, arguments: &Value) -> Result<Value, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let file = file_of(&loaded.state_dir, server, tool, arguments);
    let desk = mcp::alone_with(common, server).await?;
    let anew = || desk.call(incoming(tool, arguments));
    let mut answer = match kept(file.as_ref(), arguments) {
        Some(approval) => {
            match desk.call(incoming("call_outcome", &json!({ "approval": approval }))).await {
                // It is over, one way or another: this is another request.
                Answer::Refused(_) => anew().await,
                answer => answer,
            }
        }
        None => anew().await,
    };
    let mut told = None;
    let ended = loop {
        match answer {
            Answer::Pending(pending) => {
                if told.as_ref() != Some(&pending.standing) {
                    if let Some(file) = &file {
                        let (arguments, approval) = (arguments.clone(), pending.approval.clone());
                        keep(file, &Asked { arguments, approval })?;
                    }
                    say::note(&format!(
                        "People have to agree ({}): {}. {}",
                        pending.people, pending.decide, pending.standing
                    ));
                    told = Some(pending.standing);
                }
                let asked = json!({ "approval": pending.approval });
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    _ = tokio::signal::ctrl_c() => {
                        let text = format!("nobody decided on {} yet; the same command waits on", pending.approval);
                        return Err(UserError::failed(text));
                    }
                }
                answer = desk.call(incoming("call_outcome", &asked)).await;
            }
            Answer::Done { result: Outcome::Whole(value), .. } => break Ok(value),
            Answer::Done { .. } => break Ok(Value::Null),
            Answer::Preview(preview) => {
                let people = preview.people.unwrap_or_else(|| "nobody".to_owned());
                break Ok(json!({ "target": preview.target, "steps": preview.steps, "people": people }));
            }
            Answer::Refused(refusal) => {
                let text = format!("{} {}", refusal.problem, refusal.way_out);
                break Err(UserError::failed(text.trim().to_owned()));
            }
        }
    };
    if let Some(file) = &file {
        // It is over: whoever asks for the same again asks people anew.
        let _ = std::fs::remove_file(file);
    }
    desk.end().await?;
    ended
}

fn incoming(tool: &str, arguments: &Value) -> Incoming {
    let mut incoming = Incoming::default();
    incoming.name = tool.to_owned();
    let given = arguments.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    incoming.arguments = given.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>();
    incoming
}

fn told(common: &Common, result: &Value) {
    if common.json {
        return say::json(result);
    }
    let text = |row: &Value, key: &str| match row.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let line = |row: &Value| {
        format!(
            "{:<16} {:<10} {:<10} {}",
            text(row, "team"),
            text(row, "vmid"),
            text(row, "node"),
            text(row, "standing")
        )
    };
    if let Some(machines) = result.get("machines").and_then(Value::as_array) {
        return machines.iter().for_each(|row| say::line(&line(row)));
    }
    if let Some(steps) = result.get("steps").and_then(Value::as_array) {
        steps.iter().filter_map(Value::as_str).for_each(say::line);
        return;
    }
    say::line(&line(result));
}
