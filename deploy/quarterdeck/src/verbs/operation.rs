//! `operation`, `pause`, `resume`: what is under way, what gave up, and the team as a whole.

use std::time::Duration;

use qd_api::{Because, TeamView};
use qd_board::Operation;

use super::{Done, connect, explain};
use crate::{
    cli::{Common, OperationVerb},
    say,
};

pub(super) async fn operation(common: &Common, verb: OperationVerb) -> Done {
    let mut client = connect(common)?;
    let (id, act) = match verb {
        OperationVerb::List { running, dead } => {
            let path = match (running, dead) {
                (true, _) => "operations?only=running",
                (_, true) => "operations?only=dead",
                _ => "operations",
            };
            let all: Vec<Operation> = client.get(path).await.map_err(explain)?;
            if common.json {
                say::json(&all);
            } else if all.is_empty() {
                say::line(if dead { "Nothing gave up." } else { "Nothing is going on." });
            } else {
                all.iter().for_each(|operation| say::line(&row(operation)));
            }
            return Ok(());
        }
        OperationVerb::Follow { id } => return follow(common, &mut client, id).await,
        OperationVerb::Retry { id } => (id, "retry"),
        OperationVerb::Drop { id } => (id, "drop"),
        OperationVerb::Stop { id } => (id, "stop"),
    };
    let done: Operation = client.post(&format!("operations/{id}/{act}"), &()).await.map_err(explain)?;
    show(common, &done);
    Ok(())
}

fn row(operation: &Operation) -> String {
    let class = operation.class.map_or_else(String::new, |class| format!(" ({class})"));
    format!(
        "{:<5} {:<12} {:<9} {}. {}{class}",
        operation.id,
        operation.kind.as_str(),
        operation.observed.as_str(),
        operation.title,
        operation.text
    )
}

fn show(common: &Common, operation: &Operation) {
    if common.json {
        say::json(operation);
    } else {
        say::line(row(operation).trim_end());
    }
}

async fn follow(common: &Common, client: &mut qd_api::Client, id: u64) -> Done {
    let mut before: Option<Operation> = None;
    loop {
        let now: Operation = client.get(&format!("operations/{id}")).await.map_err(explain)?;
        if before.as_ref() != Some(&now) {
            show(common, &now);
        }
        if now.ended_at.is_some() {
            return Ok(());
        }
        before = Some(now);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub(super) async fn pause(common: &Common, reason: Option<String>) -> Done {
    let view: TeamView = connect(common)?.post("pause", &Because { reason }).await.map_err(explain)?;
    team(common, &view);
    Ok(())
}

pub(super) async fn resume(common: &Common) -> Done {
    let view: TeamView = connect(common)?.post("resume", &()).await.map_err(explain)?;
    team(common, &view);
    Ok(())
}

fn team(common: &Common, view: &TeamView) {
    if common.json {
        say::json(view);
        return;
    }
    let runs = if view.running == 1 { "1 run is".to_owned() } else { format!("{} runs are", view.running) };
    say::line(&match &view.paused {
        Some(said) => format!("{} is paused, {said}. {runs} under way, none starts.", view.name),
        None => format!("{} goes on. {runs} under way.", view.name),
    });
}
