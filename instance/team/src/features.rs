//! What people do with features: file, edit, move, pause, comment, ask why.

use jiff::Timestamp;
use qd_api::{EventView, FeatureView, MoveFeature, Place, WhyView};
use qd_board::{Budget, Comment, EditFeature, Happened, NewFeature, PlanMode};
use qd_types::{FeatureId, RepositoryName, Stage, Verb};

use crate::{
    asked::Change,
    options::TeamOptions,
    problem, scheduler,
    team::{Answer, Caller, Team},
    views,
};

/// Features in one answer. A board past that is looked at stage by stage.
const LISTED: usize = 10_000;

impl Team {
    /// Features of a stage, or of all, newest first.
    pub async fn features(&self, stage: Option<Stage>) -> Answer<Vec<FeatureView>> {
        let now = Timestamp::now();
        let snapshots = self.store().snapshots(stage, LISTED, now).await.map_err(problem::from_store)?;
        Ok(snapshots.into_iter().map(|snapshot| views::feature(snapshot, now)).collect())
    }

    /// The newest features of each stage, at most `limit` of each, and how many there are.
    pub async fn columns(&self, limit: usize) -> Answer<Vec<(Stage, u64, Vec<FeatureView>)>> {
        let now = Timestamp::now();
        let mut columns = Vec::new();
        for (stage, count) in self.store().counts().await.map_err(problem::from_store)? {
            let snapshots =
                self.store().snapshots(Some(stage), limit, now).await.map_err(problem::from_store)?;
            columns.push((
                stage,
                count,
                snapshots.into_iter().map(|each| views::feature(each, now)).collect(),
            ));
        }
        Ok(columns)
    }

    /// One feature.
    pub async fn feature(&self, id: &FeatureId) -> Answer<FeatureView> {
        let now = Timestamp::now();
        let snapshot = self.store().snapshot(id, now).await.map_err(problem::from_store)?;
        Ok(views::feature(snapshot, now))
    }

    /// Everything that happened to a feature, oldest first.
    pub async fn history(&self, id: &FeatureId) -> Answer<Vec<EventView>> {
        self.feature(id).await?;
        let events = self.store().history(id).await.map_err(problem::from_store)?;
        Ok(events.into_iter().map(views::event).collect())
    }

    /// Files a feature.
    pub async fn add(&self, caller: &Caller, new: NewFeature) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureAdd, || Change::AddFeature(new.clone())).await?;
        self.file(caller, new).await
    }

    async fn file(&self, caller: &Caller, mut new: NewFeature) -> Answer<FeatureView> {
        let options = self.options();
        if new.wanted.plan == PlanMode::Answer && new.wanted.budget == Budget::default() {
            new.wanted.budget = options.runs.question;
        }
        let repository = match (&new.repository, options.only_repository()) {
            (Some(name), _) => {
                self.known_repository(name)?;
                name.clone()
            }
            (None, Some(name)) => name.clone(),
            (None, None) => {
                return Err(problem::invalid(format!(
                    "repository: {} has several, name one of {}.",
                    options.name,
                    known(&options)
                )));
            }
        };
        let now = Timestamp::now();
        let added = self.store().add(&caller.person.id, new, repository, now).await;
        added.map(|snapshot| views::feature(snapshot, now)).map_err(problem::from_store)
    }

    pub(crate) fn known_repository(&self, name: &RepositoryName) -> Answer<()> {
        let options = self.options();
        if options.repositories.contains_key(name) {
            return Ok(());
        }
        let text = format!("repository: {} has no {name}. It has {}.", options.name, known(&options));
        Err(problem::invalid(text))
    }

    /// Edits a feature.
    pub async fn edit(
        &self,
        caller: &Caller,
        id: &FeatureId,
        edit: EditFeature,
        reason: Option<String>,
    ) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureEdit, || Change::EditFeature {
            id: id.clone(),
            edit: edit.clone(),
            reason: reason.clone(),
        })
        .await?;
        self.change(caller, id, edit, reason).await
    }

    /// Edits what the caller may edit.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        id: &FeatureId,
        edit: EditFeature,
        reason: Option<String>,
    ) -> Answer<FeatureView> {
        let now = Timestamp::now();
        let edited = self.store().edit(&caller.person.id, id, edit, reason, now).await;
        edited.map(|snapshot| views::feature(snapshot, now)).map_err(problem::from_store)
    }

    /// Moves a feature.
    pub async fn move_to(&self, caller: &Caller, id: &FeatureId, to: MoveFeature) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureMove, || Change::MoveFeature { id: id.clone(), to: to.clone() })
            .await?;
        self.happen(caller, id, Happened::Moved(to.stage), to.version, to.reason).await
    }

    /// Gives a feature up.
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &FeatureId,
        reason: Option<String>,
    ) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureCancel, || Change::CancelFeature {
            id: id.clone(),
            reason: reason.clone(),
        })
        .await?;
        self.happen(caller, id, Happened::Cancelled, None, reason).await
    }

    async fn happen(
        &self,
        caller: &Caller,
        id: &FeatureId,
        happened: Happened,
        seen: Option<u64>,
        reason: Option<String>,
    ) -> Answer<FeatureView> {
        let now = Timestamp::now();
        let moved = self.store().happen(&caller.person.id, id, happened, seen, reason, now).await;
        moved.map(|snapshot| views::feature(snapshot, now)).map_err(problem::from_store)
    }

    /// Pauses a feature, and everything below it if it is an epic. What runs goes on, nothing of it starts.
    pub async fn pause_feature(
        &self,
        caller: &Caller,
        id: &FeatureId,
        why: Option<String>,
    ) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeaturePause, || Change::PauseFeature {
            id: id.clone(),
            why: why.clone(),
        })
        .await?;
        self.set_paused(caller, id, Some(said(caller, why))).await
    }

    /// Lets a paused feature go on.
    pub async fn resume_feature(&self, caller: &Caller, id: &FeatureId) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureResume, || Change::ResumeFeature { id: id.clone() }).await?;
        self.set_paused(caller, id, None).await
    }

    async fn set_paused(
        &self,
        caller: &Caller,
        id: &FeatureId,
        paused: Option<String>,
    ) -> Answer<FeatureView> {
        let now = Timestamp::now();
        let done = self.store().pause(&caller.person.id, id, paused, now).await;
        done.map(|snapshot| views::feature(snapshot, now)).map_err(problem::from_store)
    }

    /// Files a feature that takes a merged one back: its pull request undoes that merge, and is checked and approved
    /// like any other.
    pub async fn revert(&self, caller: &Caller, id: &FeatureId, why: Option<String>) -> Answer<FeatureView> {
        self.permitted(caller, Verb::FeatureRevert, || Change::RevertFeature {
            id: id.clone(),
            why: why.clone(),
        })
        .await?;
        self.known_repository(&self.feature(id).await?.feature.repository)?;
        let now = Timestamp::now();
        let filed = self.store().revert(&caller.person.id, id, why, now).await;
        filed.map(|snapshot| views::feature(snapshot, now)).map_err(problem::from_store)
    }

    /// The parts of an epic, by number.
    pub async fn parts(&self, id: &FeatureId) -> Answer<Vec<FeatureView>> {
        let now = Timestamp::now();
        let parts = self.store().parts(id, now).await.map_err(problem::from_store)?;
        Ok(parts.into_iter().map(|snapshot| views::feature(snapshot, now)).collect())
    }

    /// Writes a comment.
    pub async fn comment(&self, caller: &Caller, id: &FeatureId, text: &str) -> Answer<Vec<Comment>> {
        self.permitted(caller, Verb::FeatureComment, || Change::Comment {
            id: id.clone(),
            text: text.to_owned(),
        })
        .await?;
        let written = self.store().comment(&caller.person.id, id, text, Timestamp::now()).await;
        written.map_err(problem::from_store)?;
        self.comments(id).await
    }

    /// All comments, oldest first.
    pub async fn comments(&self, id: &FeatureId) -> Answer<Vec<Comment>> {
        self.feature(id).await?;
        self.store().comments(id).await.map_err(problem::from_store)
    }

    /// Why a feature runs now, or what exactly it waits for: the scheduler's own choice, made anew.
    pub async fn why(&self, id: &FeatureId) -> Answer<WhyView> {
        let view = self.feature(id).await?;
        let options = self.options();
        let (ready, said) = scheduler::explain(self).await.map_err(problem::from_store)?;
        let own = said.into_iter().find(|said| said.id == *id);
        let assignment = options.rules.assign(&view.feature);
        let size = options.rules.size(&view.feature);
        Ok(WhyView {
            sentence: view.sentence.clone(),
            waits: view.waits,
            place: own.map(|own| Place { place: own.place, of: ready, because: own.rank.describe() }),
            agent: assignment,
            size: size.map(|(size, by)| format!("{size}, by {by}")),
            clashes: view.clashes.clone(),
            feature: view,
        })
    }
}

/// "mira: wait for the release", or the name alone.
pub(crate) fn said(caller: &Caller, why: Option<String>) -> String {
    let name = caller.person.id.as_str();
    match why.map(|why| why.trim().to_owned()).filter(|why| !why.is_empty()) {
        Some(why) => format!("{name}: {why}"),
        None => format!("by {name}"),
    }
}

fn known(options: &TeamOptions) -> String {
    let names: Vec<&str> = options.repositories.keys().map(qd_types::RepositoryName::as_str).collect();
    names.join(", ")
}
