//! What a person may say. Each displays as the text that parses back to it.

use std::fmt;

use qd_types::{FeatureId, InstanceName, PersonId, Stage, Verb};

use crate::{NewMachine, OldMachine, When};

/// Which approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The unique part of its id, or the beginning of it, upper case.
    Key(String),
    /// The open one of this feature.
    Feature(FeatureId),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Feature(id) => write!(f, "{id}"),
        }
    }
}

/// What of the fleet is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetPart {
    /// The teams, a line each.
    Teams,
    /// What models have cost.
    Cost,
    /// What endangers the work.
    Risks,
    /// What the week's digest would say now.
    Week,
}

impl FleetPart {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Teams, Self::Cost, Self::Risks, Self::Week];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Cost => "cost",
            Self::Risks => "risks",
            Self::Week => "week",
        }
    }
}

/// A service where people have accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// GitHub.
    Github,
    /// Discord.
    Discord,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 2] = [Self::Github, Self::Discord];

    /// As identities name it: `github`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Discord => "discord",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field of a feature that a person may edit with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// One line.
    Title,
    /// What its agent is told, Markdown.
    Description,
    /// 0, the most urgent, to 4.
    Priority,
    /// Labels, with commas between them; `none` takes them all off.
    Labels,
    /// `xs`, `s`, `m`, `l` or `xl`; `none` leaves it to the rules.
    Size,
    /// The project's name, or `none`.
    Project,
    /// The milestone's name, or `none`.
    Milestone,
    /// The day it is due, as 2026-12-24, or `none`.
    Due,
    /// The agent that is to work on it, or `none`.
    Agent,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 9] = [
        Self::Title,
        Self::Description,
        Self::Priority,
        Self::Labels,
        Self::Size,
        Self::Project,
        Self::Milestone,
        Self::Due,
        Self::Agent,
    ];

    /// Its word, which is its name on the board, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Description => "description",
            Self::Priority => "priority",
            Self::Labels => "labels",
            Self::Size => "size",
            Self::Project => "project",
            Self::Milestone => "milestone",
            Self::Due => "due",
            Self::Agent => "agent",
        }
    }
}

/// What limits a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Runs at once.
    Slots,
    /// Features in review, from which on nothing new starts.
    Reviews,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 2] = [Self::Slots, Self::Reviews];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Reviews => "reviews",
        }
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Say yes.
    Approve {
        /// To what.
        which: Which,
        /// The target's name, typed out, where a yes takes that. One space between words.
        typed: Option<String>,
    },
    /// Say no.
    Deny {
        /// To what.
        which: Which,
        /// Why.
        reason: Option<String>,
    },
    /// Answer a question.
    Answer {
        /// Which.
        which: Which,
        /// What. One space between words.
        text: String,
    },
    /// Ask again for what expired.
    Reopen {
        /// Which.
        which: Which,
    },
    /// What waits for people.
    Approvals,
    /// How one stands, and what is asked.
    ApprovalShow {
        /// Which.
        which: Which,
    },
    /// All that one binds, to the last byte.
    ApprovalSubject {
        /// Which.
        which: Which,
    },
    /// What a team, or every team, is doing.
    Board {
        /// Which team.
        team: Option<InstanceName>,
    },
    /// Why a feature does not go on.
    BoardWhy {
        /// Which.
        id: FeatureId,
    },
    /// Features whose titles have these words.
    BoardSearch {
        /// One space between them.
        words: String,
    },
    /// Who is heard, and what they do.
    Status {
        /// Which team; all, if left out.
        team: Option<InstanceName>,
    },
    /// The fleet as a whole.
    Fleet {
        /// What of it.
        part: FleetPart,
    },
    /// What a stand-up of a team, or of every team, would say now.
    Standup {
        /// Which team.
        team: Option<InstanceName>,
    },
    /// When the stand-ups of a team, or of every team, come.
    StandupHours {
        /// Which team.
        team: Option<InstanceName>,
    },
    /// Have a team's stand-up come at another hour.
    StandupSchedule {
        /// Which team.
        team: InstanceName,
        /// When.
        when: When,
    },
    /// Machines of teams, and how far each is.
    VmList,
    /// What a team's machine would take. Nothing is made.
    VmPlan {
        /// Which.
        machine: NewMachine,
    },
    /// Make a machine for a team.
    VmCreate {
        /// Which.
        machine: NewMachine,
    },
    /// Take a team's machine away.
    VmDestroy {
        /// Which.
        machine: OldMachine,
    },
    /// Clusters that machines are made in.
    VmClusters,
    /// A code by which the person's account on another service is linked.
    Link {
        /// Which service: `github`.
        service: Service,
    },
    /// The code, said with the account that is to be linked.
    LinkCode {
        /// As it was shown.
        code: String,
    },
    /// A question to a team.
    Ask {
        /// Which team.
        team: InstanceName,
        /// One space between words.
        question: String,
    },
    /// Tell all teams something.
    Announce {
        /// What. One space between words.
        text: String,
    },
    /// Who somebody is here.
    Person {
        /// Who; the person themselves, if left out.
        name: Option<PersonId>,
    },
    /// Whether the person may do something, and by which policy.
    PolicyExplain {
        /// What.
        action: Verb,
        /// To which team; may be left out where there is one.
        team: Option<InstanceName>,
    },
    /// File a feature.
    FeatureAdd {
        /// For which team; may be left out where there is one.
        team: Option<InstanceName>,
        /// Release it at once.
        ready: bool,
        /// One line.
        title: String,
    },
    /// What is true of a feature.
    FeatureShow {
        /// Which.
        id: FeatureId,
    },
    /// Move a feature.
    FeatureMove {
        /// Which.
        id: FeatureId,
        /// Where to.
        stage: Stage,
    },
    /// Give a feature up.
    FeatureCancel {
        /// Which.
        id: FeatureId,
    },
    /// Have a feature tried again.
    FeatureRetry {
        /// Which.
        id: FeatureId,
    },
    /// Change a field of a feature.
    FeatureEdit {
        /// Which.
        id: FeatureId,
        /// What of it.
        field: Field,
        /// How it is from now on, with its lines as they were written.
        value: String,
    },
    /// Stop the run that works on a feature. Its work is kept.
    FeatureStop {
        /// Which.
        id: FeatureId,
    },
    /// Have a merged feature taken back.
    FeatureRevert {
        /// Which.
        id: FeatureId,
        /// Why. One space between words.
        why: Option<String>,
    },
    /// Tell a feature's agent something.
    FeatureGuide {
        /// Which.
        id: FeatureId,
        /// What, with its lines as they were written.
        text: String,
    },
    /// Say what has to change in a feature's pull request.
    FeatureReview {
        /// Which.
        id: FeatureId,
        /// What, with its lines as they were written.
        text: String,
    },
    /// Let nothing start.
    Pause {
        /// In which team; in all, if left out.
        team: Option<InstanceName>,
        /// Why. One space between words.
        why: Option<String>,
    },
    /// Let work start again.
    Resume {
        /// In which team; in all, if left out.
        team: Option<InstanceName>,
    },
    /// Read the configuration again.
    Reload {
        /// Which team does; all, if left out.
        team: Option<InstanceName>,
    },
    /// How much a team does at once.
    TeamLimits {
        /// Which team.
        team: InstanceName,
    },
    /// Have a team do less at once, or as much as its configuration lets it.
    TeamLimit {
        /// Which team.
        team: InstanceName,
        /// What of it.
        limit: Limit,
        /// How much; as the configuration says, if left out.
        most: Option<u32>,
    },
    /// Release what waits in a team's backlog.
    TeamRelease {
        /// Which team.
        team: InstanceName,
        /// How many features, the most urgent first; all, if left out.
        count: Option<u32>,
    },
    /// How far milestones are.
    Milestones {
        /// Of which team; of all, if left out.
        team: Option<InstanceName>,
    },
    /// Have features proposed for a goal.
    Plan {
        /// For which team; may be left out where there is one.
        team: Option<InstanceName>,
        /// Propose them as a page of the repository, by pull request.
        page: bool,
        /// What is to be reached. One space between words.
        goal: String,
    },
    /// Goals above features, and how they stand.
    Project {
        /// Which one; all, if left out. One space between words.
        name: Option<String>,
    },
    /// What led to something, from the trails of bot and team.
    AuditShow {
        /// The id of a feature, a run or an approval.
        what: String,
    },
    /// All commands.
    Help {
        /// Those that begin with this word; all, if left out.
        of: Option<String>,
    },
}

impl Command {
    /// The team that it names, if it names one.
    pub fn team(&self) -> Option<&InstanceName> {
        match self {
            Self::Board { team }
            | Self::Status { team }
            | Self::Standup { team }
            | Self::StandupHours { team }
            | Self::PolicyExplain { team, .. }
            | Self::Milestones { team }
            | Self::Plan { team, .. }
            | Self::FeatureAdd { team, .. }
            | Self::Pause { team, .. }
            | Self::Resume { team } => team.as_ref(),
            Self::Ask { team, .. }
            | Self::StandupSchedule { team, .. }
            | Self::TeamLimits { team }
            | Self::TeamLimit { team, .. }
            | Self::TeamRelease { team, .. } => Some(team),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve { which, typed: None } => write!(f, "approve {which}"),
            Self::Approve { which, typed: Some(typed) } => write!(f, "approve {which} {typed}"),
            Self::Deny { which, reason: None } => write!(f, "deny {which}"),
            Self::Deny { which, reason: Some(reason) } => write!(f, "deny {which} {reason}"),
            Self::Reopen { which } => write!(f, "reopen {which}"),
            Self::Answer { which, text } => write!(f, "answer {which} {text}"),
            Self::Approvals => f.write_str("approvals"),
            Self::ApprovalShow { which } => write!(f, "approvals show {which}"),
            Self::ApprovalSubject { which } => write!(f, "approvals subject {which}"),
            Self::Board { team: None } => f.write_str("board"),
            Self::Board { team: Some(team) } => write!(f, "board {team}"),
            Self::BoardWhy { id } => write!(f, "board why {id}"),
            Self::BoardSearch { words } => write!(f, "board search {words}"),
            Self::Status { team: None } => f.write_str("fleet status"),
            Self::Status { team: Some(team) } => write!(f, "fleet status {team}"),
            Self::Fleet { part } => write!(f, "fleet {}", part.as_str()),
            Self::Standup { team: None } => f.write_str("standup now"),
            Self::Standup { team: Some(team) } => write!(f, "standup now {team}"),
            Self::StandupHours { team: None } => f.write_str("standup schedule"),
            Self::StandupHours { team: Some(team) } => write!(f, "standup schedule {team}"),
            Self::StandupSchedule { team, when } => write!(f, "standup schedule {team} {when}"),
            Self::VmList => f.write_str("vm list"),
            Self::VmPlan { machine } => write!(f, "vm plan {machine}"),
            Self::VmCreate { machine } => write!(f, "vm create {machine}"),
            Self::VmDestroy { machine } => write!(f, "vm destroy {machine}"),
            Self::VmClusters => f.write_str("vm clusters"),
            Self::Link { service } => write!(f, "link {service}"),
            Self::LinkCode { code } => write!(f, "link code {code}"),
            Self::Ask { team, question } => write!(f, "ask {team} {question}"),
            Self::Announce { text } => write!(f, "announce {text}"),
            Self::Person { name: None } => f.write_str("person"),
            Self::Person { name: Some(name) } => write!(f, "person {name}"),
            Self::PolicyExplain { action, team: None } => write!(f, "policy explain {action}"),
            Self::PolicyExplain { action, team: Some(team) } => write!(f, "policy explain {action} {team}"),
            Self::FeatureAdd { team, ready, title } => {
                f.write_str("feature add ")?;
                if let Some(team) = team {
                    write!(f, "--team {team} ")?;
                }
                if *ready {
                    f.write_str("--ready ")?;
                }
                write!(f, "-- {title}")
            }
            Self::FeatureShow { id } => write!(f, "feature show {id}"),
            Self::FeatureMove { id, stage } => write!(f, "feature move {id} {stage}"),
            Self::FeatureCancel { id } => write!(f, "feature cancel {id}"),
            Self::FeatureRetry { id } => write!(f, "feature retry {id}"),
            Self::FeatureEdit { id, field, value } => {
                write!(f, "feature edit {id} {} {value}", field.as_str())
            }
            Self::FeatureStop { id } => write!(f, "feature stop {id}"),
            Self::FeatureRevert { id, why: None } => write!(f, "feature revert {id}"),
            Self::FeatureRevert { id, why: Some(why) } => write!(f, "feature revert {id} {why}"),
            Self::FeatureGuide { id, text } => write!(f, "feature guide {id} {text}"),
            Self::FeatureReview { id, text } => write!(f, "feature review {id} {text}"),
            Self::Pause { team, why } => {
                match team {
                    Some(team) => write!(f, "team pause {team}")?,
                    None => f.write_str("fleet pause")?,
                }
                why.iter().try_for_each(|why| write!(f, " {why}"))
            }
            Self::Resume { team: Some(team) } => write!(f, "team resume {team}"),
            Self::Resume { team: None } => f.write_str("fleet resume"),
            Self::Reload { team: Some(team) } => write!(f, "team reload {team}"),
            Self::Reload { team: None } => f.write_str("fleet reload"),
            Self::TeamLimits { team } => write!(f, "team limits {team}"),
            Self::TeamLimit { team, limit, most } => {
                let most = most.map_or_else(|| "default".to_owned(), |most| most.to_string());
                write!(f, "team limits {team} {} {most}", limit.as_str())
            }
            Self::TeamRelease { team, count: None } => write!(f, "team release {team}"),
            Self::TeamRelease { team, count: Some(count) } => write!(f, "team release {team} {count}"),
            Self::Milestones { team: None } => f.write_str("milestone"),
            Self::Milestones { team: Some(team) } => write!(f, "milestone {team}"),
            Self::Plan { team, page, goal } => {
                f.write_str("plan ")?;
                if let Some(team) = team {
                    write!(f, "--team {team} ")?;
                }
                if *page {
                    f.write_str("--page ")?;
                }
                write!(f, "-- {goal}")
            }
            Self::Project { name: None } => f.write_str("project"),
            Self::Project { name: Some(name) } => write!(f, "project {name}"),
            Self::AuditShow { what } => write!(f, "audit show {what}"),
            Self::Help { of: None } => f.write_str("help"),
            Self::Help { of: Some(of) } => write!(f, "help {of}"),
        }
    }
}
