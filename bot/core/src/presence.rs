//! Who is heard. A team beats every few seconds; that three beats are missed is one word, that ten are is another, and neither says
//! what the team does meanwhile: what can't be reached is unknown, not idle. Time alone makes it worse, hearing alone makes it
//! better.

use jiff::{SignedDuration, Timestamp};
use qd_types::InstanceName;
use qd_wire::v1::{Alert, BoardDigest, Heartbeat, Hello, Presence, TeamStatus};
use serde::{Deserialize, Serialize};

use crate::{
    distil::features::stale,
    effect::{Effect, Save},
    event::Moment,
    handle::alert,
    state::FleetState,
    text,
};

/// Beats that are missed before a team is late, and before it is silent.
const LATE: i64 = 3;
const SILENT: i64 = 10;
/// A bot that did not look for so long was not there itself: what it did not hear meanwhile was not missed.
const AWAY: SignedDuration = SignedDuration::from_secs(30);
/// The cause of the alert of a silent team.
const CAUSE: &str = "silent";

/// What is known of a team that was heard once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whether it is heard, as it was found last.
    pub word: Presence,
    /// When it was heard last.
    pub last: Timestamp,
    /// Seconds between two beats, as it says; at least 1.
    pub beat_seconds: u32,
    /// Runs under way, as of its last beat.
    pub runs: u32,
    /// Its board in numbers, as of its last beat.
    pub board: BoardDigest,
    /// Its program's version, as of its last hello.
    pub version: String,
    /// The kinds of orders that it takes, as of its last hello.
    pub takes: Vec<String>,
}

impl Seen {
    fn new(now: Timestamp) -> Self {
        Self {
            word: Presence::Heard,
            last: now,
            beat_seconds: 15,
            runs: 0,
            board: BoardDigest::default(),
            version: String::new(),
            takes: Vec::new(),
        }
    }

    /// Whether it is heard now. `since` is from when on somebody listened.
    pub fn look(&self, since: Timestamp, now: Timestamp) -> Presence {
        let quiet = now.duration_since(self.last.max(since)).as_secs();
        let by_time = match quiet / i64::from(self.beat_seconds.max(1)) {
            SILENT.. => Presence::Silent,
            LATE.. => Presence::Late,
            _ => Presence::Heard,
        };
        self.word.max(by_time)
    }
}

/// How a team is heard now.
pub fn of(state: &FleetState, team: &InstanceName, now: Timestamp) -> Presence {
    state.presence.get(team).map_or(Presence::Never, |seen| seen.look(state.listens.since, now))
}

/// Since when the bot listens, and when it looked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listens {
    /// It heard everything that came since.
    pub since: Timestamp,
    /// It was there then.
    pub looked: Timestamp,
}

impl Listens {
    /// From now on.
    pub fn from(now: Timestamp) -> Self {
        Self { since: now, looked: now }
    }
}

/// A team was heard: it said something.
pub(crate) fn heard(state: &mut FleetState, team: &InstanceName, moment: Moment) -> Vec<Effect> {
    let was = match state.presence.get_mut(team) {
        Some(seen) => {
            seen.last = moment.at;
            std::mem::replace(&mut seen.word, Presence::Heard)
        }
        None if state.rules.teams.contains(team) => {
            state.presence.insert(team.clone(), Seen::new(moment.at));
            Presence::Never
        }
        None => return Vec::new(),
    };
    if was == Presence::Heard {
        return Vec::new();
    }
    let mut effects = kept(state, team);
    stale(state, team);
    if was == Presence::Silent {
        let over = Alert { key: CAUSE.to_owned(), text: String::new(), over: true };
        effects.extend(alert(state, team, over, moment));
    }
    effects
}

/// A beat.
pub(crate) fn beat(state: &mut FleetState, team: &InstanceName, beat: Heartbeat) -> Vec<Effect> {
    let Some(seen) = state.presence.get_mut(team) else { return Vec::new() };
    let Heartbeat { beat_seconds, runs, board, .. } = beat;
    seen.beat_seconds = beat_seconds.max(1);
    let changed = seen.runs != runs || seen.board != board;
    (seen.runs, seen.board) = (runs, board);
    if changed {
        stale(state, team);
    }
    kept(state, team)
}

/// What a team says of itself when it starts.
pub(crate) fn hello(state: &mut FleetState, team: &InstanceName, hello: Hello) -> Vec<Effect> {
    let Some(seen) = state.presence.get_mut(team) else { return Vec::new() };
    let Hello { version, takes, beat_seconds, .. } = hello;
    (seen.version, seen.takes, seen.beat_seconds) = (version, takes, beat_seconds.max(1));
    kept(state, team)
}

/// Whether a look would find another word for somebody.
pub fn due(state: &FleetState, now: Timestamp) -> bool {
    let away = now.duration_since(state.listens.looked) > AWAY;
    !away && state.presence.values().any(|seen| seen.look(state.listens.since, now) != seen.word)
}

/// The bot is there and looks; to be called every few seconds.
pub fn looked(state: &mut FleetState, now: Timestamp) {
    if now.duration_since(state.listens.looked) > AWAY {
        state.listens.since = now;
    }
    state.listens.looked = state.listens.looked.max(now);
}

/// Finds the word for everybody, and tells of who fell silent.
pub(crate) fn look(state: &mut FleetState, moment: Moment) -> Vec<Effect> {
    looked(state, moment.at);
    let since = state.listens.since;
    let found = |seen: &Seen| Some(seen.look(since, moment.at)).filter(|word| *word != seen.word);
    let changed: Vec<(InstanceName, Presence)> = state
        .presence
        .iter()
        .filter(|(team, _)| state.rules.teams.contains(team))
        .filter_map(|(team, seen)| found(seen).map(|word| (team.clone(), word)))
        .collect();
    let mut effects = Vec::new();
    for (team, word) in changed {
        if let Some(seen) = state.presence.get_mut(&team) {
            seen.word = word;
        }
        effects.extend(kept(state, &team));
        stale(state, &team);
        if word == Presence::Silent {
            let text = text::presence::silent(state, &team, text::presence::Clock::of(state), moment.at)
                .unwrap_or_default();
            effects.extend(alert(state, &team, Alert { key: CAUSE.to_owned(), text, over: false }, moment));
        }
    }
    effects
}

fn kept(state: &FleetState, team: &InstanceName) -> Vec<Effect> {
    let seen = state.presence.get(team);
    seen.map(|seen| Effect::Save(Save::Presence(team.clone(), Box::new(seen.clone())))).into_iter().collect()
}

/// All teams, in the order of the configuration.
pub fn status(state: &FleetState, now: Timestamp) -> Vec<TeamStatus> {
    let status = |team: &InstanceName| {
        let seen = state.presence.get(team);
        TeamStatus {
            team: team.clone(),
            presence: of(state, team, now),
            last: seen.map(|seen| seen.last),
            runs: seen.map_or(0, |seen| seen.runs),
            held: seen.map_or(0, |seen| seen.board.held),
            asks: u32::try_from(asks(state, team)).unwrap_or(u32::MAX),
            sentence: text::presence::sentence(state, team, text::presence::Clock::of(state), now).into(),
        }
    };
    state.rules.teams.iter().map(status).collect()
}

/// Open approvals of a team, wherever they are kept.
pub(crate) fn asks(state: &FleetState, team: &InstanceName) -> usize {
    let open =
        |approval: &&qd_types::Approval| approval.subject.instance == *team && approval.state.is_open();
    crate::distil::digest::approvals(state).filter(open).count()
}
