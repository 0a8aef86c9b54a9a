//! Which servers one run gets. What it does not get is said, never silently left out.

use std::{collections::BTreeMap, path::Path};

use qd_config::{BUILT_IN, Mcp, McpServer, folded, is_built_in};
use qd_engine::{Engine, Principal, Request, Resource};
use qd_guard::proxy::Pins;
use qd_mcp_board::NAME as BOARD;
use qd_types::{InstanceName, RepositoryName, Ruling, Verb};

use super::{
    declared::{Content, FILE},
    outside::Outside,
    trusted::{Standing, Trusted},
};

/// Whose run it is, and where.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// The team.
    pub team: &'a InstanceName,
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The agent, as the configuration names it.
    pub agent: &'a str,
}

/// What a run gets.
#[derive(Debug, Default)]
pub struct Choice {
    /// Servers that come with the program.
    pub built_in: Vec<String>,
    /// Servers of others, by name.
    pub outside: BTreeMap<String, Outside>,
    /// What it does not get, and why: sentences.
    pub left_out: Vec<String>,
}

impl Choice {
    /// As the configuration says.
    pub fn configured(mcp: &Mcp, of: Of<'_>) -> Self {
        let mut choice = Self::default();
        let board = McpServer::default();
        let unnamed = (!mcp.servers.contains_key(BOARD)).then_some((BOARD, &board));
        for (name, server) in mcp.servers.iter().map(|(name, server)| (name.as_str(), server)).chain(unnamed)
        {
            if !server.fits(of.team, of.repository, of.agent) {
                continue;
            }
            if is_built_in(name) {
                choice.built_in.push(name.to_owned());
            } else if let Some(outside) = Outside::configured(name, server) {
                choice.outside.insert(name.to_owned(), outside);
            }
        }
        choice.built_in.sort();
        choice
    }

    /// With what the repository names, if a person trusted exactly that. `taken` are all names of the configuration.
    pub fn declared(&mut self, mcp: &Mcp, of: Of<'_>, content: &Content, trusted: &Trusted) {
        let repository = of.repository;
        let way_out = format!("A person looks at it with: quarterdeck mcp trust {repository}.");
        match trusted.of(repository, content) {
            Standing::Trusted(_) => {}
            Standing::New => {
                return self.left_out.push(format!(
                    "Nothing of this repository's {FILE} is started: nobody trusted what it says. {way_out}"
                ));
            }
            Standing::Changed(entry) => {
                return self.left_out.push(format!(
                    "Nothing of this repository's {FILE} is started: it is not what {} trusted. {way_out}",
                    entry.person
                ));
            }
        }
        let servers = match content.servers(repository) {
            Ok(servers) => servers,
            Err(error) => return self.left_out.push(format!("Nothing of it is started: {error}.")),
        };
        let taken = |name: &str| {
            mcp.servers.keys().map(String::as_str).chain(BUILT_IN).find(|one| folded(one) == folded(name))
        };
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for server in servers {
            let no = |why: &str| {
                format!("The server {} of this repository's {FILE} is not started: {why}.", server.name)
            };
            if let Some(other) = taken(&server.here) {
                let why = format!(
                    "here it is {}, and the configuration has {other}: one of them needs another name",
                    server.here
                );
                self.left_out.push(no(&why));
                continue;
            }
            if let Some(other) = seen.insert(folded(&server.here), server.name.clone()) {
                // Both are one to a client: neither is started.
                self.outside.retain(|name, _| folded(name) != folded(&server.here));
                self.left_out
                    .push(no(&format!("{other} and it are one name to many clients: name one otherwise")));
                continue;
            }
            match server.outside {
                Ok(outside) => {
                    self.outside.insert(server.here, outside);
                }
                Err(ref why) => self.left_out.push(no(why)),
            }
        }
    }

    /// Without servers none of whose tools a person trusted: there is nothing to start them for.
    pub fn with_trusted_tools(&mut self, state: &Path) {
        let left_out = &mut self.left_out;
        self.outside.retain(|name, _| {
            let why = match Pins::read(&super::pins(state, name)) {
                Ok(pins) if pins.trusted().next().is_some() => return true,
                Ok(_) => format!(
                    "The server {name} is not started: nobody trusted any of its tools. A person looks at them with: \
                     quarterdeck mcp trust --server {name}."
                ),
                Err(error) => format!("The server {name} is not started: {error}."),
            };
            left_out.push(why);
            false
        });
    }

    /// Without what policy does not let this agent have. A server is given at once or not at all: where people would have
    /// to be asked, it is not.
    pub fn permitted(&mut self, policies: &Engine, of: Of<'_>) {
        let left_out = &mut self.left_out;
        let mut may = |name: &str| match refused(policies, of, name) {
            None => true,
            Some(why) => {
                left_out.push(format!("The server {name} is not given: {why}"));
                false
            }
        };
        self.built_in.retain(|name| may(name));
        self.outside.retain(|name, _| may(name));
    }
}

/// Why policy does not let an agent have a server, as a sentence; `None` if it does.
pub fn refused(policies: &Engine, of: Of<'_>, server: &str) -> Option<String> {
    let principal = Principal::Agent { team: of.team.clone(), name: of.agent.to_owned() };
    let request = Request::new(principal, Verb::ServerUse, Resource::Server(server.to_owned()));
    let decision = policies.decide(&request);
    match decision.ruling {
        Ruling::Allow => None,
        Ruling::Deny { reason } => Some(format!("the policy {} says no: {reason}", decision.policy)),
        Ruling::Ask(_) => Some(format!(
            "the policy {} would ask people, and a server is given at once or not.",
            decision.policy
        )),
    }
}
