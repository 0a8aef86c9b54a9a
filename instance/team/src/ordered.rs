//! Orders about the board that people have to agree to first: what a person wants from afar, as a change that is kept as an
//! approval. The change is made as if they had asked for it here, once, when the others said yes.

use qd_api::MoveFeature;
use qd_approvals::Ask;
use qd_board::{EditFeature, NewFeature};
use qd_engine::Principal;
use qd_store::Keeper;
use qd_types::{Person, RepositoryName, SpentGrant, Stage, Verb};
use qd_wire::v1::{BoardCommand, OnBehalf, Sentence};

use crate::{
    asked::{Change, Wanted},
    own::{Quorum, Ruled},
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
            BoardCommand::RevertFeature { feature, why } => {
                Self::RevertFeature { id: feature, why: said(&why) }
            }
            BoardCommand::LimitTeam { limit, most } => Self::LimitTeam { limit, most },
            BoardCommand::Release { count } => Self::Release { count },
            BoardCommand::Guide { feature, text, remark, said } => {
                Self::Guide { id: feature, text, remark, said }
            }
            BoardCommand::Ask { id, question } => Self::Ask { id, question },
        }
    }
}

impl Team {
    /// What people are asked before a command is carried out; nothing if they do not have to be, or if it is refused anyway. The
    /// error is why they can't be asked.
    pub(crate) async fn asks_first(
        &self,
        by: &OnBehalf,
        command: &BoardCommand,
    ) -> Result<Option<(Keeper, Ask)>, String> {
        let Some((person, quorum)) = self.has_to_ask(by, command.verb()) else { return Ok(None) };
        let place = self.place_of(command).await?;
        if place.is_none() && matches!(command, BoardCommand::AddFeature { .. }) {
            return Err(MANY.to_owned());
        }
        self.request_of(by, person, Change::ordered(command, place), &quorum).await.map(Some)
    }

    /// The same, before the configuration is read again.
    pub(crate) async fn asks_to_reload(&self, by: &OnBehalf) -> Result<Option<(Keeper, Ask)>, String> {
        let Some((person, quorum)) = self.has_to_ask(by, Verb::ConfigReload) else { return Ok(None) };
        self.request_of(by, person, Change::Reload, &quorum).await.map(Some)
    }

    /// Whom an order takes besides the person who gave it, and that person as they are known here.
    fn has_to_ask(&self, by: &OnBehalf, verb: Verb) -> Option<(Person, Quorum)> {
        let (asserted, known) = self.under_ceiling(&by.person)?;
        let ruled = |person| match self.ruled(Principal::Person(person), verb, self.resource(verb)) {
            Ruled::Ask(quorum) => Some(quorum),
            Ruled::Allow | Ruled::Deny(_) => None,
        };
        // It will be looked at again by what is known of the person here: what is asked has to be the same then.
        let (asked, quorum) = (ruled(asserted)?, ruled(known.clone())?);
        (asked.ask == quorum.ask).then_some((known, quorum))
    }

    /// The request about what a person wants from afar, unless it stands already.
    async fn request_of(
        &self,
        by: &OnBehalf,
        person: Person,
        change: Change,
        quorum: &Quorum,
    ) -> Result<(Keeper, Ask), String> {
        let account = by.identity.clone().filter(|identity| identity.service != "local");
        match self.request_for(&person, account, change, quorum).await.map_err(|problem| problem.detail)? {
            Wanted::New(request) => Ok(*request),
            Wanted::Already(id) => Err(format!(
                "People were asked about exactly this already, and have not decided: {}.",
                id.key()
            )),
        }
    }

    /// Where a feature that a command files belongs, if it files one.
    pub(crate) async fn place_of(&self, command: &BoardCommand) -> Result<Option<RepositoryName>, String> {
        match command {
            BoardCommand::AddFeature { work, .. } => match &work.repository {
                Some(name) => {
                    self.known_repository(name).map_err(|problem| problem.detail)?;
                    Ok(Some(name.clone()))
                }
                None => Ok(self.options().only_repository().cloned()),
            },
            BoardCommand::RevertFeature { feature, .. } => {
                let name = self.feature(feature).await.map_err(|problem| problem.detail)?.feature.repository;
                self.known_repository(&name).map_err(|problem| problem.detail)?;
                Ok(Some(name))
            }
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
    ) -> Answer<Option<String>> {
        let place = self.place_of(&command).await.map_err(problem::invalid)?;
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
    const COMMANDS: [&str; 15] = [
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
        r#"{"command": "revert_feature", "feature": "A-1", "why": "It is slow"}"#,
        r#"{"command": "limit_team", "limit": "slots", "most": 1}"#,
        r#"{"command": "release", "count": 2}"#,
        r#"{"command": "guide", "feature": "A-1", "text": "Louder", "remark": "review", "said": "discord/7"}"#,
        r#"{"command": "ask", "id": "01K", "question": "Why?"}"#,
    ];

    #[test]
    fn each_command_is_a_change_of_the_same_name_that_is_read_back_as_it_was() {
        let mut names = std::collections::HashSet::new();
        for text in COMMANDS {
            let command: BoardCommand = serde_json::from_str(text).unwrap();
            let change = Change::ordered(&command, None);
            assert_eq!(change.verb(), command.verb(), "{text}");
            let kept = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<Change>(&kept).unwrap(), change);
            names.insert(std::mem::discriminant(&change));
        }
        assert_eq!(names.len(), COMMANDS.len(), "each is there once");
    }
}
