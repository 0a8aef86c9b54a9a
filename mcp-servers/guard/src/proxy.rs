//! Any third-party server behind the same pipeline. What it says of itself is not believed: a tool is served once a person has
//! trusted exactly its name, description and schemas, and no longer than it stays so.

mod aside;
mod described;
mod pins;
mod scan;
mod tool;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use qd_types::Tier;
use rmcp::{RoleClient, transport::IntoTransport};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use aside::{Alerts, Differences};
pub use described::{Annotated, Described};
pub use pins::{Pins, PinsError, Trust};
pub use upstream::UpstreamError;

use crate::{Server, ToolError, pipeline::OUTCOME, schema::Arguments};
use aside::Aside;
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
    aside: Arc<Aside>,
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
        let trusted: BTreeSet<String> = pins.trusted().map(|tool| tool.name.clone()).collect();
        let aside = Arc::new(Aside::new(differences(&found, &trusted)));
        let ended = CancellationToken::new();
        let watch = ended.clone().drop_guard();
        Ok(Self { name: name.to_owned(), upstream, pins, mapping, found, aside, _watch: watch, ended })
    }

    /// All its tools, as they stood when it was connected. For people: what is new, what changed, what looks odd.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Those of its tools that a person trusted and that it describes otherwise now; ticks when these are others. For
    /// [`Guard::watch`](crate::Guard::watch).
    pub fn aside(&self) -> watch::Receiver<Differences> {
        self.aside.differences()
    }

    /// The server of those of its tools that a person trusted, as they were trusted. A tool that changes later on is not
    /// served any more, and clients are told.
    pub fn server(&self) -> Result<Server, ToolError> {
        let mut server = Server::new(self.name.clone(), format!("Tools of {}, behind the guard.", self.name));
        let mut served = BTreeSet::new();
        for found in self.found.iter().filter(|found| found.is_served()) {
            served.insert(found.tool.name.clone());
            let target = self.mapping.targets.get(&found.tool.name).cloned();
            let proxied = Proxied::new(self.upstream.clone(), found.tool.clone(), target, self.aside.clone());
            let most = self.mapping.per_minute.get(&found.tool.name).copied();
            server = server.with(proxied.entry(&self.name, found.tier, most)?)?;
        }
        self.aside.tell(server.told());
        let (upstream, pins, mapping) = (self.upstream.clone(), self.pins.clone(), self.mapping.clone());
        let (aside, ended) = (self.aside.clone(), self.ended.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = follow(&upstream, &pins, &mapping, &served, &aside) => {}
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
    served: &BTreeSet<String>,
    aside: &Aside,
) {
    loop {
        upstream.changed().await;
        match upstream.tools().await {
            Ok(tools) => aside.set(differences(&look(&tools, pins, mapping), served)),
            Err(error) => {
                let gone = |name: &String| (name.clone(), format!("It can't be looked at: {error}."));
                aside.set(served.iter().map(gone).collect());
            }
        }
    }
}

/// Those of the trusted tools that are not as they were trusted, and what differs.
fn differences(found: &[Found], trusted: &BTreeSet<String>) -> Differences {
    let differs = |name: &String| {
        let mut alike = found.iter().filter(|found| found.tool.name == *name);
        let difference = match (alike.next(), alike.next()) {
            (None, _) => "It is not there any more.".to_owned(),
            (Some(_), Some(_)) => "There are several of that name.".to_owned(),
            (Some(Found { refused: Some(why), .. }), None) => why.clone(),
            (Some(Found { trust: Trust::Changed(difference), .. }), None) => difference.clone(),
            (Some(Found { trust: Trust::New, .. }), None) => "Nobody trusted it.".to_owned(),
            (Some(Found { trust: Trust::Pinned, .. }), None) => return None,
        };
        Some((name.clone(), difference))
    };
    trusted.iter().filter_map(differs).collect()
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
