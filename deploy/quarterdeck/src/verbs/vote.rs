//! `approvals`, `approve`, `deny`. A vote needs the passphrase.

use qd_api::{ApprovalView, CastVote};

use super::{Done, connect, explain, proof};
use crate::{
    cli::{Ballot, Common},
    context::UserError,
    say,
};

pub(super) async fn list(common: &Common) -> Done {
    let mut client = connect(common)?;
    let approvals: Vec<ApprovalView> = client.get("approvals").await.map_err(explain)?;
    if common.json {
        say::json(&approvals);
        return Ok(());
    }
    if approvals.is_empty() {
        say::line("Nothing waits for people.");
    }
    for view in approvals {
        let approval = &view.approval;
        let subject = &approval.subject;
        let state = match &view.ended {
            Some(ended) => ended.clone(),
            None if view.deciding => "Deciding.".to_owned(),
            None if approval.state.is_open() => {
                format!("Decide: {}. {}", subject.requirement.describe(), view.facts)
            }
            None => format!("{:?}.", approval.state),
        };
        say::line(&format!("{}  {} ({})  {state}", approval.id.key(), view.title, subject.feature));
    }
    Ok(())
}

pub(super) async fn vote(common: &Common, ballot: Ballot, word: qd_types::Ballot) -> Done {
    let mut client = connect(common)?;
    let approvals: Vec<ApprovalView> = client.get("approvals").await.map_err(explain)?;
    let wanted = ballot.id.rsplit('/').next().unwrap_or_default().to_ascii_uppercase();
    let fits = |view: &&ApprovalView| {
        let key = view.approval.id.key();
        view.approval.subject.feature.to_string() == wanted || (wanted.len() >= 6 && key.starts_with(&wanted))
    };
    let open: Vec<&ApprovalView> =
        approvals.iter().filter(fits).filter(|view| view.approval.state.is_open()).collect();
    let view = match open.as_slice() {
        [one] => *one,
        [] => {
            let closed = approvals.iter().find(fits).and_then(|view| view.ended.clone());
            let text = closed.map_or_else(
                || format!("nothing is asked under {}. quarterdeck approvals lists what waits", ballot.id),
                |ended| format!("{} is decided: {ended}", ballot.id),
            );
            return Err(UserError::failed(text));
        }
        _ => return Err(UserError::usage(format!("several approvals fit {}: use the id", ballot.id))),
    };
    let proven = proof::prove(common, ballot.person.as_ref(), ballot.passphrase_file.as_deref()).await?;
    let mut client = proven.team(common)?;
    let plain = CastVote::new(word, &view.approval.digest, ballot.reason);
    let cast = CastVote { typed: ballot.typed, ..plain };
    let path = format!("approvals/{}/vote", view.approval.id.key());
    let after: Result<ApprovalView, _> = client.post(&path, &cast).await.map_err(explain);
    proven.end().await;
    let after = after?;
    if common.json {
        say::json(&after);
    } else {
        say::line(&format!("Your word on \"{}\" is on its way.", after.title));
    }
    Ok(())
}
