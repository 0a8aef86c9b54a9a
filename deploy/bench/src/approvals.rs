//! An approval from asked to carried out, on the team's own surface: a run asks, a person reads and decides, it is done.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use qd_api::{ApprovalView, AskQuestion, CastVote, Client, FeatureView, QuestionView};
use qd_board::NewFeature;
use qd_types::{ApprovalState, Ballot, RunId};
use serde_json::json;

use crate::{Failure, engine::config, figures::Figures, site::Site};

/// Approvals that are measured, after some that are not.
const ROUNDS: usize = 500;
/// Those that are not.
const WARM_UP: usize = 20;
/// Longest wait for the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures it.
pub async fn measure(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let site = Site::with(&config("sleep 600", 1, ""), &[("README.md", "x\n")])?;
    let running = site.start(binary, &["up"]).await?;
    let (mut run, mut person) = (running.client()?, running.client()?);
    let new = NewFeature { ready: true, ..NewFeature::titled("Asks".to_owned()) };
    let _: FeatureView = run.post("features", &new).await?;
    let id = started(&mut run).await?;
    let mut taken = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let begun = Instant::now();
        once(&mut run, &mut person, &id, round).await?;
        if round >= WARM_UP {
            taken.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    taken.sort_by(f64::total_cmp);
    let p99 = *taken.get(taken.len() * 99 / 100).ok_or("no samples")?;
    let median = taken.get(taken.len() / 2).copied().unwrap_or_default();
    let note = format!(
        "asked, read, answered and done: five requests' rows on disk; median {median:.1}; at most 30"
    );
    figures.add("approval_roundtrip_ms_p99", p99, "ms", ROUNDS, note);
    Ok(())
}

async fn started(client: &mut Client) -> Result<RunId, Failure> {
    let begun = Instant::now();
    loop {
        let view: FeatureView = client.get("features/A-1").await?;
        if let Some(run) = view.run {
            return Ok(run.id);
        }
        if begun.elapsed() > PATIENCE {
            return Err("no run was opened".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A run asks, a person answers what they were shown, the run reads it.
async fn once(run: &mut Client, person: &mut Client, id: &RunId, round: usize) -> Result<(), Failure> {
    let ask = AskQuestion {
        run: id.clone(),
        text: format!("Which colour has door {round}?"),
        choices: Vec::new(),
        schema: None,
        roles: Vec::new(),
    };
    let asked: QuestionView = run.post("questions", &ask).await?;
    let view: ApprovalView = person.get(&format!("approvals/{}", asked.key)).await?;
    let cast = CastVote {
        answer: Some(json!("blue")),
        ..CastVote::new(Ballot::Approve, &view.approval.digest, None)
    };
    let _: ApprovalView = person.post(&format!("approvals/{}/vote", asked.key), &cast).await?;
    let read: QuestionView = run.get(&format!("questions/{}", asked.key)).await?;
    if read.state == ApprovalState::Executed {
        Ok(())
    } else {
        Err(format!("it stands at {:?}", read.state).into())
    }
}
