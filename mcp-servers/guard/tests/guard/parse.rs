//! What the fuzz target of the parser holds, for so many arguments that are close to those of a tool.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::small;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..70_000_i64).prop_map(Value::from),
        (-3.0..3.0_f64).prop_map(Value::from),
        Just(json!(80.0)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            ("row|Row|column", inner).prop_map(|(name, value)| json!({ name: value })),
        ]
    })
}

/// Arguments as text: with names that are, that nearly are, and that are not; now and then twice.
fn any_arguments() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => Just("name"), 2 => Just("port"), 2 => Just("tags"), 2 => Just("place"), 2 => Just("dry_run"),
        1 => Just("n\u{430}me"), 1 => Just("Name"), 1 => Just("extra"),
    ];
    prop::collection::vec((name, any_value()), 0..5).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_gets_past_the_parser_is_what_was_sent(text in any_arguments()) {
        small::holds(&small::server().unwrap(), text.as_bytes());
    }

    #[test]
    fn any_bytes_are_taken_or_refused(text in prop::collection::vec(any::<u8>(), 0..256)) {
        small::holds(&small::server().unwrap(), &text);
    }
}

#[test]
fn the_property_meets_arguments_that_are_taken() {
    let server = small::server().unwrap();
    let taken = json!({"name": "a", "port": 80, "tags": ["b"], "place": {"row": 1}, "dry_run": true});
    small::holds(&server, taken.to_string().as_bytes());
    let caller = crate::world::service();
    let (input, dry_run) = server.takes(&caller, "small", taken.as_object().cloned().unwrap()).unwrap();
    assert_eq!((&input["port"], input.get("dry_run"), dry_run), (&json!(80), None, true));
    // What two readers could take for two things.
    let float = json!({"name": "a", "port": 80.0}).as_object().cloned().unwrap();
    assert!(server.takes(&caller, "small", float).is_err());
}
