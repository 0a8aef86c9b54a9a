//! `feature`: file, list, show, explain, move, edit, pause, comment, cancel.

use qd_api::{Because, EventView, FeatureView, MoveFeature, NewComment, WhyView};
use qd_board::{Comment, EditFeature, NewFeature, PlanMode, Wanted, wanted::DEFAULT_PRIORITY};
use qd_types::FeatureId;

use super::{Done, connect, explain, text_or_stdin};
use crate::{
    cli::{Common, FeatureVerb, Fields, StageArg},
    context::UserError,
    say,
};

pub(super) async fn feature(common: &Common, verb: FeatureVerb) -> Done {
    let mut client = connect(common)?;
    let view: FeatureView = match verb {
        FeatureVerb::Add { title, fields, ready, repository } => {
            let wanted = wanted(title, *fields)?;
            let new = NewFeature { wanted, repository, ready };
            client.post("features", &new).await.map_err(explain)?
        }
        FeatureVerb::List { stage } => return list(common, &mut client, stage).await,
        FeatureVerb::Show { id } => return show(common, &mut client, &id).await,
        FeatureVerb::Why { id } => return why(common, &mut client, &id).await,
        FeatureVerb::Comment { id, text } => return comment(common, &mut client, &id, text).await,
        FeatureVerb::Move { id, stage, reason } => {
            let to = MoveFeature { stage: stage.into(), version: None, reason };
            client.post(&format!("features/{id}/move"), &to).await.map_err(explain)?
        }
        FeatureVerb::Edit { id, title, fields, clear, version_seen, reason } => {
            let mut edit = edit(version_seen, title, *fields)?;
            for field in clear {
                edit.fields.insert(field, serde_json::Value::Null);
            }
            client.patch(&format!("features/{id}{}", because(reason)), &edit).await.map_err(explain)?
        }
        FeatureVerb::Pause { id, reason } => {
            client.post(&format!("features/{id}/pause"), &Because { reason }).await.map_err(explain)?
        }
        FeatureVerb::Resume { id } => {
            client.post(&format!("features/{id}/resume"), &()).await.map_err(explain)?
        }
        FeatureVerb::Attach { id, file } => {
            let bytes = std::fs::read(&file)
                .map_err(|error| UserError::failed(format!("{} can't be read: {error}", file.display())))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let path = format!("features/{id}/attachments?name={}", super::encoded(&name));
            client.post_file(&path, bytes).await.map_err(explain)?
        }
        FeatureVerb::Revert { id, reason } => {
            client.post(&format!("features/{id}/revert"), &Because { reason }).await.map_err(explain)?
        }
        FeatureVerb::Cancel { id, reason } => {
            client.post(&format!("features/{id}/cancel{}", because(reason)), &()).await.map_err(explain)?
        }
    };
    print(common, &view);
    Ok(())
}

/// A feature in a line, or as JSON.
pub(super) fn print(common: &Common, view: &FeatureView) {
    if common.json {
        say::json(view);
    } else {
        say::line(&row(view));
    }
}

fn because(reason: Option<String>) -> String {
    let Some(reason) = reason else { return String::new() };
    format!("?reason={}", super::encoded(&reason))
}

pub(super) fn wanted(title: String, fields: Fields) -> Result<Wanted, UserError> {
    Ok(Wanted {
        title,
        budget: fields.budget.all(),
        description: text_or_stdin(fields.description)?.unwrap_or_default(),
        checks: fields.checks,
        priority: fields.priority.unwrap_or(DEFAULT_PRIORITY),
        size: fields.size,
        labels: fields.labels,
        milestone: fields.milestone,
        project: fields.project,
        epic: fields.epic,
        depends_on: fields.depends_on,
        paths: fields.paths,
        agent: fields.agent,
        model: fields.model,
        plan: fields.plan.unwrap_or_default(),
        assignee: fields.assignee,
        due: fields.due,
        ..Wanted::default()
    })
}

fn edit(seen: Option<u64>, title: Option<String>, fields: Fields) -> Result<EditFeature, UserError> {
    fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
        Some(list).filter(|list| !list.is_empty())
    }
    Ok(EditFeature::of(seen)
        .maybe("title", title)
        .maybe("description", text_or_stdin(fields.description)?)
        .maybe("checks", some(fields.checks))
        .maybe("priority", fields.priority)
        .maybe("size", fields.size)
        .maybe("labels", some(fields.labels))
        .maybe("milestone", fields.milestone)
        .maybe("project", fields.project)
        .maybe("epic", fields.epic)
        .maybe("depends_on", some(fields.depends_on))
        .maybe("paths", some(fields.paths))
        .maybe("agent", fields.agent)
        .maybe("model", fields.model)
        .maybe("plan", fields.plan)
        .maybe("assignee", fields.assignee)
        .maybe("due", fields.due)
        .maybe("budget", fields.budget.patch()))
}

async fn list(common: &Common, client: &mut qd_api::Client, stage: Option<StageArg>) -> Done {
    let path = stage.map_or_else(
        || "features".to_owned(),
        |stage| format!("features?stage={}", qd_types::Stage::from(stage)),
    );
    let features: Vec<FeatureView> = client.get(&path).await.map_err(explain)?;
    if common.json {
        say::json(&features);
    } else if features.is_empty() {
        say::line("No features yet. File one with: quarterdeck feature add \"What is wanted\" --ready");
    } else {
        features.iter().for_each(|view| say::line(&row(view)));
    }
    Ok(())
}

async fn why(common: &Common, client: &mut qd_api::Client, id: &FeatureId) -> Done {
    let why: WhyView = client.get(&format!("features/{id}/why")).await.map_err(explain)?;
    if common.json {
        say::json(&why);
        return Ok(());
    }
    say::line(&format!("{id} {}\n{}", why.feature.feature.wanted.title, why.sentence));
    if let Some(place) = &why.place {
        say::line(&format!("Place {} of {} that are ready: {}.", place.place, place.of, place.because));
    }
    if let Some(agent) = &why.agent {
        let model = agent.model.as_ref().map_or_else(String::new, |model| format!(" with {model}"));
        say::line(&format!("Agent {}{model}, by {}.", agent.agent, agent.by));
    }
    if let Some(size) = &why.size {
        say::line(&format!("Size {size}."));
    }
    for clash in &why.clashes {
        let with = clash.with.as_ref().map_or_else(|| "the target branch".to_owned(), ToString::to_string);
        say::line(&format!("Conflicts with {with} in {}.", clash.files.join(", ")));
    }
    Ok(())
}

async fn comment(common: &Common, client: &mut qd_api::Client, id: &FeatureId, text: Option<String>) -> Done {
    let path = format!("features/{id}/comments");
    let comments: Vec<Comment> = match text_or_stdin(text)? {
        Some(text) => client.post(&path, &NewComment { text }).await.map_err(explain)?,
        None => client.get(&path).await.map_err(explain)?,
    };
    if common.json {
        say::json(&comments);
    } else {
        for comment in comments {
            let at = comment.at.strftime("%Y-%m-%d %H:%M");
            say::line(&format!("{at}  {}\n{}\n", comment.author, comment.text));
        }
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
    let wanted = &feature.wanted;
    let mut facts = vec![
        ("stage", feature.stage.to_string()),
        ("repository", feature.repository.to_string()),
        ("priority", wanted.priority.to_string()),
        ("filed by", feature.author.to_string()),
        ("version", feature.version.to_string()),
    ];
    let joined = |list: Vec<String>| Some(list.join(", ")).filter(|text| !text.is_empty());
    let budget = [
        wanted.budget.minutes.map(|minutes| format!("{minutes} min")),
        wanted.budget.tokens.map(|tokens| format!("{tokens} tokens")),
        wanted.budget.cents.map(|cents| format!("{}.{:02}", cents / 100, cents % 100)),
    ];
    let more = [
        ("labels", joined(wanted.labels.clone())),
        ("depends on", joined(wanted.depends_on.iter().map(ToString::to_string).collect())),
        ("epic", wanted.epic.as_ref().map(ToString::to_string)),
        ("project", wanted.project.clone()),
        ("milestone", wanted.milestone.clone()),
        ("size", wanted.size.map(|size| size.to_string())),
        ("due", wanted.due.map(|due| due.to_string())),
        ("assignee", wanted.assignee.as_ref().map(ToString::to_string)),
        ("agent", wanted.agent.clone()),
        ("model", wanted.model.clone()),
        ("plan", Some(wanted.plan.as_str().to_owned()).filter(|_| wanted.plan != PlanMode::None)),
        ("checks", joined(wanted.checks.clone())),
        ("paths", joined(wanted.paths.clone())),
        ("touched", joined(feature.touched.clone())),
        ("budget", joined(budget.into_iter().flatten().collect())),
        ("spent", view.spent.as_ref().map(qd_types::Spent::said)),
        ("source", wanted.source.as_ref().map(ToString::to_string)),
        ("attachments", joined(wanted.attachments.iter().map(|file| file.name.clone()).collect())),
        ("paused", feature.paused.clone()),
    ];
    facts.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
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
        let at = event.at.strftime("%Y-%m-%d %H:%M:%S");
        let why = event.reason.as_ref().map_or_else(String::new, |why| format!(" Because: {why}"));
        say::line(&format!("{at}  {:<8} {}{why}", event.actor, event.text));
    }
    Ok(())
}
