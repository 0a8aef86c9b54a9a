//! The committed schema is the code.

use qd_config::schema;

#[test]
fn the_committed_schema_is_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/quarterdeck.schema.json");
    let code = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &code).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == code,
        "UPDATE_SCHEMA=1 cargo test -p qd-config writes it"
    );
}

#[test]
fn every_key_says_what_it_is() {
    fn walk(name: &str, value: &serde_json::Value, bare: &mut Vec<String>) {
        for (key, place) in value["properties"].as_object().into_iter().flatten() {
            if place["description"].as_str().is_none_or(str::is_empty) {
                bare.push(format!("{name}.{key}"));
            }
        }
    }
    let (schema, mut bare) = (schema(), Vec::new());
    walk("", &schema, &mut bare);
    schema["$defs"].as_object().unwrap().iter().for_each(|(name, value)| walk(name, value, &mut bare));
    assert!(bare.is_empty(), "{bare:?}");
}
