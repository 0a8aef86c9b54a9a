//! Orders about the board that people have to agree to first: what a person wants from afar, as a change that is kept as an
//! approval. The change is made as if they had asked for it here, once, when the others said yes.

use qd_api::MoveFeature;
use qd_approvals::Ask;
use qd_board::{EditFeature, NewFeature};
use qd_engine::{Principal, Resource};
use qd_store::Keeper;
use qd_types::{RepositoryName, SpentGrant, Stage};
use qd_wire::v1::{BoardCommand, OnBehalf, Sentence};

use crate::{
    asked::{Change, Wanted},
    own::Ruled,
    problem,
    team::{Answer, Caller, Team},
};

/// Why nobody is asked about a feature that could be filed in one of several places.
const MANY: &str =
    "The team has several repositories, and it is not said in which one: file it on its board.";

impl Change {
    /// What an order wants, as a change; a feature that it files belongs to `repository`.
    fn ordered(command: &BoardCommand, repository: Option<RepositoryName>) -> Self {
        let said = |why: &Option<Sentence>| why.as_ref().map(|why| why.as_str().to_owned());
        match command.clone() {
            BoardCommand::AddFeature { title, stage, work } => {
                let new = qd_store::ordered(&title, stage == Stage::Ready, &work);
                Self::AddFeature(NewFeature { repository, ..new })
            }
            BoardCommand::EditFeature(edit) => Self::EditFeature {
                id: edit.feature,
                edit: EditFeature { version: edit.version, fields: edit.fields },
                reason: None,
            },
            BoardCommand::MoveFeature { feature, stage } => {
                Self::MoveFeature { id: feature, to: MoveFeature { stage, version: None, reason: None } }
            }
            BoardCommand::CancelFeature { feature } => Self::CancelFeature { id: feature, reason: None },
            BoardCommand::PauseFeature { feature, why } => {
                Self::PauseFeature { id: feature, why: said(&why) }
            }
            BoardCommand::ResumeFeature { feature } => Self::ResumeFeature { id: feature },
            BoardCommand::PauseTeam { why } => Self::PauseTeam { why: said(&why) },
            BoardCommand::ResumeTeam => Self::ResumeTeam,
            BoardCommand::Retry { feature } => Self::RetryFeature { id: feature },
            BoardCommand::Stop { run } => Self::StopRun { id: run },
            BoardCommand::Guide { feature, text, remark, said } => {
                Self::Guide { id: feature, text, remark, said }
            }
            BoardCommand::Ask { id, question } => Self::Ask { id, question },
        }
    }
}

impl Team {
    /// What people are asked before an order is carried out; nothing if they do not have to be, or if it is refused anyway. The
    /// error is why they can't be asked.
    pub(crate) async fn asks_first(
        &self,
        by: &OnBehalf,
        command: &BoardCommand,
    ) -> Result<Option<(Keeper, Ask)>, String> {
        let Some((asserted, known)) = self.under_ceiling(&by.person) else { return Ok(None) };
        let ruled = |person| {
            let team = Resource::Team(self.name());
            match self.ruled(Principal::Person(person), command.verb(), team) {
                Ruled::Ask(quorum) => Some(quorum),
                Ruled::Allow | Ruled::Deny(_) => None,
            }
        };
        // It will be looked at again by what is known of the person here: what is asked has to be the same then.
        let (Some(asked), Some(quorum)) = (ruled(asserted), ruled(known.clone())) else { return Ok(None) };
        if asked.ask != quorum.ask {
            return Ok(None);
        }
        let place = self.place_of(command)?;
        if place.is_none() && matches!(command, BoardCommand::AddFeature { .. }) {
            return Err(MANY.to_owned());
        }
        let change = Change::ordered(command, place);
        let account = by.identity.clone().filter(|identity| identity.service != "local");
        match self.request_for(&known, account, change, &quorum).await.map_err(|problem| problem.detail)? {
            Wanted::New(request) => Ok(Some(*request)),
            Wanted::Already(id) => Err(format!(
                "People were asked about exactly this already, and have not decided: {}.",
                id.key()
            )),
        }
    }

    /// Where a feature that a command files belongs, if it files one.
    pub(crate) fn place_of(&self, command: &BoardCommand) -> Result<Option<RepositoryName>, String> {
        match command {
            BoardCommand::AddFeature { work, .. } => match &work.repository {
                Some(name) => {
                    self.known_repository(name).map_err(|problem| problem.detail)?;
                    Ok(Some(name.clone()))
                }
                None => Ok(self.options().only_repository().cloned()),
            },
            // It is asked of the team; where it has several, the first is looked into.
            BoardCommand::Ask { .. } => Ok(self.options().repositories.keys().next().cloned()),
            _ => Ok(None),
        }
    }

    /// Carries out what the local API has no call for, once it is paid for.
    pub(crate) async fn commanded(
        &self,
        caller: &Caller,
        command: BoardCommand,
        paid: &SpentGrant,
    ) -> Answer<()> {
        let place = self.place_of(&command).map_err(problem::invalid)?;
        let now = jiff::Timestamp::now();
        let done = self.store().command(&caller.person.id, command, place, paid, now).await;
        done.map_err(problem::from_store)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;

    /// One of each kind of command, as it comes.
    const COMMANDS: [&str; 12] = [
        r#"{"command": "add_feature", "title": "Split", "stage": "ready"}"#,
        r#"{"command": "edit_feature", "feature": "A-1", "version": 3, "fields": {"priority": 0}}"#,
        r#"{"command": "move_feature", "feature": "A-1", "stage": "backlog"}"#,
        r#"{"command": "cancel_feature", "feature": "A-1"}"#,
        r#"{"command": "pause_feature", "feature": "A-1", "why": "Not now"}"#,
        r#"{"command": "resume_feature", "feature": "A-1"}"#,
        r#"{"command": "pause_team", "why": null}"#,
        r#"{"command": "resume_team"}"#,
        r#"{"command": "retry", "feature": "A-1"}"#,
        r#"{"command": "stop", "run": "A-1.1"}"#,
        r#"{"command": "guide", "feature": "A-1", "text": "Louder", "remark": "review", "said": "discord/7"}"#,
        r#"{"command": "ask", "id": "01K", "question": "Why?"}"#,
    ];

    #[test]
    fn each_command_is_a_change_of_the_same_name_that_is_read_back_as_it_was() {
        let mut names = std::collections::BTreeSet::new();
        for text in COMMANDS {
            let command: BoardCommand = serde_json::from_str(text).unwrap();
            let change = Change::ordered(&command, None);
            assert_eq!(change.verb(), command.verb(), "{text}");
            let kept = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<Change>(&kept).unwrap(), change);
            names.insert(command.verb());
        }
        assert_eq!(names.len(), COMMANDS.len(), "each is there once");
    }
}
