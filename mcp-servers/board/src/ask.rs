//! Questions to people. Each is kept by the instance as an approval of its own, and outlives the call, its client and the
//! machine. Asking the same again finds the one that stands.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_api::{AskQuestion, QuestionView};
use qd_guard::{
    Call, Caller, Change, Fault, Hints, Look, Mutation, Permit, Plan, Server, Spec, ToolError, Who,
};
use qd_types::{ApprovalState, Role, RunId, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::desk::{Desk, Voice, encoded, own, unread, unsure};

/// Longest that a call waits for an answer. Clients give up after a minute.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// What a reviewer may say.
const VERDICTS: [&str; 2] = ["looks good", "needs changes"];

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server.change(Ask(desk.clone()))?.change(Review(desk.clone()))?.look(Question(desk.clone()))
}

/// A question, and what became of it.
#[derive(Serialize, JsonSchema)]
struct Standing {
    /// Ask again with this: the tool `question`.
    key: String,
    /// `waiting`, `answered`, or `over`: nobody answers it any more.
    state: State,
    /// Why it is over.
    reason: Option<String>,
    /// What people answered.
    answers: Vec<Answer>,
    /// How a person answers.
    answer_with: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Waiting,
    Answered,
    Over,
}

#[derive(Serialize, JsonSchema)]
struct Answer {
    /// Whose.
    person: String,
    /// A text, or one of the choices.
    value: Value,
}

impl From<QuestionView> for Standing {
    fn from(view: QuestionView) -> Self {
        let state = match view.state {
            ApprovalState::Requested => State::Waiting,
            ApprovalState::Granted | ApprovalState::Executing | ApprovalState::Executed => State::Answered,
            _ => State::Over,
        };
        let answer =
            |answer: qd_api::AnswerView| Answer { person: answer.person.to_string(), value: answer.value };
        Self {
            answer_with: format!("quarterdeck approvals answer {} TEXT", view.key),
            key: view.key,
            state,
            reason: view.reason,
            answers: view.answers.into_iter().map(answer).collect(),
        }
    }
}

/// The caller's own run, or the one that a person names.
fn its_run(caller: &Caller, named: Option<&RunId>) -> Result<RunId, Fault> {
    match (&caller.who, named) {
        (Who::Agent { run, .. }, None) => Ok(run.clone()),
        (Who::Agent { run, .. }, Some(named)) if named != run => Err(Fault::failed(
            format!("You work in run {run}, and {named} is another."),
            "Leave the run out: it is your own.",
        )),
        (_, Some(named)) => Ok(named.clone()),
        (_, None) => Err(Fault::failed("You work in no run.", "Name the run that wants to know.")),
    }
}

/// Asks, and waits a while. The question stays when the call ends.
async fn put(desk: &dyn Desk, call: &Call, asked: AskQuestion, wait: Duration) -> Result<Standing, Fault> {
    let begun = Instant::now();
    let mut client = own(desk, call, Voice::Caller)?;
    let mut view: QuestionView = client.post("questions", &asked).await.map_err(unsure)?;
    let path = format!("questions/{}", view.key);
    while view.state == ApprovalState::Requested && begun.elapsed() < wait {
        call.progress.report(begun.elapsed().as_secs_f64(), None, "Waiting for people to answer.");
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = call.cancel.cancelled() => break,
        }
        // It stands: that it can't be looked at now takes nothing away.
        match client.get(&path).await {
            Ok(now) => view = now,
            Err(_) => break,
        }
    }
    Ok(view.into())
}

fn waiting(seconds: Option<u64>) -> Duration {
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(PATIENCE)
}

fn would_ask(run: &RunId, text: &str) -> Plan {
    Plan {
        target: run.to_string(),
        fingerprint: "question".to_owned(),
        steps: vec![format!("Ask people: {text}")],
    }
}

struct Ask(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct NewQuestion {
    /// The question, with what one has to know to answer it: at most 2000 characters.
    text: String,
    /// Answers to choose from, at most 20. Without any the answer is a text.
    #[serde(default)]
    choices: Vec<String>,
    /// Who is asked; left out, everybody whom the policies let answer.
    #[serde(default)]
    roles: Vec<Role>,
    /// Wait so many seconds for the answer, at most 45. It can be asked for later, too.
    #[serde(default)]
    wait_seconds: Option<u64>,
    /// Which run wants to know; your own, if left out.
    #[serde(default)]
    run: Option<RunId>,
}

#[async_trait]
impl Mutation for Ask {
    type Input = NewQuestion;
    type Output = Standing;

    fn spec(&self) -> Spec {
        let hints = Hints { idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("ask_human", Tier::Operate, "work.ask").hinted(hints).described(
            "Ask people",
            "Asks people a question on behalf of your run, with choices or for a text. It waits until somebody answers, \
             however long that takes: go on with something else and look with the tool question. Asking the same again \
             finds the question that stands.",
        )
    }

    fn within(&self, caller: &Caller, input: &NewQuestion) -> Result<(), Fault> {
        its_run(caller, input.run.as_ref()).map(drop)
    }

    async fn plan(&self, call: &Call, input: &NewQuestion) -> Result<Plan, Fault> {
        Ok(would_ask(&its_run(&call.caller, input.run.as_ref())?, &input.text))
    }
}

#[async_trait]
impl Change for Ask {
    async fn change(&self, call: &Call, input: NewQuestion, _: Permit) -> Result<Standing, Fault> {
        let run = its_run(&call.caller, input.run.as_ref())?;
        let NewQuestion { text, choices, roles, wait_seconds, .. } = input;
        let asked = AskQuestion { run, text, choices, schema: None, roles };
        put(&*self.0, call, asked, waiting(wait_seconds)).await
    }
}

struct Review(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct LookAt {
    /// What to look at, and what you are unsure of.
    text: String,
    /// Wait so many seconds for the word, at most 45.
    #[serde(default)]
    wait_seconds: Option<u64>,
    /// Which run's work; your own, if left out.
    #[serde(default)]
    run: Option<RunId>,
}

#[async_trait]
impl Mutation for Review {
    type Input = LookAt;
    type Output = Standing;

    fn spec(&self) -> Spec {
        let hints = Hints { idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("request_review", Tier::Operate, "work.ask").hinted(hints).described(
            "Request a review",
            "Asks people to look at the work of your run as it is: they say “looks good” or “needs changes”. It is no \
             approval to merge.",
        )
    }

    fn within(&self, caller: &Caller, input: &LookAt) -> Result<(), Fault> {
        its_run(caller, input.run.as_ref()).map(drop)
    }

    async fn plan(&self, call: &Call, input: &LookAt) -> Result<Plan, Fault> {
        Ok(would_ask(&its_run(&call.caller, input.run.as_ref())?, &input.text))
    }
}

#[async_trait]
impl Change for Review {
    async fn change(&self, call: &Call, input: LookAt, _: Permit) -> Result<Standing, Fault> {
        let run = its_run(&call.caller, input.run.as_ref())?;
        let asked = AskQuestion {
            text: format!("Please look at the work of run {run}. {}", input.text),
            run,
            choices: VERDICTS.map(str::to_owned).to_vec(),
            schema: None,
            roles: Vec::new(),
        };
        put(&*self.0, call, asked, waiting(input.wait_seconds)).await
    }
}

struct Question(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct Keyed {
    /// The key that ask_human or request_review gave.
    key: String,
}

#[async_trait]
impl Look for Question {
    type Input = Keyed;
    type Output = Standing;

    fn spec(&self) -> Spec {
        Spec::new("question", Tier::Read, "approval.view")
            .described("A question", "Says what became of a question that you asked people.")
    }

    async fn look(&self, call: &Call, Keyed { key }: Keyed) -> Result<Standing, Fault> {
        let path = format!("questions/{}", encoded(&key));
        let view: QuestionView = own(&*self.0, call, Voice::Caller)?.get(&path).await.map_err(unread)?;
        // Another run's question is not there.
        let theirs = call.caller.own_run().is_some_and(|run| *run != view.run);
        if theirs {
            return Err(Fault::failed(format!("You asked no question {key}."), "Ask it with ask_human."));
        }
        Ok(view.into())
    }
}
