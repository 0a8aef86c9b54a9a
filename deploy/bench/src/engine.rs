//! The team engine: the scheduler's choice, the train's own time, and what a long life leaves in memory.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{Timestamp, civil::date};
use qd_api::{ApprovalView, CastVote, Client, FeatureView, RunView};
use qd_board::{
    Feature, NewFeature, Rules, Wanted,
    schedule::{self, Candidate, Limits, Open, Surroundings},
};
use qd_types::{Ballot, Stage, Step};

use crate::{Failure, figures::Figures, site::Site};

/// Ready features that the scheduler looks at.
const READY: u32 = 1000;
/// Features that are merged for the train's figure.
const MERGES: usize = 20;
/// Finished runs for the memory figure.
const RUNS: usize = 1000;
/// Features for the memory figure.
const FEATURES: usize = 10_000;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(420);

/// A one-person fleet whose agent is a shell command.
pub fn config(agent: &str, slots: u32, check: &str) -> String {
    let check = if check.is_empty() {
        String::new()
    } else {
        format!("[[repositories.checks]]\nname = \"check\"\ncommand = '''{check}'''\n")
    };
    format!(
        "[fleet]\nsolo = true\n\n[[people]]\nname = \"bench\"\nroles = [\"owner\", \"manager\"]\n\n\
         [[teams]]\nname = \"alpha\"\nagent = \"shell\"\nslots = {slots}\n\n\
         [agents.shell]\ncommand = [\"sh\", \"-c\", '''{agent}''']\n\n\
         [[repositories]]\nname = \"project\"\npath = \".\"\n{check}"
    )
}

/// Those of the engine's figures that are wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if wanted("schedule_decision_ms_1000") {
        decisions(figures)?;
    }
    if wanted("merge_train_overhead_ms") {
        train(binary, figures).await?;
    }
    if wanted("rss_mib_10000_features_1000_runs") {
        memory(binary, figures).await?;
    }
    Ok(())
}

/// The whole board with dependencies, paths and limits, decided again and again.
fn decisions(figures: &mut Figures) -> Result<(), Failure> {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse()?;
    let mut candidates = Vec::new();
    for number in 1..=READY {
        let path = format!("src/module{}/file{}.rs", number % 40, number % 7);
        let wanted = Wanted {
            title: format!("Feature {number}"),
            priority: u8::try_from(number % 5)?,
            paths: vec![path],
            ..Wanted::default()
        };
        let feature = Feature {
            id: format!("A-{number}").parse()?,
            repository: "project".parse()?,
            wanted,
            touched: Vec::new(),
            stage: Stage::Ready,
            held: None,
            paused: None,
            not_before: None,
            rung: 0,
            author: "bench".parse()?,
            editors: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let unmet = if number % 3 == 0 { vec![format!("A-{}", number - 1).parse()?] } else { Vec::new() };
        candidates.push(Candidate {
            feature,
            unmet,
            unblocks: number % 9,
            paused_epic: None,
            minutes_spent: 0,
        });
    }
    let open: Vec<Open> = (0..8)
        .map(|number| {
            Ok(Open {
                id: format!("A-{}", 2000 + number).parse()?,
                repository: "project".parse()?,
                agent: "shell".into(),
                project: None,
                paths: vec![format!("src/module{number}/**")],
                running: number < 4,
            })
        })
        .collect::<Result<_, Failure>>()?;
    let rules = Rules::new(Vec::new(), Vec::new(), Some("shell".into()))?;
    let limits = Limits { slots: 8, per_agent: BTreeMap::from([("shell".into(), 8)]), ..Limits::default() };
    let broken = BTreeMap::new();
    let (called, projects) = (["alpha".parse()?], BTreeMap::new());
    let around = Surroundings {
        now,
        today: date(2026, 11, 21),
        called: &called,
        projects: &projects,
        refuses: None,
        paused: None,
        quiet_until: None,
        broken: &broken,
        open: &open,
        rules: &rules,
        limits: &limits,
    };
    let mut taken: Vec<f64> = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let said = schedule::decide(&candidates, &around);
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
        if said.len() != candidates.len() {
            return Err("a candidate has no verdict".into());
        }
    }
    figures.add("schedule_decision_ms_1000", median(&mut taken)?, "ms", taken.len(), "at most 2");
    Ok(())
}

/// Merges that have to be built, without checks: what the train itself takes.
async fn train(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let agent = "cat > /dev/null; echo $QUARTERDECK_FEATURE > $QUARTERDECK_FEATURE.txt";
    let site = Site::with(&config(agent, 8, ""), &[("README.md", "x\n")])?;
    let running = site.start(binary, &["up"]).await?;
    let mut client = running.client()?;
    for number in 0..MERGES {
        let new = NewFeature { ready: true, ..NewFeature::titled(format!("Merge {number}")) };
        let _: FeatureView = client.post("features", &new).await?;
    }
    let begun = Instant::now();
    // All are in review before the first is merged: every merge but one has another base than its branch.
    while client.get::<Vec<FeatureView>>("features?stage=review").await?.len() < MERGES {
        patience(begun)?;
    }
    while client.get::<Vec<FeatureView>>("features?stage=done").await?.len() < MERGES {
        patience(begun)?;
        approve_all(&mut client).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done: Vec<FeatureView> = client.get("features?stage=done").await?;
    let mut taken = Vec::new();
    let mut first = Timestamp::MAX;
    let mut last = Timestamp::MIN;
    for view in done {
        let id = view.run.ok_or("a merged feature has no run")?.id;
        let run: RunView = client.get(&format!("runs/{id}")).await?;
        let merge = run.steps.iter().find(|step| step.step == Step::Merge).and_then(|step| step.millis);
        taken.push(merge.ok_or("a merge has no time")? as f64);
        let history: Vec<qd_api::EventView> =
            client.get(&format!("features/{}/history", view.feature.id)).await?;
        let merged = history.iter().find(|event| event.text == "Merged.").ok_or("no merge in the history")?;
        first = first.min(merged.at);
        last = last.max(merged.at);
    }
    // They queue for one train: the time from the first merge to the last, by the merges in between.
    let span = (last.as_millisecond() - first.as_millisecond()) as f64;
    let each = span / (taken.len() - 1) as f64;
    figures.add(
        "merge_train_overhead_ms",
        each,
        "ms",
        taken.len(),
        "per merge without checks, one after the other",
    );
    Ok(())
}

async fn memory(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let site = Site::with(&config("cat > /dev/null", 8, ""), &[("README.md", "x\n")])?;
    let running = site.start(binary, &["up"]).await?;
    let mut client = running.client()?;
    for number in 0..FEATURES {
        let new = NewFeature { ready: number < RUNS, ..NewFeature::titled(format!("Feature {number}")) };
        let _: FeatureView = client.post("features", &new).await?;
    }
    let begun = Instant::now();
    loop {
        patience(begun)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ready: Vec<FeatureView> = client.get("features?stage=ready").await?;
        let over =
            ready.iter().filter(|view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).count();
        if over >= RUNS {
            break;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rss = running.rss_mib()?;
    figures.add("rss_mib_10000_features_1000_runs", rss, "MiB", 1, "bot and team in one process; at most 60");
    Ok(())
}

/// Approves whatever is open.
pub async fn approve_all(client: &mut Client) -> Result<(), Failure> {
    let inbox: Vec<ApprovalView> = client.get("approvals").await?;
    for view in inbox.into_iter().filter(|view| view.approval.state.is_open() && !view.deciding) {
        let cast = CastVote::new(Ballot::Approve, &view.approval.digest, None);
        let path = format!("approvals/{}/vote", view.approval.id.key());
        // Somebody else's word, or a run that ended meanwhile: the next look sees it.
        drop(client.post::<_, ApprovalView>(&path, &cast).await);
    }
    Ok(())
}

fn patience(begun: Instant) -> Result<(), Failure> {
    if begun.elapsed() > PATIENCE { Err("it takes too long".into()) } else { Ok(()) }
}

fn median(taken: &mut [f64]) -> Result<f64, Failure> {
    taken.sort_by(f64::total_cmp);
    Ok(*taken.get(taken.len() / 2).ok_or("no samples")?)
}
