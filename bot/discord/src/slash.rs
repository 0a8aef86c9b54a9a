//! Slash commands: the grammar of `bot/command`, as Discord wants it described, and back into a line of that grammar.

use serde_json::{Value, json};
use serenity::all::{CommandDataOption, CommandDataOptionValue};

/// What completes an option while it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completes {
    Nothing,
    Approvals,
    Features,
}

struct Opt {
    name: &'static str,
    says: &'static str,
    required: bool,
    completes: Completes,
    choices: &'static [&'static str],
}

struct Verb {
    /// One word, or two: `feature show`.
    path: &'static str,
    says: &'static str,
    options: &'static [Opt],
}

const fn opt(name: &'static str, says: &'static str, required: bool, completes: Completes) -> Opt {
    Opt { name, says, required, completes, choices: &[] }
}

const APPROVAL: Opt = opt("id", "The id on the card, or a feature like A-142", true, Completes::Approvals);
const FEATURE: Opt = opt("id", "A feature like A-142", true, Completes::Features);
const TEAM: Opt = opt("team", "Which team", false, Completes::Nothing);

const VERBS: &[Verb] = &[
    Verb {
        path: "approve",
        says: "Say yes to what is asked",
        options: &[
            APPROVAL,
            opt("name", "What it is done to, where a card asks for that", false, Completes::Nothing),
        ],
    },
    Verb {
        path: "deny",
        says: "Say no",
        options: &[APPROVAL, opt("reason", "Why", false, Completes::Nothing)],
    },
    Verb {
        path: "answer",
        says: "Answer a question",
        options: &[APPROVAL, opt("text", "Your answer", true, Completes::Nothing)],
    },
    Verb { path: "reopen", says: "Ask again for what nobody decided in time", options: &[APPROVAL] },
    Verb { path: "approvals list", says: "What waits for people", options: &[] },
    Verb { path: "approvals show", says: "What one asks, and how it stands", options: &[APPROVAL] },
    Verb { path: "board", says: "What the teams are doing", options: &[TEAM] },
    Verb {
        path: "feature add",
        says: "File a feature",
        options: &[
            opt("title", "One line", true, Completes::Nothing),
            TEAM,
            Opt { choices: &["ready"], ..opt("stage", "Release it at once", false, Completes::Nothing) },
        ],
    },
    Verb { path: "feature show", says: "What is true of a feature", options: &[FEATURE] },
    Verb {
        path: "feature move",
        says: "Move a feature",
        options: &[
            FEATURE,
            Opt { choices: &["backlog", "ready"], ..opt("stage", "Where to", true, Completes::Nothing) },
        ],
    },
    Verb { path: "feature cancel", says: "Give a feature up", options: &[FEATURE] },
    Verb { path: "help", says: "All commands", options: &[] },
];

/// All commands, as they are registered in the guild.
pub(crate) fn commands() -> Value {
    let mut commands: Vec<Value> = Vec::new();
    for verb in VERBS {
        let options: Vec<Value> = verb.options.iter().map(described).collect();
        let Some((group, name)) = verb.path.split_once(' ') else {
            commands
                .push(json!({"name": verb.path, "description": verb.says, "type": 1, "options": options}));
            continue;
        };
        let inner = json!({"type": 1, "name": name, "description": verb.says, "options": options});
        let known = commands.iter_mut().find(|command| command.get("name").is_some_and(|name| name == group));
        match known.and_then(|command| command.get_mut("options")).and_then(Value::as_array_mut) {
            Some(options) => options.push(inner),
            None => commands.push(json!({
                "name": group, "type": 1, "description": format!("Everything about {group}"), "options": [inner],
            })),
        }
    }
    Value::Array(commands)
}

fn described(option: &Opt) -> Value {
    let mut value =
        json!({"type": 3, "name": option.name, "description": option.says, "required": option.required});
    if let Some(fields) = value.as_object_mut() {
        if option.completes != Completes::Nothing {
            fields.insert("autocomplete".to_owned(), true.into());
        }
        if !option.choices.is_empty() {
            let choices = option.choices.iter().map(|choice| json!({"name": choice, "value": choice}));
            fields.insert("choices".to_owned(), choices.collect());
        }
    }
    value
}

/// The options of a command, whether or not it has a subcommand; the path is completed.
fn flat<'a>(name: &str, options: &'a [CommandDataOption]) -> (String, &'a [CommandDataOption]) {
    match options {
        [CommandDataOption { name: inner, value: CommandDataOptionValue::SubCommand(options), .. }] => {
            (format!("{name} {inner}"), options)
        }
        options => (name.to_owned(), options),
    }
}

/// The line of the grammar that was meant.
pub(crate) fn line(name: &str, options: &[CommandDataOption]) -> String {
    let (path, options) = flat(name, options);
    let value = |name: &str| {
        let found = options.iter().find(|option| option.name == name)?;
        match &found.value {
            CommandDataOptionValue::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    if path == "feature add" {
        let team = value("team").map_or_else(String::new, |team| format!("--team {team} "));
        let ready = value("stage").map_or("", |_| "--ready ");
        return format!("feature add {team}{ready}-- {}", value("title").unwrap_or_default());
    }
    let known = VERBS.iter().find(|verb| verb.path == path);
    let values = known.into_iter().flat_map(|verb| verb.options).filter_map(|option| value(option.name));
    [path.as_str()].into_iter().chain(values).collect::<Vec<_>>().join(" ")
}

/// What is being typed, and the command whose answer lists what it may be.
pub(crate) fn completing(name: &str, options: &[CommandDataOption]) -> Option<(&'static str, String)> {
    let (path, options) = flat(name, options);
    let (option, typed) = options.iter().find_map(|option| match &option.value {
        CommandDataOptionValue::Autocomplete { value, .. } => Some((option.name.as_str(), value.clone())),
        _ => None,
    })?;
    let verb = VERBS.iter().find(|verb| verb.path == path)?;
    match verb.options.iter().find(|known| known.name == option)?.completes {
        Completes::Nothing => None,
        Completes::Approvals => Some(("approvals", typed)),
        Completes::Features => Some(("board", typed)),
    }
}

/// The choices in a list that a command answered: the id first in each line, after the progress bars of a board.
pub(crate) fn choices(list: &str, typed: &str) -> Value {
    let wanted = typed.to_lowercase();
    let lines = list.lines().filter_map(|line| {
        let line =
            line.strip_prefix('`').and_then(|line| line.split_once("` ")).map_or(line, |(_, line)| line);
        let id = line.split_whitespace().next()?;
        let is_id = id.bytes().any(|byte| byte.is_ascii_digit());
        (is_id && line.to_lowercase().contains(&wanted))
            .then(|| json!({"name": crate::render::cut(line, 100), "value": id}))
    });
    lines.take(25).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_grammar_can_be_typed() {
        let paths: Vec<&str> = VERBS.iter().map(|verb| verb.path).collect();
        insta::assert_snapshot!(paths.join(", "), @"approve, deny, answer, reopen, approvals list, approvals show, board, feature add, feature show, feature move, feature cancel, help");
        let said: Vec<String> =
            commands().as_array().unwrap().iter().map(|c| c["name"].to_string()).collect();
        insta::assert_snapshot!(said.join(" "), @r#""approve" "deny" "answer" "reopen" "approvals" "board" "feature" "help""#);
    }

    #[test]
    fn lists_become_choices() {
        let list = "`▰▱` A-142 Split the importer · alpha: runs\n01ARZ3NDEKTSV4RRFFQ69G5FAV Merge (A-1, alpha)\nNothing";
        insta::assert_snapshot!(choices(list, ""), @r#"[{"name":"A-142 Split the importer · alpha: runs","value":"A-142"},{"name":"01ARZ3NDEKTSV4RRFFQ69G5FAV Merge (A-1, alpha)","value":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}]"#);
        insta::assert_snapshot!(choices(list, "SPLIT"), @r#"[{"name":"A-142 Split the importer · alpha: runs","value":"A-142"}]"#);
    }
}
