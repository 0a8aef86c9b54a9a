//! What one team needs of another: an issue with the other's label, which is how teams talk.

use qd_approvals::inert;
use qd_text::say;
use qd_types::InstanceName;
use qd_wire::v1::{ForgeOutcome, ForgeRequest, Passage};

use crate::{
    answer::{answer, failed},
    chat::{About, Channel, MessageKey},
    desk,
    effect::{Effect, ForgeCall},
    forge::{ForgeError, Marker, NewIssue},
    near,
    state::FleetState,
    text,
};

/// Longest title of such an issue behind its first words, in characters.
const TITLE: usize = 120;
/// Longest text of one, in characters.
const TEXT: usize = 4_000;

/// A run can't go on without another team.
pub(crate) fn asks(
    state: &FleetState,
    from: &InstanceName,
    request: &ForgeRequest,
    repository: &qd_types::RepositoryName,
    wanted: &InstanceName,
    words: &Passage,
) -> Vec<Effect> {
    let refuse = |reason| vec![answer(from, &request.id, ForgeOutcome::Refused { reason })];
    let called = |team: &InstanceName| state.rules.renamed.get(team).unwrap_or(team).clone();
    let found = state.rules.teams.iter().find(|team| *team == wanted || called(team) == *wanted);
    let Some(team) = found else {
        let teams: Vec<InstanceName> = state.rules.teams.iter().map(called).collect();
        return refuse(near::no_team(&teams, wanted));
    };
    if team == from {
        return refuse(say!("need-of-itself", team = wanted));
    }
    let (from_called, wanted) = (called(from), called(team));
    let first = words.as_str().lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let title =
        say!("need-title", from = from_called, team = wanted, what = inert::plain(first.trim(), TITLE));
    let whose = say!("need-whose", from = from_called, feature = request.feature, run = request.run);
    let key = format!("{from}/{}", request.id);
    let issue = NewIssue {
        repository: repository.clone(),
        title,
        body: inert::quoted(&whose, words.as_str(), TEXT),
        labels: vec![format!("team:{wanted}")],
        milestone: None,
        marker: Marker(key.clone()),
    };
    let call = ForgeCall::OpenIssue {
        instance: from.clone(),
        request: request.id.clone(),
        team: team.clone(),
        issue,
    };
    vec![Effect::Forge { key, call }]
}

/// The issue is open, or is not. The people of the other team are told where they see what is theirs.
pub(crate) fn opened(
    from: &InstanceName,
    request: &str,
    team: &InstanceName,
    issue: &NewIssue,
    result: Result<u64, ForgeError>,
) -> Vec<Effect> {
    let number = match result {
        Ok(number) => number,
        Err(error) => return vec![answer(from, request, failed(&error))],
    };
    let line = say!(
        "need-opened",
        title = text::inert(&issue.title, 2 * TITLE),
        number = number,
        repository = issue.repository
    );
    let key = MessageKey(format!("need:{from}:{request}"));
    vec![
        answer(from, request, ForgeOutcome::IssueOpened { number }),
        desk::put(Channel::Dev, key, line).about(About::team(team)),
    ]
}
