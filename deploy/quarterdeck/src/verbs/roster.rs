//! `team` and `repo`: who works, and where. Each edits the configuration file as a person would, leaves everything else in
//! it as it is, and has a running fleet read it again. What would not hold is not written.

use hyper::Method;
use qd_api::ClientError;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::{Done, explain};
use crate::{
    cli::{Common, RepoVerb, TeamVerb},
    context::{self, UserError},
    say,
};

pub(super) async fn team(common: &Common, verb: TeamVerb) -> Done {
    match verb {
        TeamVerb::List => {
            let loaded = context::load(&context::sources(common)?)?;
            let rows = loaded.config.teams.iter();
            list(
                common,
                rows.map(|team| (team.name.to_string(), format!("{} runs at once", team.slots))).collect(),
            );
            Ok(())
        }
        TeamVerb::Add { name, agent, prefix, slots } => {
            let mut table = Table::new();
            table.insert("name", value(name.as_str()));
            for (key, text) in [("agent", agent), ("prefix", prefix)] {
                if let Some(text) = text {
                    table.insert(key, value(text));
                }
            }
            if let Some(slots) = slots {
                table.insert("slots", value(i64::from(slots)));
            }
            change(common, &format!("Team {name} is added"), |file| add(file, "teams", table)).await
        }
        TeamVerb::Rename { name, to } => {
            let said = format!("Team {name} is called {to} now; its state, branches and channel stay");
            change(common, &said, |file| rename(file, name.as_str(), to.as_str())).await
        }
        TeamVerb::Retire { name } => {
            let said = format!("Team {name} is retired; its state stays on the disk");
            change(common, &said, |file| remove(file, "teams", name.as_str())).await
        }
    }
}

pub(super) async fn repo(common: &Common, verb: RepoVerb) -> Done {
    match verb {
        RepoVerb::List => {
            let loaded = context::load(&context::sources(common)?)?;
            let rows = loaded.config.repositories.iter();
            let row = |repository: &qd_config::Repository| {
                (repository.name.to_string(), format!("{}, {}", repository.path.display(), repository.target))
            };
            list(common, rows.map(row).collect());
            Ok(())
        }
        RepoVerb::Add { name, path, target } => {
            let mut table = Table::new();
            table.insert("name", value(name.as_str()));
            let path = std::path::absolute(&path).map_err(|error| UserError::failed(error.to_string()))?;
            table.insert("path", value(path.to_string_lossy().into_owned()));
            if let Some(target) = target {
                table.insert("target", value(target));
            }
            change(common, &format!("Repository {name} is added"), |file| add(file, "repositories", table))
                .await
        }
        RepoVerb::Remove { name } => {
            let said = format!("Repository {name} is removed; what is in it stays");
            change(common, &said, |file| remove(file, "repositories", name.as_str())).await
        }
    }
}

fn list(common: &Common, rows: Vec<(String, String)>) {
    if common.json {
        let rows: Vec<_> =
            rows.iter().map(|(name, about)| serde_json::json!({ "name": name, "about": about })).collect();
        say::json(&rows);
    } else {
        rows.iter().for_each(|(name, about)| say::line(&format!("{name:<16} {about}")));
    }
}

fn add(file: &mut DocumentMut, section: &str, table: Table) -> Result<(), UserError> {
    let list = file.entry(section).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let list = list.as_array_of_tables_mut().ok_or_else(|| {
        UserError::failed(format!(
            "{section} is not written as [[{section}]] in the file: add it there by hand"
        ))
    })?;
    list.push(table);
    Ok(())
}

/// What it is known by stays, written down at the first renaming.
fn rename(file: &mut DocumentMut, name: &str, to: &str) -> Result<(), UserError> {
    let teams = file.get_mut("teams").and_then(Item::as_array_of_tables_mut);
    let named = |table: &&mut Table| table.get("name").and_then(Item::as_str) == Some(name);
    let Some(team) = teams.and_then(|teams| teams.iter_mut().find(named)) else {
        return Err(UserError::usage(format!("the file has no [[teams]] with the name {name}")));
    };
    if !team.contains_key("id") {
        team.insert("id", value(name));
    }
    team.insert("name", value(to));
    Ok(())
}

fn remove(file: &mut DocumentMut, section: &str, name: &str) -> Result<(), UserError> {
    let missing = || UserError::usage(format!("the file has no [[{section}]] with the name {name}"));
    let list = file.get_mut(section).and_then(Item::as_array_of_tables_mut).ok_or_else(missing)?;
    let before = list.len();
    list.retain(|table| table.get("name").and_then(Item::as_str) != Some(name));
    if list.len() == before { Err(missing()) } else { Ok(()) }
}

/// Edits the file, if what comes of it holds, and has a running fleet read it.
pub(super) async fn change(
    common: &Common,
    said: &str,
    edit: impl FnOnce(&mut DocumentMut) -> Result<(), UserError>,
) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let missing =
        || UserError::failed("there is no configuration file. In your repository, run: quarterdeck init");
    let path = loaded.file.clone().ok_or_else(missing)?;
    let failed = |error: std::io::Error| UserError::failed(format!("{}: {error}", path.display()));
    let before = std::fs::read_to_string(&path).map_err(failed)?;
    let mut file: DocumentMut =
        before.parse().map_err(|error| UserError::failed(format!("{}: {error}", path.display())))?;
    edit(&mut file)?;
    write(&path, &file.to_string()).map_err(failed)?;
    let held = context::load(&sources).and_then(|loaded| context::plan(&loaded, &sources.env));
    if let Err(error) = held {
        write(&path, &before).map_err(failed)?;
        return Err(UserError::failed(format!("nothing was changed: {error}")));
    }
    // Any team's socket leads to the fleet; the one that was asked for may be gone or not there yet.
    let socket = loaded.state_dir.join("bot").join("api.sock");
    let mut client = qd_api::Client::new(qd_api::Target::Socket(socket), "", None);
    let tail = match client.send(Method::POST, "/fleet/reload", Vec::new()).await {
        Ok((status, _)) if status.is_success() => "The running fleet has it.".to_owned(),
        Ok((_, body)) => {
            write(&path, &before).map_err(failed)?;
            return Err(UserError::failed(format!(
                "nothing was changed: {}",
                String::from_utf8_lossy(&body).trim()
            )));
        }
        Err(ClientError::NotRunning { .. }) => "It counts from the next start.".to_owned(),
        Err(error) => return Err(explain(error)),
    };
    if common.json {
        say::json(&serde_json::json!({ "file": path, "done": said }));
    } else {
        say::line(&format!("{said}. {tail}"));
    }
    Ok(())
}

/// In one piece: a fleet that reads it meanwhile sees the one or the other.
fn write(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(temporary.path(), text)?;
    std::fs::set_permissions(temporary.path(), std::fs::metadata(path)?.permissions())?;
    temporary.persist(path).map(drop).map_err(|error| error.error)
}
