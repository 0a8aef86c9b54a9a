//! What an import would do: every reference resolved, within the file or to the board. Unknown ones and circles are
//! refused with their place, before anything is filed.

use std::collections::HashMap;

use qd_types::{FeatureId, InstanceName, RepositoryName, Stage};

use super::{Batch, Item, refuse};
use crate::{Comment, FieldError, Source, SourceKind, Until, Wanted};

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Link {
    /// To another item of the file, by its index.
    Item(usize),
    /// To a feature that is on the board.
    Board(FeatureId),
}

/// A batch whose references are resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the file's order.
    pub items: Vec<Planned>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

/// An item to be filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Where in the file.
    pub place: String,
    /// What it is known by: a second import finds it by this.
    pub reference: String,
    /// Its id, if the file was written from this very board.
    pub here: Option<FeatureId>,
    /// Where it stood.
    pub stage: Stage,
    /// Where the work is done, if the file says so.
    pub repository: Option<RepositoryName>,
    /// What is wanted, checked; without epic and dependencies.
    pub wanted: Wanted,
    /// What it is a part of.
    pub epic: Option<Link>,
    /// What it waits for.
    pub depends_on: Vec<(Link, Until)>,
    /// Oldest first.
    pub comments: Vec<Comment>,
}

impl Batch {
    /// Resolves all references. `own` is the team of the board, `name` the file's.
    pub fn plan(self, own: &InstanceName, name: &str) -> Result<Plan, FieldError> {
        let Self { team, items, notes } = self;
        let mut ids: HashMap<&FeatureId, usize> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(id) = &item.id else { continue };
            if let Some(before) = ids.insert(id, index).and_then(|before| items.get(before)) {
                let problem =
                    format!("{id} stands at {} too: give every item an id of its own", before.place);
                return Err(refuse(format!("{}: {problem}", item.place)));
            }
        }
        let here = team.as_ref().is_none_or(|team| team == own);
        let find = |item: &Item, id: &FeatureId, what: &str| match ids.get(id) {
            Some(index) => Ok(Link::Item(*index)),
            None if here => Ok(Link::Board(id.clone())),
            None => Err(refuse(format!(
                "{}: it is {what} {id}, and the file has no {id}: export that too, or take it out",
                item.place
            ))),
        };
        let names = references(&items, team.as_ref(), name);
        let mut planned = Vec::new();
        for (item, reference) in items.iter().zip(names) {
            let within = |error: FieldError| refuse(format!("{}: {error}", item.place));
            let mut wanted = item.wanted.clone().checked().map_err(within)?;
            let epic = match (wanted.epic.take(), item.parent) {
                (Some(epic), _) => Some(find(item, &epic, "a part of")?),
                (None, parent) => parent.map(Link::Item),
            };
            let depends_on = std::mem::take(&mut wanted.depends_on).into_iter();
            let depends_on = depends_on.map(|need| Ok((find(item, &need.feature, "after")?, need.until)));
            let source = || Source { kind: SourceKind::Import, reference: reference.clone() };
            wanted.source.get_or_insert_with(source);
            planned.push(Planned {
                place: item.place.clone(),
                here: item.id.clone().filter(|_| team.as_ref() == Some(own)),
                stage: item.stage,
                repository: item.repository.clone(),
                epic,
                depends_on: depends_on.collect::<Result<_, FieldError>>()?,
                comments: item.comments.clone(),
                reference,
                wanted,
            });
        }
        refuse_circle(&planned, "waits for", |item| {
            item.depends_on.iter().filter_map(|(link, _)| within_file(link)).collect()
        })?;
        refuse_circle(&planned, "is a part of", |item| item.epic.iter().filter_map(within_file).collect())?;
        Ok(Plan { items: planned, notes })
    }
}

fn within_file(link: &Link) -> Option<usize> {
    match link {
        Link::Item(index) => Some(*index),
        Link::Board(_) => None,
    }
}

/// What each item is known by: team and id, else the file and the titles down to it.
fn references(items: &[Item], team: Option<&InstanceName>, name: &str) -> Vec<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut all: Vec<String> = Vec::new();
    for item in items {
        let own = match (&item.id, team) {
            (Some(id), Some(team)) => format!("{team} {id}"),
            (Some(id), None) => format!("{name}: {id}"),
            (None, _) => match item.parent.and_then(|parent| all.get(parent)) {
                Some(above) => format!("{above} / {}", item.wanted.title),
                None => format!("{name}: {}", item.wanted.title),
            },
        };
        let count = seen.entry(own.clone()).or_default();
        *count += 1;
        all.push(if *count == 1 { own } else { format!("{own} #{count}") });
    }
    all
}

/// An error names the way round, by the places in the file.
fn refuse_circle(
    items: &[Planned],
    words: &str,
    next: impl Fn(&Planned) -> Vec<usize>,
) -> Result<(), FieldError> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; items.len()];
    for start in 0..items.len() {
        // The way from `start` to where it is, each with what is left to look at. A loop, as a file may go deep.
        let mut way: Vec<(usize, Vec<usize>)> = vec![(start, vec![start])];
        while let Some((at, left)) = way.last_mut() {
            let Some(to) = left.pop() else {
                let at = *at;
                way.pop();
                if let Some(state) = states.get_mut(at) {
                    *state = State::Done;
                }
                continue;
            };
            match states.get(to) {
                Some(State::New) => {}
                Some(State::Open) => {
                    let round = way.iter().skip(1).map(|(index, _)| *index).skip_while(|index| *index != to);
                    let places: Vec<&str> = round
                        .chain([to])
                        .filter_map(|index| items.get(index))
                        .map(|item| item.place.as_str())
                        .collect();
                    return Err(refuse(format!(
                        "{} would make a circle: {}. Take one of these out",
                        places.first().unwrap_or(&""),
                        places.join(&format!(" {words} "))
                    )));
                }
                Some(State::Done) | None => continue,
            }
            if let (Some(state), Some(item)) = (states.get_mut(to), items.get(to)) {
                *state = State::Open;
                way.push((to, next(item)));
            }
        }
    }
    Ok(())
}
