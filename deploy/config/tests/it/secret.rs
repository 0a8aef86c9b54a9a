//! Secrets are had from three places, and shown from none.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use crate::support::{Place, refused};

fn with(secret: &str) -> String {
    format!("[agents.x]\ncommand = [\"x\"]\nredact = [{secret}]\n")
}

fn resolved(place: &Place) -> Result<String, String> {
    let env = BTreeMap::from([("KEY".to_owned(), "hunter2".to_owned()), ("NONE".to_owned(), String::new())]);
    let secret = &place.load().config.agents["x"].redact[0];
    let here = place.here.display().to_string();
    let value = secret.resolve(&env).map(|value| value.expose_secret().to_owned());
    value.map_err(|error| error.to_string().replace(&here, "DIR"))
}

#[test]
fn from_the_text_a_variable_or_a_file() {
    assert_eq!(resolved(&Place::new(&with("\"hunter2\""))), Ok("hunter2".to_owned()));
    assert_eq!(resolved(&Place::new(&with("{ env = \"KEY\" }"))), Ok("hunter2".to_owned()));
    let place = Place::new(&with("{ file = \"key\" }"));
    place.write("key", "hunter2\n");
    assert_eq!(resolved(&place), Ok("hunter2".to_owned()));
}

#[test]
fn what_can_not_be_had() {
    let refused = |secret: &str| resolved(&Place::new(&with(secret))).unwrap_err();
    insta::assert_snapshot!(refused("{ env = \"OTHER\" }"), @"the environment variable OTHER is not set");
    insta::assert_snapshot!(refused("{ env = \"NONE\" }"), @r#"{ env = "NONE" } is empty"#);
    insta::assert_snapshot!(refused("{ file = \"gone\" }"), @"DIR/gone can't be read: No such file or directory (os error 2)");
}

#[test]
fn a_secret_that_is_written_wrongly_is_not_repeated() {
    insta::assert_snapshot!(refused(&with("1234567, { evn = \"hunter2\" }, { env = \"A\", file = \"b\" }")), @r#"
    DIR/quarterdeck.toml:3: agents.x.redact.0: this is not a secret: give a text, { env = "NAME" } or { file = "…" }.
    DIR/quarterdeck.toml:3: agents.x.redact.1: this is not a secret: give a text, { env = "NAME" } or { file = "…" }.
    DIR/quarterdeck.toml:3: agents.x.redact.2: this is not a secret: give a text, { env = "NAME" } or { file = "…" }.
    "#);
}

#[test]
fn show_keeps_it() {
    let place = Place::new(&with("\"hunter2\", { env = \"KEY\" }")).env("KEY", "hunter3");
    insta::assert_snapshot!(place.shown(&["agents.x.redact"]), @r#"agents.x.redact = ["(secret)","{ env = \"KEY\" }"]  (DIR/quarterdeck.toml:3)"#);
}
