//! `config`: check, show, reload, schema.

use hyper::Method;
use qd_config::show;

use super::{Done, explain};
use crate::{
    cli::{Common, ConfigVerb},
    context::{self, UserError},
    governed, say,
};

pub(super) async fn config(common: &Common, verb: ConfigVerb) -> Done {
    if matches!(verb, ConfigVerb::Schema) {
        say::json(&qd_config::schema());
        return Ok(());
    }
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    match verb {
        ConfigVerb::Check => {
            context::plan(&loaded, &sources.env)?.policies.engine()?;
            let file =
                loaded.file.as_ref().map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
            if common.json {
                say::json(&serde_json::json!({ "ok": true, "file": loaded.file, "state": loaded.state_dir }));
            } else {
                say::line(&format!(
                    "The configuration holds ({file}). State: {}",
                    loaded.state_dir.display()
                ));
            }
        }
        ConfigVerb::Show => {
            let rows = show(&loaded);
            if common.json {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|row| serde_json::json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string() }))
                    .collect();
                say::json(&rows);
            } else {
                for row in rows {
                    say::line(&format!("{} = {}    # {}", row.key, row.value, row.origin));
                }
            }
        }
        ConfigVerb::Reload => {
            let mut client = context::client(common, &loaded, None)?;
            let (status, body) =
                client.send(Method::POST, "/fleet/reload", Vec::new()).await.map_err(explain)?;
            let text = String::from_utf8_lossy(&body).into_owned();
            if !status.is_success() {
                return Err(UserError::failed(text.trim().to_owned()));
            }
            if common.json {
                say::line(text.trim());
            } else {
                let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let waits = answer.get("waits").and_then(|list| list.as_array()).into_iter().flatten();
                let waits: Vec<&str> = waits.filter_map(|text| text.as_str()).collect();
                for (key, word) in [("took_effect", "in force now"), ("needs_restart", "needs a restart")] {
                    for name in answer.get(key).and_then(|list| list.as_array()).into_iter().flatten() {
                        let name = name.as_str().unwrap_or_default();
                        let held = !waits.is_empty() && governed::decides(name);
                        let word = if held { "in force now as far as it widens no rights" } else { word };
                        say::line(&format!("{name}: {word}"));
                    }
                }
                if !waits.is_empty() {
                    say::line(&format!("Not in force before people approve it: {}.", waits.join("; ")));
                    say::line("They decide with: quarterdeck approvals");
                }
                if answer
                    .as_object()
                    .is_some_and(|map| map.values().all(|v| v.as_array().is_some_and(Vec::is_empty)))
                {
                    say::line("Nothing has changed.");
                }
            }
        }
        ConfigVerb::Schema => {}
    }
    Ok(())
}
