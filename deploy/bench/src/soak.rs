//! The soak: two hundred features with dependencies, conflicts and failures, eight at a time, and the process killed every
//! five seconds. At its end every feature is merged or waits for a person for a true reason, main was green at every
//! commit and holds exactly what was merged, and nothing is left of the runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use qd_api::{Client, FeatureView};
use qd_board::{Dependency, NewFeature, Waits, Wanted};
use qd_types::Stage;

use crate::{
    Failure,
    engine::{approve_all, config},
    figures::Figures,
    site::{Running, Site},
};

const FEATURES: u32 = 200;
const KILL: Duration = Duration::from_secs(5);
/// The longest that the soak may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Files that the features write to.
const PARTS: u32 = 12;
/// Every so many features, one finds nothing to do.
const IDLE: u32 = 17;

/// Writes its own line into one of twelve files, so that neighbours conflict; every thirteenth is red at first, every
/// seventeenth does nothing at all. What comes back with a conflict keeps both sides. It may be killed at any moment and
/// is then asked again in the same folder, so it looks at what is there.
const AGENT: &str = r#"
p=$(cat); n=${QUARTERDECK_FEATURE#A-}; f=part$((n % 12)).txt
if [ $((n % 17)) = 0 ]; then exit 0; fi
for c in $(grep -l '^<<<<<<<' part*.txt 2>/dev/null); do sed -i '/^<<<<<<< /d; /^=======$/d; /^>>>>>>> /d' $c; done
case "$p" in
  *'Back to you'*) ;;
  *'Failing check'*) sed -i '/^RED/d' $f;;
  *) grep -qx $QUARTERDECK_FEATURE $f || echo $QUARTERDECK_FEATURE >> $f
     if [ $((n % 13)) = 0 ]; then grep -qx RED $f || echo RED >> $f; fi;;
esac
"#;

/// Red where a marker, a red line or a line that is there twice is found.
const CHECK: &str = "for f in part*.txt; do if grep -q '^<<<<<<<\\|^RED' $f; then exit 1; fi; \
                     if [ -n \"$(sort $f | uniq -d)\" ]; then exit 1; fi; done";

/// What a feature waits for: every third for one or two earlier ones, by chance that is the same every time. Some of them
/// never come to their end, and then neither does it.
fn dependencies() -> Result<BTreeMap<u32, Vec<u32>>, Failure> {
    let mut random = 0x5EED_u64;
    let mut below = |most: u32| -> Result<u32, Failure> {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(u32::try_from(random >> 33)? % most)
    };
    let mut all = BTreeMap::new();
    for number in (3..=FEATURES).step_by(3) {
        let needs: BTreeSet<u32> = [below(number - 1)? + 1, below(number - 1)? + 1]
            .into_iter()
            .take(1 + below(2)? as usize)
            .collect();
        all.insert(number, needs.into_iter().collect());
    }
    Ok(all)
}

/// Runs it.
pub async fn soak(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let parts: Vec<(String, &str)> = (0..PARTS).map(|part| (format!("part{part}.txt"), "start\n")).collect();
    let files: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let site = Site::with(&config(AGENT, 8, CHECK), &files)?;
    let mut running = site.start(binary, &["up"]).await?;
    let mut client = running.client()?;
    let needs = dependencies()?;
    for number in 1..=FEATURES {
        let depends_on = needs
            .get(&number)
            .into_iter()
            .flatten()
            .map(|earlier| Ok(Dependency::done(format!("A-{earlier}").parse()?)))
            .collect::<Result<_, Failure>>()?;
        let wanted = Wanted { title: format!("Soak {number}"), depends_on, ..Wanted::default() };
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        let _: FeatureView = client.post("features", &new).await?;
    }
    let (begun, mut killed, mut kills) = (Instant::now(), Instant::now(), 0_u32);
    let all = loop {
        if begun.elapsed() > PATIENCE {
            return Err(format!("not over after {PATIENCE:?}: {}", rest(&mut client).await).into());
        }
        if killed.elapsed() > KILL {
            drop(running);
            kills += 1;
            running = site.start(binary, &["up"]).await?;
            client = running.client()?;
            killed = Instant::now();
        }
        approve_all(&mut client).await?;
        let all: Vec<FeatureView> = client.get("features").await?;
        if all.len() == FEATURES as usize && open(&all).is_empty() {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let took = begun.elapsed();
    let done: Vec<u32> = all
        .iter()
        .filter(|view| view.feature.stage == Stage::Done)
        .map(|view| view.feature.id.number())
        .collect();
    main_is_whole(&site, &running, &done)?;
    nothing_left(&site)?;
    let held = all.iter().filter(|view| view.feature.held.is_some());
    let (idle, still): (Vec<_>, Vec<_>) = held.partition(|view| view.feature.id.number() % IDLE == 0);
    let note = format!(
        "{} merged, {} with nothing to do and {} with a conflict that stayed wait for a person, {} for one of those; \
         {kills} kills in {:.0} s, main green at every commit",
        done.len(),
        idle.len(),
        still.len(),
        all.len() - done.len() - idle.len() - still.len(),
        took.as_secs_f64()
    );
    figures.add(
        "soak_features_per_min",
        done.len() as f64 * 60.0 / took.as_secs_f64(),
        "1/min",
        all.len(),
        note,
    );
    Ok(())
}

/// Those that are not at their end: not merged, and not waiting for a person, or for a feature that does, for a true
/// reason and with their runs cleaned up.
fn open(all: &[FeatureView]) -> Vec<&FeatureView> {
    let mut ordered: Vec<&FeatureView> = all.iter().collect();
    ordered.sort_by_key(|view| view.feature.id.number());
    let (mut waiting, mut open) = (BTreeSet::new(), Vec::new());
    for view in ordered {
        let feature = &view.feature;
        let over = view.run.as_ref().is_none_or(|run| run.ended_at.is_some());
        if over && feature.stage == Stage::Done {
            continue;
        }
        // What it depends on was filed before it, so it has been looked at.
        let for_another = view.waits == Some(Waits::Dependency)
            && feature.wanted.depends_on.iter().any(|need| waiting.contains(&need.feature.number()));
        let true_reason = match &feature.held {
            Some(held) if feature.id.number() % IDLE == 0 => held == "Shell changed nothing.",
            // Its file was changed by others each time that it could have been merged.
            Some(held) => {
                held.starts_with("It went back to its agent 3 times, and there is still the conflict")
            }
            None => for_another,
        };
        if over && feature.stage == Stage::Ready && true_reason {
            waiting.insert(feature.id.number());
        } else {
            open.push(view);
        }
    }
    open
}

async fn rest(client: &mut Client) -> String {
    let all: Vec<FeatureView> = client.get("features").await.unwrap_or_default();
    let open = open(&all);
    let first: Vec<String> = open
        .iter()
        .take(5)
        .map(|view| format!("{} {}: {}", view.feature.id, view.feature.stage, view.sentence))
        .collect();
    format!("{} of {} are open: {}", open.len(), all.len(), first.join("; "))
}

/// The instance's folders hold nothing of runs that are over.
fn nothing_left(site: &Site) -> Result<(), Failure> {
    for folder in ["worktrees", "checkouts"] {
        let path = site.folder().join("state/instances/alpha").join(folder);
        let left: Vec<String> = std::fs::read_dir(&path)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if !left.is_empty() {
            return Err(format!("left in {}: {}", path.display(), left.join(", ")).into());
        }
    }
    Ok(())
}

/// Every commit of main is green, there is one for each merged feature, and its head has the line of each of them and of
/// no other.
fn main_is_whole(site: &Site, running: &Running, done: &[u32]) -> Result<(), Failure> {
    let folder = site.folder().join("green");
    let git = |args: &[&str]| -> Result<String, Failure> {
        let output = Command::new("git").current_dir(site.folder()).args(args).output()?;
        if !output.status.success() {
            return Err(format!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (forge, green) = (running.forge().display().to_string(), folder.display().to_string());
    git(&["clone", "--quiet", &forge, &green])?;
    let commits = git(&["-C", &green, "log", "--first-parent", "--reverse", "--format=%H", "main"])?;
    for commit in commits.lines() {
        git(&["-C", &green, "checkout", "--quiet", commit])?;
        if !Command::new("sh").current_dir(&folder).args(["-c", CHECK]).status()?.success() {
            return Err(format!("main was red at {commit}").into());
        }
    }
    // The first commit is nobody's feature.
    let commits = commits.lines().count();
    if commits != done.len() + 1 {
        return Err(format!("main has {commits} commits for {} features", done.len()).into());
    }
    let mut lines = BTreeSet::new();
    for part in 0..PARTS {
        let text = std::fs::read_to_string(folder.join(format!("part{part}.txt")))?;
        for line in text.lines().filter(|line| *line != "start") {
            lines.insert(line.to_owned());
        }
    }
    let expected: BTreeSet<String> = done.iter().map(|number| format!("A-{number}")).collect();
    let differ: Vec<&String> = lines.symmetric_difference(&expected).collect();
    if differ.is_empty() { Ok(()) } else { Err(format!("main and the board differ in {differ:?}").into()) }
}
