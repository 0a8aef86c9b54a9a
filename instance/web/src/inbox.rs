//! The inbox: what waits for people, with everything it binds; and below, what was decided.

use maud::{Markup, html};
use qd_api::{ApprovalView, TeamView};
use qd_look::parts;
use qd_types::{Action, ApprovalState, Tier};

pub(crate) fn page(team: &TeamView, approvals: &[ApprovalView], chosen: Option<&str>) -> Markup {
    let base = format!("/teams/{}/", team.name);
    let chosen = approvals
        .iter()
        .find(|view| Some(view.approval.id.key().as_str()) == chosen)
        .or_else(|| approvals.first());
    let page = match chosen {
        Some(view) => format!("{base}inbox?id={}", view.approval.id.key()),
        None => format!("{base}inbox"),
    };
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page=(page) { h1 { "Inbox" } }
        div #inbox data-live {
            @if let Some(chosen) = chosen {
                div.page.inbox {
                    nav aria-label="Approvals" {
                        @for view in approvals { (item(team, view, view.approval.id == chosen.approval.id)) }
                    }
                    (detail(team, chosen))
                }
            } @else {
                div.page.one { section.panel { (parts::empty("Nothing waits for you. When a team wants to merge, it asks here.")) } }
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

fn item(team: &TeamView, view: &ApprovalView, current: bool) -> Markup {
    let approval = &view.approval;
    html! {
        a.item href={ "/teams/" (team.name) "/inbox?id=" (approval.id.key()) } aria-current=[current.then_some("true")] {
            span.tier { (tier(view)) } br;
            b { (view.title) } br;
            span.soft { (approval.subject.feature) ", " (standing(view)) }
        }
    }
}

fn detail(team: &TeamView, view: &ApprovalView) -> Markup {
    let approval = &view.approval;
    let subject = &approval.subject;
    let requesters: Vec<&str> = subject.requesters.iter().map(qd_types::PersonId::as_str).collect();
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
                ", on behalf of " (requesters.join(", ")) ", " (parts::ago(approval.requested_at)) "."
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
                dt { "Decide" } dd { (subject.requirement.describe()) ". " (standing(view).trim_end_matches('.')) "." }
                @if !votes.is_empty() { dt { "Votes" } dd { (votes.join(", ")) } }
                dt { "Run" } dd { a.mono href={ "/teams/" (team.name) "/runs/" (subject.run) } { (subject.run) } }
            }
            @if let Some(words) = &view.words {
                blockquote { "“" (words) "” " span.faint { "(the agent’s words)" } }
            }
            (buttons(team, view))
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
            div.acts {
                form method="post" action=(action) {
                    (hidden)
                    button #approve .btn.go name="ballot" value="approve" data-key="a" { "Approve " kbd { "a" } }
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
