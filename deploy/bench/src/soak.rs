//! The soak: two hundred features with dependencies, conflicts and failures, eight at a time, and the process killed every
//! five seconds. At its end every feature is merged or waits for a person for a true reason, and main was green at every
//! commit.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use qd_api::{Client, FeatureView};
use qd_board::{Dependency, NewFeature, Wanted};
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

/// Writes its own line into one of twelve files, so that neighbours conflict; every thirteenth is red at first, every
/// seventeenth does nothing at all. What comes back with a conflict keeps both sides.
const AGENT: &str = r#"
p=$(cat); n=${QUARTERDECK_FEATURE#A-}; f=part$((n % 12)).txt
if [ $((n % 17)) = 0 ]; then exit 0; fi
for c in $(grep -l '^<<<<<<<' part*.txt 2>/dev/null); do sed -i '/^<<<<<<< /d; /^=======$/d; /^>>>>>>> /d' $c; done
case "$p" in
  *'Back to you'*) ;;
  *'Failing check'*) sed -i '/^RED/d' $f;;
  *) echo $QUARTERDECK_FEATURE >> $f; if [ $((n % 13)) = 0 ]; then echo RED >> $f; fi;;
esac
"#;

/// Red where a marker, a red line or a line that is there twice is found.
const CHECK: &str = "for f in part*.txt; do if grep -q '^<<<<<<<\\|^RED' $f; then exit 1; fi; \
                     if [ -n \"$(sort $f | uniq -d)\" ]; then exit 1; fi; done";

/// Runs it.
pub async fn soak(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let parts: Vec<(String, &str)> = (0..12).map(|part| (format!("part{part}.txt"), "start\n")).collect();
    let files: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let site = Site::with(&config(AGENT, 8, CHECK), &files)?;
    let mut running = site.start(binary, &["up"]).await?;
    let mut client = running.client()?;
    for number in 1..=FEATURES {
        // Every third waits for an earlier one, chosen as if by chance.
        let earlier = number * 7 % number.max(2);
        let depends_on = if number % 3 == 0 && earlier > 0 && earlier % 17 != 0 {
            vec![Dependency::done(format!("A-{earlier}").parse()?)]
        } else {
            Vec::new()
        };
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
        if all.iter().all(settled) {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let took = begun.elapsed();
    let done = all.iter().filter(|view| view.feature.stage == Stage::Done).count();
    let commits = green(&site, &running)?;
    // The first commit is nobody's feature.
    if commits != done + 1 {
        return Err(format!("main has {commits} commits for {done} features").into());
    }
    let waiting = all.len() - done;
    let note = format!(
        "{done} merged, {waiting} wait for a person, {kills} kills in {:.0} s, main green at every commit",
        took.as_secs_f64()
    );
    figures.add("soak_features_per_min", done as f64 * 60.0 / took.as_secs_f64(), "1/min", all.len(), note);
    Ok(())
}

/// Merged, or it waits for a person, or for one that does; and its run is cleaned up.
fn settled(view: &FeatureView) -> bool {
    let over = view.run.as_ref().is_none_or(|run| run.ended_at.is_some());
    let waits = view.feature.held.is_some() || view.waits == Some(qd_board::Waits::Dependency);
    over && (view.feature.stage == Stage::Done
        || (view.feature.stage == Stage::Ready && waits && stuck(view)))
}

/// What waits for another feature is settled only if that one waits for a person: those are the seventeenths.
fn stuck(view: &FeatureView) -> bool {
    match &view.feature.held {
        Some(held) => held.contains("changed nothing") || held.contains("still"),
        None => view.feature.wanted.depends_on.iter().any(|need| need.feature.number() % 17 == 0),
    }
}

async fn rest(client: &mut Client) -> String {
    let all: Vec<FeatureView> = client.get("features").await.unwrap_or_default();
    let open = all.iter().filter(|view| !settled(view)).take(5);
    open.map(|view| format!("{} {}: {}", view.feature.id, view.feature.stage, view.sentence))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Checks every commit of main, the first parents; gives how many there are.
fn green(site: &Site, running: &Running) -> Result<usize, Failure> {
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
    let commits = git(&["-C", &green, "log", "--first-parent", "--format=%H", "main"])?;
    for commit in commits.lines() {
        git(&["-C", &green, "checkout", "--quiet", commit])?;
        if !Command::new("sh").current_dir(&folder).args(["-c", CHECK]).status()?.success() {
            return Err(format!("main was red at {commit}").into());
        }
    }
    Ok(commits.lines().count())
}
