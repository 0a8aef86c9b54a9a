//! A small tool, and what holds of whatever is sent to it as arguments: for the fuzz target, and for the ordinary tests.

use async_trait::async_trait;
use qd_guard::{
    Call, Caller, Change, DRY_RUN, Fault, Mutation, Permit, Plan, Server, Spec, ToolError, Who, strict,
};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Its arguments.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    name: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    place: Option<Place>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    row: u8,
}

/// Its result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Made {
    name: String,
}

struct Small;

#[async_trait]
impl Mutation for Small {
    type Input = Wanted;
    type Output = Made;

    fn spec(&self) -> Spec {
        Spec::new("small", Tier::Operate, "thing.make").described("Make a thing", "Makes a thing.")
    }

    async fn plan(&self, _: &Call, input: &Wanted) -> Result<Plan, Fault> {
        let steps = vec![format!("Make {}.", input.name)];
        Ok(Plan { target: input.name.clone(), fingerprint: String::new(), steps })
    }
}

#[async_trait]
impl Change for Small {
    async fn change(&self, _: &Call, input: Wanted, _: Permit) -> Result<Made, Fault> {
        Ok(Made { name: input.name })
    }
}

/// A server of that tool.
pub(crate) fn server() -> Result<Server, ToolError> {
    Server::new("things", "Things.").change(Small)
}

/// Asserts that what gets past the parser means to the tool what it meant to whoever looked at it: nothing is added, nothing
/// but the guard's own argument is taken away, nothing is read as something else.
pub(crate) fn holds(server: &Server, text: &[u8]) {
    let Ok(arguments) = strict::object(text) else { return };
    let team = "alpha".parse().ok();
    let Some(team) = team else { return };
    let caller = Caller::new(Who::Service { team, name: "ci".to_owned(), on_behalf: Vec::new() });
    match server.takes(&caller, "small", arguments.clone()) {
        Ok((input, dry_run)) => {
            let mut own = arguments;
            assert_eq!(own.remove(DRY_RUN) == Some(Value::Bool(true)), dry_run);
            assert_eq!(input, Value::Object(own.clone()));
            let read: Map<String, Value> = Wanted::deserialize(&input)
                .and_then(serde_json::to_value)
                .and_then(serde_json::from_value)
                .unwrap_or_default();
            for (field, value) in &own {
                assert_eq!(read.get(field), Some(value), "{field}");
            }
            assert_eq!(server.takes(&caller, "small", own), Ok((input, false)));
        }
        Err(refusal) => {
            assert!(!refusal.problem.chars().any(char::is_control), "{refusal:?}");
            assert!(refusal.problem.chars().count() <= 700 && !refusal.unsure, "{refusal:?}");
        }
    }
}
