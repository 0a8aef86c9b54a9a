//! All commands, with what they take: what help lists, and what a chat shows while somebody types. Not how they are read: that is
//! `parse`, and a test holds that both agree.

/// What completes an option while it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing: it is the person's own words.
    Nothing,
    /// Approvals that wait.
    Approvals,
    /// Features.
    Features,
    /// Teams.
    Teams,
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
    /// One line.
    pub says: &'static str,
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
    /// One line.
    pub says: &'static str,
    /// In the order of the line; what is required comes first.
    pub options: &'static [Opt],
}

const fn opt(name: &'static str, says: &'static str, required: bool, completes: Completes) -> Opt {
    Opt { name, says, required, completes, choices: &[], stands: Stands::InOrder }
}

const fn one_of(name: &'static str, says: &'static str, choices: &'static [&'static str]) -> Opt {
    Opt { choices, ..opt(name, says, true, Completes::Nothing) }
}

const fn entry(path: &'static str, says: &'static str, options: &'static [Opt]) -> Entry {
    Entry { path, says, options }
}

const APPROVAL: Opt = opt("id", "The id on the card, or a feature like A-142", true, Completes::Approvals);
const FEATURE: Opt = opt("id", "A feature like A-142", true, Completes::Features);
const WHY: Opt = opt("why", "Why", false, Completes::Nothing);
const TEAM: Opt = opt("team", "Which team", false, Completes::Teams);
/// A team that need not be one of the fleet's yet.
const WHOSE: Opt = opt("team", "Whose machine", true, Completes::Nothing);

const fn flag(name: &'static str, says: &'static str, flag: &'static str) -> Opt {
    Opt { stands: Stands::After(flag), ..opt(name, says, false, Completes::Nothing) }
}

/// On which of several clusters.
const CLUSTER: Opt = Opt {
    completes: Completes::Clusters,
    ..flag("cluster", "One of several clusters, by its name", "--cluster")
};

/// What a machine of a team has.
const MACHINE: &[Opt] = &[
    WHOSE,
    CLUSTER,
    flag("template", "Number of the template", "--template"),
    flag("pool", "Its pool", "--pool"),
    flag("cores", "Cores, 2 if left out", "--cores"),
    flag("memory", "Memory in MiB, 4096 if left out", "--memory"),
    flag("disk", "Size of its disk in GiB, the template's if left out", "--disk"),
    flag("storage", "Where a full clone's disks lie; left out, it lives on the template's", "--storage"),
];

/// Every command that is carried out here.
pub const ENTRIES: &[Entry] = &[
    entry(
        "approve",
        "Say yes to what is asked",
        &[APPROVAL, opt("name", "What it is done to, where a card asks for that", false, Completes::Nothing)],
    ),
    entry("deny", "Say no", &[APPROVAL, opt("reason", "Why", false, Completes::Nothing)]),
    entry("answer", "Answer a question", &[APPROVAL, opt("text", "Your answer", true, Completes::Nothing)]),
    entry("reopen", "Ask again for what nobody decided in time", &[APPROVAL]),
    entry("approvals list", "What waits for people", &[]),
    entry("approvals show", "What one asks, and how it stands", &[APPROVAL]),
    entry("approvals subject", "All that one binds, as its digest is made of it", &[APPROVAL]),
    entry("board show", "What the teams are doing", &[TEAM]),
    entry("board why", "Why a feature does not go on", &[FEATURE]),
    entry(
        "board search",
        "Features whose titles have these words",
        &[opt("words", "What to look for", true, Completes::Nothing)],
    ),
    entry(
        "feature add",
        "File a feature; without a title a form asks for it",
        &[
            opt("title", "One line", false, Completes::Nothing),
            Opt { stands: Stands::After("--team"), ..TEAM },
            Opt {
                required: false,
                stands: Stands::As("--ready"),
                ..one_of("stage", "Release it at once", &["ready"])
            },
        ],
    ),
    entry("feature show", "What is true of a feature", &[FEATURE]),
    entry("feature move", "Move a feature", &[FEATURE, one_of("stage", "Where to", &["backlog", "ready"])]),
    entry("feature cancel", "Give a feature up", &[FEATURE]),
    entry("feature retry", "Have a feature tried again", &[FEATURE]),
    entry(
        "feature edit",
        "Change a field of a feature",
        &[
            FEATURE,
            one_of(
                "field",
                "What of it",
                &["title", "description", "priority", "labels", "size", "project", "milestone", "due"],
            ),
            opt("value", "How it is from now on; none empties it", true, Completes::Nothing),
        ],
    ),
    entry("feature stop", "Stop the run that works on a feature; its work is kept", &[FEATURE]),
    entry("feature revert", "Have a merged feature taken back", &[FEATURE, WHY]),
    entry(
        "feature guide",
        "Tell a feature's agent something",
        &[FEATURE, opt("text", "What", true, Completes::Nothing)],
    ),
    entry(
        "feature review",
        "Say what has to change in a feature's pull request",
        &[FEATURE, opt("text", "What", true, Completes::Nothing)],
    ),
    entry("fleet status", "Which teams are heard, and what they do", &[TEAM]),
    entry("fleet teams", "The teams, a line each", &[]),
    entry("fleet cost", "What models have cost", &[]),
    entry("fleet risks", "What endangers the work", &[]),
    entry("fleet week", "What happened this week", &[]),
    entry("fleet pause", "Let nothing start in any team", &[WHY]),
    entry("fleet resume", "Let all teams go on", &[]),
    entry("fleet reload", "Have all teams read their configuration again", &[]),
    entry("team pause", "Let nothing start in a team", &[Opt { required: true, ..TEAM }, WHY]),
    entry("team resume", "Let a team go on", &[Opt { required: true, ..TEAM }]),
    entry("team reload", "Have a team read its configuration again", &[Opt { required: true, ..TEAM }]),
    entry(
        "team limits",
        "How much a team does at once, or less of it",
        &[
            Opt { required: true, ..TEAM },
            Opt { required: false, ..one_of("limit", "What of it", &["slots", "reviews"]) },
            opt("most", "A number, or default", false, Completes::Nothing),
        ],
    ),
    entry(
        "team release",
        "Release what waits in a team's backlog",
        &[
            Opt { required: true, ..TEAM },
            opt("count", "How many features; all, if left out", false, Completes::Nothing),
        ],
    ),
    entry("milestone", "How far the milestones are", &[TEAM]),
    entry(
        "project",
        "Goals above features, and how they stand",
        &[opt("name", "Which project", false, Completes::Nothing)],
    ),
    entry(
        "plan",
        "Have features proposed for a goal",
        &[
            opt("goal", "What is to be reached", true, Completes::Nothing),
            Opt { stands: Stands::After("--team"), ..TEAM },
            Opt {
                required: false,
                stands: Stands::As("--page"),
                ..one_of("as", "Propose them as a page, by pull request", &["page"])
            },
        ],
    ),
    entry(
        "ask",
        "Ask a team something",
        &[
            opt("team", "Which team", true, Completes::Teams),
            opt("question", "What", true, Completes::Nothing),
        ],
    ),
    entry("standup now", "What happened since the last stand-up", &[TEAM]),
    entry(
        "standup schedule",
        "When stand-ups come, or another hour for a team's",
        &[
            TEAM,
            opt("hour", "09:30, or off, or default", false, Completes::Nothing),
            opt("zone", "A time zone, like Europe/Berlin", false, Completes::Nothing),
            opt("days", "Like mon-fri or mon,wed", false, Completes::Nothing),
        ],
    ),
    entry("vm list", "Machines of teams, and how far each is", &[]),
    entry("vm plan", "What a team's machine would take, and who decides", MACHINE),
    entry("vm create", "Make a machine for a team, once people agreed", MACHINE),
    entry(
        "vm destroy",
        "Take a team's machine away, once people agreed",
        &[WHOSE, CLUSTER, flag("backup", "Keep a last backup on this storage", "--backup-to")],
    ),
    entry("vm clusters", "Clusters that machines are made in, a line each", &[]),
    entry("link github", "A code that links your GitHub account", &[]),
    entry("link discord", "A code that links your Discord account", &[]),
    entry(
        "link code",
        "Link this account, by the code that you got elsewhere",
        &[opt("code", "As it was shown", true, Completes::Nothing)],
    ),
    entry("announce", "Tell all teams something", &[opt("text", "What", true, Completes::Nothing)]),
    entry("person", "Who you are here, and what you may decide", &[]),
    entry(
        "policy explain",
        "Whether you may do something, and why",
        &[opt("action", "Like merge or feature.add", true, Completes::Actions), TEAM],
    ),
    entry(
        "audit show",
        "What led to something, and what came of it",
        &[opt(
            "what",
            "Id of a feature, a run, an approval or a call, or a commit",
            true,
            Completes::Nothing,
        )],
    ),
    entry("help", "All commands", &[]),
];

fn paths() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.path)
}

/// Every first word, each once.
pub(crate) fn words() -> Vec<&'static str> {
    let mut words: Vec<&str> = paths().filter_map(|path| path.split(' ').next()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// What may follow a first word.
pub(crate) fn below(word: &str) -> Vec<&'static str> {
    paths()
        .filter_map(|path| path.split_once(' ').filter(|(first, _)| *first == word).map(|(_, rest)| rest))
        .collect()
}

/// All commands, a line each.
pub fn help() -> String {
    let line = |entry: &Entry| {
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
        format!("{usage:<36} {}", entry.says)
    };
    ENTRIES.iter().map(line).collect::<Vec<_>>().join("\n")
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
        approvals show ID                    What one asks, and how it stands
        approvals subject ID                 All that one binds, as its digest is made of it
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
        person                               Who you are here, and what you may decide
        policy explain ACTION [TEAM]         Whether you may do something, and why
        audit show WHAT                      What led to something, and what came of it
        help                                 All commands
        ");
    }

    #[test]
    fn whatever_is_listed_is_read() {
        for entry in ENTRIES {
            let value = |option: &Opt| match (option.choices.first(), option.completes) {
                (Some(choice), _) => (*choice).to_owned(),
                (None, Completes::Teams) => "alpha".to_owned(),
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
