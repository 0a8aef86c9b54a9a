//! Every word that people read in chat. What an agent or an outsider wrote is quoted, cut, and inert.

pub mod ask;
mod digest;
pub mod machines;
mod page;
mod picture;
pub mod presence;

use jiff::Timestamp;
use qd_approvals::inert::Warning;
use qd_text::say;
use qd_types::{
    Action, Approval, ApprovalState, Ballot, Confirm, FeatureId, InstanceName, PersonId, Role, Stage,
    Subject, Way,
};
use qd_wire::v1::{ApprovalCard, FeatureReport, Refusal, Remark};

use crate::{
    chat::Given,
    state::{AlertState, Desk, Foreign},
};

pub(crate) use digest::{MESSAGE, cut, within};
pub use digest::{
    Week, ageing, announcement, dear, milestone, pipeline, red, risks, standup, still, team, weekly,
};
pub use page::{card_on_page, check_title, foreign_on_page, on_page, page, roll_up, roll_up_title};
pub use picture::{
    alt, and_more, backlog, burn_up, charted, column, cost_per_day, cycle_time, day, days_of, nothing_in,
    plain,
};

/// Longest title, in characters.
const TITLE: usize = 120;

/// Lines of one answer of a team.
const LINES: usize = 24;
/// Longest quotation of an agent's words, in characters.
const QUOTE: usize = 300;
/// Longest facts of a card, and longest sentence of why something does not go on, in characters.
const FACTS: usize = 600;

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
    // Chats make a link of an address wherever it stands.
    out.replace("://", ":\u{200b}//")
}

/// What a reader should know about texts from elsewhere: marks in them, and words that look like others. A line each.
fn careful<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for warning in texts.into_iter().flat_map(|text| qd_approvals::inert::warnings(text, &[])) {
        let line = say!("careful", warning = inert(&warning.to_string(), QUOTE));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.iter().map(|line| format!("\n{line}")).collect()
}

/// What somebody chose the words of in what is asked for: where it acts, and the names of files.
fn chosen(subject: &Subject) -> impl Iterator<Item = &str> {
    let target = subject.binding.as_ref().map(|binding| binding.target.as_str());
    let paths = match &subject.action {
        Action::Push(push) => push.paths.as_slice(),
        Action::Merge(merge) => merge.paths.as_deref().unwrap_or_default(),
        _ => &[],
    };
    target.into_iter().chain(paths.iter().map(String::as_str))
}

/// The living message of a feature in #dev.
pub fn feature(instance: &InstanceName, report: &FeatureReport) -> String {
    let agent =
        report.agent.as_deref().map_or_else(String::new, |agent| format!(" · {}", inert(agent, TITLE)));
    let title = inert(&report.title, TITLE);
    let spent = report.spent.as_ref().map_or_else(String::new, |spent| format!(" · {}", spent.said()));
    let mut text =
        format!("**{} {title}** · {instance}{agent}{spent}\n`{}` ", report.feature, report.line.bars());
    let sentence = why(report);
    match (report.stage, report.pull_request) {
        (Stage::Review, Some(number)) => {
            text.push_str(&say!("in-review", number = number, sentence = sentence));
        }
        _ => text.push_str(&sentence),
    }
    if let Some(warning) = report.spent.as_ref().and_then(|spent| spent.warning.as_ref()) {
        text.push_str(&format!("\n⚠ {}", inert(warning, QUOTE)));
    }
    text + &careful([report.title.as_str(), report.sentence.as_str()])
}

/// Why a feature does not go on, or how it does: a sentence of its team, which may name what an agent named.
pub fn why(report: &FeatureReport) -> String {
    inert(&report.sentence, FACTS)
}

/// The card of an approval in #approvals: open with its facts, decided in one line. Its title and its facts name what agents
/// named.
pub fn approval(desk: &Desk) -> String {
    let approval = desk.approval();
    let subject = &approval.subject;
    let (title, place) = (machines::title(subject), machines::place(subject));
    let tally = approval.tally();
    match approval.state {
        ApprovalState::Requested => {
            let mut text = say!(
                "card",
                title = title,
                place = place,
                facts = inert(&desk.filed.facts, FACTS),
                until = until(desk.standing.decide_until),
                who = subject.requirement.describe(),
                given = tally.approved.len(),
                needed = tally.needed,
                how = confirmed(desk.standing.confirm),
                digest = approval.digest.short()
            );
            if desk.standing.confirm.typed {
                text.push_str(&format!("\n{}", type_name(approval)));
            }
            let words = desk.standing.words.as_deref();
            text.push_str(&careful(chosen(subject).chain([desk.filed.facts.as_str()]).chain(words)));
            if let Some(words) = words {
                text.push_str(&format!("\n{}", say!("card-words", words = inert(words, QUOTE))));
            }
            text
        }
        ApprovalState::Granted | ApprovalState::Executing => {
            say!("card-under-way", title = title, place = place, by = names(&tally.approved))
        }
        ApprovalState::Executed => {
            let ended = inert(&ended(desk).unwrap_or_default(), QUOTE);
            say!("card-done", title = title, place = place, ended = ended)
        }
        ApprovalState::Expired => {
            let reason = inert(desk.standing.reason.as_deref().unwrap_or_default(), QUOTE);
            let ended = say!("card-expired", reason = reason, key = approval.id.key());
            say!("card-ended", title = title, place = place, ended = ended)
        }
        ApprovalState::Denied
        | ApprovalState::Withdrawn
        | ApprovalState::Failed
        | ApprovalState::Unknown
        | ApprovalState::Lapsed => {
            let ended = inert(&ended(desk).unwrap_or_default(), QUOTE);
            say!("card-ended", title = title, place = place, ended = ended)
        }
    }
}

/// How a yes is given, as a sentence.
fn confirmed(confirm: Confirm) -> String {
    match (confirm.way, confirm.typed) {
        (Way::Reaction, false) => say!("how-reaction"),
        (Way::Button, false) => say!("how-button"),
        (Way::Reaction | Way::Button | Way::Typed, _) => say!("how-typed"),
        (Way::Passphrase, false) => say!("how-passphrase"),
        (Way::Passphrase, true) => say!("how-passphrase-typed"),
    }
}

/// Where a yes acts, and how it is typed there. A name that is more than plain words is not put into a line that people copy.
fn type_name(approval: &Approval) -> String {
    let target = approval.subject.binding.as_ref().map_or("", |binding| &binding.target);
    let key = approval.id.key();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " ./:_#-".contains(letter);
    let shown = inert(target, QUOTE);
    if target.chars().all(plain) && target.len() <= TITLE {
        say!("card-type-name", target = shown, key = key, name = target)
    } else {
        say!("card-type-that-name", target = shown, key = key)
    }
}

/// The card of an approval that an instance keeps. What it says was built there from the typed action; here all of it is made
/// inert, whoever wrote it.
pub fn foreign(foreign: &Foreign) -> String {
    let (card, approval) = (&foreign.card, foreign.approval());
    let subject = &approval.subject;
    let title = inert(&subject.title(), TITLE);
    let place = say!("place", feature = subject.feature, team = subject.instance);
    if !approval.state.is_open() {
        let ended = match (approval.state, &card.ended) {
            (ApprovalState::Expired, Some(reason)) => {
                say!("card-expired", reason = inert(reason, QUOTE), key = approval.id.key())
            }
            _ => inert(&ended_there(card), QUOTE),
        };
        return match approval.state {
            ApprovalState::Granted | ApprovalState::Executing | ApprovalState::Executed => {
                say!("card-done", title = title, place = place, ended = ended)
            }
            _ => say!("card-ended", title = title, place = place, ended = ended),
        };
    }
    let (tally, key) = (approval.tally(), approval.id.key());
    let mut lines = vec![format!("**{title}** {place}")];
    lines.extend((!card.facts.is_empty()).then(|| inert(&card.facts, FACTS)));
    let how = match &subject.action {
        Action::Question(_) => say!("card-answer-is-yes"),
        _ => card.confirm.map_or_else(String::new, confirmed),
    };
    lines.push(say!(
        "card-decide",
        until = until(card.decide_until),
        who = subject.requirement.describe(),
        given = tally.approved.len(),
        needed = tally.needed,
        how = how
    ));
    lines.push(say!("card-digest", digest = approval.digest.short()));
    let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
    let people: Vec<&str> = subject.requesters.iter().map(PersonId::as_str).collect();
    let alike = qd_approvals::inert::warnings(target, &people);
    let alike = alike.iter().filter(|warning| matches!(warning, Warning::LooksLike { .. }));
    lines.extend(alike.map(|warning| say!("careful", warning = inert(&warning.to_string(), QUOTE))));
    if let Action::Question(question) = &subject.action {
        lines.push(match qd_approvals::question::choices(question).as_slice() {
            [] => say!("card-type-answer", key = key),
            choices => say!("card-type-choice", key = key, choices = inert(&choices.join(", "), QUOTE)),
        });
    } else if card.confirm.is_some_and(|confirm| confirm.typed) {
        lines.push(type_name(approval));
    }
    let deciding: Vec<PersonId> = foreign.deciding().cloned().collect();
    if !deciding.is_empty() {
        lines.push(say!("card-deciding", people = names(&deciding), team = subject.instance));
    }
    let said = chosen(subject).chain([card.facts.as_str()]).chain(card.words.as_deref());
    lines.extend(careful(said).lines().skip(1).map(str::to_owned));
    // Last: what follows a quoted line would be taken for a part of it.
    lines.extend(card.words.as_ref().map(|words| say!("card-words", words = inert(words, QUOTE))));
    lines.join("\n")
}

/// What the person hears who gave an order that others have to agree to.
pub fn order_waits(foreign: &Foreign) -> String {
    let approval = foreign.approval();
    let subject = &approval.subject;
    say!(
        "order-waits",
        team = subject.instance,
        title = inert(&subject.title(), TITLE),
        who = subject.requirement.describe(),
        key = approval.id.key()
    )
}

/// The same, when they have decided.
pub fn order_ended(foreign: &Foreign) -> String {
    let subject = &foreign.approval().subject;
    say!(
        "order-ended",
        team = subject.instance,
        title = inert(&subject.title(), TITLE),
        ended = inert(&ended_there(&foreign.card), QUOTE)
    )
}

/// How an approval stands that an instance keeps and that is not open any more.
fn ended_there(card: &ApprovalCard) -> String {
    let approval = &card.approval;
    let by = names(&approval.tally().approved);
    let ended = card.ended.clone().unwrap_or_default();
    match approval.state {
        ApprovalState::Granted | ApprovalState::Executing => say!("ended-under-way", by = by),
        ApprovalState::Executed if !matches!(approval.subject.action, Action::Question(_)) => {
            say!("ended-approved", by = by, ended = ended)
        }
        ApprovalState::Denied => denied(approval).unwrap_or(ended),
        ApprovalState::Expired => say!("ended-expired", reason = ended, key = approval.id.key()),
        _ => ended,
    }
}

/// Who said no, and why.
fn denied(approval: &Approval) -> Option<String> {
    let no = approval.votes.iter().rfind(|vote| vote.ballot == Ballot::Deny)?;
    let why = no.reason.as_ref().map_or_else(String::new, |why| say!("reason", why = why));
    Some(say!("ended-denied", what = word(&approval.subject.action), person = no.person.id, why = why))
}

/// A person's word goes to the instance that counts it.
pub fn travels(instance: &InstanceName) -> String {
    say!("word-travels", instance = instance)
}

/// As what a person's words to a run are taken.
pub fn taken(feature: &FeatureId, remark: Remark) -> String {
    match remark {
        Remark::Guidance => say!("taken-as-guidance", feature = feature),
        Remark::Review => say!("taken-as-review", feature = feature),
    }
}

/// What a person said in a review elsewhere, for the pull request: quoted line by line, and nobody is mentioned by it.
pub fn review_comment(person: &PersonId, words: &str) -> String {
    // A person's own words, as they wrote them.
    let quoted = |line: &str| format!("> {}", line.replace('@', "@\u{200b}"));
    let lines: Vec<String> = words.lines().map(quoted).collect();
    say!("review-comment", person = person, words = lines.join("\n"))
}

/// Why nothing holds that was granted by an older version.
pub fn older(was: ApprovalState) -> String {
    match was {
        ApprovalState::Requested => say!("older-asked-anew"),
        ApprovalState::Granted => say!("older-lapsed"),
        _ => say!("older-unknown"),
    }
}

/// The card of what an older version kept.
pub fn older_card(subject: &Subject, ended: &str) -> String {
    say!("card-ended", title = machines::title(subject), place = machines::place(subject), ended = ended)
}

/// What was approved does not hold any more.
pub fn lapsed(reason: &str) -> String {
    say!("ended-lapsed", reason = reason)
}

/// What an instance shows of its audit trail does not fit what is kept of it.
pub fn trails_apart(from: &InstanceName, refused: &dyn std::fmt::Display) -> String {
    say!("trails-apart", team = from, refused = refused)
}

/// A command could not be stored.
pub fn not_stored() -> String {
    say!("not-stored")
}

/// There is no run that could be told something.
pub fn nobody_works(feature: &FeatureId) -> String {
    say!("nobody-works", feature = feature)
}

/// There is no pull request that could be reviewed.
pub fn nothing_to_review(feature: &FeatureId) -> String {
    say!("nothing-to-review", feature = feature)
}

/// Something that a person said did not count, and they were not told in time.
pub fn missed(approval: &Approval, text: &str) -> String {
    let subject = &approval.subject;
    say!("word-missed", title = inert(&subject.title(), TITLE), feature = subject.feature, text = text)
}

/// Until when people have to decide, once that is known.
fn until(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| say!("until", moment = until.strftime(presence::FULL)))
}

/// How an approval ended, as a sentence; `None` while it has not.
pub fn ended(desk: &Desk) -> Option<String> {
    let approval = desk.approval();
    let reason = desk.standing.reason.clone().unwrap_or_default();
    let by = || names(&approval.tally().approved);
    Some(match approval.state {
        ApprovalState::Requested | ApprovalState::Granted | ApprovalState::Executing => return None,
        ApprovalState::Executed => match &approval.subject.action {
            Action::Push(_) => say!("ended-pushed", by = by()),
            Action::Tool(_) => say!("ended-called", by = by()),
            _ => say!("ended-merged", by = by(), commit = reason.get(..7).unwrap_or(&reason)),
        },
        ApprovalState::Denied => denied(approval).unwrap_or(reason),
        ApprovalState::Expired => {
            say!("ended-expired", reason = reason, key = approval.id.key())
        }
        ApprovalState::Withdrawn => say!("ended-withdrawn", reason = reason),
        ApprovalState::Lapsed => say!("ended-lapsed", reason = reason),
        ApprovalState::Failed => reason,
        ApprovalState::Unknown if matches!(approval.subject.action, Action::Tool(_)) => {
            say!("ended-unsure", reason = reason)
        }
        ApprovalState::Unknown => {
            say!("ended-unknown", reason = reason)
        }
    })
}

fn word(action: &Action) -> String {
    match action {
        Action::Merge(_) => say!("act-merge"),
        Action::Push(_) => say!("act-push"),
        Action::Plan(_) => say!("act-plan"),
        Action::Tool(_) => say!("act-tool"),
        Action::Budget(_) => say!("act-budget"),
        Action::Operation(_) => say!("act-operation"),
        Action::Question(_) => say!("act-question"),
        Action::Policy(_) => say!("act-policy"),
        Action::Enrolment(_) => say!("act-enrolment"),
    }
}

/// Half of the time to decide is over.
pub fn escalation(approval: &Approval, roles: &[Role]) -> String {
    let (subject, key) = (&approval.subject, approval.id.key());
    let who: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let (title, place) = (machines::title(subject), machines::place(subject));
    say!("escalation", who = who.join(", "), title = title, place = place, yes = yes(approval), key = key)
}

/// A request that no person can have seen.
pub fn unseen(approval: &Approval) -> String {
    let (subject, key) = (&approval.subject, approval.id.key());
    let (title, feature) = (machines::title(subject), machines::named(subject));
    // What an instance keeps is in the inbox of its board as well, so its time goes on.
    let meanwhile =
        if approval.id.executor() == crate::foreign::BOT { say!("unseen-bot") } else { say!("unseen-board") };
    say!("unseen", feature = feature, title = title, meanwhile = meanwhile, yes = yes(approval), key = key)
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
    say!("paused", team = subject.instance, run = subject.run)
}

/// What a person hears who votes when it is over.
pub fn late(approval: &Approval, given: &Given) -> String {
    // Who asks from another service reads it in their own zone.
    let form = if given.account.is_some() { presence::FULL } else { "%H:%M UTC" };
    let at = approval.decided_at.map_or_else(String::new, |at| say!("decided-at", clock = at.strftime(form)));
    let word = match approval.state {
        ApprovalState::Denied => say!("was-denied"),
        ApprovalState::Lapsed => say!("was-lapsed"),
        ApprovalState::Expired => say!("was-expired"),
        ApprovalState::Withdrawn => say!("was-withdrawn"),
        _ => say!("was-approved"),
    };
    say!("already", feature = machines::named(&approval.subject), word = word, at = at)
}

/// An order was not carried out.
pub fn refused(instance: &InstanceName, refusal: &Refusal) -> String {
    let kind = match refusal.kind.as_str() {
        "reload" => say!("order-reload"),
        "announcement" => say!("order-announcement"),
        _ => say!("order-given"),
    };
    say!("order-refused", instance = instance, kind = kind, reason = inert(refusal.reason.as_str(), QUOTE))
}

/// What the bot's own trail says of something, line by line.
pub fn trail(what: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return say!("trail-nothing", what = what);
    }
    let head = say!("trail-own", what = what);
    let lines = lines.iter().map(|line| inert(line, QUOTE));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What an instance says of a person's order, line by line.
pub fn told(instance: &InstanceName, text: &str) -> String {
    let lines: Vec<String> = text.lines().take(LINES).map(|line| inert(line, QUOTE)).collect();
    say!("order-told", instance = instance, text = lines.join("\n"))
}

/// An alert, open or over.
pub fn alert(instance: &InstanceName, alert: &AlertState, now: Timestamp) -> String {
    let text = inert(&alert.text, QUOTE);
    // What names its team says so itself.
    let whose =
        if text.starts_with(&format!("{instance} ")) { String::new() } else { format!("{instance}: ") };
    if alert.over {
        let minutes = (now.as_second() - alert.since.as_second()) / 60;
        return say!("alert-over", whose = whose, minutes = minutes, text = text);
    }
    let times = if alert.count > 1 { say!("alert-times", count = alert.count) } else { String::new() };
    say!("alert", whose = whose, text = text, times = times)
}

fn names(people: &[PersonId]) -> String {
    match people {
        [] => say!("nobody"),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(PersonId::as_str).collect();
            say!("names", first = first.join(", "), last = last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_yes_is_given_is_said_in_the_words_of_the_board() {
        for way in Way::ALL {
            for typed in [false, true] {
                let confirm = Confirm { way, typed };
                assert_eq!(confirmed(confirm), confirm.how(), "{confirm:?}");
            }
        }
    }
}
