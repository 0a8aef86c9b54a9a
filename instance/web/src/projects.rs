//! Projects: how far each is, when it ends at its pace, and what endangers it.

use maud::{Markup, html};
use qd_api::{ProjectView, TeamView};
use qd_board::project::{MilestoneStanding, Progress};
use qd_look::parts;

use crate::markdown;

pub(crate) fn page(team: &TeamView, projects: &[ProjectView]) -> Markup {
    let base = format!("/teams/{}/", team.name);
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) "projects" } data-every="15" {
            h1 { "Projects" }
        }
        div #projects .page data-live {
            @for view in projects { (project(view)) }
            @if projects.is_empty() {
                section.panel {
                    (parts::empty("A project is a goal above features: how far it is, when it ends and what endangers it \
                                   is derived from them. Add one with: quarterdeck project add NAME --goal \"…\""))
                }
            }
        }
    }
}

fn project(view: &ProjectView) -> Markup {
    let (project, standing) = (&view.project, &view.standing);
    let minutes =
        project.budget.minutes.map(|minutes| format!("{} of {minutes} min", standing.minutes_spent));
    let teams: Vec<&str> = project.teams.iter().map(|team| team.as_str()).collect();
    let facts = [
        ("Owner", project.owner.as_ref().map(ToString::to_string)),
        ("Teams", Some(teams.join(", ")).filter(|teams| !teams.is_empty())),
        ("At once", project.slots.map(|slots| slots.to_string())),
        ("Worked", minutes),
        ("Pace", standing.pace.map(|tenths| format!("{}.{} points a week", tenths / 10, tenths % 10))),
        ("Ends", standing.forecast.map(|day| format!("{day} at this pace"))),
    ];
    html! {
        section.panel {
            h1 { (project.name) }
            (bar(&project.name, &standing.progress))
            @if !project.goal.is_empty() { div.markdown { (markdown::render(&project.goal)) } }
            dl.facts {
                @for (name, value) in facts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                    dt { (name) } dd { (value) }
                }
            }
            @if !standing.milestones.is_empty() {
                h2 { "Milestones" }
                @for milestone in &standing.milestones { (stretch(milestone)) }
            }
            @if !standing.risks.is_empty() {
                h2 { "Risks" }
                ul { @for risk in &standing.risks { li.bad { (risk) } } }
            }
        }
    }
}

fn stretch(milestone: &MilestoneStanding) -> Markup {
    let due = milestone.due.map_or_else(String::new, |day| format!(", due {day}"));
    let ends = milestone.forecast.map_or_else(String::new, |day| format!(", ends {day} at this pace"));
    html! {
        p { (milestone.name) span.soft { (due) (ends) } }
        (bar(&milestone.name, &milestone.progress))
    }
}

fn bar(name: &str, progress: &Progress) -> Markup {
    html! {
        p.bar {
            progress max=(progress.points.max(1)) value=(progress.points_done) aria-label={ (name) ", merged" } {}
            span.num.soft { (progress.percent()) " %, " (progress.done) " of " (progress.features) " merged" }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use qd_board::{
        Project,
        project::{Milestone, PartFacts, standing},
    };
    use qd_types::Stage;

    use super::*;
    use crate::sample;

    #[test]
    fn a_project_shows_how_it_stands() {
        let project = Project {
            name: "billing".into(),
            goal: "Bills that **people** can read.".into(),
            owner: None,
            milestones: vec![Milestone { name: "Read".into(), due: Some(date(2026, 11, 1)) }],
            teams: vec!["alpha".parse().unwrap()],
            slots: Some(2),
            budget: qd_board::Budget::default(),
        };
        let part = |number: u32, stage| PartFacts {
            id: format!("A-{number}").parse().unwrap(),
            stage,
            size: None,
            milestone: Some("Read".into()),
            due: None,
            held: false,
            merged_on: None,
        };
        let parts = [part(1, Stage::Done), part(2, Stage::Ready)];
        let standing = standing(&project, &parts, 3, date(2026, 11, 21));
        let view = ProjectView { project, version: 1, standing };
        insta::assert_snapshot!(super::project(&view).into_string(), @r#"
        <section class="panel"><h1>billing</h1><p class="bar"><progress max="8" value="4" aria-label="billing, merged"></progress><span class="num soft">50 %, 1 of 2 merged</span></p><div class="markdown"><p>Bills that <strong>people</strong> can read.</p>
        </div><dl class="facts"><dt>Teams</dt><dd>alpha</dd><dt>At once</dt><dd>2</dd></dl><h2>Milestones</h2><p>Read<span class="soft">, due 2026-11-01</span></p><p class="bar"><progress max="8" value="4" aria-label="Read, merged"></progress><span class="num soft">50 %, 1 of 2 merged</span></p><h2>Risks</h2><ul><li class="bad">Read was due on 2026-11-01, and 1 feature is open.</li><li class="bad">Nobody answers for it: it has no owner.</li></ul></section>
        "#);
        assert!(page(&sample::team(), &[]).into_string().contains("quarterdeck project add"));
    }
}
