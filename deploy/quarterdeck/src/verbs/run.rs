//! `run`: list, show, follow, stop, accept its plan.

use std::time::Duration;

use qd_agents::transcript::{self, Entry};
use qd_api::{AcceptPlan, RunSummary, RunView, TranscriptPage};
use qd_board::RunEnd;
use qd_types::{Mark, RunId};

use super::{Done, connect, explain};
use crate::{
    cli::{Common, RunVerb},
    context::UserError,
    say,
};

pub(super) async fn run(common: &Common, verb: RunVerb) -> Done {
    let mut client = connect(common)?;
    match verb {
        RunVerb::List { feature } => {
            let path = feature.map_or_else(|| "runs".to_owned(), |id| format!("runs?feature={id}"));
            let runs: Vec<RunSummary> = client.get(&path).await.map_err(explain)?;
            if common.json {
                say::json(&runs);
            } else if runs.is_empty() {
                say::line("No runs yet. A feature in ready gets one.");
            } else {
                runs.iter().for_each(|run| say::line(&row(run)));
            }
            Ok(())
        }
        RunVerb::Show { id } => {
            let view: RunView = client.get(&format!("runs/{id}")).await.map_err(explain)?;
            show(common, &view);
            Ok(())
        }
        RunVerb::Stop { id } => {
            let view: RunView = client.post(&format!("runs/{id}/stop"), &()).await.map_err(explain)?;
            show(common, &view);
            Ok(())
        }
        RunVerb::AcceptPlan { id, text } => {
            let plan = AcceptPlan { text: super::text_or_stdin(text)?, backlog: false };
            let view: RunView = client.post(&format!("runs/{id}/plan"), &plan).await.map_err(explain)?;
            show(common, &view);
            Ok(())
        }
        RunVerb::Transcript { id } => transcript(common, &mut client, &id).await,
        RunVerb::Follow { id } => follow(common, &mut client, &id).await,
    }
}

fn row(run: &RunSummary) -> String {
    let end = match &run.end {
        None => "under way".to_owned(),
        Some(RunEnd::Merged { commit }) => format!("merged as {}", commit.short()),
        Some(RunEnd::Answered { .. }) => "answered".to_owned(),
        Some(RunEnd::Planned { features }) => format!("planned {features} features"),
        Some(RunEnd::Failed { reason, .. } | RunEnd::Stopped { reason }) => reason.clone(),
    };
    let time = qd_board::why::minutes(run.seconds);
    format!(
        "{:<9} {}  {:<10} {:>7}  {}. {end}",
        run.id.to_string(),
        run.line.bars(),
        run.agent,
        time,
        run.title
    )
}

fn show(common: &Common, view: &RunView) {
    if common.json {
        say::json(view);
        return;
    }
    say::line(&format!("{} {}\n{}\n", view.summary.id, view.summary.title, view.sentence));
    for step in &view.steps {
        let mark = match step.mark {
            Mark::Done => "done",
            Mark::Now => "now",
            Mark::Waits => "waits",
            Mark::Failed => "failed",
            Mark::Open => "",
        };
        let note = step.note.as_deref().unwrap_or_default();
        let text = format!("{:<13} {mark:<7} {note}", step.step.title());
        say::line(text.trim_end());
    }
    if let Some(spent) = &view.summary.spent {
        say::line(&format!("{:<13} {}", "Spent", spent.said()));
    }
    if let Some(plan) = &view.plan {
        let waits = if view.plan_waits { ", waits for a person: quarterdeck run accept-plan" } else { "" };
        say::line(&format!("\nThe plan{waits}\n{plan}\n"));
    }
    for check in &view.check_results {
        let text = match &check.reason {
            None => format!("check {} passed on {}", check.name, check.commit.short()),
            Some(reason) => format!("check on {}: {reason}", check.commit.short()),
        };
        say::line(&text);
    }
}

async fn transcript(common: &Common, client: &mut qd_api::Client, id: &RunId) -> Done {
    let run: RunView = client.get(&format!("runs/{id}")).await.map_err(explain)?;
    let (mut entries, mut offset) = (Vec::new(), 0);
    loop {
        let page: TranscriptPage =
            client.get(&format!("runs/{id}/transcript?offset={offset}")).await.map_err(explain)?;
        let over = page.next_offset == offset;
        offset = page.next_offset;
        if common.json {
            page.entries.iter().for_each(say::json);
        } else {
            for entry in page.entries {
                let entry = serde_json::from_value::<Entry>(serde_json::json!(entry))
                    .map_err(|error| UserError::from_error(&error))?;
                entries.push(entry);
            }
        }
        if over {
            break;
        }
    }
    let mut text = Vec::new();
    transcript::markdown(id, &run.summary.agent, entries, &mut text)
        .map_err(|error| UserError::from_error(&error))?;
    let text = String::from_utf8_lossy(&text);
    text.lines().for_each(say::line);
    Ok(())
}

async fn follow(common: &Common, client: &mut qd_api::Client, id: &RunId) -> Done {
    let mut offset = 0;
    loop {
        let page: TranscriptPage =
            client.get(&format!("runs/{id}/transcript?offset={offset}")).await.map_err(explain)?;
        for entry in &page.entries {
            if common.json {
                say::json(entry);
            } else {
                let time = entry.at.strftime("%H:%M:%S");
                entry.text.lines().for_each(|line| say::line(&format!("{time} {:<12} {line}", entry.kind)));
            }
        }
        if page.ended && page.next_offset == offset {
            return Ok(());
        }
        if page.entries.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        offset = page.next_offset;
    }
}
