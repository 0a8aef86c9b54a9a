//! The words in pictures, and what pictures say to those who can't see them. Pictures have no Markdown: what somebody else wrote
//! is put on one line and loses what would turn its letters around.

use jiff::civil::Date;
use qd_text::say;
use qd_types::{InstanceName, Spent, Stage, dollars};

use crate::picture::{Board, Card, Charts, Marks, Panel, Picture};

/// Longest text for those who can't see a picture, in characters: less than Discord's 1,024 for an attachment.
const ALT: usize = 1_000;

/// What a picture shows.
pub fn alt(picture: &Picture) -> String {
    plain(
        &match picture {
            Picture::Board(board) => self::board(board),
            Picture::Charts(charts) => self::charts(charts),
        },
        ALT,
    )
}

fn board(board: &Board) -> String {
    let mut parts = vec![say!("board-alt", team = board.team)];
    parts.extend(board.caution.clone());
    for column in &board.columns {
        let cards: Vec<String> = column.cards.iter().map(card).collect();
        let more = column
            .more
            .as_ref()
            .filter(|_| column.count > 0)
            .map_or_else(String::new, |more| format!(", {more}"));
        let cards = if cards.is_empty() { String::new() } else { format!(": {}", cards.join("; ")) };
        parts.push(format!("{} {}{cards}{more}.", column.title, column.count));
    }
    parts.extend((!board.backlog.is_empty()).then(|| format!("{}.", board.backlog)));
    parts.join(" ")
}

fn card(card: &Card) -> String {
    let steps = card.line.map_or_else(String::new, |line| format!(" ({})", line.describe()));
    format!("{} {}{steps}", card.feature, card.title)
}

fn charts(charts: &Charts) -> String {
    let each = charts.panels.iter().map(|panel| format!("{}: {}", panel.title, panel.said));
    let [first, last] = &charts.ends;
    std::iter::once(say!("charts-alt", title = charts.title, first = first, last = last))
        .chain(each)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The message that has the charts.
pub fn charted(picture: &Picture) -> String {
    let Picture::Charts(charts) = picture else { return String::new() };
    let each = charts.panels.iter().map(|panel| format!("{}: {}", panel.title, panel.said));
    std::iter::once(format!("**{}**", charts.title)).chain(each).collect::<Vec<_>>().join("\n")
}

/// Text from elsewhere, on one line, cut; nothing in it turns letters around or hides.
pub fn plain(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown = line.chars().filter(|letter| !turns(*letter));
    let mut out: String = shown.by_ref().take(limit).collect();
    if shown.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Control characters, those of direction, and those without a width.
fn turns(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

/// What a column is called, as on the local board.
pub fn column(stage: Stage) -> String {
    match stage {
        Stage::Backlog => say!("column-backlog"),
        Stage::Ready => say!("column-ready"),
        Stage::Running => say!("column-running"),
        Stage::Review => say!("column-review"),
        Stage::Done => say!("column-done"),
        Stage::Cancelled => say!("column-cancelled"),
    }
}

/// What an empty column says.
pub fn nothing_in(stage: Stage) -> String {
    match stage {
        Stage::Backlog => say!("nothing-in-backlog"),
        Stage::Ready => say!("nothing-in-ready"),
        Stage::Running => say!("nothing-in-running"),
        Stage::Review => say!("nothing-in-review"),
        Stage::Done | Stage::Cancelled => say!("nothing-yet"),
    }
}

/// Cards that are not shown.
pub fn and_more(count: usize) -> String {
    say!("and-more-cards", count = count)
}

/// What rests in the backlog.
pub fn backlog(count: usize) -> String {
    say!("backlog", count = count)
}

/// A day.
pub fn day(day: Date) -> String {
    day.strftime("%-d %b").to_string()
}

/// What the charts are called.
pub fn days_of(team: &InstanceName, days: usize) -> String {
    say!("charts-title", team = team, days = days)
}

/// What is wanted and what is merged.
pub fn burn_up(wanted: Vec<u64>, done: Vec<u64>) -> Panel {
    let last = |values: &[u64]| values.last().copied().unwrap_or_default();
    let (all, merged) = (last(&wanted), last(&done));
    let marks =
        Marks::BurnUp { wanted: (say!("burn-up-wanted"), wanted), done: (say!("burn-up-merged"), done) };
    Panel {
        title: say!("burn-up-title"),
        said: say!("burn-up-said", merged = merged, all = all),
        top: marks.greatest().to_string(),
        marks,
    }
}

/// What the days have cost; `None` if nothing.
pub fn cost_per_day(days: &[Date], costs: &[Option<Spent>]) -> Option<Panel> {
    let each: Vec<u64> =
        costs.iter().map(|spent| spent.as_ref().map_or(0, |spent| spent.micro_dollars)).collect();
    let all: u64 = each.iter().sum();
    let (most, day) = each.iter().zip(days).max_by_key(|(cost, _)| **cost)?;
    if all == 0 {
        return None;
    }
    let unpriced: u64 = costs.iter().flatten().map(|spent| spent.unpriced_tokens).sum();
    let beside = if unpriced > 0 {
        say!("cost-unpriced", tokens = qd_types::grouped(unpriced))
    } else {
        String::new()
    };
    Some(Panel {
        title: say!("cost-title"),
        said: say!(
            "cost-said",
            all = dollars(all),
            day = self::day(*day),
            most = dollars(*most),
            beside = beside
        ),
        top: dollars(*most),
        marks: Marks::Bars { each },
    })
}

/// How long features took, from their first run to their merge.
pub fn cycle_time(median: u64, count: usize, marks: Marks) -> Panel {
    let features = say!("count-features", count = count);
    Panel {
        title: say!("cycle-time-title"),
        said: say!("cycle-time-said", took = took(median), features = features),
        top: took(marks.greatest()),
        marks,
    }
}

/// Seconds, as people say them.
pub(super) fn took(seconds: u64) -> String {
    match seconds {
        0..60 => say!("seconds", seconds = seconds),
        60..3600 => say!("minutes", minutes = seconds / 60),
        3600..172_800 => say!("hours", hours = seconds / 3600, minutes = seconds % 3600 / 60),
        _ => say!("days", count = seconds / 86_400),
    }
}
