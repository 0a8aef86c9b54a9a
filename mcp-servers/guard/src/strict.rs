//! Strict JSON: what two readers could read in two ways is refused. A field that stands twice, a number that does not fit,
//! nesting without end. Nothing here knows what the values mean.

use std::{collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Largest arguments of a call, in bytes of JSON (`approvals.md`: what is larger can't be bound).
pub const MAX_ARGUMENTS: usize = 64 * 1024;

/// Deepest nesting. Arguments of tools are flat; serde_json itself gives up at 128.
const MAX_DEPTH: usize = 32;

/// Largest whole number that every reader of JSON keeps apart from its neighbours: they may read it as a double.
const EXACT: u64 = (1 << 53) - 1;

/// Reads a value. The error is a sentence without a full stop, and names the place.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|error| said(&error))?;
    reader.end().map_err(|error| said(&error))?;
    Ok(value)
}

/// As [`parse`], and it has to be an object of at most [`MAX_ARGUMENTS`] bytes.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_ARGUMENTS {
        return Err(too_large(text.len()));
    }
    match parse(text)? {
        Value::Object(fields) => Ok(fields),
        _ => Err("the arguments are not a JSON object".to_owned()),
    }
}

/// What is said of arguments that are too large.
pub fn too_large(size: usize) -> String {
    format!("the arguments take {size} bytes, and at most {MAX_ARGUMENTS} are taken")
}

/// Whether a number means the same to every reader.
pub fn is_exact(number: &Number) -> bool {
    number.as_f64().is_some_and(|float| float.is_finite() && float.abs() <= EXACT as f64)
        && number.as_u64().is_none_or(|whole| whole <= EXACT)
        && number.as_i64().is_none_or(|whole| whole.unsigned_abs() <= EXACT)
}

fn said(error: &serde_json::Error) -> String {
    error.to_string()
}

/// A value that is read strictly.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("it is nested more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        number(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        number(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map_or_else(|| Err(E::custom("it holds a number that is none")), number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut fields, mut seen) = (Map::new(), BTreeSet::new());
        while let Some(key) = entries.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the field {key:?} stands twice")));
            }
            let value = entries.next_value_seed(self.deeper()?)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

fn number<E: serde::de::Error>(number: Number) -> Result<Value, E> {
    if is_exact(&number) {
        Ok(Value::Number(number))
    } else {
        Err(E::custom(format!("the number {number} can't be kept exactly: give it as text")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        insta::assert_snapshot!(refused(r#"{"a":1,"b":{"c":1,"\u0063":2}}"#), @r#"the field "c" stands twice at line 1 column 26"#);
        insta::assert_snapshot!(refused("[9007199254740993]"), @"the number 9007199254740993 can't be kept exactly: give it as text at line 1 column 17");
        insta::assert_snapshot!(refused("123456789012345678901234567890"), @"the number 1.2345678901234568e+29 can't be kept exactly: give it as text at line 1 column 30");
        insta::assert_snapshot!(refused("[1e400]"), @"number out of range at line 1 column 6");
        insta::assert_snapshot!(refused("[NaN]"), @"expected value at line 1 column 2");
        insta::assert_snapshot!(refused("{} {}"), @"trailing characters at line 1 column 4");
        insta::assert_snapshot!(refused(&"[".repeat(40)), @"it is nested more than 32 deep at line 1 column 33");
        insta::assert_snapshot!(object(&[b'x'; MAX_ARGUMENTS + 1]).unwrap_err(), @"the arguments take 65537 bytes, and at most 65536 are taken");
        insta::assert_snapshot!(object(b"[]").unwrap_err(), @"the arguments are not a JSON object");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (-1.0e9..1.0e9_f64).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_unambiguous_is_read_as_it_is(value in any_value()) {
            let text = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(parse(&text).unwrap(), value);
        }

        #[test]
        fn a_field_that_stands_twice_is_found_wherever_it_is(
            depth in 0..20_usize, key in "[a-z]{1,4}", at in 0..3_usize, one in any_value(), other in any_value(),
        ) {
            let mut fields = vec![format!("{:?}:1", format!("{key}0")), format!("{key:?}:{one}")];
            fields.insert(at.min(2), format!("{key:?}:{other}"));
            let text = format!("{}{{{}}}{}", "[".repeat(depth), fields.join(","), "]".repeat(depth));
            prop_assert!(parse(text.as_bytes()).unwrap_err().contains("stands twice"));
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(value) = parse(&text) {
                let again = serde_json::to_vec(&value).unwrap();
                prop_assert_eq!(parse(&again).unwrap(), value);
            }
        }
    }
}
