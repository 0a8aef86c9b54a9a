//! Any third-party server behind the same pipeline. What it says of itself is not believed: a tool is served once a person has
//! trusted exactly its name, description and schemas, and no longer than it stays so.

mod described;
mod pins;
mod scan;
mod tool;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use qd_types::Tier;
use rmcp::{RoleClient, transport::IntoTransport};
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use described::{Annotated, Described};
pub use pins::{Pins, PinsError, Trust};
pub use upstream::UpstreamError;

use crate::{Server, ToolError, pipeline::OUTCOME, schema::Arguments};
use tool::Proxied;
use upstream::Upstream;

/// What the fleet says of a third-party server's tools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Tiers, by the tools' names. A tool that is not here has the one that its annotations say, and `destroy` without any.
    #[serde(default)]
    pub tiers: BTreeMap<String, Tier>,
    /// Which argument names what a tool acts on, by the tools' names. A "no" sticks to that; without it, to the tool.
    #[serde(default)]
    pub targets: BTreeMap<String, String>,
    /// Calls a minute for each caller, by the tools' names; 0 for none at all. A caller's own limit holds beside it.
    #[serde(default)]
    pub per_minute: BTreeMap<String, u32>,
}

impl Mapping {
    /// The tier of a tool. Unknown is never harmless: the protocol itself takes a tool without annotations for destructive.
    pub fn tier(&self, tool: &Described) -> Tier {
        if let Some(tier) = self.tiers.get(&tool.name) {
            return *tier;
        }
        match (tool.annotations.read_only, tool.annotations.destructive) {
            (Some(true), Some(true)) => Tier::Destroy,
            (Some(true), _) => Tier::Read,
            (_, Some(false)) => Tier::Operate,
            (_, Some(true) | None) => Tier::Destroy,
        }
    }
}

/// A tool that a third-party server has, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// As the server describes it now.
    pub tool: Described,
    /// The tier that it has.
    pub tier: Tier,
    /// Whether it is what a person trusted.
    pub trust: Trust,
    /// What a person should know before they trust it.
    pub warnings: Vec<String>,
    /// Why it is never served, as a sentence.
    pub refused: Option<String>,
}

impl Found {
    /// Whether it may be served.
    pub fn is_served(&self) -> bool {
        self.trust == Trust::Pinned && self.refused.is_none()
    }
}

/// A third-party server, connected.
pub struct Proxy {
    name: String,
    upstream: Arc<Upstream>,
    pins: Pins,
    mapping: Mapping,
    found: Vec<Found>,
    _watch: DropGuard,
    ended: CancellationToken,
}

impl Proxy {
    /// Connects and looks at its tools. `name` is the server's name in the configuration: without a dot or a slash.
    pub async fn connect<T, E, A>(
        name: &str,
        transport: T,
        pins: Pins,
        mapping: Mapping,
    ) -> Result<Self, UpstreamError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let upstream = Arc::new(Upstream::connect(name, transport).await?);
        let found = look(&upstream.tools().await?, &pins, &mapping);
        let ended = CancellationToken::new();
        let watch = ended.clone().drop_guard();
        Ok(Self { name: name.to_owned(), upstream, pins, mapping, found, _watch: watch, ended })
    }

    /// All its tools, as they stood when it was connected. For people: what is new, what changed, what looks odd.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The server of those of its tools that a person trusted, as they were trusted. A tool that changes later on is not
    /// served any more, and clients are told.
    pub fn server(&self) -> Result<Server, ToolError> {
        let mut server = Server::new(self.name.clone(), format!("Tools of {}, behind the guard.", self.name));
        let mut served = BTreeMap::new();
        for found in self.found.iter().filter(|found| found.is_served()) {
            let is_served = Arc::new(AtomicBool::new(true));
            served.insert(found.tool.name.clone(), is_served.clone());
            let target = self.mapping.targets.get(&found.tool.name).cloned();
            let proxied = Proxied::new(self.upstream.clone(), found.tool.clone(), target, is_served);
            let most = self.mapping.per_minute.get(&found.tool.name).copied();
            server = server.with(proxied.entry(&self.name, found.tier, most)?)?;
        }
        let (upstream, pins, mapping) = (self.upstream.clone(), self.pins.clone(), self.mapping.clone());
        let (told, ended) = (server.told(), self.ended.clone());
        tokio::spawn(async move {
            let following =
                follow(&upstream, &pins, &mapping, &served, || told.send_modify(|count| *count += 1));
            tokio::select! {
                () = following => {}
                () = ended.cancelled() => {}
            }
        });
        Ok(server)
    }
}

/// Looks again whenever the server says that its tools changed. What can't be looked at is not served.
async fn follow(
    upstream: &Upstream,
    pins: &Pins,
    mapping: &Mapping,
    served: &BTreeMap<String, Arc<AtomicBool>>,
    tell: impl Fn(),
) {
    loop {
        upstream.changed().await;
        let now: BTreeSet<String> = match upstream.tools().await {
            Ok(tools) => {
                let good = look(&tools, pins, mapping).into_iter().filter(Found::is_served);
                good.map(|found| found.tool.name).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the tools of a server can't be listed: none of them is served");
                BTreeSet::new()
            }
        };
        for (name, is_served) in served {
            let is = now.contains(name);
            if is_served.swap(is, Ordering::Relaxed) && !is {
                tracing::warn!(tool = name, "a tool is not what was trusted any more, and is not served");
            }
        }
        tell();
    }
}

fn look(tools: &[Described], pins: &Pins, mapping: &Mapping) -> Vec<Found> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for tool in tools {
        *names.entry(plain_name(&tool.name)).or_default() += 1;
    }
    let refused = |tool: &Described| {
        if !is_name(&tool.name) {
            return Some("Its name is not one of letters, digits, _, - and dots.".to_owned());
        }
        if plain_name(&tool.name) == plain_name(OUTCOME) {
            return Some("Its name is one that every guarded server has.".to_owned());
        }
        if let Err(problem) = Arguments::new(tool.input.clone(), mapping.tier(tool) != Tier::Read) {
            return Some(format!("It can't be guarded: {problem}."));
        }
        let alike = names.get(&plain_name(&tool.name)).copied().unwrap_or_default();
        (alike > 1)
            .then(|| format!("{alike} tools of this server have this name, or one that reads the same."))
    };
    tools
        .iter()
        .map(|tool| {
            let (tier, tool) = (mapping.tier(tool), tool.clone());
            if tool.is_too_long() {
                let refused = Some("It says more of itself than anybody could look at.".to_owned());
                return Found { tier, trust: Trust::New, warnings: Vec::new(), refused, tool };
            }
            let (trust, warnings) = (pins.trust_of(&tool), scan::warnings(&tool));
            Found { tier, trust, warnings, refused: refused(&tool), tool }
        })
        .collect()
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// A name as a hurried reader takes it.
fn plain_name(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
