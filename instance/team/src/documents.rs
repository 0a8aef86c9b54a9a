//! Keeps the documents of the repositories in the search: looks now and then whether a target branch has moved.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use qd_api::Problem;
use qd_board::{Hit, HitKind, Observed, OperationKind};
use qd_store::Document;
use qd_types::{CommitId, RepositoryName};

use crate::{
    options::RepositoryOptions,
    problem,
    team::{Answer, Team},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often it looks.
const PULSE: Duration = Duration::from_secs(20);
/// Hits in one answer.
const HITS: usize = 50;

/// Looks until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut read: BTreeMap<RepositoryName, CommitId> = BTreeMap::new();
    loop {
        for (name, repository) in &team.options().repositories {
            if let Err(error) = look(&team, name, repository, &mut read).await {
                tracing::debug!(repository = %name, %error, "its documents can't be read now");
            }
        }
        tokio::time::sleep(PULSE).await;
    }
}

async fn look(
    team: &Team,
    name: &RepositoryName,
    repository: &RepositoryOptions,
    read: &mut BTreeMap<RepositoryName, CommitId>,
) -> Result<(), Failure> {
    // Before the first run there is no mirror yet: it is made here.
    let head = match team.worktrees().target(&repository.spec).await {
        Ok(Some(head)) => head,
        _ => team.worktrees().refresh(&repository.spec).await?,
    };
    if read.get(name) == Some(&head) {
        return Ok(());
    }
    let before = team.store().documents(name).await?;
    let known: BTreeSet<String> = before.values().cloned().collect();
    let texts = team.worktrees().texts(name, &head, known).await?;
    let paths: BTreeSet<&String> = texts.iter().map(|text| &text.path).collect();
    let gone: Vec<String> = before.keys().filter(|path| !paths.contains(path)).cloned().collect();
    let new: Vec<Document> = texts
        .into_iter()
        .filter(|text| before.get(&text.path) != Some(&text.blob))
        .filter_map(|text| Some(Document { path: text.path, blob: text.blob, text: text.text? }))
        .collect();
    if !gone.is_empty() || !new.is_empty() {
        let (subject, title) = (format!("{name}/{}", head.short()), format!("Documents of {name}"));
        team.store().begin_operation(OperationKind::Index, &subject, &title, Timestamp::now()).await?;
        let said = format!("{} read, {} gone.", new.len(), gone.len());
        team.store().change_documents(name, gone, new).await?;
        team.store()
            .end_operation(OperationKind::Index, &subject, Observed::Done, &said, Timestamp::now())
            .await?;
    }
    read.insert(name.clone(), head);
    Ok(())
}

impl Team {
    /// What holds all of these words.
    pub async fn search(&self, text: &str, kind: Option<HitKind>) -> Answer<Vec<Hit>> {
        let hits: Result<_, Problem> =
            self.store().search(text, kind, HITS).await.map_err(problem::from_store);
        hits
    }
}
