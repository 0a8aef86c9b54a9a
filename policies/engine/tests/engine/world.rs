//! A small fleet that the tests ask about.

use qd_engine::{
    Branch, Bundle, Facts, Files, KnownPerson, KnownTool, Policies, Principal, Request, Resource,
};
use qd_types::{Person, PolicyRule, Role, Tier, Verb};

pub(crate) fn person(name: &str, roles: &[Role]) -> Person {
    Person { id: name.parse().unwrap(), roles: roles.to_vec() }
}

pub(crate) fn known(name: &str, roles: &[Role]) -> KnownPerson {
    KnownPerson { person: person(name, roles), identities: vec![format!("local:{name}")] }
}

/// Ines and Olaf own, Mira manages, Oskar operates, Rosa reviews, Vera views.
pub(crate) fn facts() -> Facts {
    Facts {
        solo: false,
        people: vec![
            known("ines", &[Role::Owner]),
            known("olaf", &[Role::Owner]),
            known("mira", &[Role::Manager]),
            known("oskar", &[Role::Operator]),
            known("rosa", &[Role::Reviewer]),
            known("vera", &[Role::Viewer]),
        ],
        teams: vec!["alpha".parse().unwrap(), "beta".parse().unwrap()],
        agents: vec![("alpha".parse().unwrap(), "claude".to_owned())],
        repositories: vec!["sample".parse().unwrap()],
        tools: vec![
            KnownTool { server: "pve".into(), name: "vm_destroy".into(), tier: Tier::Destroy },
            KnownTool { server: "pve".into(), name: "vm_list".into(), tier: Tier::Read },
        ],
        servers: Vec::new(),
        hosts: vec!["rack".into()],
        vms: vec![("rack".into(), "vm-7".into())],
    }
}

pub(crate) fn policies(facts: &Facts, rules: &[PolicyRule]) -> Policies {
    Policies::new(Bundle::embedded().unwrap(), facts, rules).unwrap()
}

/// The default bundle's files.
pub(crate) fn files() -> Files {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../cedar/tiers");
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("tiers/{}", path.file_name().unwrap().to_str().unwrap());
        files.insert(name, std::fs::read_to_string(path).unwrap());
    }
    files
}

pub(crate) fn with(extra: &str) -> Files {
    let mut files = files();
    files.insert("extra.cedar".into(), extra.into());
    files
}

pub(crate) fn by(name: &str, roles: &[Role], verb: Verb, resource: Resource) -> Request {
    Request::new(Principal::Person(person(name, roles)), verb, resource)
}

pub(crate) fn agent(verb: Verb, resource: Resource) -> Request {
    Request::new(Principal::Agent { team: "alpha".parse().unwrap(), name: "claude".into() }, verb, resource)
}

pub(crate) fn alpha() -> Resource {
    Resource::Team("alpha".parse().unwrap())
}

pub(crate) fn branch(name: &str, protected: bool, paths: Option<&[&str]>) -> Resource {
    Resource::Branch(Branch {
        repository: "sample".parse().unwrap(),
        name: name.into(),
        protected,
        paths: paths.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect()),
    })
}

pub(crate) fn tool(name: &str) -> Resource {
    Resource::Tool { server: "pve".into(), name: name.into() }
}

/// The ruling on one line, with the policy.
pub(crate) fn said(policies: &Policies, request: &Request) -> String {
    let decision = policies.decide(request);
    let text = match decision.ruling {
        qd_types::Ruling::Allow => "allow".to_owned(),
        qd_types::Ruling::Ask(ask) => format!("ask {}", ask.describe()),
        qd_types::Ruling::Deny { reason } => format!("deny: {reason}"),
    };
    format!("{text} [{}]", decision.policy)
}
