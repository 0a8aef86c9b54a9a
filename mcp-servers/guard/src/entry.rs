//! Tools of any type, behind one face: what the pipeline calls. Arguments are values here; each tool reads its own type from
//! them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_engine::{KnownTool, Resource};
use qd_types::{Tier, Tool as Definition};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Approved, Call, Caller, Change, Fault, Look, Mutation, Permit, Plan, Spec,
    offers::{Address, Face, Messages, Page},
    schema::{self, Arguments},
};

/// Why a tool can't be part of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tool {tool} can't be served: {problem}")]
pub struct ToolError {
    /// Its full name.
    pub tool: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the pipeline needs of a tool.
#[async_trait]
pub(crate) trait Body: Send + Sync {
    fn resource(&self, caller: &Caller, input: Option<&Value>) -> Result<Option<Resource>, Fault>;
    fn within(&self, caller: &Caller, input: &Value) -> Result<(), Fault>;
    async fn plan(&self, call: &Call, input: &Value) -> Result<Plan, Fault>;
    async fn run(&self, call: &Call, input: Value, permit: Permit) -> Result<Value, Fault>;
    async fn probe(&self, approval: &str, input: &Value) -> Probe;

    /// Whether it is served at this moment.
    fn is_served(&self) -> bool {
        true
    }
}

/// A tool of a server.
pub(crate) struct Entry {
    pub(crate) server: String,
    pub(crate) spec: Spec,
    pub(crate) input: Arguments,
    pub(crate) output: Map<String, Value>,
    /// As what it is offered.
    pub(crate) face: Face,
    /// SHA-256 of everything that it says of itself.
    pub(crate) definition: String,
    pub(crate) body: Box<dyn Body>,
}

impl Entry {
    pub(crate) fn look<T: Look>(server: &str, tool: T) -> Result<Self, ToolError> {
        let spec = tool.spec();
        let wrong = (spec.tier != Tier::Read).then_some("it only reads, and its tier is not read");
        Self::new::<T::Input, T::Output>(server, spec, wrong, Box::new(Looks(tool)))
    }

    pub(crate) fn change<T: Change>(server: &str, tool: T) -> Result<Self, ToolError> {
        let spec = tool.spec();
        let wrong = (spec.tier != Tier::Operate)
            .then_some("its tier is not operate: what people have to decide on takes their grant");
        Self::new::<T::Input, T::Output>(server, spec, wrong, Box::new(Mutates(Changes(tool))))
    }

    pub(crate) fn approved<T: Approved>(server: &str, tool: T) -> Result<Self, ToolError> {
        let spec = tool.spec();
        let wrong = matches!(spec.tier, Tier::Read | Tier::Operate)
            .then_some("it takes a grant of people, and its tier is none that they have to decide on");
        Self::new::<T::Input, T::Output>(server, spec, wrong, Box::new(Mutates(Carries(tool))))
    }

    /// A tool that only reads, offered at an address. Its arguments are the address's variables.
    pub(crate) fn resource<T: Look<Output = Page>>(
        server: &str,
        address: &str,
        tool: T,
    ) -> Result<Self, ToolError> {
        let mut entry = Self::look(server, tool)?;
        let address = Address::new(address).and_then(|address| {
            let named: BTreeSet<&str> = address.variables().collect();
            let taken: BTreeSet<&str> = entry.input.names().collect();
            if named != taken {
                return Err(format!(
                    "its address {} has other variables than it has arguments",
                    address.template
                ));
            }
            Ok(address)
        });
        let address = address.map_err(|problem| ToolError { tool: entry.full_name(), problem })?;
        entry.face = Face::Resource(address);
        Ok(entry)
    }

    /// A tool that only reads, offered as a prompt.
    pub(crate) fn prompt<T: Look<Output = Messages>>(server: &str, tool: T) -> Result<Self, ToolError> {
        let mut entry = Self::look(server, tool)?;
        entry.face = Face::Prompt;
        Ok(entry)
    }

    fn new<I, O>(
        server: &str,
        spec: Spec,
        wrong: Option<&'static str>,
        body: Box<dyn Body>,
    ) -> Result<Self, ToolError>
    where
        I: schemars::JsonSchema,
        O: schemars::JsonSchema,
    {
        let named = |problem: String| ToolError { tool: format!("{server}.{}", spec.name), problem };
        if let Some(problem) =
            wrong.or_else(|| spec.hints.contradicted_by(spec.tier)).or_else(|| misnamed(&spec))
        {
            return Err(named(problem.to_owned()));
        }
        let input = Arguments::of::<I>(spec.tier != Tier::Read).map_err(named)?;
        let output = schema::result::<O>().map_err(named)?;
        Self::of(server, spec, input, output, body)
    }

    /// A tool of which name, tier and hints were looked at.
    pub(crate) fn of(
        server: &str,
        spec: Spec,
        input: Arguments,
        result: Map<String, Value>,
        body: Box<dyn Body>,
    ) -> Result<Self, ToolError> {
        let named = |problem: String| ToolError { tool: format!("{server}.{}", spec.name), problem };
        let output = if spec.tier != Tier::Read { schema::outcome(result) } else { schema::reading(result) };
        let definition = json!({
            "server": server, "name": spec.name, "title": spec.title, "description": spec.description,
            "tier": spec.tier, "action": spec.action, "verb": spec.verb,
            "hints": [spec.hints.read_only, spec.hints.destructive, spec.hints.idempotent, spec.hints.open_world],
            "input": input.schema, "output": output,
        });
        let bytes = serde_json_canonicalizer::to_vec(&definition)
            .map_err(|error| named(format!("it has no canonical form: {error}")))?;
        let definition = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { server: server.to_owned(), spec, input, output, face: Face::Tool, definition, body })
    }

    pub(crate) fn changes(&self) -> bool {
        self.spec.tier != Tier::Read
    }

    /// `docker.list`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.server, self.spec.name)
    }

    pub(crate) fn known(&self) -> KnownTool {
        KnownTool { server: self.server.clone(), name: self.spec.name.to_string(), tier: self.spec.tier }
    }

    /// As an approval binds it.
    pub(crate) fn binding(&self) -> Definition {
        Definition { name: self.full_name(), definition: self.definition.clone() }
    }

    /// What policy is asked about.
    pub(crate) fn subject(&self, caller: &Caller, input: Option<&Value>) -> Result<Resource, Fault> {
        let own = || Resource::Tool { server: self.server.clone(), name: self.spec.name.to_string() };
        Ok(self.body.resource(caller, input)?.unwrap_or_else(own))
    }
}

fn misnamed(spec: &Spec) -> Option<&'static str> {
    let letters = |text: &str, more: &[u8]| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
    };
    if !letters(&spec.name, b"_") {
        return Some("its name is not one of small letters, digits and _");
    }
    if !letters(&spec.action, b"._") {
        return Some("its action is not one of small letters, digits, _ and dots");
    }
    spec.description.trim().is_empty().then_some("it does not say what it does")
}

fn read<T: DeserializeOwned>(input: &Value) -> Result<T, Fault> {
    T::deserialize(input).map_err(|error| {
        Fault::failed(
            format!("The arguments don't fit: {error}."),
            "Look at the tool's schema, and call it anew.",
        )
    })
}

fn written<T: Serialize>(output: &T) -> Result<Value, Fault> {
    // The effect has happened: that its result has no JSON does not undo it.
    serde_json::to_value(output).map_err(|error| {
        Fault::unsure(
            format!("The result can't be told: {error}."),
            "Look at what it was done to; this is a bug of the tool.",
        )
    })
}

struct Looks<T>(T);

#[async_trait]
impl<T: Look> Body for Looks<T> {
    fn resource(&self, caller: &Caller, input: Option<&Value>) -> Result<Option<Resource>, Fault> {
        let input: Option<T::Input> = input.map(read).transpose()?;
        Ok(self.0.resource(caller, input.as_ref()))
    }

    fn within(&self, caller: &Caller, input: &Value) -> Result<(), Fault> {
        self.0.within(caller, &read(input)?)
    }

    /// Nothing would change, so nothing can change meanwhile.
    async fn plan(&self, _call: &Call, _input: &Value) -> Result<Plan, Fault> {
        let name = self.0.spec().name.into_owned();
        Ok(Plan { steps: vec![format!("Read with {name}.")], target: name, fingerprint: "read".to_owned() })
    }

    async fn run(&self, call: &Call, input: Value, _permit: Permit) -> Result<Value, Fault> {
        written(&self.0.look(call, read(&input)?).await?)
    }

    async fn probe(&self, _approval: &str, _input: &Value) -> Probe {
        Probe::DidNot
    }
}

/// A tool that changes something, with the one step in which they differ: what it does with its permit.
#[async_trait]
trait Effect: Send + Sync {
    type Tool: Mutation;

    fn tool(&self) -> &Self::Tool;

    async fn run(
        &self,
        call: &Call,
        input: <Self::Tool as Mutation>::Input,
        permit: Permit,
    ) -> Result<<Self::Tool as Mutation>::Output, Fault>;
}

struct Changes<T>(T);

#[async_trait]
impl<T: Change> Effect for Changes<T> {
    type Tool = T;

    fn tool(&self) -> &T {
        &self.0
    }

    async fn run(&self, call: &Call, input: T::Input, permit: Permit) -> Result<T::Output, Fault> {
        self.0.change(call, input, permit).await
    }
}

struct Carries<T>(T);

#[async_trait]
impl<T: Approved> Effect for Carries<T> {
    type Tool = T;

    fn tool(&self) -> &T {
        &self.0
    }

    async fn run(&self, call: &Call, input: T::Input, permit: Permit) -> Result<T::Output, Fault> {
        let Permit::Grant(grant) = permit else {
            return Err(Fault::failed(
                "The policies allow this without asking anybody, and a tool of this tier is never called so.",
                "Have the policies ask people for it.",
            ));
        };
        self.0.carry_out(call, input, grant).await
    }
}

struct Mutates<E>(E);

#[async_trait]
impl<E: Effect> Body for Mutates<E> {
    fn resource(&self, caller: &Caller, input: Option<&Value>) -> Result<Option<Resource>, Fault> {
        let input = input.map(read).transpose()?;
        Ok(self.0.tool().resource(caller, input.as_ref()))
    }

    fn within(&self, caller: &Caller, input: &Value) -> Result<(), Fault> {
        self.0.tool().within(caller, &read(input)?)
    }

    async fn plan(&self, call: &Call, input: &Value) -> Result<Plan, Fault> {
        self.0.tool().plan(call, &read(input)?).await
    }

    async fn run(&self, call: &Call, input: Value, permit: Permit) -> Result<Value, Fault> {
        written(&self.0.run(call, read(&input)?, permit).await?)
    }

    async fn probe(&self, approval: &str, input: &Value) -> Probe {
        match read(input) {
            Ok(input) => self.0.tool().probe(approval, &input).await,
            Err(fault) => Probe::CantTell(fault.problem),
        }
    }
}
