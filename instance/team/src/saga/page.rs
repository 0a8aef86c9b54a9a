//! A plan that is a page of the repository. Its run goes the way of every run: branch, checks, pull request, review, merge.
//! What is different: the team itself commits the page, and nothing of the agent's worktree; what people push to the branch
//! is what counts; and the merge, whoever makes it, files the features once.

use std::time::Duration;

use jiff::Timestamp;
use qd_agents::transcript::Kind;
use qd_board::{
    CheckFact, FailureClass, Feedback, PlanMode,
    exchange::Plan,
    page::{self, MAX_BYTES, Owner},
};
use qd_store::{Edited, Import, RunFact, StoreError};
use qd_types::{CommitId, InstanceName, Step};
use qd_wire::v1::{ForgeAct, ForgeRequest};

use super::{Here, StepError, checks, work};

/// How often it is looked whether people changed the page, or merged it by themselves.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// What the check is called that says whether the page can be filed.
pub(super) const CHECK: &str = "plan";

/// What people did with the page, as git has it.
pub(super) enum Moved {
    /// The branch stands elsewhere than where it was put.
    Edited(CommitId),
    /// The target branch holds it.
    Merged(CommitId),
}

/// Whether the run's plan is a page.
pub(super) fn is_page(here: &Here<'_>) -> bool {
    here.feature.wanted.plan == PlanMode::Page
}

/// The page's path.
fn path(here: &Here<'_>) -> String {
    page::path(&here.feature.id, &here.feature.wanted)
}

fn owner<'a>(here: &'a Here<'_>, team: &'a InstanceName) -> Owner<'a> {
    Owner { team, goal: &here.feature.id }
}

/// The page as a commit has it.
async fn page_of(here: &Here<'_>, commit: &CommitId) -> Result<Option<String>, StepError> {
    let name = &here.repository.spec.name;
    Ok(here.team.worktrees().file(name, commit, &path(here), MAX_BYTES).await?)
}

/// The plan on the page as a commit has it; none where that has no such plan, or none that can be told.
async fn section_of(here: &Here<'_>, commit: &CommitId) -> Result<Option<String>, StepError> {
    let team = here.team.name();
    let text = page_of(here, commit).await?;
    Ok(text.and_then(|text| page::section(&text, owner(here, &team)).ok().flatten()))
}

/// How the features of the page are filed.
fn how(here: &Here<'_>, dry_run: bool) -> Import {
    Import {
        author: here.feature.author.clone(),
        repository: Some(here.feature.repository.clone()),
        ready: true,
        dry_run,
    }
}

/// Reads the page as it is to be filed; the inner error says what is wrong with it, and where.
async fn filed(here: &Here<'_>, text: &str) -> Result<Result<Plan, String>, StepError> {
    let team = here.team.name();
    let read = page::read(text, owner(here, &team)).map_err(|error| error.to_string());
    let read = read.and_then(|plan| here.team.placed(&here.feature, plan).map_err(|problem| problem.detail));
    let plan = match read {
        Ok(plan) => plan,
        Err(problem) => return Ok(Err(problem)),
    };
    match here.store().import(plan.clone(), how(here, true), Timestamp::now()).await {
        Ok(_) => Ok(Ok(plan)),
        Err(StoreError::Field(error)) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with a proposal as a page, if anything is.
pub(super) async fn wrong(here: &Here<'_>, text: &str) -> Result<Option<String>, StepError> {
    let team = here.team.name();
    match page::write(None, owner(here, &team), &here.feature.wanted, text) {
        Ok(page) => Ok(filed(here, &page).await?.err()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// What the agent is told beside the goal: what was said, and the plan as people last had it.
pub(super) fn told(here: &Here<'_>, said: Option<String>) -> Option<String> {
    let plan = here.run.plan.as_ref().filter(|_| is_page(here));
    match (said, plan) {
        (Some(said), Some(plan)) => Some(format!("{said}\n\nThe plan as it stands:\n\n{plan}")),
        (said, _) => said,
    }
}

/// The page as a commit on top of what the branch holds, or of what the target held; none if that is the page already.
pub(super) async fn candidate(here: &Here<'_>, message: &str) -> Result<Option<CommitId>, StepError> {
    let (worktrees, name, base) = (here.team.worktrees(), &here.repository.spec.name, checks::base(here)?);
    let (pushed, _) = here.store().pushed(&here.run.id).await?;
    let parent = match pushed {
        Some(pushed) if worktrees.merge_base(name, base, &pushed).await?.as_ref() == Some(base) => pushed,
        _ => base.clone(),
    };
    let before = page_of(here, &parent).await?;
    let team = here.team.name();
    let text = here.run.plan.as_deref().unwrap_or_default();
    let page = page::write(before.as_deref(), owner(here, &team), &here.feature.wanted, text);
    let page = page.map_err(|error| {
        StepError::failed(FailureClass::Validation, format!("{} can't be written: {error}.", path(here)))
    })?;
    if before.as_ref() == Some(&page) {
        return Ok(None);
    }
    Ok(Some(worktrees.with_file(name, &parent, (&path(here), &page), message, &here.stamp()).await?))
}

/// The check of a page: it can be filed.
pub(super) async fn check(here: &Here<'_>, commit: &CommitId, round: u32) -> Result<CheckFact, StepError> {
    let reason = match page_of(here, commit).await? {
        Some(text) => filed(here, &text).await?.err(),
        None => Some(format!("{} is gone, or is no text of {MAX_BYTES} bytes", path(here))),
    };
    let passed = reason.is_none();
    let fact = CheckFact { name: CHECK.into(), commit: commit.clone(), passed, round, millis: 0, reason };
    here.store().check(&here.run.id, fact.clone(), Timestamp::now()).await?;
    Ok(fact)
}

/// What people did with the page since it was pushed. A forge that can't be reached says nothing now.
pub(super) async fn moved(here: &Here<'_>) -> Result<Option<Moved>, StepError> {
    let (worktrees, spec) = (here.team.worktrees(), &here.repository.spec);
    let target = match worktrees.refresh(spec).await {
        Ok(target) => target,
        Err(error) => {
            tracing::info!(run = %here.run.id, %error, "the forge can't be asked for the page of a plan");
            return Ok(None);
        }
    };
    let (Some(ours), _) = here.store().pushed(&here.run.id).await? else { return Ok(None) };
    let there = worktrees.branch(&spec.name, &here.run.branch).await?;
    let newest = there.as_ref().unwrap_or(&ours);
    let plan = section_of(here, newest).await?;
    if plan.is_some()
        && section_of(here, &target).await? == plan
        && section_of(here, checks::base(here)?).await? != plan
    {
        return Ok(Some(Moved::Merged(target)));
    }
    Ok(there.filter(|there| *there != ours).map(Moved::Edited))
}

/// Goes along with what people did.
pub(super) async fn follow(here: &Here<'_>, step: Step, moved: Moved) -> Result<(), StepError> {
    match moved {
        Moved::Edited(head) => edited(here, head).await,
        Moved::Merged(commit) => {
            let by = format!("Whoever merged it into {}", here.repository.spec.target);
            merged(here, step, &commit, by).await?;
            // It is nobody's to decide any more.
            let request = ForgeRequest {
                id: format!("{}/close", here.run.id),
                feature: here.feature.id.clone(),
                run: here.run.id.clone(),
                act: ForgeAct::ClosePullRequest {
                    repository: here.repository.spec.name.clone(),
                    number: here.run.pull_request.unwrap_or_default(),
                    reason: format!("Merged as {}. Its features are filed.", commit.short()),
                },
            };
            Ok(here.store().request(request, Timestamp::now()).await?)
        }
    }
}

/// People pushed to the branch. A page that can be filed is asked about as it is now; any other goes back to the agent. The
/// branch of a plan holds its page and nothing else.
async fn edited(here: &Here<'_>, head: CommitId) -> Result<(), StepError> {
    let (worktrees, spec) = (here.team.worktrees(), &here.repository.spec);
    let unrelated = || {
        let reason = format!("{} has nothing in common with {} any more.", here.run.branch, spec.target);
        StepError::failed(FailureClass::Denied, reason)
    };
    let target = worktrees.target(spec).await?.ok_or_else(unrelated)?;
    let base = worktrees.merge_base(&spec.name, &target, &head).await?.ok_or_else(unrelated)?;
    let path = path(here);
    let touched = worktrees.touches(&spec.name, &base, &head).await?;
    if let Some(other) = touched.iter().find(|touched| **touched != path) {
        let reason =
            format!("Somebody pushed {other} to the branch of a plan, which holds {path} and nothing else.");
        return Err(StepError::failed(FailureClass::Denied, reason));
    }
    here.transcript()?.append(Kind::System, &format!("People pushed {} to the branch.", head.short()))?;
    let results = checks::run(here, &head, here.run.round, "checks").await?;
    if let Some(red) = results.iter().find(|fact| !fact.passed) {
        let log = work::log_tail(
            &here.team.folder(&here.run.id).check_log(here.run.round, &red.name),
            here.team.options().runs.log_lines,
        );
        let why = if red.name == CHECK { red.reason.clone().unwrap_or_default() } else { log };
        back(here, &base, "the plan as people changed it", FailureClass::CheckFailed, why).await?;
        // Last: as long as it is not noted, nothing is pushed over it.
        let facts = vec![RunFact::Pushing(head.clone()), RunFact::Pushed(head)];
        return Ok(here.store().note(&here.run.id, facts).await?);
    }
    let text = section_of(here, &head).await?.unwrap_or_default();
    let edited = Edited { head, base, text, path };
    Ok(here.store().page_edited(&here.run.id, edited, Timestamp::now()).await?)
}

/// The plan goes back to its agent, so many times. There is nothing to bring along: the page is made of what it proposes.
pub(super) async fn back(
    here: &Here<'_>,
    onto: &CommitId,
    about: &str,
    class: FailureClass,
    text: String,
) -> Result<(), StepError> {
    let returns = here.team.options().runs.returns;
    if here.run.returns >= returns {
        let reason = format!("It went back to its agent {returns} times, and there is still {about}.");
        return Err(StepError::failed(class, reason));
    }
    let feedback = Feedback { about: about.to_owned(), text };
    here.transcript()?.append(Kind::System, &format!("Back to the agent: {about}."))?;
    Ok(here.store().back_to_agent(&here.run.id, feedback, onto.clone(), Timestamp::now()).await?)
}

/// The target holds the page: what stands on it there is filed, once, together with the end of the run.
pub(super) async fn merged(
    here: &Here<'_>,
    step: Step,
    commit: &CommitId,
    by: String,
) -> Result<(), StepError> {
    let invalid = |why: String| {
        let (path, target) = (path(here), &here.repository.spec.target);
        let reason = format!("{path} is merged into {target}, and its features can't be filed: {why}.");
        StepError::failed(FailureClass::Validation, reason)
    };
    let page = page_of(here, commit).await?.ok_or_else(|| invalid("it is not there".to_owned()))?;
    let plan = filed(here, &page).await?.map_err(invalid)?;
    let text = section_of(here, commit).await?.unwrap_or_default();
    qd_failpoint::reached("page_merged");
    let now = Timestamp::now();
    here.store().page_merged(&here.run.id, step, (by, text), plan, how(here, false), now).await?;
    qd_failpoint::reached("page_filed");
    Ok(here.team.no_verdict(&here.run.agent, &here.feature.repository).await?)
}

/// Asks about the page as the branch has it: the id of the request names the commit.
pub(super) fn asks(commit: &CommitId) -> String {
    format!("ask/{commit}")
}

/// What the pull request of a page says above its facts.
pub(super) fn body(here: &Here<'_>) -> String {
    let path = path(here);
    format!(
        "A plan, proposed as `{path}`. Its features are filed once this is merged, as the page then has them: change it here, \
         in the pull request."
    )
}

/// The checks that a card names beside the repository's.
pub(super) fn also(here: &Here<'_>) -> Option<&'static str> {
    is_page(here).then_some(CHECK)
}
