//! How much the team does at once: what its configuration has, and what a person lowered of it until they take that back.

use jiff::Timestamp;
use qd_board::{
    Refused,
    schedule::{Limits, Lower, Lowered},
};
use qd_types::{PersonId, Stage};
use qd_wire::v1::{Limited, TeamLimits};
use rusqlite::Connection;

use crate::{Store, StoreError, events, events::Draft, rows, store, store::Lens, switches};

/// The switch with what a person lowered.
const LOWERED: &str = "lowered";

impl Store {
    /// What a person lets the team do at once at most.
    pub async fn lowered(&self) -> Result<Lowered, StoreError> {
        self.read(lowered).await
    }
}

/// See [`Store::lowered`].
pub(crate) fn lowered(c: &Connection) -> Result<Lowered, StoreError> {
    Ok(switches::get(c, LOWERED)?.unwrap_or_default())
}

/// Lowers a limit, or takes that back. More than the configuration lets it do is refused. Says what holds now.
pub(crate) fn lower(
    c: &Connection,
    lens: &Lens,
    by: &PersonId,
    limit: Limited,
    most: Option<u32>,
    now: Timestamp,
) -> Result<String, StoreError> {
    let configured = match limit {
        Limited::Slots => Some(lens.settings.slots),
        Limited::Reviews => lens.settings.reviews,
    };
    let name = word(limit);
    let problem = match (most, configured) {
        (Some(0), _) => Some("Nothing at once is a pause: pause the team.".to_owned()),
        (Some(most), Some(configured)) if most > configured => Some(format!(
            "{name}: the configuration has {configured} at most, and {most} is more: that is a change of the configuration."
        )),
        _ => None,
    };
    if let Some(reason) = problem {
        return Err(Refused { reason }.into());
    }
    let mut lowered = lowered(c)?;
    let lower = most.filter(|most| Some(*most) != configured).map(|most| Lower { most, by: by.clone() });
    let text = match (&lower, configured) {
        (Some(Lower { most, .. }), _) => {
            format!("{name}: {most} at most, as {by} has it, until somebody takes that back.")
        }
        (None, Some(configured)) => {
            format!("{name}: {configured} at most, as the configuration has it.")
        }
        (None, None) => format!("{name}: without a limit, as the configuration has it."),
    };
    match limit {
        Limited::Slots => lowered.slots = lower,
        Limited::Reviews => lowered.reviews = lower,
    }
    let none = lowered == Lowered::default();
    let value = if none { None } else { Some(rows::to_json("switches", &lowered)?) };
    switches::put(c, LOWERED, value)?;
    events::write(c, &Draft::new(by.as_str(), "team", text.clone()), now)?;
    Ok(text)
}

fn word(limit: Limited) -> &'static str {
    match limit {
        Limited::Slots => "Runs at once",
        Limited::Reviews => "Features in review",
    }
}

/// As the bot is told.
pub(crate) fn told(c: &Connection, lens: &Lens) -> Result<TeamLimits, StoreError> {
    let (configured_slots, configured_reviews) = (lens.settings.slots, lens.settings.reviews);
    let lowered = lowered(c)?;
    let limits =
        Limits { slots: configured_slots, reviews: configured_reviews, lowered, ..Limits::default() };
    let (slots, slots_by) = limits.slots();
    let reviews = limits.reviews();
    let review_by = reviews.and_then(|(_, by)| by);
    let said =
        |limit: Limited, by: Option<&PersonId>| by.map(|by| format!("{by} lowered: {}.", word(limit)).into());
    let lowered = [said(Limited::Slots, slots_by), said(Limited::Reviews, review_by)];
    let in_review = c
        .prepare_cached("SELECT count(*) FROM features WHERE stage = ?1")?
        .query_row([Stage::Review.as_str()], |row| row.get::<_, u32>(0))?;
    Ok(TeamLimits {
        slots,
        configured_slots,
        taken: store::running(c)?,
        reviews: reviews.map(|(most, _)| most),
        configured_reviews,
        in_review,
        lowered: lowered.into_iter().flatten().collect(),
    })
}
