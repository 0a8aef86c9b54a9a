//! What a server offers besides tools: resources that clients read, and prompts that people choose. Each is a [`Look`] with
//! an output of a set form, so that every reading goes through the same pipeline as a call: scope, limits, policy, secrets,
//! trail.
//!
//! [`Look`]: crate::Look

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The output of a resource: one text, or bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// What kind of text or bytes: `text/markdown`.
    pub mime_type: String,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

impl Page {
    /// A text.
    pub fn text(mime_type: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mime_type: mime_type.into(), text: Some(text.into()), blob: None }
    }

    /// Bytes, in base64.
    pub fn blob(mime_type: impl Into<String>, base64: impl Into<String>) -> Self {
        Self { mime_type: mime_type.into(), text: None, blob: Some(base64.into()) }
    }
}

/// The output of a prompt: what is put before a model, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Messages {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// One after the other.
    pub messages: Vec<Message>,
}

impl Messages {
    /// One text, as the user says it.
    pub fn user(text: impl Into<String>) -> Self {
        Self { description: None, messages: vec![Message::user(text)] }
    }
}

/// The output of a tool that has more to give than text: pictures, sounds, resources as they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Blocks {
    /// One after the other.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    pub content: Vec<Content>,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Message {
    /// Who says it.
    pub role: Speaker,
    /// What is said.
    pub content: Content,
}

impl Message {
    /// A text of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Speaker::User, content: Content::Text { text: text.into() } }
    }
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// What a message or a result holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// A text.
    Text {
        /// It.
        text: String,
    },
    /// A picture.
    Image {
        /// In base64.
        data: String,
        /// What kind: `image/png`.
        #[serde(rename = "mimeType")]
        mime_type: String,
    },
    /// A sound.
    Audio {
        /// In base64.
        data: String,
        /// What kind: `audio/wav`.
        #[serde(rename = "mimeType")]
        mime_type: String,
    },
    /// A resource as it stands.
    Resource {
        /// It.
        resource: Embedded,
    },
}

/// A resource inside a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Embedded {
    /// Its address.
    pub uri: String,
    /// What it holds.
    #[serde(flatten)]
    pub page: Page,
}

/// As what an entry of a server is offered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Face {
    /// A tool.
    #[default]
    Tool,
    /// A resource at this address.
    Resource(Address),
    /// A prompt.
    Prompt,
}

impl Face {
    /// Whether both are offered in the same list.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Any resource.
    pub(crate) fn resource() -> Self {
        Self::Resource(Address::default())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// A resource's address: `board://features/{feature}`. A variable takes what stands up to the next `/`, `?` or `#`, as it is
/// written: nothing is decoded, so that no encoded slash becomes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address {
    pub(crate) template: String,
    parts: Vec<Part>,
}

impl Address {
    /// Reads one. The error is a sentence about it.
    pub(crate) fn new(template: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("its address {template:?} {what}"));
        let Some((scheme, rest)) = template.split_once("://") else {
            return wrong("has no scheme: write it as scheme://path");
        };
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if scheme.is_empty() || !scheme.bytes().all(is_letter) || rest.is_empty() {
            return wrong("has no scheme of small letters, digits and - before a path");
        }
        if template.starts_with(crate::outputs::SCHEME) {
            return wrong("is where long results are kept");
        }
        let (mut parts, mut rest) = (Vec::new(), template);
        while let Some((text, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { return wrong("has a { without }") };
            if text.is_empty() {
                return wrong("has two variables side by side");
            }
            parts.extend([Part::Text(text.to_owned()), Part::Variable(name.to_owned())]);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { template: template.to_owned(), parts })
    }

    /// The names of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The arguments that an address gives; `None` if it is another one.
    pub(crate) fn read(&self, uri: &str) -> Option<Map<String, Value>> {
        let (mut rest, mut arguments) = (uri, Map::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Variable(name) => {
                    let (value, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                    if value.is_empty() {
                        return None;
                    }
                    arguments.insert(name.clone(), Value::from(value));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whole() {
        let plain = Address::new("board://all").unwrap();
        assert_eq!(plain.read("board://all"), Some(Map::new()));
        assert_eq!(plain.read("board://all/of"), None);
        let of = Address::new("board://features/{feature}/runs/{run}").unwrap();
        let read = |uri: &str| of.read(uri).map(|fields| Value::Object(fields).to_string());
        insta::assert_snapshot!(read("board://features/A-1/runs/2").unwrap(), @r#"{"feature":"A-1","run":"2"}"#);
        insta::assert_snapshot!(read("board://features/%2e%2e%2f/runs/2").unwrap(), @r#"{"feature":"%2e%2e%2f","run":"2"}"#);
        for other in ["board://features//runs/2", "board://features/a/b/runs/2", "board://features/A-1/runs/"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn an_address_that_is_none_says_why() {
        let said = |text: &str| Address::new(text).unwrap_err();
        insta::assert_snapshot!(said("board"), @r#"its address "board" has no scheme: write it as scheme://path"#);
        insta::assert_snapshot!(said("quarterdeck://output/{x}"), @r#"its address "quarterdeck://output/{x}" is where long results are kept"#);
        insta::assert_snapshot!(said("a://{x"), @r#"its address "a://{x" has a { without }"#);
        insta::assert_snapshot!(said("a://{x}{y}"), @r#"its address "a://{x}{y}" has two variables side by side"#);
    }
}
