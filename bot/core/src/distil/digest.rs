//! Digests: the stand-up of a team and the week of the fleet, from facts. Each is made once for its hour, however often the
//! bot starts: up to where it tells is kept in the transaction that posts it. After a time away only the last one is made.

use jiff::{SignedDuration, Timestamp};
use qd_command::When;
use qd_text::say;
use qd_types::{Approval, ApprovalState, Ballot, FeatureId, InstanceName, Spent, Stage};
use qd_wire::v1::MilestoneProgress;

use super::{
    Digest, Fact, Form, Route, TeamHour, Told,
    facts::hour_key,
    features::fact,
    risk::{self, Risk},
};
use crate::{
    chat::{About, MessageKey},
    desk,
    effect::{Effect, Save},
    event::Moment,
    near,
    state::{Desk, FleetState, Foreign},
    text,
};

/// Lines that wait for a digest.
const LINES: usize = 20;
/// What a first digest looks back on.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How a team stands, and what came since some time.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamStands {
    /// Which team.
    pub team: InstanceName,
    /// Since when.
    pub since: Timestamp,
    /// Features that runs work on, or that wait for their merge, and for no person.
    pub running: usize,
    /// What people are asked.
    pub asks: usize,
    /// What stands still until a person does something: why, and since when.
    pub blocked: Vec<(FeatureId, String, Timestamp)>,
    /// What may start next.
    pub next: Vec<FeatureId>,
    /// What was merged since.
    pub merged: Vec<FeatureId>,
    /// What people decided since.
    pub decisions: Decisions,
    /// What it cost since, if anything.
    pub cost: Option<Spent>,
    /// Milestones that came closer since.
    pub milestones: Vec<MilestoneProgress>,
    /// What endangers the work now.
    pub risks: Vec<Risk>,
    /// What else is to be told.
    pub lines: Vec<String>,
    /// That it can't be heard now, if so: all else is as it stood then.
    pub caution: Option<String>,
}

/// What people decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// How often yes.
    pub approved: usize,
    /// To what no: the feature, what it was, and why.
    pub denied: Vec<(FeatureId, String, Option<String>)>,
}

impl TeamStands {
    /// Whether there is anything that its own message could say.
    pub fn is_begun(&self) -> bool {
        self.running + self.asks + self.blocked.len() + self.merged.len() + self.next.len() > 0
            || self.cost.is_some()
    }

    /// Whether a stand-up would say nothing.
    fn is_quiet(&self) -> bool {
        let decided = self.decisions.approved + self.decisions.denied.len();
        let told = self.milestones.len() + self.risks.len() + self.lines.len();
        !self.is_begun() && decided + told == 0
    }
}

/// How a team stands, and what came since its last stand-up.
pub(crate) fn stands(state: &FleetState, team: &InstanceName, risks: &[Risk], now: Timestamp) -> TeamStands {
    let told = state.facts.told.get(&Digest::Standup(team.clone()));
    let since = told.map_or_else(|| now.saturating_sub(DAY).unwrap_or(now), |told| told.until);
    let mut stands = TeamStands {
        team: team.clone(),
        since,
        running: 0,
        asks: 0,
        blocked: Vec::new(),
        next: Vec::new(),
        merged: Vec::new(),
        decisions: Decisions::default(),
        cost: cost(state, Some(team), told, since),
        milestones: milestones(state, Some(team), since),
        risks: risks.iter().filter(|risk| risk.team.as_ref() == Some(team)).cloned().collect(),
        lines: told.map_or_else(Vec::new, |told| told.lines.clone()),
        caution: text::presence::caution(state, team, text::presence::Clock::of(state), now),
    };
    let mine = |approval: &&Approval| approval.subject.instance == *team;
    let asking: Vec<&Approval> =
        approvals(state).filter(mine).filter(|approval| approval.state.is_open()).collect();
    stands.asks = asking.len();
    for (feature, noted) in state.facts.of(team) {
        let Some(report) = state.features.get(&(team.clone(), feature.clone())) else { continue };
        match (report.stage, noted.blocked) {
            (Stage::Done, _) if noted.ended.is_some_and(|ended| ended >= since) => {
                stands.merged.push(feature.clone());
            }
            (Stage::Done | Stage::Cancelled, _) => {}
            (_, Some(blocked)) => {
                stands.blocked.push((feature.clone(), report.sentence.clone(), blocked));
            }
            (Stage::Running | Stage::Review, None) => {
                let asks = asking.iter().any(|approval| approval.subject.feature == *feature);
                stands.running += usize::from(!asks);
            }
            (Stage::Ready, None) => stands.next.push(feature.clone()),
            (Stage::Backlog, None) => {}
        }
    }
    stands.decisions = decisions(approvals(state).filter(mine), since);
    stands
}

pub(crate) fn approvals(state: &FleetState) -> impl Iterator<Item = &Approval> {
    state.approvals.values().map(Desk::approval).chain(state.foreign.values().map(Foreign::approval))
}

fn decisions<'a>(approvals: impl Iterator<Item = &'a Approval>, since: Timestamp) -> Decisions {
    let mut decisions = Decisions::default();
    for approval in approvals.filter(|approval| approval.decided_at.is_some_and(|at| at >= since)) {
        match approval.state {
            ApprovalState::Granted | ApprovalState::Executing | ApprovalState::Executed => {
                decisions.approved += 1;
            }
            ApprovalState::Denied => {
                let no = approval.votes.iter().rfind(|vote| vote.ballot == Ballot::Deny);
                let reason = no.and_then(|no| no.reason.clone());
                let (feature, title) = (approval.subject.feature.clone(), approval.subject.action.title());
                decisions.denied.push((feature, title, reason));
            }
            // Decided, and then it came to nothing: that is on its card.
            _ => {}
        }
    }
    decisions
}

/// What the days since then cost, less what the first of them had cost by then.
fn cost(
    state: &FleetState,
    team: Option<&InstanceName>,
    told: Option<&Told>,
    since: Timestamp,
) -> Option<Spent> {
    let first = since.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let days = state
        .facts
        .costs
        .iter()
        .filter(|((whose, day), _)| team.is_none_or(|team| team == whose) && *day >= first);
    let all = days.fold(Spent::default(), |sum, (_, spent)| sum.plus(spent.clone()));
    let before = told.map(|told| &told.spent);
    let less = |all: u64, before: Option<u64>| all.saturating_sub(before.unwrap_or(0));
    let spent = Spent {
        calls: less(all.calls, before.map(|spent| spent.calls)),
        tokens: less(all.tokens, before.map(|spent| spent.tokens)),
        micro_dollars: less(all.micro_dollars, before.map(|spent| spent.micro_dollars)),
        unpriced_tokens: less(all.unpriced_tokens, before.map(|spent| spent.unpriced_tokens)),
        ..all
    };
    (spent.tokens > 0 || spent.micro_dollars > 0).then_some(spent)
}

/// What this day has cost so far: the next digest starts from there.
fn cost_today(state: &FleetState, team: Option<&InstanceName>, now: Timestamp) -> Spent {
    let today = now.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let costs = state.facts.costs.iter();
    let today = costs.filter(|((whose, day), _)| team.is_none_or(|team| team == whose) && *day == today);
    today.fold(Spent::default(), |sum, (_, spent)| sum.plus(spent.clone()))
}

fn milestones(state: &FleetState, team: Option<&InstanceName>, since: Timestamp) -> Vec<MilestoneProgress> {
    if state.rules.distil.routes.milestone.form == Form::Nothing {
        return Vec::new();
    }
    let all = state.facts.milestones.iter();
    all.filter(|((whose, _), (_, at))| team.is_none_or(|team| team == whose) && *at >= since)
        .map(|(_, (progress, _))| progress.clone())
        .collect()
}

/// Digests whose hour has come.
pub(crate) fn due(state: &mut FleetState, moment: Moment) -> Vec<Effect> {
    let (distil, now) = (state.rules.distil.clone(), moment.at);
    let mut effects = Vec::new();
    let mut risks = None;
    for team in state.rules.teams.clone() {
        let digest = Digest::Standup(team.clone());
        let slot = match state.facts.hours.get(&team) {
            Some(hour) => hour.last(now, &distil.zone),
            None => distil.digests.standup.last(now, &distil.zone),
        };
        let Some(slot) = slot.filter(|slot| is_due(state, &digest, *slot)) else { continue };
        if state.facts.told.contains_key(&digest) {
            let risks = risks.get_or_insert_with(|| risk::risks(state, now));
            let stands = stands(state, &team, risks, now);
            let text = text::standup(&stands, &distil.zone, now);
            effects.extend(post(distil.routes.standup, &digest, slot, text, stands.is_quiet()));
        }
        effects.push(told(state, digest, slot, now));
    }
    if let Some(slot) = distil.digests.weekly.last(now, &distil.zone)
        && is_due(state, &Digest::Weekly, slot)
    {
        if state.facts.told.contains_key(&Digest::Weekly) {
            let text = weekly(state, now);
            effects.extend(post(distil.routes.weekly, &Digest::Weekly, slot, text, false));
        }
        effects.push(told(state, Digest::Weekly, slot, now));
        let gone = state.facts.forget(now);
        effects.extend(gone.into_iter().map(|key| Effect::Save(Save::Forget(key))));
    }
    effects
}

/// A team's stand-up comes at another hour; the error is for whoever wants that. An hour that is past today comes tomorrow.
pub(crate) fn schedule(
    state: &mut FleetState,
    team: &InstanceName,
    when: &When,
    now: Timestamp,
) -> Result<Vec<Effect>, String> {
    let mut effects = Vec::new();
    match TeamHour::new(when)? {
        Some(hour) => effects.push(fact(state, Fact::Hour { team: team.clone(), hour })),
        None => {
            state.facts.hours.remove(team);
            effects.push(Effect::Save(Save::Forget(hour_key(team))));
        }
    }
    let digest = Digest::Standup(team.clone());
    if let Some(told) = state.facts.told.get(&digest).cloned() {
        effects.push(fact(state, Fact::Told { digest, told: Told { slot: told.slot.max(now), ..told } }));
    }
    Ok(effects)
}

/// When stand-ups come, a line for each team.
pub(crate) fn hours(state: &FleetState, team: Option<&InstanceName>) -> String {
    let (configured, zone) = (state.rules.distil.digests.standup, &state.rules.distil.zone);
    let fleet = zone.iana_name().unwrap_or("UTC");
    let line = |team: &InstanceName| match state.facts.hours.get(team) {
        None if configured.is_never() => say!("standup-never", team = team),
        None => say!("standup-usual", team = team, hour = configured, zone = fleet),
        Some(hour) => match hour.when() {
            When::At(at) => {
                let zone = at.zone.as_deref().map_or_else(|| format!(" {fleet}"), |_| String::new());
                say!("standup-at", team = team, hour = at, zone = zone)
            }
            When::Off | When::Default => say!("standup-off", team = team),
        },
    };
    let teams = state.rules.teams.iter().filter(|name| team.is_none_or(|team| team == *name));
    let lines: Vec<String> = teams.map(line).collect();
    match (lines.is_empty(), team) {
        (false, _) => text::cut(&lines),
        (true, Some(team)) => near::no_team(&state.rules.teams, team),
        (true, None) => say!("no-team"),
    }
}

/// A clock that is put back makes nothing due a second time.
fn is_due(state: &FleetState, digest: &Digest, slot: Timestamp) -> bool {
    state.facts.told.get(digest).is_none_or(|told| told.slot < slot)
}

fn post(route: Route, digest: &Digest, slot: Timestamp, text: String, quiet: bool) -> Option<Effect> {
    if route.form == Form::Nothing || quiet {
        return None;
    }
    let key = match digest {
        Digest::Standup(team) => format!("digest:standup:{team}:{}", slot.as_second()),
        Digest::Weekly => format!("digest:weekly:{}", slot.as_second()),
    };
    let put = desk::put(route.channel, MessageKey(key), text);
    Some(match digest {
        Digest::Standup(team) => put.about(About::team(team)),
        Digest::Weekly => put,
    })
}

fn told(state: &mut FleetState, digest: Digest, slot: Timestamp, now: Timestamp) -> Effect {
    let team = match &digest {
        Digest::Standup(team) => Some(team),
        Digest::Weekly => None,
    };
    let told = Told { slot, until: now, spent: cost_today(state, team, now), lines: Vec::new() };
    fact(state, Fact::Told { digest, told })
}

/// A line for the next stand-up of a team, or for the next week of the fleet.
pub(crate) fn line(
    state: &mut FleetState,
    team: Option<&InstanceName>,
    line: String,
    now: Timestamp,
) -> Effect {
    let digest = team.map_or(Digest::Weekly, |team| Digest::Standup(team.clone()));
    let known = state.facts.told.get(&digest).cloned();
    let mut told = known.unwrap_or_else(|| Told {
        slot: now,
        until: now,
        spent: cost_today(state, team, now),
        lines: Vec::new(),
    });
    // The same cause again is the same line; the oldest go first.
    told.lines.retain(|known| *known != line);
    told.lines.push(line);
    let over = told.lines.len().saturating_sub(LINES);
    told.lines.drain(..over);
    fact(state, Fact::Told { digest, told })
}

/// The week of the fleet, so far.
pub(crate) fn weekly(state: &FleetState, now: Timestamp) -> String {
    let told = state.facts.told.get(&Digest::Weekly);
    let since = told.map_or_else(|| now.saturating_sub(DAY * 7).unwrap_or(now), |told| told.until);
    let mut merged = Vec::new();
    let mut blocked = Vec::new();
    for team in &state.rules.teams {
        let mut count = 0;
        for (feature, noted) in state.facts.of(team) {
            let Some(report) = state.features.get(&(team.clone(), feature.clone())) else { continue };
            match (report.stage, noted.blocked) {
                (Stage::Done, _) => count += usize::from(noted.ended.is_some_and(|ended| ended >= since)),
                (Stage::Cancelled, _) | (_, None) => {}
                (_, Some(at)) => blocked.push((feature.clone(), report.sentence.clone(), at)),
            }
        }
        if count > 0 {
            merged.push((team.clone(), count));
        }
    }
    blocked.sort_by_key(|(_, _, since)| *since);
    text::weekly(
        &text::Week {
            since,
            merged,
            blocked,
            decisions: decisions(approvals(state), since),
            cost: cost(state, None, told, since),
            milestones: milestones(state, None, since),
            risks: risk::risks(state, now),
            lines: told.map_or_else(Vec::new, |told| told.lines.clone()),
        },
        &state.rules.distil.zone,
        now,
    )
}

/// The stand-up of one team, or of all, as it would be made now: for whoever asks.
pub(crate) fn now(state: &FleetState, team: Option<&InstanceName>, now: Timestamp) -> String {
    let teams = state.rules.teams.iter().filter(|name| team.is_none_or(|team| team == *name));
    let risks = risk::risks(state, now);
    let all: Vec<TeamStands> = teams.map(|team| stands(state, team, &risks, now)).collect();
    let busy = |stands: &&TeamStands| team.is_some() || !stands.is_quiet();
    let said: Vec<String> =
        all.iter().filter(busy).map(|stands| text::standup(stands, &state.rules.distil.zone, now)).collect();
    match (said.is_empty(), team) {
        (false, _) => text::cut(&said),
        (true, None) => say!("nothing-happened"),
        (true, Some(team)) => near::no_team(&state.rules.teams, team),
    }
}
