//! What policy knows of the world: people and their roles, teams, agents, repositories, tools, hosts and machines.
//! Whoever and whatever is not in here may do nothing, and nothing may be done to it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression as Value};
use qd_types::{InstanceName, Person, PersonId, RepositoryName, Role, Tier};

use crate::{
    annotations::Fleet,
    bundle::{Bundle, Scope},
    request::{Branch, Principal, Resource},
    vocabulary::Vocabulary,
};

/// A person, and the identities that are linked to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPerson {
    /// Their name, and the most that they may be: roles that a request asserts beyond these don't count.
    pub person: Person,
    /// `discord:1024`, `github:ines`, `local:ines`.
    pub identities: Vec<String>,
}

/// A tool of a tool server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTool {
    /// The server, as the configuration names it: without a slash.
    pub server: String,
    /// The tool, as the server names it.
    pub name: String,
    /// The tier that the fleet gives it.
    pub tier: Tier,
}

/// Everything that is known. A disabled person is not among the people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// One person runs the fleet, and may decide what they asked for.
    pub solo: bool,
    /// Everybody who may command or decide.
    pub people: Vec<KnownPerson>,
    /// The teams.
    pub teams: Vec<InstanceName>,
    /// Agents, each of a team.
    pub agents: Vec<(InstanceName, String)>,
    /// The repositories.
    pub repositories: Vec<RepositoryName>,
    /// The tools of all servers.
    pub tools: Vec<KnownTool>,
    /// Tool servers that runs may be given, besides those of the tools.
    pub servers: Vec<String>,
    /// The hosts.
    pub hosts: Vec<String>,
    /// Virtual machines, each with its host.
    pub vms: Vec<(String, String)>,
}

/// Why facts can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A server's name has to end somewhere.
    #[error("the tool server {0:?} has a slash in its name: name it without one")]
    Server(String),
    /// They don't fit the schema, or one name stands for two things.
    #[error("what is known of people and things does not fit the policies' schema: {0}")]
    Entities(String),
}

/// The facts as Cedar takes them.
#[derive(Debug)]
pub(crate) struct Known {
    entities: Entities,
    people: BTreeMap<PersonId, KnownPerson>,
    solo: bool,
}

impl Known {
    pub(crate) fn new(bundle: &Bundle, facts: &Facts) -> Result<Self, FactsError> {
        let words = &bundle.vocabulary;
        let wrong = |error: &dyn std::fmt::Display| FactsError::Entities(error.to_string());
        let fleet = words.fleet();
        let mut entities = vec![Entity::new_no_attrs(fleet.clone(), HashSet::new())];
        let mut add = |uid: EntityUid, attrs: Vec<(&str, Value)>, parents: Vec<EntityUid>| {
            let attrs = attrs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let entity = Entity::new(uid, attrs, parents.into_iter().collect());
            entity.map(|entity| entities.push(entity)).map_err(|error| wrong(&error))
        };
        let name = |name: &str| ("name", Value::new_string(name.to_owned()));
        for team in &facts.teams {
            add(words.team(team.as_str()), vec![name(team.as_str())], vec![fleet.clone()])?;
        }
        for (team, agent) in &facts.agents {
            add(words.agent(team.as_str(), agent), vec![name(agent)], vec![words.team(team.as_str())])?;
        }
        for repository in &facts.repositories {
            add(words.repository(repository.as_str()), vec![name(repository.as_str())], vec![fleet.clone()])?;
        }
        for tool in &facts.tools {
            if tool.server.contains('/') {
                return Err(FactsError::Server(tool.server.clone()));
            }
            let attrs = vec![
                name(&tool.name),
                ("server", Value::new_string(tool.server.clone())),
                ("tier", Value::new_string(tool.tier.as_str().to_owned())),
            ];
            add(words.tool(&tool.server, &tool.name), attrs, vec![fleet.clone()])?;
        }
        let of_tools = facts.tools.iter().map(|tool| &tool.server);
        for server in facts.servers.iter().chain(of_tools).collect::<BTreeSet<_>>() {
            add(words.server(server), vec![name(server)], vec![fleet.clone()])?;
        }
        for host in &facts.hosts {
            add(words.host(host), vec![name(host)], vec![fleet.clone()])?;
        }
        for (host, vm) in &facts.vms {
            add(words.vm(vm), vec![name(vm)], vec![words.host(host), fleet.clone()])?;
        }
        for known in &facts.people {
            entities.push(person_entity(words, known, &known.person.roles).map_err(|text| wrong(&text))?);
        }
        let entities =
            Entities::from_entities(entities, Some(&words.schema)).map_err(|error| wrong(&error))?;
        let people = facts.people.iter().map(|known| (known.person.id.clone(), known.clone())).collect();
        Ok(Self { entities, people, solo: facts.solo })
    }

    /// How many run the fleet.
    pub(crate) fn fleet(&self) -> Fleet {
        Fleet { solo: self.solo, people: self.people.len() }
    }

    /// Everybody who is known, with their identities.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = &KnownPerson> {
        self.people.values()
    }

    /// Everybody who is known.
    pub(crate) fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values().map(|known| &known.person)
    }

    pub(crate) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The roles that count: asserted, and known.
    pub(crate) fn roles_of(&self, person: &Person) -> Vec<Role> {
        let known = self.person(&person.id);
        Role::ALL
            .into_iter()
            .filter(|role| person.roles.contains(role))
            .filter(|role| known.is_some_and(|known| known.person.roles.contains(role)))
            .collect()
    }

    /// The entities as they are if only the roles that the person asserts count; `None` if that changes nothing. Of all
    /// others it has those that a policy can come to: what the request is about, what policies name, and what that is in.
    pub(crate) fn narrowed(
        &self,
        words: &Vocabulary,
        person: &Person,
        scope: &Scope,
        about: [&EntityUid; 2],
    ) -> Result<Option<Entities>, String> {
        let Some(known) = self.person(&person.id) else { return Ok(None) };
        let roles = self.roles_of(person);
        if known.person.roles.iter().all(|role| roles.contains(role)) {
            return Ok(None);
        }
        let mut reached: HashSet<&EntityUid> = HashSet::new();
        for uid in scope.named.iter().chain(about) {
            reached.insert(uid);
            reached.extend(self.entities.ancestors(uid).into_iter().flatten());
        }
        let principal = person_entity(words, known, &roles)?;
        let others = reached.into_iter().filter(|uid| **uid != principal.uid());
        let others: Vec<Entity> = others.filter_map(|uid| self.entities.get(uid).cloned()).collect();
        let all = others.into_iter().chain([principal]);
        Entities::from_entities(all, None).map(Some).map_err(|error| error.to_string())
    }

    /// The same with other roles for one person; `None` if the person is not known.
    pub(crate) fn with_roles(&self, words: &Vocabulary, person: &Person) -> Option<Self> {
        let known = KnownPerson { person: person.clone(), ..self.person(&person.id)?.clone() };
        let entity = person_entity(words, &known, &person.roles).ok()?;
        let entities = self.entities.clone().upsert_entities([entity], None).ok()?;
        let mut people = self.people.clone();
        people.insert(person.id.clone(), known);
        Some(Self { entities, people, solo: self.solo })
    }

    fn person(&self, id: &PersonId) -> Option<&KnownPerson> {
        self.people.get(id)
    }

    /// The principal's id, or a sentence that says that it is not known.
    pub(crate) fn principal(&self, words: &Vocabulary, principal: &Principal) -> Result<EntityUid, String> {
        let uid = match principal {
            Principal::Person(person) => words.person(person.id.as_str()),
            Principal::Agent { team, name } => words.agent(team.as_str(), name),
            Principal::Team(team) => words.team(team.as_str()),
        };
        self.known(uid).ok_or_else(|| format!("{principal} is not known here."))
    }

    /// The resource's id, or a sentence that says that it is not known.
    pub(crate) fn resource(&self, words: &Vocabulary, resource: &Resource) -> Result<EntityUid, String> {
        let uid = match resource {
            Resource::Fleet => words.fleet(),
            Resource::Team(name) => words.team(name.as_str()),
            Resource::Repository(name) | Resource::Branch(Branch { repository: name, .. }) => {
                words.repository(name.as_str())
            }
            Resource::Tool { server, name } | Resource::ToolIn { server, name, .. } => {
                words.tool(server, name)
            }
            Resource::Server(name) => words.server(name),
            Resource::Host(name) => words.host(name),
            Resource::Vm(name) => words.vm(name),
        };
        self.known(uid).ok_or_else(|| format!("There is no {resource} here."))
    }

    fn known(&self, uid: EntityUid) -> Option<EntityUid> {
        self.entities.get(&uid).is_some().then_some(uid)
    }
}

fn person_entity(words: &Vocabulary, known: &KnownPerson, roles: &[Role]) -> Result<Entity, String> {
    let identities = known.identities.iter().map(|identity| Value::new_string(identity.clone()));
    let attrs = [
        ("name".to_owned(), Value::new_string(known.person.id.as_str().to_owned())),
        ("identities".to_owned(), Value::new_set(identities)),
    ];
    let parents = roles.iter().map(|role| words.role(*role)).collect();
    Entity::new(words.person(known.person.id.as_str()), attrs.into_iter().collect(), parents)
        .map_err(|error| error.to_string())
}

/// What the policies see of a request besides who, what and which.
pub(crate) fn context(resource: &Resource, approved: bool) -> Result<Context, String> {
    let mut pairs = vec![("approved".to_owned(), Value::new_bool(approved))];
    if let Resource::Branch(branch) = resource {
        pairs.push(("branch".to_owned(), Value::new_string(branch.name.clone())));
        pairs.push(("protected".to_owned(), Value::new_bool(branch.protected)));
        if let Some(paths) = &branch.paths {
            let paths = paths.iter().map(|path| Value::new_string(path.clone()));
            pairs.push(("paths".to_owned(), Value::new_set(paths)));
        }
    }
    if let Resource::ToolIn { channel, .. } = resource {
        pairs.push(("channel".to_owned(), Value::new_string(channel.clone())));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}
