//! `plan`: a goal becomes a proposal of features, and what a person accepts is filed.

use qd_api::{AcceptPlan, FeatureView, RunSummary, RunView};
use qd_board::{NewFeature, PlanMode, RunEnd};
use qd_types::FeatureId;

use super::{Done, connect, explain, feature};
use crate::{
    cli::{Common, Plan, PlanVerb},
    context::UserError,
    say,
};

pub(super) async fn plan(common: &Common, plan: Plan) -> Done {
    let mut client = connect(common)?;
    match plan.verb {
        None => {
            let mut wanted = feature::wanted(plan.goal.unwrap_or_default(), *plan.fields)?;
            wanted.plan = if plan.page { PlanMode::Page } else { PlanMode::Goal };
            let new = NewFeature { wanted, repository: plan.repository, ready: true };
            let view: FeatureView = client.post("features", &new).await.map_err(explain)?;
            feature::print(common, &view);
            if !common.json {
                let id = &view.feature.id;
                say::line(&format!("When it is proposed, read it with: quarterdeck plan show {id}"));
                if plan.page {
                    say::line("It is accepted by merging its pull request.");
                }
            }
        }
        Some(PlanVerb::Show { id }) => {
            let run = newest(&mut client, &id).await?;
            if common.json {
                say::json(&run);
                return Ok(());
            }
            match &run.plan {
                None => say::line(&format!("Nothing is proposed yet. {}", run.sentence)),
                Some(text) => {
                    say::line(text.trim_end());
                    if run.plan_waits {
                        // Beside what is shown, so that it can be written to a file.
                        say::note(&format!(
                            "\nAccept it with: quarterdeck plan accept {id}, or change it first: quarterdeck plan show \
                             {id} > plan.md, then quarterdeck plan accept {id} --file plan.md"
                        ));
                    }
                }
            }
        }
        Some(PlanVerb::Accept { id, file, backlog }) => {
            let run = newest(&mut client, &id).await?;
            let text = file.map(|file| super::exchange::read(&file)).transpose()?;
            let text = text.map(|text| qd_board::goal::proposal(&text));
            let path = format!("runs/{}/plan", run.summary.id);
            let accepted: RunView =
                client.post(&path, &AcceptPlan { text, backlog }).await.map_err(explain)?;
            if common.json {
                say::json(&accepted);
                return Ok(());
            }
            let parts: Vec<FeatureView> =
                client.get(&format!("features/{id}/parts")).await.map_err(explain)?;
            parts.iter().for_each(|part| feature::print(common, part));
            if let Some(RunEnd::Planned { features }) = &accepted.summary.end {
                say::line(&format!("{features} features are filed for {id}."));
            }
        }
    }
    Ok(())
}

/// The newest run of a goal.
async fn newest(client: &mut qd_api::Client, id: &FeatureId) -> Result<RunView, UserError> {
    let runs: Vec<RunSummary> = client.get(&format!("runs?feature={id}")).await.map_err(explain)?;
    let Some(run) = runs.first() else {
        return Err(UserError::failed(format!(
            "No run planned {id} yet. Look at it: quarterdeck feature why {id}"
        )));
    };
    client.get(&format!("runs/{}", run.id)).await.map_err(explain)
}
