//! The inbox: what waits for people, with everything it binds; and below, what was decided.

use maud::{Markup, html};
use qd_api::{ApprovalView, TeamView};
use qd_look::parts;
use qd_types::{Action, ApprovalState, Question, Tier};
use serde::{Deserialize, Serialize};

/// Which are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Filter {
    #[default]
    All,
    ForYou,
    PutOff,
    Decided,
}

impl Filter {
    const EVERY: [Self; 4] = [Self::All, Self::ForYou, Self::PutOff, Self::Decided];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::ForYou => "for_you",
            Self::PutOff => "put_off",
            Self::Decided => "decided",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::ForYou => "For you",
            Self::PutOff => "Put off",
            Self::Decided => "Decided",
        }
    }

    fn none(self) -> &'static str {
        match self {
            Self::All => "Nothing waits for you. When a team wants to merge, it asks here.",
            Self::ForYou => "Nothing waits for you.",
            Self::PutOff => "Nothing is put off.",
            Self::Decided => "Nothing was decided yet.",
        }
    }

    fn holds(self, view: &ApprovalView) -> bool {
        let open = view.approval.state.is_open();
        match self {
            Self::All => true,
            Self::ForYou => open && view.refusal.is_none() && view.snoozed.is_none() && !view.deciding,
            Self::PutOff => open && view.snoozed.is_some(),
            Self::Decided => !open,
        }
    }
}

pub(crate) fn page(
    team: &TeamView,
    approvals: &[ApprovalView],
    filter: Filter,
    chosen: Option<&str>,
) -> Markup {
    let base = format!("/teams/{}/", team.name);
    // What was put off comes after what waits.
    let (later, mut listed): (Vec<&ApprovalView>, Vec<&ApprovalView>) =
        approvals.iter().filter(|view| filter.holds(view)).partition(|view| Filter::PutOff.holds(view));
    let decided = listed.iter().position(|view| Filter::Decided.holds(view)).unwrap_or(listed.len());
    listed.splice(decided..decided, later);
    let key = |view: &&ApprovalView| Some(view.approval.id.key().as_str()) == chosen;
    let chosen = listed.iter().copied().find(key).or_else(|| listed.first().copied());
    let path = format!("{base}inbox?show={}", filter.word());
    let page = chosen.map_or_else(|| path.clone(), |view| format!("{path}&id={}", view.approval.id.key()));
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page=(page) {
            h1 { "Inbox" }
            span.grow {}
            nav.nav aria-label="Which" {
                @for (each, key) in Filter::EVERY.into_iter().zip(["1", "2", "3", "4"]) {
                    a href={ (base) "inbox?show=" (each.word()) } data-key=(key) aria-current=[(each == filter).then_some("true")] {
                        (each.title()) " " kbd { (key) }
                    }
                }
            }
        }
        div #inbox data-live {
            @if let Some(chosen) = chosen {
                div.page.inbox {
                    nav aria-label="Approvals" {
                        @for view in &listed { (item(&path, view, view.approval.id == chosen.approval.id)) }
                    }
                    (detail(team, filter, chosen))
                }
            } @else {
                div.page.one { section.panel { (parts::empty(filter.none())) } }
            }
        }
    }
}

fn tier(view: &ApprovalView) -> &'static str {
    match view.approval.subject.action.tier() {
        Tier::Read => "read",
        Tier::Operate => "operate",
        Tier::Merge => "merge",
        Tier::Provision => "provision",
        Tier::Destroy => "destroy",
    }
}

fn standing(view: &ApprovalView) -> String {
    let tally = view.approval.tally();
    match (&view.ended, view.approval.state) {
        (Some(ended), _) => ended.clone(),
        (None, _) if view.deciding => "Deciding".to_owned(),
        (None, ApprovalState::Requested) => format!("{} of {} so far", tally.approved.len(), tally.needed),
        (None, ApprovalState::Granted | ApprovalState::Executing) => "Approved, under way".to_owned(),
        (None, state) => format!("{state:?}"),
    }
}

fn item(path: &str, view: &ApprovalView, current: bool) -> Markup {
    let approval = &view.approval;
    html! {
        div data-row=(approval.id.key()) {
            a.item href={ (path) "&id=" (approval.id.key()) } aria-current=[current.then_some("true")] {
                span.tier { (tier(view)) } br;
                b { (view.title) } br;
                span.soft {
                    (approval.subject.feature) ", " (standing(view))
                    @if view.snoozed.is_some() { ", put off" }
                }
            }
        }
    }
}

fn detail(team: &TeamView, filter: Filter, view: &ApprovalView) -> Markup {
    let approval = &view.approval;
    let subject = &approval.subject;
    let requesters: Vec<&str> = subject.requesters.iter().map(qd_types::PersonId::as_str).collect();
    let requesters = if requesters.is_empty() { "its agent".to_owned() } else { requesters.join(", ") };
    let votes: Vec<String> = approval
        .votes
        .iter()
        .map(|vote| format!("{} {:?} by {}", vote.person.id, vote.ballot, vote.surface).to_lowercase())
        .collect();
    html! {
        section.panel {
            h1 { (view.title) }
            p.soft {
                "Asked by team " (subject.instance) " for "
                a href={ "/teams/" (team.name) "/features/" (subject.feature) } { (subject.feature) " " (view.feature_title) }
                ", on behalf of " (requesters) ", " (parts::ago(approval.requested_at)) "."
            }
            br;
            dl.wide {
                @match &subject.action {
                    Action::Merge(merge) => {
                        dt { "What happens" } dd { (merge.target) " of " (merge.repository) " takes pull request #" (merge.pull_request) }
                        (bound(&merge.head, &merge.diff))
                    }
                    Action::Push(push) => {
                        dt { "What happens" } dd { "The branch " (push.branch) " of " (push.repository) " is pushed, and a pull request opened" }
                        dt { "Because of" } dd { @for path in &push.paths { span.mono { (path) } " " } }
                        (bound(&push.head, &push.diff))
                    }
                    // The card's title says what these are; what they are bound to is the executor's to show.
                    _ => {}
                }
                dt { "Facts" } dd { (view.facts) }
                dt { "Digest" } dd.mono { (approval.digest.short()) }
                @if !target(view).is_empty() { dt { "On" } dd.mono { (target(view)) } }
                dt { "Decide" } dd { (subject.requirement.describe()) ". " (standing(view).trim_end_matches('.')) "." }
                @if let Some(confirm) = view.confirm.filter(|_| approval.state.is_open()) { dt { "How" } dd { (confirm.how()) } }
                @if let Some(until) = view.decide_until.filter(|_| approval.state.is_open()) { dt { "Until" } dd { (parts::moment(until)) } }
                @if !votes.is_empty() { dt { "Votes" } dd { (votes.join(", ")) } }
                dt { "Run" } dd { a.mono href={ "/teams/" (team.name) "/runs/" (subject.run) } { (subject.run) } }
            }
            @if let Some(words) = &view.words {
                blockquote { "“" (words) "” " span.faint { "(" (whose(view)) "’s words)" } }
            }
            @if let Some(ended) = view.ended.as_ref().filter(|_| is_question(view)) { p { (ended) } }
            (buttons(team, view))
            @if approval.state.is_open() { (snooze(team, filter, view)) }
            details.more {
                summary { "Everything it binds" }
                pre.said { (serde_json::to_string_pretty(subject).unwrap_or_default()) }
            }
        }
    }
}

fn is_question(view: &ApprovalView) -> bool {
    matches!(view.approval.subject.action, Action::Question(_))
}

/// Whose words are quoted: a question may be a person's.
fn whose(view: &ApprovalView) -> &str {
    let asker = view.approval.subject.requesters.first();
    asker.filter(|_| is_question(view)).map_or("the agent", qd_types::PersonId::as_str)
}

/// By what a question is answered: a button for each choice, a line for a text, JSON for everything else.
fn answers(question: &Question) -> Markup {
    let choices = question.answer.as_ref().map(|schema| schema.get("enum").and_then(|all| all.as_array()));
    html! {
        @match choices {
            None => {
                label { "Answer" textarea name="text" rows="3" required {} }
                div.acts { button #approve .btn.go { "Answer" } }
            }
            Some(Some(choices)) => div.acts {
                @for choice in choices {
                    button.btn.go name="json" value=(choice) { (choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)) }
                }
            },
            Some(None) => {
                label { "Answer, as JSON" textarea name="json" rows="3" required {} }
                div.acts { button #approve .btn.go { "Answer" } }
            }
        }
    }
}

/// Putting it off, and bringing it back. Its clocks go on meanwhile.
fn snooze(team: &TeamView, filter: Filter, view: &ApprovalView) -> Markup {
    let hidden = html! {
        input type="hidden" name="key" value=(view.approval.id.key());
        input type="hidden" name="show" value=(filter.word());
    };
    html! {
        form.acts method="post" action={ "/teams/" (team.name) "/do/snooze" } {
            (hidden)
            @if let Some(until) = view.snoozed {
                span.soft { "Put off until " (parts::moment(until)) "." }
                button.btn name="minutes" value="0" data-key="s" { "Bring it back " kbd { "s" } }
            } @else {
                button.btn name="minutes" value="60" data-key="s" { "In an hour " kbd { "s" } }
                button.btn name="minutes" value="1440" data-key="z" { "Tomorrow " kbd { "z" } }
            }
        }
    }
}

/// What exactly is approved.
fn bound(head: &qd_types::CommitId, diff: &str) -> Markup {
    html! {
        dt { "Bound to" }
        dd { "head " span.mono { (head.short()) } ", diff " span.mono { (diff.get(..12).unwrap_or_default()) } ". A new push makes it lapse." }
    }
}

/// The question on a run's page.
pub(crate) fn ask(team: &TeamView, view: &ApprovalView) -> Markup {
    let approval = &view.approval;
    html! {
        div.ask {
            b { (view.title) }
            p.soft { (view.facts) " " (approval.subject.requirement.describe()) ". Digest " span.mono { (approval.digest.short()) } }
            (buttons(team, view))
            div.acts { a.btn href={ "/teams/" (team.name) "/inbox?id=" (approval.id.key()) } { "Everything it binds" } }
        }
    }
}

/// What it is done to: the name that is typed out where an approval takes that.
fn target(view: &ApprovalView) -> &str {
    view.approval.subject.binding.as_ref().map_or("", |binding| &binding.target)
}

fn buttons(team: &TeamView, view: &ApprovalView) -> Markup {
    let approval = &view.approval;
    let action = format!("/teams/{}/do/vote", team.name);
    let hidden = html! {
        input type="hidden" name="key" value=(approval.id.key());
        input type="hidden" name="digest" value=(approval.digest);
    };
    html! {
        @if !approval.state.is_open() {
        } @else if view.deciding {
            p.soft role="status" { "Deciding. Your word is on its way." }
        } @else if let Some(refusal) = &view.refusal {
            div.acts { button.btn.go disabled { "Approve" } span.soft { (refusal) } }
        } @else {
            @if let Action::Question(question) = &approval.subject.action {
                form.stack method="post" action=(action) {
                    (hidden)
                    input type="hidden" name="ballot" value="approve";
                    (answers(question))
                }
            }
            div.acts {
                @if is_question(view) {
                    // Its answer is the yes.
                } @else if view.confirm.is_some_and(|confirm| confirm.typed) {
                    details {
                        summary #approve .btn.go data-key="a" { "Approve " kbd { "a" } }
                        form.stack method="post" action=(action) {
                            (hidden)
                            label {
                                "Type " span.mono { (target(view)) }
                                input name="typed" required autocomplete="off" spellcheck="false";
                            }
                            div.acts { button.btn.go name="ballot" value="approve" { "Approve" } }
                        }
                    }
                } @else {
                    form method="post" action=(action) {
                        (hidden)
                        button #approve .btn.go name="ballot" value="approve" data-key="a" { "Approve " kbd { "a" } }
                    }
                }
                details {
                    summary.btn.no data-key="d" { "Deny with a reason " kbd { "d" } }
                    form.stack method="post" action=(action) {
                        (hidden)
                        label { "Why" input name="reason" required autocomplete="off"; }
                        div.acts { button.btn.no name="ballot" value="deny" { "Deny" } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::sample;

    #[test]
    fn a_yes_that_takes_the_targets_name_asks_for_it() {
        let mut view = sample::approval(1);
        view.confirm = Some(qd_types::Confirm { way: qd_types::Way::Button, typed: false });
        assert!(!buttons(&sample::team(), &view).into_string().contains("name=\"typed\""));
        view.confirm = Some(qd_types::Confirm { way: qd_types::Way::Typed, typed: true });
        assert!(buttons(&sample::team(), &view).into_string().contains("name=\"typed\" required"));
    }

    #[test]
    fn a_question_is_quoted_and_takes_its_answer_by_button_or_in_words() {
        let shown = |answer: Option<serde_json::Value>| {
            let mut view = sample::approval(1);
            view.approval.subject.requesters.clear();
            view.approval.subject.action =
                Action::Question(Question { text: "Which <colour>?".into(), answer });
            view.words = Some("Which <colour>?".into());
            page(&sample::team(), &[view], Filter::All, None).into_string()
        };
        let choices = shown(Some(serde_json::json!({ "enum": ["red", 7] })));
        assert!(
            choices.contains("“Which &lt;colour&gt;?” <span class=\"faint\">(the agent’s words)"),
            "{choices}"
        );
        assert!(choices.contains(r#"name="json" value="&quot;red&quot;">red</button>"#), "{choices}");
        assert!(choices.contains(r#"name="json" value="7">7</button>"#), "{choices}");
        assert!(!choices.contains("Approve "), "{choices}");
        assert!(shown(None).contains(r#"<textarea name="text""#));
        assert!(shown(Some(serde_json::json!({ "type": "integer" }))).contains("Answer, as JSON"));
    }

    #[test]
    fn an_inbox_shows_what_it_is_asked_for_and_what_is_put_off_comes_later() {
        let put_off = ApprovalView { snoozed: Some(Timestamp::UNIX_EPOCH), ..sample::approval(1) };
        let refused = ApprovalView { refusal: Some("Not you.".into()), ..sample::approval(2) };
        let mut decided = sample::approval(3);
        decided.approval.state = ApprovalState::Denied;
        let all = [put_off, refused, decided, sample::approval(4)];
        let titles = |filter| {
            let page = page(&sample::team(), &all, filter, None).into_string();
            let listed = page.split("</nav>").nth(1).unwrap_or_default().to_owned();
            let mut found: Vec<(usize, String)> = (1..=4)
                .filter_map(|number| {
                    Some((listed.find(&format!("Merge #{number}</b>"))?, number.to_string()))
                })
                .collect();
            found.sort();
            found.into_iter().map(|(_, number)| number).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(titles(Filter::All), "2 1 3 4");
        assert_eq!(titles(Filter::ForYou), "4");
        assert_eq!(titles(Filter::PutOff), "1");
        assert_eq!(titles(Filter::Decided), "3");
        let page = page(&sample::team(), &all, Filter::PutOff, None).into_string();
        assert!(page.contains("Bring it back") && page.contains("&quot;requesters&quot;"), "{page}");
        assert!(page.contains("show=put_off&amp;id="), "where it is read again");
    }
}
