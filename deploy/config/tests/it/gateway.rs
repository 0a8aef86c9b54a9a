//! The metering gateway's section: what is shown, and what is refused.

use crate::support::{Place, refused};

const GATEWAY: &str = r#"[gateway]
prices = "prices.toml"
[gateway.budgets]
day = { cents = 2_000 }
run = { tokens = 1_000_000 }
[gateway.providers.openai]
kind = "openai"
base_url = "https://api.openai.com"
key = { file = "openai.key" }
fallback = [{ provider = "second", model = "gpt-x" }]
[gateway.providers.second]
kind = "openai"
base_url = "http://127.0.0.1:8000"
"#;

#[test]
fn keys_are_shown_by_where_they_are() {
    let shown = Place::new(GATEWAY).shown(&["gateway"]);
    for wanted in ["gateway.budgets.day.cents = 2000", "DIR/prices.toml", "DIR/openai.key"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn a_key_in_the_file_and_a_fallback_of_another_kind_are_refused() {
    let wrong = GATEWAY
        .replace(r#"{ file = "openai.key" }"#, r#""sk-secret""#)
        .replace(r#"provider = "second""#, r#"provider = "third""#)
        .replace("http://127.0.0.1", "127.0.0.1");
    let said = refused(&wrong);
    assert!(!said.contains("sk-secret"), "{said}");
    for wanted in
        ["a key has no place in this file", "third is not a provider of the same kind", "is not an address"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn an_agent_may_not_see_the_variable_of_a_key() {
    let agent = "[agents.shell]\ncommand = [\"sh\"]\nenv = [\"OPENAI_KEY\"]\n";
    let text = GATEWAY.replace(r#"{ file = "openai.key" }"#, r#"{ env = "OPENAI_KEY" }"#);
    let said = refused(&format!("{text}{agent}"));
    assert!(
        said.contains("OPENAI_KEY holds the key of the provider openai, which no agent may see"),
        "{said}"
    );
}
