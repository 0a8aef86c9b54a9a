//! What happens at a forge, in the words that all forges share, and what the bot makes of it. What was written there is data:
//! who may do what was asked of the forge and of the policies at that moment, and stands beside it.

mod issues;
mod pulls;

use qd_text::say;
use qd_types::{CommitId, FeatureId, Identity, InstanceName, Person, RepositoryName, Verb};
pub use qd_wire::v1::Verdict;
use qd_wire::v1::{Alert, FeatureReport};

pub use issues::Tracked;
pub use pulls::Threads;

use crate::{
    answer::Handled,
    chat::{Given, Proof, Scope, Way},
    commands,
    distil::{Pipeline, digest},
    effect::{Effect, ForgeCall},
    event::Moment,
    forge::Marker,
    handle::alert as raise,
    links,
    state::FleetState,
    text,
};

/// An issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Spot {
    /// Where.
    pub repository: RepositoryName,
    /// Issues and pull requests are counted together.
    pub number: u64,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.repository, self.number)
    }
}

impl std::str::FromStr for Spot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no = || format!("{text:?} is no issue: sample#12 is one");
        let (repository, number) = text.rsplit_once('#').ok_or_else(no)?;
        let repository = repository.parse().map_err(|_| no())?;
        Ok(Self { repository, number: number.parse().map_err(|_| no())? })
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The account at the forge.
    pub account: Identity,
    /// Whose it is, with the roles that count there at that moment; `None` for an account that nobody here has linked.
    pub person: Option<Person>,
}

/// What an issue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueText {
    /// Its title.
    pub title: String,
    /// What it says, Markdown, all of it.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Title of its milestone.
    pub milestone: Option<String>,
}

/// What was done to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It got a label.
    Labelled(String),
    /// It lost a label.
    Unlabelled(String),
    /// Its title or text was changed.
    Edited,
    /// It got another milestone, or none.
    Milestoned,
    /// It was closed, or deleted.
    Closed,
    /// It was opened again.
    Reopened,
}

/// Something was done to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueNews {
    /// Unique at the forge.
    pub id: String,
    /// Which issue.
    pub at: Spot,
    /// What was done.
    pub done: Done,
    /// What it says now.
    pub issue: IssueText,
    /// Who did it.
    pub by: Actor,
}

/// Somebody wrote a command under an issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Where.
    pub at: Spot,
    /// The comment's id at the forge.
    pub comment: String,
    /// Who.
    pub by: Actor,
    /// The command in the grammar of `bot/command`, without what it is introduced by.
    pub text: String,
    /// Whether the comment holds more commands than this one.
    pub more: bool,
    /// What the issue says, if it is one.
    pub issue: Option<IssueText>,
    /// Which teams are commanded from there.
    pub scope: Scope,
}

/// Somebody reviewed a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewNews {
    /// The review's id at the forge.
    pub id: String,
    /// Which pull request.
    pub at: Spot,
    /// The head that was looked at.
    pub head: CommitId,
    /// Who.
    pub by: Actor,
    /// What they say in all.
    pub verdict: Verdict,
    /// In words.
    pub text: String,
    /// On single lines.
    pub comments: Vec<LineComment>,
    /// Whether a yes counts as a vote.
    pub votes: bool,
}

/// A remark on a line, in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineComment {
    /// Path in the repository.
    pub path: String,
    /// Line in the head, from 1.
    pub line: Option<u32>,
    /// What is said.
    pub text: String,
    /// The thread, as the forge names it.
    pub thread: Option<String>,
}

/// A check of the forge's own ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckNews {
    /// Unique at the forge, for this time that it ran.
    pub id: String,
    /// The pull request whose head it is.
    pub at: Spot,
    /// The commit.
    pub commit: CommitId,
    /// The check's name.
    pub name: String,
    /// How it ended.
    pub ended: Ended,
    /// In a line.
    pub summary: String,
    /// The lines of its log that say why it is red.
    pub excerpt: String,
    /// Where its log is.
    pub url: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is red.
    Red,
    /// It was red, and is green on the same commit after it ran once more.
    Flaky,
}

/// What became of a repository, or of the bot's access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is called otherwise.
    Renamed {
        /// How: `owner/name`.
        to: String,
    },
    /// It belongs to somebody else.
    Transferred {
        /// To whom: `owner/name`.
        to: String,
    },
    /// It is gone.
    Deleted,
    /// The bot may not reach it any more.
    Lost {
        /// Why.
        why: String,
    },
    /// The bot reaches it again.
    Back,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Outside {
    /// Something was done to an issue.
    Issue(Box<IssueNews>),
    /// Somebody gave a command.
    Command(Box<Spoken>),
    /// Somebody reviewed a pull request.
    Review(Box<ReviewNews>),
    /// A check ended.
    Check(Box<CheckNews>),
    /// A workflow or a deployment ran on a commit of a default branch.
    Ran {
        /// Which.
        pipeline: Pipeline,
        /// On what.
        commit: CommitId,
        /// Whether it passed.
        passed: bool,
        /// Where to look.
        url: Option<String>,
    },
    /// Something became of a repository.
    Repository {
        /// Which.
        repository: RepositoryName,
        /// The teams that work there.
        teams: Vec<InstanceName>,
        /// What.
        standing: Standing,
    },
    /// What is to be said to somebody who did something.
    Answer {
        /// To what.
        to: Asked,
        /// What.
        text: String,
    },
}

/// Where an answer goes: one comment per thing that was asked, edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where.
    pub at: Spot,
    /// What is answered, uniquely: the comment, the review, what was done to the issue.
    pub what: String,
    /// Who is answered.
    pub account: String,
}

impl Outside {
    /// Where an answer to it goes, if it can have one.
    pub fn asks(&self) -> Option<Asked> {
        let asked = |at: &Spot, what: String, by: &Actor| Asked {
            at: at.clone(),
            what,
            account: by.account.account.clone(),
        };
        match self {
            Self::Command(spoken) => {
                Some(asked(&spoken.at, format!("comment/{}", spoken.comment), &spoken.by))
            }
            Self::Review(review) => Some(asked(&review.at, format!("review/{}", review.id), &review.by)),
            Self::Issue(news) => Some(asked(&news.at, format!("issue/{}", news.id), &news.by)),
            _ => None,
        }
    }

    /// Who gave a command: they are told what they missed, too.
    pub fn commander(&self) -> Option<&Person> {
        match self {
            Self::Command(spoken) => spoken.by.person.as_ref(),
            _ => None,
        }
    }
}

/// Takes what happened.
pub(crate) fn handle(state: &mut FleetState, what: Outside, moment: Moment) -> Handled {
    match what {
        Outside::Issue(news) => issues::done(state, *news),
        Outside::Command(spoken) => command(state, &spoken, moment),
        Outside::Review(review) => pulls::reviewed(state, *review, moment),
        Outside::Check(check) => match check.ended {
            Ended::Red => pulls::red(state, *check),
            Ended::Flaky => flaky(state, &check, moment).into(),
        },
        Outside::Ran { pipeline, commit, passed, url } => {
            crate::distil::pipeline::ran(state, pipeline, commit, passed, url, moment).into()
        }
        Outside::Repository { repository, teams, standing } => {
            stands(state, &repository, &teams, &standing, moment).into()
        }
        Outside::Answer { to, text } => vec![answer(&to, &text)].into(),
    }
}

/// A command, as from any surface. What only an issue can be told is read first.
fn command(state: &mut FleetState, spoken: &Spoken, moment: Moment) -> Handled {
    let Some(person) = &spoken.by.person else {
        if links::is_code(&spoken.text) {
            return links::stranger(state, &spoken.by.account, &spoken.text, moment);
        }
        return told(say!("outside-stranger", account = spoken.by.account));
    };
    if spoken.more {
        return told(say!("outside-one-command"));
    }
    if links::asks(&spoken.text) {
        return told(say!("link-not-here"));
    }
    match (&spoken.issue, spoken.text.trim()) {
        (Some(issue), "split") => return issues::split(state, spoken, issue, person),
        (Some(issue), "take") => return issues::take(state, spoken, issue),
        _ => {}
    }
    let given = Given {
        surface: spoken.by.account.service.clone(),
        account: Some(spoken.by.account.account.clone()),
        proof: Proof::Service(format!("comment:{}", spoken.comment)),
        way: Way::Button,
        scope: spoken.scope.clone(),
    };
    commands::handle(state, person, &given, &spoken.text, moment)
}

/// The feature that a pull request is of, and its team.
fn of_pull_request<'a>(
    state: &'a FleetState,
    at: &Spot,
) -> Option<(&'a InstanceName, &'a FeatureId, &'a FeatureReport)> {
    let mut found = state.features.iter().filter(|(_, report)| {
        report.pull_request == Some(at.number) && report.repository.as_ref() == Some(&at.repository)
    });
    found.next().map(|((team, feature), report)| (team, feature, report))
}

/// A check that is red and green on one commit says nothing: it is named where people look at the day.
fn flaky(state: &mut FleetState, check: &CheckNews, moment: Moment) -> Vec<Effect> {
    let Some((team, feature, _)) = of_pull_request(state, &check.at) else { return Vec::new() };
    let (team, name) = (team.clone(), text::inert(&check.name, 80));
    let line = say!("check-flaky", check = name, feature = feature, commit = check.commit.short());
    vec![digest::line(state, Some(&team), line, moment.at)]
}

/// Each team that works there is told once, until it is over.
fn stands(
    state: &mut FleetState,
    repository: &RepositoryName,
    teams: &[InstanceName],
    standing: &Standing,
    moment: Moment,
) -> Vec<Effect> {
    let text = match standing {
        Standing::Renamed { to } => {
            say!("repository-renamed", repository = repository, to = text::inert(to, 140))
        }
        Standing::Transferred { to } => {
            say!("repository-transferred", repository = repository, to = text::inert(to, 140))
        }
        Standing::Deleted => say!("repository-deleted", repository = repository),
        Standing::Lost { why } => say!("repository-lost", repository = repository, why = why),
        Standing::Back => String::new(),
    };
    let key = format!("forge:{repository}");
    let over = *standing == Standing::Back;
    let alert = |team: &InstanceName, state: &mut FleetState| {
        raise(state, team, Alert { key: key.clone(), text: text.clone(), over }, moment)
    };
    teams.iter().flat_map(|team| alert(team, state)).collect()
}

/// An answer as a comment. The same thing that was asked has the same comment.
fn answer(to: &Asked, text: &str) -> Effect {
    let key = format!("answer/{}/{}", to.at, to.what);
    let body = say!("outside-answer", account = text::inert(&to.account, 60), text = text);
    let (repository, number) = (to.at.repository.clone(), to.at.number);
    let call = ForgeCall::Answer { repository, number, marker: Marker(key.clone()), body };
    Effect::Forge { key, call }
}

fn told(reply: String) -> Handled {
    Handled { reply: Some(reply), ..Handled::default() }
}

/// Why a person may not do something to a team, if so: the policies' words.
fn refusal(state: &FleetState, person: &Person, verb: Verb, team: &InstanceName) -> Option<String> {
    let refused = state.rules.permit(person, verb, team).err()?;
    Some(format!("{} {}", refused.reason, refused.help))
}

/// A feature of a team was reported: what is shown of it at the forge follows.
pub(crate) fn reported(state: &mut FleetState, team: &InstanceName, report: &FeatureReport) -> Vec<Effect> {
    issues::linked(state, team, report)
}

/// A run asks about a head: what was asked for in threads of reviews of another head is done by it.
pub(crate) fn asked(state: &mut FleetState, at: &Spot, head: &CommitId) -> Vec<Effect> {
    pulls::settled(state, at, head)
}
