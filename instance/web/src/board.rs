//! The board: columns and cards. One thing asks for attention: what waits for a person, or is broken.

use jiff::civil::Date;
use maud::{Markup, html};
use qd_api::{FeatureView, Problem, TeamView};
use qd_board::{Waits, schedule::DUE_SOON_DAYS};
use qd_look::parts;
use qd_types::Stage;

use crate::fields::{self, Purpose, Typed};

/// Cards shown in a column; the rest is a link.
pub(crate) const SHOWN: usize = 50;

pub(crate) type Column = (Stage, u64, Vec<FeatureView>);

pub(crate) fn page(team: &TeamView, columns: &[Column], today: Date) -> Markup {
    let base = format!("/teams/{}/", team.name);
    html! {
        div.head {
            div.grow {}
            input #filter type="search" placeholder="Filter cards" aria-label="Filter cards" data-key="/" autocomplete="off";
            a.btn.go href={ (base) "new" } data-open="add" data-key="n" { "New feature " kbd { "n" } }
            a.btn.works href={ (base) "pause" } data-open="pause" data-key="p" { "Pause " kbd { "p" } }
            button.btn.hide.scripted type="button" data-open="keys" data-key="?" { "Keys " kbd { "?" } }
        }
        div #live data-base=(base) data-seq=(team.seq) { (fragment(team, columns, today)) }
        dialog #add {
            h2 { "New feature" }
            (add_form(&base, &Typed::default(), "", None))
        }
        dialog #pause {
            h2 { "Pause the team" }
            (pause_form(&base))
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
                dt { kbd { "p" } } dd { "pause, resume" }
                dt { kbd { "a" } " " kbd { "d" } } dd { "approve, deny, where something is asked" }
                dt { kbd { "t" } } dd { "theme" }
            }
            form.acts method="dialog" { button.btn { "Close" } }
        }
    }
}

/// The form of a new feature, as a page: without scripts, and when something typed can't be taken.
pub(crate) fn add_page(
    team: &TeamView,
    typed: &Typed,
    repository: &str,
    problem: Option<&Problem>,
) -> Markup {
    html! {
        div.page.one {
            section.panel {
                h1 { "New feature" }
                (add_form(&format!("/teams/{}/", team.name), typed, repository, problem))
            }
        }
    }
}

/// The form that pauses the team, as a page, for those without scripts.
pub(crate) fn pause_page(team: &TeamView) -> Markup {
    html! {
        div.page.one {
            section.panel { h1 { "Pause the team" } (pause_form(&format!("/teams/{}/", team.name))) }
        }
    }
}

fn add_form(base: &str, typed: &Typed, repository: &str, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            p.bad role="alert" { (problem.detail) @if let Some(hint) = &problem.hint { " " (hint) } " Nothing was filed; what you typed is still here." }
        }
        form.stack method="post" action={ (base) "do/add" } {
            (fields::inputs(typed, Purpose::New { repository }, problem.is_some()))
            div.acts {
                button.btn.go type="submit" { "File it" }
                label.check { input type="checkbox" name="ready" value="true" checked; "Release it to the team at once" }
            }
        }
    }
}

fn pause_form(base: &str) -> Markup {
    html! {
        form.stack method="post" action={ (base) "do/pause" } {
            p.soft { "What runs goes on, nothing starts until somebody resumes." }
            label { "Why" input name="reason" autofocus autocomplete="off"; }
            div.acts { button.btn.go type="submit" { "Pause" } }
        }
    }
}

/// "Paused by theo: wait for the release."
pub(crate) fn paused(said: &str) -> String {
    let said = said.strip_prefix("by ").unwrap_or(said).trim_end_matches('.');
    format!("Paused by {said}.")
}

/// The banner and the columns alone, for the page that is open.
pub(crate) fn fragment(team: &TeamView, columns: &[Column], today: Date) -> Markup {
    let base = format!("/teams/{}/", team.name);
    html! {
        @if let Some(why) = &team.refuses {
            div.banner role="status" { p { b { (why) } } }
        }
        @if let Some(said) = &team.lowered {
            div.banner role="status" { p { b { (said) } } }
        }
        @if let Some(said) = &team.paused {
            div.banner role="status" {
                p { b { (paused(said)) } " What runs goes on, nothing starts." }
                form method="post" action={ (base) "do/resume" } { button.btn.go data-key="p" { "Resume " kbd { "p" } } }
            }
        }
        div #board .cols {
            @for (stage, count, cards) in columns.iter().filter(|(stage, _, _)| *stage != Stage::Cancelled) {
                section.col aria-label=(title(*stage)) {
                    header {
                        (title(*stage))
                        span.num {
                            @if *stage == Stage::Running { (count) " of " (team.slots) } @else { (count) }
                        }
                    }
                    @if cards.is_empty() { div.none { (none(*stage)) } }
                    @for card in cards { (self::card(team, card, today)) }
                    @if *count > cards.len() as u64 {
                        p.soft { "and " (count - cards.len() as u64) " more" }
                    }
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

/// "due tomorrow", "2 days late", and whether it is late; none while it is far off, or done.
pub(crate) fn due(view: &FeatureView, today: Date) -> Option<(String, bool)> {
    let due = view.feature.wanted.due?;
    if matches!(view.feature.stage, Stage::Done | Stage::Cancelled) {
        return None;
    }
    let days = i64::from(today.until(due).ok()?.get_days());
    match days {
        ..=-31 => Some((format!("late since {due}"), true)),
        -30..=-2 => Some((format!("{} days late", -days), true)),
        -1 => Some(("1 day late".to_owned(), true)),
        0 => Some(("due today".to_owned(), false)),
        1 => Some(("due tomorrow".to_owned(), false)),
        _ if days <= DUE_SOON_DAYS => Some((format!("due in {days} days"), false)),
        _ => None,
    }
}

/// A small fact on a card.
struct Tag {
    text: String,
    /// What it means, where the text is short.
    about: Option<String>,
    bad: bool,
}

fn tags(view: &FeatureView, today: Date) -> Vec<Tag> {
    let feature = &view.feature;
    let wanted = &feature.wanted;
    let tag = |text: String| Tag { text, about: None, bad: false };
    let mut tags = Vec::new();
    tags.extend(view.run.as_ref().map(|run| tag(run.agent.clone())));
    tags.extend((wanted.priority < 2).then(|| tag(format!("priority {}", wanted.priority))));
    tags.extend(
        wanted
            .size
            .map(|size| Tag { about: Some(format!("Size {size}")), ..tag(size.as_str().to_uppercase()) }),
    );
    tags.extend(due(view, today).map(|(text, bad)| Tag { bad, ..tag(text) }));
    tags.extend(
        feature.paused.as_ref().map(|said| Tag { about: Some(paused(said)), ..tag("paused".into()) }),
    );
    for clash in &view.clashes {
        let with = clash.with.as_ref().map_or_else(|| "the target".to_owned(), ToString::to_string);
        let about = Some(clash.files.join(", "));
        tags.push(Tag { text: format!("conflicts with {with}"), about, bad: true });
    }
    tags.extend(
        wanted
            .assignee
            .as_ref()
            .map(|person| Tag { about: Some(format!("Assigned to {person}")), ..tag(format!("@{person}")) }),
    );
    tags.extend(wanted.epic.as_ref().map(|epic| tag(format!("part of {epic}"))));
    tags.extend(
        wanted.milestone.as_ref().map(|name| Tag { about: Some("Milestone".into()), ..tag(name.clone()) }),
    );
    tags.extend(wanted.labels.iter().cloned().map(tag));
    tags
}

/// What the filter finds a card by besides what it shows.
fn found_by(view: &FeatureView) -> String {
    let wanted = &view.feature.wanted;
    let ids = wanted.depends_on.iter().map(ToString::to_string);
    let words = [
        Some(format!("priority {}", wanted.priority)),
        wanted.size.map(|size| format!("size {size}")),
        wanted.due.map(|due| format!("due {due}")),
        wanted.project.clone(),
        wanted.agent.clone(),
        wanted.model.clone(),
        Some(view.feature.author.to_string()),
        Some(view.feature.repository.to_string()),
    ];
    words.into_iter().flatten().chain(ids).collect::<Vec<_>>().join(" ")
}

fn card(team: &TeamView, view: &FeatureView, today: Date) -> Markup {
    let feature = &view.feature;
    html! {
        article class={ "card " (tone(view)) } data-id=(feature.id) data-stage=(feature.stage) data-find=(found_by(view)) {
            h3 { a href={ "/teams/" (team.name) "/features/" (feature.id) } { (feature.wanted.title) } }
            @if let Some(run) = &view.run { (parts::line(&run.line)) }
            div.row {
                span.id { (feature.id) }
                @for tag in tags(view, today) {
                    span class=(if tag.bad { "tag bad" } else { "tag" }) title=[tag.about] { (tag.text) }
                }
            }
            @if feature.stage != Stage::Backlog { div.says { (view.sentence) } }
            @if let Some(spent) = &view.spent {
                div.spent { (spent.said()) @if let Some(warning) = &spent.warning { br; span.warn { (warning) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use qd_board::{Clash, Size, Wanted};

    use super::*;
    use crate::sample;

    const TODAY: Date = jiff::civil::date(2026, 12, 20);

    #[test]
    fn a_card_says_what_people_look_for_and_is_found_by_the_rest() {
        let mut view = sample::feature(Wanted {
            title: "Split".into(),
            priority: 0,
            size: Some(Size::M),
            labels: vec!["api".into()],
            milestone: Some("1.0".into()),
            project: Some("billing".into()),
            epic: Some("A-7".parse().unwrap()),
            assignee: Some("mira".parse().unwrap()),
            due: Some("2026-12-18".parse().unwrap()),
            ..Wanted::default()
        });
        view.feature.paused = Some("by theo".into());
        view.clashes = vec![
            Clash { with: Some("A-3".parse().unwrap()), files: vec!["src/a.rs".into()] },
            Clash { with: None, files: vec![] },
        ];
        let tags: Vec<String> = tags(&view, TODAY)
            .into_iter()
            .map(|tag| format!("{}{}", if tag.bad { "!" } else { "" }, tag.text))
            .collect();
        insta::assert_snapshot!(tags.join(" | "), @"priority 0 | M | !2 days late | paused | !conflicts with A-3 | !conflicts with the target | @mira | part of A-7 | 1.0 | api");
        insta::assert_snapshot!(found_by(&view), @"priority 0 size m due 2026-12-18 billing theo sample");
    }

    #[test]
    fn a_due_date_is_shown_while_it_is_near_or_past() {
        let said = |day: &str, stage: Stage| {
            let mut view = sample::feature(Wanted { due: Some(day.parse().unwrap()), ..Wanted::default() });
            view.feature.stage = stage;
            due(&view, TODAY).map_or_else(|| "-".to_owned(), |(text, late)| format!("{text} {late}"))
        };
        let days = [
            "2026-01-01",
            "2026-12-18",
            "2026-12-19",
            "2026-12-20",
            "2026-12-21",
            "2026-12-22",
            "2026-12-23",
        ];
        insta::assert_snapshot!(days.map(|day| said(day, Stage::Ready)).join(", "), @"late since 2026-01-01 true, 2 days late true, 1 day late true, due today false, due tomorrow false, due in 2 days false, -");
        assert_eq!(said("2026-12-19", Stage::Done), "-");
    }

    #[test]
    fn a_paused_team_says_who_and_why_and_can_go_on() {
        let shown = |said: &str| {
            let team = TeamView { paused: Some(said.into()), ..sample::team() };
            let html = fragment(&team, &[], TODAY).into_string();
            html.split("<div class=\"cols\"").next().unwrap_or_default().to_owned()
        };
        insta::assert_snapshot!(shown("theo: <b> the release."), @r#"<div class="banner" role="status"><p><b>Paused by theo: &lt;b&gt; the release.</b> What runs goes on, nothing starts.</p><form method="post" action="/teams/alpha/do/resume"><button class="btn go" data-key="p">Resume <kbd>p</kbd></button></form></div>"#);
        assert!(shown("by theo").contains("Paused by theo."), "without a reason");
        assert!(!fragment(&sample::team(), &[], TODAY).into_string().contains("banner"), "while it works");
    }
}
