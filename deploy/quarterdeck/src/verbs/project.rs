//! `project`: list, show, add, edit, remove.

use qd_api::{EditProject, ProjectView};
use qd_board::{Project, project::Progress};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Done, connect, encoded, explain, text_or_stdin};
use crate::{
    cli::{Common, ProjectFields, ProjectVerb},
    context::UserError,
    say,
};

pub(super) async fn project(common: &Common, verb: ProjectVerb) -> Done {
    let mut client = connect(common)?;
    let path = |name: &str| format!("projects/{}", encoded(name));
    let view: ProjectView = match verb {
        ProjectVerb::List => return list(common, client.get("projects").await.map_err(explain)?),
        ProjectVerb::Remove { name } => {
            return list(
                common,
                client.post(&format!("{}/remove", path(&name)), &()).await.map_err(explain)?,
            );
        }
        ProjectVerb::Show { name } => client.get(&path(&name)).await.map_err(explain)?,
        ProjectVerb::Add { name, fields } => {
            client.post("projects", &new(name, fields)?).await.map_err(explain)?
        }
        ProjectVerb::Edit { name, fields } => {
            client.patch(&path(&name), &edit(fields)?).await.map_err(explain)?
        }
    };
    if common.json {
        say::json(&view);
    } else {
        show(&view);
    }
    Ok(())
}

fn new(name: String, fields: ProjectFields) -> Result<Project, UserError> {
    Ok(Project {
        name,
        goal: text_or_stdin(fields.goal)?.unwrap_or_default(),
        owner: fields.owner,
        milestones: fields.milestones,
        teams: fields.teams,
        slots: fields.slots,
        budget: fields.budget.all(),
    })
}

fn edit(fields: ProjectFields) -> Result<EditProject, UserError> {
    let mut patch = Map::new();
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            patch.insert(field.to_owned(), value);
        }
    };
    set("goal", text_or_stdin(fields.goal)?.map(Value::from));
    set("owner", fields.owner.map(json));
    set("milestones", Some(fields.milestones).filter(|list| !list.is_empty()).map(json));
    set("teams", Some(fields.teams).filter(|list| !list.is_empty()).map(json));
    set("slots", fields.slots.map(json));
    set("budget", fields.budget.patch().map(Value::Object));
    Ok(EditProject { version: None, fields: patch })
}

/// A value of ours that has no JSON would be a defect; null clears the field.
fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn list(common: &Common, views: Vec<ProjectView>) -> Done {
    if common.json {
        say::json(&views);
    } else if views.is_empty() {
        say::line("No projects yet. Add one with: quarterdeck project add NAME --goal \"…\"");
    }
    if !common.json {
        views.iter().for_each(|view| say::line(&row(view)));
    }
    Ok(())
}

fn row(view: &ProjectView) -> String {
    let risks = match view.standing.risks.len() {
        0 => String::new(),
        1 => "  1 risk".to_owned(),
        more => format!("  {more} risks"),
    };
    let ends = view.standing.forecast.map_or_else(String::new, |day| format!("  ends {day}"));
    format!("{:<16} {}{ends}{risks}", view.project.name, progress(&view.standing.progress))
}

fn progress(progress: &Progress) -> String {
    format!("{:>3} %  {} of {} merged", progress.percent(), progress.done, progress.features)
}

fn show(view: &ProjectView) {
    let (project, standing) = (&view.project, &view.standing);
    say::line(&row(view));
    if !project.goal.is_empty() {
        say::line(&format!("\n{}\n", project.goal));
    }
    let pace = standing.pace.map(|tenths| format!("{}.{} points a week", tenths / 10, tenths % 10));
    let budget = project.budget.minutes.map(|minutes| format!("{} of {minutes} min", standing.minutes_spent));
    let teams: Vec<String> = project.teams.iter().map(ToString::to_string).collect();
    for (name, value) in [
        ("owner", project.owner.as_ref().map(ToString::to_string)),
        ("teams", Some(teams.join(", ")).filter(|teams| !teams.is_empty())),
        ("at once", project.slots.map(|slots| slots.to_string())),
        ("worked", budget.or_else(|| Some(format!("{} min", standing.minutes_spent)))),
        ("pace", pace),
    ] {
        if let Some(value) = value {
            say::line(&format!("  {name:<10} {value}"));
        }
    }
    for milestone in &standing.milestones {
        let due = milestone.due.map_or_else(String::new, |day| format!("  due {day}"));
        let ends = milestone.forecast.map_or_else(String::new, |day| format!("  ends {day}"));
        say::line(&format!("  {:<16} {}{due}{ends}", milestone.name, progress(&milestone.progress)));
    }
    standing.risks.iter().for_each(|risk| say::line(&format!("  ! {risk}")));
}
