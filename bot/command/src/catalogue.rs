//! All commands, with what they take: what help lists, and what a chat shows while somebody types. Not how they are read: that is
//! `parse`, and a test holds that both agree.

use qd_text::{said, say};

/// What completes an option while it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing: it is the person's own words.
    Nothing,
    /// Approvals that wait.
    Approvals,
    /// Questions that wait.
    Questions,
    /// Approvals that nobody decided in time.
    Expired,
    /// Features.
    Features,
    /// Teams.
    Teams,
    /// People.
    People,
    /// Agents that work, or have worked.
    Agents,
    /// Projects.
    Projects,
    /// Milestones.
    Milestones,
    /// What the option before it names: an agent, a project.
    Field,
    /// Clusters of virtual machines.
    Clusters,
    /// Actions of the policies.
    Actions,
}

/// Where the value stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// In its order.
    InOrder,
    /// After this flag: `--team alpha`.
    After(&'static str),
    /// The flag alone, if there is a value at all: `--ready`.
    As(&'static str),
}

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt {
    /// Lower-case.
    pub name: &'static str,
    /// Key of the line that says what it is.
    key: &'static str,
    /// Whether a command without it is none.
    pub required: bool,
    /// What completes it.
    pub completes: Completes,
    /// The only values, if there are such.
    pub choices: &'static [&'static str],
    /// Where it stands.
    pub stands: Stands,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// One word, or two: `feature show`.
    pub path: &'static str,
    /// In the order of the line; what is required comes first.
    pub options: &'static [Opt],
}

impl Opt {
    /// What it is, in one line.
    pub fn says(&self) -> String {
        said(self.key, &[])
    }
}

impl Entry {
    /// What it does, in one line.
    pub fn says(&self) -> String {
        said(&format!("command-{}", self.path.replace(' ', "-")), &[])
    }
}

const fn opt(name: &'static str, key: &'static str, required: bool, completes: Completes) -> Opt {
    Opt { name, key, required, completes, choices: &[], stands: Stands::InOrder }
}

const fn one_of(name: &'static str, key: &'static str, choices: &'static [&'static str]) -> Opt {
    Opt { choices, ..opt(name, key, true, Completes::Nothing) }
}

const fn entry(path: &'static str, options: &'static [Opt]) -> Entry {
    Entry { path, options }
}

const APPROVAL: Opt = opt("id", "option-approval", true, Completes::Approvals);
const SUBJECT: Opt = opt("id", "option-subject", true, Completes::Approvals);
const QUESTION: Opt = opt("id", "option-question", true, Completes::Questions);
const EXPIRED: Opt = opt("id", "option-expired", true, Completes::Expired);
const FEATURE: Opt = opt("id", "option-feature", true, Completes::Features);
const WHY: Opt = opt("why", "option-why", false, Completes::Nothing);
const TEAM: Opt = opt("team", "option-team", false, Completes::Teams);
/// A team that need not be one of the fleet's yet.
const WHOSE: Opt = opt("team", "option-whose", true, Completes::Nothing);

const fn flag(name: &'static str, key: &'static str, flag: &'static str) -> Opt {
    Opt { stands: Stands::After(flag), ..opt(name, key, false, Completes::Nothing) }
}

/// On which of several clusters.
const CLUSTER: Opt = Opt { completes: Completes::Clusters, ..flag("cluster", "option-cluster", "--cluster") };

/// What a machine of a team has.
const MACHINE: &[Opt] = &[
    WHOSE,
    CLUSTER,
    flag("template", "option-template", "--template"),
    flag("pool", "option-pool", "--pool"),
    flag("cores", "option-cores", "--cores"),
    flag("memory", "option-memory", "--memory"),
    flag("disk", "option-disk", "--disk"),
    flag("storage", "option-storage", "--storage"),
];

/// Every command that is carried out here.
pub const ENTRIES: &[Entry] = &[
    entry("approve", &[APPROVAL, opt("name", "option-typed", false, Completes::Nothing)]),
    entry("deny", &[APPROVAL, opt("reason", "option-why", false, Completes::Nothing)]),
    entry("answer", &[QUESTION, opt("text", "option-answer", true, Completes::Nothing)]),
    entry("reopen", &[EXPIRED]),
    entry("approvals list", &[]),
    entry("approvals show", &[APPROVAL]),
    entry("approvals subject", &[SUBJECT]),
    entry("board show", &[TEAM]),
    entry("board why", &[FEATURE]),
    entry("board search", &[opt("words", "option-words", true, Completes::Nothing)]),
    entry(
        "feature add",
        &[
            opt("title", "option-title", false, Completes::Nothing),
            Opt { stands: Stands::After("--team"), ..TEAM },
            Opt {
                required: false,
                stands: Stands::As("--ready"),
                ..one_of("stage", "option-ready", &["ready"])
            },
        ],
    ),
    entry("feature show", &[FEATURE]),
    entry("feature move", &[FEATURE, one_of("stage", "option-stage", &["backlog", "ready"])]),
    entry("feature cancel", &[FEATURE]),
    entry("feature retry", &[FEATURE]),
    entry(
        "feature edit",
        &[
            FEATURE,
            one_of(
                "field",
                "option-field",
                &[
                    "title",
                    "description",
                    "priority",
                    "labels",
                    "size",
                    "project",
                    "milestone",
                    "due",
                    "agent",
                ],
            ),
            opt("value", "option-value", true, Completes::Field),
        ],
    ),
    entry("feature stop", &[FEATURE]),
    entry("feature revert", &[FEATURE, WHY]),
    entry("feature guide", &[FEATURE, opt("text", "option-guidance", true, Completes::Nothing)]),
    entry("feature review", &[FEATURE, opt("text", "option-review", true, Completes::Nothing)]),
    entry("fleet status", &[TEAM]),
    entry("fleet teams", &[]),
    entry("fleet cost", &[]),
    entry("fleet risks", &[]),
    entry("fleet week", &[]),
    entry("fleet pause", &[WHY]),
    entry("fleet resume", &[]),
    entry("fleet reload", &[]),
    entry("team pause", &[Opt { required: true, ..TEAM }, WHY]),
    entry("team resume", &[Opt { required: true, ..TEAM }]),
    entry("team reload", &[Opt { required: true, ..TEAM }]),
    entry(
        "team limits",
        &[
            Opt { required: true, ..TEAM },
            Opt { required: false, ..one_of("limit", "option-limit", &["slots", "reviews"]) },
            opt("most", "option-most", false, Completes::Nothing),
        ],
    ),
    entry(
        "team release",
        &[Opt { required: true, ..TEAM }, opt("count", "option-count", false, Completes::Nothing)],
    ),
    entry("milestone", &[TEAM]),
    entry("project", &[opt("name", "option-project", false, Completes::Projects)]),
    entry(
        "plan",
        &[
            opt("goal", "option-goal", true, Completes::Nothing),
            Opt { stands: Stands::After("--team"), ..TEAM },
            Opt { required: false, stands: Stands::As("--page"), ..one_of("as", "option-page", &["page"]) },
        ],
    ),
    entry(
        "ask",
        &[
            opt("team", "option-team", true, Completes::Teams),
            opt("question", "option-asked", true, Completes::Nothing),
        ],
    ),
    entry("standup now", &[TEAM]),
    entry(
        "standup schedule",
        &[
            TEAM,
            opt("hour", "option-hour", false, Completes::Nothing),
            opt("zone", "option-zone", false, Completes::Nothing),
            opt("days", "option-days", false, Completes::Nothing),
        ],
    ),
    entry("vm list", &[]),
    entry("vm plan", MACHINE),
    entry("vm create", MACHINE),
    entry("vm destroy", &[WHOSE, CLUSTER, flag("backup", "option-backup", "--backup-to")]),
    entry("vm clusters", &[]),
    entry("link github", &[]),
    entry("link discord", &[]),
    entry("link code", &[opt("code", "option-code", true, Completes::Nothing)]),
    entry("announce", &[opt("text", "option-announced", true, Completes::Nothing)]),
    entry("person", &[opt("name", "option-person", false, Completes::People)]),
    entry("policy explain", &[opt("action", "option-action", true, Completes::Actions), TEAM]),
    entry("audit show", &[opt("what", "option-traced", true, Completes::Nothing)]),
    entry("help", &[Opt { required: false, ..one_of("command", "option-command", WORDS) }]),
];

/// Every first word.
const WORDS: &[&str] = &[
    "approve",
    "deny",
    "answer",
    "reopen",
    "approvals",
    "board",
    "feature",
    "fleet",
    "team",
    "milestone",
    "project",
    "plan",
    "ask",
    "standup",
    "vm",
    "link",
    "announce",
    "person",
    "policy",
    "audit",
    "help",
];

fn paths() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.path)
}

/// Every first word, each once.
pub(crate) fn words() -> Vec<&'static str> {
    let mut words = WORDS.to_vec();
    words.sort_unstable();
    words
}

/// What begins with a word.
fn beginning(word: &str) -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().filter(move |entry| entry.path.split(' ').next() == Some(word))
}

/// What may follow a first word.
pub(crate) fn below(word: &str) -> Vec<&'static str> {
    paths()
        .filter_map(|path| path.split_once(' ').filter(|(first, _)| *first == word).map(|(_, rest)| rest))
        .collect()
}

/// A command in a line: how it is typed, and what it does.
fn usage(entry: &Entry) -> String {
    let mut usage = entry.path.to_owned();
    let flags = entry.options.iter().filter(|option| option.stands != Stands::InOrder);
    let plain = entry.options.iter().filter(|option| option.stands == Stands::InOrder);
    for option in flags.chain(plain) {
        let name = option.name.to_uppercase();
        usage.push_str(&match option.stands {
            Stands::After(flag) => format!(" [{flag} {name}]"),
            Stands::As(flag) => format!(" [{flag}]"),
            Stands::InOrder if option.required => format!(" {name}"),
            Stands::InOrder => format!(" [{name}]"),
        });
    }
    format!("{usage:<36} {}", entry.says())
}

/// All commands, a line each.
pub fn help() -> String {
    ENTRIES.iter().map(usage).collect::<Vec<_>>().join("\n")
}

/// The commands that begin with a word, a line each, with what they take.
pub fn help_of(word: &str) -> String {
    let told = |entry: &Entry| std::iter::once(usage(entry)).chain(takes(entry)).collect::<Vec<_>>();
    beginning(word).flat_map(told).collect::<Vec<_>>().join("\n")
}

/// What a command takes, a line each.
fn takes(entry: &Entry) -> impl Iterator<Item = String> {
    entry.options.iter().map(|option| {
        let one_of = match option.choices {
            [] => String::new(),
            choices if choices.len() > WORDS.len() / 2 => String::new(),
            choices => format!(" ({})", choices.join(", ")),
        };
        say!("help-option", name = option.name, says = option.says(), choices = one_of)
    })
}

/// All commands as slash commands, grouped by their first words, so short that they fit into one answer.
pub fn slash_help() -> String {
    let line = |word: &&str| {
        let (mut below, mut alone) = (Vec::new(), String::new());
        for entry in beginning(word) {
            match entry.path.split_once(' ') {
                Some((_, rest)) => below.push(rest),
                None => alone = entry.says(),
            }
        }
        say!("help-group", word = word, says = if below.is_empty() { alone } else { below.join(", ") })
    };
    WORDS.iter().map(line).chain([say!("help-more")]).collect::<Vec<_>>().join("\n")
}

/// The slash commands that begin with a word, each with its options.
pub fn slash_help_of(word: &str) -> String {
    let told = |entry: &Entry| {
        let head = say!("help-command", path = entry.path, says = entry.says());
        std::iter::once(head).chain(takes(entry)).collect::<Vec<_>>()
    };
    beginning(word).flat_map(told).collect::<Vec<_>>().join("\n")
}

/// A line of the grammar as the slash command that says the same: `/approve id:01K… name:vm-117`. `None` if it is no such line.
pub fn slash(line: &str) -> Option<String> {
    let entry = ENTRIES
        .iter()
        .filter(|entry| {
            line.strip_prefix(entry.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
        .max_by_key(|entry| entry.path.len())?;
    let mut rest = line.strip_prefix(entry.path)?.trim_start();
    let mut said = format!("/{}", entry.path);
    let plain: Vec<&Opt> = entry.options.iter().filter(|option| option.stands == Stands::InOrder).collect();
    for (at, option) in plain.iter().enumerate() {
        // The last one takes all that is left.
        let (value, after) =
            if at + 1 == plain.len() { (rest, "") } else { rest.split_once(' ').unwrap_or((rest, "")) };
        if value.is_empty() {
            break;
        }
        said.push_str(&format!(" {}:{value}", option.name));
        rest = after;
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn every_command_is_listed() {
        insta::assert_snapshot!(help(), @"
        approve ID [NAME]                    Say yes to what is asked
        deny ID [REASON]                     Say no
        answer ID TEXT                       Answer a question
        reopen ID                            Ask again for what nobody decided in time
        approvals list                       What waits for people
        approvals show ID                    The card of an approval: what is asked, and how it stands
        approvals subject ID                 An approval in full, as a file: the exact text whose hash is the digest on its card
        board show [TEAM]                    What the teams are doing
        board why ID                         Why a feature does not go on
        board search WORDS                   Features whose titles have these words
        feature add [--team TEAM] [--ready] [TITLE] File a feature; without a title a form asks for it
        feature show ID                      What is true of a feature
        feature move ID STAGE                Move a feature
        feature cancel ID                    Give a feature up
        feature retry ID                     Have a feature tried again
        feature edit ID FIELD VALUE          Change a field of a feature
        feature stop ID                      Stop the run that works on a feature; its work is kept
        feature revert ID [WHY]              Have a merged feature taken back
        feature guide ID TEXT                Tell a feature's agent something
        feature review ID TEXT               Say what has to change in a feature's pull request
        fleet status [TEAM]                  Which teams are heard, and what they do
        fleet teams                          The teams, a line each
        fleet cost                           What models have cost
        fleet risks                          What endangers the work
        fleet week                           What happened this week
        fleet pause [WHY]                    Let nothing start in any team
        fleet resume                         Let all teams go on
        fleet reload                         Have all teams read their configuration again
        team pause TEAM [WHY]                Let nothing start in a team
        team resume TEAM                     Let a team go on
        team reload TEAM                     Have a team read its configuration again
        team limits TEAM [LIMIT] [MOST]      How much a team does at once, or less of it
        team release TEAM [COUNT]            Release what waits in a team's backlog
        milestone [TEAM]                     How far the milestones are
        project [NAME]                       Goals above features, and how they stand
        plan [--team TEAM] [--page] GOAL     Have features proposed for a goal
        ask TEAM QUESTION                    Ask a team something
        standup now [TEAM]                   What happened since the last stand-up
        standup schedule [TEAM] [HOUR] [ZONE] [DAYS] When stand-ups come, or another hour for a team's
        vm list                              Machines of teams, and how far each is
        vm plan [--cluster CLUSTER] [--template TEMPLATE] [--pool POOL] [--cores CORES] [--memory MEMORY] [--disk DISK] [--storage STORAGE] TEAM What a team's machine would take, and who decides
        vm create [--cluster CLUSTER] [--template TEMPLATE] [--pool POOL] [--cores CORES] [--memory MEMORY] [--disk DISK] [--storage STORAGE] TEAM Make a machine for a team, once people agreed
        vm destroy [--cluster CLUSTER] [--backup-to BACKUP] TEAM Take a team's machine away, once people agreed
        vm clusters                          Clusters that machines are made in, a line each
        link github                          A code that links your GitHub account
        link discord                         A code that links your Discord account
        link code CODE                       Link this account, by the code that you got elsewhere
        announce TEXT                        Tell all teams something
        person [NAME]                        Who somebody is here: roles, accounts, and what they may decide
        policy explain ACTION [TEAM]         Whether you may do something, and why
        audit show WHAT                      What led to something, from the trails of bot and team
        help [COMMAND]                       All commands, or one with its options
        ");
    }

    #[test]
    fn every_first_word_is_known() {
        let mut words: Vec<&str> = ENTRIES.iter().filter_map(|entry| entry.path.split(' ').next()).collect();
        words.dedup();
        assert_eq!(words, WORDS);
        for command in std::iter::once(slash_help()).chain(WORDS.iter().map(|word| slash_help_of(word))) {
            assert!(command.chars().count() < 2_000, "{} characters:\n{command}", command.chars().count());
        }
    }

    #[test]
    fn slash_commands_are_told_in_their_own_words() {
        insta::assert_snapshot!(slash_help(), @"
        `/approve` Say yes to what is asked
        `/deny` Say no
        `/answer` Answer a question
        `/reopen` Ask again for what nobody decided in time
        `/approvals` list, show, subject
        `/board` show, why, search
        `/feature` add, show, move, cancel, retry, edit, stop, revert, guide, review
        `/fleet` status, teams, cost, risks, week, pause, resume, reload
        `/team` pause, resume, reload, limits, release
        `/milestone` How far the milestones are
        `/project` Goals above features, and how they stand
        `/plan` Have features proposed for a goal
        `/ask` Ask a team something
        `/standup` now, schedule
        `/vm` list, plan, create, destroy, clusters
        `/link` github, discord, code
        `/announce` Tell all teams something
        `/person` Who somebody is here: roles, accounts, and what they may decide
        `/policy` explain
        `/audit` show
        `/help` All commands, or one with its options
        One of them with its options: `/help command:feature`
        ");
        insta::assert_snapshot!(slash_help_of("feature"), @"
        **/feature add** File a feature; without a title a form asks for it
          title: What is wanted, in one line
          team: Which team
          stage: Release it at once (ready)
        **/feature show** What is true of a feature
          id: A feature like A-142
        **/feature move** Move a feature
          id: A feature like A-142
          stage: Where it moves to (backlog, ready)
        **/feature cancel** Give a feature up
          id: A feature like A-142
        **/feature retry** Have a feature tried again
          id: A feature like A-142
        **/feature edit** Change a field of a feature
          id: A feature like A-142
          field: Which field of the feature changes (title, description, priority, labels, size, project, milestone, due, agent)
          value: How it is from now on; none empties it
        **/feature stop** Stop the run that works on a feature; its work is kept
          id: A feature like A-142
        **/feature revert** Have a merged feature taken back
          id: A feature like A-142
          why: Your reason: others read it
        **/feature guide** Tell a feature's agent something
          id: A feature like A-142
          text: What its agent is to be told
        **/feature review** Say what has to change in a feature's pull request
          id: A feature like A-142
          text: What has to change
        ");
        insta::assert_snapshot!(help_of("standup"), @"
        standup now [TEAM]                   What happened since the last stand-up
          team: Which team
        standup schedule [TEAM] [HOUR] [ZONE] [DAYS] When stand-ups come, or another hour for a team's
          team: Which team
          hour: 09:30, or off, or default
          zone: A time zone, like Europe/Berlin
          days: Like mon-fri or mon,wed
        ");
    }

    #[test]
    fn a_line_is_said_as_a_slash_command() {
        let said = |line: &str| slash(line).unwrap_or_default();
        insta::assert_snapshot!(said("approve 01K vm-117/pre upgrade"), @"/approve id:01K name:vm-117/pre upgrade");
        insta::assert_snapshot!(said("approvals list"), @"/approvals list");
        insta::assert_snapshot!(said("feature show A-1"), @"/feature show id:A-1");
        insta::assert_snapshot!(said("answer 01K TEXT"), @"/answer id:01K text:TEXT");
        assert_eq!([slash("▰▰▱"), slash("approved by ines"), slash("/approve 01K")], [None, None, None]);
    }

    #[test]
    fn whatever_is_listed_is_read() {
        for entry in ENTRIES {
            let value = |option: &Opt| match (option.choices.first(), option.completes) {
                (Some(choice), _) => (*choice).to_owned(),
                (None, Completes::Teams | Completes::People) => "alpha".to_owned(),
                (None, Completes::Actions) => "merge".to_owned(),
                (None, _) if option.name == "team" => "beta".to_owned(),
                (None, _) if ["value", "most", "count"].contains(&option.name) => "1".to_owned(),
                (None, _) if option.name == "hour" => "09:30".to_owned(),
                (None, _) if option.name == "zone" => "Europe/Berlin".to_owned(),
                (None, _) if option.name == "days" => "mon-fri".to_owned(),
                (None, _) if option.name == "code" => "ABCDE-FGHIJ".to_owned(),
                (None, _) => "A-1".to_owned(),
            };
            let values: Vec<String> =
                entry.options.iter().filter(|option| option.stands == Stands::InOrder).map(value).collect();
            let line = format!("{} {}", entry.path, values.join(" "));
            assert!(parse(&line).is_ok(), "{line}: {:?}", parse(&line));
        }
    }
}
