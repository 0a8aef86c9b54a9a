//! Every action of the product, by name: what policy decides on. The list is closed, so that a decision can be missing
//! for none of them. What a tool server of somebody else does is covered by its tier.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{IdError, Tier};

/// How an action is confirmed: a tier, or one of the two kinds that have a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Looks, changes nothing.
    Read,
    /// Changes what can be changed back.
    Operate,
    /// Moves a protected branch, or what it means.
    Merge,
    /// A person's word on the work itself: plan, budget, question.
    Consent,
    /// Makes something that costs.
    Provision,
    /// Can't be brought back.
    Destroy,
    /// Who may do what: policies, people, enrolment.
    Govern,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Operate, Self::Merge, Self::Consent, Self::Provision, Self::Destroy, Self::Govern];

    /// The word for it; the policies' group of actions has the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Merge => "merge",
            Self::Consent => "consent",
            Self::Provision => "provision",
            Self::Destroy => "destroy",
            Self::Govern => "govern",
        }
    }

    /// The tier, or `None` for the two kinds that have none.
    pub fn tier(self) -> Option<Tier> {
        match self {
            Self::Read => Some(Tier::Read),
            Self::Operate => Some(Tier::Operate),
            Self::Merge => Some(Tier::Merge),
            Self::Provision => Some(Tier::Provision),
            Self::Destroy => Some(Tier::Destroy),
            Self::Consent | Self::Govern => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The fleet as a whole.
    Fleet,
    /// A team: its board and its runs.
    Team,
    /// A repository.
    Repository,
    /// A branch of a repository, and the paths that change.
    Branch,
    /// A tool of a tool server.
    Tool,
    /// A tool server, as a run has it.
    Server,
    /// A host that virtual machines run on.
    Host,
    /// A virtual machine.
    Vm,
}

macro_rules! verbs {
    ($($name:ident $text:literal $class:ident $target:ident $title:literal;)*) => {
        /// An action of the product.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub enum Verb {
            $(#[doc = $title] $name,)*
        }

        impl Verb {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name: in policies, in rows and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How it is confirmed.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// What it is done to.
            pub fn target(self) -> Target {
                match self { $(Self::$name => Target::$target,)* }
            }

            /// What it does, as people read it.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

verbs! {
    FleetView "fleet.view" Read Fleet "See the fleet and its people";
    ConfigView "config.view" Read Fleet "See the configuration, without its secrets";
    PolicyView "policy.view" Read Fleet "See, check and explain policies";
    AuditView "audit.view" Read Fleet "Read and verify the trail";
    TeamView "team.view" Read Team "See a team and its board";
    FeatureView "feature.view" Read Team "See a feature, its history, comments and files";
    RunView "run.view" Read Team "See a run, its transcript and its changes";
    ApprovalView "approval.view" Read Team "See what waits for people, and what was decided";
    OperationView "operation.view" Read Team "See long operations";
    ProjectView "project.view" Read Team "See projects";
    RecurringView "recurring.view" Read Team "See recurring features";
    PreservedView "preserved.view" Read Team "See work that was kept";
    SearchQuery "search.query" Read Team "Search the board, the runs and the documents";
    InfrastructureView "infrastructure.view" Read Host "See hosts and machines";
    ServerUse "server.use" Read Server "Have a tool server in a run";
    ToolRead "tool.read" Read Tool "Call a tool that only looks";

    FeatureAdd "feature.add" Operate Team "File a feature";
    FeatureEdit "feature.edit" Operate Team "Edit a feature";
    FeatureMove "feature.move" Operate Team "Move a feature to backlog or ready";
    FeaturePause "feature.pause" Operate Team "Let no run start on a feature";
    FeatureResume "feature.resume" Operate Team "Let a paused feature go on";
    FeatureComment "feature.comment" Operate Team "Comment on a feature";
    FeatureAttach "feature.attach" Operate Team "Attach a file to a feature, or take it off";
    FeatureRevert "feature.revert" Operate Team "File a feature that takes a merged one back";
    FeatureCancel "feature.cancel" Operate Team "Give a feature up";
    FeatureImport "feature.import" Operate Team "File what a file holds";
    ProjectAdd "project.add" Operate Team "Add a project";
    ProjectEdit "project.edit" Operate Team "Edit a project";
    ProjectRemove "project.remove" Operate Team "Remove a project that no feature names";
    RunStop "run.stop" Operate Team "Stop a run";
    RunGuide "run.guide" Operate Team "Give a run guidance";
    OperationRetry "operation.retry" Operate Team "Try a long operation again";
    OperationDrop "operation.drop" Operate Team "Take what gave up off the list";
    OperationStop "operation.stop" Operate Team "Stop a long operation";
    RecurringAdd "recurring.add" Operate Team "Add a recurring feature";
    RecurringRun "recurring.run" Operate Team "File a recurring feature now";
    RecurringSuspend "recurring.suspend" Operate Team "Let a recurring feature stand still";
    RecurringResume "recurring.resume" Operate Team "Let a recurring feature go on";
    RecurringRemove "recurring.remove" Operate Team "Remove a recurring feature";
    PreservedRestore "preserved.restore" Operate Team "Bring kept work back";
    TeamPause "team.pause" Operate Team "Let nothing start in a team";
    TeamResume "team.resume" Operate Team "Let a team go on";
    TeamLimit "team.limit" Operate Team "Have a team do less at once, or as much as it is configured";
    TeamAsk "team.ask" Operate Team "Ask a team a question: a run that only reads looks into it";
    ApprovalVote "approval.vote" Operate Team "Decide on an approval";
    ApprovalReopen "approval.reopen" Operate Team "Open an expired approval again";
    TeamAdd "team.add" Operate Fleet "Add a team";
    TeamRetire "team.retire" Operate Fleet "Retire a team; its state stays";
    RepositoryAdd "repository.add" Operate Fleet "Add a repository";
    RepositoryRemove "repository.remove" Operate Fleet "Take a repository out; what is in it stays";
    ConfigReload "config.reload" Operate Fleet "Have the configuration read again";
    ChatPost "chat.post" Operate Fleet "Write to a channel";
    ServerTrust "server.trust" Operate Repository "Trust the tool servers that a repository names";
    Push "push" Operate Branch "Push a branch of the team's own";
    PullRequestOpen "pull_request.open" Operate Branch "Open or update a pull request";
    PullRequestComment "pull_request.comment" Operate Repository "Answer on a pull request";
    PullRequestClose "pull_request.close" Operate Repository "Close a pull request";
    InfrastructureStart "infrastructure.start" Operate Vm "Start a machine";
    InfrastructureStop "infrastructure.stop" Operate Vm "Stop a machine";
    ToolOperate "tool.operate" Operate Tool "Call a tool whose change can be changed back";

    Merge "merge" Merge Branch "Merge a reviewed head into a target branch";
    PushSensitive "push.sensitive" Merge Branch "Push workflows, rules or policies";
    ToolMerge "tool.merge" Merge Tool "Call a tool that moves a protected branch";

    PlanAccept "plan.accept" Consent Team "Accept the plan of a run";
    BudgetRaise "budget.raise" Consent Team "Raise a budget";
    QuestionAnswer "question.answer" Consent Team "Answer a question of an agent";

    InfrastructureProvision "infrastructure.provision" Provision Host "Make a machine";
    InfrastructureResize "infrastructure.resize" Provision Vm "Make a machine bigger";
    ToolProvision "tool.provision" Provision Tool "Call a tool that makes something that costs";

    PreservedPrune "preserved.prune" Destroy Team "Let go of old kept work";
    InfrastructureDestroy "infrastructure.destroy" Destroy Vm "Destroy a machine";
    ToolDestroy "tool.destroy" Destroy Tool "Call a tool whose change can't be brought back";

    PolicyChange "policy.change" Govern Fleet "Change the policies";
    ConfigChange "config.change" Govern Fleet "Change the configuration";
    PersonInvite "person.invite" Govern Fleet "Invite a person";
    PersonRole "person.role" Govern Fleet "Change a person's roles";
    PersonLink "person.link" Govern Fleet "Link an identity to a person";
    PersonDisable "person.disable" Govern Fleet "Disable a person";
    PersonRemove "person.remove" Govern Fleet "Remove a person";
    EnrolmentAccept "enrolment.accept" Govern Fleet "Let an instance join the fleet";
    EnrolmentRevoke "enrolment.revoke" Govern Fleet "Put an instance out of the fleet";
}

impl Verb {
    /// The action of a tool call, by the tool's tier.
    pub fn of_tool(tier: Tier) -> Self {
        match tier {
            Tier::Read => Self::ToolRead,
            Tier::Operate => Self::ToolOperate,
            Tier::Merge => Self::ToolMerge,
            Tier::Provision => Self::ToolProvision,
            Tier::Destroy => Self::ToolDestroy,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.iter().copied().find(|verb| verb.as_str() == text).ok_or_else(|| IdError {
            kind: "an action",
            text: text.to_owned(),
            want: "a name like feature.add or merge; quarterdeck policy matrix lists them all",
        })
    }
}

impl TryFrom<String> for Verb {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Verb> for String {
    fn from(verb: Verb) -> Self {
        verb.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_action_and_parses_back() {
        for (index, verb) in Verb::ALL.iter().enumerate() {
            assert_eq!(verb.as_str().parse::<Verb>().unwrap(), *verb);
            assert!(Verb::ALL.iter().skip(index + 1).all(|other| other.as_str() != verb.as_str()), "{verb}");
        }
        insta::assert_snapshot!("fly".parse::<Verb>().unwrap_err(), @r#""fly" is not an action: a name like feature.add or merge; quarterdeck policy matrix lists them all"#);
    }

    #[test]
    fn a_tool_is_called_in_its_own_tier() {
        for tier in Tier::ALL {
            assert_eq!(Verb::of_tool(tier).class().tier(), Some(tier));
            assert_eq!(Verb::of_tool(tier).target(), Target::Tool);
        }
    }
}
