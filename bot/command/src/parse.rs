//! Text to command. Every refusal names what was wrong and the nearest right thing.

mod feature;
mod team;

use qd_text::say;
use qd_types::{FeatureId, InstanceName, Verb};

use crate::{
    Command, FleetPart, Service, Which, catalogue,
    machine::{new_machine, old_machine},
    schedule::when,
};

/// What empties a field.
pub const EMPTY: &str = "none";

/// Shortest beginning of an approval's id that is taken: six characters of a ULID, of which the first ten are time.
const SHORTEST_KEY: usize = 6;

/// A text that is no command. The message is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

pub(crate) fn no<T>(text: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError(text.into()))
}

/// Reads a command. A leading `/qd`, `/` or `@quarterdeck` is dropped.
pub fn parse(text: &str) -> Result<Command, CommandError> {
    Ok(match plain(text)? {
        Command::FeatureGuide { id, text: words } => Command::FeatureGuide { id, text: tail(text, &words) },
        Command::FeatureReview { id, text: words } => Command::FeatureReview { id, text: tail(text, &words) },
        Command::FeatureEdit { id, field, value } => {
            Command::FeatureEdit { id, field, value: tail(text, &value) }
        }
        Command::Answer { which, text: words } => Command::Answer { which, text: tail(text, &words) },
        // Below the title, what is wanted. A title alone may stand in quotes.
        Command::FeatureAdd { team, ready, title } if text.trim().contains('\n') => {
            Command::FeatureAdd { team, ready, title: tail(text, &title) }
        }
        other => other,
    })
}

/// The last words of a text as they were written, lines and all: as many as `words` has.
fn tail(text: &str, words: &str) -> String {
    let before = text.split_whitespace().count().saturating_sub(words.split_whitespace().count());
    let mut rest = text.trim();
    for _ in 0..before {
        rest = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    }
    rest.to_owned()
}

/// A command on one line, with one space between words.
fn plain(text: &str) -> Result<Command, CommandError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = strip(&text);
    let (verb, rest) = first(text);
    match verb.to_ascii_lowercase().as_str() {
        "" => no(say!("say-what")),
        "help" | "?" => help(rest),
        "approvals" => match first(rest) {
            ("" | "list", "") => Ok(Command::Approvals),
            ("show", id) => Ok(Command::ApprovalShow { which: only("approvals show", id)? }),
            ("subject", id) => Ok(Command::ApprovalSubject { which: only("approvals subject", id)? }),
            _ => no(say!("approvals-takes", rest = rest)),
        },
        "approve" => {
            let (which, typed) = first(rest);
            let typed = Some(typed.to_owned()).filter(|typed| !typed.is_empty());
            Ok(Command::Approve { which: self::which("approve", which)?, typed })
        }
        "answer" => {
            let (which, text) = first(rest);
            let which = self::which("answer", which)?;
            if text.is_empty() {
                return no(say!("answer-needs", which = which));
            }
            Ok(Command::Answer { which, text: text.to_owned() })
        }
        "reopen" => Ok(Command::Reopen { which: only("reopen", rest)? }),
        "deny" => {
            let (which, reason) = first(rest);
            let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
            Ok(Command::Deny { which: self::which("deny", which)?, reason })
        }
        "board" => board(rest),
        "feature" => feature::feature(rest),
        "ask" => ask(rest),
        "announce" if rest.is_empty() => no(say!("announce-needs")),
        "announce" => Ok(Command::Announce { text: rest.to_owned() }),
        "fleet" => fleet(rest),
        "team" => team::team(rest),
        "standup" => match first(rest) {
            ("" | "now", "") => Ok(Command::Standup { team: None }),
            ("now", team) => Ok(Command::Standup { team: Some(self::team(team)?) }),
            ("schedule", "") => Ok(Command::StandupHours { team: None }),
            ("schedule", whose) => match first(whose) {
                (whose, "") => Ok(Command::StandupHours { team: Some(self::team(whose)?) }),
                (whose, at) => Ok(Command::StandupSchedule { team: self::team(whose)?, when: when(at)? }),
            },
            _ => no(say!("standup-takes", rest = rest)),
        },
        "vm" => match first(rest) {
            ("list", "") => Ok(Command::VmList),
            ("plan", machine) => Ok(Command::VmPlan { machine: new_machine("plan", machine)? }),
            ("create", machine) => Ok(Command::VmCreate { machine: new_machine("create", machine)? }),
            ("destroy", machine) => Ok(Command::VmDestroy { machine: old_machine(machine)? }),
            ("clusters", "") => Ok(Command::VmClusters),
            _ => unknown("vm", rest),
        },
        "link" => link(rest),
        "person" => match first(rest) {
            ("", "") => Ok(Command::Person { name: None }),
            (name, "") => {
                let name =
                    name.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))?;
                Ok(Command::Person { name: Some(name) })
            }
            (_, more) => no(say!("person-takes", more = quoted(more))),
        },
        "policy" => match first(rest) {
            ("explain", "") => no(say!("explain-needs")),
            ("explain", asked) => policy(asked),
            _ => no(say!("policy-takes")),
        },
        "milestone" => match first(rest) {
            ("", "") => Ok(Command::Milestones { team: None }),
            (team, "") => Ok(Command::Milestones { team: Some(self::team(team)?) }),
            (_, more) => no(say!("milestone-takes", more = quoted(more))),
        },
        "project" => Ok(Command::Project { name: why(rest) }),
        "plan" => plan(rest),
        "audit" => match first(rest) {
            ("show", "") => no(say!("audit-needs")),
            ("show", what) if !what.contains(' ') => Ok(Command::AuditShow { what: what.to_owned() }),
            ("show", what) => no(say!("audit-takes", what = quoted(what))),
            _ => no(say!("audit-verb")),
        },
        other => {
            let known = catalogue::words();
            if known.contains(&other) {
                return unknown(other, rest);
            }
            no(say!("unknown-word", word = quoted(other), near = nearest(other, &known)))
        }
    }
}

/// All commands, or those that begin with a word.
fn help(text: &str) -> Result<Command, CommandError> {
    let of = text.trim_start_matches('/').to_ascii_lowercase();
    // What follows the word is one of those that are told of.
    let word = first(&of).0;
    let known = catalogue::words();
    match word {
        "" => Ok(Command::Help { of: None }),
        word if known.contains(&word) => Ok(Command::Help { of: Some(word.to_owned()) }),
        word => no(say!("unknown-word", word = quoted(word), near = nearest(word, &known))),
    }
}

/// `link github` asks for a code; on the other side, `link code CODE` or the code alone.
fn link(text: &str) -> Result<Command, CommandError> {
    let known = Service::ALL.map(Service::as_str);
    let is_code = |text: &str| text.len() >= 8 && text.contains('-');
    match first(text) {
        ("", "") => no(say!("link-needs", services = known.join(", link "))),
        ("code", code) if is_code(code) && !code.contains(' ') => {
            Ok(Command::LinkCode { code: code.to_owned() })
        }
        (code, "") if is_code(code) => Ok(Command::LinkCode { code: code.to_owned() }),
        ("code", _) => no(say!("link-code-needs")),
        (word, "") => {
            match Service::ALL.into_iter().find(|service| service.as_str() == word.to_ascii_lowercase()) {
                Some(service) => Ok(Command::Link { service }),
                None => no(unknown_below("link", word, &known)),
            }
        }
        (_, more) => no(say!("link-takes", more = quoted(more))),
    }
}

fn strip(text: &str) -> &str {
    for prefix in ["/qd", "@quarterdeck"] {
        if let Some(rest) = text.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with(' '))
        {
            return rest.trim_start();
        }
    }
    text.strip_prefix('/').unwrap_or(text)
}

pub(crate) fn first(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// What somebody may have meant by a word that is not known, as a sentence; empty if nothing is near.
pub fn nearest(word: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 2 && distance * 2 < known.len())
        .min()
        .map_or_else(String::new, |(_, known)| say!("did-you-mean", word = known))
}

/// What does not follow a word, and what is nearest to it.
fn unknown_below(word: &str, other: &str, known: &[&str]) -> String {
    say!("unknown-below", word = word, other = other, near = nearest(other, known))
}

/// A flag that a command does not have, and what is nearest to it.
pub(crate) fn unknown_flag(of: &str, flag: &str, known: &[&str]) -> String {
    say!("unknown-flag", of = of, flag = flag, near = nearest(flag, known))
}

/// What somebody wrote, as it is shown to them.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// One id, and nothing after it.
fn only(verb: &str, rest: &str) -> Result<Which, CommandError> {
    match first(rest) {
        (which, "") => self::which(verb, which),
        (which, more) => no(say!("takes-one-id", verb = verb, more = quoted(more), which = which)),
    }
}

fn which(verb: &str, text: &str) -> Result<Which, CommandError> {
    let text = text.rsplit('/').next().unwrap_or(text);
    if text.is_empty() {
        return no(say!("needs-id", verb = verb));
    }
    if let Ok(id) = text.parse::<FeatureId>() {
        return Ok(Which::Feature(id));
    }
    let key = text.to_ascii_uppercase();
    let is_key = (SHORTEST_KEY..=26).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_key { Ok(Which::Key(key)) } else { no(say!("no-id", text = quoted(text), least = SHORTEST_KEY)) }
}

pub(crate) fn team(text: &str) -> Result<InstanceName, CommandError> {
    text.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))
}

fn board(text: &str) -> Result<Command, CommandError> {
    match first(text) {
        ("" | "show", "") => Ok(Command::Board { team: None }),
        ("show", team) => Ok(Command::Board { team: Some(self::team(team)?) }),
        ("why", "") => no(say!("why-needs")),
        ("why", id) => {
            let id = id.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))?;
            Ok(Command::BoardWhy { id })
        }
        ("search", "") => no(say!("search-needs")),
        ("search", words) => Ok(Command::BoardSearch { words: words.to_owned() }),
        (team, "") => Ok(Command::Board { team: Some(self::team(team)?) }),
        (word, _) => no(unknown_below("board", word, &["show", "why", "search"])),
    }
}

fn ask(text: &str) -> Result<Command, CommandError> {
    match first(text) {
        ("", _) | (_, "") => no(say!("ask-needs")),
        (team, question) => Ok(Command::Ask { team: self::team(team)?, question: question.to_owned() }),
    }
}

fn fleet(text: &str) -> Result<Command, CommandError> {
    let (whole, lower) = (text, text.to_ascii_lowercase());
    let text = lower.as_str();
    match first(text) {
        ("" | "status", "") => return Ok(Command::Status { team: None }),
        ("status", team) => return Ok(Command::Status { team: Some(self::team(team)?) }),
        ("pause", _) => return Ok(Command::Pause { team: None, why: why(first(whole).1) }),
        ("resume", "") => return Ok(Command::Resume { team: None }),
        ("reload", "") => return Ok(Command::Reload { team: None }),
        _ => {}
    }
    match FleetPart::ALL.into_iter().find(|part| part.as_str() == text) {
        Some(part) => Ok(Command::Fleet { part }),
        None => unknown("fleet", text),
    }
}

fn why(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|why| !why.is_empty())
}

/// `--team alpha --page Offline mode`.
fn plan(text: &str) -> Result<Command, CommandError> {
    let (mut team, mut page, mut rest) = (None, false, text);
    loop {
        let (word, after) = first(rest);
        match word {
            "--page" => (page, rest) = (true, after),
            "--team" => {
                let (name, after) = first(after);
                team = Some(self::team(name)?);
                rest = after;
            }
            "--" => {
                rest = after;
                break;
            }
            flag if flag.starts_with("--") => {
                return no(unknown_flag("plan", flag, &["--team", "--page"]));
            }
            _ => break,
        }
    }
    if rest.is_empty() {
        return no(say!("plan-needs"));
    }
    Ok(Command::Plan { team, page, goal: rest.to_owned() })
}

fn policy(text: &str) -> Result<Command, CommandError> {
    let (action, team) = first(text);
    let Ok(action) = action.parse::<Verb>() else {
        let known: Vec<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
        return no(say!("no-action", action = quoted(action), near = nearest(action, &known)));
    };
    let team = if team.is_empty() { None } else { Some(self::team(team)?) };
    Ok(Command::PolicyExplain { action, team })
}

/// What does not follow a word that is known.
fn unknown(word: &str, rest: &str) -> Result<Command, CommandError> {
    let below = catalogue::below(word);
    match first(rest).0 {
        "" => no(say!("needs-verb", word = word, verbs = below.join(", "))),
        other => no(unknown_below(word, other, &below)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> String {
        match parse(text) {
            Ok(command) => command.to_string(),
            Err(error) => format!("✘ {error}"),
        }
    }

    #[test]
    fn commands_are_read_however_they_are_addressed() {
        insta::assert_snapshot!(check("/qd approve a-142"), @"approve A-142");
        insta::assert_snapshot!(check("@quarterdeck deny 01arz3ndek not now"), @"deny 01ARZ3NDEK not now");
        insta::assert_snapshot!(check("/approvals"), @"approvals");
        insta::assert_snapshot!(check("approvals list"), @"approvals");
        insta::assert_snapshot!(check("approvals show a-142"), @"approvals show A-142");
        insta::assert_snapshot!(check("answer 01arz3ndek  SameSite=Lax, please"), @"answer 01ARZ3NDEK SameSite=Lax, please");
        insta::assert_snapshot!(check("reopen 01arz3ndek"), @"reopen 01ARZ3NDEK");
        insta::assert_snapshot!(check("approve bot/01ARZ3NDEKTSV4RRFFQ69G5FAV"), @"approve 01ARZ3NDEKTSV4RRFFQ69G5FAV");
        insta::assert_snapshot!(check(r#"feature add --ready "Split the importer""#), @"feature add --ready -- Split the importer");
        insta::assert_snapshot!(check("/standup now"), @"standup now");
        insta::assert_snapshot!(check("standup now alpha"), @"standup now alpha");
        insta::assert_snapshot!(check("standup schedule"), @"standup schedule");
        insta::assert_snapshot!(check("standup schedule alpha OFF"), @"standup schedule alpha off");
        insta::assert_snapshot!(check("standup schedule alpha 9:5 mon-fri Europe/Berlin"), @"standup schedule alpha 09:05 Europe/Berlin mon-fri");
        insta::assert_snapshot!(check("standup schedule alpha 09:30 UTC mon,wed,sat-sun"), @"standup schedule alpha 09:30 UTC mon,wed,sat,sun");
        insta::assert_snapshot!(check("/vm create --cores 4 --template 9000 -- beta"), @"vm create beta --template 9000 --cores 4");
        insta::assert_snapshot!(check("vm destroy --backup-to nas -- beta"), @"vm destroy beta --backup-to nas");
        insta::assert_snapshot!(check("vm destroy beta --backup-to nas --cluster lab"), @"vm destroy beta --cluster lab --backup-to nas");
        insta::assert_snapshot!(check("/vm create --cores 4 --cluster lab beta"), @"vm create beta --cluster lab --cores 4");
        insta::assert_snapshot!(check("/link GitHub"), @"link github");
        insta::assert_snapshot!(check("/qd link ABCDE-FGHIJ"), @"link code ABCDE-FGHIJ");
        insta::assert_snapshot!(check("fleet Risks"), @"fleet risks");
        insta::assert_snapshot!(check("/qd feature edit a-1 Priority 0"), @"feature edit A-1 priority 0");
        insta::assert_snapshot!(check("feature edit a-1 milestone none"), @"feature edit A-1 milestone none");
        insta::assert_snapshot!(check("feature stop a-1"), @"feature stop A-1");
        insta::assert_snapshot!(check("feature revert a-1 it  was wrong"), @"feature revert A-1 it was wrong");
        insta::assert_snapshot!(check("team limits alpha"), @"team limits alpha");
        insta::assert_snapshot!(check("team limits alpha Slots 3"), @"team limits alpha slots 3");
        insta::assert_snapshot!(check("team limits alpha reviews default"), @"team limits alpha reviews default");
        insta::assert_snapshot!(check("team release alpha 2"), @"team release alpha 2");
        insta::assert_snapshot!(check("milestone"), @"milestone");
        insta::assert_snapshot!(check("project Offline mode"), @"project Offline mode");
        insta::assert_snapshot!(check("plan --page Offline mode"), @"plan --page -- Offline mode");
        insta::assert_snapshot!(check("audit show A-1.2"), @"audit show A-1.2");
        assert_eq!(
            check("feature add --team alpha -- Say hello\n\nTo everybody:\n- politely\n"),
            "feature add --team alpha -- Say hello\n\nTo everybody:\n- politely",
        );
        assert_eq!(check("answer a-1 Lax:\n  it works"), "answer A-1 Lax:\n  it works");
        assert_eq!(
            check("feature edit a-1 description One:\n\n- two\n"),
            "feature edit A-1 description One:\n\n- two",
            "what its agent is told keeps its lines"
        );
        insta::assert_snapshot!(check("fleet week"), @"fleet week");
        insta::assert_snapshot!(check("announce  No merges   before noon."), @"announce No merges before noon.");
        insta::assert_snapshot!(check("feature move a-1 READY"), @"feature move A-1 ready");
        assert_eq!(
            check("/qd  feature guide a-1  Use this:\n\n    let x =  1;\n"),
            "feature guide A-1 Use this:\n\n    let x =  1;",
            "what its agent is told keeps its lines"
        );
    }

    #[test]
    fn errors_name_the_nearest_right_thing() {
        insta::assert_snapshot!(check("aprove A-1"), @r#"✘ I don't know "aprove". Did you mean approve? Type help for all commands."#);
        insta::assert_snapshot!(check("sing"), @r#"✘ I don't know "sing". Type help for all commands."#);
        insta::assert_snapshot!(check("answer A-1"), @"✘ answer A-1 needs your answer after it.");
        insta::assert_snapshot!(check("approvals A-1"), @r#"✘ I don't know "approvals A-1". There are approvals and approvals show ID."#);
        insta::assert_snapshot!(check("approve"), @"✘ approve needs an id: the one on the card, or a feature like A-142.");
        insta::assert_snapshot!(check("approve x"), @r#"✘ "x" is neither a feature like A-142 nor at least 6 characters of an approval's id."#);
        insta::assert_snapshot!(check("approve A-1 now"), @"approve A-1 now");
        insta::assert_snapshot!(check("feature mvoe A-1"), @r#"✘ I don't know "feature mvoe". Did you mean move?"#);
        insta::assert_snapshot!(check("feature move A-1 done"), @r#"✘ feature move A-1 takes backlog or ready, not "done"."#);
        insta::assert_snapshot!(check("feature add --raedy x"), @"✘ feature add does not know --raedy. Did you mean --ready?");
        insta::assert_snapshot!(check("standup alpha"), @r#"✘ I don't know "standup alpha". There is standup now, standup now TEAM, and standup schedule TEAM 09:30."#);
        insta::assert_snapshot!(check("standup schedule alpha 24:00"), @r#"✘ "24:00" is no time of a day. Say 09:30, off or default."#);
        insta::assert_snapshot!(check("standup schedule alpha 09:00 sat-mon"), @r#"✘ I don't understand "sat-mon" of a stand-up's hour. Say it like 09:30 Europe/Berlin mon-fri."#);
        insta::assert_snapshot!(check("vm"), @"✘ vm needs a verb: list, plan, create, destroy, clusters.");
        insta::assert_snapshot!(check("vm create"), @"✘ vm create needs a team: vm create beta --template 9000 --cores 4");
        insta::assert_snapshot!(check("vm create beta --core 4"), @"✘ vm create does not know --core. Did you mean --cores?");
        insta::assert_snapshot!(check("vm create beta --cores many"), @r#"✘ --cores takes a number, not "many"."#);
        insta::assert_snapshot!(check("vm create beta --cluster ../lab"), @r#"✘ --cluster takes a name of small letters and digits, not "../lab". Which there are: vm clusters"#);
        insta::assert_snapshot!(check("vm destroy beta --backup-to a --backup-to b"), @r#"✘ vm destroy takes a team, --cluster NAME and --backup-to STORAGE. What does "beta --backup-to a --backup-to b" mean?"#);
        insta::assert_snapshot!(check("vm destroy"), @"✘ vm destroy needs a team: vm destroy beta --backup-to nas");
        insta::assert_snapshot!(check("feature edit A-1"), @"✘ feature edit A-1 takes one of title, description, priority, labels, size, project, milestone, due, agent, and how it is from now on.");
        insta::assert_snapshot!(check("feature edit A-1 prio 0"), @"✘ feature edit A-1 takes one of title, description, priority, labels, size, project, milestone, due, agent, and how it is from now on.");
        insta::assert_snapshot!(check("feature edit A-1 priority high"), @r#"✘ priority takes a number from 0, the most urgent, to 4, not "high"."#);
        insta::assert_snapshot!(check("feature edit A-1 size huge"), @r#"✘ size takes xs, s, m, l, xl or none, not "huge"."#);
        insta::assert_snapshot!(check("feature edit A-1 title"), @"✘ feature edit A-1 title needs how it is from now on; none empties it.");
        insta::assert_snapshot!(check("feature edit A-1 title none"), @r#"✘ title takes a line of words, not "none"."#);
        insta::assert_snapshot!(check("team limits"), @"✘ team limits needs a team: team limits alpha");
        insta::assert_snapshot!(check("team limits alpha slot 3"), @r#"✘ A team has no limit "slot". Did you mean slots? There is slots and reviews."#);
        insta::assert_snapshot!(check("team limits alpha slots 0"), @r#"✘ team limits alpha slots takes a number from 1 on, or default, not "0". To let nothing start: team pause alpha"#);
        insta::assert_snapshot!(check("team release alpha all"), @r#"✘ team release alpha takes a number of features, not "all"."#);
        insta::assert_snapshot!(check("plan"), @"✘ plan needs a goal, in a line: plan Offline mode");
        insta::assert_snapshot!(check("plan --pages x"), @"✘ plan does not know --pages. Did you mean --page?");
        insta::assert_snapshot!(check("milestone alpha beta"), @r#"✘ milestone takes one team. What does "beta" mean?"#);
        insta::assert_snapshot!(check("audit show"), @"✘ audit show needs an id: of a feature, a run or an approval.");
        insta::assert_snapshot!(check("audit shwo x"), @"✘ audit needs a verb: audit show ID.");
        insta::assert_snapshot!(check("link"), @"✘ link needs a service, or a code: link github, link discord.");
        insta::assert_snapshot!(check("link githup"), @r#"✘ I don't know "link githup". Did you mean github?"#);
        insta::assert_snapshot!(check("fleet"), @"fleet status");
        insta::assert_snapshot!(check("fleet risk"), @r#"✘ I don't know "fleet risk". Did you mean risks?"#);
        insta::assert_snapshot!(check("announce"), @"✘ announce needs what all teams are to be told: announce TEXT");
        insta::assert_snapshot!(check("board ../x"), @r#"✘ "../x" is not a team's name: lower-case letters, digits, - and _, at most 64, like alpha."#);
        insta::assert_snapshot!(check(""), @"✘ Say what you want. Type help for all commands.");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_command_parses_back(text in "(/qd |@quarterdeck )?(approve|deny|answer|approvals( show)?|reopen|board( show| why| search)?|feature (add|show|move|cancel|edit( A-1 (title|priority|due))?|stop|revert|retry|guide|review)|fleet( status| risks| week| pause| resume| reload)?|team( pause| resume| reload| limits( alpha)?| release( alpha)?)?|ask|standup( now| schedule)?|announce|policy explain|person|vm( list| plan| create| destroy)?|link( code)?|plan( --page)?|milestone|project|audit show|help)? ?.{0,40}") {
            if let Ok(command) = parse(&text) {
                prop_assert_eq!(parse(&command.to_string()), Ok(command));
            }
        }
    }
}
