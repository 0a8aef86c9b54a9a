//! What a request asks for, as one short sentence that is the same on every surface. It is built from the typed action and
//! from what that is bound to: never from the words of whoever asks.

use crate::{Action, Binding, Call, Subject, Verb, visible};

/// Longest part of a title that says what is acted on, in characters. All of it stands on the card.
const TARGET: usize = 80;

impl Subject {
    /// What happens: "Merge 4f2a91c into main", "Run cargo publish", "Call push of server git". One line; what an agent
    /// named in it is cut, and what can't be seen in it is written out.
    pub fn title(&self) -> String {
        match (&self.action, &self.binding) {
            (Action::Tool(call) | Action::Operation(call), Some(binding)) => {
                called(call, binding).unwrap_or_else(|| self.action.title())
            }
            (action, _) => action.title(),
        }
    }
}

/// The sentence of a call, by what it does.
fn called(call: &Call, binding: &Binding) -> Option<String> {
    let target = short(&binding.target);
    let (server, does) = call.does.split_once('.')?;
    match (server, does) {
        ("agent", wish) => own(wish).map(|verb| format!("{verb} {target}")),
        ("lesson", "add") => Some(format!("Add {target}")),
        ("board", verb) => Some(format!("{}: {target}", verb.parse::<Verb>().ok()?.title())),
        _ => match &binding.tool {
            Some(tool) => {
                let (server, tool) = tool.name.split_once('.')?;
                Some(format!("Call {} of server {}", short(tool), short(server)))
            }
            None => Some(format!("{}: {target}", call.does.parse::<Verb>().ok()?.title())),
        },
    }
}

/// What an agent does by itself, as a verb.
fn own(wish: &str) -> Option<&'static str> {
    Some(match wish {
        "read" | "read_elsewhere" => "Read",
        "edit" | "edit_elsewhere" => "Change",
        "check" | "command" => "Run",
        "network" => "Reach",
        "mode" => "Work with other permissions:",
        "other" => "Let the agent do:",
        _ => return None,
    })
}

/// One line, cut; what can't be seen is written out.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut seen = line.chars();
    let kept: String = seen.by_ref().take(TARGET).collect();
    let kept = visible::line(&kept);
    if seen.next().is_some() { format!("{}…", kept.trim_end()) } else { kept }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::{Action, Binding, Call, Requirement, Subject, Tier, Tool};

    fn title(does: &str, tool: Option<&str>, target: &str) -> String {
        let binding = Binding {
            tool: tool.map(|name| Tool { name: name.to_owned(), definition: String::new() }),
            arguments: Value::Null,
            target: target.to_owned(),
            fingerprint: String::new(),
            policies: String::new(),
            askers: Vec::new(),
            reopens: None,
        };
        let subject = Subject {
            action: Action::Tool(Call { does: does.to_owned(), tier: Tier::Operate }),
            binding: Some(binding),
            instance: "alpha".parse().unwrap(),
            feature: "A-1".parse().unwrap(),
            run: "A-1.1".parse().unwrap(),
            requesters: Vec::new(),
            requirement: Requirement { roles: Vec::new(), count: 1, solo: false },
        };
        subject.title()
    }

    #[test]
    fn a_title_says_what_is_asked_for() {
        let titles = [
            title("agent.command", Some("agent.command"), "cargo publish"),
            title("agent.edit_elsewhere", Some("agent.edit_elsewhere"), "/etc/hosts, /etc/passwd"),
            title("agent.network", Some("agent.network"), "crates.io"),
            title("agent.mode", Some("agent.mode"), "bypass"),
            title("container.restart", Some("docker.restart_container"), "billing-db"),
            title("feature.add", None, "Say hello"),
            title("board.feature.cancel", Some("board.feature.cancel"), "A-1"),
            title("lesson.add", None, "lesson 65402d2c for project"),
            title("something", None, "x"),
        ];
        insta::assert_snapshot!(titles.join("\n"), @"
        Run cargo publish
        Change /etc/hosts, /etc/passwd
        Reach crates.io
        Work with other permissions: bypass
        Call restart_container of server docker
        File a feature: Say hello
        Give a feature up: A-1
        Add lesson 65402d2c for project
        Do something
        ");
    }

    #[test]
    fn nothing_hides_in_a_title() {
        let long = format!("echo a\u{202e}b\n\u{200b}rm {}", "x".repeat(100));
        insta::assert_snapshot!(title("agent.command", None, &long), @"Run echo a⟨U+202E⟩b ⟨U+200B⟩rm xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…");
    }
}
