//! Distillation: how many events the core takes, and what a busy day of 100 teams comes to in calls to chat. The day goes
//! through the hub's own transactions, on its own database, on a simulated clock.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    hint::black_box,
    sync::Arc,
    time::Instant,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use qd_approvals::SurfaceKey;
use qd_core::{
    Distil, Event, FleetState, Moment, Rules,
    chat::{Delivered, Given, Proof},
    effect::ForgeCall,
    forge::Brought,
    handle,
};
use qd_engine::{Bundle, KnownPerson, Policies};
use qd_hub::steps::{MIGRATIONS, Steps};
use qd_sqlite::Db;
use qd_types::{ApprovalId, FeatureId, InstanceName, Line, Mark, Merge, Person, Role, Spent, Stage};
use qd_wire::v1::{
    Ack, Alert, Blocked, BoardDigest, Cost, Envelope, FeatureReport, ForgeAct, ForgeRequest, Heartbeat,
    Report,
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{Failure, figures::Figures};

/// Teams, features of each in the day, and changes of each feature that are reported while it runs.
const TEAMS: u32 = 100;
const FEATURES: u32 = 8;
const CHANGES: i64 = 20;
/// Seconds between two beats.
const BEAT: i64 = 30;
/// The day begins at midnight, work at seven; what is begun last begins at seven in the evening.
const DAY: i64 = 24 * 3600;
const MORNING: i64 = 7 * 3600;
const WORK: i64 = 12 * 3600;
/// What a call to chat takes, in seconds.
const CALL: f64 = 0.3;

/// Events of `distill_events_per_s`, in rounds of which the median counts.
const EVENTS: usize = 200_000;
const ROUNDS: usize = 5;

/// Takes the figures.
pub async fn measure(figures: &mut Figures, wanted: &impl Fn(&str) -> bool) -> Result<(), Failure> {
    if wanted("distill_events_per_s") {
        events(figures)?;
    }
    if wanted("discord_calls_per_1000_reports") || wanted("approval_card_delay_s_p99") {
        day(figures).await?;
    }
    Ok(())
}

fn team(number: u32) -> Result<InstanceName, Failure> {
    Ok(format!("team-{number}").parse()?)
}

fn rules() -> Result<Rules, Failure> {
    // One decides, and one writes the features: who asks does not decide.
    let people = vec![
        Person { id: "ines".parse()?, roles: vec![Role::Owner] },
        Person { id: "theo".parse()?, roles: vec![Role::Manager] },
    ];
    let teams: Vec<InstanceName> = (0..TEAMS).map(team).collect::<Result<_, _>>()?;
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let facts = qd_engine::Facts {
        people: people.iter().cloned().map(known).collect(),
        teams: teams.clone(),
        repositories: vec!["sample".parse()?],
        ..qd_engine::Facts::default()
    };
    Ok(Rules {
        teams,
        people,
        renamed: BTreeMap::new(),
        policies: Arc::new(Policies::new(Bundle::embedded()?, &facts, &[])?),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules::default(),
        distil: Distil::new(&Value::Null, TimeZone::UTC)?,
    })
}

/// A feature after so many changes.
pub fn feature(id: &FeatureId, stage: Stage, change: i64) -> FeatureReport {
    let mut line = Line::default();
    let reached = usize::try_from(change * 8 / CHANGES).unwrap_or(0);
    for mark in line.0.iter_mut().take(reached) {
        *mark = Mark::Done;
    }
    let sentence = match stage {
        Stage::Ready => "Waits for a free slot.".to_owned(),
        Stage::Running => format!("The agent works on step {change} of its plan."),
        Stage::Review => "Asks to merge 4444444 into main. 1 more owner or reviewer.".to_owned(),
        _ => "Merged as 4f2a91c after 41 min. 12 files, +214 −380. Approved by an owner.".to_owned(),
    };
    FeatureReport {
        feature: id.clone(),
        title: "Split the importer from the API".to_owned(),
        stage,
        line,
        sentence,
        agent: (stage != Stage::Ready).then(|| "claude".to_owned()),
        pull_request: (stage == Stage::Review || stage == Stage::Done).then_some(7),
        merged: None,
        seconds: Some(change.unsigned_abs() * 60),
        needs_person: false,
        spent: Some(spent(change.unsigned_abs())),
        repository: None,
        issue: None,
        run: None,
        question: None,
    }
}

pub fn spent(calls: u64) -> Spent {
    Spent { calls, tokens: calls * 9_000, micro_dollars: calls * 90_000, ..Spent::default() }
}

/// `distill_events_per_s`: each event changes a feature, which is the most that a report of a living state does.
fn events(figures: &mut Figures) -> Result<(), Failure> {
    let names: Vec<InstanceName> = (0..TEAMS).map(team).collect::<Result<_, _>>()?;
    let ids: Vec<FeatureId> =
        (1..=FEATURES).map(|number| Ok(format!("A-{number}").parse()?)).collect::<Result<_, Failure>>()?;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let mut state = FleetState::new(rules()?);
        let mut happened = Vec::with_capacity(EVENTS);
        let mut change = 0;
        while happened.len() < EVENTS {
            change += 1;
            for instance in &names {
                for id in &ids {
                    let report = Box::new(Report::Feature(feature(id, Stage::Running, change % CHANGES)));
                    happened.push(Event::Report { instance: instance.clone(), report });
                }
            }
        }
        let (count, mut at) = (happened.len(), Timestamp::from_second(1_780_000_000)?);
        let begun = Instant::now();
        for event in happened {
            at += SignedDuration::from_millis(1);
            black_box(handle(&mut state, event, Moment { at, fresh: ulid::Ulid::nil() }));
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of events")]
        rates.push(count as f64 / begun.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let median = *rates.get(ROUNDS / 2).ok_or("no rounds")?;
    figures.add("distill_events_per_s", median, "per s", EVENTS, "changes of features; at least 200,000");
    Ok(())
}

/// What happens in the day, by the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Tick,
    Beat(u32),
    Change { team: u32, feature: u32, change: i64 },
    Blocked { team: u32, feature: u32, over: bool },
    Ask { team: u32, feature: u32 },
    Decide { team: u32, feature: u32 },
    Merge { team: u32, feature: u32 },
    Done { team: u32, feature: u32 },
}

/// Chance, the same each time.
struct Chance(u64);

impl Chance {
    /// From 0 to below `end`.
    fn below(&mut self, end: i64) -> i64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % end.unsigned_abs().max(1)).unwrap_or(0)
    }
}

fn plan() -> BinaryHeap<Reverse<(i64, Happens)>> {
    let mut all = BinaryHeap::new();
    let mut chance = Chance(7);
    for at in (0..DAY).step_by(20) {
        all.push(Reverse((at, Happens::Tick)));
    }
    for team in 0..TEAMS {
        let offset = chance.below(BEAT);
        for at in (offset..DAY).step_by(usize::try_from(BEAT).unwrap_or(1)) {
            all.push(Reverse((at, Happens::Beat(team))));
        }
        for feature in 1..=FEATURES {
            let begin = MORNING + chance.below(WORK);
            let lasts = 20 * 60 + chance.below(40 * 60);
            let mut end = begin + lasts;
            for change in 0..CHANGES {
                let at = begin + change * lasts / CHANGES;
                all.push(Reverse((at, Happens::Change { team, feature, change })));
            }
            // Every tenth stands still for a while until a person does something.
            if chance.below(10) == 0 {
                all.push(Reverse((end, Happens::Blocked { team, feature, over: false })));
                end += 300 + chance.below(3600);
                all.push(Reverse((end, Happens::Blocked { team, feature, over: true })));
            }
            all.push(Reverse((end + 30, Happens::Ask { team, feature })));
            let decided = end + 150 + chance.below(40 * 60);
            all.push(Reverse((decided, Happens::Decide { team, feature })));
            all.push(Reverse((decided + 60, Happens::Merge { team, feature })));
            all.push(Reverse((decided + 90, Happens::Done { team, feature })));
        }
    }
    all
}

/// What the day came to.
#[derive(Default)]
struct Day {
    reports: u64,
    beats: u64,
    calls: u64,
    delays: Vec<f64>,
    /// Since when a merge is asked for, until its card is shown.
    asked: BTreeMap<FeatureId, Timestamp>,
    /// The card of each merge that is shown.
    shown: BTreeMap<FeatureId, ApprovalId>,
    merged: u32,
}

/// `discord_calls_per_1000_reports` and `approval_card_delay_s_p99`.
async fn day(figures: &mut Figures) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let db = Db::open(&folder.path().join("bot.db"), MIGRATIONS)?;
    let rules = rules()?;
    let done =
        db.write(move |c| Ok::<_, qd_sqlite::DbError>(live(c, rules).map_err(|error| error.to_string())));
    let Day { reports, beats, calls, mut delays, asked, merged, .. } = done.await??;
    if !asked.is_empty() {
        return Err(format!("{} cards were never shown", asked.len()).into());
    }
    if merged != TEAMS * FEATURES {
        return Err(format!("{merged} features were merged of {}", TEAMS * FEATURES).into());
    }
    delays.sort_by(f64::total_cmp);
    let p99 = *delays.get(delays.len() * 99 / 100).ok_or("no cards")?;
    #[allow(clippy::cast_precision_loss, reason = "counts of a day")]
    let rate = calls as f64 * 1000.0 / reports as f64;
    let note = format!("{TEAMS} teams, {reports} reports, {beats} of them beats, {calls} calls; at most 40");
    figures.add("discord_calls_per_1000_reports", rate, "calls", usize::try_from(reports)?, note);
    figures.add("approval_card_delay_s_p99", p99, "s", delays.len(), "simulated clock; at most 2");
    Ok(())
}

/// Lives through the day in one transaction, which is thrown away with its database.
fn live(c: &Connection, rules: Rules) -> Result<Day, Failure> {
    let midnight: Timestamp = "2026-11-23T00:00:00Z".parse()?;
    let fresh = std::cell::Cell::new(0_u128);
    let fresh = Box::new(move |at: Timestamp| {
        fresh.set(fresh.get() + 1);
        ulid::Ulid::from_parts(at.as_millisecond().unsigned_abs(), fresh.get())
    });
    let mut steps = Steps::start(c, rules, SurfaceKey::new(&[7; 32]), &[], fresh, midnight)?;
    let ines = Person { id: "ines".parse()?, roles: vec![Role::Owner] };
    let (mut day, mut numbers) = (Day::default(), BTreeMap::<u32, u64>::new());
    let mut clock = 0;
    let mut due = plan();
    while let Some(Reverse((second, happens))) = due.pop() {
        // Each second until then, chat is given what it can take.
        while clock < second {
            say(c, &mut steps, at(midnight, clock)?, &mut day)?;
            clock += 1;
        }
        let now = at(midnight, second)?;
        let (number, reports) = match happens {
            Happens::Tick => {
                steps.tick(c, now)?;
                continue;
            }
            Happens::Decide { team, feature } => {
                let given = Given::on_console(Proof::SignedIn);
                steps.command(c, ines.clone(), given, format!("approve {}", id(team, feature)?), now)?;
                say(c, &mut steps, now, &mut day)?;
                continue;
            }
            Happens::Beat(team) => {
                day.beats += 1;
                (team, vec![beat(now)])
            }
            Happens::Merge { team, feature } => {
                let id = id(team, feature)?;
                let approval = day.shown.get(&id).ok_or_else(|| format!("{id} has no card"))?.clone();
                (team, vec![merge(team, feature, Some(approval))?])
            }
            other => reported(other, now)?,
        };
        for report in reports {
            if let Report::ForgeRequest(ForgeRequest { act: ForgeAct::AskMerge { .. }, feature, .. }) =
                &report
            {
                day.asked.insert(feature.clone(), now);
            }
            let seq = numbers.entry(number).or_default();
            *seq += 1;
            day.reports += 1;
            let envelope = Envelope { epoch: 1, seq: *seq, at: now, body: report };
            let ack = steps.receive(c, &team(number)?, vec![envelope], now)?;
            if ack != (Ack { epoch: 1, seq: *seq }) {
                return Err(format!("team {number} is not acknowledged").into());
            }
        }
        act(c, &mut steps, now, &mut day)?;
        say(c, &mut steps, now, &mut day)?;
    }
    Ok(day)
}

fn at(midnight: Timestamp, second: i64) -> Result<Timestamp, Failure> {
    Ok(midnight.checked_add(SignedDuration::from_secs(second))?)
}

/// Chat is given what it can take now.
fn say(c: &Connection, steps: &mut Steps, now: Timestamp, day: &mut Day) -> Result<(), Failure> {
    while let Some(due) = steps.message_now(c, now)? {
        day.calls += 1;
        let message = due.message();
        // The first time that a card is shown is what people wait for.
        if let Some(approval) = message.key.approval()
            && let Some(feature) = message.about.as_ref().and_then(|about| about.feature.as_ref())
            && let Some(since) = day.asked.remove(feature)
        {
            day.delays.push(now.duration_since(since).as_secs_f64() + CALL);
            day.shown.insert(feature.clone(), approval);
        }
        steps.delivered(c, &due, &Delivered { id: message.key.0.clone(), at: now }, now)?;
    }
    Ok(())
}

/// The forge does all that it is asked, at once.
fn act(c: &Connection, steps: &mut Steps, now: Timestamp, day: &mut Day) -> Result<(), Failure> {
    while let Some(act) = steps.begin_act(c)? {
        match &act.call {
            call if call.is_living() => steps.shown(c, &act, now)?,
            ForgeCall::Rebuild { approval, .. } => {
                let (approval, result) = (approval.clone(), Ok(brought()));
                steps.acted(c, act.id, Event::Rebuilt { approval, result }, now)?;
            }
            ForgeCall::Merge { approval, rebuilt, order, .. } => {
                steps.did_not(c, approval, now)?;
                steps.authorise(c, approval, rebuilt, &act.key, now)??;
                let (approval, result) = (approval.clone(), Ok(order.head.clone()));
                steps.acted(c, act.id, Event::Merged { approval, result }, now)?;
                day.merged += 1;
            }
            other => return Err(format!("nobody asked the forge for {other:?}").into()),
        }
    }
    Ok(())
}

/// What each feature changes.
fn brought() -> Brought {
    Brought { diff: "d".repeat(64), paths: vec!["src/lib.rs".to_owned()] }
}

/// A team asks whether it may merge, or has the approval for it.
fn merge(team: u32, feature: u32, approval: Option<ApprovalId>) -> Result<Report, Failure> {
    let (id, Brought { diff, paths }) = (id(team, feature)?, brought());
    let (number, run) = (team * 100 + feature, format!("{id}.1").parse()?);
    let head = format!("{number:040x}").parse()?;
    let (repository, target) = ("sample".parse()?, "main".to_owned());
    let merge = Merge { repository, pull_request: number.into(), target, head, diff, paths: Some(paths) };
    let (request, act) = match approval {
        None => {
            let (words, facts) = (Some("Splits it.".to_owned()), "12 files, +214 −380.".to_owned());
            (
                "ask",
                ForgeAct::AskMerge {
                    merge,
                    requesters: vec!["theo".parse()?],
                    words,
                    facts,
                    findings: Vec::new(),
                },
            )
        }
        Some(approval) => {
            let (tested, base) = (format!("{:040x}", number + 1_000_000).parse()?, "0".repeat(40).parse()?);
            ("merge", ForgeAct::Merge { approval, merge, tested, base, checks: Vec::new() })
        }
    };
    Ok(Report::ForgeRequest(ForgeRequest { id: format!("{id}.1/{request}"), feature: id, run, act }))
}

/// Each team has a prefix of its own, in letters.
fn id(team: u32, feature: u32) -> Result<FeatureId, Failure> {
    let letter = |number: u32| char::from_u32(u32::from(b'A') + number % 26).unwrap_or('A');
    Ok(format!("{}{}-{feature}", letter(team / 26), letter(team)).parse()?)
}

pub fn beat(at: Timestamp) -> Report {
    let beat_seconds = u32::try_from(BEAT).unwrap_or(30);
    Report::Heartbeat(Box::new(Heartbeat { at, beat_seconds, runs: 2, board: BoardDigest::default() }))
}

/// The reports of something that happened on a team's board.
fn reported(happens: Happens, now: Timestamp) -> Result<(u32, Vec<Report>), Failure> {
    let cost = |calls: u64| {
        let day = now.to_zoned(TimeZone::UTC).date();
        Report::Cost(Cost { day, spent: spent(calls) })
    };
    Ok(match happens {
        Happens::Tick | Happens::Beat(_) | Happens::Decide { .. } | Happens::Merge { .. } => {
            return Err("it is no report".into());
        }
        Happens::Change { team, feature, change: 0 } => {
            let id = id(team, feature)?;
            let reports =
                [Stage::Ready, Stage::Running].map(|stage| Report::Feature(self::feature(&id, stage, 0)));
            (team, reports.to_vec())
        }
        Happens::Change { team, feature, change } => {
            let report = self::feature(&id(team, feature)?, Stage::Running, change);
            (team, vec![Report::Feature(report), cost(u64::from(feature) * 20 + change.unsigned_abs())])
        }
        Happens::Blocked { team, feature, over } => {
            let id = id(team, feature)?;
            let mut report = self::feature(&id, Stage::Running, CHANGES);
            report.needs_person = !over;
            let text = format!("{id} Split the importer: checks red after 3 rounds. Needs a person.");
            let why = (!over).then(|| "Checks red after 3 rounds.".into());
            let alert = Alert { key: format!("held:{id}"), text, over };
            let blocked = Blocked { feature: id, run: None, why, since: now };
            (team, vec![Report::Feature(report), Report::Alert(alert), Report::Blocked(blocked)])
        }
        Happens::Ask { team, feature } => {
            let report = self::feature(&id(team, feature)?, Stage::Review, CHANGES);
            (team, vec![Report::Feature(report), merge(team, feature, None)?])
        }
        Happens::Done { team, feature } => {
            let report = self::feature(&id(team, feature)?, Stage::Done, CHANGES);
            (team, vec![Report::Feature(report), cost(u64::from(feature) * 20 + 20)])
        }
    })
}
