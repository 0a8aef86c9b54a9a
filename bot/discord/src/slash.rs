//! Slash commands: the catalogue of `bot/command`, as Discord wants it described, and back into a line of the grammar.

use qd_command::catalogue::{Completes, ENTRIES, Entry, Opt, Stands};
use qd_text::say;
use qd_types::Verb;
use serde_json::{Value, json};
use serenity::all::{CommandDataOption, CommandDataOptionValue};

/// Longest description, in characters.
const DESCRIPTION: usize = 100;
/// Choices in one answer.
const CHOICES: usize = 25;

/// All commands, as they are registered in the guild.
pub(crate) fn commands() -> Value {
    let mut commands: Vec<Value> = Vec::new();
    for entry @ Entry { path, options } in ENTRIES {
        // Discord wants what is required first, the grammar has its own order.
        let (first, last): (Vec<&Opt>, Vec<&Opt>) = options.iter().partition(|option| option.required);
        let options = first.into_iter().chain(last).map(described).collect();
        add(&mut commands, path, &entry.says(), options);
    }
    commands.push(json!({"name": say!("discord-make"), "type": 3}));
    Value::Array(commands)
}

fn add(commands: &mut Vec<Value>, path: &str, says: &str, options: Vec<Value>) {
    let Some((group, name)) = path.split_once(' ') else {
        commands.push(json!({"name": path, "description": says, "type": 1, "options": options}));
        return;
    };
    let inner = json!({"type": 1, "name": name, "description": says, "options": options});
    let known = commands.iter_mut().find(|command| command.get("name").is_some_and(|name| name == group));
    match known.and_then(|command| command.get_mut("options")).and_then(Value::as_array_mut) {
        Some(options) => options.push(inner),
        None => commands.push(json!({
            "name": group, "type": 1, "description": say!("discord-group", group = group), "options": [inner],
        })),
    }
}

fn described(option: &Opt) -> Value {
    let says = crate::render::cut(&option.says(), DESCRIPTION);
    let mut value = json!({"type": 3, "name": option.name, "description": says, "required": option.required});
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

/// What was meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// A line of the grammar.
    Line(String),
    /// A feature, of which the form asks the rest.
    Form(NewFeature),
}

/// What is known of a feature before the form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NewFeature {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) team: String,
    pub(crate) ready: bool,
}

/// What a person means by a slash command.
pub(crate) fn meant(name: &str, options: &[CommandDataOption]) -> Meant {
    let (path, options) = flat(name, options);
    let value = |name: &str| {
        let found = options.iter().find(|option| option.name == name)?;
        match &found.value {
            CommandDataOptionValue::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    if path == "feature add" && value("title").is_none() {
        let team = value("team").unwrap_or_default().to_owned();
        return Meant::Form(NewFeature { team, ready: value("stage").is_some(), ..NewFeature::default() });
    }
    Meant::Line(line(&path, value))
}

fn line<'a>(path: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let known = ENTRIES.iter().find(|entry| entry.path == path);
    let options = || known.into_iter().flat_map(|entry| entry.options);
    let mut words = vec![path.to_owned()];
    for option in options() {
        match (option.stands, value(option.name)) {
            (Stands::After(flag), Some(text)) => words.extend([flag.to_owned(), text.to_owned()]),
            (Stands::As(flag), Some(_)) => words.push(flag.to_owned()),
            _ => {}
        }
    }
    // What a person wrote is no flag.
    if options().any(|option| option.stands != Stands::InOrder) {
        words.push("--".to_owned());
    }
    let plain = options().filter(|option| option.stands == Stands::InOrder);
    words.extend(plain.filter_map(|option| value(option.name)).map(str::to_owned));
    words.join(" ")
}

/// The line by which a feature is filed, out of the form; below it, what is wanted.
pub(crate) fn filing(new: &NewFeature) -> String {
    let title = new.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line("feature add", |name| match name {
        "title" => Some(title.as_str()),
        "team" => Some(new.team.trim()).filter(|team| !team.is_empty()),
        _ => Some("ready").filter(|_| new.ready),
    });
    match new.description.trim() {
        "" => line,
        description => format!("{line}\n\n{description}"),
    }
}

/// The form for a feature.
pub(crate) fn form(new: &NewFeature) -> Value {
    // A short line, or a paragraph.
    let input = |id: &str, label: &str, value: &str, most: usize, required: bool| {
        let style = if most > LINE { 2 } else { 1 };
        let mut input = json!({"type": 4, "custom_id": id, "style": style, "label": label, "required": required, "max_length": most});
        if let Some(fields) = input.as_object_mut().filter(|_| !value.is_empty()) {
            fields.insert("value".to_owned(), crate::render::cut(value, most).into());
        }
        json!({"type": 1, "components": [input]})
    };
    let ready = if new.ready { say!("discord-yes") } else { String::new() };
    json!({
        "custom_id": FORM,
        "title": say!("discord-form"),
        "components": [
            input("title", &say!("discord-form-title"), &new.title, LINE, true),
            input("description", &say!("discord-form-description"), &new.description, WANTED, false),
            input("team", &say!("discord-form-team"), &new.team, 64, false),
            input("ready", &say!("discord-form-ready"), &ready, 3, false),
        ],
    })
}

/// Longest title that is typed, and what is wanted, in characters: less than a passage of the uplink.
const LINE: usize = 200;
const WANTED: usize = 3500;

/// What the form is known by.
pub(crate) const FORM: &str = "form feature";

/// Where choices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The answer to this line.
    Line(&'static str),
    /// The actions of the policies.
    Actions,
}

/// What is being typed, and where its choices come from.
pub(crate) fn completing(name: &str, options: &[CommandDataOption]) -> Option<(Source, String)> {
    let (path, options) = flat(name, options);
    let (option, typed) = options.iter().find_map(|option| match &option.value {
        CommandDataOptionValue::Autocomplete { value, .. } => Some((option.name.as_str(), value.clone())),
        _ => None,
    })?;
    let entry = ENTRIES.iter().find(|entry| entry.path == path)?;
    let source = match entry.options.iter().find(|known| known.name == option)?.completes {
        Completes::Nothing => return None,
        Completes::Approvals => Source::Line("approvals"),
        Completes::Features => Source::Line("board"),
        Completes::Teams => Source::Line("fleet teams"),
        Completes::Clusters => Source::Line("vm clusters"),
        Completes::Actions => Source::Actions,
    };
    Some((source, typed))
}

/// The choices in a list that a command answered: the word first in each line, after the progress bars of a board. An id has a
/// digit, and a team's name a colon after it; other lines are sentences.
pub(crate) fn choices(list: &str, typed: &str) -> Value {
    let lines = list.lines().filter_map(|line| {
        let line =
            line.strip_prefix('`').and_then(|line| line.split_once("` ")).map_or(line, |(_, line)| line);
        let first = line.split_whitespace().next()?;
        let team = first.strip_suffix(':');
        let is_id = first.bytes().any(|byte| byte.is_ascii_digit());
        (team.is_some() || is_id).then(|| (team.unwrap_or(first), line))
    });
    picked(lines, typed)
}

/// The actions of the policies that fit.
pub(crate) fn actions(typed: &str) -> Value {
    let lines: Vec<(&str, String)> =
        Verb::ALL.iter().map(|verb| (verb.as_str(), format!("{verb}: {}", verb.title()))).collect();
    picked(lines.iter().map(|(word, line)| (*word, line.as_str())), typed)
}

fn picked<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>, typed: &str) -> Value {
    let wanted = typed.to_lowercase();
    let fits = lines.filter(|(_, line)| line.to_lowercase().contains(&wanted));
    fits.take(CHOICES)
        .map(|(word, line)| json!({"name": crate::render::cut(line, 100), "value": word}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_grammar_can_be_typed() {
        let said = |command: &Value| {
            let subs = command["options"].as_array().into_iter().flatten().filter(|it| it["type"] == 1);
            let subs: Vec<&str> = subs.map(|it| it["name"].as_str().unwrap()).collect();
            format!("{} {}", command["name"].as_str().unwrap(), subs.join("|")).trim_end().to_owned()
        };
        let all: Vec<String> = commands().as_array().unwrap().iter().map(said).collect();
        insta::assert_snapshot!(all.join("\n"), @"
        approve
        deny
        answer
        reopen
        approvals list|show|subject
        board show|why|search
        feature add|show|move|cancel|retry|edit|stop|revert|guide|review
        fleet status|teams|cost|risks|week|pause|resume|reload
        team pause|resume|reload|limits|release
        milestone
        project
        plan
        ask
        standup now|schedule
        vm list|plan|create|destroy|clusters
        link github|discord|code
        announce
        person
        policy explain
        audit show
        help
        Make a feature
        ");
    }

    #[test]
    fn a_form_becomes_a_line() {
        let new = NewFeature {
            title: "--ready or not".into(),
            team: " alpha ".into(),
            ready: true,
            ..NewFeature::default()
        };
        insta::assert_snapshot!(filing(&new), @"feature add --team alpha --ready -- --ready or not");
        insta::assert_snapshot!(filing(&NewFeature { title: "Split it".into(), ..NewFeature::default() }), @"feature add -- Split it");
        let more = NewFeature { description: "It takes\n\nminutes. ".into(), ..new };
        insta::assert_snapshot!(filing(&more), @"
        feature add --team alpha --ready -- --ready or not

        It takes

        minutes.
        ");
        let new = NewFeature { description: String::new(), ..more };
        insta::assert_snapshot!(form(&new), @r#"{"custom_id":"form feature","title":"A new feature","components":[{"type":1,"components":[{"type":4,"custom_id":"title","style":1,"label":"What is wanted, in one line","required":true,"max_length":200,"value":"--ready or not"}]},{"type":1,"components":[{"type":4,"custom_id":"description","style":2,"label":"What is wanted, in full","required":false,"max_length":3500}]},{"type":1,"components":[{"type":4,"custom_id":"team","style":1,"label":"Team, where there are several","required":false,"max_length":64,"value":" alpha "}]},{"type":1,"components":[{"type":4,"custom_id":"ready","style":1,"label":"Release it at once? yes or no","required":false,"max_length":3,"value":"yes"}]}]}"#);
    }

    #[test]
    fn lists_become_choices() {
        let list = "`▰▱` A-142 Split the importer · alpha: runs\n01ARZ3NDEKTSV4RRFFQ69G5FAV Merge (A-1, alpha)\nNothing";
        insta::assert_snapshot!(choices(list, ""), @r#"[{"name":"A-142 Split the importer · alpha: runs","value":"A-142"},{"name":"01ARZ3NDEKTSV4RRFFQ69G5FAV Merge (A-1, alpha)","value":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}]"#);
        insta::assert_snapshot!(choices(list, "SPLIT"), @r#"[{"name":"A-142 Split the importer · alpha: runs","value":"A-142"}]"#);
        insta::assert_snapshot!(choices("alpha: 2 running", ""), @r#"[{"name":"alpha: 2 running","value":"alpha"}]"#);
        insta::assert_snapshot!(actions("policy.v"), @r#"[{"name":"policy.view: See, check and explain policies","value":"policy.view"}]"#);
    }
}
