//! Issues: one that a person with the right gives to a team by the label `team:<name>` becomes a feature of it, bound to what
//! the issue said at that moment. The feature follows what people with the right do to the issue; what others do is a proposal.

use qd_text::say;
use qd_types::{FeatureId, InstanceName, Person, Stage, Verb};
use qd_wire::v1::{FeatureReport, IssueEvent, IssueHappened, Order};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Actor, Done, IssueNews, IssueText, Spoken, Spot, refusal, told};
use crate::{
    answer::Handled,
    effect::{Effect, ForgeCall, Save},
    near,
    state::FleetState,
};

/// The label that gives an issue to a team.
const TEAM: &str = "team:";
/// What the label of an urgency begins with.
const PRIORITY: &str = "priority:";
/// Most labels of an issue that its feature has, and the longest of them in bytes, as the board takes them.
const LABELS: (usize, usize) = (16, 48);

/// An issue that was given to a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// The team.
    pub team: InstanceName,
    /// What the team was given: a hash of title and text.
    pub revision: String,
    /// What somebody without the right wants it to say, if so: a hash.
    pub proposed: Option<String>,
    /// Whether it is open.
    pub open: bool,
    /// The milestone and the urgency that the team was told.
    pub planned: (Option<String>, Option<u8>),
    /// The feature that came of it, and the stage that the issue shows.
    pub feature: Option<(FeatureId, Stage)>,
}

impl IssueText {
    /// What is bound: a hash of title and text, each with its length before it.
    fn revision(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.title, &self.body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// 0 (the most urgent) to 4, by a label `priority:1` or `P1`; the most urgent one counts.
    fn priority(&self) -> Option<u8> {
        self.labels.iter().filter_map(|label| urgency(label)).min()
    }

    fn planned(&self) -> (Option<String>, Option<u8>) {
        (self.milestone.clone(), self.priority())
    }

    /// Labels as the board takes them, without those that say something else here.
    fn plain_labels(&self) -> Vec<String> {
        let (most, longest) = LABELS;
        let says = |label: &&String| !label.starts_with(TEAM) && urgency(label).is_none();
        let tidy = self.labels.iter().filter(says).map(|label| label.trim().to_lowercase().replace(',', ""));
        tidy.filter(|label| !label.is_empty() && label.len() <= longest).take(most).collect()
    }
}

fn urgency(label: &str) -> Option<u8> {
    let number = label.strip_prefix(PRIORITY).or_else(|| label.strip_prefix(['P', 'p']))?;
    number.trim().parse().ok().filter(|number| *number <= 4)
}

/// Something was done to an issue.
pub(super) fn done(state: &mut FleetState, news: IssueNews) -> Handled {
    if let Done::Labelled(label) = &news.done
        && let Some(name) = label.strip_prefix(TEAM)
    {
        return given(state, &news, name);
    }
    let Some(tracked) = state.issues.get(&news.at).cloned() else { return Handled::default() };
    let (happened, verb) = match &news.done {
        Done::Unlabelled(label) if label.strip_prefix(TEAM) == Some(tracked.team.as_str()) => {
            return let_go(state, &news, &tracked);
        }
        Done::Edited => (IssueHappened::Edited, Verb::FeatureEdit),
        Done::Closed => (IssueHappened::Closed, Verb::FeatureCancel),
        Done::Reopened => (IssueHappened::Reopened, Verb::FeatureMove),
        Done::Labelled(_) | Done::Unlabelled(_) | Done::Milestoned => {
            (IssueHappened::Planned, Verb::FeatureEdit)
        }
    };
    let mut next = tracked.clone();
    let person = permitted(state, &news.by, verb, &tracked.team);
    match happened {
        IssueHappened::Edited => {
            let revision = news.issue.revision();
            if revision == tracked.revision {
                next.proposed = None;
            } else if person.is_some() {
                (next.revision, next.proposed) = (revision, None);
            } else {
                next.proposed = Some(revision);
            }
        }
        IssueHappened::Closed => next.open = false,
        IssueHappened::Reopened => next.open = true,
        _ if person.is_some() => next.planned = news.issue.planned(),
        // A label that says nothing here, or one by somebody without the right: the plan stays as it is.
        _ => return Handled::default(),
    }
    if next == tracked {
        return Handled::default();
    }
    let proposes = next.proposed.is_some() && next.proposed != tracked.proposed;
    let reply = proposes.then(|| {
        let feature = next.feature.as_ref().map_or_else(|| news.at.to_string(), |(id, _)| id.to_string());
        say!("issue-proposal", feature = feature, label = format!("{TEAM}{}", tracked.team))
    });
    let mut effects = vec![keep(state, &news.at, Some(next))];
    effects.push(order(&tracked.team, &news, happened, person));
    Handled { effects, reply, ..Handled::default() }
}

/// It was given to a team.
fn given(state: &mut FleetState, news: &IssueNews, name: &str) -> Handled {
    let team = name.parse::<InstanceName>().ok().filter(|team| state.rules.teams.contains(team));
    // Labels of accounts that nobody has linked are not answered: anybody may have an account.
    let Some(person) = &news.by.person else { return Handled::default() };
    let Some(team) = team else { return told(near::no_team_called(&state.rules.teams, name)) };
    if let Some(refused) = refusal(state, person, Verb::FeatureAdd, &team) {
        return told(refused);
    }
    let before = state.issues.get(&news.at).cloned();
    if let Some(other) = before.as_ref().filter(|before| before.team != team) {
        return told(say!("issue-taken", team = other.team, label = format!("{TEAM}{}", other.team)));
    }
    let (revision, planned) = (news.issue.revision(), news.issue.planned());
    let feature = before.as_ref().and_then(|before| before.feature.clone());
    let next = Tracked { team: team.clone(), revision, proposed: None, open: true, planned, feature };
    if before.as_ref() == Some(&next) {
        return Handled::default();
    }
    let effects = vec![
        keep(state, &news.at, Some(next)),
        order(&team, news, IssueHappened::Assigned, Some(person.clone())),
    ];
    effects.into()
}

/// A person wants what the issue says now to hold for the team whose label it has: as if they had set that label.
pub(super) fn take(state: &mut FleetState, spoken: &Spoken, issue: &IssueText) -> Handled {
    let mut teams = issue.labels.iter().filter_map(|label| label.strip_prefix(TEAM));
    let (Some(name), None) = (teams.next(), teams.next()) else {
        return told(say!("issue-of-nobody", label = TEAM));
    };
    let news = IssueNews {
        id: format!("take/{}", spoken.comment),
        at: spoken.at.clone(),
        done: Done::Labelled(format!("{TEAM}{name}")),
        issue: issue.clone(),
        by: spoken.by.clone(),
    };
    let mut handled = given(state, &news, name);
    handled.reply = handled.reply.or_else(|| Some(say!("issue-given", team = name)));
    handled
}

/// Its team's label was taken away: the feature stays, and follows it no more.
fn let_go(state: &mut FleetState, news: &IssueNews, tracked: &Tracked) -> Handled {
    let Some(person) = &news.by.person else { return Handled::default() };
    if let Some(refused) = refusal(state, person, Verb::FeatureEdit, &tracked.team) {
        return told(refused);
    }
    let mut handled = Handled::from(vec![keep(state, &news.at, None)]);
    handled.reply = tracked
        .feature
        .as_ref()
        .map(|(feature, _)| say!("issue-let-go", feature = feature, team = tracked.team));
    handled
}

/// The open items of its task list are to be features, too.
pub(super) fn split(state: &FleetState, spoken: &Spoken, issue: &IssueText, person: &Person) -> Handled {
    let Some(tracked) = state.issues.get(&spoken.at) else {
        return told(say!("issue-of-nobody", label = TEAM));
    };
    if let Some(refused) = refusal(state, person, Verb::FeatureAdd, &tracked.team) {
        return told(refused);
    }
    if tracked.revision != issue.revision() {
        return told(say!("issue-moved-on", label = format!("{TEAM}{}", tracked.team)));
    }
    let news = IssueNews {
        id: format!("split/{}", spoken.comment),
        at: spoken.at.clone(),
        done: Done::Edited,
        issue: issue.clone(),
        by: spoken.by.clone(),
    };
    let effects = vec![order(&tracked.team, &news, IssueHappened::Split, Some(person.clone()))];
    let reply = Some(say!("order-sent", team = tracked.team));
    Handled { effects, reply, ..Handled::default() }
}

/// Whoever did it, if they may.
fn permitted(state: &FleetState, by: &Actor, verb: Verb, team: &InstanceName) -> Option<Person> {
    let person = by.person.as_ref()?;
    state.rules.permit(person, verb, team).is_ok().then(|| person.clone())
}

fn order(team: &InstanceName, news: &IssueNews, happened: IssueHappened, person: Option<Person>) -> Effect {
    let issue = &news.issue;
    let event = IssueEvent {
        id: news.id.clone(),
        repository: news.at.repository.clone(),
        number: news.at.number,
        happened,
        title: issue.title.as_str().into(),
        body: issue.body.as_str().into(),
        labels: issue.plain_labels(),
        milestone: issue.milestone.clone(),
        priority: issue.priority(),
        author: news.by.account.clone(),
        person,
    };
    Effect::Tell { to: team.clone(), living: None, order: Box::new(Order::Issue(Box::new(event))) }
}

fn keep(state: &mut FleetState, at: &Spot, tracked: Option<Tracked>) -> Effect {
    match &tracked {
        Some(tracked) => state.issues.insert(at.clone(), tracked.clone()),
        None => state.issues.remove(at),
    };
    Effect::Save(Save::Issue(at.clone(), tracked.map(Box::new)))
}

/// A feature that came of an issue is named there, and where it stands: one living comment.
pub(super) fn linked(state: &mut FleetState, team: &InstanceName, report: &FeatureReport) -> Vec<Effect> {
    let Some(at) = report.issue.as_deref().and_then(|issue| issue.parse::<Spot>().ok()) else {
        return Vec::new();
    };
    let now = Some((report.feature.clone(), report.stage));
    let Some(tracked) = state.issues.get(&at).filter(|tracked| tracked.team == *team) else {
        return Vec::new();
    };
    if tracked.feature == now {
        return Vec::new();
    }
    let next = Tracked { feature: now, ..tracked.clone() };
    let body = say!("issue-linked", feature = report.feature, team = team, stage = stage(report));
    let key = format!("issue/{at}");
    let call = ForgeCall::Show { repository: at.repository.clone(), number: at.number, text: body };
    vec![keep(state, &at, Some(next)), Effect::Forge { key, call }]
}

/// Where it stands, as an issue shows it.
fn stage(report: &FeatureReport) -> String {
    match (report.stage, report.pull_request, &report.merged) {
        (Stage::Backlog, ..) => say!("issue-backlog", feature = report.feature),
        (Stage::Ready, ..) => say!("issue-ready"),
        (Stage::Running, ..) => say!("issue-running"),
        (Stage::Review, Some(number), _) => say!("issue-review", number = number),
        (Stage::Review, None, _) => say!("issue-running"),
        (Stage::Done, _, Some(commit)) => say!("issue-merged", commit = commit.short()),
        (Stage::Done, ..) => say!("issue-done"),
        (Stage::Cancelled, ..) => say!("issue-cancelled"),
    }
}
