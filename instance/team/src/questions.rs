//! Questions of agents to people: asked by a run, answered in the inbox, read by whoever asked.

use jiff::Timestamp;
use qd_api::{AnswerView, AskQuestion, QuestionView};
use qd_approvals::{Asked, Record};
use qd_engine::Principal;
use qd_store::QUESTION;
use qd_types::{Action, Identity, Question, Verb};
use serde_json::{Value, json};

use crate::{
    own::{About, sha256},
    problem,
    team::{Answer, Caller, Team},
};

/// Longest question, in characters.
const LONGEST: usize = 2_000;
/// Choices that a question may offer.
const CHOICES: usize = 20;

impl Team {
    /// Asks people on behalf of a run. Asking the same again returns the question that stands.
    pub async fn ask(&self, caller: &Caller, asked: AskQuestion) -> Answer<QuestionView> {
        let principal = match &caller.agent {
            Some(name) => Principal::Agent { team: self.name(), name: name.clone() },
            None => {
                self.permit(caller, Verb::QuestionAnswer)?;
                Principal::Team(self.name())
            }
        };
        let quorum = self.quorum(principal, Verb::QuestionAnswer).map_err(problem::forbidden)?;
        let quorum = quorum.among(&asked.roles).map_err(problem::invalid)?;
        let question = question(&asked)?;
        let run = self.store().run(&asked.run).await.map_err(problem::from_store)?;
        if run.end.is_some() {
            let reason = format!("Run {} has ended: nobody is asked on its behalf any more.", run.id);
            return Err(problem::refused(reason));
        }
        if caller.agent.as_ref().is_some_and(|agent| *agent != run.agent) {
            return Err(problem::forbidden(format!("Run {} is not one of this agent.", run.id)));
        }
        // Whoever lets an agent ask may answer it; a person does not answer themselves.
        let (requesters, askers) = match &caller.agent {
            Some(_) => (Vec::new(), vec![Identity { service: "agent".into(), account: run.id.to_string() }]),
            None => (vec![caller.person.id.clone()], Vec::new()),
        };
        let fingerprint = fingerprint(&question);
        let about = About {
            action: Action::Question(question),
            target: format!("{} question {}", run.id, fingerprint.get(..8).unwrap_or_default()),
            fingerprint,
            arguments: Value::Null,
            feature: run.feature.clone(),
            run: run.id.clone(),
            requesters,
            askers,
        };
        let subject = self.subject(about, &quorum);
        if let Some(reason) = self.unreachable(&subject) {
            return Err(problem::refused(format!("Nobody could answer: {reason}")));
        }
        let (keeper, ask) = self.request(subject, &quorum, Some(QUESTION));
        let asked = self.store().ask(&keeper, ask, Timestamp::now()).await.map_err(problem::from_store)?;
        match asked {
            Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => self.question(&id.key()).await,
            Asked::Refused(refusal) => Err(problem::refused(refusal.to_string())),
        }
    }

    async fn own_record(&self, key: &str) -> Answer<Option<Record>> {
        self.store().own(&self.keeper(), key, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// A question, and what became of it. `key` is the unique part of its approval's id.
    pub async fn question(&self, key: &str) -> Answer<QuestionView> {
        let mut found = self.own_record(key).await?;
        // Whoever waits for one that a person had asked again waits for that one.
        while let Some(later) = found.as_ref().and_then(|record| record.reopened_as.clone()) {
            found = self.own_record(&later.key()).await?;
        }
        let asked = found.and_then(|record| match record.approval.subject.action.clone() {
            Action::Question(question) => Some((record, question)),
            _ => None,
        });
        let Some((record, question)) = asked else {
            let detail = format!("There is no question {key}.");
            return Err(problem::not_found(detail, "quarterdeck approvals shows what there is."));
        };
        let answers = self.store().answers(record.id()).await.map_err(problem::from_store)?;
        Ok(QuestionView {
            key: record.id().key(),
            run: record.approval.subject.run.clone(),
            text: question.text,
            schema: question.answer,
            state: record.state(),
            reason: record.reason,
            answers: answers
                .into_iter()
                .map(|answer| AnswerView { person: answer.person, value: answer.value })
                .collect(),
        })
    }
}

/// What is asked, with the schema of its answers.
fn question(asked: &AskQuestion) -> Answer<Question> {
    let text = asked.text.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(problem::invalid(format!("text: a question has 1 to {LONGEST} characters.")));
    }
    let answer = match (asked.choices.as_slice(), &asked.schema) {
        ([], schema) => schema.clone(),
        (choices, None) if choices.len() <= CHOICES => Some(json!({ "enum": choices })),
        (_, None) => return Err(problem::invalid(format!("choices: there are {CHOICES} at most."))),
        (_, Some(_)) => return Err(problem::invalid("choices: give them or a schema, not both.")),
    };
    Ok(Question { text: text.to_owned(), answer })
}

/// SHA-256 of a question, as lower-case hex: what is asked is all that there is of it.
fn fingerprint(question: &Question) -> String {
    sha256(&json!([question.text, question.answer]).to_string())
}
