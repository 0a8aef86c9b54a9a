//! Changes of the board that people have to agree to first. What a person asked for is kept as an approval that binds exactly
//! that change, and the state of the feature that it is made to; when they said yes it is made, once, in that person's name.

use jiff::Timestamp;
use qd_api::{EditProject, ImportFile, MoveFeature, NewRecurring, Problem};
use qd_approvals::{Ask, Asked, Authorised, EffectState, Outcome, Probe, Record, WHOLE};
use qd_board::{EditFeature, NewFeature, Project};
use qd_engine::{Principal, Resource};
use qd_store::{Keeper, Store, StoreError};
use qd_types::{
    Action, ApprovalId, ApprovalState, Call, FeatureId, Identity, Person, RunId, SpentGrant, Subject, Tier,
    Tool, Verb,
};
use qd_wire::v1::{BoardCommand, Limited, Passage, Remark};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{
    own::{About, Quorum, Ruled, sha256},
    problem,
    team::{Answer, Caller, Team},
};

/// Before the name of what would be done.
const PREFIX: &str = "board.";
/// What people agree to, where there is no other definition.
const DEFINITION: &str = "a change of the board, as the local API makes it";
/// Changes of one person that may wait at once.
const WAITING: usize = 5;

/// A change of the board as a value: what its approval binds, and what is done when it is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    AddFeature(NewFeature),
    EditFeature { id: FeatureId, edit: EditFeature, reason: Option<String> },
    MoveFeature { id: FeatureId, to: MoveFeature },
    CancelFeature { id: FeatureId, reason: Option<String> },
    PauseFeature { id: FeatureId, why: Option<String> },
    ResumeFeature { id: FeatureId },
    RevertFeature { id: FeatureId, why: Option<String> },
    Comment { id: FeatureId, text: String },
    Import(ImportFile),
    AddProject(Project),
    EditProject { name: String, edit: EditProject },
    RemoveProject { name: String },
    AddRecurring(NewRecurring),
    RunRecurring { name: String },
    SuspendRecurring { name: String },
    ResumeRecurring { name: String },
    RemoveRecurring { name: String },
    PauseTeam { why: Option<String> },
    ResumeTeam,
    StopRun { id: RunId },
    StopOperation { id: u64 },
    RetryOperation { id: u64 },
    DropOperation { id: u64 },
    PrunePreserved { days: Option<u32> },
    RetryFeature { id: FeatureId },
    LimitTeam { limit: Limited, most: Option<u32> },
    Release { count: Option<u32> },
    Reload,
    Guide { id: FeatureId, text: Passage, remark: Remark, said: Option<String> },
    Ask { id: String, question: Passage },
}

impl Change {
    /// What the policies are asked.
    pub(crate) fn verb(&self) -> Verb {
        match self {
            Self::AddFeature(_) => Verb::FeatureAdd,
            Self::EditFeature { .. } => Verb::FeatureEdit,
            Self::MoveFeature { .. } => Verb::FeatureMove,
            Self::CancelFeature { .. } => Verb::FeatureCancel,
            Self::PauseFeature { .. } => Verb::FeaturePause,
            Self::ResumeFeature { .. } => Verb::FeatureResume,
            Self::RevertFeature { .. } => Verb::FeatureRevert,
            Self::Comment { .. } => Verb::FeatureComment,
            Self::Import(_) => Verb::FeatureImport,
            Self::AddProject(_) => Verb::ProjectAdd,
            Self::EditProject { .. } => Verb::ProjectEdit,
            Self::RemoveProject { .. } => Verb::ProjectRemove,
            Self::AddRecurring(_) => Verb::RecurringAdd,
            Self::RunRecurring { .. } => Verb::RecurringRun,
            Self::SuspendRecurring { .. } => Verb::RecurringSuspend,
            Self::ResumeRecurring { .. } => Verb::RecurringResume,
            Self::RemoveRecurring { .. } => Verb::RecurringRemove,
            Self::PauseTeam { .. } => Verb::TeamPause,
            Self::ResumeTeam => Verb::TeamResume,
            Self::StopRun { .. } => Verb::RunStop,
            Self::StopOperation { .. } => Verb::OperationStop,
            Self::RetryOperation { .. } => Verb::OperationRetry,
            Self::DropOperation { .. } => Verb::OperationDrop,
            Self::PrunePreserved { .. } => Verb::PreservedPrune,
            Self::RetryFeature { .. } => Verb::OperationRetry,
            Self::LimitTeam { .. } => Verb::TeamLimit,
            Self::Release { .. } => Verb::FeatureMove,
            Self::Reload => Verb::ConfigReload,
            Self::Guide { .. } => Verb::RunGuide,
            Self::Ask { .. } => Verb::TeamAsk,
        }
    }

    /// The feature that it is made to.
    fn feature(&self) -> Option<&FeatureId> {
        match self {
            Self::EditFeature { id, .. }
            | Self::MoveFeature { id, .. }
            | Self::CancelFeature { id, .. }
            | Self::PauseFeature { id, .. }
            | Self::ResumeFeature { id }
            | Self::RevertFeature { id, .. }
            | Self::Comment { id, .. }
            | Self::RetryFeature { id }
            | Self::Guide { id, .. } => Some(id),
            Self::StopRun { id } => Some(id.feature()),
            _ => None,
        }
    }

    /// What it is made to, in words.
    fn target(&self) -> String {
        match self {
            Self::AddFeature(new) => new.wanted.title.clone(),
            Self::Import(file) => file.name.clone().unwrap_or_else(|| "a file".to_owned()),
            Self::AddProject(project) => project.name.clone(),
            Self::AddRecurring(new) => new.name.clone(),
            Self::EditProject { name, .. }
            | Self::RemoveProject { name }
            | Self::RunRecurring { name }
            | Self::SuspendRecurring { name }
            | Self::ResumeRecurring { name }
            | Self::RemoveRecurring { name } => name.clone(),
            Self::StopRun { id } => format!("run {id}"),
            Self::StopOperation { id } | Self::RetryOperation { id } | Self::DropOperation { id } => {
                format!("operation {id}")
            }
            Self::PauseTeam { .. } | Self::ResumeTeam | Self::LimitTeam { .. } => "the team".to_owned(),
            Self::Release { .. } => "the backlog".to_owned(),
            Self::Reload => "the configuration".to_owned(),
            Self::PrunePreserved { .. } => "preserved work".to_owned(),
            Self::Ask { question, .. } => question.as_str().to_owned(),
            of_feature => of_feature.feature().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Makes it, in the name of whoever asked for it. Says what came of it.
    async fn carry_out(self, team: &Team, caller: &Caller, paid: &SpentGrant) -> Answer<String> {
        let told = |id: &FeatureId| format!("{id} is changed.");
        Ok(match self {
            Self::AddFeature(new) => format!("{} is filed.", team.add(caller, new).await?.feature.id),
            Self::EditFeature { id, edit, reason } => {
                told(&team.edit(caller, &id, edit, reason).await?.feature.id)
            }
            Self::MoveFeature { id, to } => told(&team.move_to(caller, &id, to).await?.feature.id),
            Self::CancelFeature { id, reason } => told(&team.cancel(caller, &id, reason).await?.feature.id),
            Self::PauseFeature { id, why } => told(&team.pause_feature(caller, &id, why).await?.feature.id),
            Self::ResumeFeature { id } => told(&team.resume_feature(caller, &id).await?.feature.id),
            Self::RevertFeature { id, why } => {
                format!("{} is filed.", team.revert(caller, &id, why).await?.feature.id)
            }
            Self::Comment { id, text } => {
                team.comment(caller, &id, &text).await?;
                told(&id)
            }
            Self::Import(file) => {
                team.import(caller, file).await?;
                "The file is imported.".to_owned()
            }
            Self::AddProject(new) => {
                format!("{} is added.", team.add_project(caller, new).await?.project.name)
            }
            Self::EditProject { name, edit } => {
                team.edit_project(caller, &name, edit).await?;
                format!("{name} is changed.")
            }
            Self::RemoveProject { name } => {
                team.remove_project(caller, &name).await?;
                format!("{name} is removed.")
            }
            Self::AddRecurring(new) => {
                let name = new.name.clone();
                team.add_recurring(caller, new).await?;
                format!("{name} is added.")
            }
            Self::RunRecurring { name } => {
                format!("{} is filed.", team.run_recurring(caller, &name).await?.feature.id)
            }
            Self::SuspendRecurring { name } => {
                team.suspend_recurring(caller, &name).await?;
                format!("{name} stands still.")
            }
            Self::ResumeRecurring { name } => {
                team.resume_recurring(caller, &name).await?;
                format!("{name} goes on.")
            }
            Self::RemoveRecurring { name } => {
                team.remove_recurring(caller, &name).await?;
                format!("{name} is removed.")
            }
            Self::PauseTeam { why } => {
                team.pause(caller, why).await?;
                "The team is paused.".to_owned()
            }
            Self::ResumeTeam => {
                team.resume(caller).await?;
                "The team goes on.".to_owned()
            }
            Self::StopRun { id } => {
                team.stop(caller, &id).await?;
                format!("{id} stops.")
            }
            Self::StopOperation { id } => {
                team.stop_operation(caller, id).await?;
                format!("Operation {id} stops.")
            }
            Self::RetryOperation { id } => {
                team.retry_operation(caller, id).await?;
                format!("Operation {id} is tried again.")
            }
            Self::DropOperation { id } => {
                team.drop_operation(caller, id).await?;
                format!("Operation {id} is dropped.")
            }
            Self::PrunePreserved { days } => {
                format!("{} were let go of.", team.prune_preserved(caller, days).await?.len())
            }
            Self::RetryFeature { id } => {
                team.commanded(caller, BoardCommand::Retry { feature: id.clone() }, paid).await?;
                format!("{id} is tried again.")
            }
            Self::LimitTeam { limit, most } => {
                let told = team.commanded(caller, BoardCommand::LimitTeam { limit, most }, paid).await?;
                team.beat_now();
                told.unwrap_or_default()
            }
            Self::Reload => {
                team.reload_wanted();
                "The configuration is read again.".to_owned()
            }
            Self::Release { count } => {
                let told = team.commanded(caller, BoardCommand::Release { count }, paid).await?;
                told.unwrap_or_default()
            }
            Self::Guide { id, text, remark, said } => {
                let guide = BoardCommand::Guide { feature: id.clone(), text, remark, said };
                team.commanded(caller, guide, paid).await?;
                format!("The run of {id} is told.")
            }
            Self::Ask { id, question } => {
                team.commanded(caller, BoardCommand::Ask { id, question }, paid).await?;
                "The question is asked.".to_owned()
            }
        })
    }
}

impl Team {
    /// Nothing if the caller may do this now. Where people have to agree first, they are asked, and the answer says so: the
    /// change is made when they did. An agent asks through its tools, not here.
    pub(crate) async fn permitted(
        &self,
        caller: &Caller,
        verb: Verb,
        change: impl FnOnce() -> Change,
    ) -> Answer<()> {
        let Err(refused) = self.permit(caller, verb) else { return Ok(()) };
        let principal = Principal::Person(caller.person.clone());
        match self.ruled(principal, verb, Resource::Team(self.name())) {
            Ruled::Ask(_) if caller.granted == Some(verb) => Ok(()),
            Ruled::Ask(quorum) if caller.agent.is_none() => {
                Err(self.ask_for(caller, change(), &quorum).await.unwrap_or_else(|problem| problem))
            }
            _ => Err(refused),
        }
    }

    /// Asks people about a change, unless they are asked already. The answer says who decides.
    async fn ask_for(&self, caller: &Caller, change: Change, quorum: &Quorum) -> Answer<Problem> {
        let who = quorum.ask.requirement.describe();
        let (keeper, ask) = match self.request_for(&caller.person, None, change, quorum).await? {
            Wanted::Already(id) => return Ok(problem::asked(&id.key(), &who)),
            Wanted::New(request) => *request,
        };
        match self.store().ask(&keeper, ask, Timestamp::now()).await.map_err(problem::from_store)? {
            Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => {
                self.changes_wait();
                Ok(problem::asked(&id.key(), &who))
            }
            Asked::Refused(refusal) => Err(problem::refused(refusal.to_string())),
        }
    }

    /// The request that people are asked with about a change, in this person's name; `account` is the one with which they said
    /// so, if it was not here. The error is why nobody can be asked.
    pub(crate) async fn request_for(
        &self,
        person: &Person,
        account: Option<Identity>,
        change: Change,
        quorum: &Quorum,
    ) -> Answer<Wanted> {
        let now = Timestamp::now();
        let live = self.store().own_live(&self.keeper(), now).await.map_err(problem::from_store)?;
        let mine = |record: &&Record| record.approval.subject.requesters.first() == Some(&person.id);
        let mine: Vec<&Record> = live.iter().filter(|record| is_change(record)).filter(mine).collect();
        if let Some(same) =
            mine.iter().find(|record| change_of(&record.approval.subject).as_ref() == Some(&change))
        {
            return Ok(Wanted::Already(same.id().clone()));
        }
        if mine.len() >= WAITING {
            let text = format!("{WAITING} changes of yours wait for people already.");
            return Err(problem::refused(text));
        }
        let fresh = Ulid::generate();
        // Far from any run, and never the same twice: who was refused may ask again another day.
        let number = u32::try_from(fresh.random() & 0x0fff_ffff).unwrap_or(1).max(1);
        let mut askers = vec![Identity { service: "local".into(), account: person.id.to_string() }];
        askers.extend(account.filter(|account| !askers.contains(account)));
        let asker = Asker { person, askers, run: RunId::new(nowhere()?, number) };
        let subject = self.change_subject(&change, asker, quorum).await?;
        if let Some(reason) = self.unreachable(&subject) {
            return Err(problem::forbidden(format!(
                "People would have to agree, and nobody could: {reason}"
            )));
        }
        Ok(Wanted::New(Box::new(self.request(subject, quorum, None))))
    }

    /// How what it is made to stands now: a change that was agreed to is not made to anything else.
    async fn stands(&self, change: &Change) -> Answer<String> {
        if let Change::Guide { id, .. } = change {
            // It is for the run that works on it now, however far that is.
            let run = self.feature(id).await?.run.filter(|run| run.end.is_none());
            let nobody =
                || problem::refused(format!("No run works on {id}: say it in its description, by an edit."));
            return run.map(|run| format!("run {}", run.id)).ok_or_else(nobody);
        }
        if let Some(id) = change.feature() {
            let snapshot = self.store().snapshot(id, Timestamp::now()).await;
            return Ok(format!("version {}", snapshot.map_err(problem::from_store)?.feature.version));
        }
        match change {
            Change::EditProject { name, .. } | Change::RemoveProject { name } => {
                Ok(format!("version {}", self.project(name).await?.version))
            }
            Change::StopOperation { id } | Change::RetryOperation { id } | Change::DropOperation { id } => {
                Ok(self.operation(*id).await?.observed.to_string())
            }
            _ => Ok("as it is".to_owned()),
        }
    }

    /// All that an approval of the change binds, as it is now.
    async fn change_subject(&self, change: &Change, asker: Asker<'_>, quorum: &Quorum) -> Answer<Subject> {
        let does = format!("{PREFIX}{}", change.verb());
        let about = About {
            action: Action::Tool(Call { does: does.clone(), tier: Tier::Operate }),
            target: change.target(),
            fingerprint: self.stands(change).await?,
            arguments: serde_json::to_value(change).map_err(|error| problem::invalid(error.to_string()))?,
            feature: change.feature().cloned().map_or_else(nowhere, Ok)?,
            run: asker.run,
            requesters: vec![asker.person.id.clone()],
            askers: asker.askers,
        };
        let mut subject = self.subject(about, quorum);
        if let Some(binding) = &mut subject.binding {
            binding.tool = Some(Tool { name: does, definition: sha256(DEFINITION) });
        }
        Ok(subject)
    }

    /// What was asked for, as it would be asked for now.
    pub(crate) async fn change_again(&self, record: &Record) -> Answer<(Subject, Quorum)> {
        let old = &record.approval.subject;
        let (change, person) = self.wanted(old).map_err(problem::refused)?;
        self.rebuilt(&change, &person, old).await
    }

    async fn rebuilt(&self, change: &Change, person: &Person, old: &Subject) -> Answer<(Subject, Quorum)> {
        let resource = self.resource(change.verb());
        match self.ruled(Principal::Person(person.clone()), change.verb(), resource) {
            Ruled::Ask(quorum) => {
                let askers = old.binding.as_ref().map(|binding| binding.askers.clone()).unwrap_or_default();
                let asker = Asker { person, askers, run: old.run.clone() };
                Ok((self.change_subject(change, asker, &quorum).await?, quorum))
            }
            Ruled::Allow => {
                Err(problem::refused("The policies ask nobody about it any more: do it at once."))
            }
            Ruled::Deny(reason) => Err(problem::refused(reason)),
        }
    }

    /// What was asked for, and who asked, as they are known now.
    fn wanted(&self, subject: &Subject) -> Result<(Change, Person), String> {
        let change = change_of(subject).ok_or("This version does not know such a change.")?;
        let person = subject.requesters.first().and_then(|id| self.known(id));
        Ok((change, person.ok_or("Whoever asked for it is not known any more.")?))
    }
}

/// What becomes of the wish to have a change agreed to.
pub(crate) enum Wanted {
    /// The same is asked already.
    Already(ApprovalId),
    /// People are to be asked.
    New(Box<(Keeper, Ask)>),
}

/// Who asks, with what accounts, and as what run it counts.
struct Asker<'a> {
    person: &'a Person,
    askers: Vec<Identity>,
    run: RunId,
}

/// The feature of changes that are made to none.
fn nowhere() -> Answer<FeatureId> {
    FeatureId::new("CHANGE", 1).map_err(|error| problem::invalid(error.to_string()))
}

/// Whether it is about a change of the board.
pub(crate) fn is_change(record: &Record) -> bool {
    matches!(&record.approval.subject.action, Action::Tool(call) if call.does.starts_with(PREFIX))
}

fn change_of(subject: &Subject) -> Option<Change> {
    serde_json::from_value(subject.binding.as_ref()?.arguments.clone()).ok()
}

/// Makes what was granted, until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut commits = team.store().commits();
    if let Err(error) = cut_short(&team).await {
        tracing::error!(%error, "changes that were cut short can't be looked up");
    }
    loop {
        commits.borrow_and_update();
        if team.may_changes_wait()
            && let Err(error) = granted(&team).await
        {
            team.changes_wait();
            tracing::error!(%error, "granted changes can't be made now");
        }
        if Store::changed(&mut commits).await.is_err() {
            return;
        }
    }
}

/// A change that a crash cut short: whether it was made can't be told, so a person is.
async fn cut_short(team: &Team) -> Result<(), StoreError> {
    let (keeper, now) = (team.keeper(), Timestamp::now());
    for effect in team.store().interrupted(&keeper, now).await? {
        let record = team.store().own(&keeper, &effect.approval.key(), now).await?;
        if effect.state == EffectState::UnderWay && record.as_ref().is_some_and(is_change) {
            let probe =
                Probe::CantTell("The instance ended while it was made: look at the board.".to_owned());
            team.store().probed(&keeper, (&effect.approval, WHOLE), probe, now).await?;
        }
    }
    Ok(())
}

async fn granted(team: &Team) -> Result<(), StoreError> {
    for record in team.store().own_live(&team.keeper(), Timestamp::now()).await? {
        if is_change(&record) {
            team.changes_wait();
            if record.state() == ApprovalState::Granted {
                make(team, &record).await?;
            }
        }
    }
    Ok(())
}

/// Makes one change that people agreed to, if it is still exactly that.
async fn make(team: &Team, record: &Record) -> Result<(), StoreError> {
    let (store, keeper, id) = (team.store(), team.keeper(), record.id());
    let subject = &record.approval.subject;
    let rebuilt = match team.wanted(subject) {
        Ok((change, person)) => match team.rebuilt(&change, &person, subject).await {
            Ok((rebuilt, _)) => Ok((rebuilt, change, person)),
            Err(problem) => Err(problem.detail),
        },
        Err(reason) => Err(reason),
    };
    let (rebuilt, change, person) = match rebuilt {
        Ok(rebuilt) => rebuilt,
        Err(reason) => return store.withdraw(&keeper, id, &reason, Timestamp::now()).await.map(drop),
    };
    let effect = format!("change/{}", id.key());
    let Authorised::Go(spent) =
        store.authorise(&keeper, (id, WHOLE), rebuilt, &effect, Timestamp::now()).await?
    else {
        return Ok(());
    };
    qd_failpoint::reached("change_spent");
    let caller = Caller {
        person,
        agent: None,
        surface: "approval".to_owned(),
        proof: qd_approvals::Proof::Socket,
        granted: Some(change.verb()),
    };
    let outcome = match change.carry_out(team, &caller, &spent).await {
        Ok(text) => Outcome::Done(text),
        Err(problem) => Outcome::Failed(problem.detail),
    };
    store.finish(&keeper, (id, WHOLE), outcome, Timestamp::now()).await.map(drop)
}
