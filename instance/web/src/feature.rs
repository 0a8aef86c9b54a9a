//! One feature: what is wanted, what is true, who changed what, and the edit.

use maud::{Markup, html};
use qd_api::{EventView, FeatureView, RunSummary, TeamView};
use qd_look::parts;
use qd_types::Stage;

use crate::{board, markdown, runs};

/// What was typed into an edit that was refused, and why.
pub(crate) struct Typed {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) labels: String,
    pub(crate) depends_on: String,
    pub(crate) problem: String,
}

pub(crate) fn page(
    team: &TeamView,
    view: &FeatureView,
    history: &[EventView],
    list: &[RunSummary],
    typed: Option<&Typed>,
) -> Markup {
    let feature = &view.feature;
    let base = format!("/teams/{}/", team.name);
    html! {
        div.head {
            div {
                h1 { (feature.wanted.title) }
                p { span.id { (feature.id) } " " (view.sentence) }
            }
            span.grow {}
            div.acts {
                @if matches!(feature.stage, Stage::Backlog | Stage::Cancelled) || feature.held.is_some() {
                    form method="post" action={ (base) "do/move" } {
                        input type="hidden" name="id" value=(feature.id);
                        input type="hidden" name="stage" value="ready";
                        button.btn.go data-key="r" { @if feature.held.is_some() { "Try again " } @else { "Release " } kbd { "r" } }
                    }
                }
                @if feature.stage == Stage::Ready {
                    form method="post" action={ (base) "do/move" } {
                        input type="hidden" name="id" value=(feature.id);
                        input type="hidden" name="stage" value="backlog";
                        button.btn data-key="b" { "To backlog " kbd { "b" } }
                    }
                }
                @if matches!(feature.stage, Stage::Backlog | Stage::Ready) {
                    form method="post" action={ (base) "do/cancel" } data-confirm={ "Cancel " (feature.id) "?" } {
                        input type="hidden" name="id" value=(feature.id);
                        button.btn.no data-key="c" { "Cancel " kbd { "c" } }
                    }
                }
            }
        }
        div.page.two {
            div.stack {
                @if let Some(run) = &view.run {
                    section class={ "panel card " (board::tone(view)) } {
                        h3 { a href={ (base) "runs/" (run.id) } { "Run " (run.id) ", " (run.agent) } }
                        (parts::line(&run.line))
                        div.says { (view.sentence) }
                    }
                }
                section.panel {
                    h2 { "What is wanted" }
                    @if feature.wanted.description.is_empty() { (parts::empty("No description.")) }
                    div.markdown { (markdown::render(&feature.wanted.description)) }
                }
                @if !matches!(feature.stage, Stage::Done | Stage::Cancelled) { (edit(&base, view, typed)) }
                @if !list.is_empty() { section.panel { h2 { "Runs" } (runs::table(team, list)) } }
            }
            div.stack {
                section.panel { h2 { "Facts" } (facts(view)) }
                section.panel {
                    h2 { "History" }
                    @for event in history.iter().rev().take(60) {
                        div.message {
                            p { (event.text) }
                            p.faint { (event.actor) ", " (parts::ago(event.at)) }
                        }
                    }
                }
            }
        }
    }
}

fn facts(view: &FeatureView) -> Markup {
    let feature = &view.feature;
    let text = |text: String| Some(html! { (text) });
    let ids: Vec<String> = feature.wanted.depends_on.iter().map(ToString::to_string).collect();
    parts::facts(&[
        ("Stage", text(feature.stage.to_string())),
        ("Repository", text(feature.repository.to_string())),
        ("Priority", text(feature.wanted.priority.to_string())),
        ("Labels", text(feature.wanted.labels.join(", ")).filter(|_| !feature.wanted.labels.is_empty())),
        ("Waits for", text(ids.join(", ")).filter(|_| !ids.is_empty())),
        ("Filed by", text(feature.author.to_string())),
        ("Filed", Some(parts::ago(feature.created_at))),
        ("Version", text(feature.version.to_string())),
    ])
}

fn edit(base: &str, view: &FeatureView, typed: Option<&Typed>) -> Markup {
    let feature = &view.feature;
    let ids: Vec<String> = feature.wanted.depends_on.iter().map(ToString::to_string).collect();
    let (title, description) =
        typed.map_or((&feature.wanted.title, &feature.wanted.description), |t| (&t.title, &t.description));
    let labels = typed.map_or_else(|| feature.wanted.labels.join(", "), |typed| typed.labels.clone());
    let depends_on = typed.map_or_else(|| ids.join(", "), |typed| typed.depends_on.clone());
    html! {
        details.panel open[typed.is_some()] {
            summary data-key="e" { "Edit " kbd { "e" } }
            @if let Some(typed) = typed {
                p.bad role="alert" { (typed.problem) " What you typed is still here; the page above shows what holds now." }
            }
            form.stack method="post" action={ (base) "do/edit" } {
                input type="hidden" name="id" value=(feature.id);
                input type="hidden" name="version" value=(feature.version);
                label { "Title" input name="title" value=(title) required maxlength="120" autocomplete="off"; }
                label { "Description, Markdown" textarea name="description" { (description) } }
                label { "Labels, with commas" input name="labels" value=(labels) autocomplete="off"; }
                label { "Waits for" input name="depends_on" value=(depends_on) autocomplete="off"; }
                div.acts { button.btn.go { "Save" } }
            }
        }
    }
}
