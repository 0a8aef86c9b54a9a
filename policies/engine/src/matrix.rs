//! Every role × action × resource, evaluated on a cast of its own: one person of each role, one of none, an agent and its
//! team. It is the bundle's golden file, and what two bundles are compared by.

use std::fmt::Write;

use qd_types::{InstanceName, Person, PersonId, RepositoryName, Role, Ruling, Target, Tier, Verb};

use crate::{
    bundle::Bundle,
    facts::{Facts, Known, KnownPerson, KnownTool},
    policies::{FAILED, evaluate},
    request::{Branch, Principal, Request, Resource},
};

/// All of it.
#[derive(Debug)]
pub struct Matrix {
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// One action on one thing.
#[derive(Debug, Clone)]
pub struct Row {
    /// The action.
    pub verb: Verb,
    /// The thing, in words: "a protected branch".
    pub thing: &'static str,
    /// What is said to each column.
    pub cells: Vec<Cell>,
}

/// What one principal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Yes, ask, or no.
    pub ruling: Ruling,
    /// By which policy.
    pub policy: String,
}

/// Whom it is evaluated on.
struct Cast {
    facts: Facts,
    /// Column and principal.
    principals: Vec<(String, Principal)>,
    own: InstanceName,
    other: InstanceName,
    repository: RepositoryName,
}

const SERVER: &str = "server";

/// Tools that the policies know by name: what agents do by themselves, as the instance names it, and what they tell people.
const NAMED: [(&str, &str, &str); 3] = [
    ("its own worktree", "agent", "edit"),
    ("outside its worktree", "agent", "edit_elsewhere"),
    ("a report to people", "board", "report_progress"),
];

impl Cast {
    fn new() -> Result<Self, qd_types::IdError> {
        let own: InstanceName = "own".parse()?;
        let other: InstanceName = "other".parse()?;
        let repository: RepositoryName = "repository".parse()?;
        let agent = "agent".to_owned();
        let mut principals = Vec::new();
        for role in Role::ALL {
            let id: PersonId = role.as_str().parse()?;
            principals.push((role.to_string(), Principal::Person(Person { id, roles: vec![role] })));
        }
        let none = Person { id: "nobody".parse()?, roles: Vec::new() };
        principals.push(("no role".to_owned(), Principal::Person(none)));
        principals.push((agent.clone(), Principal::Agent { team: own.clone(), name: agent.clone() }));
        principals.push(("team".to_owned(), Principal::Team(own.clone())));
        let people = principals.iter().filter_map(|(_, principal)| match principal {
            Principal::Person(person) => Some(KnownPerson { person: person.clone(), identities: Vec::new() }),
            Principal::Agent { .. } | Principal::Team(_) => None,
        });
        let tools = Tier::ALL.into_iter().map(|tier| KnownTool {
            server: SERVER.to_owned(),
            name: tier.as_str().to_owned(),
            tier,
        });
        let named = NAMED.map(|(_, server, name)| KnownTool {
            server: server.to_owned(),
            name: name.to_owned(),
            tier: Tier::Operate,
        });
        let facts = Facts {
            solo: false,
            people: people.collect(),
            teams: vec![own.clone(), other.clone()],
            agents: vec![(own.clone(), agent)],
            repositories: vec![repository.clone()],
            tools: tools.chain(named).collect(),
            servers: Vec::new(),
            hosts: vec!["host".to_owned()],
            vms: vec![("host".to_owned(), "vm".to_owned())],
        };
        Ok(Self { facts, principals, own, other, repository })
    }

    /// The things that an action may be done to, each in words.
    fn things(&self, verb: Verb) -> Vec<(&'static str, Resource)> {
        let branch = |protected| {
            let (repository, name) = (self.repository.clone(), "branch".to_owned());
            Resource::Branch(Branch { repository, name, protected, paths: None })
        };
        let tool = |tier: Tier| Resource::Tool { server: SERVER.to_owned(), name: tier.as_str().to_owned() };
        match verb.target() {
            Target::Fleet => vec![("the fleet", Resource::Fleet)],
            Target::Team => vec![
                ("its own team", Resource::Team(self.own.clone())),
                ("another team", Resource::Team(self.other.clone())),
            ],
            Target::Repository => vec![("a repository", Resource::Repository(self.repository.clone()))],
            Target::Branch => vec![("a branch", branch(false)), ("a protected branch", branch(true))],
            Target::Tool => {
                let own = verb.class().tier().unwrap_or(Tier::Destroy);
                let other = if own == Tier::Destroy { Tier::Read } else { Tier::Destroy };
                let mut things =
                    vec![("a tool of this tier", tool(own)), ("a tool of another tier", tool(other))];
                if own == Tier::Operate {
                    things.extend(NAMED.map(|(thing, server, name)| {
                        (thing, Resource::Tool { server: server.to_owned(), name: name.to_owned() })
                    }));
                }
                things
            }
            Target::Server => vec![("a tool server", Resource::Server(SERVER.to_owned()))],
            Target::Host => vec![("a host", Resource::Host("host".to_owned()))],
            Target::Vm => vec![("a machine", Resource::Vm("vm".to_owned()))],
        }
    }
}

/// What a row says of all things of a kind, where they do not differ.
fn any(target: Target) -> &'static str {
    match target {
        Target::Fleet => "the fleet",
        Target::Team => "any team",
        Target::Repository => "any repository",
        Target::Branch => "any branch",
        Target::Tool => "any tool",
        Target::Server => "any tool server",
        Target::Host => "any host",
        Target::Vm => "any machine",
    }
}

impl Matrix {
    /// Of a bundle alone, without the configuration's rules. Empty if the cast can't be put together, which `check` reports.
    pub(crate) fn of(bundle: &Bundle) -> Self {
        let cast = Cast::new().ok();
        let known = cast.as_ref().and_then(|cast| Known::new(bundle, &cast.facts).ok());
        let (Some(cast), Some(known)) = (cast, known) else {
            return Self { columns: Vec::new(), rows: Vec::new() };
        };
        let mut rows = Vec::new();
        for verb in Verb::ALL.iter().copied() {
            for (thing, resource) in cast.things(verb) {
                let cells = cast.principals.iter().map(|(_, principal)| {
                    let request = Request::new(principal.clone(), verb, resource.clone());
                    let (ruling, policy) = evaluate_without_words(bundle, &known, &request);
                    Cell { ruling, policy }
                });
                rows.push(Row { verb, thing, cells: cells.collect() });
            }
        }
        Self { columns: cast.principals.into_iter().map(|(column, _)| column).collect(), rows }
    }

    /// The principals, in the order of each row's cells: the roles, `no role`, `agent`, `team`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// All rows, things that do not differ each on their own.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The roles that may do it or ask for it, on anything.
    pub fn roles_for(&self, verb: Verb) -> Vec<Role> {
        let may = |column: &str| {
            let index = self.columns.iter().position(|other| other == column);
            let rows = self.rows.iter().filter(|row| row.verb == verb);
            rows.filter_map(|row| row.cells.get(index?))
                .any(|cell| !matches!(cell.ruling, Ruling::Deny { .. }))
        };
        Role::ALL.into_iter().filter(|role| may(role.as_str())).collect()
    }

    /// The policies that decide somewhere.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| cell.policy.split('+'))
    }

    /// The matrix as a table; things that do not differ share a row.
    pub fn table(&self) -> String {
        let mut lines = vec![header(&self.columns)];
        for rows in self.rows.chunk_by(|one, other| one.verb == other.verb) {
            let Some(first) = rows.first() else { continue };
            if rows.iter().all(|row| says_the_same(first, row)) {
                lines.push(line(first, any(first.verb.target())));
            } else {
                lines.extend(rows.iter().map(|row| line(row, row.thing)));
            }
        }
        aligned(&lines)
    }

    /// Whose rights differ in another bundle, a line for each change; empty if nobody's.
    pub fn diff(&self, new: &Self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let after = new.rows.iter().find(|other| other.verb == row.verb && other.thing == row.thing);
            let Some(after) = after else { continue };
            // Who is told the same before and after stands in one line.
            let mut changes: Vec<(String, Vec<&str>)> = Vec::new();
            for ((column, old), new) in self.columns.iter().zip(&row.cells).zip(&after.cells) {
                let (old, new) = (words(&old.ruling), words(&new.ruling));
                if old != new {
                    let change = format!("{old} → {new}");
                    match changes.iter_mut().find(|(other, _)| *other == change) {
                        Some((_, columns)) => columns.push(column),
                        None => changes.push((change, vec![column])),
                    }
                }
            }
            for (change, columns) in changes {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{} on {}: {}: {change}", row.verb, row.thing, columns.join(", "));
            }
        }
        text
    }
}

/// A denial's sentence would ask the matrix, which is just being made; here only who decides counts.
fn evaluate_without_words(bundle: &Bundle, known: &Known, request: &Request) -> (Ruling, String) {
    let verdict = evaluate(bundle, known, request, &|| String::new());
    verdict.unwrap_or_else(|verdict| verdict)
}

fn words(ruling: &Ruling) -> String {
    match ruling {
        Ruling::Allow => "yes".to_owned(),
        Ruling::Ask(ask) => format!("ask {}", ask.describe()),
        Ruling::Deny { .. } => "no".to_owned(),
    }
}

fn says_the_same(one: &Row, other: &Row) -> bool {
    one.cells.iter().map(|cell| words(&cell.ruling)).eq(other.cells.iter().map(|cell| words(&cell.ruling)))
}

fn header(columns: &[String]) -> Vec<String> {
    let first = ["action", "on"].into_iter().map(str::to_owned);
    first.chain(columns.iter().cloned()).chain(["who is asked".to_owned()]).collect()
}

fn line(row: &Row, thing: &str) -> Vec<String> {
    let mut asks: Vec<String> = Vec::new();
    let mut cells = vec![row.verb.to_string(), thing.to_owned()];
    for cell in &row.cells {
        cells.push(match &cell.ruling {
            Ruling::Allow => "yes".to_owned(),
            Ruling::Deny { .. } if cell.policy == FAILED => "FAILED".to_owned(),
            Ruling::Deny { .. } => "-".to_owned(),
            Ruling::Ask(ask) => {
                let text = ask.describe();
                let index = asks.iter().position(|other| *other == text).unwrap_or_else(|| {
                    asks.push(text);
                    asks.len() - 1
                });
                if index == 0 { "ask".to_owned() } else { format!("ask{}", index + 1) }
            }
        });
    }
    cells.push(asks.join(" | "));
    cells
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}
