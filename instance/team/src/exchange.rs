//! Boards out and in, for people: who may, where the work is done, and what can't come along.

use std::collections::BTreeSet;

use jiff::Timestamp;
use qd_api::ImportFile;
use qd_board::exchange::{self, Document, Imported, Plan, VERSION};
use qd_store::Import;
use qd_types::{Stage, Verb};

use crate::{
    asked::Change,
    problem,
    team::{Answer, Caller, Team},
};

/// What a file is called of which nobody says the name.
const UNNAMED: &str = "file";

impl Team {
    /// The features of a stage, or of all, with everything that people said about them.
    pub async fn export(&self, stage: Option<Stage>) -> Answer<Document> {
        let features = self.store().export(stage).await.map_err(problem::from_store)?;
        Ok(Document { version: VERSION, team: self.name(), features })
    }

    /// Files what a file holds and the board does not have yet: all of it, or nothing.
    pub async fn import(&self, caller: &Caller, file: ImportFile) -> Answer<Imported> {
        self.permitted(caller, Verb::FeatureImport, || Change::Import(file.clone())).await?;
        let invalid = |error: qd_board::FieldError| problem::invalid(format!("{error}."));
        let name = file.name.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or(UNNAMED);
        let plan = exchange::read(file.format, &file.text).and_then(|batch| batch.plan(&self.name(), name));
        let mut plan = plan.map_err(invalid)?;
        self.settle_repositories(&mut plan)?;
        self.leave_attachments(&mut plan);
        let how = Import {
            author: caller.person.id.clone(),
            repository: self.options().only_repository().cloned(),
            ready: file.ready,
            dry_run: file.dry_run,
        };
        self.store().import(plan, how, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// A team with one repository works there, whatever the file says; with several, the file has to name one of them.
    pub(crate) fn settle_repositories(&self, plan: &mut Plan) -> Answer<()> {
        let options = self.options();
        let alone = options.only_repository().is_some();
        let (mut elsewhere, mut refused) = (BTreeSet::new(), None);
        for item in &mut plan.items {
            let unknown = item.repository.take_if(|name| !options.repositories.contains_key(name));
            if let Some(name) = unknown {
                if !alone {
                    refused.get_or_insert((item.place.clone(), name.clone()));
                }
                elsewhere.insert(name);
            }
        }
        if let Some((place, name)) = refused {
            let known: Vec<&str> =
                options.repositories.keys().map(qd_types::RepositoryName::as_str).collect();
            let (team, known) = (&options.name, known.join(", "));
            return Err(problem::invalid(format!(
                "import: {place}: {team} has no repository {name}. It has {known}: name one of them."
            )));
        }
        if let Some(only) = options.only_repository() {
            let note =
                |name| format!("There is no repository {name} here: its features are filed in {only}.");
            plan.notes.extend(elsewhere.into_iter().map(note));
        }
        Ok(())
    }

    /// Files hold no attachments; what is not kept here already stays behind.
    fn leave_attachments(&self, plan: &mut Plan) {
        for item in &mut plan.items {
            let (place, notes) = (&item.place, &mut plan.notes);
            item.wanted.attachments.retain(|file| {
                let here = self.attachment_path(file).is_file();
                if !here {
                    notes.push(format!("{place}: its attachment {} is not here and left out.", file.name));
                }
                here
            });
        }
    }
}
