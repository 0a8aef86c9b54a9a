//! Descriptions that speak to the model behind people's backs. A scan finds what is clumsy, and nothing else: it warns the
//! person who decides whether to trust a tool, and decides nothing.

use qd_approvals::inert;

use super::Described;

/// Words that a description of a tool has no use for. Seen in published attacks on tool descriptions.
const PHRASES: &[&str] = &[
    "ignore previous",
    "ignore all previous",
    "disregard previous",
    "do not tell the user",
    "don't tell the user",
    "do not mention",
    "don't mention",
    "without telling",
    "system prompt",
    "<important>",
    "<system>",
    "before using this tool",
    "before calling any other tool",
    "instead of any other tool",
    "id_rsa",
    ".ssh/",
    ".env",
    "mcp.json",
];

/// What a person should know before they trust a tool.
pub(super) fn warnings(tool: &Described) -> Vec<String> {
    let mut texts = vec![tool.description.as_str(), tool.title.as_deref().unwrap_or_default()];
    strings(&tool.input, &mut texts);
    tool.output.iter().for_each(|schema| strings(schema, &mut texts));
    let mut found = Vec::new();
    for text in texts {
        let lower = text.to_lowercase();
        let seen = PHRASES.iter().filter(|phrase| lower.contains(**phrase));
        found.extend(seen.map(|phrase| format!("It says “{phrase}”: {}", inert::plain(text, 200))));
        found.extend(
            inert::warnings(text, &[]).iter().map(|warning| format!("{warning} {}", inert::plain(text, 200))),
        );
    }
    found.dedup();
    found
}

fn strings<'a>(value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, texts)),
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(name);
                strings(value, texts);
            }
        }
        _ => {}
    }
}
