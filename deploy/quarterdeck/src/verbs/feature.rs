//! `feature`: file, list, show, move, edit, cancel.

use qd_api::{EventView, FeatureView, MoveFeature};
use qd_board::{EditFeature, NewFeature};
use qd_types::FeatureId;

use super::{Done, connect, explain, text_or_stdin};
use crate::{
    cli::{Common, FeatureVerb},
    say,
};

pub(super) async fn feature(common: &Common, verb: FeatureVerb) -> Done {
    let mut client = connect(common)?;
    let view: FeatureView = match verb {
        FeatureVerb::Add { title, description, ready, priority, labels, depends_on, repository } => {
            let description = text_or_stdin(description)?.unwrap_or_default();
            let new = NewFeature { title, description, repository, priority, labels, depends_on, ready };
            client.post("features", &new).await.map_err(explain)?
        }
        FeatureVerb::List { stage } => {
            let path = stage.map_or_else(
                || "features".to_owned(),
                |stage| format!("features?stage={}", qd_types::Stage::from(stage)),
            );
            let features: Vec<FeatureView> = client.get(&path).await.map_err(explain)?;
            if common.json {
                say::json(&features);
            } else if features.is_empty() {
                say::line(
                    "No features yet. File one with: quarterdeck feature add \"What is wanted\" --ready",
                );
            } else {
                for view in &features {
                    say::line(&row(view));
                }
            }
            return Ok(());
        }
        FeatureVerb::Show { id } => return show(common, &mut client, &id).await,
        FeatureVerb::Move { id, stage } => {
            let to = MoveFeature { stage: stage.into(), version: None };
            client.post(&format!("features/{id}/move"), &to).await.map_err(explain)?
        }
        FeatureVerb::Edit { id, title, description, priority, labels, depends_on, version_seen } => {
            let edit = EditFeature {
                version: version_seen,
                title,
                description: text_or_stdin(description)?,
                priority,
                labels: Some(labels).filter(|labels| !labels.is_empty()),
                depends_on: Some(depends_on).filter(|depends_on| !depends_on.is_empty()),
            };
            client.patch(&format!("features/{id}"), &edit).await.map_err(explain)?
        }
        FeatureVerb::Cancel { id } => {
            client.post(&format!("features/{id}/cancel"), &()).await.map_err(explain)?
        }
    };
    if common.json {
        say::json(&view);
    } else {
        say::line(&row(&view));
    }
    Ok(())
}

fn row(view: &FeatureView) -> String {
    let feature = &view.feature;
    let bars = view.run.as_ref().map_or_else(|| "▱▱▱▱▱▱▱▱▱".to_owned(), |run| run.line.bars());
    format!(
        "{:<7} {:<9} {bars}  {}. {}",
        feature.id.to_string(),
        feature.stage.as_str(),
        feature.title,
        view.sentence
    )
}

async fn show(common: &Common, client: &mut qd_api::Client, id: &FeatureId) -> Done {
    let view: FeatureView = client.get(&format!("features/{id}")).await.map_err(explain)?;
    if common.json {
        say::json(&view);
        return Ok(());
    }
    let history: Vec<EventView> = client.get(&format!("features/{id}/history")).await.map_err(explain)?;
    let feature = &view.feature;
    say::line(&format!("{} {}\n{}\n", feature.id, feature.title, view.sentence));
    if !feature.description.is_empty() {
        say::line(&format!("{}\n", feature.description));
    }
    let mut facts = vec![
        ("stage", feature.stage.to_string()),
        ("repository", feature.repository.to_string()),
        ("priority", feature.priority.to_string()),
        ("filed by", feature.author.to_string()),
        ("version", feature.version.to_string()),
    ];
    if !feature.labels.is_empty() {
        facts.push(("labels", feature.labels.join(", ")));
    }
    if !feature.depends_on.is_empty() {
        let ids: Vec<String> = feature.depends_on.iter().map(ToString::to_string).collect();
        facts.push(("depends on", ids.join(", ")));
    }
    if let Some(run) = &view.run {
        facts.push(("run", format!("{} {}, {}", run.id, run.agent, run.line.describe())));
        facts.push(("branch", run.branch.clone()));
        if let Some(number) = run.pull_request {
            facts.push(("pull request", number.to_string()));
        }
    }
    for (name, value) in facts {
        say::line(&format!("{name:<13} {value}"));
    }
    say::line("");
    for event in history {
        say::line(&format!("{}  {:<8} {}", event.at.strftime("%Y-%m-%d %H:%M:%S"), event.actor, event.text));
    }
    Ok(())
}
