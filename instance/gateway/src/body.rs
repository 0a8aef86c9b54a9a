//! What an agent sends: read whole, because a provider may have to be asked twice, and within bounds. Of its JSON only the
//! outermost fields are looked at; the rest goes on byte for byte.

use std::{borrow::Cow, fmt, io::Read as _, time::Duration};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, header::HeaderValue};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{refusal::Refusal, route::Endpoint};

/// Reads a body of at most `limit` bytes.
pub(crate) async fn receive(body: Incoming, limit: usize, patience: Duration) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(patience, Limited::new(body, limit).collect()).await;
    match collected.map_err(|_| Refusal::Slow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::TooLarge { limit }),
        Err(error) => Err(Refusal::Body(error.to_string())),
    }
}

/// Undoes the packing that some clients do: what can't be read can't be counted.
pub(crate) fn unpack(body: Bytes, encoding: Option<&HeaderValue>, limit: usize) -> Result<Bytes, Refusal> {
    match encoding.map_or(b"identity".as_slice(), HeaderValue::as_bytes) {
        b"identity" => Ok(body),
        b"gzip" => {
            let mut plain = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            let read = MultiGzDecoder::new(&*body).take(most).read_to_end(&mut plain);
            match read.map_err(|error| Refusal::Body(error.to_string()))? {
                length if length > limit => Err(Refusal::TooLarge { limit }),
                _ => Ok(plain.into()),
            }
        }
        _ => Err(Refusal::Body("it is packed in another way than gzip: send it plain".to_owned())),
    }
}

/// The outermost fields of a request, in their order. No name stands twice: a provider might read the other one.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Not in the parser's words, which quote what they read.
    pub(crate) fn of(body: &'a [u8]) -> Result<Self, Refusal> {
        let fields: Self = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refusal::Body(format!("it is no JSON object (line {line}, column {column})"))
        })?;
        let mut names: Vec<&str> = fields.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        match names.iter().zip(names.iter().skip(1)).find(|(one, other)| one == other) {
            Some((name, _)) => Err(Refusal::Body(format!("its field {name} stands twice"))),
            None => Ok(fields),
        }
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }

    /// The model that is asked for.
    pub(crate) fn model(&self) -> Result<String, Refusal> {
        let model: Option<String> = self.raw("model").and_then(|raw| serde_json::from_str(raw).ok());
        model.ok_or_else(|| Refusal::Body("it names no model".to_owned()))
    }

    /// The tier that is asked for, where it costs something else than the table says. What is cheaper than that is priced
    /// as if it were not.
    pub(crate) fn tier(&self) -> Option<String> {
        const USUAL: [&str; 6] = ["auto", "default", "standard", "standard_only", "flex", "scale"];
        ["service_tier", "serviceTier", "speed"].iter().find_map(|name| {
            let tier: String = serde_json::from_str(self.raw(name)?).ok()?;
            Some(tier).filter(|tier| !USUAL.contains(&tier.as_str()))
        })
    }

    /// Refuses what would be answered where nobody counts.
    pub(crate) fn check(&self, endpoint: Endpoint) -> Result<(), Refusal> {
        if endpoint == Endpoint::Responses && self.is_true("background") {
            let why = "an answer in the background can't be counted: ask without background";
            return Err(Refusal::Body(why.to_owned()));
        }
        Ok(())
    }

    /// The options that make a stream of chat completions tell its usage, if they have to be added.
    pub(crate) fn usage_option(&self, endpoint: Endpoint) -> Result<Option<String>, Refusal> {
        if endpoint != Endpoint::ChatCompletions || !self.is_true("stream") {
            return Ok(None);
        }
        let given = self.raw("stream_options").filter(|raw| *raw != "null").unwrap_or("{}");
        let options = Fields::of(given.as_bytes())?;
        if options.is_true("include_usage") {
            return Ok(None);
        }
        Ok(Some(options.with(&[("include_usage", "true".to_owned())])))
    }

    /// The same with other values, which are JSON. What is not there is added.
    pub(crate) fn with(&self, changes: &[(&str, String)]) -> String {
        let kept = self.0.iter().map(|(name, value)| (&**name, value.get()));
        let kept = kept.filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let changed = changes.iter().map(|(name, value)| (*name, value.as_str()));
        let mut text = String::from("{");
        for (name, value) in kept.chain(changed) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name).to_string());
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use crate::route::Endpoint;

    fn option(body: &str) -> Option<String> {
        Fields::of(body.as_bytes()).unwrap().usage_option(Endpoint::ChatCompletions).unwrap()
    }

    #[test]
    fn a_stream_is_made_to_tell_its_usage() {
        assert_eq!(option(r#"{"stream":false}"#), None);
        assert_eq!(option(r#"{"stream":true,"stream_options":{"include_usage":true}}"#), None);
        assert_eq!(option(r#"{"stream":true}"#).as_deref(), Some(r#"{"include_usage":true}"#));
        assert_eq!(
            option(r#"{"stream":true,"stream_options":null}"#).as_deref(),
            Some(r#"{"include_usage":true}"#)
        );
        let off = r#"{"stream":true,"stream_options":{"include_usage":false}}"#;
        assert_eq!(option(off).as_deref(), Some(r#"{"include_usage":true}"#));
        let body = r#"{"stream":true,"stream_options":3}"#;
        assert!(Fields::of(body.as_bytes()).unwrap().usage_option(Endpoint::ChatCompletions).is_err());
    }

    #[test]
    fn the_rest_stays_as_it_was() {
        let body = r#"{ "model" : "a", "n":1.50e0, "messages":[ {"x": "\u00e9"} ], "t\"": null }"#;
        let changed = Fields::of(body.as_bytes())
            .unwrap()
            .with(&[("model", "\"b\"".to_owned()), ("new", "[]".to_owned())]);
        insta::assert_snapshot!(changed, @r#"{"n":1.50e0,"messages":[ {"x": "\u00e9"} ],"t\"":null,"model":"b","new":[]}"#);
        assert_eq!(Fields::of(b"{}").unwrap().with(&[]), "{}");
    }

    #[test]
    fn a_tier_that_costs_more_is_seen() {
        let tier = |body: &str| Fields::of(body.as_bytes()).unwrap().tier();
        assert_eq!(tier(r#"{"service_tier":"priority"}"#).as_deref(), Some("priority"));
        assert_eq!(tier(r#"{"service_tier":"auto","speed":"fast"}"#).as_deref(), Some("fast"));
        assert_eq!(tier(r#"{"service_tier":"flex"}"#), None);
        assert_eq!(tier(r#"{"service_tier":null}"#), None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let said = |body: &str| Fields::of(body.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(said(r#"{"model":"cheap","model":"dear"}"#), @"the request can't be taken: its field model stands twice");
        insta::assert_snapshot!(said("[]"), @"the request can't be taken: it is no JSON object (line 1, column 0)");
        assert!(Fields::of(br#"{"model":"a"} {"model":"b"}"#).is_err());
    }
}
