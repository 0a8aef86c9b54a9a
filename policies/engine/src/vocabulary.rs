//! The words of the policies, as Cedar takes them: the schema, and the ids of actions, people and things.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema, SchemaFragment};
use qd_types::{Role, Verb};

/// The schema, as it stands in `policies/cedar`.
pub(crate) const SCHEMA: &str = include_str!("../../cedar/schema.cedarschema");

/// The same in Cedar's own JSON, which every start reads: it takes less than half the time.
const PREPARED: &str = include_str!("../../cedar/schema.json");

/// Schema and names, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    actions: HashMap<Verb, EntityUid>,
    action_groups: Entities,
    types: Types,
}

#[derive(Debug, Clone)]
struct Types {
    role: EntityTypeName,
    person: EntityTypeName,
    agent: EntityTypeName,
    team: EntityTypeName,
    fleet: EntityTypeName,
    repository: EntityTypeName,
    tool: EntityTypeName,
    server: EntityTypeName,
    host: EntityTypeName,
    vm: EntityTypeName,
}

impl Vocabulary {
    /// The error says what is wrong with the schema.
    pub(crate) fn new() -> Result<Self, String> {
        let prepared = SchemaFragment::from_json_str(PREPARED).map_err(|error| error.to_string())?;
        let schema = Schema::from_schema_fragments([prepared]).map_err(|error| error.to_string())?;
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(|error| error.to_string());
        let action = name("Action")?;
        let actions = Verb::ALL.iter().map(|verb| (*verb, uid(&action, verb.as_str()))).collect();
        let types = Types {
            role: name("Role")?,
            person: name("Person")?,
            agent: name("Agent")?,
            team: name("Team")?,
            fleet: name("Fleet")?,
            repository: name("Repository")?,
            tool: name("Tool")?,
            server: name("Server")?,
            host: name("Host")?,
            vm: name("Vm")?,
        };
        let action_groups = schema.action_entities().map_err(|error| error.to_string())?;
        Ok(Self { schema, actions, action_groups, types })
    }

    pub(crate) fn action(&self, verb: Verb) -> Option<&EntityUid> {
        self.actions.get(&verb)
    }

    /// The action itself, and every group that it is in.
    pub(crate) fn groups(&self, verb: Verb) -> Result<HashSet<EntityUid>, String> {
        let action = self.action(verb).ok_or_else(|| format!("the action {verb} is missing"))?;
        let known = self.action_groups.ancestors(action);
        let known = known.ok_or_else(|| format!("the schema has no action {verb}"))?;
        Ok(known.chain([action]).cloned().collect())
    }

    pub(crate) fn role(&self, role: Role) -> EntityUid {
        uid(&self.types.role, role.as_str())
    }

    pub(crate) fn person(&self, name: &str) -> EntityUid {
        uid(&self.types.person, name)
    }

    pub(crate) fn agent(&self, team: &str, name: &str) -> EntityUid {
        // A team's name holds no slash, so the first one is the border.
        uid(&self.types.agent, &format!("{team}/{name}"))
    }

    pub(crate) fn team(&self, name: &str) -> EntityUid {
        uid(&self.types.team, name)
    }

    pub(crate) fn fleet(&self) -> EntityUid {
        uid(&self.types.fleet, "fleet")
    }

    pub(crate) fn repository(&self, name: &str) -> EntityUid {
        uid(&self.types.repository, name)
    }

    pub(crate) fn tool(&self, server: &str, name: &str) -> EntityUid {
        // Facts refuse a server with a slash; a tool's own name may hold anything.
        uid(&self.types.tool, &format!("{server}/{name}"))
    }

    pub(crate) fn server(&self, name: &str) -> EntityUid {
        uid(&self.types.server, name)
    }

    pub(crate) fn host(&self, name: &str) -> EntityUid {
        uid(&self.types.host, name)
    }

    pub(crate) fn vm(&self, name: &str) -> EntityUid {
        uid(&self.types.vm, name)
    }
}

/// The id is taken as it is, whatever characters it has: nothing is parsed, so nothing has to be escaped.
fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use qd_types::Target;

    #[test]
    fn what_is_read_at_a_start_is_the_schema() {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
        let prepared = format!("{}\n", fragment.to_json_value().unwrap());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../cedar/schema.json");
            std::fs::write(file, prepared).unwrap();
            return;
        }
        assert_eq!(PREPARED, prepared, "UPDATE_SCHEMA=1 cargo nextest run -p qd-engine writes it");
    }

    #[test]
    fn the_schema_has_exactly_the_products_actions() {
        let words = Vocabulary::new().unwrap();
        let groups: BTreeSet<String> = words.schema.action_groups().map(ToString::to_string).collect();
        let all = words.schema.actions().map(ToString::to_string);
        let leaves: BTreeSet<String> = all.filter(|action| !groups.contains(action)).collect();
        let verbs: BTreeSet<String> = Verb::ALL.iter().map(|verb| format!("Action::\"{verb}\"")).collect();
        assert_eq!(leaves, verbs);
    }

    #[test]
    fn every_action_is_in_its_tier_and_on_its_kind_of_thing() {
        let words = Vocabulary::new().unwrap();
        for verb in Verb::ALL.iter().copied() {
            let groups: BTreeSet<String> =
                words.groups(verb).unwrap().iter().map(ToString::to_string).collect();
            let tool = (verb.target() == Target::Tool).then(|| "Action::\"tool\"".to_owned());
            let own = [format!("Action::\"tier.{}\"", verb.class()), format!("Action::\"{verb}\"")];
            assert_eq!(groups, own.into_iter().chain(tool).collect(), "{verb}");
            let things = words.schema.resources_for_action(words.action(verb).unwrap()).unwrap();
            let things: Vec<String> = things.map(ToString::to_string).collect();
            let thing = match verb.target() {
                Target::Branch => "Repository".to_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(things, [thing], "{verb}");
        }
    }
}
