//! Projects: what people do with them.

use jiff::Timestamp;
use qd_api::{EditProject, ProjectView};
use qd_board::Project;
use qd_types::Verb;

use crate::{
    asked::Change,
    problem,
    team::{Answer, Caller, Team},
};

impl Team {
    /// All of them, by name.
    pub async fn projects(&self) -> Answer<Vec<ProjectView>> {
        let zone = self.options().zone.clone();
        let rows = self.store().projects(zone, Timestamp::now()).await.map_err(problem::from_store)?;
        let view = |row: qd_store::ProjectRow| ProjectView {
            project: row.project,
            version: row.version,
            standing: row.standing,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// One, by its name.
    pub async fn project(&self, name: &str) -> Answer<ProjectView> {
        let found = self.projects().await?.into_iter().find(|view| view.project.name == name);
        found.ok_or_else(|| {
            problem::not_found(
                format!("There is no project {name}."),
                "quarterdeck project list shows what there is.",
            )
        })
    }

    /// Adds one.
    pub async fn add_project(&self, caller: &Caller, new: Project) -> Answer<ProjectView> {
        self.permitted(caller, Verb::ProjectAdd, || Change::AddProject(new.clone())).await?;
        let name = new.name.trim().to_owned();
        let added = self.store().add_project(&caller.person.id, new, Timestamp::now()).await;
        added.map_err(problem::from_store)?;
        self.project(&name).await
    }

    /// Changes one.
    pub async fn edit_project(&self, caller: &Caller, name: &str, edit: EditProject) -> Answer<ProjectView> {
        self.permitted(caller, Verb::ProjectEdit, || Change::EditProject {
            name: name.to_owned(),
            edit: edit.clone(),
        })
        .await?;
        let EditProject { version, fields } = edit;
        let edited =
            self.store().edit_project(&caller.person.id, name, fields, version, Timestamp::now()).await;
        edited.map_err(problem::from_store)?;
        self.project(name).await
    }

    /// Removes one that no feature names. Gives what is left.
    pub async fn remove_project(&self, caller: &Caller, name: &str) -> Answer<Vec<ProjectView>> {
        self.permitted(caller, Verb::ProjectRemove, || Change::RemoveProject { name: name.to_owned() })
            .await?;
        let removed = self.store().remove_project(&caller.person.id, name, Timestamp::now()).await;
        removed.map_err(problem::from_store)?;
        self.projects().await
    }
}
