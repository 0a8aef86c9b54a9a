//! Lessons from failures: a line each, proposed by an agent or a person, kept when people agree, told to every agent that
//! works in the repository. The approval binds the words; a grant is spent before the file grows.

mod file;

use std::time::Duration;

use jiff::Timestamp;
use qd_agents::Redactor;
use qd_api::{LessonState, LessonView, ProposeLesson};
use qd_approvals::{Asked, Authorised, Outcome, Probe, Record, WHOLE};
use qd_engine::Principal;
use qd_store::{Store, StoreError};
use qd_types::{
    Action, ApprovalState, Call, FeatureId, Identity, PersonId, RepositoryName, RunId, Subject, Tier, Verb,
};
use serde_json::json;

use self::file::{File, LONGEST, MOST, key};
use crate::{
    own::{About, Quorum},
    problem,
    team::{Answer, Caller, Team},
};

/// What is approved, by the name of its action.
const DOES: &str = "lesson.add";
/// Decisions that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(100);

/// A lesson that is proposed.
struct Lesson {
    repository: RepositoryName,
    text: String,
}

/// Whoever proposes one.
struct By {
    requesters: Vec<PersonId>,
    askers: Vec<Identity>,
}

/// Writes down what people have agreed to, until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut commits = team.store().commits();
    loop {
        commits.borrow_and_update();
        if let Err(error) = carry_out(&team).await {
            tracing::error!(%error, "lessons could not be looked at, they are looked at again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if Store::changed(&mut commits).await.is_err() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
    }
}

/// What agents that work in the repository are told. A file that can't be read is none.
pub(crate) async fn told(team: &Team, repository: &RepositoryName) -> Vec<String> {
    let file = File::of(&team.options().state, repository);
    let read = tokio::task::spawn_blocking(move || file.read()).await;
    match read {
        Ok(Ok(lessons)) => lessons,
        Ok(Err(error)) => {
            tracing::warn!(%repository, %error, "its lessons can't be read");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

impl Team {
    /// Those that agents are told, by repository, and those that people are asked about.
    pub async fn lessons(&self) -> Answer<Vec<LessonView>> {
        let mut views = Vec::new();
        for repository in self.options().repositories.keys() {
            for text in self.kept(repository)? {
                views.push(Lesson { repository: repository.clone(), text }.view(LessonState::Kept, None));
            }
        }
        let live = self.store().own_live(&self.keeper(), Timestamp::now()).await;
        for record in live.map_err(problem::from_store)? {
            if let Some(lesson) = Lesson::of(&record.approval.subject) {
                views.push(lesson.view(LessonState::Asked, None));
            }
        }
        Ok(views)
    }

    /// Proposes one. Proposing the same again finds the one that stands.
    pub async fn propose_lesson(&self, caller: &Caller, new: ProposeLesson) -> Answer<LessonView> {
        let by = self.may_propose(caller, &new).await?;
        let lesson = self.proposed(new).await?;
        let kept = self.kept(&lesson.repository)?;
        if kept.contains(&lesson.text) {
            return Ok(lesson.view(LessonState::Kept, None));
        }
        if kept.len() >= MOST {
            let text = format!("{} has {MOST} lessons: remove one first.", lesson.repository);
            return Err(problem::refused(text));
        }
        let quorum = self.lesson_quorum().map_err(problem::forbidden)?;
        let about = lesson.about(by)?;
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let asked = self.store().own_of(&keeper, &about.run, now).await.map_err(problem::from_store)?;
        let last = asked.into_iter().rfind(|record| {
            record.approval.subject.binding.as_ref().is_some_and(|binding| binding.target == about.target)
        });
        match last.as_ref().map(Record::state) {
            Some(
                ApprovalState::Requested
                | ApprovalState::Granted
                | ApprovalState::Executing
                | ApprovalState::Expired,
            ) => return Ok(lesson.view(LessonState::Asked, None)),
            Some(ApprovalState::Denied) => {
                let reason = last.and_then(|record| record.reason);
                return Ok(lesson.view(LessonState::Denied, reason));
            }
            _ => {}
        }
        let subject = self.subject(about, &quorum);
        if let Some(reason) = self.unreachable(&subject) {
            return Err(problem::refused(format!("Nobody could agree to it: {reason}")));
        }
        let (keeper, ask) = self.request(subject, &quorum, None);
        match self.store().ask(&keeper, ask, now).await.map_err(problem::from_store)? {
            Asked::Opened(_) | Asked::Queued(_) | Asked::Already(_) => {
                Ok(lesson.view(LessonState::Asked, None))
            }
            Asked::Refused(refusal) => Err(problem::refused(refusal.to_string())),
        }
    }

    /// Removes one that agents are told. Gives what is left.
    pub async fn remove_lesson(&self, caller: &Caller, key: &str) -> Answer<Vec<LessonView>> {
        self.permit(caller, Verb::PlanAccept)?;
        let options = self.options();
        let _alone = self.lessons_alone().await;
        for repository in options.repositories.keys() {
            let removed = File::of(&options.state, repository).remove(key);
            if removed.map_err(|error| problem::internal("removing a lesson", &error))? {
                let text = format!("{} removed the lesson {key} of {repository}.", caller.person.id);
                let said = self.store().say("team", "lesson", text, Timestamp::now()).await;
                said.map_err(problem::from_store)?;
                return self.lessons().await;
            }
        }
        let detail = format!("There is no lesson {key}.");
        Err(problem::not_found(detail, "quarterdeck lesson list shows what there is."))
    }

    fn kept(&self, repository: &RepositoryName) -> Answer<Vec<String>> {
        let read = File::of(&self.options().state, repository).read();
        read.map_err(|error| problem::internal("reading the lessons", &error))
    }

    /// On whose behalf a caller proposes one, if they may. Whoever proposes it does not decide on it.
    async fn may_propose(&self, caller: &Caller, new: &ProposeLesson) -> Answer<By> {
        let Some(name) = &caller.agent else {
            self.permit(caller, Verb::FeatureComment)?;
            return Ok(By { requesters: vec![caller.person.id.clone()], askers: Vec::new() });
        };
        let principal = Principal::Agent { team: self.name(), name: name.clone() };
        self.quorum(principal, Verb::PlanAccept).map_err(problem::forbidden)?;
        let Some(id) = &new.run else {
            return Err(problem::invalid("run: an agent names its own."));
        };
        let run = self.store().run(id).await.map_err(problem::from_store)?;
        if run.agent != *name || run.end.is_some() {
            return Err(problem::forbidden(format!("Run {id} is not one that this agent works in.")));
        }
        let agent = Identity { service: "agent".into(), account: id.to_string() };
        Ok(By { requesters: Vec::new(), askers: vec![agent] })
    }

    /// The lesson as it would be kept: one line, without what looks like a secret.
    async fn proposed(&self, new: ProposeLesson) -> Answer<Lesson> {
        let clean: String = new.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.chars().count() > LONGEST {
            return Err(problem::invalid(format!("text: a lesson has 1 to {LONGEST} characters.")));
        }
        let repository = match (new.repository, &new.run) {
            (Some(named), _) => named,
            (None, Some(run)) => {
                let feature = self.store().snapshot(run.feature(), Timestamp::now()).await;
                feature.map_err(problem::from_store)?.feature.repository
            }
            (None, None) => self
                .options()
                .only_repository()
                .cloned()
                .ok_or_else(|| problem::invalid("repository: the team has several, name one."))?,
        };
        self.known_repository(&repository)?;
        Ok(Lesson { repository, text: Redactor::default().redact(line) })
    }

    /// Whom the policies want asked: it changes what agents are told to do, as an accepted plan does.
    fn lesson_quorum(&self) -> Result<Quorum, String> {
        self.quorum(Principal::Team(self.name()), Verb::PlanAccept)
    }
}

impl Lesson {
    /// The lesson that an approval is about, if it is about one.
    fn of(subject: &Subject) -> Option<Self> {
        let arguments = &subject.binding.as_ref().filter(|_| is_lesson(subject))?.arguments;
        let repository = arguments.get("repository")?.as_str()?.parse().ok()?;
        Some(Self { repository, text: arguments.get("lesson")?.as_str()?.to_owned() })
    }

    fn key(&self) -> String {
        key(&self.repository, &self.text)
    }

    fn view(&self, state: LessonState, reason: Option<String>) -> LessonView {
        let (repository, text) = (self.repository.clone(), self.text.clone());
        LessonView { key: self.key(), repository, text, state, reason }
    }

    /// What is bound. Each is asked for as a run of its own: no feature waits for it, and a no is a no to these words.
    fn about(&self, By { requesters, askers }: By) -> Answer<About> {
        let feature = FeatureId::new("LESSON", 1).map_err(|error| problem::invalid(error.to_string()))?;
        let key = self.key();
        let number = key.get(..7).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
        Ok(About {
            action: Action::Operation(Call { does: DOES.to_owned(), tier: Tier::Operate }),
            target: format!("lesson {key} for {}", self.repository),
            fingerprint: key,
            arguments: json!({ "repository": self.repository, "lesson": self.text }),
            run: RunId::new(feature.clone(), number.max(1)),
            feature,
            requesters,
            askers,
        })
    }
}

/// Whether an approval is about a lesson.
pub(crate) fn is_lesson(subject: &Subject) -> bool {
    matches!(&subject.action, Action::Operation(call) if call.does == DOES)
}

/// A lesson as it would be asked for now; an error says why nobody is asked.
pub(crate) fn again(team: &Team, old: &Subject) -> Result<(Subject, Quorum), String> {
    let quorum = team.lesson_quorum()?;
    let lesson = Lesson::of(old).ok_or("It is no lesson.")?;
    let askers = old.binding.as_ref().map(|binding| binding.askers.clone()).unwrap_or_default();
    let by = By { requesters: old.requesters.clone(), askers };
    let about = lesson.about(by).map_err(|problem| problem.detail)?;
    Ok((team.subject(about, &quorum), quorum))
}

/// Keeps every lesson that people have agreed to, once.
async fn carry_out(team: &Team) -> Result<(), StoreError> {
    let (keeper, now) = (team.keeper(), Timestamp::now());
    for record in team.store().own_live(&keeper, now).await? {
        let granted = matches!(record.state(), ApprovalState::Granted | ApprovalState::Executing);
        if let Some(lesson) = Lesson::of(&record.approval.subject).filter(|_| granted) {
            keep(team, &record, &lesson).await?;
        }
    }
    Ok(())
}

async fn keep(team: &Team, record: &Record, lesson: &Lesson) -> Result<(), StoreError> {
    let (store, keeper, id, now) = (team.store(), team.keeper(), record.id(), Timestamp::now());
    let file = File::of(&team.options().state, &lesson.repository);
    let _alone = team.lessons_alone().await;
    if record.state() == ApprovalState::Executing {
        // A crash came between: the file says whether it was written.
        let there = file.read().is_ok_and(|kept| kept.contains(&lesson.text));
        let probe = if there { Probe::Happened(lesson.key()) } else { Probe::DidNot };
        store.probed(&keeper, (id, WHOLE), probe, now).await?;
        if there {
            return Ok(());
        }
    }
    let rebuilt = match again(team, &record.approval.subject) {
        Ok((subject, _)) => subject,
        Err(reason) => return store.withdraw(&keeper, id, &reason, now).await.map(drop),
    };
    let effect = format!("lesson/{}", id.key());
    match store.authorise(&keeper, (id, WHOLE), rebuilt, &effect, now).await? {
        Authorised::Go(_) => {
            qd_failpoint::reached("lesson_spent");
            let text = lesson.text.clone();
            let written = tokio::task::spawn_blocking(move || file.add(&text)).await;
            qd_failpoint::reached("lesson_kept");
            let outcome = match written {
                Ok(Ok(())) => Outcome::Done(lesson.key()),
                Ok(Err(error)) => Outcome::Failed(format!("It can't be written: {error}.")),
                Err(error) => Outcome::Failed(format!("It was not written: {error}.")),
            };
            store.finish(&keeper, (id, WHOLE), outcome, Timestamp::now()).await.map(drop)
        }
        Authorised::Lapsed { reason, .. } => {
            tracing::info!(lesson = lesson.key(), reason, "the approval of a lesson lapsed");
            Ok(())
        }
        // It would be looked at for ever.
        Authorised::Refused(refusal) => {
            store.withdraw(&keeper, id, &refusal.to_string(), now).await.map(drop)
        }
    }
}
