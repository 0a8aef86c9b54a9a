//! The team's audit trail: a row for what is filed, begun, asked for and ended, in the transaction in which it happens. People
//! stand in it under pseudonyms, and nothing that people wrote stands in it.

use jiff::Timestamp;
use qd_audit::{About, Actor, Entry, Kind, append, begin, pseudonym};
use qd_board::{Feature, RunEnd, SourceKind};
use qd_types::{Action, ApprovalId, RunId};
use qd_wire::v1::{ForgeAct, ForgeOutcome, ForgeRequest};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Map, json};

use crate::{StoreError, rows, store::Lens};

/// Notes that a feature was filed, by whom, and which issue it came from.
pub(crate) fn filed(
    c: &Connection,
    lens: &Lens,
    feature: &Feature,
    now: Timestamp,
) -> Result<(), StoreError> {
    let actor = Actor::Person(pseudonym(c, &feature.author)?);
    let source = feature.wanted.source.as_ref().filter(|source| source.kind == SourceKind::Issue);
    let about = About {
        issue: source.map(|source| format!("{}#{}", feature.repository, source.reference)),
        feature: Some(feature.id.clone()),
        ..About::default()
    };
    write(c, lens, Kind::Feature, actor, about, "filed".to_owned(), now)
}

/// Notes that a run was opened.
pub(crate) fn opened(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    agent: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    write(c, lens, Kind::Run, team(lens), about(c, run, None)?, format!("opened for the agent {agent}"), now)
}

/// Notes how a run ended.
pub(crate) fn ended(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    end: &RunEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = match end {
        RunEnd::Merged { commit } => format!("ended: merged as {}", commit.short()),
        RunEnd::Planned { features } => format!("ended: planned {features} features"),
        RunEnd::Answered { .. } => "ended: answered".to_owned(),
        RunEnd::Failed { .. } => "ended: failed".to_owned(),
        RunEnd::Stopped { .. } => "ended: stopped".to_owned(),
    };
    write(c, lens, Kind::Run, team(lens), about(c, run, None)?, text, now)
}

/// Notes what the bot is asked to do.
pub(crate) fn asked(
    c: &Connection,
    lens: &Lens,
    request: &ForgeRequest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (kind, approval, text) = match &request.act {
        ForgeAct::AskMerge { merge, .. } => (Kind::Request, None, Action::Merge(merge.clone()).title()),
        ForgeAct::AskPush { push, .. } => (Kind::Request, None, Action::Push(push.clone()).title()),
        ForgeAct::Merge { approval, tested, .. } => {
            (Kind::Execution, Some(approval), format!("asked the bot to merge, as {}", tested.short()))
        }
        ForgeAct::OpenPullRequest { head, .. } => {
            (Kind::Execution, None, format!("asked the bot to open a pull request for {}", head.short()))
        }
        ForgeAct::OpenIssue { team, .. } => {
            (Kind::Execution, None, format!("asked the bot to open an issue for {team}"))
        }
        ForgeAct::ClosePullRequest { number, .. } => {
            (Kind::Execution, None, format!("asked the bot to close pull request {number}"))
        }
    };
    let actor = if kind == Kind::Request { Actor::Agent(request.run.clone()) } else { team(lens) };
    write(c, lens, kind, actor, about(c, &request.run, approval.cloned())?, text, now)
}

/// Notes what the bot says became of a request.
pub(crate) fn outcome(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    outcome: &ForgeOutcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (kind, text) = match outcome {
        ForgeOutcome::Opened { number } => (Kind::Outcome, format!("pull request {number}")),
        ForgeOutcome::Asked { .. } => (Kind::Request, "the bot asks people".to_owned()),
        ForgeOutcome::Approved { .. } => (Kind::Decision, "granted".to_owned()),
        ForgeOutcome::NotApproved { .. } => (Kind::Decision, "not granted".to_owned()),
        ForgeOutcome::Merged { commit } => (Kind::Outcome, format!("merged as {}", commit.short())),
        ForgeOutcome::BaseMoved { base } => (Kind::Outcome, format!("target moved to {}", base.short())),
        ForgeOutcome::IssueOpened { number } => (Kind::Outcome, format!("issue {number}")),
        ForgeOutcome::Closed => (Kind::Outcome, "pull request closed".to_owned()),
        ForgeOutcome::Refused { .. } => (Kind::Outcome, "refused".to_owned()),
        ForgeOutcome::Unknown { .. } => (Kind::Outcome, "unknown".to_owned()),
    };
    let approval: Option<String> = match outcome {
        // The pull request comes before anybody is asked.
        ForgeOutcome::Opened { .. } | ForgeOutcome::IssueOpened { .. } => None,
        _ => c
            .prepare_cached("SELECT approval FROM runs WHERE id = ?1")?
            .query_row([run.to_string()], |row| row.get(0))
            .optional()?
            .flatten(),
    };
    let approval = approval.map(|approval| rows::parse("runs", &approval)).transpose()?;
    write(c, lens, kind, Actor::Bot, about(c, run, approval)?, text, now)
}

fn team(lens: &Lens) -> Actor {
    Actor::Team(lens.settings.instance.clone())
}

/// A run, its feature, and the issue that this came from.
fn about(c: &Connection, run: &RunId, approval: Option<ApprovalId>) -> Result<About, StoreError> {
    let issue: Option<String> = c
        .prepare_cached(
            "SELECT repository || '#' || (details ->> '$.source.reference') FROM features
             WHERE id = ?1 AND details ->> '$.source.kind' = 'issue'",
        )?
        .query_row([run.feature().to_string()], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(About {
        issue,
        feature: Some(run.feature().clone()),
        run: Some(run.clone()),
        approval,
        ..About::default()
    })
}

fn write(
    c: &Connection,
    lens: &Lens,
    kind: Kind,
    actor: Actor,
    about: About,
    text: String,
    at: Timestamp,
) -> Result<(), StoreError> {
    begin(c, lens.settings.instance.as_str())?;
    let payload = Map::from_iter([("text".to_owned(), json!(text))]);
    append(c, &Entry { kind, actor, about, at, payload })?;
    Ok(())
}
