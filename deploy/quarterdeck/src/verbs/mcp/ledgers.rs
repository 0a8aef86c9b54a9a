//! The ledgers of guards that run in other processes, as a terminal sees them: read beside the server, and voted in by a
//! signed file that the server takes. A server that is not running takes it at its next start.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use qd_api::{ApprovalView, CastVote};
use qd_approvals::{Approvals, Executor, Proof, Statement, confirm::Way};
use qd_guard::ledger::inbox;
use qd_types::{ApprovalState, InstanceName, Person, PersonId, Vote};
use tokio::time::Instant;

use super::alone::{self, Home};
use crate::{
    cli::Common,
    context::{self, UserError},
};

/// Requests that are shown of each.
const NEWEST: u32 = 200;

/// How long a server has to take a vote. It looks every second.
const PATIENCE: Duration = Duration::from_secs(5);

/// All ledgers of this person's tool servers.
pub(crate) struct Ledgers {
    common: Common,
    found: Vec<(InstanceName, PathBuf)>,
}

impl Ledgers {
    /// Those there are, of the team that was named, or of all.
    pub(crate) fn look(common: &Common) -> Result<Self, UserError> {
        let loaded = context::load(&context::sources(common)?)?;
        let mut found = Vec::new();
        for team in folders(&alone::folder(&loaded.state_dir)) {
            let name = team.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let Some(name) = name else { continue };
            if common.team.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            let has = |folder: &PathBuf| folder.join("guard.db").exists();
            found.extend(folders(&team).into_iter().filter(has).map(|folder| (name.clone(), folder)));
        }
        Ok(Self { common: common.clone(), found })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Everything that was asked for, with the team and the folder that has it.
    pub(crate) async fn all(&self) -> Result<Vec<(InstanceName, PathBuf, ApprovalView)>, UserError> {
        let mut all = Vec::new();
        for (team, folder) in &self.found {
            let home = self.home(team).await?;
            let views = read(&home, folder)?;
            all.extend(views.into_iter().map(|view| (team.clone(), folder.clone(), view)));
        }
        Ok(all)
    }

    async fn home(&self, team: &InstanceName) -> Result<Home, UserError> {
        Home::open_for(&self.common, Some(team)).await
    }

    /// Signs a person's word, who proved who they are, and has it counted.
    pub(crate) async fn cast(
        &self,
        (team, folder): (&InstanceName, &Path),
        view: &ApprovalView,
        person: &PersonId,
        cast: &CastVote,
    ) -> Result<ApprovalView, UserError> {
        let home = self.home(team).await?;
        let roles = home.directory(&home.key()?).people.get(person).map(|known| known.roles.clone());
        let vote = Vote {
            approval: view.approval.id.clone(),
            digest: view.approval.digest.clone(),
            person: Person { id: person.clone(), roles: roles.unwrap_or_default() },
            surface: "cli".into(),
            ballot: cast.ballot,
            reason: cast.reason.clone(),
            at: Timestamp::now(),
        };
        let way = if cast.typed.is_some() { Way::Typed } else { Way::Button };
        let statement = Statement {
            vote,
            identity: alone::local(person),
            proof: Proof::Passphrase,
            way,
            typed: cast.typed.clone(),
            answer: None,
        };
        let signed = home.key()?.sign(&statement).map_err(|error| UserError::from_error(&error))?;
        let answer = inbox::put(folder, &signed).map_err(|error| {
            UserError::failed(format!("the vote can't be put into {}: {error}", folder.display()))
        })?;
        let said = heard(&answer).await;
        let again = read(&home, folder)?.into_iter().find(|now| now.approval.id == view.approval.id);
        let mut now = again.unwrap_or_else(|| view.clone());
        let Some(said) = said else {
            let later = "The server does not run now: your word counts when it is started again.";
            now.ended = Some(later.to_owned());
            return Ok(now);
        };
        let counts = now.approval.state != ApprovalState::Requested
            || now.approval.votes.iter().any(|vote| vote.person.id == *person);
        if !counts {
            return Err(UserError::failed(said));
        }
        now.ended = Some(said);
        Ok(now)
    }
}

/// The folders in a folder, by name.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn read(home: &Home, folder: &Path) -> Result<Vec<ApprovalView>, UserError> {
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    let connection = qd_sqlite::read_only(&folder.join("guard.db")).map_err(|error| failed(&error))?;
    let (executor, people) = (Executor::new(home.team.as_str()), home.directory(&home.key()?));
    let approvals = Approvals::reading(&connection, &executor, &people, Timestamp::now());
    let records = approvals.and_then(|approvals| approvals.newest(NEWEST)).map_err(|error| failed(&error))?;
    let view = |record: qd_approvals::Record| {
        let subject = &record.approval.subject;
        let tool = subject.binding.as_ref().and_then(|binding| binding.tool.as_ref());
        let refusal = subject.requirement.refuses(&home.me, &subject.requesters);
        let open = record.state().is_open();
        ApprovalView {
            title: subject.title(),
            feature_title: "A call of a tool".to_owned(),
            facts: tool.map_or_else(String::new, |tool| format!("With {}.", tool.name)),
            words: record.words.clone(),
            ended: record.reason.clone().filter(|_| !open),
            confirm: Some(record.confirm),
            decide_until: record.decide_until,
            deciding: false,
            refusal: refusal.filter(|_| open),
            snoozed: None,
            approval: record.approval,
        }
    };
    Ok(records.into_iter().map(view).collect())
}

/// What the server said to a vote; `None` if it does not run.
async fn heard(answer: &Path) -> Option<String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(said) = tokio::fs::read_to_string(answer).await {
            tokio::fs::remove_file(answer).await.ok();
            return Some(said);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}
