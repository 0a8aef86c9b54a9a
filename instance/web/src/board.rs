//! The board: columns and cards. One thing asks for attention: what waits for a person, or is broken.

use maud::{Markup, html};
use qd_api::{FeatureView, TeamView};
use qd_board::Waits;
use qd_look::parts;
use qd_types::Stage;

/// Cards shown in a column; the rest is a link.
pub(crate) const SHOWN: usize = 50;

pub(crate) type Column = (Stage, u64, Vec<FeatureView>);

pub(crate) fn page(team: &TeamView, columns: &[Column]) -> Markup {
    let base = format!("/teams/{}/", team.name);
    html! {
        div.head {
            div.grow {}
            input #filter type="search" placeholder="Filter cards" aria-label="Filter cards" data-key="/" autocomplete="off";
            button.btn.go type="button" data-open="add" data-key="n" { "New feature " kbd { "n" } }
            button.btn type="button" data-open="keys" data-key="?" { "Keys " kbd { "?" } }
        }
        div #board .cols data-base=(base) data-seq=(team.seq) { (fragment(team, columns)) }
        dialog #add {
            h2 { "New feature" }
            (add_form(&base))
        }
        dialog #keys {
            h2 { "Keys" }
            dl.wide {
                dt { kbd { "n" } } dd { "new feature" }
                dt { kbd { "/" } } dd { "filter cards" }
                dt { kbd { "h" } " " kbd { "j" } " " kbd { "k" } " " kbd { "l" } } dd { "walk the cards, as the arrows do" }
                dt { kbd { "Enter" } } dd { "open the card" }
                dt { kbd { "r" } " " kbd { "b" } } dd { "to ready, to backlog" }
                dt { kbd { "c" } } dd { "cancel" }
                dt { kbd { "a" } " " kbd { "d" } } dd { "approve, deny, where something is asked" }
                dt { kbd { "t" } } dd { "theme" }
            }
            form.acts method="dialog" { button.btn { "Close" } }
        }
        noscript { div.page.one { section.panel { h2 { "New feature" } (add_form(&base)) } } }
    }
}

fn add_form(base: &str) -> Markup {
    html! {
        form.stack method="post" action={ (base) "do/add" } {
            label { "Title" input name="title" required maxlength="120" autofocus autocomplete="off"; }
            label { "Description, Markdown" textarea name="description" {} }
            label { "Labels, with commas" input name="labels" autocomplete="off"; }
            label { "Waits for, like A-1, A-2" input name="depends_on" autocomplete="off"; }
            label.check { input type="checkbox" name="ready" value="true" checked; "Release it to the team at once" }
            div.acts { button.btn.go type="submit" { "File it" } }
        }
    }
}

/// The columns alone, for the page that is open.
pub(crate) fn fragment(team: &TeamView, columns: &[Column]) -> Markup {
    html! {
        @for (stage, count, cards) in columns.iter().filter(|(stage, _, _)| *stage != Stage::Cancelled) {
            section.col aria-label=(title(*stage)) {
                header {
                    (title(*stage))
                    span.num {
                        @if *stage == Stage::Running { (count) " of " (team.slots) } @else { (count) }
                    }
                }
                @if cards.is_empty() { div.none { (none(*stage)) } }
                @for card in cards { (self::card(team, card)) }
                @if *count > cards.len() as u64 {
                    p.soft { "and " (count - cards.len() as u64) " more" }
                }
            }
        }
    }
}

fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Backlog => "Backlog",
        Stage::Ready => "Ready",
        Stage::Running => "Running",
        Stage::Review => "Review",
        Stage::Done => "Done",
        Stage::Cancelled => "Cancelled",
    }
}

fn none(stage: Stage) -> &'static str {
    match stage {
        Stage::Backlog => "Nothing is waiting to be released.",
        Stage::Ready => "Nothing is waiting for a slot.",
        Stage::Running => "Nobody works.",
        Stage::Review => "No pull request is open.",
        Stage::Done | Stage::Cancelled => "Nothing yet.",
    }
}

/// What asks for attention is brass, what is broken is red, all else is quiet.
pub(crate) fn tone(view: &FeatureView) -> &'static str {
    let red =
        view.feature.held.is_some() || (view.waits == Some(Waits::Checks) && view.sentence.contains(" red"));
    match view.waits {
        _ if red => "red",
        Some(Waits::Approval | Waits::Question) => "asks",
        _ => "",
    }
}

fn card(team: &TeamView, view: &FeatureView) -> Markup {
    let feature = &view.feature;
    html! {
        article class={ "card " (tone(view)) } data-id=(feature.id) data-stage=(feature.stage) {
            h3 { a href={ "/teams/" (team.name) "/features/" (feature.id) } { (feature.wanted.title) } }
            @if let Some(run) = &view.run { (parts::line(&run.line)) }
            div.row {
                span.id { (feature.id) }
                @if let Some(run) = &view.run { span.tag { (run.agent) } }
                @if feature.wanted.priority < 2 { span.tag { "priority " (feature.wanted.priority) } }
                @for label in &feature.wanted.labels { span.tag { (label) } }
            }
            @if feature.stage != Stage::Backlog { div.says { (view.sentence) } }
        }
    }
}
