//! What is said about work: comments, progress, blockers, files.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use qd_api::{FeatureView, NeedTeam, NeedView, NewComment};
use qd_guard::{
    Call, Caller, Change, Fault, Hints, Mutation, Permit, Plan, Server, Spec, ToolError, Who, safe::FileName,
};
use qd_types::{FeatureId, InstanceName, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::desk::{Desk, Voice, own, unread, unsure};

pub(crate) fn tools(server: Server, desk: &Arc<dyn Desk>) -> Result<Server, ToolError> {
    server
        .change(Comments(desk.clone()))?
        .change(Progress(desk.clone()))?
        .change(Blocker(desk.clone()))?
        .change(Attach(desk.clone()))
}

/// What was said stands on the feature.
#[derive(Serialize, JsonSchema)]
struct Said {
    /// On which.
    feature: FeatureId,
    /// So many comments it has now.
    comments: usize,
}

/// The feature of a caller's own run, or the one that a person names.
pub(crate) fn its_feature(caller: &Caller, named: Option<&FeatureId>) -> Result<FeatureId, Fault> {
    match (&caller.who, named) {
        (Who::Agent { run, .. }, None) => Ok(run.feature().clone()),
        (Who::Agent { run, .. }, Some(id)) if id != run.feature() => Err(Fault::failed(
            format!("Your run {run} is about {}, and not about {id}.", run.feature()),
            "Leave the feature out: it is your own.",
        )),
        (_, Some(id)) => Ok(id.clone()),
        (_, None) => Err(Fault::failed("You work in no run.", "Name the feature.")),
    }
}

async fn say(desk: &dyn Desk, call: &Call, id: FeatureId, text: String, voice: Voice) -> Result<Said, Fault> {
    let path = format!("features/{id}/comments");
    let all: Vec<Value> = own(desk, call, voice)?.post(&path, &NewComment { text }).await.map_err(unsure)?;
    Ok(Said { feature: id, comments: all.len() })
}

/// What would be said. It depends on nothing but that the feature is there.
async fn would_say(desk: &dyn Desk, call: &Call, id: &FeatureId, text: &str) -> Result<Plan, Fault> {
    let path = format!("features/{id}");
    let _there: FeatureView = own(desk, call, Voice::Caller)?.get(&path).await.map_err(unread)?;
    let steps = vec![format!("Write on {id}: {text}")];
    Ok(Plan { target: id.to_string(), fingerprint: "comment".to_owned(), steps })
}

/// An agent's words, with whose they are.
fn signed(caller: &Caller, text: &str) -> String {
    match &caller.who {
        Who::Agent { agent, run, .. } => format!("{text}\n\n— {agent}, in run {run}"),
        Who::Person { .. } | Who::Service { .. } => text.to_owned(),
    }
}

struct Comments(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct NewWords {
    /// Which feature.
    id: FeatureId,
    /// Markdown.
    text: String,
}

#[async_trait]
impl Mutation for Comments {
    type Input = NewWords;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("comment", Tier::Operate, "feature.comment")
            .described("Comment", "Writes a comment on any feature of the team's board.")
    }

    async fn plan(&self, call: &Call, input: &NewWords) -> Result<Plan, Fault> {
        would_say(&*self.0, call, &input.id, &signed(&call.caller, &input.text)).await
    }
}

#[async_trait]
impl Change for Comments {
    async fn change(&self, call: &Call, input: NewWords, permit: Permit) -> Result<Said, Fault> {
        let text = signed(&call.caller, &input.text);
        say(&*self.0, call, input.id, text, Voice::from(&permit)).await
    }
}

struct Progress(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct HowFar {
    /// What is done, and what comes next: one to three sentences.
    text: String,
    /// How much of it is done, in percent.
    #[serde(default)]
    #[schemars(range(max = 100))]
    percent: Option<u8>,
    /// Which feature; your run's own, if left out.
    #[serde(default)]
    feature: Option<FeatureId>,
}

impl HowFar {
    fn words(&self, caller: &Caller) -> String {
        let far = self.percent.map_or_else(String::new, |percent| format!(" ({percent} %)"));
        signed(caller, &format!("Progress{far}: {}", self.text))
    }
}

#[async_trait]
impl Mutation for Progress {
    type Input = HowFar;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("report_progress", Tier::Operate, "work.report").described(
            "Report progress",
            "Tells people how far your work on your feature is. It stands among the feature's comments.",
        )
    }

    fn within(&self, caller: &Caller, input: &HowFar) -> Result<(), Fault> {
        its_feature(caller, input.feature.as_ref()).map(drop)
    }

    async fn plan(&self, call: &Call, input: &HowFar) -> Result<Plan, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        would_say(&*self.0, call, &id, &input.words(&call.caller)).await
    }
}

#[async_trait]
impl Change for Progress {
    async fn change(&self, call: &Call, input: HowFar, permit: Permit) -> Result<Said, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        say(&*self.0, call, id, input.words(&call.caller), Voice::from(&permit)).await
    }
}

struct Blocker(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct InTheWay {
    /// What is in the way.
    text: String,
    /// What would help.
    #[serde(default)]
    needs: Option<String>,
    /// The team that could help, if it is another one: an issue is opened for it.
    #[serde(default)]
    team: Option<InstanceName>,
    /// Which feature; your run's own, if left out.
    #[serde(default)]
    feature: Option<FeatureId>,
}

impl InTheWay {
    fn words(&self, caller: &Caller) -> String {
        let mut text = format!("**Blocked**: {}", self.text);
        if let Some(needs) = &self.needs {
            let _fits = write!(text, "\n\nWhat would help: {needs}");
        }
        signed(caller, &text)
    }
}

#[async_trait]
impl Mutation for Blocker {
    type Input = InTheWay;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("report_blocker", Tier::Operate, "work.report").described(
            "Report a blocker",
            "Tells people what keeps you from going on, and another team, if you name it, by an issue. To have something \
             decided, use ask_human.",
        )
    }

    fn within(&self, caller: &Caller, input: &InTheWay) -> Result<(), Fault> {
        its_feature(caller, input.feature.as_ref()).map(drop)
    }

    async fn plan(&self, call: &Call, input: &InTheWay) -> Result<Plan, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        let mut plan = would_say(&*self.0, call, &id, &input.words(&call.caller)).await?;
        plan.steps.extend(input.team.as_ref().map(|team| format!("Open an issue for {team}.")));
        Ok(plan)
    }
}

#[async_trait]
impl Change for Blocker {
    async fn change(&self, call: &Call, input: InTheWay, permit: Permit) -> Result<Said, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        if let Some(team) = &input.team {
            let Some(run) = call.caller.own_run() else {
                return Err(Fault::failed(
                    "You work in no run.",
                    "Leave the team out, and open the issue yourself.",
                ));
            };
            let text = input.needs.clone().unwrap_or_else(|| input.text.clone());
            let need = NeedTeam { run: run.clone(), team: team.clone(), text };
            let _asked: NeedView =
                own(&*self.0, call, Voice::from(&permit))?.post("needs", &need).await.map_err(unsure)?;
        }
        say(&*self.0, call, id, input.words(&call.caller), Voice::from(&permit)).await
    }
}

struct Attach(Arc<dyn Desk>);

#[derive(Deserialize, JsonSchema)]
struct NewFile {
    /// What the file is called: a name and no path.
    name: FileName,
    /// What is in it: text. A call takes at most 64 KiB.
    text: String,
    /// Which feature; your run's own, if left out.
    #[serde(default)]
    feature: Option<FeatureId>,
}

#[derive(Serialize, JsonSchema)]
struct Kept {
    /// With which.
    feature: FeatureId,
    /// All files that belong to it.
    files: Vec<String>,
}

#[async_trait]
impl Mutation for Attach {
    type Input = NewFile;
    type Output = Kept;

    fn spec(&self) -> Spec {
        let hints = Hints { destructive: true, idempotent: true, ..Hints::of(Tier::Operate) };
        Spec::new("attach", Tier::Operate, "feature.attach")
            .described("Attach a file", "Keeps a text file with a feature; one of the same name is replaced.")
            .hinted(hints)
    }

    fn within(&self, caller: &Caller, input: &NewFile) -> Result<(), Fault> {
        its_feature(caller, input.feature.as_ref()).map(drop)
    }

    async fn plan(&self, call: &Call, input: &NewFile) -> Result<Plan, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        let mut client = own(&*self.0, call, Voice::Caller)?;
        let view: FeatureView = client.get(&format!("features/{id}")).await.map_err(unread)?;
        let there = view.feature.wanted.attachments.iter().any(|file| file.name == input.name.as_str());
        let hash = Sha256::digest(&input.text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let does = if there { "Replace" } else { "Keep" };
        Ok(Plan {
            target: id.to_string(),
            fingerprint: format!("version {}", view.feature.version),
            steps: vec![format!(
                "{does} {}, {} bytes, SHA-256 {hash}.",
                input.name.as_str(),
                input.text.len()
            )],
        })
    }
}

#[async_trait]
impl Change for Attach {
    async fn change(&self, call: &Call, input: NewFile, permit: Permit) -> Result<Kept, Fault> {
        let id = its_feature(&call.caller, input.feature.as_ref())?;
        let mut client = own(&*self.0, call, Voice::from(&permit))?;
        let path = format!("features/{id}/attachments?name={}", crate::desk::encoded(input.name.as_str()));
        let view: FeatureView = client.post_file(&path, input.text.into_bytes()).await.map_err(unsure)?;
        let files = view.feature.wanted.attachments.into_iter().map(|file| file.name).collect();
        Ok(Kept { feature: id, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Caller {
        Caller::new(Who::Agent {
            team: "alpha".parse().unwrap(),
            agent: "coder".into(),
            run: "A-1.2".parse().unwrap(),
            on_behalf: vec![],
        })
    }

    #[test]
    fn a_run_speaks_of_its_own_feature() {
        let other: FeatureId = "A-2".parse().unwrap();
        assert_eq!(its_feature(&agent(), None).unwrap().to_string(), "A-1");
        let refused = its_feature(&agent(), Some(&other)).unwrap_err();
        insta::assert_snapshot!(format!("{} {}", refused.problem, refused.way_out), @"Your run A-1.2 is about A-1, and not about A-2. Leave the feature out: it is your own.");
    }

    #[test]
    fn an_agents_words_say_whose_they_are() {
        let far = HowFar { text: "The parser reads.".into(), percent: Some(40), feature: None };
        insta::assert_snapshot!(far.words(&agent()), @"
        Progress (40 %): The parser reads.

        — coder, in run A-1.2
        ");
        let blocked =
            InTheWay { text: "No key.".into(), needs: Some("A test key.".into()), feature: None, team: None };
        insta::assert_snapshot!(blocked.words(&agent()), @"
        **Blocked**: No key.

        What would help: A test key.

        — coder, in run A-1.2
        ");
    }
}
