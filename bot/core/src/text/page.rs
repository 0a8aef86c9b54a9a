//! What is said on a pull request and on the issue of a milestone: in the words of chat.

use qd_approvals::inert::plain;
use qd_text::say;
use qd_types::{ApprovalState, InstanceName};
use qd_wire::v1::{FeatureReport, MilestoneProgress};

use super::{FACTS, QUOTE, TITLE, approval, digest, ended, ended_there, feature, inert, names};
use crate::state::{Desk, FleetState, Foreign};

/// Longest title of a check, in characters.
const CHECK_TITLE: usize = 200;
/// Longest part of an issue's title, in characters: a title has 256 in all (GitHub's limit).
const NAME: usize = 80;

/// The sticky comment of a pull request: the living message of its feature, what people were asked and decided, and how to
/// command.
pub fn page(team: &InstanceName, report: &FeatureReport, decisions: &[String]) -> String {
    let said: String = decisions.iter().map(|line| format!("\n- {line}")).collect();
    let said = if said.is_empty() { said } else { format!("\n{said}") };
    format!("{}{said}\n\n{}", feature(team, report), say!("page-commands", id = report.feature))
}

/// An approval in a line of the sticky comment.
pub fn on_page(desk: &Desk) -> String {
    let approval = desk.approval();
    let (title, tally) = (inert(&approval.subject.title(), TITLE), approval.tally());
    if approval.state.is_open() {
        return say!(
            "page-asked",
            title = title,
            facts = inert(&desk.filed.facts, FACTS),
            who = approval.subject.requirement.describe(),
            given = tally.approved.len(),
            needed = tally.needed
        );
    }
    let ended = match ended(desk) {
        Some(ended) => inert(&ended, QUOTE),
        None => say!("ended-under-way", by = names(&tally.approved)),
    };
    say!("page-decided", title = title, ended = ended)
}

/// An approval that an instance keeps, in a line of the sticky comment. All of it is made inert.
pub fn foreign_on_page(foreign: &Foreign) -> String {
    let (card, approval) = (&foreign.card, foreign.approval());
    let (title, tally) = (inert(&approval.subject.title(), TITLE), approval.tally());
    if approval.state.is_open() {
        return say!(
            "page-asked",
            title = title,
            facts = inert(&card.facts, QUOTE),
            who = approval.subject.requirement.describe(),
            given = tally.approved.len(),
            needed = tally.needed
        );
    }
    say!("page-decided", title = title, ended = inert(&ended_there(card), QUOTE))
}

/// The card of an approval as a comment: what it says in chat, and how it is answered here.
pub fn card_on_page(desk: &Desk) -> String {
    let card = approval(desk);
    let asked = desk.approval();
    if !asked.state.is_open() {
        return card;
    }
    // Behind a line of its own: what follows a quoted line would be taken for a part of it.
    format!("{card}\n\n{}", say!("page-answer", key = asked.id.key()))
}

/// The check that waits for an approval, in a line.
pub fn check_title(desk: &Desk) -> String {
    let asked = desk.approval();
    let tally = asked.tally();
    let title = match asked.state {
        ApprovalState::Requested => say!(
            "check-asked",
            who = asked.subject.requirement.describe(),
            given = tally.approved.len(),
            needed = tally.needed
        ),
        ApprovalState::Granted | ApprovalState::Executing => {
            say!("check-granted", by = names(&tally.approved))
        }
        _ => ended(desk).unwrap_or_default(),
    };
    plain(&title, CHECK_TITLE)
}

/// The title of the issue that says how far a milestone is.
pub fn roll_up_title(progress: &MilestoneProgress) -> String {
    let name = |text: &str| plain(text, NAME);
    let (milestone, project) = (name(progress.milestone.as_str()), name(progress.project.as_str()));
    say!("roll-up-title", milestone = milestone, project = project)
}

/// How far a milestone is, what stands still in it, and what endangers it.
pub fn roll_up(state: &FleetState, team: &InstanceName, milestone: &MilestoneProgress) -> String {
    let mut lines = vec![digest::milestone(team, milestone)];
    if !milestone.blocked.is_empty() {
        lines.push(say!("roll-up-blocked", count = milestone.blocked.len()));
        for feature in &milestone.blocked {
            let known = state.features.get(&(team.clone(), feature.clone()));
            let why = known.map_or_else(String::new, |known| inert(&known.sentence, QUOTE));
            lines.push(say!("roll-up-feature", feature = feature, why = why));
        }
    }
    let risks = milestone.risks.iter().map(|risk| say!("roll-up-risk", risk = inert(risk.as_str(), QUOTE)));
    lines.extend(risks);
    lines.join("\n")
}
