//! Every message of a client, before anything else reads it. The protocol's own parser takes the last of two fields of one
//! name and rounds numbers; what would be lost there is refused here.
//!
//! A call that is refused goes on without its arguments and with the reason beside it, so that the client gets a tool error
//! and not a broken protocol.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::strict;

/// Largest message, in bytes. Arguments may be smaller still; whatever is larger than this is not read to its end.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Where the reason stands in a call's `_meta`. A client that writes it itself gets its own call refused.
pub(crate) const REFUSED: &str = "quarterdeck/refused";

/// The method that nobody has: what is refused and is no call is answered as unknown.
const NO_METHOD: &str = "quarterdeck/refused";

/// As much of a message as has to be known. Its fields stand once: serde refuses a second.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The message as it may be read on: as it is, or in its place one that says what is wrong with it. What is no JSON at all
/// is left to the protocol's own parser.
pub fn screen(message: &[u8]) -> Cow<'_, [u8]> {
    match wrong_with(message) {
        None => Cow::Borrowed(message),
        Some(reason) => substitute(message, &reason).map_or(Cow::Borrowed(message), Cow::Owned),
    }
}

fn wrong_with(message: &[u8]) -> Option<String> {
    if let Ok(Message { method: Some(method), params: Some(params) }) = serde_json::from_slice(message)
        && method.get() == "\"tools/call\""
        && let Ok(CallParams { arguments: Some(arguments) }) = serde_json::from_str(params.get())
        && arguments.get() != "null"
        && let Err(reason) = strict::object(arguments.get().as_bytes())
    {
        return Some(reason);
    }
    strict::parse(message).err()
}

/// A message with the same id. `None` if it can't be read even so.
fn substitute(message: &[u8], reason: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        method: Option<String>,
        #[serde(borrow)]
        params: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Params<'a> {
        name: Option<String>,
        #[serde(borrow, rename = "_meta")]
        meta: Option<&'a RawValue>,
    }
    let unknown = || Envelope { id: None, method: None, params: None };
    let text = std::str::from_utf8(message).ok()?;
    let read = serde_json::from_str::<Envelope<'_>>(text);
    let Envelope { id, method, params } = match read {
        Ok(envelope) => envelope,
        // Its own fields stand twice, or it is no JSON: then it has no id that both readers would take.
        Err(error) if error.is_data() => unknown(),
        Err(_) => return None,
    };
    let id: Value = id.and_then(|id| strict::parse(id.get().as_bytes()).ok()).unwrap_or(Value::Null);
    if method.as_deref() != Some("tools/call") {
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": NO_METHOD, "params": { "reason": reason } });
        return serde_json::to_vec(&message).ok();
    }
    let params = params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok());
    let (name, meta) = params.map_or((None, None), |params| (params.name, params.meta));
    let mut meta = meta
        .and_then(|meta| strict::parse(meta.get().as_bytes()).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    if let Some(fields) = meta.as_object_mut() {
        fields.insert(REFUSED.to_owned(), Value::from(reason));
    }
    let params = json!({ "name": name.unwrap_or_default(), "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
    serde_json::to_vec(&message).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(message: &str) -> String {
        String::from_utf8(screen(message.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_clean_message_goes_on_as_it_is() {
        let call =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1}}}"#;
        assert!(matches!(screen(call.as_bytes()), Cow::Borrowed(same) if same == call.as_bytes()));
        assert_eq!(check("no JSON"), "no JSON");
    }

    #[test]
    fn a_call_that_is_refused_says_why() {
        insta::assert_snapshot!(check(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":3},"arguments":{"x":1,"x":2}}}"#), @r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":3,"quarterdeck/refused":"the field \"x\" stands twice at line 1 column 10"}}}"#);
        insta::assert_snapshot!(check(r#"{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"a","arguments":{"x":1e999}}}"#), @r#"{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"a","_meta":{"quarterdeck/refused":"number out of range at line 1 column 10"}}}"#);
        // Two names, of which each reader might take another.
        insta::assert_snapshot!(check(r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"a","name":"b","arguments":{}}}"#), @r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"","_meta":{"quarterdeck/refused":"the field \"name\" stands twice at line 1 column 73"}}}"#);
        insta::assert_snapshot!(check(r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"a","arguments":{}},"params":{"name":"b"}}"#), @r#"{"jsonrpc":"2.0","id":null,"method":"quarterdeck/refused","params":{"reason":"the field \"params\" stands twice at line 1 column 91"}}"#);
    }

    proptest! {
        #[test]
        fn any_bytes_go_on_as_they_are_or_as_a_good_message(message in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Cow::Owned(other) = screen(&message) {
                prop_assert!(strict::parse(&other).is_ok());
            }
        }

        /// As the fuzz target has it, on messages that are almost good.
        #[test]
        fn a_damaged_call_means_one_thing_or_is_refused(
            damage in prop::collection::vec((0_usize..160, any::<u8>()), 0..6), cut in 0_usize..200,
        ) {
            let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":3},"arguments":{"x":[1,2.5,"\u0041"],"y":{"z":null}}}}"#;
            let mut message = call.as_bytes().to_vec();
            for (at, byte) in damage {
                let at = at % message.len();
                message[at] = byte;
            }
            message.truncate(cut.max(1));
            match screen(&message) {
                Cow::Owned(other) => prop_assert!(strict::parse(&other).is_ok()),
                Cow::Borrowed(_) => {
                    if let Ok(value) = strict::parse(&message) {
                        let again = serde_json::to_vec(&value).unwrap();
                        prop_assert_eq!(strict::parse(&again), Ok(value));
                    } else {
                        prop_assert!(serde_json::from_slice::<Value>(&message).is_err());
                    }
                }
            }
        }

        #[test]
        fn what_goes_on_as_a_call_is_read_in_one_way(
            name in "[a-z]{1,3}", fields in prop::collection::vec(("[ab]", "[0-9]{1,20}"), 0..4), twice in any::<bool>(),
        ) {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
            let arguments = format!("{{{}}}", fields.join(","));
            let again = if twice { format!(",\"arguments\":{arguments}") } else { String::new() };
            let message = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{again}}}}}"#
            );
            let passed = matches!(screen(message.as_bytes()), Cow::Borrowed(_));
            let mut keys: Vec<&str> = fields.iter().filter_map(|field| field.get(..3)).collect();
            let all = keys.len();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(passed, !twice && keys.len() == all);
        }
    }
}
