//! The steps on the instance's own disk: worktree, agent, commit.

use std::{fs, sync::Arc, time::Duration};

use qd_agents::{
    AgentEnd, AgentError, CheckSpec, Ended, Task,
    acp::Command,
    prompt::{self, FailingCheck, Turn},
    transcript::Kind,
};
use qd_board::{
    FailureClass, PlanMode, RunEnd, SourceKind, goal,
    loops::{Repeats, Repetition},
};
use qd_store::RunFact;
use qd_types::{CommitId, FeatureId, Step};
use qd_worktrees::{Setup, WorktreeError};

use super::{
    Here, StepError, answer, budget, chain, context, page, plan, rest, served::tools, walled::walls,
};
use crate::{
    calls, lessons,
    permissions::{self, Desk, Watch},
    walls::Walled,
};

/// Bytes of a failing check's log that go into a prompt, however many lines they are.
const LOG_BYTES: usize = 16 * 1024;
/// How long a repository's set-up script may take.
const SETUP_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Lines in a row that have to repeat: far more than an honest agent says twice.
const REPEATS: usize = 60;
/// How long an agent may go on after a call was refused.
const REFUSED: Duration = Duration::from_secs(10);
/// Bytes of a transcript that are looked through for a plan.
const PLAN_BYTES: usize = 1024 * 1024;
/// So long a turn is looked after where nobody said how many minutes a feature may use.
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A checkout on a branch of its own, from the freshest base, with what the repository wants in it.
pub(super) async fn worktree(here: &Here<'_>) -> Result<(), StepError> {
    let worktrees = here.team.worktrees();
    room(here).await?;
    let base = worktrees.refresh(&here.repository.spec).await?;
    let name = &here.repository.spec.name;
    let made = worktrees.create(name, &here.run.id, &here.run.branch, &base).await?;
    set_up(here, &made.path).await?;
    here.done(Step::Worktree, None, vec![RunFact::Base(made.base)]).await
}

/// Makes room within the team's quota, or says clearly that there is none.
async fn room(here: &Here<'_>) -> Result<(), StepError> {
    if !here.team.weighs_now() {
        return Ok(());
    }
    let active: Vec<_> = here.store().active_runs().await?.into_iter().map(|run| run.id).collect();
    match here.team.worktrees().make_room(here.team.options().disk, &active).await {
        Ok(_) => Ok(()),
        Err(error @ WorktreeError::OverQuota { .. }) => Err(StepError::failed(
            FailureClass::Budget,
            format!("{}.", crate::problem::capital(&error.to_string())),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Copies what the repository declares, and runs its set-up script where it is due.
async fn set_up(here: &Here<'_>, cwd: &std::path::Path) -> Result<(), StepError> {
    let setup = &here.repository.setup;
    if *setup == Setup::default() {
        return Ok(());
    }
    let name = &here.repository.spec.name;
    let prepared =
        here.team.worktrees().prepare(name, &here.run.id, setup, Some(&here.repository.source)).await?;
    for refused in &prepared.refused {
        let text = format!("{} is not brought into the worktree: {}.", refused.path, refused.why);
        here.transcript()?.append(Kind::System, &text)?;
    }
    let Some(due) = prepared.due else { return Ok(()) };
    let script = CheckSpec {
        name: "set-up".into(),
        command: due.script,
        limit: SETUP_LIMIT,
        env_allow: Vec::new(),
        tail: here.team.options().runs.log_lines,
    };
    let result = super::checks::run_one(here, &script, cwd, 0).await?;
    if !result.passed() {
        return Err(StepError::failed(
            FailureClass::Tool,
            format!("{}.", result.to_string().trim_end_matches('.')),
        ));
    }
    Ok(here.team.worktrees().set_up(name, &here.run.id, &due.key).await?)
}

/// The agent's turn: a plan first where one is wanted, then the work; in a repair round with the failing check's log,
/// after a conflict with the conflicting parts.
pub(super) async fn agent(here: &Here<'_>) -> Result<(), StepError> {
    if let Some(merged) = reverts(here).await? {
        return take_back(here, &merged).await;
    }
    if !budget::left(here).await? {
        return Ok(());
    }
    let mode = here.feature.wanted.plan;
    if answer::is_question(here) {
        return answer::answer(here).await;
    }
    if mode == PlanMode::Page {
        return propose(here).await;
    }
    if mode != PlanMode::None && here.run.plan.is_none() {
        return if mode == PlanMode::Goal { propose(here).await } else { write_plan(here).await };
    }
    if mode.asks() && here.run.plan_accepted.is_none() {
        return plan::accepted(here).await;
    }
    let failing = failing(here, here.team.options().runs.log_lines);
    let feedback = here
        .run
        .feedback
        .as_ref()
        .map(|feedback| prompt::Feedback { about: feedback.about.clone(), text: feedback.text.clone() });
    let turn = match (&failing, &feedback) {
        (Some(failing), _) => Turn::Repair(failing),
        (None, Some(feedback)) => Turn::Return(feedback),
        (None, None) => Turn::Work,
    };
    let end = take_turn(here, turn).await?;
    let words = Some(end.words).filter(|words| !words.trim().is_empty());
    let note = qd_board::why::minutes(end.took.as_secs());
    let worked = RunFact::Worked(millis(end.took));
    here.done(Step::Agent, Some(note), vec![RunFact::Words(words), worked]).await
}

/// The merge that this feature takes back, if that is what it is for and it was not done yet.
async fn reverts(here: &Here<'_>) -> Result<Option<CommitId>, StepError> {
    let source = here.feature.wanted.source.as_ref().filter(|source| source.kind == SourceKind::Revert);
    let Some(source) = source.filter(|_| here.run.round == 0) else { return Ok(None) };
    let gone = || StepError::failed(FailureClass::Validation, format!("{} is not merged.", source.reference));
    let id: FeatureId = source.reference.parse().map_err(|_| gone())?;
    let run = here.store().snapshot(&id, jiff::Timestamp::now()).await?.run.ok_or_else(gone)?;
    match run.end {
        Some(RunEnd::Merged { commit }) => Ok(Some(commit)),
        _ => Err(gone()),
    }
}

/// Takes a merge back. The agent works only where later work builds on it.
async fn take_back(here: &Here<'_>, merged: &CommitId) -> Result<(), StepError> {
    let name = &here.repository.spec.name;
    let brought = here.team.worktrees().revert(name, &here.run.id, merged).await?;
    if brought.files.is_empty() {
        let text = format!("Took back {merged}.");
        here.transcript()?.append(Kind::System, &text)?;
        return here.done(Step::Agent, Some("taken back".into()), vec![RunFact::Words(None)]).await;
    }
    let about = format!("the conflict with later work in {}", brought.files.join(", "));
    let feedback = prompt::Feedback { about, text: brought.hunks };
    let end = take_turn(here, Turn::Return(&feedback)).await?;
    let worked = RunFact::Worked(millis(end.took));
    here.done(Step::Agent, Some("taken back".into()), vec![RunFact::Words(Some(end.words)), worked]).await
}

/// The agent writes a plan. The step goes on after it.
async fn write_plan(here: &Here<'_>) -> Result<(), StepError> {
    let wrong = here.run.feedback.as_ref().map(|feedback| feedback.text.as_str());
    let end = take_turn(here, Turn::Plan(wrong)).await?;
    let text = said(here)?;
    if text.trim().is_empty() {
        let class = FailureClass::of_words(&end.words);
        return Err(StepError::failed(class, format!("{} wrote no plan.", here.run.agent)));
    }
    if let Some(no) = plan::denied(here, &text).await? {
        return Err(StepError::failed(FailureClass::GaveUp, format!("The same plan again. {no}")));
    }
    let worked = RunFact::Worked(millis(end.took));
    Ok(here.store().note(&here.run.id, vec![RunFact::Plan(text), worked]).await?)
}

/// The agent proposes features for a goal. What can't be taken goes back to it with the reason. As a page it is all that the
/// agent's step brings; else people are asked about it within the step.
async fn propose(here: &Here<'_>) -> Result<(), StepError> {
    let options = here.team.options();
    let said_of_it = here.run.feedback.as_ref().map(|feedback| feedback.text.clone());
    let red = || failing(here, options.runs.log_lines).map(|check| format!("{}: {}", check.name, check.log));
    let mut wrong = page::told(here, said_of_it.or_else(red));
    for _ in 0..=options.runs.repair_rounds {
        let end = take_turn(here, Turn::Goal(wrong.as_deref())).await?;
        let worked = RunFact::Worked(millis(end.took));
        let text = goal::proposal(&said(here)?);
        let read = match page::is_page(here) {
            true => page::wrong(here, &text).await?.map_or(Ok(()), Err),
            false => goal::read(&here.feature.id, &options.name, &text)
                .map(drop)
                .map_err(|error| error.to_string()),
        };
        let read = match (read, plan::denied(here, &text).await?) {
            (Ok(()), Some(no)) => Err(format!("This was proposed before. {}", no.trim_end_matches('.'))),
            (read, _) => read,
        };
        match read {
            Ok(()) if page::is_page(here) => {
                let words = RunFact::Words(Some(text.clone()));
                let facts = vec![RunFact::Plan(text), words, worked];
                return here.done(Step::Agent, Some("proposed".into()), facts).await;
            }
            Ok(()) => return Ok(here.store().note(&here.run.id, vec![RunFact::Plan(text), worked]).await?),
            Err(error) => {
                here.store().note(&here.run.id, vec![worked]).await?;
                here.transcript()?.append(Kind::System, &format!("The proposal can't be taken. {error}."))?;
                wrong = Some(error);
            }
        }
    }
    let (agent, wrong) = (crate::problem::capital(&here.run.agent), wrong.unwrap_or_default());
    Err(StepError::failed(
        FailureClass::GaveUp,
        format!("{agent} proposed nothing that can be taken: {wrong}."),
    ))
}

/// What the agent said in its newest turn, as far as it is kept.
pub(super) fn said(here: &Here<'_>) -> Result<String, StepError> {
    let path = here.team.folder(&here.run.id).transcript();
    let entries = qd_agents::transcript::newest(&path, PLAN_BYTES)?;
    let from = entries.iter().rposition(|entry| entry.kind == Kind::Prompt).map_or(0, |index| index + 1);
    let said = entries.get(from..).unwrap_or_default().iter().filter(|entry| entry.kind == Kind::Output);
    Ok(said.map(|entry| entry.text.as_str()).collect::<Vec<_>>().join("\n"))
}

/// What kind of turn it is, in a word that stays.
fn kind(turn: &Turn<'_>) -> &'static str {
    match turn {
        Turn::Work => "work",
        Turn::Plan(_) => "plan",
        Turn::Goal(_) => "goal",
        Turn::Answer(_) => "answer",
        Turn::Repair(_) => "repair",
        Turn::Return(_) => "return",
    }
}

/// One turn of the agent.
pub(super) async fn take_turn(here: &Here<'_>, turn: Turn<'_>) -> Result<AgentEnd, StepError> {
    let options = here.team.options();
    let Some(agent) = options.agents.get(&here.run.agent).cloned() else {
        let reason = format!("No agent {} is configured any more.", here.run.agent);
        return Err(StepError::failed(FailureClass::Tool, reason));
    };
    let name = &here.repository.spec.name;
    let Some(worktree) = here.team.worktrees().find(name, &here.run.id).await? else {
        return Err(StepError::failed(FailureClass::Dependency, "The run's worktree is gone."));
    };
    let metering = here.team.metering();
    if options.metering.is_some() && metering.is_none() {
        return Err(StepError::Again("the metering gateway does not work".into()));
    }
    let metered = metering.as_ref().map(|metering| metering.turn(&here.run.id, &here.feature)).transpose();
    let mut metered = metered.map_err(|error| StepError::Again(error.into()))?;
    let decided = decided(here).await?;
    let told = context::of(&worktree.path, &here.feature);
    for left_out in &told.left_out {
        here.transcript()?.append(Kind::System, left_out)?;
    }
    let lessons = lessons::told(here.team, name).await;
    let facts = prompt::Facts { decided, context: told.files, lessons, ..facts(here).await? };
    let watch = Watch::new(left(here).await?);
    let desk = Desk {
        team: here.team.clone(),
        run: here.run.id.clone(),
        agent: here.run.agent.clone(),
        feature: here.feature.clone(),
        known: known(here),
        watch: Arc::clone(&watch),
    };
    let mut secrets = agent.secrets();
    secrets.extend(metered.iter().map(|turn| turn.metered.token.clone()));
    let served = tools(here, &worktree, metering.as_deref(), secrets).await?;
    let is_metered = metered.as_ref().is_some_and(|turn| agent.is_metered(&turn.metered));
    let within =
        walls(here, agent.as_ref(), (kind(&turn), is_metered), &worktree.path, served.as_ref()).await?;
    let (confined, token) = match within {
        Some(Walled { confined, token }) => (Some(confined), token),
        None => (None, None),
    };
    if let (Some(turn), Some(token)) = (&mut metered, token) {
        turn.take_over(token, &here.feature);
    }
    let task = Task {
        run: here.run.id.clone(),
        model: here.run.model.clone(),
        confined,
        cwd: worktree.path,
        home: options.home(&here.run.id),
        prompt: prompt::build(&facts, turn),
        prompt_file: here.team.folder(&here.run.id).prompt(here.run.round),
        metered: metered.as_ref().map(|turn| turn.metered.clone()),
        permissions: Arc::new(desk),
    };
    if agent.needs_walls()
        && let Some(why) = options.refuses_unasked(task.confined.as_ref())
    {
        let name = crate::problem::capital(agent.name());
        let reason = format!("{name} never asks before it does something, so {why}.");
        return Err(StepError::failed(FailureClass::Tool, reason));
    }
    let _exposed = options.exposed(task.confined.as_ref());
    let mut transcript = here.transcript()?;
    let keeper = here.keeper();
    here.team.worktrees().guard_before(name, &here.run.id).await?;
    let from = length(here).await;
    let worked = tokio::select! {
        worked = agent.work(task, &mut transcript, &keeper, here.stop.clone()) => Ok(worked),
        // Its processes are killed when its work is dropped.
        repeats = repeats(here, from) => Err(Cut::Repeats(repeats)),
        minutes = spent(here, &watch) => Err(Cut::Spent(minutes)),
        () = refused(here) => Err(Cut::Refused),
        () = rest::held_back(here) => Err(Cut::HeldBack),
    };
    drop(transcript);
    // The tokens end with the turn.
    drop((metered, served));
    options.reap(&here.run.id).await;
    permissions::withdraw(here.team, &here.run.id).await?;
    crate::spending::note(here.team, &here.run.id).await?;
    let was_refused = metering.is_some_and(|metering| metering.was_refused(&here.run.id));
    let worked = match worked {
        // An agent may tell it as an error of its session.
        Ok(Err(AgentError::Acp { .. })) if was_refused => Err(Cut::Refused),
        worked => worked,
    };
    let worked = match worked {
        Ok(worked) => worked,
        Err(Cut::Refused) => {
            crate::reconcile::end_leftover(here.team, &here.run.id).await.map_err(StepError::Again)?;
            return anew(here, millis(watch.counted())).await;
        }
        Err(Cut::Spent(minutes)) => {
            crate::reconcile::end_leftover(here.team, &here.run.id).await.map_err(StepError::Again)?;
            let text = format!("Its budget of {minutes} min is used up.");
            here.transcript()?.append(Kind::System, &text)?;
            here.store().note(&here.run.id, vec![RunFact::Worked(millis(watch.counted()))]).await?;
            guarded(here).await?;
            return Err(StepError::Anew);
        }
        Err(Cut::HeldBack) => {
            crate::reconcile::end_leftover(here.team, &here.run.id).await.map_err(StepError::Again)?;
            let feature = here.store().snapshot(&here.feature.id, jiff::Timestamp::now()).await?.feature;
            let why = feature.paused.unwrap_or_else(|| "A person has to let it go on.".to_owned());
            here.transcript()?.append(Kind::System, &why)?;
            here.store().note(&here.run.id, vec![RunFact::Worked(millis(watch.counted()))]).await?;
            guarded(here).await?;
            return Err(StepError::Anew);
        }
        Err(Cut::Repeats(repeats)) => {
            here.store().note(&here.run.id, vec![RunFact::Worked(millis(watch.counted()))]).await?;
            crate::reconcile::end_leftover(here.team, &here.run.id).await.map_err(StepError::Again)?;
            here.transcript()?.append(Kind::System, &format!("It went round in circles: {repeats}."))?;
            guarded(here).await?;
            let agent = crate::problem::capital(agent.name());
            let reason = format!("{agent} went round in circles: it said {repeats}.");
            return Err(StepError::failed(FailureClass::GaveUp, reason));
        }
    };
    guarded(here).await?;
    let end = worked.map_err(|error| {
        StepError::failed(FailureClass::Tool, format!("{}.", crate::problem::capital(&chain(&error))))
    })?;
    here.store().set_process(&here.run.id, None).await?;
    crate::spending::own(here.team, &here.run.id, end.own).await?;
    match end.ended {
        Ended::Stopped => Err(StepError::Stopped),
        // What it could not do for want of budget is still to be done.
        _ if was_refused => anew(here, millis(end.took)).await,
        Ended::TimeLimit(_) => Err(StepError::failed(FailureClass::TimeLimit, end.sentence(agent.name()))),
        // It asked for more than it waited for: what people decide is its next turn.
        _ if calls::waits(here.team, &here.run.id).await? => {
            here.transcript()?.append(Kind::System, "It goes on when people have decided.")?;
            here.store().note(&here.run.id, vec![RunFact::Worked(millis(end.took))]).await?;
            Err(StepError::Anew)
        }
        // An exit code proves nothing: the diff and the checks decide.
        Ended::Exited(_) | Ended::Signalled(_) | Ended::Turn(_) => Ok(end),
    }
}

/// Why a turn is cut short.
enum Cut {
    Repeats(Repeats),
    /// So many minutes were allowed.
    Spent(u32),
    /// A call of a model was refused for its budget.
    Refused,
    /// It was told no too often, or nobody decided in time.
    HeldBack,
}

/// The turn is taken anew as soon as it may spend more.
async fn anew(here: &Here<'_>, worked: u64) -> Result<AgentEnd, StepError> {
    here.transcript()?.append(Kind::System, "A call of its model was refused: a budget is used up.")?;
    here.store().note(&here.run.id, vec![RunFact::Worked(worked)]).await?;
    guarded(here).await?;
    Err(StepError::Anew)
}

/// Ends some time after a call was refused: an agent that can't go on is given time to say so.
async fn refused(here: &Here<'_>) {
    let Some(metering) = here.team.metering() else { return std::future::pending().await };
    metering.refused(&here.run.id).await;
    tokio::time::sleep(REFUSED).await;
}

pub(super) fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Ends when the feature's minutes are used up, by what it worked before and works now; never, if nobody said how many.
async fn spent(here: &Here<'_>, watch: &Watch) -> u32 {
    let Some(minutes) = here.feature.wanted.budget.minutes else { return std::future::pending().await };
    watch.run_out().await;
    minutes
}

/// What is left of the feature's minutes.
async fn left(here: &Here<'_>) -> Result<Duration, StepError> {
    let Some(minutes) = here.feature.wanted.budget.minutes else { return Ok(UNLIMITED) };
    let worked = here.store().worked(&here.feature.id).await?;
    Ok(Duration::from_secs(u64::from(minutes) * 60).saturating_sub(worked))
}

/// What people decided about the agent's wishes while it was gone. Waits for those that are still open: without them it
/// would only ask again.
async fn decided(here: &Here<'_>) -> Result<Vec<String>, StepError> {
    let (mut commits, mut stop) = (here.store().commits(), here.stop.clone());
    loop {
        commits.borrow_and_update();
        if permissions::open(here.team, &here.run.id).await?.is_empty() {
            return Ok(permissions::decided(here.team, &here.run.id).await?);
        }
        tokio::select! {
            changed = qd_store::Store::changed(&mut commits) => changed?,
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// Beginnings of commands that the agent may run without asking: those of the configuration, and the checks that its work
/// must pass.
fn known(here: &Here<'_>) -> Vec<Vec<String>> {
    let options = here.team.options();
    let own = options.commands.get(&here.run.agent).cloned().unwrap_or_default();
    let checks = here.checks().into_iter().filter_map(|check| match Command::parse(&check.command) {
        Command::Plain(words) => Some(words),
        Command::Unclear(_) => None,
    });
    own.into_iter().chain(checks).collect()
}

/// How long the run's transcript is.
async fn length(here: &Here<'_>) -> u64 {
    let path = here.team.folder(&here.run.id).transcript();
    let end = tokio::task::spawn_blocking(move || qd_agents::transcript::end(&path)).await;
    // Read from the beginning, it only has more to look at.
    end.ok().and_then(Result::ok).unwrap_or_default()
}

/// Follows what the agent says from here on, and ends when it says the same over and over.
async fn repeats(here: &Here<'_>, mut from: u64) -> Repeats {
    let path = here.team.folder(&here.run.id).transcript();
    let mut watch = Repetition::new(REPEATS);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let path = path.clone();
        let read =
            tokio::task::spawn_blocking(move || qd_agents::transcript::read(&path, from, PLAN_BYTES)).await;
        // A transcript that can't be read now is read the next time.
        let Ok(Ok(page)) = read else { continue };
        from = page.next;
        for entry in page.entries.iter().filter(|entry| entry.kind == Kind::Output) {
            if let Some(repeats) = entry.text.lines().find_map(|line| watch.feed(line)) {
                return repeats;
            }
        }
    }
}

/// Looks for what the agent touched outside of its worktree. What can be put back is; any of it fails the run.
async fn guarded(here: &Here<'_>) -> Result<(), StepError> {
    let name = &here.repository.spec.name;
    let violations = here.team.worktrees().guard_after(name, &here.run.id).await?;
    if violations.is_empty() {
        return Ok(here.team.worktrees().guard_forget(&here.run.id).await?);
    }
    let mut transcript = here.transcript()?;
    for violation in &violations {
        let back = if violation.put_back { " It is put back." } else { "" };
        transcript.append(Kind::System, &format!("Outside of the worktree: {}.{back}", violation.what))?;
    }
    let grave: Vec<_> = violations.iter().filter(|violation| violation.grave).collect();
    let Some(first) = grave.first() else {
        return Ok(here.team.worktrees().guard_forget(&here.run.id).await?);
    };
    let more = match grave.len() - 1 {
        0 => String::new(),
        more => format!(" And {more} more, see the transcript."),
    };
    let beside: Vec<String> = first.beside.iter().map(ToString::to_string).collect();
    let beside = match beside.as_slice() {
        [] => String::new(),
        runs => format!(" It may have been {}, which worked at the same time.", runs.join(" or ")),
    };
    let agent = crate::problem::capital(&here.run.agent);
    let reason = format!("{agent} wrote outside of its worktree: {}.{beside}{more}", first.what);
    Err(StepError::failed(FailureClass::Violation, reason))
}

async fn facts(here: &Here<'_>) -> Result<prompt::Facts, StepError> {
    let mut depends = Vec::new();
    for dependency in &here.feature.wanted.depends_on {
        let snapshot = here.store().snapshot(&dependency.feature, jiff::Timestamp::now()).await?;
        depends.push(prompt::Outcome {
            id: dependency.feature.clone(),
            title: snapshot.feature.wanted.title,
            outcome: snapshot.why.sentence,
        });
    }
    let wanted = &here.feature.wanted;
    Ok(prompt::Facts {
        id: here.feature.id.clone(),
        title: wanted.title.clone(),
        description: wanted.description.clone(),
        depends,
        checks: here.checks().into_iter().map(|check| check.command).collect(),
        plan: here.run.plan.clone(),
        decided: Vec::new(),
        context: Vec::new(),
        lessons: Vec::new(),
        attachments: wanted.attachments.iter().map(|file| here.team.attachment_path(file)).collect(),
    })
}

/// The first red check of the round before, with the end of its log.
fn failing(here: &Here<'_>, lines: usize) -> Option<FailingCheck> {
    if here.run.repairs() == 0 {
        return None;
    }
    let round = here.run.round.checked_sub(1)?;
    let red = here.run.checks.iter().find(|check| check.round == round && !check.passed)?;
    // A hook of the repository has no command of its own to be told.
    let spec = here.checks().into_iter().find(|spec| spec.name == red.name);
    let command = spec.map_or_else(|| red.name.clone(), |spec| spec.command);
    let path = here.team.folder(&here.run.id).check_log(round, &red.name);
    let log = log_tail(&path, lines);
    Some(FailingCheck { name: red.name.clone(), command, log })
}

/// The last lines of a check's log. One that can't be read is an empty one: the agent is still told which check is red.
pub(super) fn log_tail(path: &std::path::Path, lines: usize) -> String {
    fs::read(path).map(|bytes| tail(&String::from_utf8_lossy(&bytes), lines)).unwrap_or_default()
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n");
    let mut from = last.len().saturating_sub(LOG_BYTES);
    while !last.is_char_boundary(from) {
        from += 1;
    }
    last.get(from..).unwrap_or_default().to_owned()
}

/// The branch moves to the commit that the checks passed on.
pub(super) async fn commit(here: &Here<'_>) -> Result<(), StepError> {
    let commit = checked(here)?;
    if page::is_page(here) {
        // The worktree is the agent's to read in: the page was never in it.
        return here.done(Step::Commit, Some(commit.short().to_owned()), Vec::new()).await;
    }
    here.team.worktrees().commit(&here.repository.spec.name, &here.run.id, commit).await?;
    here.done(Step::Commit, Some(commit.short().to_owned()), Vec::new()).await
}

/// The commit that the checks passed on.
pub(super) fn checked<'a>(here: &'a Here<'_>) -> Result<&'a qd_types::CommitId, StepError> {
    here.run
        .commit
        .as_ref()
        .ok_or_else(|| StepError::failed(FailureClass::Unknown, "The run has no checked commit."))
}
