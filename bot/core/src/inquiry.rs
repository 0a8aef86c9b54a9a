//! What people ask of the fleet and its teams, answered from what was reported. Nothing is guessed: what no team has said is not
//! here.

use qd_engine::{Principal, Request, Resource};
use qd_text::say;
use qd_types::{InstanceName, Person, Spent, Stage, Target, Verb};
use qd_wire::v1::FeatureReport;

use crate::{
    event::Moment,
    near,
    state::FleetState,
    text::{self, inert, presence::Clock},
    waits,
};

/// Features in one list.
const LISTED: usize = 10;
/// Teams that are told of in a line each, where there are too many for that, and characters in which the others are named.
const DETAILED: usize = 20;
const BESIDES: usize = 700;
/// Longest title in a list, in characters.
const TITLE: usize = 60;

/// Features of a team, or of all.
fn features<'a>(
    state: &'a FleetState,
    team: Option<&'a InstanceName>,
) -> impl Iterator<Item = (&'a InstanceName, &'a FeatureReport)> {
    let all = state.features.iter().map(|((name, _), report)| (name, report));
    all.filter(move |(name, _)| team.is_none_or(|team| team == *name))
}

/// How many there are of what matters.
struct Counts {
    running: usize,
    asks: usize,
    ready: usize,
    blocked: usize,
    merged: usize,
}

impl Counts {
    fn of(state: &FleetState, team: &InstanceName) -> Self {
        let of = |wanted: &dyn Fn(&FeatureReport) -> bool| {
            features(state, Some(team)).filter(|(_, report)| wanted(report)).count()
        };
        Self {
            running: of(&|report| report.stage == Stage::Running),
            asks: waits::open(state).filter(|approval| approval.subject.instance == *team).count(),
            ready: of(&|report| report.stage == Stage::Ready),
            blocked: of(&is_stuck),
            merged: of(&|report| report.merged.is_some()),
        }
    }

    /// Whom people have to see to comes first, then who works.
    fn rank(&self) -> (bool, bool) {
        (self.asks + self.blocked == 0, self.running == 0)
    }

    fn said(&self) -> String {
        let some = |count: usize, said: String| (count > 0).then_some(said);
        let parts = [
            some(self.running, say!("count-running", count = self.running)),
            some(self.asks, say!("does-ask", count = self.asks)),
            some(self.ready, say!("does-ready", count = self.ready)),
            some(self.blocked, say!("does-blocked", count = self.blocked)),
            some(self.merged, say!("count-merged", count = self.merged)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { say!("nothing-reported") } else { parts.join(", ") }
    }
}

/// How a team stands, in a few words.
pub(crate) fn counts(state: &FleetState, team: &InstanceName) -> String {
    Counts::of(state, team).said()
}

fn is_stuck(report: &FeatureReport) -> bool {
    report.needs_person && report.merged.is_none() && report.stage != Stage::Review
}

fn row(team: &InstanceName, report: &FeatureReport) -> String {
    format!("{} {} · {team}: {}", report.feature, inert(&report.title, TITLE), text::why(report))
}

fn lines(all: impl Iterator<Item = String>, none: &str) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return none.to_owned();
    }
    let more = all.len().saturating_sub(LISTED);
    let mut shown: Vec<String> = all.into_iter().take(LISTED).collect();
    if more > 0 {
        shown.push(say!("and-more-features", more = more));
    }
    shown.join("\n")
}

fn spent<'a>(reports: impl Iterator<Item = &'a FeatureReport>) -> Option<Spent> {
    reports.filter_map(|report| report.spent.clone()).reduce(|all, each| all.plus(each))
}

/// The teams, a line each. Where that is more than an answer holds, those whom people have to see to come first, and the others
/// are named.
pub(crate) fn teams(state: &FleetState) -> String {
    let mut all: Vec<(&InstanceName, Counts)> =
        state.rules.teams.iter().map(|team| (team, Counts::of(state, team))).collect();
    if all.is_empty() {
        return say!("no-team");
    }
    let line = |(team, counts): &(&InstanceName, Counts)| format!("{team}: {}", counts.said());
    let lines: Vec<String> = all.iter().map(line).collect();
    let whole = lines.join("\n");
    if whole.chars().count() <= text::MESSAGE {
        return whole;
    }
    all.sort_by_key(|(_, counts)| counts.rank());
    let mut shown: Vec<String> = all.iter().take(DETAILED).map(line).collect();
    let names: Vec<&str> = all.iter().skip(DETAILED).map(|(team, _)| team.as_str()).collect();
    shown.push(say!("teams-besides", more = names.len(), teams = text::within(&names, BESIDES)));
    shown.push(say!("teams-one"));
    text::cut(&shown)
}

/// What models have cost, by team.
pub(crate) fn cost(state: &FleetState) -> String {
    let rows = state.rules.teams.iter().map(|team| {
        let said = spent(features(state, Some(team)).map(|(_, report)| report));
        format!("{team}: {}", said.map_or_else(|| say!("nothing-metered"), |spent| spent.said()))
    });
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() { say!("no-team") } else { text::cut(&rows) }
}

/// Features whose titles have all of these words, newest first.
pub(crate) fn search(state: &FleetState, words: &str) -> String {
    let wanted: Vec<String> = words.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let mut found: Vec<_> = features(state, None)
        .filter(|(_, report)| {
            let title = format!("{} {}", report.feature, report.title).to_lowercase();
            wanted.iter().all(|word| title.contains(word))
        })
        .collect();
    found.reverse();
    lines(found.into_iter().map(|(team, report)| row(team, report)), &say!("no-such-words"))
}

/// What a search finds of a question to a team that no agent answers: it is said to be found, and no more.
pub(crate) fn found(state: &FleetState, team: &InstanceName, question: &str) -> String {
    let wanted: Vec<String> = question
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric() && letter != '-')
        .filter(|word| word.chars().count() > 3 || word.contains('-'))
        .map(str::to_owned)
        .collect();
    let mut found: Vec<(usize, String)> = features(state, Some(team))
        .filter(|(_, report)| report.question.is_none())
        .filter_map(|(name, report)| {
            let known = format!("{} {} {}", report.feature, report.title, report.sentence).to_lowercase();
            let hits = wanted.iter().filter(|word| known.contains(word.as_str())).count();
            (hits > 0).then(|| (hits, row(name, report)))
        })
        .collect();
    found.sort_by_key(|(hits, _)| std::cmp::Reverse(*hits));
    if found.is_empty() {
        return say!("search-nothing", team = team);
    }
    let found = lines(found.into_iter().map(|(_, row)| row), "");
    say!("search-found", team = team, found = found)
}

/// Who is heard, and what they do.
pub(crate) fn status(
    state: &FleetState,
    team: Option<&InstanceName>,
    clock: Clock<'_>,
    moment: Moment,
) -> String {
    let teams = state.rules.teams.iter().filter(|name| team.is_none_or(|team| team == *name));
    let lines: Vec<String> =
        teams.map(|team| text::presence::sentence(state, team, clock, moment.at)).collect();
    match (lines.is_empty(), team) {
        (false, _) => text::cut(&lines),
        (true, Some(team)) => near::no_team(&state.rules.teams, team),
        (true, None) => say!("no-team"),
    }
}

/// What the teams are doing, the newest first.
pub(crate) fn board(
    state: &FleetState,
    team: Option<&InstanceName>,
    clock: Clock<'_>,
    moment: Moment,
) -> String {
    if let Some(team) = team.filter(|team| !state.rules.teams.contains(team)) {
        return near::no_team(&state.rules.teams, team);
    }
    let unheard = state.rules.teams.iter().filter(|name| team.is_none_or(|team| team == *name));
    let unheard = unheard.filter_map(|team| text::presence::caution(state, team, clock, moment.at));
    let begun = features(state, team).filter(|(_, report)| report.agent.is_some());
    let mut lines: Vec<String> =
        begun.map(|(name, report)| format!("`{}` {}", report.line.bars(), row(name, report))).collect();
    lines.reverse();
    let runs = if lines.is_empty() { vec![say!("no-runs")] } else { lines };
    text::cut(&unheard.chain(runs).collect::<Vec<_>>())
}

/// Whether somebody may do something to a team, and why.
pub(crate) fn explain(state: &FleetState, person: &Person, action: Verb, team: &InstanceName) -> String {
    if !state.rules.teams.contains(team) {
        return near::no_team(&state.rules.teams, team);
    }
    let resource = match action.target() {
        Target::Team => None,
        Target::Fleet => Some(Resource::Fleet),
        _ => {
            return say!("policy-explain", action = action);
        }
    };
    let allowed = match resource {
        None => state.rules.permit(person, action, team),
        Some(resource) => {
            let request = Request::new(Principal::Person(person.clone()), action, resource);
            state.rules.policies.permit(&request)
        }
    };
    match allowed {
        Ok(()) => say!("you-may", what = text::lower(action.title())),
        Err(refusal) => format!("{} {}", refusal.reason, refusal.help),
    }
}
