//! The words of digests, of a team's own message, of risks, pipelines and announcements. From facts; what somebody wrote is
//! inert.

use jiff::{Timestamp, tz::TimeZone};
use qd_text::say;
use qd_types::{Approval, FeatureId, InstanceName, PersonId, Spent, Step};
use qd_wire::v1::{FeatureReport, MilestoneProgress};

use super::inert;
use crate::distil::{Decisions, Pipeline, PipelineKind, Risk, Stands, TeamStands};

/// Names in one list, and sentences in another.
const NAMES: usize = 10;
const SENTENCES: usize = 3;
/// Longest sentence of a list, in characters.
const SENTENCE: usize = 160;
/// What one message holds, in characters.
pub(crate) const MESSAGE: usize = 1_800;

/// The fleet's week.
#[derive(Debug, Clone, PartialEq)]
pub struct Week {
    /// Since when.
    pub since: Timestamp,
    /// How much each team merged.
    pub merged: Vec<(InstanceName, usize)>,
    /// What stands still until a person does something: why, and since when; the oldest first.
    pub blocked: Vec<(FeatureId, String, Timestamp)>,
    /// What people decided.
    pub decisions: Decisions,
    /// What it cost.
    pub cost: Option<Spent>,
    /// Milestones that came closer.
    pub milestones: Vec<MilestoneProgress>,
    /// What endangers the work now.
    pub risks: Vec<Risk>,
    /// What else is to be told.
    pub lines: Vec<String>,
}

/// The message of a team: how it stands.
pub fn team(stands: &TeamStands, zone: &TimeZone, now: Timestamp) -> String {
    let facts = standing(stands);
    // Of a team that can't be heard it is not known that nothing runs.
    let facts = match (&stands.caution, facts.is_empty()) {
        (Some(caution), true) => caution.clone(),
        (Some(caution), false) => format!("{caution}\n{facts}"),
        (None, true) => format!("{}.", say!("nothing-runs")),
        (None, false) => facts,
    };
    let since = since(stands.since, now, zone);
    let merged = match stands.merged.len() {
        0 => String::new(),
        count => format!("\n{}", say!("merged-since", count = count, since = since)),
    };
    format!("**{}**\n{facts}{merged}", stands.team)
}

/// The stand-up of a team.
pub fn standup(stands: &TeamStands, zone: &TimeZone, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if !stands.merged.is_empty() {
        parts.push(say!("merged-which", count = stands.merged.len(), features = ids(&stands.merged)));
    }
    let facts = standing(stands);
    parts.extend((!facts.is_empty()).then_some(facts));
    if parts.is_empty() && stands.caution.is_none() {
        parts.push(say!("nothing-runs"));
    }
    let mut lines = vec![say!(
        "digest-head",
        team = stands.team,
        since = since(stands.since, now, zone),
        facts = parts.join(" · ")
    )];
    lines.extend(stands.caution.clone());
    let mut more = Vec::new();
    more.extend(decided(&stands.decisions));
    if !stands.next.is_empty() {
        more.push(say!("next", features = ids(&stands.next)));
    }
    lines.extend((!more.is_empty()).then(|| more.join(" · ")));
    rest(&mut lines, &stands.milestones, &stands.risks, &stands.lines);
    cut(&lines)
}

/// The week of the fleet.
pub fn weekly(week: &Week, zone: &TimeZone, now: Timestamp) -> String {
    let total: usize = week.merged.iter().map(|(_, count)| count).sum();
    let each: Vec<String> = week.merged.iter().map(|(team, count)| format!("{team} {count}")).collect();
    let mut parts = match each.as_slice() {
        [] => vec![say!("merged-nothing")],
        each => vec![say!("merged-by-team", total = total, each = some(each, NAMES))],
    };
    parts.extend(blocked(&week.blocked));
    parts.extend(week.cost.as_ref().map(Spent::said));
    let mut lines = vec![say!("week-head", since = since(week.since, now, zone), facts = parts.join(" · "))];
    lines.extend(decided(&week.decisions));
    rest(&mut lines, &week.milestones, &week.risks, &week.lines);
    cut(&lines)
}

fn standing(stands: &TeamStands) -> String {
    let mut parts = Vec::new();
    parts.extend((stands.running > 0).then(|| say!("standing-running", count = stands.running)));
    parts.extend((stands.asks > 0).then(|| say!("standing-asks", count = stands.asks)));
    parts.extend(blocked(&stands.blocked));
    parts.extend(stands.cost.as_ref().map(Spent::said));
    parts.join(" · ")
}

fn blocked(blocked: &[(FeatureId, String, Timestamp)]) -> Option<String> {
    let each: Vec<String> = blocked
        .iter()
        .take(SENTENCES)
        .map(|(feature, why, _)| format!("{feature}, {}", inert(why.trim_end_matches('.'), SENTENCE)))
        .collect();
    let more = blocked.len().saturating_sub(SENTENCES);
    let more = if more > 0 { say!("and-more-blocked", more = more) } else { String::new() };
    (!each.is_empty()).then(|| say!("blocked", count = blocked.len(), each = each.join("; "), more = more))
}

fn decided(decisions: &Decisions) -> Option<String> {
    let mut parts = Vec::new();
    if decisions.approved > 0 {
        parts.push(say!("decided-yes", count = decisions.approved));
    }
    if !decisions.denied.is_empty() {
        let each: Vec<String> = decisions
            .denied
            .iter()
            .map(|(feature, title, why)| {
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {}", inert(why, SENTENCE)));
                say!("denied-what", title = inert(title, SENTENCE), feature = feature, why = why)
            })
            .collect();
        parts.push(say!("decided-no", count = each.len(), each = some(&each, SENTENCES)));
    }
    (!parts.is_empty()).then(|| say!("decisions", each = parts.join(", ")))
}

fn rest(lines: &mut Vec<String>, milestones: &[MilestoneProgress], risks: &[Risk], more: &[String]) {
    if !milestones.is_empty() {
        let each: Vec<String> = milestones.iter().map(progress).collect();
        lines.push(say!("milestones", each = some(&each, SENTENCES)));
    }
    if !risks.is_empty() {
        let each: Vec<String> = risks.iter().map(|risk| risk.text.trim_end_matches('.').to_owned()).collect();
        lines.push(say!("risks", each = some(&each, SENTENCES)));
    }
    lines.extend(more.iter().cloned());
}

/// A milestone came closer.
pub fn milestone(team: &InstanceName, milestone: &MilestoneProgress) -> String {
    say!("milestone", team = team, progress = progress(milestone))
}

fn progress(milestone: &MilestoneProgress) -> String {
    let MilestoneProgress { project, milestone: name, done, features, percent, due, forecast, .. } =
        milestone;
    let due = due.map_or_else(String::new, |due| say!("milestone-due", due = due));
    let forecast = forecast.map_or_else(String::new, |day| say!("milestone-forecast", day = day));
    let name = inert(&format!("{project} {name}"), SENTENCE);
    say!(
        "milestone-progress",
        name = name,
        percent = percent,
        done = done,
        features = features,
        due = due,
        forecast = forecast
    )
}

/// A default branch is red.
pub fn red(pipeline: &Pipeline, stands: &Stands) -> String {
    let (name, repository) = (inert(&pipeline.name, SENTENCE), &pipeline.repository);
    let what = match pipeline.kind {
        PipelineKind::Workflow => say!("branch-red", repository = repository, name = name),
        PipelineKind::Environment => say!("deployment-red", repository = repository, name = name),
    };
    let row = if stands.reds > 1 { say!("red-in-a-row", count = stands.reds) } else { String::new() };
    say!("red-on", what = what, commit = stands.commit.short(), row = row)
}

/// The message of a workflow or a deployment.
pub fn pipeline(pipeline: &Pipeline, stands: &Stands, now: Timestamp) -> String {
    let url = stands.url.as_ref().map_or_else(String::new, |url| format!(" {url}"));
    if !stands.passed {
        let red = red(pipeline, stands);
        let red = match pipeline.kind {
            PipelineKind::Workflow => capital(&red),
            PipelineKind::Environment => red,
        };
        return say!("pipeline-red", red = red, url = url);
    }
    let (name, repository) = (inert(&pipeline.name, SENTENCE), &pipeline.repository);
    let what = match pipeline.kind {
        PipelineKind::Workflow => say!("branch-green", repository = repository, name = name),
        PipelineKind::Environment => say!("deployment-green", repository = repository, name = name),
    };
    let took = span(now.duration_since(stands.red_since).as_mins());
    say!("pipeline-green", what = what, commit = stands.commit.short(), took = took, url = url)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// Minutes, as people say them.
fn span(minutes: i64) -> String {
    match minutes {
        ..60 => say!("minutes", minutes = minutes),
        60..2880 => say!("hours", hours = minutes / 60, minutes = minutes % 60),
        _ => say!("days", count = minutes / 1440),
    }
}

/// A request that people left open.
pub fn ageing(approval: &Approval, hours: i64) -> String {
    let subject = &approval.subject;
    let title = inert(&subject.action.title(), SENTENCE);
    say!(
        "risk-open-request",
        title = title,
        feature = subject.feature,
        team = subject.instance,
        hours = hours
    )
}

/// A feature that does not go on.
pub fn still(report: &FeatureReport, hours: i64) -> String {
    let reached = report.line.0.iter().zip(Step::ALL).rfind(|(mark, _)| **mark != qd_types::Mark::Open);
    let at =
        reached.map_or_else(String::new, |(_, step)| say!("in-step", step = step.title().to_lowercase()));
    say!(
        "risk-still",
        feature = report.feature,
        title = inert(&report.title, SENTENCE),
        hours = hours,
        at = at
    )
}

/// A day that costs more than usual. In millionths of a dollar.
pub fn dear(team: &InstanceName, spent: u64, usual: u64) -> String {
    say!("risk-dear", team = team, spent = dollars(spent), usual = dollars(usual))
}

fn dollars(micro: u64) -> String {
    format!("${}.{:02}", micro / 1_000_000, micro % 1_000_000 / 10_000)
}

/// What somebody tells all teams.
pub fn announcement(by: &PersonId, text: &str) -> String {
    say!("announcement", by = by, text = inert(text, MESSAGE - 200))
}

/// Risks, for whoever asks.
pub fn risks(risks: &[Risk]) -> String {
    if risks.is_empty() {
        return say!("no-risk");
    }
    let lines: Vec<String> = risks
        .iter()
        .map(|risk| {
            // What names its team says so itself.
            let named = |team: &&InstanceName| !risk.text.starts_with(&format!("{team} "));
            let team = risk.team.as_ref().filter(named).map_or_else(String::new, |team| format!("{team}: "));
            say!("risk", team = team, text = risk.text.trim_end_matches('.'))
        })
        .collect();
    cut(&lines)
}

/// As many names as so many characters hold; what is left out is counted.
pub(crate) fn within(names: &[&str], most: usize) -> String {
    let mut length = 0;
    let fit = names.iter().take_while(|name| {
        length += name.chars().count() + 2;
        length <= most
    });
    let first: Vec<&str> = fit.copied().collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => say!("some-and-more", first = first.join(", "), more = more),
    }
}

/// As many lines as a message holds; what is left out is counted.
pub(crate) fn cut(lines: &[String]) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let length = text.chars().count() + line.chars().count();
        if length > MESSAGE && index > 0 {
            text.push_str(&format!("\n{}", say!("and-more", count = lines.len() - index)));
            return text;
        }
        if index > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

fn ids(features: &[FeatureId]) -> String {
    let all: Vec<String> = features.iter().map(FeatureId::to_string).collect();
    some(&all, NAMES)
}

/// The first of them; what is left out is counted.
fn some(all: &[String], limit: usize) -> String {
    let first: Vec<&str> = all.iter().take(limit).map(String::as_str).collect();
    let more = all.len().saturating_sub(limit);
    let separator = if limit == NAMES { ", " } else { "; " };
    let first = first.join(separator);
    if more > 0 { say!("some-and-more", first = first, more = more) } else { first }
}

fn since(since: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (then, today) = (since.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date());
    if then.date() == today {
        say!("since-clock", clock = then.strftime("%H:%M"))
    } else if today.yesterday().is_ok_and(|day| day == then.date()) {
        say!("since-yesterday")
    } else {
        say!("since-clock", clock = then.strftime("%a %-d %b"))
    }
}
