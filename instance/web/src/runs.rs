//! Runs: the list, and one run with its steps, transcript, diff and facts.

use maud::{Markup, html};
use qd_api::{DiffView, Problem, RunSummary, RunView, TeamView, TranscriptPage};
use qd_board::{RunEnd, why::minutes};
use qd_look::parts;

use crate::{inbox, markdown};

pub(crate) fn list(team: &TeamView, runs: &[RunSummary]) -> Markup {
    let base = format!("/teams/{}/", team.name);
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) "runs" } { h1 { "Runs" } }
        div #list .page data-live {
            section.panel {
                @if runs.is_empty() { (parts::empty("No runs yet. A feature in ready gets one as soon as a slot is free.")) }
                @else { (table(team, runs)) }
            }
        }
    }
}

pub(crate) fn table(team: &TeamView, runs: &[RunSummary]) -> Markup {
    html! {
        table.list {
            thead { tr { th { "Run" } th { "Feature" } th { "Agent" } th { "Took" } th { "How it ended" } } }
            tbody {
                @for run in runs {
                    tr {
                        td { a.mono href={ "/teams/" (team.name) "/runs/" (run.id) } { (run.id) } (parts::line(&run.line)) }
                        td { (run.title) }
                        td { (run.agent) @if let Some(model) = &run.model { p.faint { (model) } } }
                        td.num { (minutes(run.seconds)) }
                        td { (end(run)) }
                    }
                }
            }
        }
    }
}

fn end(run: &RunSummary) -> Markup {
    match &run.end {
        None => html! { "under way" },
        Some(RunEnd::Merged { commit }) => html! { "Merged as " span.mono { (commit.short()) } },
        Some(RunEnd::Answered { known: true, .. }) => html! { "Answered" },
        Some(RunEnd::Answered { known: false, .. }) => html! { "Doesn't know" },
        Some(RunEnd::Planned { features }) => html! { "Planned " (features) " features" },
        Some(RunEnd::Failed { reason, .. }) => html! { span.bad { (reason) } },
        Some(RunEnd::Stopped { reason }) => html! { (reason) },
    }
}

pub(crate) fn page(
    team: &TeamView,
    run: &RunView,
    transcript: &TranscriptPage,
    diff: &DiffView,
    refused: Option<&(String, Problem)>,
) -> Markup {
    let base = format!("/teams/{}/", team.name);
    let summary = &run.summary;
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) "runs/" (summary.id) } data-run=(summary.id) {
            div {
                h1 { a href={ (base) "features/" (summary.id.feature()) } { (summary.title) } }
                p {
                    span.id { (summary.id) } " " (summary.agent) ", started " (parts::ago(summary.started_at)) ". "
                    span #sentence data-live { (run.sentence) }
                }
            }
            span.grow {}
            @if summary.end.is_none() {
                form.acts method="post" action={ (base) "do/stop" } data-confirm={ "Stop run " (summary.id) "? Its work is kept." } {
                    input type="hidden" name="id" value=(summary.id);
                    button.btn.no disabled[run.stopping] data-key="s" { @if run.stopping { "Stopping" } @else { "Stop " kbd { "s" } } }
                }
            }
        }
        div.page.run {
            aside.panel {
                h2 { "Steps" }
                div #steps data-live {
                    ol.steps {
                        @for step in &run.steps {
                            li class=(parts::mark_class(step.mark)) {
                                (step.step.title())
                                span.faint.num { @match (&step.note, step.millis) {
                                    (Some(note), _) => (note),
                                    (None, Some(millis)) => (duration(millis)),
                                    (None, None) => "",
                                } }
                            }
                        }
                    }
                }
            }
            div.stack {
                div #plan data-live { (plan(&base, run, refused)) }
                div #ask data-live { @if let Some(ask) = &run.approval { (inbox::ask(team, ask)) } }
                section.panel {
                    h2 { "Transcript" }
                    div #transcript .log tabindex="0" aria-label="Transcript" data-base=(base) data-run=(summary.id) data-offset=(transcript.next_offset) {
                        @for entry in &transcript.entries {
                            div class=(entry.kind) { (parts::clock(entry.at)) span { (entry.text) } }
                        }
                    }
                }
                section.panel {
                    h2 { "Diff" }
                    @if diff.text.is_empty() { (parts::empty("Nothing has changed yet.")) }
                    @else {
                        p.soft { (diff.files) " files, +" (diff.insertions) " −" (diff.deletions) }
                        (self::diff(&diff.text))
                        @if diff.cut { p.soft { "The rest is cut; the branch has all of it." } }
                    }
                }
            }
            aside.panel {
                h2 { "Facts" }
                div #facts data-live { (facts(run)) }
            }
        }
    }
}

/// Why it went back, and the plan: brass while it waits for a person, folded once there is none to accept.
fn plan(base: &str, run: &RunView, refused: Option<&(String, Problem)>) -> Markup {
    let id = html! { input type="hidden" name="id" value=(run.summary.id); };
    let action = format!("{base}do/accept");
    html! {
        @if let Some(feedback) = &run.feedback {
            section.panel {
                h2 { "Why it went back" }
                p { (feedback.about) }
                details.more { summary { "What the agent was told" } pre.said { (feedback.text) } }
            }
        }
        @match &run.plan {
            Some(text) if run.plan_waits => section.ask {
                b { "The plan waits for you" }
                div.markdown { (markdown::render(text)) }
                @if let Some((_, problem)) = refused { p.bad role="alert" { (problem.detail) " What you typed is still here." } }
                div.acts {
                    form method="post" action=(action) {
                        (id)
                        button #accept .btn.go data-key="a" { "Accept the plan " kbd { "a" } }
                    }
                    details open[refused.is_some()] {
                        summary.btn data-key="e" { "Change it first " kbd { "e" } }
                        form.stack method="post" action=(action) {
                            (id)
                            label { "The plan, Markdown" textarea name="text" required data-focus { (refused.map_or(text, |(typed, _)| typed)) } }
                            div.acts { button.btn.go { "Accept it like this" } }
                        }
                    }
                }
            },
            Some(text) => details.panel {
                summary { "The plan" }
                div.markdown { (markdown::render(text)) }
            },
            None => (html! { @if let Some((typed, problem)) = refused {
                section.panel { p.bad role="alert" { (problem.detail) } pre.said { (typed) } }
            } }),
        }
    }
}

fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => minutes(millis / 1000),
    }
}

fn facts(run: &RunView) -> Markup {
    let summary = &run.summary;
    let text = |text: String| Some(html! { (text) });
    let mono = |text: &str| Some(html! { span.mono { (text) } });
    let checks = match summary.checks {
        0 => None,
        all => text(format!("{} of {all} passed", summary.checks_passed)),
    };
    html! {
        (parts::facts(&[
            ("Agent", text(summary.agent.clone())),
            ("Model", summary.model.clone().and_then(text)),
            ("Assigned by", text(summary.assigned_by.clone()).filter(|_| !summary.assigned_by.is_empty())),
            ("Branch", mono(&summary.branch)),
            ("Base", run.base.as_ref().and_then(|commit| mono(commit.short()))),
            ("Commit", summary.commit.as_ref().and_then(|commit| mono(commit.short()))),
            ("Checks", checks),
            ("Repair rounds", text(run.round.to_string()).filter(|_| run.round > 0)),
            ("Pull request", summary.pull_request.and_then(|number| text(format!("#{number}")))),
            ("Approved by", text(summary.approved_by.join(", ")).filter(|_| !summary.approved_by.is_empty())),
            ("Took", text(minutes(summary.seconds))),
            ("Spent", summary.spent.as_ref().and_then(|spent| text(spent.said()))),
        ]))
        @for check in &run.check_results {
            div.message {
                p { "Check " (check.name) " " @if check.passed { "passed" } @else { span.bad { "is red" } } }
                p.faint { "on " span.mono { (check.commit.short()) } " in " (duration(check.millis)) }
            }
        }
        @if let Some(words) = &run.words {
            blockquote { "“" (words) "” " span.faint { "(the agent’s words)" } }
        }
    }
}

/// A unified diff, a fold per file.
fn diff(text: &str) -> Markup {
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let name = names.rsplit_once(" b/").map_or(names, |(_, name)| name);
            files.push((name, Vec::new()));
        } else if let Some((_, lines)) = files.last_mut() {
            let noise =
                ["index ", "--- ", "+++ ", "new file", "deleted file", "similarity ", "old mode", "new mode"];
            if !noise.iter().any(|noise| line.starts_with(noise)) {
                lines.push(line);
            }
        }
    }
    html! {
        @for (name, lines) in &files {
            details.diff open[files.len() <= 8] {
                summary { (name) }
                pre { @for line in lines { span class=(tone(line)) { (line) } } }
            }
        }
    }
}

fn tone(line: &str) -> &'static str {
    match line.bytes().next() {
        Some(b'+') => "a",
        Some(b'-') => "r",
        Some(b'@') => "h",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use qd_board::Feedback;

    use super::*;
    use crate::sample;

    #[test]
    fn a_plan_that_waits_can_be_accepted_or_changed() {
        let run = RunView { plan: Some("1. **Read**".into()), plan_waits: true, ..sample::run() };
        insta::assert_snapshot!(plan("/", &run, None).into_string(), @r#"
        <section class="ask"><b>The plan waits for you</b><div class="markdown"><ol>
        <li><strong>Read</strong></li>
        </ol>
        </div><div class="acts"><form method="post" action="/do/accept"><input type="hidden" name="id" value="A-2.1"><button class="btn go" id="accept" data-key="a">Accept the plan <kbd>a</kbd></button></form><details><summary class="btn" data-key="e">Change it first <kbd>e</kbd></summary><form class="stack" method="post" action="/do/accept"><input type="hidden" name="id" value="A-2.1"><label>The plan, Markdown<textarea name="text" required data-focus>1. **Read**</textarea></label><div class="acts"><button class="btn go">Accept it like this</button></div></form></details></div></section>
        "#);
        let run = RunView { plan_waits: false, ..run };
        insta::assert_snapshot!(plan("/", &run, None).into_string(), @r#"
        <details class="panel"><summary>The plan</summary><div class="markdown"><ol>
        <li><strong>Read</strong></li>
        </ol>
        </div></details>
        "#);
    }

    #[test]
    fn a_plan_that_was_refused_is_still_there() {
        let run = RunView { plan: Some("Read.".into()), plan_waits: true, ..sample::run() };
        let problem = Problem { kind: "refused".into(), status: 409, detail: "Not now.".into(), hint: None };
        let html = plan("/", &run, Some(&("Read <twice>.".into(), problem))).into_string();
        assert!(html.contains("Read &lt;twice&gt;.</textarea>") && html.contains("Not now."), "{html}");
    }

    #[test]
    fn a_run_says_why_it_went_back_and_who_works() {
        let feedback = Feedback { about: "the conflict with main in src/a.rs".into(), text: "<<<".into() };
        let run = RunView { feedback: Some(feedback), ..sample::run() };
        insta::assert_snapshot!(plan("/", &run, None).into_string(), @r#"<section class="panel"><h2>Why it went back</h2><p>the conflict with main in src/a.rs</p><details class="more"><summary>What the agent was told</summary><pre class="said">&lt;&lt;&lt;</pre></details></section>"#);
        insta::assert_snapshot!(facts(&run).into_string(), @r#"<dl><dt>Agent</dt><dd>claude</dd><dt>Model</dt><dd>large</dd><dt>Assigned by</dt><dd>rule big-ones</dd><dt>Branch</dt><dd><span class="mono">qd/alpha/A-2-split</span></dd><dt>Took</dt><dd>1 min</dd></dl>"#);
    }
}
