//! An approval in the terminal: a line of the list, and everything that it binds. Whatever others wrote is inert.

use qd_approvals::{
    confirm::{self, Confirm, Way},
    inert,
};
use qd_types::{Action, ApprovalState, Ballot, PersonId, Vote};
use serde_json::Value;

use super::Found;

/// Longest piece of a line, in characters.
const PIECE: usize = 200;

/// Longest value of a subject, in characters: more can't be bound.
pub(super) const WHOLE: usize = 64 * 1024;

/// One line: key, what, where, and how it stands.
pub(super) fn line(found: &Found) -> String {
    format!("{}  {}  {}", found.key(), headline(found), standing(found))
}

/// "Merge 4f2a91c into main (A-142, alpha)".
pub(super) fn headline(found: &Found) -> String {
    let title = inert::plain(&found.view.title, PIECE);
    format!("{title} ({}, {})", found.view.approval.subject.feature, found.team)
}

/// How it stands, in sentences.
pub(super) fn standing(found: &Found) -> String {
    let (view, approval) = (&found.view, &found.view.approval);
    if let Some(ended) = &view.ended {
        let ended = inert::plain(ended, WHOLE);
        let mut letters = ended.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        return first + letters.as_str();
    }
    match approval.state {
        ApprovalState::Requested if view.deciding => "Deciding.".to_owned(),
        ApprovalState::Requested => {
            let tally = approval.tally();
            let so_far = format!("{} of {} so far", tally.approved.len(), tally.needed);
            let decide = approval.subject.requirement.describe();
            format!("Decide: {decide}. {so_far}. {}", inert::plain(&view.facts, PIECE)).trim_end().to_owned()
        }
        state => word(state).to_owned(),
    }
}

/// What a state means, as a sentence.
fn word(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Requested => "People are asked.",
        ApprovalState::Granted => "Approved, and not used yet.",
        ApprovalState::Denied => "Denied.",
        ApprovalState::Expired => "Nobody decided in time.",
        ApprovalState::Withdrawn => "Withdrawn by whoever asked.",
        ApprovalState::Executing => "Approved, under way.",
        ApprovalState::Executed => "Done, as approved.",
        ApprovalState::Failed => "Approved, and refused by the world.",
        ApprovalState::Unknown => "It can't be told whether it happened. It is not tried again.",
        ApprovalState::Lapsed => "Approved, and lapsed before it was used.",
    }
}

/// How a yes has to be given: as the executor says, or the least that is ever enough.
pub(super) fn confirm(found: &Found) -> Confirm {
    found.view.confirm.unwrap_or_else(|| confirm::confirm(&found.view.approval.subject, None))
}

/// What it is done to.
pub(super) fn target(found: &Found) -> Option<&str> {
    found.view.approval.subject.binding.as_ref().map(|binding| binding.target.as_str())
}

/// Everything about one.
pub(super) fn whole(found: &Found) -> String {
    let (view, approval) = (&found.view, &found.view.approval);
    let subject = &approval.subject;
    let mut rows = Rows::default();
    rows.add("Key", &approval.id.key());
    rows.add("Stands", &standing_alone(found));
    rows.add("Team", &format!("{}, run {}", found.team, subject.run));
    rows.add("Feature", &format!("{} {}", subject.feature, view.feature_title));
    rows.add("Facts", &view.facts);
    action(&mut rows, &subject.action);
    let mut people: Vec<String> = subject.requesters.iter().map(PersonId::to_string).collect();
    if let Some(binding) = &subject.binding {
        rows.add("On", &binding.target);
        let names: Vec<&str> = subject.requesters.iter().map(PersonId::as_str).collect();
        for warning in inert::warnings(&binding.target, &names) {
            rows.add("Careful", &warning.to_string());
        }
        if let Some(tool) = &binding.tool {
            rows.add("With", &format!("{}, defined as {}", tool.name, tool.definition));
        }
        if !binding.arguments.is_null() {
            rows.add("Arguments", &binding.arguments.to_string());
        }
        rows.add("Fingerprint", &binding.fingerprint);
        rows.add("Policies", &binding.policies);
        if let Some(old) = &binding.reopens {
            rows.add("Asked again", &format!("in place of {old}"));
        }
        people.extend(binding.askers.iter().map(ToString::to_string));
    }
    rows.add("For", &people.join(", "));
    rows.add("Decide", &quorum(found));
    if approval.state.is_open() {
        rows.add("How", how(found));
        rows.add("You", view.refusal.as_deref().unwrap_or("You may decide."));
    }
    rows.add("Digest", &format!("{} ({})", approval.digest.short(), approval.digest));
    rows.add("Asked at", &approval.requested_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    approval.votes.iter().for_each(|each| rows.add("Vote", &vote(each)));
    let mut text = format!("{}\n\n{}", headline(found), rows.0.trim_end());
    for (whose, words) in words(found) {
        text.push_str(&format!("\n\n{whose} wrote:"));
        words.lines().for_each(|each| text.push_str(&format!("\n  > {}", inert::plain(each, WHOLE))));
    }
    if let Some(next) = next(found) {
        text.push_str(&format!("\n\n{next}"));
    }
    text
}

/// Names and values, one below the other.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push_str(&format!("{name:<13} {}\n", inert::plain(value, WHOLE)));
        }
    }
}

/// Every field of the action, so that none is left out. An agent's own words come below, quoted.
fn action(rows: &mut Rows, action: &Action) {
    let Ok(Value::Object(fields)) = serde_json::to_value(action) else { return };
    for (name, value) in &fields {
        let quoted =
            matches!((action, name.as_str()), (Action::Question(_), "text") | (Action::Plan(_), "title"));
        let mut letters = name.replace('_', " ");
        if let Some(first) = letters.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        match value {
            Value::Null => {}
            _ if quoted => {}
            Value::String(text) => rows.add(&letters, text),
            other => rows.add(&letters, &other.to_string()),
        }
    }
}

fn standing_alone(found: &Found) -> String {
    match found.view.approval.state {
        ApprovalState::Requested if !found.view.deciding => word(ApprovalState::Requested).to_owned(),
        _ => standing(found),
    }
}

/// Who decides, and how many are missing.
fn quorum(found: &Found) -> String {
    let approval = &found.view.approval;
    let who = approval.subject.requirement.describe();
    if !approval.state.is_open() {
        return format!("{who}.");
    }
    let tally = approval.tally();
    let missing = (tally.needed as usize).saturating_sub(tally.approved.len());
    format!("{who}. {} of {} so far, {missing} missing.", tally.approved.len(), tally.needed)
}

fn how(found: &Found) -> &'static str {
    let Confirm { way, typed } = confirm(found);
    match way {
        _ if matches!(found.view.approval.subject.action, Action::Question(_)) => {
            "An answer, on the board or here with your passphrase."
        }
        _ if typed => "The name behind “On”, typed out: after a button, or here with your passphrase.",
        Way::Reaction => "✅ or ❌ under the card, a button, or here with your passphrase.",
        Way::Button | Way::Typed => "A button, or here with your passphrase.",
        Way::Passphrase => "On a page that you signed in to, or here, with your passphrase.",
    }
}

fn vote(vote: &Vote) -> String {
    let said = match vote.ballot {
        Ballot::Approve => "yes",
        Ballot::Deny => "no",
    };
    let at = vote.at.strftime("%Y-%m-%d %H:%M UTC");
    let why = vote.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} said {said} by {} at {at}{why}", vote.person.id, vote.surface)
}

fn words(found: &Found) -> Vec<(&'static str, &str)> {
    let asked = match &found.view.approval.subject.action {
        Action::Question(question) => Some(question.text.as_str()),
        Action::Plan(plan) => Some(plan.title.as_str()),
        _ => None,
    };
    asked.into_iter().chain(found.view.words.as_deref()).map(|words| ("The agent", words)).collect()
}

/// What can be done about it now.
fn next(found: &Found) -> Option<String> {
    let key = found.key();
    let question = matches!(found.view.approval.subject.action, Action::Question(_));
    match found.view.approval.state {
        ApprovalState::Requested if !found.is_mine() => None,
        ApprovalState::Requested if question => {
            Some(format!("Answer: quarterdeck approvals answer {key} TEXT"))
        }
        ApprovalState::Requested => Some(format!("Decide: quarterdeck approve {key}, or deny {key}")),
        ApprovalState::Expired => Some(format!("Ask again: quarterdeck approvals reopen {key}")),
        _ => None,
    }
}
