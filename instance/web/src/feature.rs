//! One feature: what is wanted, what is true and why, what people say about it, who changed what, and the edit.

use jiff::civil::Date;
use maud::{Markup, html};
use qd_api::{EventView, FeatureView, Problem, RunSummary, TeamView, WhyView};
use qd_board::{Clash, Comment, Wanted};
use qd_look::parts;
use qd_types::Stage;

use crate::{
    board, facts,
    fields::{self, Purpose, Typed},
    markdown, runs,
};

/// Entries of the history that are shown.
const HISTORY: usize = 60;

/// A form that was refused, with everything that was typed.
pub(crate) enum Refused {
    /// None was.
    Nothing,
    /// An edit.
    Edit(Box<RefusedEdit>),
    /// A comment.
    Comment { text: String, problem: Problem },
}

/// What was typed into an edit, the form as it had been shown, and why it was refused.
pub(crate) struct RefusedEdit {
    pub(crate) typed: Typed,
    pub(crate) was: Typed,
    pub(crate) reason: String,
    pub(crate) problem: Problem,
}

impl Refused {
    /// The answer's status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Nothing => 200,
            Self::Edit(edit) => edit.problem.status,
            Self::Comment { problem, .. } => problem.status,
        }
    }
}

/// Everything that the page shows.
pub(crate) struct Shown {
    pub(crate) why: WhyView,
    pub(crate) parts: Vec<FeatureView>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) history: Vec<EventView>,
    pub(crate) runs: Vec<RunSummary>,
    pub(crate) today: Date,
}

pub(crate) fn page(team: &TeamView, shown: &Shown, refused: Refused) -> Markup {
    let view = &shown.why.feature;
    let feature = &view.feature;
    let base = format!("/teams/{}/", team.name);
    let over = matches!(feature.stage, Stage::Done | Stage::Cancelled);
    let (edit, comment) = match refused {
        Refused::Nothing => (edit(&base, view, None), say(&base, view, "", None)),
        Refused::Edit(refused) => (self::edit(&base, view, Some(*refused)), say(&base, view, "", None)),
        Refused::Comment { text, problem } => {
            (self::edit(&base, view, None), say(&base, view, &text, Some(&problem)))
        }
    };
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) "features/" (feature.id) } {
            div #says data-live {
                h1 { (feature.wanted.title) }
                p { span.id { (feature.id) } " " (view.sentence) }
            }
            span.grow {}
            div #acts .acts data-live { (buttons(&base, view)) }
        }
        div.page.two {
            div.stack {
                div #run data-live { @if let Some(run) = &view.run {
                    section class={ "panel card " (board::tone(view)) } {
                        h3 { a href={ (base) "runs/" (run.id) } { "Run " (run.id) ", " (run.agent) } }
                        (parts::line(&run.line))
                        div.says { (view.sentence) }
                    }
                } }
                section #wanted .panel data-live { (wanted(&base, &feature.id, &feature.wanted)) }
                div #parts data-live { @if !shown.parts.is_empty() { (parts_of(&base, &shown.parts)) } }
                @if !over { (edit) }
                section #comments .panel {
                    h2 { "Comments" }
                    div #said data-live { (comments(&shown.comments)) }
                    (comment)
                }
                div #runs data-live { @if !shown.runs.is_empty() {
                    section.panel { h2 { "Runs" } (runs::table(team, &shown.runs)) }
                } }
            }
            div.stack {
                div #why data-live { @if !over { (why(&base, &shown.why)) } }
                section #facts .panel data-live { h2 { "Facts" } (facts::list(&base, view, shown.today)) }
                section #history .panel data-live { h2 { "History" } (history(&shown.history)) }
            }
        }
    }
}

fn buttons(base: &str, view: &FeatureView) -> Markup {
    let feature = &view.feature;
    let id = html! { input type="hidden" name="id" value=(feature.id); };
    let over = matches!(feature.stage, Stage::Done | Stage::Cancelled);
    html! {
        @if matches!(feature.stage, Stage::Backlog | Stage::Cancelled) || feature.held.is_some() {
            form method="post" action={ (base) "do/move" } {
                (id)
                input type="hidden" name="stage" value="ready";
                button.btn.go data-key="r" { @if feature.held.is_some() { "Try again " } @else { "Release " } kbd { "r" } }
            }
        }
        @if feature.stage == Stage::Ready {
            form method="post" action={ (base) "do/move" } {
                (id)
                input type="hidden" name="stage" value="backlog";
                button.btn data-key="b" { "To backlog " kbd { "b" } }
            }
        }
        @if feature.paused.is_some() {
            form method="post" action={ (base) "do/resume" } { (id) button.btn.go data-key="p" { "Resume " kbd { "p" } } }
        } @else if !over {
            (parts::asked(&parts::Asked { label: "Pause", key: "p", class: "", action: &format!("{base}do/pause"), hidden: &id }))
        }
        @if matches!(feature.stage, Stage::Backlog | Stage::Ready) {
            (parts::asked(&parts::Asked { label: "Cancel", key: "c", class: "no", action: &format!("{base}do/cancel"), hidden: &id }))
        }
        @if feature.stage == Stage::Done {
            (parts::asked(&parts::Asked { label: "Take back", key: "v", class: "no", action: &format!("{base}do/revert"), hidden: &id }))
        }
    }
}

fn wanted(base: &str, id: &qd_types::FeatureId, wanted: &Wanted) -> Markup {
    let files = format!("{base}api/v1/features/{id}/attachments");
    html! {
        h2 { "What is wanted" }
        @if wanted.description.is_empty() { (parts::empty("No description.")) }
        div.markdown { (markdown::render(&wanted.description)) }
        @if !wanted.checks.is_empty() {
            h2 { "Checks besides the repository’s" }
            ul.plain { @for check in &wanted.checks { li { code { (check) } } } }
        }
        @if !wanted.paths.is_empty() {
            h2 { "Paths that it will touch" }
            ul.plain { @for path in &wanted.paths { li { code { (path) } } } }
        }
        @if !wanted.attachments.is_empty() {
            h2 { "Attachments" }
            ul.plain {
                @for file in &wanted.attachments {
                    li {
                        a.link download href={ (files) "/" (file.name) } {
                            (file.name)
                        }
                        " " span.faint.num { (bytes(file.bytes)) }
                    }
                }
            }
        }
        label.btn.attach {
            "Attach a file"
            input.unseen type="file" data-attach=(files);
        }
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

fn parts_of(base: &str, list: &[FeatureView]) -> Markup {
    let done = list.iter().filter(|part| part.feature.stage == Stage::Done).count();
    html! {
        section.panel {
            h2 { "Parts, " (done) " of " (list.len()) " done" }
            @for part in list {
                div.message {
                    p { a.name href={ (base) "features/" (part.feature.id) } { (part.feature.wanted.title) } }
                    @if let Some(run) = &part.run { (parts::line(&run.line)) }
                    p.soft { span.id { (part.feature.id) } " " (part.sentence) }
                }
            }
        }
    }
}

/// What decides, beside the sentence that says what is true.
fn why(base: &str, why: &WhyView) -> Markup {
    let place = why.place.as_ref().map(|place| {
        html! { (place.place) " of " (place.of) @if !place.because.is_empty() { br; span.faint { (place.because) } } }
    });
    let agent = why.agent.as_ref().map(|agent| {
        let model = agent.model.as_ref().map_or_else(String::new, |model| format!(" with {model}"));
        html! { (agent.agent) (model) br; span.faint { "by " (agent.by) } }
    });
    let size = why.size.as_ref().map(|size| match size.split_once(", ") {
        Some((size, by)) => html! { (size.to_uppercase()) br; span.faint { (by) } },
        None => html! { (size.to_uppercase()) },
    });
    html! {
        section.panel {
            h2 { "Why" }
            p { (why.sentence) }
            @if place.is_some() || agent.is_some() || size.is_some() { br; }
            (parts::facts(&[("Place", place), ("Agent", agent), ("Size", size)]))
            @if !why.clashes.is_empty() {
                h2 { "Conflicts" }
                @for clash in &why.clashes { (conflict(base, clash)) }
            }
        }
    }
}

fn conflict(base: &str, clash: &Clash) -> Markup {
    html! {
        div.message {
            p.bad {
                "Conflicts with "
                @match &clash.with {
                    Some(id) => a.link href={ (base) "features/" (id) } { (id) },
                    None => "the target branch",
                }
            }
            p.soft { @for file in &clash.files { code { (file) } br; } }
        }
    }
}

fn comments(list: &[Comment]) -> Markup {
    html! {
        @if list.is_empty() { (parts::empty("Nobody has said anything yet.")) }
        @for comment in list {
            div.message {
                p.faint { b { (comment.author) } ", " (parts::ago(comment.at)) }
                div.markdown { (markdown::render(&comment.text)) }
            }
        }
    }
}

fn say(base: &str, view: &FeatureView, text: &str, problem: Option<&Problem>) -> Markup {
    html! {
        form.stack.say method="post" action={ (base) "do/comment" } {
            input type="hidden" name="id" value=(view.feature.id);
            @if let Some(problem) = problem { p.bad role="alert" { (problem.detail) } }
            label { "Your comment, Markdown" textarea.short name="text" required data-key="m" { (text) } }
            div.acts { button.btn { "Comment" } span.faint { kbd { "m" } " writes one" } }
        }
    }
}

fn history(list: &[EventView]) -> Markup {
    // What people said stands beside it in full.
    let told: Vec<&EventView> = list.iter().rev().filter(|event| event.kind != "comment").collect();
    html! {
        @for event in told.iter().take(HISTORY) {
            div.message {
                p { (event.text) }
                @if let Some(reason) = &event.reason { p.soft { "“" (reason) "”" } }
                p.faint { (event.actor) ", " (parts::ago(event.at)) }
            }
        }
        @if told.len() > HISTORY { p.soft { "and " (told.len() - HISTORY) " older" } }
    }
}

fn edit(base: &str, view: &FeatureView, refused: Option<RefusedEdit>) -> Markup {
    let feature = &view.feature;
    let now = Typed::of(&feature.wanted);
    let was = serde_json::to_string(&now).unwrap_or_default();
    let (typed, reason, problem) = match refused {
        Some(refused) => (refused.typed.over(&refused.was, now), refused.reason, Some(refused.problem)),
        None => (now, String::new(), None),
    };
    html! {
        details #edit .panel open[problem.is_some()] {
            summary data-key="e" { "Edit " kbd { "e" } }
            @if let Some(problem) = &problem {
                p.bad role="alert" {
                    (problem.detail) @if let Some(hint) = &problem.hint { " " (hint) }
                    " What you typed is still here; the page above shows what holds now."
                }
            }
            form.stack method="post" action={ (base) "do/edit" } {
                input type="hidden" name="id" value=(feature.id);
                input type="hidden" name="version" value=(feature.version);
                input type="hidden" name="was" value=(was);
                (fields::inputs(&typed, Purpose::Edit, problem.is_some()))
                label { "Why, for the history" input name="reason" value=(reason) autocomplete="off"; }
                div.acts { button.btn.go { "Save" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qd_api::Place;
    use qd_board::Assignment;

    use super::*;
    use crate::sample;

    fn explained() -> WhyView {
        let clash = Clash { with: Some("A-7".parse().unwrap()), files: vec!["src/a.rs".into()] };
        WhyView {
            sentence: "All slots are taken.".into(),
            waits: None,
            place: Some(Place { place: 2, of: 5, because: "urgency 1".into() }),
            agent: Some(Assignment {
                agent: "claude".into(),
                model: Some("large".into()),
                by: "rule big-ones".into(),
            }),
            size: Some("s, by a person".into()),
            clashes: vec![clash, Clash { with: None, files: vec!["b".into()] }],
            feature: sample::feature(Wanted::default()),
        }
    }

    #[test]
    fn why_says_what_decides_and_names_conflicts_with_links() {
        insta::assert_snapshot!(why("/teams/alpha/", &explained()).into_string(), @r#"<section class="panel"><h2>Why</h2><p>All slots are taken.</p><br><dl><dt>Place</dt><dd>2 of 5<br><span class="faint">urgency 1</span></dd><dt>Agent</dt><dd>claude with large<br><span class="faint">by rule big-ones</span></dd><dt>Size</dt><dd>S<br><span class="faint">by a person</span></dd></dl><h2>Conflicts</h2><div class="message"><p class="bad">Conflicts with <a class="link" href="/teams/alpha/features/A-7">A-7</a></p><p class="soft"><code>src/a.rs</code><br></p></div><div class="message"><p class="bad">Conflicts with the target branch</p><p class="soft"><code>b</code><br></p></div></section>"#);
    }

    #[test]
    fn history_gives_reasons_and_leaves_out_what_stands_beside_it() {
        let event = |seq, kind: &str, text: &str, reason: Option<&str>| EventView {
            seq,
            at: Timestamp::UNIX_EPOCH,
            actor: "theo".into(),
            kind: kind.into(),
            feature: None,
            run: None,
            text: text.into(),
            reason: reason.map(str::to_owned),
            changes: None,
        };
        let list = [
            event(1, "feature_added", "Filed in backlog.", None),
            event(2, "comment", "Which profile?", None),
            event(3, "feature_edited", "Changed due.", Some("The date <moved>")),
        ];
        insta::assert_snapshot!(history(&list).into_string(), @r#"<div class="message"><p>Changed due.</p><p class="soft">“The date &lt;moved&gt;”</p><p class="faint">theo, <time datetime="1970-01-01T00:00:00Z" data-relative>1970-01-01 00:00</time></p></div><div class="message"><p>Filed in backlog.</p><p class="faint">theo, <time datetime="1970-01-01T00:00:00Z" data-relative>1970-01-01 00:00</time></p></div>"#);
    }

    #[test]
    fn a_refused_edit_keeps_what_was_typed_and_opens() {
        let view = sample::feature(Wanted { title: "Newer".into(), ..Wanted::default() });
        let was = Typed { title: "Old".into(), ..Typed::default() };
        let typed = Typed { due: "soon".into(), ..was.clone() };
        let problem = fields::invalid("Due: no day.".into());
        let refused = RefusedEdit { typed, was, reason: "because".into(), problem };
        let html = edit("/", &view, Some(refused)).into_string();
        for kept in [
            "<details class=\"panel\" id=\"edit\" open",
            "value=\"soon\"",
            "value=\"because\"",
            "value=\"Newer\"",
            "Due: no day.",
        ] {
            assert!(html.contains(kept), "{kept} in {html}");
        }
    }
}
