//! Text to command. Every refusal names what was wrong and the nearest right thing.

use qd_types::{FeatureId, InstanceName, Stage};

use crate::{Command, Which};

/// All commands, a line each.
pub const HELP: &str = "\
approve ID [NAME]              say yes to what is asked; ID is on the card, or a feature like A-142
                               NAME is what it is done to, where a card asks for that
deny ID [reason]               say no
answer ID TEXT                 answer a question
reopen ID                      ask again for what nobody decided in time
approvals                      what waits for people
approvals show ID              what one asks, and how it stands
board [TEAM]                   what the teams are doing
standup now [TEAM]             what happened since the last stand-up
fleet status [TEAM]            which teams are heard, and what they do
fleet risks                    what endangers the work
fleet week                     what happened this week
announce TEXT                  tell all teams something
feature add [--team T] [--ready] TITLE
feature show ID                what is true of a feature
feature move ID STAGE          to backlog or ready
feature cancel ID              give a feature up
help                           this";

const VERBS: [&str; 11] = [
    "approve",
    "deny",
    "answer",
    "reopen",
    "approvals",
    "board",
    "standup",
    "fleet",
    "announce",
    "feature",
    "help",
];
const FLEET_VERBS: [&str; 3] = ["status", "risks", "week"];
const FEATURE_VERBS: [&str; 4] = ["add", "show", "move", "cancel"];

/// Shortest beginning of an approval's id that is taken: six characters of a ULID, of which the first ten are time.
const SHORTEST_KEY: usize = 6;

/// A text that is no command. The message is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

fn no<T>(text: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError(text.into()))
}

/// Reads a command. A leading `/qd`, `/` or `@quarterdeck` is dropped.
pub fn parse(text: &str) -> Result<Command, CommandError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = strip(&text);
    let (verb, rest) = first(text);
    match verb.to_ascii_lowercase().as_str() {
        "" => no("Say what you want. Type help for all commands."),
        "help" | "?" => Ok(Command::Help),
        "approvals" => match first(rest) {
            ("" | "list", "") => Ok(Command::Approvals),
            ("show", id) => Ok(Command::ApprovalShow { which: only("approvals show", id)? }),
            _ => no(format!("I don't know \"approvals {rest}\". There are approvals and approvals show ID.")),
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
                return no(format!("answer {which} needs your answer after it."));
            }
            Ok(Command::Answer { which, text: text.to_owned() })
        }
        "reopen" => Ok(Command::Reopen { which: only("reopen", rest)? }),
        "deny" => {
            let (which, reason) = first(rest);
            let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
            Ok(Command::Deny { which: self::which("deny", which)?, reason })
        }
        "board" => match rest {
            "" => Ok(Command::Board { team: None }),
            team => Ok(Command::Board { team: Some(self::team(team)?) }),
        },
        "standup" => match first(rest) {
            ("" | "now", "") => Ok(Command::Standup { team: None }),
            ("now", team) => Ok(Command::Standup { team: Some(self::team(team)?) }),
            _ => no(format!("I don't know \"standup {rest}\". There is standup now, and standup now TEAM.")),
        },
        "fleet" => match (first(rest).0.to_ascii_lowercase().as_str(), first(rest).1) {
            ("" | "status", "") => Ok(Command::Status { team: None }),
            ("status", team) => Ok(Command::Status { team: Some(self::team(team)?) }),
            ("risks", "") => Ok(Command::Risks),
            ("week", "") => Ok(Command::Weekly),
            (other, _) => no(format!("I don't know \"fleet {rest}\".{}", nearest(other, &FLEET_VERBS))),
        },
        "announce" => match rest {
            "" => no("announce needs what all teams are to be told: announce TEXT"),
            text => Ok(Command::Announce { text: text.to_owned() }),
        },
        "feature" => feature(rest),
        other => no(format!("I don't know {other:?}.{} Type help for all commands.", nearest(other, &VERBS))),
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

fn first(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

fn nearest(word: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map_or_else(String::new, |(_, known)| format!(" Did you mean {known}?"))
}

/// One id, and nothing after it.
fn only(verb: &str, rest: &str) -> Result<Which, CommandError> {
    match first(rest) {
        (which, "") => self::which(verb, which),
        (which, more) => no(format!("{verb} takes one id. What does {more:?} after {which} mean?")),
    }
}

fn which(verb: &str, text: &str) -> Result<Which, CommandError> {
    let text = text.rsplit('/').next().unwrap_or(text);
    if text.is_empty() {
        return no(format!("{verb} needs an id: the one on the card, or a feature like A-142."));
    }
    if let Ok(id) = text.parse::<FeatureId>() {
        return Ok(Which::Feature(id));
    }
    let key = text.to_ascii_uppercase();
    let is_key = (SHORTEST_KEY..=26).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_key {
        Ok(Which::Key(key))
    } else {
        no(format!(
            "{text:?} is neither a feature like A-142 nor at least {SHORTEST_KEY} characters of an approval's id."
        ))
    }
}

fn team(text: &str) -> Result<InstanceName, CommandError> {
    text.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))
}

fn id(verb: &str, text: &str) -> Result<FeatureId, CommandError> {
    if text.is_empty() {
        return no(format!("feature {verb} needs a feature, like A-142."));
    }
    text.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))
}

fn feature(text: &str) -> Result<Command, CommandError> {
    let (verb, rest) = first(text);
    match verb.to_ascii_lowercase().as_str() {
        "add" => add(rest),
        "show" => Ok(Command::FeatureShow { id: id("show", rest)? }),
        "cancel" => Ok(Command::FeatureCancel { id: id("cancel", rest)? }),
        "move" => {
            let (feature, stage) = first(rest);
            let id = id("move", feature)?;
            match stage.to_ascii_lowercase().parse() {
                Ok(stage @ (Stage::Backlog | Stage::Ready)) => Ok(Command::FeatureMove { id, stage }),
                _ => no(format!("feature move {id} takes backlog or ready, not {stage:?}.")),
            }
        }
        "" => no("feature needs a verb: add, show, move or cancel."),
        other => no(format!("I don't know \"feature {other}\".{}", nearest(other, &FEATURE_VERBS))),
    }
}

fn add(text: &str) -> Result<Command, CommandError> {
    let (mut team, mut ready, mut rest) = (None, false, text);
    loop {
        let (word, after) = first(rest);
        match word {
            "--ready" => (ready, rest) = (true, after),
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
                return no(format!(
                    "feature add does not know {flag}.{}",
                    nearest(flag, &["--team", "--ready"])
                ));
            }
            _ => break,
        }
    }
    let title = rest.strip_prefix('"').and_then(|title| title.strip_suffix('"')).unwrap_or(rest).trim();
    if title.is_empty() {
        return no("feature add needs a title: feature add Split the importer from the API");
    }
    Ok(Command::FeatureAdd { team, ready, title: title.to_owned() })
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
        insta::assert_snapshot!(check("fleet Risks"), @"fleet risks");
        insta::assert_snapshot!(check("fleet week"), @"fleet week");
        insta::assert_snapshot!(check("announce  No merges   before noon."), @"announce No merges before noon.");
        insta::assert_snapshot!(check("feature move a-1 READY"), @"feature move A-1 ready");
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
        insta::assert_snapshot!(check("standup alpha"), @r#"✘ I don't know "standup alpha". There is standup now, and standup now TEAM."#);
        insta::assert_snapshot!(check("fleet"), @"fleet status");
        insta::assert_snapshot!(check("fleet risk"), @r#"✘ I don't know "fleet risk". Did you mean risks?"#);
        insta::assert_snapshot!(check("announce"), @"✘ announce needs what all teams are to be told: announce TEXT");
        insta::assert_snapshot!(check("board ../x"), @r#"✘ "../x" is not a team's name: lower-case letters, digits, - and _, at most 64, like alpha."#);
        insta::assert_snapshot!(check(""), @"✘ Say what you want. Type help for all commands.");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_command_parses_back(text in "(/qd |@quarterdeck )?(approve|deny|answer|approvals( show)?|reopen|board|standup( now)?|fleet( risks| week)?|announce|feature (add|show|move|cancel)|help)? ?.{0,40}") {
            if let Ok(command) = parse(&text) {
                prop_assert_eq!(parse(&command.to_string()), Ok(command));
            }
        }
    }
}
