//! Recurring features: what people do with them, and looking whether one is due.

use jiff::Timestamp;
use qd_api::{FeatureView, NewRecurring, RecurringView};
use qd_board::{
    calendar::Schedule,
    recurring::{Decision, Recurring, due},
};
use qd_store::{RecurringRow, StoreError};
use qd_types::{PersonId, Verb};

use crate::{
    asked::Change,
    problem,
    team::{Answer, Caller, Team},
};

/// Files what is due now. On whose behalf is in each template's feature: nobody's but the team's.
pub(crate) async fn file_due(team: &Team) -> Result<(), StoreError> {
    let options = team.options();
    let Ok(author) = "team".parse::<PersonId>() else { return Ok(()) };
    let default = options.only_repository().cloned();
    let filed = team.store().file_due(options.zone.clone(), default, author, Timestamp::now()).await?;
    if filed > 0 {
        tracing::info!(filed, "recurring features are filed");
    }
    Ok(())
}

impl Team {
    /// All of them, by name.
    pub async fn recurring(&self) -> Answer<Vec<RecurringView>> {
        let rows = self.store().recurring().await.map_err(problem::from_store)?;
        Ok(rows.into_iter().map(|row| self.recurring_view(row)).collect())
    }

    fn recurring_view(&self, row: RecurringRow) -> RecurringView {
        let now = Timestamp::now();
        let zone = self.options().zone.clone();
        let next = match due(&row.recurring, row.open.as_ref(), now, &zone) {
            Decision::Wait { until } => until,
            Decision::Run { occurrence } | Decision::Skip { occurrence, .. } => Some(occurrence),
        };
        let Recurring { name, schedule, template, suspended, start_deadline_minutes, last, .. } =
            row.recurring;
        RecurringView {
            name,
            schedule: schedule.text().to_owned(),
            feature: template,
            suspended,
            start_deadline_minutes,
            last,
            next: next.filter(|_| !suspended),
            open: row.open,
        }
    }

    async fn one_recurring(&self, name: &str) -> Answer<RecurringView> {
        let found = self.recurring().await?.into_iter().find(|view| view.name == name);
        found.ok_or_else(|| {
            problem::not_found(
                format!("There is no recurring feature {name}."),
                "quarterdeck recurring list shows what there is.",
            )
        })
    }

    /// Adds one.
    pub async fn add_recurring(&self, caller: &Caller, new: NewRecurring) -> Answer<RecurringView> {
        self.permitted(caller, Verb::RecurringAdd, || Change::AddRecurring(new.clone())).await?;
        let schedule: Schedule =
            new.schedule.parse().map_err(|error| problem::invalid(format!("schedule: {error}.")))?;
        if let Some(name) = &new.feature.repository {
            self.known_repository(name)?;
        } else if self.options().only_repository().is_none() {
            return Err(problem::invalid("repository: the team has several, name one."));
        }
        let now = Timestamp::now();
        let mut recurring = Recurring::new(new.name.clone(), schedule, new.feature, now);
        if let Some(minutes) = new.start_deadline_minutes {
            recurring.start_deadline_minutes = minutes;
        }
        self.store().add_recurring(&caller.person.id, recurring, now).await.map_err(problem::from_store)?;
        self.one_recurring(new.name.trim()).await
    }

    /// Files the feature of one right now.
    pub async fn run_recurring(&self, caller: &Caller, name: &str) -> Answer<FeatureView> {
        self.permitted(caller, Verb::RecurringRun, || Change::RunRecurring { name: name.to_owned() }).await?;
        let view = self.one_recurring(name).await?;
        let options = self.options();
        let repository = view.feature.repository.or_else(|| options.only_repository().cloned());
        let repository =
            repository.ok_or_else(|| problem::invalid("repository: the team has several, name one."))?;
        let filed = self.store().run_recurring(&caller.person.id, name, repository, Timestamp::now()).await;
        self.feature(&filed.map_err(problem::from_store)?).await
    }

    /// Lets one stand still.
    pub async fn suspend_recurring(&self, caller: &Caller, name: &str) -> Answer<RecurringView> {
        self.permitted(caller, Verb::RecurringSuspend, || Change::SuspendRecurring { name: name.to_owned() })
            .await?;
        let now = Timestamp::now();
        let done = self
            .store()
            .change_recurring(&caller.person.id, name, "suspended", Recurring::suspend, now)
            .await;
        done.map_err(problem::from_store)?;
        self.one_recurring(name).await
    }

    /// Lets one go on with its next occurrence.
    pub async fn resume_recurring(&self, caller: &Caller, name: &str) -> Answer<RecurringView> {
        self.permitted(caller, Verb::RecurringResume, || Change::ResumeRecurring { name: name.to_owned() })
            .await?;
        let now = Timestamp::now();
        let resume = move |recurring: &mut qd_store::RecurringFeature| recurring.resume(now);
        let done = self.store().change_recurring(&caller.person.id, name, "resumed", resume, now).await;
        done.map_err(problem::from_store)?;
        self.one_recurring(name).await
    }

    /// Removes one; what it made stays. Gives what is left.
    pub async fn remove_recurring(&self, caller: &Caller, name: &str) -> Answer<Vec<RecurringView>> {
        self.permitted(caller, Verb::RecurringRemove, || Change::RemoveRecurring { name: name.to_owned() })
            .await?;
        let done = self.store().remove_recurring(&caller.person.id, name, Timestamp::now()).await;
        done.map_err(problem::from_store)?;
        self.recurring().await
    }
}
