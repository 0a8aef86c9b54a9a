//! Which crate may see which. The table below is the list in `docs/src/architecture.md`, crate by crate. A new line
//! here is an event: it belongs in the same commit as the reason for it.
//!
//! Crates are named by their folder, as the architecture names them. `policies/types` may be seen by everything and is
//! not listed.

use super::{Violation, tree::Tree};
use crate::workspace::Package;

/// A crate, and every other crate of the workspace that its code may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("policies/types", &[]),
    // The trail lies in the executor's own database, so that a change and its audit row are one transaction.
    ("policies/audit", &["instance/sqlite"]),
    ("policies/people", &["instance/sqlite"]),
    ("policies/engine", &[]),
    // Both executors keep approvals in their own database, and through one crate; so is each step's row of the trail.
    ("policies/approvals", &["instance/sqlite", "policies/audit"]),
    // Shared ground: what both sides stand on. Knows nothing of a board or of a bot.
    ("instance/wire", &[]),
    ("instance/sqlite", &[]),
    ("instance/git", &[]),
    ("instance/failpoint", &[]),
    ("instance/look", &[]),
    // The instance.
    ("instance/board", &[]),
    // The instance is the executor of what its team does itself: those approvals and their trail lie beside the board.
    (
        "instance/store",
        &["instance/wire", "instance/board", "instance/sqlite", "policies/approvals", "policies/audit"],
    ),
    ("instance/worktrees", &["instance/git"]),
    ("instance/confine", &[]),
    // Landlock is one of its adapters.
    ("instance/dockerd", &[]),
    // Its tests start an engine of their own.
    ("instance/sandbox", &["instance/confine", "instance/dockerd"]),
    ("instance/agents", &["instance/sandbox"]),
    // The meter's record of every call is a database of its own.
    ("instance/gateway", &["instance/sqlite"]),
    ("instance/api", &["instance/board"]),
    (
        "instance/team",
        &[
            "instance/failpoint",
            "instance/wire",
            "instance/board",
            "instance/store",
            "instance/worktrees",
            "instance/agents",
            "instance/confine",
            "instance/gateway",
            "instance/sandbox",
            "instance/api",
            "policies/engine",
            // What people vote on a team's own surfaces is signed with the instance's key.
            "policies/approvals",
        ],
    ),
    // The way to a bot elsewhere: keys are those that sign votes.
    // Both ends of a transport: it carries bytes, and knows neither side.
    ("instance/nats", &["instance/wire", "instance/natsd"]),
    ("instance/natsd", &[]),
    ("instance/uplink", &["instance/team", "instance/wire", "instance/nats", "policies/approvals"]),
    ("instance/web", &["instance/team", "instance/api", "instance/board", "instance/look"]),
    // The bot.
    ("bot/text", &[]),
    ("bot/command", &["bot/text"]),
    // The core speaks in the words of the approvals' store; the hub lets the store decide, in its own transactions.
    ("bot/core", &["bot/text", "bot/command", "instance/wire", "policies/engine", "policies/approvals"]),
    (
        "bot/hub",
        &[
            "bot/core",
            "instance/wire",
            "instance/sqlite",
            "instance/failpoint",
            // Its tests put rules in force.
            "policies/engine",
            "policies/approvals",
            "policies/audit",
        ],
    ),
    // It is a surface for the cards of approvals.
    // It shows the catalogue of commands as slash commands.
    (
        "bot/discord",
        &[
            "bot/core",
            "bot/command",
            "bot/text",
            "bot/pictures",
            "policies/approvals",
            // Colours are the tokens of every page.
            "instance/look",
            // Its tests live through a day of the hub's own steps, as teams report it.
            "bot/hub",
            "instance/wire",
            "instance/sqlite",
            "policies/engine",
        ],
    ),
    // What it draws is data of the core; its colours are the tokens of every page.
    ("bot/pictures", &["bot/core", "instance/look"]),
    // What a merge would bring is rebuilt from git's objects, in a clone of its own.
    ("bot/github", &["bot/core", "instance/git"]),
    // It is a surface for the cards of approvals.
    ("bot/console", &["bot/core", "bot/text", "instance/look", "instance/sqlite", "policies/approvals"]),
    ("bot/forge-local", &["bot/core", "instance/git", "instance/sqlite"]),
    ("bot/web", &["bot/core", "instance/look"]),
    ("bot/testkit", &["bot/core"]),
    // Tool servers.
    // The guard is an executor: it keeps approvals and the trail in a database of its own.
    (
        "mcp-servers/guard",
        &["policies/engine", "policies/approvals", "policies/audit", "instance/sqlite", "instance/agents"],
    ),
    ("mcp-servers/board", &["mcp-servers/guard", "instance/api"]),
    ("mcp-servers/github", &["mcp-servers/guard", "policies/approvals", "bot/github"]),
    // What it asks the policies about is a tool in a channel.
    ("mcp-servers/discord", &["mcp-servers/guard", "policies/approvals", "policies/engine", "bot/discord"]),
    // After a crash a tool says whether it happened, in the words of the approvals.
    // Its tests start an engine of their own.
    ("mcp-servers/docker", &["mcp-servers/guard", "policies/approvals", "instance/dockerd"]),
    ("mcp-servers/proxmox", &["mcp-servers/guard", "policies/approvals"]),
    // The composition root sees all and is not listed; see `COMPOSITION_ROOT`.
    // The rules by which work is assigned are data of the board, written down in the configuration.
    ("deploy/config", &["instance/board"]),
    // Worktrees are measured against git itself, and a decision of the policies takes microseconds: their ports are
    // called and not the binary.
    (
        "deploy/bench",
        &[
            "instance/agents",
            "instance/api",
            "instance/board",
            "instance/gateway",
            "instance/git",
            "instance/sandbox",
            "instance/worktrees",
            "policies/audit",
            "policies/engine",
            "policies/approvals",
            "instance/sqlite",
            // A day of a fleet goes through the hub's transactions on a simulated clock.
            "instance/wire",
            "bot/core",
            "bot/hub",
            // A thousand instances speak over a real NATS server, too.
            "instance/nats",
            "instance/natsd",
            // The bot is measured beside the fakes.
            "bot/testkit",
            // What the guard adds is measured beside the same server without it, which nobody but the measure has.
            "mcp-servers/guard",
            // A large cluster is simulated behind its transport.
            "mcp-servers/proxmox",
        ],
    ),
    // The simulation is on both sides of the wire: it has the transactions of the teams and of the bot in one process.
    (
        "deploy/soak",
        &[
            "bot/core",
            "bot/hub",
            "instance/board",
            "instance/sqlite",
            "instance/store",
            "instance/wire",
            "policies/approvals",
            "policies/engine",
            // Its tests hold both transports to one contract, from a team's relay to the bot's hub.
            "instance/nats",
            "instance/natsd",
            "instance/team",
            "instance/uplink",
        ],
    ),
    ("deploy/xtask", &[]),
];

/// The one crate that sees all. Nothing may see it.
const COMPOSITION_ROOT: &str = "deploy/quarterdeck";

/// What everything may see.
const WORDS: &str = "policies/types";

/// What tests may see besides the table: the fakes and contract tests of the ports.
const TESTKIT: &str = "bot/testkit";

/// Instance crates that are shared ground. The bot sees no other.
const SHARED_GROUND: [&str; 5] =
    ["instance/wire", "instance/sqlite", "instance/git", "instance/look", "instance/failpoint"];

const WAY_OUT: &str = "if it must be, list it in deploy/xtask/src/tidy/edges.rs and docs/src/architecture.md; \
                       a new edge is an event: say why in the commit";

/// Every dependency between two members, against the table.
pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let (from, manifest) = (&*package.folder, format!("{}/Cargo.toml", package.folder));
        if from != COMPOSITION_ROOT && row(from).is_none() {
            let text = format!("the crate {from} has no row in the table of edges; {WAY_OUT}");
            violations.push(Violation::new(&manifest, 1, text));
            continue;
        }
        for dependency in &package.dependencies {
            let Some(to) = dependency.folder.as_deref().filter(|to| *to != from) else { continue };
            let allowed = if dependency.dev { tests_may_see(from, to) } else { may_see(from, to) };
            if !allowed {
                let kind = if dependency.dev { "the tests of " } else { "" };
                let text = format!("{kind}{from} may not see {to}; {WAY_OUT}");
                violations.push(Violation::new(&manifest, tree.line_of(&manifest, &dependency.name), text));
            }
        }
    }
    violations
}

fn row(from: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(folder, _)| *folder == from).map(|(_, edges)| *edges)
}

fn may_see(from: &str, to: &str) -> bool {
    match (from, to) {
        (_, COMPOSITION_ROOT) => false,
        (COMPOSITION_ROOT, _) | (_, WORDS) => true,
        _ => row(from).is_some_and(|edges| edges.contains(&to)),
    }
}

/// Tests are freer, but they do not look over the wall between bot and instance either.
fn tests_may_see(from: &str, to: &str) -> bool {
    may_see(from, to)
        || (to != COMPOSITION_ROOT
            && !is_over_the_wall(from, to)
            && (to == TESTKIT || part(from) == part(to)))
}

fn is_over_the_wall(from: &str, to: &str) -> bool {
    match (part(from), part(to)) {
        ("bot", "instance") => !SHARED_GROUND.contains(&to),
        ("instance", "bot") => true,
        _ => false,
    }
}

fn part(folder: &str) -> &str {
    folder.split('/').next().unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, check, is_over_the_wall};
    use crate::{
        tidy::tree::Tree,
        workspace::{Dependency, Package},
    };

    fn found(from: &str, to: &str, dev: bool) -> Vec<String> {
        let dependency = Dependency { name: "qd-x".to_owned(), folder: Some(to.to_owned()), dev };
        let package = Package {
            name: "qd-it".to_owned(),
            folder: from.to_owned(),
            dependencies: vec![dependency],
            features: vec![],
            tests: vec![],
        };
        let tree = Tree::from([]);
        check(&[package], &tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_that_is_not_listed_is_found_with_its_line() {
        let package = Package {
            name: "qd-core".to_owned(),
            folder: "bot/core".to_owned(),
            dependencies: vec![Dependency {
                name: "qd-board".to_owned(),
                folder: Some("instance/board".to_owned()),
                dev: false,
            }],
            features: vec![],
            tests: vec![],
        };
        let tree =
            Tree::from([("bot/core/Cargo.toml", "[package]\n\n[dependencies]\nqd-board.workspace = true\n")]);
        let found = check(&[package], &tree);
        assert_eq!(
            found[0].to_string(),
            "bot/core/Cargo.toml:4: bot/core may not see instance/board; if it must be, list it in \
             deploy/xtask/src/tidy/edges.rs and docs/src/architecture.md; a new edge is an event: say why in the commit"
        );
    }

    #[test]
    fn edges_run_one_way() {
        let forbidden = [
            ("instance/board", "instance/store"),
            ("instance/store", "instance/team"),
            ("instance/team", "instance/web"),
            ("instance/team", "bot/core"),
            ("bot/hub", "instance/board"),
            ("bot/core", "bot/hub"),
            ("bot/web", "deploy/quarterdeck"),
            ("policies/types", "instance/wire"),
        ];
        for (from, to) in forbidden {
            assert_eq!(found(from, to, false).len(), 1, "{from} -> {to}");
        }
        let listed = [
            ("instance/team", "instance/store"),
            ("deploy/quarterdeck", "bot/hub"),
            ("deploy/xtask", "policies/types"),
        ];
        for (from, to) in listed {
            assert_eq!(found(from, to, false), Vec::<String>::new(), "{from} -> {to}");
        }
    }

    #[test]
    fn tests_may_use_the_testkit_but_not_look_over_the_wall() {
        assert!(found("bot/forge-local", "bot/testkit", true).is_empty());
        assert_eq!(found("bot/forge-local", "bot/testkit", false).len(), 1);
        assert_eq!(found("instance/team", "bot/testkit", true).len(), 1);
        assert_eq!(found("bot/hub", "instance/store", true).len(), 1);
        assert!(found("instance/web", "instance/store", true).is_empty());
        assert_eq!(found("instance/web", "deploy/quarterdeck", true).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert!(found("bot/new", "policies/types", false)[0].contains("has no row"));
    }

    #[test]
    fn the_table_itself_keeps_bot_and_instance_apart() {
        let edges = ALLOWED.iter().flat_map(|(from, edges)| edges.iter().map(move |to| (*from, *to)));
        let over: Vec<_> = edges.filter(|(from, to)| is_over_the_wall(from, to)).collect();
        assert_eq!(over, []);
    }
}
