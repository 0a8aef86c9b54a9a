//! The order of ready features: the most urgent first, among those what unblocks most, then what is due first, then the
//! oldest. Waiting makes urgent, so that nothing starves.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::Candidate;

/// So many days of waiting raise the urgency by one step of priority.
pub const AGE_DAYS: i64 = 3;
/// From so many days before it is due, a feature is one step more urgent; from the day on, two.
pub const DUE_SOON_DAYS: i64 = 2;

/// What the order is made from; the smallest is first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// The priority after waiting and due date are counted in; may be below 0.
    pub urgency: i64,
    /// Features that wait for it, counted down from zero.
    pub unblocks: std::cmp::Reverse<u32>,
    /// When it is due; what has no date comes last.
    pub due: Option<DueFirst>,
    /// When it was filed.
    pub filed: Timestamp,
    /// Its number: no two are alike.
    pub number: u32,
}

/// A date that sorts before no date at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueFirst(pub Date);

impl PartialOrd for DueFirst {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DueFirst {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Rank {
    pub(super) fn of(candidate: &Candidate, now: Timestamp, today: Date) -> Self {
        let feature = &candidate.feature;
        let waited = (now.as_second() - feature.created_at.as_second()).max(0) / (24 * 3600);
        let due = feature.wanted.due.map(|due| days_until(today, due));
        let pressed = match due {
            Some(days) if days <= 0 => 2,
            Some(days) if days <= DUE_SOON_DAYS => 1,
            _ => 0,
        };
        Self {
            urgency: i64::from(feature.wanted.priority) - waited / AGE_DAYS - pressed,
            unblocks: std::cmp::Reverse(candidate.unblocks),
            due: Some(DueFirst(feature.wanted.due.unwrap_or(Date::MAX))),
            filed: feature.created_at,
            number: feature.id.number(),
        }
    }

    /// In words, for `feature why`: "urgency 1, unblocks 3, due 2026-12-24".
    pub fn describe(&self) -> String {
        let mut text = format!("urgency {}", self.urgency);
        if self.unblocks.0 > 0 {
            text.push_str(&format!(", unblocks {}", self.unblocks.0));
        }
        if let Some(DueFirst(due)) = self.due.filter(|due| due.0 != Date::MAX) {
            text.push_str(&format!(", due {due}"));
        }
        text
    }
}

fn days_until(today: Date, due: Date) -> i64 {
    i64::from(today.until(due).map_or(0, |span| span.get_days()))
}
