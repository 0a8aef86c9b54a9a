//! A third-party tool as one of the guard's: its pinned description is what clients see, and what people approve.

use std::sync::Arc;

use async_trait::async_trait;
use qd_approvals::{Probe, inert};
use qd_engine::Resource;
use qd_types::Tier;
use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};

use super::{Described, aside::Aside, pins, upstream::Upstream};
use crate::{
    Call, Caller, Fault, Hints, Permit, Plan, Spec, ToolError,
    entry::{Body, Entry},
    schema::Arguments,
};

/// Longest text of a server's error that is passed on, in characters.
const TEXT: usize = 2_000;

pub(super) struct Proxied {
    upstream: Arc<Upstream>,
    tool: Described,
    target: Option<String>,
    aside: Arc<Aside>,
    reads: bool,
}

impl Proxied {
    pub(super) fn new(
        upstream: Arc<Upstream>,
        tool: Described,
        target: Option<String>,
        aside: Arc<Aside>,
    ) -> Self {
        Self { upstream, tool, target, aside, reads: false }
    }

    pub(super) fn entry(
        mut self,
        server: &str,
        tier: Tier,
        per_minute: Option<u32>,
    ) -> Result<Entry, ToolError> {
        self.reads = tier == Tier::Read;
        let tool = &self.tool;
        let named = |problem: String| ToolError { tool: format!("{server}.{}", tool.name), problem };
        let title = tool.title.clone().unwrap_or_else(|| tool.name.clone());
        let said = tool.annotations;
        let hints = Hints {
            idempotent: tier == Tier::Read || said.idempotent == Some(true),
            // What is somebody else's reaches wherever they like.
            open_world: said.open_world != Some(false),
            destructive: tier == Tier::Destroy || (tier != Tier::Read && said.destructive != Some(false)),
            ..Hints::of(tier)
        };
        let mut spec = Spec::new(tool.name.clone(), tier, format!("{server}.{}", tool.name))
            .described(
                title,
                format!("From the server {server}, which is not Quarterdeck's: {}", tool.description),
            )
            .hinted(hints);
        spec.per_minute = per_minute;
        let input = Arguments::new(tool.input.clone(), tier != Tier::Read).map_err(named)?;
        Entry::of(server, spec, input, result(), Box::new(self))
    }

    /// Refuses to go on if it is not the tool that was trusted.
    async fn is_as_pinned(&self) -> Result<(), Fault> {
        let now = self
            .upstream
            .tools()
            .await
            .map_err(|error| Fault::failed(format!("{error}."), "Nothing was done. Try again later."))?;
        let mut alike = now.iter().filter(|tool| tool.name == self.tool.name);
        let difference = match (alike.next(), alike.next()) {
            (Some(tool), None) if *tool == self.tool => return Ok(()),
            (Some(tool), None) => pins::difference(&self.tool, tool),
            (None, _) => "It is not there any more.".to_owned(),
            (Some(_), Some(_)) => "There are several of that name.".to_owned(),
        };
        self.aside.put(&self.tool.name, difference);
        Err(Fault::failed(
            format!(
                "The server {} describes this tool otherwise than when it was trusted.",
                self.upstream.name()
            ),
            "Nothing was done. A person has to look at what changed, and trust it anew.",
        ))
    }
}

/// What a third-party tool answers with.
fn result() -> Map<String, Value> {
    let schema = json!({
        "type": "object",
        "properties": {
            "content": { "type": "array", "items": { "type": "object" } },
            "structured": {}
        },
        "required": ["content"]
    });
    match schema {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[async_trait]
impl Body for Proxied {
    fn resource(&self, _caller: &Caller, _input: Option<&Value>) -> Result<Option<Resource>, Fault> {
        Ok(None)
    }

    fn within(&self, _caller: &Caller, _input: &Value) -> Result<(), Fault> {
        Ok(())
    }

    /// The state of what it acts on is not known here; that the tool is the one that was trusted is.
    async fn plan(&self, _call: &Call, input: &Value) -> Result<Plan, Fault> {
        self.is_as_pinned().await?;
        let named = self.target.as_ref().and_then(|name| input.get(name));
        let target = match named {
            Some(Value::String(text)) => format!("{} of {}", text, self.upstream.name()),
            Some(other) => format!("{other} of {}", self.upstream.name()),
            None => format!("{} of {}", self.tool.name, self.upstream.name()),
        };
        let fingerprint = self.tool.hash().unwrap_or_default();
        let steps = vec![format!("Call {} of {} with {input}.", self.tool.name, self.upstream.name())];
        Ok(Plan { target, fingerprint, steps })
    }

    async fn run(&self, call: &Call, input: Value, permit: Permit) -> Result<Value, Fault> {
        let Value::Object(arguments) = input else {
            return Err(Fault::failed("The arguments are no object.", "Look at the tool's schema."));
        };
        // Held until the far side has answered: it pays for this call.
        let answered = self.upstream.call(call, &self.tool.name, arguments).await;
        drop(permit);
        match answered {
            Ok(result) if result.is_error == Some(true) => Err(Fault::failed(
                format!("The server {} answered with an error: {}", self.upstream.name(), texts(&result)),
                "",
            )),
            Ok(result) => {
                let content = serde_json::to_value(&result.content).unwrap_or_default();
                Ok(json!({ "content": content, "structured": result.structured_content }))
            }
            Err(error) if self.reads => Err(Fault::failed(format!("{error}."), "Call it again.")),
            Err(error) => Err(Fault::unsure(
                format!("{error}."),
                "Look at what it was done to before anything is tried again.",
            )),
        }
    }

    async fn probe(&self, _approval: &str, _input: &Value) -> Probe {
        Probe::CantTell("What a server of somebody else did can't be looked up.".to_owned())
    }

    fn is_served(&self) -> bool {
        !self.aside.has(&self.tool.name)
    }
}

/// What it said, on one line, cut.
fn texts(result: &CallToolResult) -> String {
    let texts: Vec<&str> =
        result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    inert::plain(&texts.join(" "), TEXT)
}
