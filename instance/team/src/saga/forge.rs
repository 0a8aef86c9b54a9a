//! The steps that reach the forge: push, pull request, review. The instance pushes; everything else it asks of the
//! bot, and waits for the outcome as long as it takes.

use jiff::Timestamp;
use qd_board::{FailureClass, SourceKind};
use qd_engine::Branch;
use qd_store::RunFact;
use qd_types::{CommitId, Merge, Push, Step};
use qd_wire::v1::{ChangeSize, CheckReport, ForgeAct, ForgeOutcome, ForgeRequest};
use qd_worktrees::{sensitive, why_sensitive};

use super::{Here, StepError, checks::base, findings, page, work::checked};
use crate::circuits;

/// The branch goes to the forge.
pub(super) async fn push(here: &Here<'_>) -> Result<(), StepError> {
    let commit = checked(here)?;
    allowed(here, commit).await?;
    put(here, commit).await?;
    here.team.worked(&[circuits::repository(&here.repository.spec.name)]).await?;
    here.done(Step::Push, None, Vec::new()).await
}

/// Puts a commit at the run's branch on the forge. A push that a crash cut short is brought to its end first: whether it
/// arrived or not, the branch is then where it is believed to be.
pub(super) async fn put(here: &Here<'_>, commit: &CommitId) -> Result<(), StepError> {
    let (worktrees, spec, branch) = (here.team.worktrees(), &here.repository.spec, &here.run.branch);
    let (mut before, cut_short) = here.store().pushed(&here.run.id).await?;
    if let Some(open) = cut_short {
        worktrees.push(spec, branch, &open, before.as_ref()).await?;
        here.store().note(&here.run.id, vec![RunFact::Pushed(open.clone())]).await?;
        before = Some(open);
    }
    here.store().note(&here.run.id, vec![RunFact::Pushing(commit.clone())]).await?;
    worktrees.push(spec, branch, commit, before.as_ref()).await?;
    qd_failpoint::reached("pushed");
    Ok(here.store().note(&here.run.id, vec![RunFact::Pushed(commit.clone())]).await?)
}

/// What the policies let nobody push stays here. A change of paths that hold more than code leaves the team only after
/// people saw it. The request's id names the commit: what they approved is what is pushed, and another commit asks anew.
async fn allowed(here: &Here<'_>, commit: &CommitId) -> Result<(), StepError> {
    let (name, base) = (&here.repository.spec.name, base(here)?);
    let touched = here.team.worktrees().touches(name, base, commit).await?;
    let (repository, branch) = (name.clone(), here.run.branch.clone());
    let branch = Branch { repository, name: branch, protected: false, paths: Some(touched.clone()) };
    here.team.permit_push(branch).map_err(|refusal| {
        StepError::failed(FailureClass::Denied, format!("It is not pushed. {}", refusal.reason))
    })?;
    let paths: Vec<String> = sensitive(&touched).into_iter().map(str::to_owned).collect();
    let Some(first) = paths.first() else { return Ok(()) };
    let why = why_sensitive(first).map_or("it holds more than code", |rule| rule.reason);
    let facts = format!("{first} is not only code: {why}. {}", facts(here).await?);
    let push = Push {
        repository: name.clone(),
        branch: here.run.branch.clone(),
        head: commit.clone(),
        diff: here.team.worktrees().diff_digest(name, base, commit).await?,
        paths,
    };
    let requesters = here.feature.requesters();
    let act = ForgeAct::AskPush { push, requesters, words: here.run.words.clone(), facts };
    match ask(here, &format!("ask_push/{commit}"), act).await? {
        ForgeOutcome::Approved { .. } => Ok(()),
        ForgeOutcome::NotApproved { reason } => Err(StepError::failed(FailureClass::Denied, reason)),
        other => Err(unexpected(&other)),
    }
}

/// The pull request is opened.
pub(super) async fn pull_request(here: &Here<'_>) -> Result<(), StepError> {
    let commit = checked(here)?;
    if let Some(number) = here.run.pull_request {
        // The work came back and was pushed again: the pull request is the same.
        let facts = vec![RunFact::Change(size(here).await?)];
        return here.done(Step::PullRequest, Some(number.to_string()), facts).await;
    }
    let act = ForgeAct::OpenPullRequest {
        repository: here.repository.spec.name.clone(),
        branch: here.run.branch.clone(),
        target: here.repository.spec.target.clone(),
        head: commit.clone(),
        title: here.feature.wanted.title.clone(),
        body: body(here),
        checks: reports(here),
        labels: here.feature.wanted.labels.clone(),
        milestone: here.feature.wanted.milestone.clone(),
    };
    match ask(here, "pull_request", act).await? {
        ForgeOutcome::Opened { number } => {
            let facts = vec![RunFact::PullRequest(number), RunFact::Change(size(here).await?)];
            here.done(Step::PullRequest, Some(number.to_string()), facts).await
        }
        other => Err(unexpected(&other)),
    }
}

/// How much the change is.
async fn size(here: &Here<'_>) -> Result<ChangeSize, StepError> {
    let (commit, base, name) = (checked(here)?, base(here)?, &here.repository.spec.name);
    let stat = here.team.worktrees().diff_stat(name, base, commit).await?;
    Ok(ChangeSize {
        commits: here.team.worktrees().commit_count(name, base, commit).await?,
        files: stat.files,
        insertions: stat.insertions,
        deletions: stat.deletions,
    })
}

/// People decide about exactly this head. What they or the forge's checks say meanwhile goes back to the agent, and they are
/// asked anew about what it makes of it.
pub(super) async fn review(here: &Here<'_>) -> Result<(), StepError> {
    if page::is_page(here)
        && let Some(moved) = page::moved(here).await?
    {
        return page::follow(here, Step::Review, moved).await;
    }
    let merge = merge_of(here).await?;
    let act = ForgeAct::AskMerge {
        merge,
        requesters: here.feature.requesters(),
        words: here.run.words.clone(),
        facts: facts(here).await?,
        findings: findings::findings(here).await?,
    };
    let again = match here.run.returns {
        0 => String::new(),
        returns => format!("/{returns}"),
    };
    let what = match page::is_page(here) {
        true => page::asks(checked(here)?),
        false => format!("ask{again}"),
    };
    let id = request(here, &what, act).await?;
    let outcome = match decided(here, &id).await? {
        Decided::Outcome(outcome) => outcome,
        Decided::Moved(moved) => return page::follow(here, Step::Review, moved).await,
        Decided::Feedback { about, text } => {
            return super::merge::back(here, base(here)?, &about, FailureClass::Denied, Some(text))
                .await
                .map(drop);
        }
    };
    match outcome {
        ForgeOutcome::Approved { by, .. } => {
            let names: Vec<&str> = by.iter().map(qd_types::PersonId::as_str).collect();
            here.done(Step::Review, Some(names.join(", ")), Vec::new()).await
        }
        ForgeOutcome::NotApproved { reason } => Err(StepError::failed(FailureClass::Denied, reason)),
        other => Err(unexpected(&other)),
    }
}

/// What an approval binds: the reviewed head and its diff.
pub(super) async fn merge_of(here: &Here<'_>) -> Result<Merge, StepError> {
    let commit = checked(here)?;
    let base = base(here)?;
    let number = here
        .run
        .pull_request
        .ok_or_else(|| StepError::failed(FailureClass::Unknown, "The run has no pull request."))?;
    let name = &here.repository.spec.name;
    Ok(Merge {
        repository: name.clone(),
        pull_request: number,
        target: here.repository.spec.target.clone(),
        head: commit.clone(),
        diff: here.team.worktrees().diff_digest(name, base, commit).await?,
        paths: Merge::bound_paths(here.team.worktrees().touches(name, base, commit).await?),
    })
}

/// Asks the bot, once, and waits for what becomes of it.
pub(super) async fn ask(here: &Here<'_>, what: &str, act: ForgeAct) -> Result<ForgeOutcome, StepError> {
    let id = request(here, what, act).await?;
    outcome(here, &id).await
}

/// Asks the bot, once. The request's id.
async fn request(here: &Here<'_>, what: &str, act: ForgeAct) -> Result<String, StepError> {
    let id = format!("{}/{what}", here.run.id);
    let request =
        ForgeRequest { id: id.clone(), feature: here.feature.id.clone(), run: here.run.id.clone(), act };
    here.store().request(request, Timestamp::now()).await?;
    Ok(id)
}

/// What ends a wait for people.
enum Decided {
    /// They decided.
    Outcome(ForgeOutcome),
    /// Something was said that the agent has to hear.
    Feedback { about: String, text: String },
    /// They changed or merged the page of a plan by themselves.
    Moved(page::Moved),
}

/// What was said about the work and its agent has not heard: about what, and the words.
pub(super) async fn said(here: &Here<'_>) -> Result<Option<(String, String)>, StepError> {
    let said = here.store().feedback(&here.run.id).await?;
    if said.is_empty() {
        return Ok(None);
    }
    let about: Vec<&str> = said.iter().map(|(about, _)| about.as_str()).collect();
    let texts: Vec<String> = said.iter().map(|(about, text)| format!("{about}:\n\n{text}")).collect();
    Ok(Some((about.join(", "), texts.join("\n\n"))))
}

/// Waits until people decide, or something is said about the work.
async fn decided(here: &Here<'_>, id: &str) -> Result<Decided, StepError> {
    let mut commits = here.store().commits();
    let mut stop = here.stop.clone();
    loop {
        commits.borrow_and_update();
        if let Some(outcome) = so_far(here, id).await? {
            return Ok(Decided::Outcome(outcome));
        }
        if let Some((about, text)) = said(here).await? {
            return Ok(Decided::Feedback { about, text });
        }
        tokio::select! {
            changed = qd_store::Store::changed(&mut commits) => changed?,
            () = tokio::time::sleep(page::LOOK), if page::is_page(here) => {
                if let Some(moved) = page::moved(here).await? {
                    return Ok(Decided::Moved(moved));
                }
            }
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// The outcome of a request, if there is one. "People are asked" is not one yet.
async fn so_far(here: &Here<'_>, id: &str) -> Result<Option<ForgeOutcome>, StepError> {
    let outcome = here.store().outcome(id).await?;
    Ok(outcome.filter(|outcome| !matches!(outcome, ForgeOutcome::Asked { .. })))
}

/// Waits for the outcome of a request that was made.
pub(super) async fn outcome(here: &Here<'_>, id: &str) -> Result<ForgeOutcome, StepError> {
    let mut commits = here.store().commits();
    let mut stop = here.stop.clone();
    loop {
        commits.borrow_and_update();
        if let Some(outcome) = so_far(here, id).await? {
            return Ok(outcome);
        }
        tokio::select! {
            changed = qd_store::Store::changed(&mut commits) => changed?,
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

pub(super) fn unexpected(outcome: &ForgeOutcome) -> StepError {
    let (class, reason) = match outcome {
        ForgeOutcome::Refused { reason } => (FailureClass::Validation, reason.clone()),
        ForgeOutcome::NotApproved { reason } => (FailureClass::Denied, reason.clone()),
        ForgeOutcome::Unknown { reason } => (
            FailureClass::Unknown,
            format!(
                "It can't be told whether the forge did it: {reason} A person has to look at the pull request."
            ),
        ),
        other => {
            (FailureClass::Unknown, format!("The bot answered something else than was asked: {other:?}."))
        }
    };
    StepError::failed(class, reason)
}

/// What the checks said about the commit that is checked now.
pub(super) fn reports(here: &Here<'_>) -> Vec<CheckReport> {
    let newest = here.run.newest_checks();
    newest.into_iter().map(|fact| CheckReport { name: fact.name.clone(), passed: fact.passed }).collect()
}

/// Facts for the card, from facts alone.
async fn facts(here: &Here<'_>) -> Result<String, StepError> {
    let commit = checked(here)?;
    let base = base(here)?;
    let stat = here.team.worktrees().diff_stat(&here.repository.spec.name, base, commit).await?;
    let files = if stat.files == 1 { "1 file".to_owned() } else { format!("{} files", stat.files) };
    let checks = here.checks();
    let verified = if checks.is_empty() && page::also(here).is_none() {
        "Unverified: the repository has no checks.".to_owned()
    } else {
        let names = checks.iter().map(|check| check.name.as_str()).chain(page::also(here));
        let names: Vec<&str> = names.collect();
        format!("Passed on exactly this commit: {}.", names.join(", "))
    };
    let policy = &here.team.options().runs;
    let large = if stat.files >= policy.large_files || stat.insertions + stat.deletions >= policy.large_lines
    {
        " Large: think of splitting it."
    } else {
        ""
    };
    let walls = if here.team.options().has_walls(&here.repository) {
        ""
    } else {
        " Detection only: nothing kept its agent from writing elsewhere."
    };
    Ok(format!("{files}, +{} −{}. {verified}{large}{walls}", stat.insertions, stat.deletions))
}

fn body(here: &Here<'_>) -> String {
    let mut text = here.feature.wanted.description.clone();
    if page::is_page(here) {
        text = format!("{}\n\n{text}", page::body(here)).trim_end().to_owned();
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let checks: Vec<String> = reports(here)
        .iter()
        .map(|check| format!("{} {}", check.name, if check.passed { "passed" } else { "is red" }))
        .collect();
    let checks = if checks.is_empty() { "none, unverified".to_owned() } else { checks.join(", ") };
    text.push_str(&format!(
        "Feature {}, run {}, agent {}. Checks: {checks}.",
        here.feature.id, here.run.id, here.run.agent
    ));
    if let Some(issue) = closes(here) {
        text.push_str(&format!("\n\nCloses #{issue}"));
    }
    text
}

/// The issue that the feature comes from, if a pull request here closes it: one of the same repository.
fn closes(here: &Here<'_>) -> Option<u64> {
    // A goal is not reached by its plan.
    if page::is_page(here) {
        return None;
    }
    let source = here.feature.wanted.source.as_ref().filter(|source| source.kind == SourceKind::Issue)?;
    let (repository, number) = source.reference.rsplit_once('#')?;
    number.parse().ok().filter(|_| repository == here.repository.spec.name.as_str())
}
