//! What a run needs of another team: asked of the bot, which opens an issue for that team.

use jiff::Timestamp;
use qd_api::{NeedTeam, NeedView};
use qd_types::Verb;
use qd_wire::v1::{ForgeAct, ForgeOutcome, ForgeRequest};
use serde_json::json;

use crate::{
    own::sha256,
    problem,
    team::{Answer, Caller, Team},
};

/// Longest text, in characters.
const LONGEST: usize = 2_000;

impl Team {
    /// Asks another team for something on behalf of a run. The same again is the same issue, and says what became of it.
    pub async fn need(&self, caller: &Caller, need: NeedTeam) -> Answer<NeedView> {
        self.permit(caller, Verb::FeatureComment)?;
        let NeedTeam { run, team, text } = need;
        let text = text.trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            return Err(problem::invalid(format!("text: what is needed has 1 to {LONGEST} characters.")));
        }
        let run = self.store().run(&run).await.map_err(problem::from_store)?;
        if run.end.is_some() {
            let reason = format!("Run {} has ended: nothing is asked on its behalf any more.", run.id);
            return Err(problem::refused(reason));
        }
        if caller.agent.as_ref().is_some_and(|agent| *agent != run.agent) {
            return Err(problem::forbidden(format!("Run {} is not one of this agent.", run.id)));
        }
        let now = Timestamp::now();
        let snapshot = self.store().snapshot(&run.feature, now).await.map_err(problem::from_store)?;
        let digest = sha256(&json!([team, text]).to_string());
        let id = format!("{}/need/{}", run.id, digest.get(..16).unwrap_or(&digest));
        let act = ForgeAct::OpenIssue { repository: snapshot.feature.repository, team, text: text.into() };
        let request = ForgeRequest { id: id.clone(), feature: run.feature, run: run.id, act };
        self.store().request(request, now).await.map_err(problem::from_store)?;
        let outcome = self.store().outcome(&id).await.map_err(problem::from_store)?;
        let (issue, refused) = match outcome {
            Some(ForgeOutcome::IssueOpened { number }) => (Some(number), None),
            Some(ForgeOutcome::Refused { reason } | ForgeOutcome::Unknown { reason }) => (None, Some(reason)),
            _ => (None, None),
        };
        Ok(NeedView { issue, refused })
    }
}
