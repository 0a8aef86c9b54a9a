//! Approvals that instances keep: shown as the bot's own are, and decided by what people say here. The bot looks at what it
//! can, signs, and sends it down; it is the instance that counts, and says how the approval stands.

use jiff::{SignedDuration, Timestamp};
use qd_approvals::{
    Proof,
    confirm::{self, Confirm},
    question,
};
use qd_text::say;
use qd_types::{
    Action, Approval, ApprovalId, ApprovalState, Ballot, Identity, InstanceName, Person, PersonId, Question,
    Verb, Vote,
};
use qd_wire::v1::{Alert, ApprovalCard, Heard, Order};

use crate::{
    answer::Handled,
    chat::{self, About, Button, Channel, Given, Message, MessageKey, Way},
    desk,
    effect::{Effect, Save, Step, Word},
    escalation,
    event::Moment,
    handle, near, page,
    state::{FleetState, Foreign, Spoken},
    text,
};

/// The name that no instance's approvals may have: those are the bot's own.
pub(crate) const BOT: &str = "bot";

/// How long one that is closed is remembered, so that a late click is told how it ended.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many that are closed are remembered.
const CLOSED: usize = 500;

/// Before the name of a change of a team's board that people have to agree to.
const CHANGE: &str = "board.";

/// Choices that get a button: a row holds five, and one is the no.
const CHOICES: usize = 4;

/// What a person says on one.
pub(crate) enum Said {
    /// Yes; `typed` is what stands for the target's name.
    Yes { typed: Option<String> },
    /// The answer to a question.
    Answer(String),
    /// No.
    No { reason: Option<String> },
}

impl Said {
    fn ballot(&self) -> Ballot {
        if matches!(self, Self::No { .. }) { Ballot::Deny } else { Ballot::Approve }
    }

    /// The same again is the same text.
    fn text(&self) -> String {
        match self {
            Self::Yes { typed } => format!("yes {}", typed.clone().unwrap_or_default()),
            Self::Answer(text) => format!("answer {text}"),
            Self::No { reason } => format!("no {}", reason.clone().unwrap_or_default()),
        }
    }
}

/// An instance says how an approval of its own stands.
///
/// # Errors
/// Why that is not to be believed.
pub(crate) fn stands(
    state: &mut FleetState,
    instance: &InstanceName,
    card: ApprovalCard,
    moment: Moment,
) -> Result<Vec<Effect>, String> {
    let approval = &card.approval;
    let (id, key) = (approval.id.clone(), approval.id.key());
    let before = state.foreign.get(&key);
    let theirs = id.executor() == instance.as_str() && approval.subject.instance == *instance;
    let taken = state.approvals.contains_key(&key) || before.is_some_and(|before| before.approval().id != id);
    if !theirs || taken || id.executor() == BOT {
        return Err(say!("not-its-own", instance = instance, id = id));
    }
    // What the card shows is what is bound, or people would vote on something else.
    if approval.subject.digest().ok().as_ref() != Some(&approval.digest) {
        return Err(say!("unbound-card", id = id));
    }
    if before.is_some_and(|before| before.card == card) {
        return Ok(Vec::new());
    }
    let closed_at = if approval.state.is_open() {
        None
    } else {
        before.and_then(|before| before.closed_at).or(Some(moment.at))
    };
    let words = before.map_or_else(Default::default, |before| before.words.clone());
    let escalated = before.is_some_and(|before| before.escalated);
    let was = before.map(|before| before.approval().state);
    let approval = card.approval.clone();
    state.foreign.insert(key.clone(), Foreign { card, words, closed_at, escalated });
    let mut effects = kept(state, &key);
    effects.extend(ordered(state, &key, was));
    if !approval.state.is_open() {
        effects.extend(desk::seen(state, &approval, moment));
    }
    Ok(effects)
}

/// Whoever gave the order that others have to agree to is told that it waits, unless they know it, and how it ended.
fn ordered(state: &mut FleetState, key: &str, was: Option<ApprovalState>) -> Option<Effect> {
    let found = state.foreign.get(key)?;
    let (approval, subject) = (found.approval(), &found.approval().subject);
    let Action::Tool(call) = &subject.action else { return None };
    let verb: Verb = call.does.strip_prefix(CHANGE)?.parse().ok()?;
    let person = subject.requesters.first()?.clone();
    let mut askers = subject.binding.iter().flat_map(|binding| &binding.askers);
    // What was asked for at the team's own computer is told there.
    askers.find(|asker| asker.service != "local")?;
    let told = if approval.state.is_final() {
        was.is_none_or(|was| !was.is_final()).then(|| text::order_ended(found))?
    } else {
        let known = state.rules.person(&person)?;
        let asks_here = state.rules.permit(known, verb, &subject.instance).is_err();
        (was.is_none() && !asks_here).then(|| text::order_waits(found))?
    };
    Some(handle::told_later(state, &person, told))
}

/// An instance says what became of a person's word.
pub(crate) fn heard(state: &mut FleetState, instance: &InstanceName, heard: Heard) -> Vec<Effect> {
    let key = heard.approval.key();
    let found = state.foreign.get_mut(&key).filter(|found| found.approval().id == heard.approval);
    let Some(found) = found.filter(|found| found.approval().subject.instance == *instance) else {
        return Vec::new();
    };
    // Nobody is told of what they did not say here.
    let Some(spoken @ Spoken::Sent(_)) = found.words.get_mut(&heard.person) else { return Vec::new() };
    *spoken = Spoken::Heard { counted: heard.counted, text: heard.text };
    kept(state, &key)
}

/// Half of the time to decide is over, says the instance: beside the card, and not as an alert. `None` if it is about
/// something else.
pub(crate) fn escalated(
    state: &mut FleetState,
    instance: &InstanceName,
    alert: &Alert,
) -> Option<Vec<Effect>> {
    let id: ApprovalId = alert.key.strip_prefix("approval:")?.parse().ok()?;
    let found = state.foreign.get_mut(&id.key())?;
    if found.approval().id != id || found.approval().subject.instance != *instance {
        return None;
    }
    if alert.over || !found.approval().state.is_open() {
        return Some(Vec::new());
    }
    found.escalated = true;
    let save = Save::Foreign(id.key(), Some(Box::new(found.clone())));
    let approval = found.approval();
    Some(vec![Effect::Save(save), escalation::raised(approval, &approval.subject.requirement.roles)])
}

/// A person votes here.
pub(crate) fn vote(
    state: &mut FleetState,
    key: &str,
    person: &Person,
    given: &Given,
    said: Said,
    moment: Moment,
) -> Handled {
    let Some(found) = state.foreign.get(key) else { return Handled::default() };
    let id = found.approval().id.clone();
    let to = found.approval().subject.instance.clone();
    let (ballot, again) = (said.ballot(), said.text());
    let known = state.rules.person(&person.id).is_some();
    let word = match word(found, person, given, said, moment.at) {
        _ if !known => return say(near::no_person(state, &person.id)),
        Err(refused) => return say(refused),
        Ok(word) => word,
    };
    if let Some(refused) = may(found, &word, ballot) {
        return say(refused);
    }
    match spoken(state, key, &person.id, again, &to) {
        Some(mut sent) => {
            sent.effects.push(Effect::Step(Step::Send { to, word }));
            sent
        }
        None => Handled { reply: Some(text::travels(&to)), awaits: Some(id), ..Handled::default() },
    }
}

/// A person wants it asked again.
pub(crate) fn reopen(state: &mut FleetState, key: &str, person: &Person) -> Handled {
    let Some(found) = state.foreign.get(key) else { return Handled::default() };
    let (id, to) = (found.approval().id.clone(), found.approval().subject.instance.clone());
    match spoken(state, key, &person.id, "reopen".to_owned(), &to) {
        Some(mut sent) => {
            let order = Box::new(Order::Reopen { approval: id, person: person.clone() });
            sent.effects.push(Effect::Tell { to, living: None, order });
            sent
        }
        None => Handled { reply: Some(text::travels(&to)), awaits: Some(id), ..Handled::default() },
    }
}

/// What a person is to be told of what they said: what came of one word, or which did not count while they were not there.
pub(crate) fn collect(state: &mut FleetState, person: &PersonId, of: Option<&ApprovalId>) -> Handled {
    let (mut effects, mut told) = (Vec::new(), Vec::new());
    let wanted = state.foreign.iter_mut().filter(|(_, found)| of.is_none_or(|id| found.approval().id == *id));
    for (key, found) in wanted {
        let Some(Spoken::Heard { counted, text }) = found.words.get(person).cloned() else { continue };
        found.words.remove(person);
        effects.push(Effect::Save(Save::Foreign(key.clone(), Some(Box::new(found.clone())))));
        match of {
            Some(_) => told.push(text),
            // That it counts stands on the card.
            None if counted => {}
            None => told.push(text::missed(found.approval(), &text)),
        }
    }
    Handled { effects, reply: (!told.is_empty()).then(|| told.join("\n")), ..Handled::default() }
}

/// Forgets those that were closed long ago.
pub(crate) fn forget(state: &mut FleetState, now: Timestamp) -> Vec<Effect> {
    let mut closed: Vec<(Timestamp, String)> =
        state.foreign.iter().filter_map(|(key, found)| Some((found.closed_at?, key.clone()))).collect();
    closed.sort();
    let too_many = closed.len().saturating_sub(CLOSED);
    let old = |at: &Timestamp| now.duration_since(*at) >= REMEMBERED;
    let gone = closed.into_iter().enumerate().filter(|(index, (at, _))| *index < too_many || old(at));
    gone.map(|(_, (_, key))| {
        state.foreign.remove(&key);
        Effect::Save(Save::Foreign(key, None))
    })
    .collect()
}

/// What is said, as it is signed. The error is for whoever said it.
fn word(found: &Foreign, person: &Person, given: &Given, said: Said, at: Timestamp) -> Result<Word, String> {
    let approval = found.approval();
    let ballot = said.ballot();
    let (mut reason, mut typed, mut answer) = (None, None, None);
    match (said, &approval.subject.action) {
        (Said::No { reason: why }, _) => reason = why,
        (Said::Answer(text), Action::Question(question)) => answer = Some(question::read(question, &text)?),
        (Said::Yes { .. }, Action::Question(_)) => {
            return Err(say!("a-question", key = approval.id.key()));
        }
        (Said::Answer(_), _) => {
            return Err(say!("no-question", key = approval.id.key()));
        }
        (Said::Yes { typed: name }, _) => typed = name,
    }
    let vote = Vote {
        approval: approval.id.clone(),
        digest: approval.digest.clone(),
        person: person.clone(),
        surface: given.surface.clone(),
        ballot,
        reason,
        at,
    };
    let way = if typed.is_some() { Way::Typed } else { given.way };
    Ok(Word { vote, identity: given.identity(&person.id), proof: given.proof.clone(), way, typed, answer })
}

/// Why this word would not count, as far as that can be told from here. The instance looks again at all of it.
fn may(found: &Foreign, word: &Word, ballot: Ballot) -> Option<String> {
    let subject = &found.approval().subject;
    let person = &word.vote.person;
    if word.proof == Proof::Socket {
        return Some(say!("not-proved"));
    }
    let account = Identity { service: "local".into(), account: person.id.to_string() };
    let mut requesters = subject.requesters.clone();
    let mut askers = subject.binding.iter().flat_map(|binding| &binding.askers);
    let asks = askers.any(|asker| *asker == account || *asker == word.identity);
    requesters.extend(asks.then(|| person.id.clone()));
    if let Some(refused) = subject.requirement.refuses(person, &requesters) {
        return Some(refused);
    }
    let confirm = found.card.confirm.filter(|_| ballot == Ballot::Approve)?;
    let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
    confirm::lack(confirm, &word.clone().statement(), target)
}

/// Notes that a person's word is on its way; `None` if it was so already.
fn spoken(
    state: &mut FleetState,
    key: &str,
    person: &PersonId,
    what: String,
    to: &InstanceName,
) -> Option<Handled> {
    let found = state.foreign.get_mut(key)?;
    let sent = Spoken::Sent(what);
    if found.words.get(person) == Some(&sent) {
        return None;
    }
    found.words.insert(person.clone(), sent);
    let awaits = Some(found.approval().id.clone());
    Some(Handled { effects: kept(state, key), reply: Some(text::travels(to)), awaits, ..Handled::default() })
}

fn say(reply: String) -> Handled {
    Handled { reply: Some(reply), ..Handled::default() }
}

/// Kept, and shown where it stands.
fn kept(state: &FleetState, key: &str) -> Vec<Effect> {
    let Some(found) = state.foreign.get(key) else { return Vec::new() };
    let approval = found.approval();
    let (buttons, reactions) = match (&approval.subject.action, found.card.confirm) {
        _ if !approval.state.is_open() => Default::default(),
        (Action::Question(question), _) => (choices(approval, question), Vec::new()),
        // What does not say how a yes is given takes none by a button.
        (_, confirm) => {
            chat::ballots(&approval.id, confirm.unwrap_or(Confirm { way: Way::Typed, typed: true }))
        }
    };
    let subject = &approval.subject;
    let card = Message {
        about: Some(About {
            asks: matches!(subject.action, Action::Question(_)),
            ..About::feature(&subject.instance, &subject.feature)
        }),
        buttons,
        reactions,
        ..Message::new(Channel::Approvals, MessageKey::of_approval(&approval.id), text::foreign(found))
    };
    let over =
        (found.escalated && !approval.state.is_open()).then(|| escalation::over(approval, card.text.clone()));
    let mut effects =
        vec![Effect::Save(Save::Foreign(key.to_owned(), Some(Box::new(found.clone())))), Effect::Put(card)];
    effects.extend(over);
    effects.extend(page::of_feature(state, &subject.instance, &subject.feature));
    effects
}

/// A button for each choice that a button can say, or one for an answer in words, and one for the no.
fn choices(approval: &Approval, question: &Question) -> Vec<Button> {
    let key = approval.id.key();
    let choices = question::choices(question);
    // As a command has it: one space between words.
    let plain = |choice: &&str| choice.split_whitespace().collect::<Vec<_>>().join(" ") == **choice;
    let fit = choices.len() <= CHOICES && choices.iter().all(plain);
    let choices = choices.into_iter().filter(|choice| fit && !choice.is_empty());
    let mut buttons: Vec<Button> = choices
        .map(|choice| Button {
            label: qd_approvals::inert::plain(choice, 40),
            command: format!("answer {key} {choice}"),
        })
        .collect();
    if buttons.is_empty() {
        buttons.push(Button { label: say!("button-answer"), command: format!("answer {key}") });
    }
    buttons.push(Button { label: say!("button-deny"), command: format!("deny {key}") });
    buttons
}
