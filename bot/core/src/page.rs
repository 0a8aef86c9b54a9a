//! What stands on a pull request: the sticky comment, the cards of its approvals, and the check that turns green by a grant
//! alone. All of it is made of what is known, and follows it: the same state gives the same page.

use qd_text::say;
use qd_types::{Action, ApprovalId, ApprovalState, CommitId, FeatureId, InstanceName, RepositoryName, Stage};
use qd_wire::v1::{FeatureReport, Finding, MilestoneProgress};

use crate::{
    desk::OWN_CHECK,
    effect::{Effect, ForgeCall, Save, Step},
    forge::{Annotation, Check, CheckText, Conclusion, ForgeError, Marker, MergeOrder, NewIssue},
    state::{Desk, FleetState},
    text,
};

/// Approvals of which a pull request tells, the newest.
const TOLD: usize = 8;
/// Remarks on lines that a check carries.
const ANNOTATIONS: usize = 50;
/// Longest of one, in characters.
const REMARK: usize = 400;

/// The pull request of a feature, as it is to be now; nothing if it has none.
pub(crate) fn of_feature(state: &FleetState, team: &InstanceName, feature: &FeatureId) -> Vec<Effect> {
    let Some(report) = state.features.get(&(team.clone(), feature.clone())) else { return Vec::new() };
    let (Some(repository), Some(number)) = (&report.repository, report.pull_request) else {
        return Vec::new();
    };
    let text = sticky(state, team, report);
    let show = ForgeCall::Show { repository: repository.clone(), number, text };
    let mut effects = vec![Effect::Forge { key: format!("page/{repository}/{number}"), call: show }];
    // It is a draft while it is worked on, and no more once people are asked. What is over is left alone.
    let draft = match report.stage {
        Stage::Running => Some(true),
        Stage::Review => Some(false),
        Stage::Backlog | Stage::Ready | Stage::Done | Stage::Cancelled => None,
    };
    effects.extend(draft.map(|draft| {
        let call = ForgeCall::Draft { repository: repository.clone(), number, draft };
        Effect::Forge { key: format!("draft/{repository}/{number}"), call }
    }));
    effects
}

fn sticky(state: &FleetState, team: &InstanceName, report: &FeatureReport) -> String {
    let concerns =
        |subject: &qd_types::Subject| subject.instance == *team && subject.feature == report.feature;
    let own = state.approvals.values().filter(|desk| concerns(&desk.approval().subject));
    let own = own.map(|desk| (desk.approval().id.clone(), text::on_page(desk)));
    let foreign = state.foreign.values().filter(|found| concerns(&found.approval().subject));
    let foreign = foreign.map(|found| (found.approval().id.clone(), text::foreign_on_page(found)));
    let mut decisions: Vec<(String, String)> =
        own.chain(foreign).map(|(id, text)| (id.key(), text)).collect();
    // By their ids, which is by age.
    decisions.sort();
    let newest = decisions.len().saturating_sub(TOLD);
    let decisions: Vec<String> = decisions.into_iter().skip(newest).map(|(_, text)| text).collect();
    text::page(team, report, &decisions)
}

/// The card of an approval on the pull request that it is about, and the check that waits for it.
pub(crate) fn of_approval(desk: &Desk) -> Vec<Effect> {
    let approval = desk.approval();
    let Action::Merge(merge) = &approval.subject.action else { return Vec::new() };
    let (id, repository) = (approval.id.clone(), merge.repository.clone());
    let card = ForgeCall::Card {
        approval: id.clone(),
        repository: repository.clone(),
        number: merge.pull_request,
        text: text::card_on_page(desk),
    };
    let conclusion = match approval.state {
        ApprovalState::Requested | ApprovalState::Granted | ApprovalState::Executing => Conclusion::Pending,
        ApprovalState::Executed => Conclusion::Success,
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Withdrawn
        | ApprovalState::Failed
        | ApprovalState::Unknown
        | ApprovalState::Lapsed => Conclusion::Failure,
    };
    let annotations = annotations(&desk.filed.findings);
    let text = CheckText { title: text::check_title(desk), summary: text::approval(desk), annotations };
    vec![
        Effect::Forge { key: format!("card/{id}"), call: card },
        check(&id, "asked", repository, merge.head.clone(), conclusion, text),
    ]
}

/// The merge that a grant paid for was not made: the tested commit is green no more.
pub(crate) fn not_merged(id: &ApprovalId, order: &MergeOrder, error: &ForgeError) -> Option<Effect> {
    let (conclusion, title) = match error {
        // Whether it was merged is not known: what stands there is left alone.
        ForgeError::Unavailable { .. } | ForgeError::NotNow { .. } => return None,
        ForgeError::BaseMoved { .. } => (Conclusion::Pending, say!("check-base-moved")),
        _ => (Conclusion::Failure, say!("check-not-merged")),
    };
    let text = CheckText { title, summary: text::sentence(error), annotations: Vec::new() };
    Some(check(id, "tested", order.repository.clone(), order.head.clone(), conclusion, text))
}

/// What a team's checks remarked, at the lines that they remarked it on.
fn annotations(findings: &[Finding]) -> Vec<Annotation> {
    let one = |finding: &Finding| Annotation {
        path: finding.path.clone(),
        line: finding.line.max(1),
        message: text::inert(finding.text.as_str(), REMARK),
    };
    findings.iter().take(ANNOTATIONS).map(one).collect()
}

fn check(
    id: &ApprovalId,
    which: &str,
    repository: RepositoryName,
    commit: CommitId,
    conclusion: Conclusion,
    text: CheckText,
) -> Effect {
    let check = Check { name: OWN_CHECK.to_owned(), conclusion, text: Some(text) };
    Effect::Forge { key: format!("check/{id}/{which}"), call: ForgeCall::Check { repository, commit, check } }
}

/// The card stands on its pull request, or can't. Where people read it, that is as good as a channel.
pub(crate) fn carded(
    state: &mut FleetState,
    approval: &ApprovalId,
    result: Result<u64, ForgeError>,
) -> Vec<Effect> {
    let read = &state.rules.read;
    let Some(desk) = state.approvals.get_mut(&approval.key()) else { return Vec::new() };
    let Action::Merge(merge) = &desk.standing.approval.subject.action else { return Vec::new() };
    if desk.approval().id != *approval || !read.contains(merge.repository.as_str()) {
        return Vec::new();
    }
    let approval = approval.clone();
    match result {
        Ok(comment) => {
            desk.filed.on_forge = Some(comment);
            vec![
                Effect::Save(Save::Filed(approval.clone(), Box::new(desk.filed.clone()))),
                Effect::Step(Step::OnForge { approval, comment }),
            ]
        }
        Err(error) => {
            let problem = error.to_string();
            let mut effects = vec![Effect::Step(Step::OffForge { approval: approval.clone(), problem })];
            // The next place is the board, which may have said already that it stands there.
            effects.extend(desk.filed.on_board.then_some(Effect::Step(Step::OnBoard { approval })));
            effects
        }
    }
}

/// How far a milestone is, as an issue in it that is edited, and closed when all of it is merged.
pub(crate) fn of_milestone(
    state: &FleetState,
    team: &InstanceName,
    progress: &MilestoneProgress,
) -> Option<Effect> {
    let repository = progress.repository.clone()?;
    let (project, milestone) = (progress.project.as_str(), progress.milestone.as_str());
    let key = format!("milestone/{team}/{project}/{milestone}");
    let issue = NewIssue {
        repository,
        title: text::roll_up_title(progress),
        body: say!("roll-up-body", team = team),
        labels: vec!["roll-up".to_owned()],
        milestone: Some(milestone.to_owned()),
        marker: Marker(key.clone()),
    };
    let over = progress.features > 0 && progress.done == progress.features;
    let call = ForgeCall::RollUp { issue, text: text::roll_up(state, team, progress), over };
    Some(Effect::Forge { key, call })
}
