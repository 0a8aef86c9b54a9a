//! Every word that people read in chat. What an agent or an outsider wrote is quoted, cut, and inert.

use jiff::Timestamp;
use qd_types::{ApprovalState, CommitId, InstanceName, PersonId, Stage};
use qd_wire::v1::FeatureReport;

use crate::state::{AlertState, Desk};

/// Longest quotation of an agent's words, in characters.
const QUOTE: usize = 300;

/// An error as a sentence: a capital letter and a full stop.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// Text from elsewhere, on one line, cut, with nothing in it that a chat would act on.
pub fn inert(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (index, letter) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if index == limit {
            out.push('…');
            break;
        }
        match letter {
            '*' | '_' | '`' | '~' | '|' | '>' | '<' | '[' | ']' | '#' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '@' => out.push_str("@\u{200b}"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// The living message of a feature in #dev.
pub fn feature(instance: &InstanceName, report: &FeatureReport) -> String {
    let agent = report.agent.as_deref().map_or_else(String::new, |agent| format!(" · {agent}"));
    let title = inert(&report.title, 120);
    let mut text = format!("**{} {title}** · {instance}{agent}\n`{}` ", report.feature, report.line.bars());
    match (report.stage, report.pull_request) {
        (Stage::Review, Some(number)) => {
            text.push_str(&format!("In review: pull request #{number}. {}", report.sentence));
        }
        _ => text.push_str(&report.sentence),
    }
    text
}

/// The card of an approval in #approvals: open with its facts, decided in one line.
pub fn approval(desk: &Desk) -> String {
    let approval = &desk.card.approval;
    let subject = &approval.subject;
    let title = subject.action.title();
    let place = format!("({}, {})", subject.feature, subject.instance);
    let tally = approval.tally();
    match approval.state {
        ApprovalState::Requested => {
            let mut text = format!(
                "**{title}** {place}\n{}\nDecide: {}. {} of {} so far.\nDigest {}",
                desk.card.facts,
                subject.requirement.describe(),
                tally.approved.len(),
                tally.needed,
                approval.digest.short(),
            );
            if let Some(words) = &desk.card.words {
                text.push_str(&format!("\n> \"{}\" (the agent's words)", inert(words, QUOTE)));
            }
            text
        }
        ApprovalState::Granted | ApprovalState::Executing => {
            format!("✔ {title} {place}: approved by {}, under way.", names(&tally.approved))
        }
        ApprovalState::Executed => {
            format!("✔ {title} {place}: {}", desk.card.ended.as_deref().unwrap_or("done."))
        }
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Withdrawn
        | ApprovalState::Failed
        | ApprovalState::Unknown
        | ApprovalState::Lapsed => {
            let ended = desk.card.ended.as_deref().unwrap_or("ended.");
            format!("✘ {title} {place}: {}", inert(ended, QUOTE))
        }
    }
}

/// How an approval that was carried out ended.
pub fn executed(by: &[PersonId], commit: &CommitId) -> String {
    format!("approved by {}, merged as {}.", names(by), commit.short())
}

/// What a person hears who votes when it is over.
pub fn late(desk: &Desk) -> String {
    let approval = &desk.card.approval;
    let at = approval.decided_at.map_or_else(String::new, |at| format!(" at {}", at.strftime("%H:%M UTC")));
    let word = match approval.state {
        ApprovalState::Denied => "denied",
        ApprovalState::Lapsed => "lapsed",
        ApprovalState::Expired => "expired",
        ApprovalState::Withdrawn => "withdrawn",
        _ => "approved",
    };
    format!("{} was already {word}{at}.", approval.subject.feature)
}

/// An alert, open or over.
pub fn alert(instance: &InstanceName, alert: &AlertState, now: Timestamp) -> String {
    let text = inert(&alert.text, QUOTE);
    if alert.over {
        let minutes = (now.as_second() - alert.since.as_second()) / 60;
        return format!("✔ {instance}: over after {minutes} min: {text}");
    }
    let times = if alert.count > 1 { format!(" ({} times)", alert.count) } else { String::new() };
    format!("⚠ {instance}: {text}{times}")
}

fn names(people: &[PersonId]) -> String {
    match people {
        [] => "nobody".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(PersonId::as_str).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}
