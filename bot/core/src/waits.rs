//! Approvals that people name: which one is meant, and how each stands. Not what a vote does to one.

use qd_command::Which;
use qd_text::say;
use qd_types::Approval;

use crate::{
    chat::Given,
    near,
    state::{Desk, FleetState, Foreign},
    text,
};

/// An approval that somebody means: the bot's own, or one that an instance keeps.
pub(crate) enum Found<'a> {
    Own(&'a Desk),
    Foreign(&'a Foreign),
}

impl<'a> Found<'a> {
    pub(crate) fn approval(&self) -> &'a Approval {
        match self {
            Self::Own(desk) => desk.approval(),
            Self::Foreign(foreign) => foreign.approval(),
        }
    }
}

/// All of them, each where it is kept.
pub(crate) fn all(state: &FleetState) -> impl Iterator<Item = Found<'_>> {
    state.approvals.values().map(Found::Own).chain(state.foreign.values().map(Found::Foreign))
}

/// Those that fit, newest first.
pub(crate) fn fitting<'a>(state: &'a FleetState, which: &Which) -> Vec<Found<'a>> {
    let fits = |approval: &Approval| match which {
        Which::Key(key) => approval.id.key().starts_with(key.as_str()),
        Which::Feature(id) => approval.subject.feature == *id,
    };
    let mut found: Vec<Found<'a>> = all(state).filter(|found| fits(found.approval())).collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.approval().id.key()));
    found
}

/// The one that is open, or why there is none.
pub(crate) fn pick<'a>(state: &'a FleetState, which: &Which, given: &Given) -> Result<Found<'a>, String> {
    let mut found = fitting(state, which);
    let mut open = found.iter().enumerate().filter(|(_, found)| found.approval().state.is_open());
    match (open.next(), open.next()) {
        (Some((index, _)), None) => Ok(found.swap_remove(index)),
        (Some(_), Some(_)) => Err(say!("several-approvals", which = which)),
        (None, _) => Err(match found.first() {
            Some(closed) => text::late(closed.approval(), given),
            None => near::no_approval(state, which),
        }),
    }
}

/// What is open, wherever it is kept.
pub(crate) fn open(state: &FleetState) -> impl Iterator<Item = &Approval> {
    all(state).map(|found| found.approval()).filter(|approval| approval.state.is_open())
}

/// One as its card shows it: what is open, else what was asked last under that name.
pub(crate) fn show(state: &FleetState, which: &Which) -> String {
    let found = fitting(state, which);
    let open = found.iter().find(|found| found.approval().state.is_open());
    match open.or(found.first()) {
        Some(Found::Own(desk)) => text::approval(desk),
        Some(Found::Foreign(found)) => text::foreign(found),
        None => near::no_approval(state, which),
    }
}

/// All that one binds, in the very bytes that its digest is made of.
pub(crate) fn subject(state: &FleetState, which: &Which) -> String {
    let found = fitting(state, which);
    let open = found.iter().find(|found| found.approval().state.is_open());
    let Some(found) = open.or(found.first()) else { return near::no_approval(state, which) };
    serde_json_canonicalizer::to_string(&found.approval().subject)
        .unwrap_or_else(|error| say!("subject-unwritable", error = error))
}

/// What waits for people, the oldest first: it waits longest.
pub(crate) fn list(state: &FleetState) -> String {
    let mut open: Vec<&Approval> = open(state).collect();
    open.sort_by_key(|approval| approval.id.key());
    let line = |approval: &&Approval| {
        let subject = &approval.subject;
        let (title, place) = (text::machines::title(subject), text::machines::place(subject));
        format!("{} {title} {place}", approval.id.key())
    };
    let lines: Vec<String> = open.iter().map(line).collect();
    if lines.is_empty() { say!("nothing-asked") } else { text::cut(&lines) }
}
