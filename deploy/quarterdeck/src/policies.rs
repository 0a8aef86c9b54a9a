//! From the configuration to what the policies decide by: the bundle, what is known, and the rules on top.

use std::path::Path;

use qd_config::{Config, Loaded};
use qd_engine::{Engine, EngineError, Facts, KnownPerson, KnownTool, Policies, Source};
use qd_types::{InstanceName, Person, PolicyRule, RepositoryName, RuleEffect, Verb};

use crate::{
    context::UserError, governed::Governed, in_force, people::Roster, servers::Others, verbs::known_tools,
};

/// What policies are in force by.
#[derive(Debug, Clone)]
pub struct PolicyPlan {
    /// Where the bundle comes from.
    pub source: Source,
    /// What is known.
    pub facts: Facts,
    /// Tool servers of others, which are looked at anew whenever people are.
    pub others: Others,
    /// The configuration's rules on top.
    pub rules: Vec<PolicyRule>,
}

impl PolicyPlan {
    /// As it is configured. Nothing of the bundle is read.
    pub fn of(loaded: &Loaded) -> Self {
        let mut plan = Self::without_servers(loaded);
        plan.facts.tools.extend(known_tools(&loaded.config.mcp));
        plan
    }

    /// The same without the tools of our own servers, for a server that knows its own: making them all takes longer than
    /// all else that it does to start.
    pub fn without_servers(loaded: &Loaded) -> Self {
        let config = &loaded.config;
        let people = config
            .people
            .iter()
            .map(|person| Person { id: person.name.clone(), roles: person.roles.clone() });
        let others = Others::of(&config.mcp, &loaded.state_dir);
        let mut plan = Self {
            source: config.policies.folder.clone().map_or(Source::Embedded, Source::Folder),
            facts: facts(
                config.fleet.solo,
                people,
                config.teams.iter().map(|team| team.name.clone()).collect(),
                config.repositories.iter().map(|repository| repository.name.clone()).collect(),
                config.agents.keys().chain(&config.mcp.services).map(String::as_str),
            ),
            rules: rules(config),
            others,
        };
        plan.others.put(&mut plan.facts);
        plan
    }

    /// The policies that come with the program, without rules on top.
    pub fn default(facts: Facts) -> Self {
        Self { source: Source::Embedded, facts, rules: Vec::new(), others: Others::default() }
    }

    /// The same, going by what is in force in place of what is configured.
    pub fn governed(&self, by: &Governed) -> Self {
        let facts = Facts { solo: by.solo, ..self.facts.clone() };
        Self { source: self.source.clone(), facts, rules: by.rules.clone(), others: self.others.clone() }
    }

    /// The same, as far as it is in force below `state`. For what goes by the policies while no fleet runs.
    pub fn kept(self, state: &Path) -> Result<Self, UserError> {
        let kept = in_force::read(state).map_err(|error| UserError::from_error(&error))?;
        let Some(before) = kept.and_then(|kept| kept.governed) else { return Ok(self) };
        let wanted =
            Governed { rules: self.rules.clone(), solo: self.facts.solo, people: before.people.clone() };
        Ok(self.governed(&before.toward(&wanted).now))
    }

    /// Whether these rules hold on top of what the source has now.
    pub fn would_hold(&self, rules: &[PolicyRule]) -> Result<(), EngineError> {
        Policies::new(self.source.load()?, &self.facts, rules)?;
        Ok(())
    }

    /// What is known, with the people there are now instead of those of the configuration.
    pub fn facts_with(&self, people: &[KnownPerson]) -> Facts {
        let mut facts = Facts { people: people.to_vec(), ..self.facts.clone() };
        self.others.put(&mut facts);
        facts
    }

    /// Puts them in force.
    pub fn engine(&self) -> Result<Engine, UserError> {
        Engine::new(self.source.clone(), &self.facts, &self.rules)
            .map_err(|error| UserError::from_error(&error))
    }

    /// The same with the people there are below `state`, those who were invited too; those of the configuration if nobody
    /// was taken in yet.
    pub async fn with_people(self, state: &Path) -> Result<Self, UserError> {
        let Some(roster) = Roster::look(state) else { return Ok(self) };
        let people = roster.active().await.map_err(|error| UserError::from_error(&error))?;
        Ok(Self { facts: self.facts_with(&people), ..self })
    }
}

/// What policies know of a fleet whose agents work for all of its teams, besides tool servers.
pub fn facts<'a>(
    solo: bool,
    people: impl Iterator<Item = Person>,
    teams: Vec<InstanceName>,
    repositories: Vec<RepositoryName>,
    agents: impl Iterator<Item = &'a str> + Clone,
) -> Facts {
    let each =
        |team: &InstanceName| agents.clone().map(|name| (team.clone(), name.to_owned())).collect::<Vec<_>>();
    Facts {
        solo,
        people: people.map(known).collect(),
        agents: teams.iter().flat_map(each).collect(),
        teams,
        repositories,
        tools: qd_team::Wish::ALL
            .map(|wish| KnownTool {
                server: qd_team::SERVER.to_owned(),
                name: wish.as_str().to_owned(),
                tier: wish.tier(),
            })
            .into(),
        ..Facts::default()
    }
}

/// A person whom no other service knows.
pub fn known(person: Person) -> KnownPerson {
    KnownPerson { identities: vec![format!("local:{}", person.id)], person }
}

/// The rules of the configuration; `fleet.merge_quorum` is one of them.
fn rules(config: &Config) -> Vec<PolicyRule> {
    let quorum = config.fleet.merge_quorum;
    let merge = (quorum > 1).then(|| PolicyRule {
        name: "fleet.merge_quorum".into(),
        actions: [Verb::Merge, Verb::PushSensitive].map(|verb| verb.as_str().to_owned()).into(),
        team: None,
        repository: None,
        branch: None,
        path: None,
        effect: RuleEffect::Ask,
        quorum: Some(quorum),
        roles: None,
        way: None,
        decide_minutes: None,
        execute_minutes: None,
        local_votes: None,
        reason: None,
        loosen: false,
    });
    merge.into_iter().chain(config.policies.rules.iter().cloned()).collect()
}
