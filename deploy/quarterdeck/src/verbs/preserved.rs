//! `preserved`: list, show, restore, prune.

use qd_api::{DiffView, PreservedView, PrunePreserved, RestorePreserved, RestoredView};

use super::{Done, connect, explain};
use crate::{
    cli::{Common, PreservedVerb},
    context::UserError,
    say,
};

pub(super) async fn preserved(common: &Common, verb: PreservedVerb) -> Done {
    let mut client = connect(common)?;
    match verb {
        PreservedVerb::List => {
            let all: Vec<PreservedView> = client.get("preserved").await.map_err(explain)?;
            list(common, &all, "Nothing is preserved: all work is on the forge.");
        }
        PreservedVerb::Show { id } => {
            let diff: DiffView = client.get(&format!("preserved/{id}/diff")).await.map_err(explain)?;
            if common.json {
                say::json(&diff);
            } else {
                say::line(diff.text.trim_end());
            }
        }
        PreservedVerb::Restore { id, into } => {
            let folder = into.map(std::path::absolute).transpose();
            let folder = folder.map_err(|error| UserError::failed(format!("--into: {error}")))?;
            let to = RestorePreserved { folder };
            let view: RestoredView =
                client.post(&format!("preserved/{id}/restore"), &to).await.map_err(explain)?;
            if common.json {
                say::json(&view);
                return Ok(());
            }
            match view.folder {
                Some(folder) => say::line(&format!("The work of {id} is in {}.", folder.display())),
                None => say::line(&format!("The work of {id} is at {} of the team's mirror.", view.branch)),
            }
        }
        PreservedVerb::Prune { days } => {
            let gone: Vec<PreservedView> =
                client.post("preserved/prune", &PrunePreserved { days }).await.map_err(explain)?;
            list(common, &gone, "Nothing is old enough to go.");
        }
    }
    Ok(())
}

fn list(common: &Common, all: &[PreservedView], none: &str) {
    if common.json {
        say::json(&all);
    } else if all.is_empty() {
        say::line(none);
    }
    for work in all.iter().filter(|_| !common.json) {
        let files = if work.files == 1 { "1 file".to_owned() } else { format!("{} files", work.files) };
        let (at, until) = (work.at.strftime("%Y-%m-%d %H:%M"), work.until.strftime("%Y-%m-%d"));
        say::line(&format!(
            "{:<9} {at}  {files}, {} bytes, until {until}. {}",
            work.run.to_string(),
            work.bytes,
            work.note
        ));
    }
}
