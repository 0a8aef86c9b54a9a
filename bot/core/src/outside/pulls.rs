//! Pull requests: reviews go to the run as feedback and, where they say yes and policy lets them, to the desk as votes; red
//! checks go to the run with the lines that say why. What is no pull request of a team is nobody's business here.

use qd_text::say;
use qd_types::{Action, CommitId, Verb};
use qd_wire::v1::{ForgeCheck, Order, Review, ReviewComment, Verdict};
use serde::{Deserialize, Serialize};

use super::{CheckNews, ReviewNews, Spot, of_pull_request, told};
use crate::{
    answer::Handled,
    chat::{Given, Proof, Scope, Way},
    desk,
    effect::{Effect, ForgeCall, Save},
    event::Moment,
    forge::Marker,
    state::{Desk, FleetState},
};

/// Threads that wait for an answer at one pull request; the oldest go first.
const THREADS: usize = 100;

/// Threads of reviews that are to be answered with the commit that does what they ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threads {
    /// Each with the head that it was written about.
    pub open: Vec<(String, CommitId)>,
}

/// Somebody reviewed a pull request.
pub(super) fn reviewed(state: &mut FleetState, review: ReviewNews, moment: Moment) -> Handled {
    let Some((team, _, _)) = of_pull_request(state, &review.at) else { return Handled::default() };
    let team = team.clone();
    // Whoever may not guide the run is heard there, and guides nobody.
    let guide = review.by.person.clone();
    let guide = guide.filter(|person| state.rules.permit(person, Verb::RunGuide, &team).is_ok());
    let mut effects = Vec::new();
    if guide.is_some() && review.verdict != Verdict::Approved {
        effects.extend(remember(state, &review));
    }
    let comments = review.comments.iter().map(|comment| ReviewComment {
        path: comment.path.clone(),
        line: comment.line,
        text: comment.text.as_str().into(),
    });
    let order = Order::Review(Box::new(Review {
        id: review.id.clone(),
        repository: review.at.repository.clone(),
        pull_request: review.at.number,
        head: review.head.clone(),
        author: review.by.account.clone(),
        person: guide,
        verdict: review.verdict,
        text: review.text.as_str().into(),
        comments: comments.collect(),
    }));
    effects.push(Effect::Tell { to: team, living: None, order: Box::new(order) });
    let mut handled = Handled::from(effects);
    if review.votes && review.verdict == Verdict::Approved {
        let Handled { effects, reply, .. } = vote(state, &review, moment);
        handled.effects.extend(effects);
        handled.reply = reply;
    }
    handled
}

/// A yes of a person counts for what is asked about exactly the head that they looked at.
fn vote(state: &FleetState, review: &ReviewNews, moment: Moment) -> Handled {
    let Some(person) = &review.by.person else { return Handled::default() };
    let asked = state.approvals.values().filter(|desk| desk.approval().state.is_open());
    let of_this = |desk: &&Desk| match &desk.approval().subject.action {
        Action::Merge(merge) => {
            merge.repository == review.at.repository && merge.pull_request == review.at.number
        }
        _ => false,
    };
    let Some(desk) = asked.filter(of_this).max_by_key(|desk| desk.approval().id.key()) else {
        return Handled::default();
    };
    let Action::Merge(merge) = &desk.approval().subject.action else { return Handled::default() };
    if merge.head != review.head {
        return told(say!("review-of-another", reviewed = review.head.short(), asked = merge.head.short()));
    }
    let given = Given {
        surface: review.by.account.service.clone(),
        account: Some(review.by.account.account.clone()),
        proof: Proof::Service(format!("review:{}", review.id)),
        way: Way::Button,
        scope: Scope::Fleet,
    };
    vec![desk::ballot(desk, person, &given, desk::Said::Yes { typed: None }, moment)].into()
}

/// A check is red: the run hears of it, with the lines that say why.
pub(super) fn red(state: &FleetState, check: CheckNews) -> Handled {
    let Some((team, _, _)) = of_pull_request(state, &check.at) else { return Handled::default() };
    let order = Order::CheckResult(ForgeCheck {
        id: check.id,
        repository: check.at.repository,
        pull_request: Some(check.at.number),
        commit: check.commit,
        name: check.name,
        passed: false,
        summary: check.summary.into(),
        excerpt: check.excerpt.into(),
        url: check.url,
    });
    vec![Effect::Tell { to: team.clone(), living: None, order: Box::new(order) }].into()
}

/// Threads that ask for something are answered once it is done.
fn remember(state: &mut FleetState, review: &ReviewNews) -> Option<Effect> {
    let new: Vec<&String> = review.comments.iter().filter_map(|comment| comment.thread.as_ref()).collect();
    if new.is_empty() {
        return None;
    }
    let threads = state.threads.entry(review.at.clone()).or_default();
    for thread in new {
        threads.open.retain(|(known, _)| known != thread);
        threads.open.push((thread.clone(), review.head.clone()));
    }
    let too_many = threads.open.len().saturating_sub(THREADS);
    threads.open.drain(..too_many);
    Some(Effect::Save(Save::Threads(review.at.clone(), threads.clone())))
}

/// People are asked about another head: what was asked for in threads about one before it is done by this one.
pub(super) fn settled(state: &mut FleetState, at: &Spot, head: &CommitId) -> Vec<Effect> {
    let Some(threads) = state.threads.get_mut(at) else { return Vec::new() };
    let (done, open) = std::mem::take(&mut threads.open).into_iter().partition(|(_, about)| about != head);
    threads.open = open;
    let done: Vec<(String, CommitId)> = done;
    if done.is_empty() {
        return Vec::new();
    }
    let save = Effect::Save(Save::Threads(at.clone(), threads.clone()));
    let settle = |(thread, _): (String, CommitId)| {
        let key = format!("thread/{at}/{thread}/{head}");
        let call = ForgeCall::Settle {
            repository: at.repository.clone(),
            number: at.number,
            thread,
            marker: Marker(key.clone()),
            body: say!("thread-done", commit = head.short()),
        };
        Effect::Forge { key, call }
    };
    std::iter::once(save).chain(done.into_iter().map(settle)).collect()
}
