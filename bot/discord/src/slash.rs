//! Slash commands: the catalogue of `bot/command`, as Discord wants it described, and back into a line of the grammar.

use qd_command::catalogue::{self, Completes, ENTRIES, Entry, Opt, Stands};
use qd_core::chat::Choice;
use qd_text::say;
use serde_json::{Value, json};
use serenity::all::{CommandDataOption, CommandDataOptionValue};

/// Longest description, in characters.
const DESCRIPTION: usize = 100;
/// Choices in one answer, and the longest name and value of one, in characters.
const CHOICES: usize = 25;
const CHOICE: usize = 100;
/// Room for the line that counts what is left out, in characters.
const COUNT: usize = 60;

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

/// What is being typed, and what completes it.
pub(crate) fn completing(name: &str, options: &[CommandDataOption]) -> Option<(Completes, String)> {
    let (path, options) = flat(name, options);
    let (option, typed) = options.iter().find_map(|option| match &option.value {
        CommandDataOptionValue::Autocomplete { value, .. } => Some((option.name.as_str(), value.clone())),
        _ => None,
    })?;
    let entry = ENTRIES.iter().find(|entry| entry.path == path)?;
    let what = match entry.options.iter().find(|known| known.name == option)?.completes {
        Completes::Field => of_field(options),
        what => what,
    };
    (what != Completes::Nothing).then_some((what, typed))
}

/// What completes the value of the field that was named before it.
fn of_field(options: &[CommandDataOption]) -> Completes {
    let field = options.iter().find_map(|option| match &option.value {
        CommandDataOptionValue::String(text) if option.name == "field" => Some(text.as_str()),
        _ => None,
    });
    match field {
        Some("agent") => Completes::Agents,
        Some("project") => Completes::Projects,
        Some("milestone") => Completes::Milestones,
        _ => Completes::Nothing,
    }
}

/// Choices, as Discord takes them. One that is too long to be sent back whole is none.
pub(crate) fn choices(all: &[Choice]) -> Value {
    let fits = all.iter().filter(|choice| choice.value.chars().count() <= CHOICE).take(CHOICES);
    fits.map(|choice| json!({"name": crate::render::cut(&choice.name, CHOICE), "value": choice.value}))
        .collect()
}

/// Lines of the grammar that stand in code marks, as the slash commands that say the same: a line that is typed in a channel is no
/// command there. What others wrote has no such marks: they are escaped.
pub(crate) fn spoken(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('`') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let inner = from.strip_prefix('`').unwrap_or_default();
        let code = inner.split_once('`').filter(|_| !before.ends_with('\\'));
        let Some((line, after)) = code else {
            out.push('`');
            rest = inner;
            continue;
        };
        let said = catalogue::slash(line).unwrap_or_else(|| line.to_owned());
        out.push_str(&format!("`{said}`"));
        rest = after;
    }
    out + rest
}

/// Text of at most so many characters, cut where a line ends; what is left out is counted. A line that is longer than that is cut.
pub(crate) fn fit(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    if let [_] = lines.as_slice() {
        return crate::render::cut(text, most);
    }
    let room = most.saturating_sub(COUNT);
    let (mut kept, mut length) = (0, 0);
    for line in &lines {
        length += line.chars().count() + 1;
        if length > room {
            break;
        }
        kept += 1;
    }
    let first = match lines.get(..kept) {
        Some(whole) if kept > 0 => whole.join("\n"),
        _ => crate::render::cut(lines.first().copied().unwrap_or_default(), room),
    };
    match lines.len().saturating_sub(kept.max(1)) {
        0 => first,
        count => format!("{first}\n{}", say!("discord-more-lines", count = count)),
    }
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
    fn choices_are_those_that_can_be_sent_back() {
        let choice = |value: &str, name: &str| Choice { value: value.into(), name: name.into() };
        let all = [choice("A-142", &"Split ".repeat(30)), choice(&"x".repeat(101), "x")];
        insta::assert_snapshot!(choices(&all), @r#"[{"name":"Split Split Split Split Split Split Split Split Split Split Split Split Split Split Split Split Spl…","value":"A-142"}]"#);
    }

    #[test]
    fn a_line_of_the_grammar_is_said_as_a_slash_command() {
        let said = spoken(r"On: vm-117. Type: `approve 01K vm-117`, or not: \`deny 01K\` `▰▱` `deny 01K");
        insta::assert_snapshot!(said, @r"On: vm-117. Type: `/approve id:01K name:vm-117`, or not: \`deny 01K\` `▰▱` `deny 01K");
    }

    #[test]
    fn what_is_too_long_ends_with_a_line_and_a_count() {
        let text = (1..=300).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
        let shown = fit(&text, 200);
        assert!(shown.chars().count() <= 200);
        insta::assert_snapshot!(shown.lines().rev().take(2).collect::<Vec<_>>().join("\n"), @"
        and 282 lines more
        line 18
        ");
        assert_eq!(fit(&"x".repeat(300), 200).chars().count(), 200);
    }
}
