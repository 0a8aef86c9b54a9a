//! What somebody types into the line of the try-out, as a Discord client would send it: `/feature add title:Split it team:alpha`.

use serde_json::{Value, json};

/// A slash command, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Typed {
    /// The command's name.
    pub(super) name: String,
    /// Its options, as Discord sends them.
    pub(super) options: Value,
}

/// Something that may be typed next.
#[derive(Debug, PartialEq)]
pub(super) struct Hint {
    /// The whole line with it.
    pub(super) line: String,
    /// What it does.
    pub(super) says: String,
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn named<'a>(mut all: impl Iterator<Item = &'a Value>, name: &str) -> Option<&'a Value> {
    all.find(|each| text(each, "name") == name)
}

fn is_sub(option: &Value) -> bool {
    option.get("type").and_then(Value::as_u64) == Some(1)
}

/// Every command that can be typed: its path, what it does, and its options.
fn paths(commands: &[Value]) -> Vec<(String, &str, &Value)> {
    let slash = commands.iter().filter(|command| command.get("type").and_then(Value::as_u64) != Some(3));
    let mut all = Vec::new();
    for command in slash {
        let name = text(command, "name");
        let mut inner = list(command, "options").filter(|option| is_sub(option)).peekable();
        if inner.peek().is_none() {
            all.push((name.to_owned(), text(command, "description"), command));
        }
        for sub in inner {
            all.push((format!("{name} {}", text(sub, "name")), text(sub, "description"), sub));
        }
    }
    all
}

/// The command that a line begins with, and what follows.
fn begun<'a, 'l>(commands: &'a [Value], line: &'l str) -> Option<(String, &'a Value, &'l str)> {
    let line = line.trim_start().strip_prefix('/')?;
    let fits = |path: &str| line == path || line.strip_prefix(path).is_some_and(|rest| rest.starts_with(' '));
    let (path, _, command) = paths(commands).into_iter().find(|(path, ..)| fits(path))?;
    let rest = line.get(path.len()..).unwrap_or_default();
    Some((path, command, rest))
}

/// The values of a line, by their options' names. What stands before the first name belongs to the first option.
fn values<'a>(command: &'a Value, rest: &str) -> Vec<(&'a str, String)> {
    let names: Vec<&str> = list(command, "options").map(|option| text(option, "name")).collect();
    let mut found: Vec<(&str, String)> = Vec::new();
    for word in rest.split(' ') {
        let start = word.split_once(':').and_then(|(name, value)| {
            let known = names.iter().copied().find(|known| *known == name)?;
            Some((known, value))
        });
        if let Some((name, value)) = start {
            found.push((name, value.to_owned()));
        } else if let Some((_, value)) = found.last_mut() {
            value.push(' ');
            value.push_str(word);
        } else if let Some(first) = names.first().filter(|_| !word.is_empty()) {
            found.push((first, word.to_owned()));
        }
    }
    found
}

/// Reads a line. The error says what is wrong.
pub(super) fn read(commands: &[Value], line: &str) -> Result<Typed, String> {
    let Some((path, command, rest)) = begun(commands, line.trim_end()) else {
        return Err(if commands.is_empty() {
            "The bot has registered no commands yet: start it first.".to_owned()
        } else {
            "There is no such command. Begin with / and choose one.".to_owned()
        });
    };
    let values = values(command, rest);
    for option in list(command, "options") {
        let name = text(option, "name");
        let given = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let required = option.get("required") == Some(&Value::Bool(true));
        if required && given.is_none_or(str::is_empty) {
            return Err(format!("/{path} needs {name}: {}.", text(option, "description")));
        }
        let choices: Vec<&str> = list(option, "choices").map(|choice| text(choice, "value")).collect();
        if let Some(given) = given.filter(|given| !choices.is_empty() && !choices.contains(given)) {
            return Err(format!("{name} is one of {}, not {given:?}.", choices.join(", ")));
        }
    }
    let options = values.into_iter().filter(|(_, value)| !value.is_empty());
    let options = options.map(|(name, value)| json!({"name": name, "type": 3, "value": value.trim_end()}));
    Ok(wrapped(&path, options.collect()))
}

fn wrapped(path: &str, options: Value) -> Typed {
    match path.split_once(' ') {
        None => Typed { name: path.to_owned(), options },
        Some((name, sub)) => {
            Typed { name: name.to_owned(), options: json!([{"name": sub, "options": options, "type": 1}]) }
        }
    }
}

/// What may follow, as far as the commands themselves say so.
pub(super) fn hints(commands: &[Value], line: &str) -> Vec<Hint> {
    if !line.starts_with('/') {
        return Vec::new();
    }
    let Some((path, command, rest)) = begun(commands, line).filter(|(path, ..)| line.len() > path.len() + 1)
    else {
        let begins = |path: &String| format!("/{path}").starts_with(line);
        let all = paths(commands).into_iter().filter(|(path, ..)| begins(path));
        return all
            .map(|(path, says, _)| Hint { line: format!("/{path} "), says: says.to_owned() })
            .collect();
    };
    let given = values(command, rest);
    if let Some((name, value)) = given.last()
        && let Some(option) = named(list(command, "options"), name)
    {
        let begins = |choice: &&str| choice.starts_with(value.as_str()) && choice != &value.as_str();
        let choices: Vec<&str> = list(option, "choices").map(|it| text(it, "value")).filter(begins).collect();
        let before = line.strip_suffix(value.as_str()).unwrap_or(line);
        if !choices.is_empty() {
            let hint = |choice: &str| Hint { line: format!("{before}{choice} "), says: String::new() };
            return choices.into_iter().map(hint).collect();
        }
    }
    if !line.ends_with(' ') {
        return Vec::new();
    }
    let open = list(command, "options")
        .filter(|option| !given.iter().any(|(known, _)| *known == text(option, "name")));
    open.map(|option| Hint {
        line: format!("/{path}{rest}{}:", text(option, "name")),
        says: text(option, "description").to_owned(),
    })
    .collect()
}

/// The option that is being typed and that the bot completes: the command as Discord sends it then, and what stands before the
/// value.
pub(super) fn completing(commands: &[Value], line: &str) -> Option<(Typed, String)> {
    let (path, command, rest) = begun(commands, line)?;
    let given = values(command, rest);
    let (name, value) = given.last()?;
    let option = named(list(command, "options"), name)?;
    if option.get("autocomplete") != Some(&Value::Bool(true)) {
        return None;
    }
    let options = given
        .iter()
        .map(|(each, value)| json!({"focused": each == name, "name": each, "type": 3, "value": value}));
    let before = line.strip_suffix(value.as_str()).unwrap_or(line);
    Some((wrapped(&path, options.collect()), before.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Vec<Value> {
        let option = |name: &str, required: bool| json!({"type": 3, "name": name, "description": "It", "required": required});
        let mut id = option("id", true);
        id["autocomplete"] = true.into();
        let mut stage = option("stage", false);
        stage["choices"] =
            json!([{"name": "ready", "value": "ready"}, {"name": "backlog", "value": "backlog"}]);
        vec![
            json!({"name": "approve", "type": 1, "description": "Say yes", "options": [id, option("name", false)]}),
            json!({"name": "feature", "type": 1, "description": "Features", "options": [
                {"type": 1, "name": "add", "description": "File one", "options": [option("title", true), stage]}]}),
            json!({"name": "Make a feature", "type": 3}),
        ]
    }

    fn check(line: &str) -> String {
        match read(&commands(), line) {
            Ok(Typed { name, options }) => format!("{name} {options}"),
            Err(problem) => format!("✘ {problem}"),
        }
    }

    #[test]
    fn a_line_is_what_a_client_sends() {
        insta::assert_snapshot!(check("/approve A-1"), @r#"approve [{"name":"id","type":3,"value":"A-1"}]"#);
        insta::assert_snapshot!(check("/feature add title:Split the importer: all of it stage:ready"), @r#"feature [{"name":"add","options":[{"name":"title","type":3,"value":"Split the importer: all of it"},{"name":"stage","type":3,"value":"ready"}],"type":1}]"#);
        insta::assert_snapshot!(check("/feature add stage:soon title:x"), @r#"✘ stage is one of ready, backlog, not "soon"."#);
        insta::assert_snapshot!(check("/feature add"), @"✘ /feature add needs title: It.");
        insta::assert_snapshot!(check("/sing"), @"✘ There is no such command. Begin with / and choose one.");
    }

    #[test]
    fn what_may_follow_is_shown() {
        let check = |line: &str| {
            let all = hints(&commands(), line).into_iter().map(|hint| format!("{}|{}", hint.line, hint.says));
            all.collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(check("/"), @"
        /approve |Say yes
        /feature add |File one
        ");
        insta::assert_snapshot!(check("/feature add "), @"
        /feature add title:|It
        /feature add stage:|It
        ");
        insta::assert_snapshot!(check("/feature add title:x stage:"), @"
        /feature add title:x stage:ready |
        /feature add title:x stage:backlog |
        ");
        insta::assert_snapshot!(format!("{:?}", completing(&commands(), "/approve id:Mer")), @r#"Some((Typed { name: "approve", options: Array [Object {"focused": Bool(true), "name": String("id"), "type": Number(3), "value": String("Mer")}] }, "/approve id:"))"#);
    }
}
