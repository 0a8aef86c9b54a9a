//! Every word that people read in chat. What an agent or an outsider wrote is quoted, cut, and inert.

mod digest;
pub mod presence;

use jiff::Timestamp;
use qd_types::{Action, Approval, ApprovalState, Ballot, FeatureId, InstanceName, PersonId, Role, Stage};
use qd_wire::v1::{ApprovalCard, FeatureReport, Refusal, Remark};

use crate::state::{AlertState, Desk, Foreign};

pub(crate) use digest::cut;
pub use digest::{
    Week, ageing, announcement, dear, milestone, pipeline, red, risks, standup, still, team, weekly,
};

/// Longest title, in characters.
const TITLE: usize = 120;

/// Longest quotation of an agent's words, in characters.
const QUOTE: usize = 300;

/// An error as a sentence: a capital letter and a full stop.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// With a small letter at its beginning, for the middle of a sentence.
pub(crate) fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

/// Text from elsewhere, on one line, cut, with nothing in it that a chat would act on. What can't be seen, or turns the direction
/// of writing, is written out.
pub fn inert(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let text = qd_approvals::inert::plain(text, usize::MAX);
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
            letter => out.push(letter),
        }
    }
    out
}

/// A sentence of ours that may name what an agent named: nobody is mentioned by it.
fn quiet(sentence: &str) -> String {
    sentence.replace('@', "@\u{200b}")
}

/// What a reader should know about a text from elsewhere: marks in it, and words that look like others. A line each.
fn careful(text: &str) -> String {
    let warnings = qd_approvals::inert::warnings(text, &[]);
    warnings.iter().map(|warning| format!("\nCareful: {warning}")).collect()
}

/// The living message of a feature in #dev.
pub fn feature(instance: &InstanceName, report: &FeatureReport) -> String {
    let agent = report.agent.as_deref().map_or_else(String::new, |agent| format!(" · {agent}"));
    let title = inert(&report.title, 120);
    let spent = report.spent.as_ref().map_or_else(String::new, |spent| format!(" · {}", spent.said()));
    let mut text =
        format!("**{} {title}** · {instance}{agent}{spent}\n`{}` ", report.feature, report.line.bars());
    match (report.stage, report.pull_request) {
        (Stage::Review, Some(number)) => {
            text.push_str(&format!("In review: pull request #{number}. {}", quiet(&report.sentence)));
        }
        _ => text.push_str(&quiet(&report.sentence)),
    }
    if let Some(warning) = report.spent.as_ref().and_then(|spent| spent.warning.as_ref()) {
        text.push_str(&format!("\n⚠ {warning}"));
    }
    text + &careful(&report.title)
}

/// The card of an approval in #approvals: open with its facts, decided in one line.
pub fn approval(desk: &Desk) -> String {
    let approval = desk.approval();
    let subject = &approval.subject;
    let title = subject.title();
    let place = format!("({}, {})", subject.feature, subject.instance);
    let tally = approval.tally();
    match approval.state {
        ApprovalState::Requested => {
            let mut text = format!(
                "**{title}** {place}\n{}\nDecide{}: {}. {} of {} so far. {}\nDigest {}",
                desk.filed.facts,
                until(desk.standing.decide_until),
                subject.requirement.describe(),
                tally.approved.len(),
                tally.needed,
                desk.standing.confirm.how(),
                approval.digest.short(),
            );
            if desk.standing.confirm.typed {
                let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
                text.push_str(&format!(
                    "\nOn: {0}. Type: approve {1} {0}",
                    inert(target, QUOTE),
                    approval.id.key()
                ));
            }
            let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
            text.push_str(&careful(target));
            if let Some(words) = &desk.standing.words {
                text.push_str(&careful(words));
                text.push_str(&format!("\n> \"{}\" (the agent's words)", inert(words, QUOTE)));
            }
            text
        }
        ApprovalState::Granted | ApprovalState::Executing => {
            format!("✔ {title} {place}: approved by {}, under way.", names(&tally.approved))
        }
        ApprovalState::Executed => format!("✔ {title} {place}: {}", ended(desk).unwrap_or_default()),
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Withdrawn
        | ApprovalState::Failed
        | ApprovalState::Unknown
        | ApprovalState::Lapsed => {
            format!("✘ {title} {place}: {}", inert(&ended(desk).unwrap_or_default(), QUOTE))
        }
    }
}

/// The card of an approval that an instance keeps. What it says was built there from the typed action; here all of it is made
/// inert, whoever wrote it.
pub fn foreign(foreign: &Foreign) -> String {
    let (card, approval) = (&foreign.card, foreign.approval());
    let subject = &approval.subject;
    let title = inert(&subject.title(), TITLE);
    let place = format!("({}, {})", subject.feature, subject.instance);
    if !approval.state.is_open() {
        let ended = inert(&ended_there(card), QUOTE);
        return match approval.state {
            ApprovalState::Granted | ApprovalState::Executing | ApprovalState::Executed => {
                format!("✔ {title} {place}: {ended}")
            }
            _ => format!("✘ {title} {place}: {ended}"),
        };
    }
    let (tally, key) = (approval.tally(), approval.id.key());
    let mut lines = vec![format!("**{title}** {place}")];
    lines.extend((!card.facts.is_empty()).then(|| inert(&card.facts, QUOTE)));
    let how = match &subject.action {
        Action::Question(_) => "Its answer is the yes.",
        _ => card.confirm.map_or("", |confirm| confirm.how()),
    };
    lines.push(format!(
        "Decide{}: {}. {} of {} so far. {how}",
        until(card.decide_until),
        subject.requirement.describe(),
        tally.approved.len(),
        tally.needed,
    ));
    lines.push(format!("Digest {}", approval.digest.short()));
    let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
    let people: Vec<&str> = subject.requesters.iter().map(PersonId::as_str).collect();
    lines.extend(
        qd_approvals::inert::warnings(target, &people).iter().map(|warning| format!("Careful: {warning}")),
    );
    if let Action::Question(question) = &subject.action {
        lines.push(match qd_approvals::question::choices(question).as_slice() {
            [] => format!("Type: answer {key} TEXT"),
            choices => format!("Type: answer {key} and one of: {}", inert(&choices.join(", "), QUOTE)),
        });
    } else if card.confirm.is_some_and(|confirm| confirm.typed) {
        lines.push(format!("On: {0}. Type: approve {key} {0}", inert(target, QUOTE)));
    }
    let deciding: Vec<PersonId> = foreign.deciding().cloned().collect();
    if !deciding.is_empty() {
        lines.push(format!(
            "Deciding: what {} said is on its way to {}.",
            names(&deciding),
            subject.instance
        ));
    }
    lines.extend(
        card.words
            .iter()
            .map(|words| careful(words))
            .filter_map(|lines| Some(lines.strip_prefix('\n')?.to_owned())),
    );
    // Last: what follows a quoted line would be taken for a part of it.
    lines.extend(
        card.words.as_ref().map(|words| format!("> \"{}\" (the agent's words)", inert(words, QUOTE))),
    );
    lines.join("\n")
}

/// How an approval stands that an instance keeps and that is not open any more.
fn ended_there(card: &ApprovalCard) -> String {
    let approval = &card.approval;
    let by = names(&approval.tally().approved);
    let ended = card.ended.clone().unwrap_or_default();
    match approval.state {
        ApprovalState::Granted | ApprovalState::Executing => format!("approved by {by}, under way."),
        ApprovalState::Executed if !matches!(approval.subject.action, Action::Question(_)) => {
            format!("approved by {by}. {ended}")
        }
        ApprovalState::Denied => denied(approval).unwrap_or(ended),
        ApprovalState::Expired => format!("{ended} A person can ask again: reopen {}", approval.id.key()),
        _ => ended,
    }
}

/// Who said no, and why.
fn denied(approval: &Approval) -> Option<String> {
    let no = approval.votes.iter().rfind(|vote| vote.ballot == Ballot::Deny)?;
    let why = no.reason.as_ref().map_or_else(String::new, |why| format!(" Reason: {why}"));
    Some(format!("{} denied by {}.{why}", word(&approval.subject.action), no.person.id))
}

/// A person's word goes to the instance that counts it.
pub fn travels(instance: &InstanceName) -> String {
    format!("What you said is on its way to {instance}, which counts it. The card will say so.")
}

/// As what a person's words to a run are taken.
pub fn taken(feature: &FeatureId, remark: Remark) -> String {
    match remark {
        Remark::Guidance => format!("Taken as guidance for {feature}."),
        Remark::Review => format!("Taken as a review comment on {feature}."),
    }
}

/// There is no run that could be told something.
pub fn nobody_works(feature: &FeatureId) -> String {
    format!("No run works on {feature}, so nobody was told. Say it in its description, by an edit.")
}

/// There is no pull request that could be reviewed.
pub fn nothing_to_review(feature: &FeatureId) -> String {
    format!("{feature} has no pull request yet, so there is nothing to review. Say it as guidance.")
}

/// Something that a person said did not count, and they were not told in time.
pub fn missed(approval: &Approval, text: &str) -> String {
    let subject = &approval.subject;
    format!("What you said before on {} ({}): {text}", inert(&subject.title(), TITLE), subject.feature)
}

/// Until when people have to decide, once that is known.
fn until(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" until {}", until.strftime("%Y-%m-%d %H:%M UTC")))
}

/// How an approval ended, as a sentence; `None` while it has not.
pub fn ended(desk: &Desk) -> Option<String> {
    let approval = desk.approval();
    let reason = desk.standing.reason.clone().unwrap_or_default();
    let by = || names(&approval.tally().approved);
    Some(match approval.state {
        ApprovalState::Requested | ApprovalState::Granted | ApprovalState::Executing => return None,
        ApprovalState::Executed => match &approval.subject.action {
            Action::Push(_) => format!("Approved by {}. Pushed.", by()),
            _ => format!("approved by {}, merged as {}.", by(), reason.get(..7).unwrap_or(&reason)),
        },
        ApprovalState::Denied => denied(approval).unwrap_or(reason),
        ApprovalState::Expired => {
            format!("{reason} A person can ask again: reopen {}", approval.id.key())
        }
        ApprovalState::Withdrawn => format!("It was withdrawn: {reason}"),
        ApprovalState::Lapsed => format!("The approval lapsed: {reason}"),
        ApprovalState::Failed => reason,
        ApprovalState::Unknown => {
            format!("It can't be told whether it was merged: {reason} Look at the pull request.")
        }
    })
}

fn word(action: &Action) -> &'static str {
    match action {
        Action::Merge(_) => "Merge",
        Action::Push(_) => "Push",
        Action::Plan(_) => "Plan",
        Action::Tool(_) => "Tool call",
        Action::Budget(_) => "Budget",
        Action::Operation(_) => "Operation",
        Action::Question(_) => "Question",
        Action::Policy(_) => "Policy change",
        Action::Enrolment(_) => "Enrolment",
    }
}

/// Half of the time to decide is over.
pub fn escalation(approval: &Approval, roles: &[Role]) -> String {
    let (subject, key) = (&approval.subject, approval.id.key());
    let who: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let (title, feature, team) = (inert(&subject.title(), TITLE), &subject.feature, &subject.instance);
    format!(
        "⏳ {}: half of the time to decide is over. **{title}** ({feature}, {team}): {} or deny {key}",
        who.join(", "),
        yes(approval)
    )
}

/// A request that no person can have seen.
pub fn unseen(approval: &Approval) -> String {
    let (subject, key) = (&approval.subject, approval.id.key());
    let (title, feature) = (inert(&subject.title(), TITLE), &subject.feature);
    // What an instance keeps is in the inbox of its board as well, so its time goes on.
    let meanwhile = if approval.id.executor() == crate::foreign::BOT {
        "It does not expire meanwhile"
    } else {
        "It waits on the team's board, or here"
    };
    format!("the card of {feature} can't be shown: {title}. {meanwhile}: {} or deny {key}", yes(approval))
}

/// What is typed for a yes: to a question, its answer.
fn yes(approval: &Approval) -> String {
    let key = approval.id.key();
    match &approval.subject.action {
        Action::Question(_) => format!("answer {key} TEXT"),
        _ => format!("approve {key}"),
    }
}

/// A run of which too much was denied.
pub fn paused(desk: &Desk) -> String {
    let subject = &desk.approval().subject;
    format!("⚠ {}: too much was denied to {}. Nothing more is asked for it.", subject.instance, subject.run)
}

/// What a person hears who votes when it is over.
pub fn late(approval: &Approval) -> String {
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

/// An order was not carried out.
pub fn refused(instance: &InstanceName, refusal: &Refusal) -> String {
    let kind = match refusal.kind.as_str() {
        "reload" => "to read the configuration again",
        "announcement" => "with what you told all teams",
        _ => "that you gave",
    };
    format!("{instance} did not carry out the order {kind}: {}", inert(refusal.reason.as_str(), QUOTE))
}

/// An alert, open or over.
pub fn alert(instance: &InstanceName, alert: &AlertState, now: Timestamp) -> String {
    let text = inert(&alert.text, QUOTE);
    // What names its team says so itself.
    let whose =
        if text.starts_with(&format!("{instance} ")) { String::new() } else { format!("{instance}: ") };
    if alert.over {
        let minutes = (now.as_second() - alert.since.as_second()) / 60;
        return format!("✔ {whose}over after {minutes} min: {text}");
    }
    let times = if alert.count > 1 { format!(" ({} times)", alert.count) } else { String::new() };
    format!("⚠ {whose}{text}{times}")
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
