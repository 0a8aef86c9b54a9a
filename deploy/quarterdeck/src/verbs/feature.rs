//! `feature`: file, list, show, move, edit, cancel.

use qd_api::{EventView, FeatureView, MoveFeature};
use qd_board::{EditFeature, NewFeature, Wanted, wanted::DEFAULT_PRIORITY};
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
            let wanted = Wanted {
                title,
                description,
                priority: priority.unwrap_or(DEFAULT_PRIORITY),
                labels,
                depends_on,
                ..Wanted::default()
            };
            let new = NewFeature { wanted, repository, ready };
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
            let to = MoveFeature { stage: stage.into(), version: None, reason: None };
            client.post(&format!("features/{id}/move"), &to).await.map_err(explain)?
        }
        FeatureVerb::Edit { id, title, description, priority, labels, depends_on, version_seen } => {
            let edit = EditFeature::of(version_seen)
                .maybe("title", title)
                .maybe("description", text_or_stdin(description)?)
                .maybe("priority", priority)
                .maybe("labels", Some(labels).filter(|labels| !labels.is_empty()))
                .maybe("depends_on", Some(depends_on).filter(|depends_on| !depends_on.is_empty()));
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
        feature.wanted.title,
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
    say::line(&format!("{} {}\n{}\n", feature.id, feature.wanted.title, view.sentence));
    if !feature.wanted.description.is_empty() {
        say::line(&format!("{}\n", feature.wanted.description));
    }
    let mut facts = vec![
        ("stage", feature.stage.to_string()),
        ("repository", feature.repository.to_string()),
        ("priority", feature.wanted.priority.to_string()),
        ("filed by", feature.author.to_string()),
        ("version", feature.version.to_string()),
    ];
    if !feature.wanted.labels.is_empty() {
        facts.push(("labels", feature.wanted.labels.join(", ")));
    }
    if !feature.wanted.depends_on.is_empty() {
        let ids: Vec<String> = feature.wanted.depends_on.iter().map(ToString::to_string).collect();
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
