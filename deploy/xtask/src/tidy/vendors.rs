//! Vendor crates that belong behind a port, and who may import them. A crate that is not listed here may be imported
//! by everybody; one that is listed has its one place, so that it can be replaced there.

use super::{Violation, tree::Tree};
use crate::workspace::Package;

/// A vendor crate's place.
struct Vendor {
    name: &'static str,
    /// Folders of the crates that may import it. One that ends with `/` stands for every crate in it.
    crates: &'static [&'static str],
    /// Whether only tests may.
    tests_only: bool,
}

const VENDORS: &[Vendor] = &[
    // SQL text stands beside the rows that it reads; how a database is opened and written is instance/sqlite's alone
    // (see clippy.toml).
    only(
        "rusqlite",
        &[
            "instance/sqlite",
            "instance/store",
            "instance/gateway",
            "policies/approvals",
            "policies/audit",
            "policies/people",
            "bot/hub",
            "bot/console",
            "bot/forge-local",
            "mcp-servers/guard",
            "deploy/bench",
            "deploy/soak",
        ],
    ),
    only("async-nats", &["instance/nats"]),
    only("nkeys", &["instance/nats"]),
    only("git2", &["instance/git"]),
    only("gix-hash", &["instance/git"]),
    only("gix-object", &["instance/git"]),
    only("gix-odb", &["instance/git"]),
    only("gix-pack", &["instance/git"]),
    only("serenity", &["bot/discord"]),
    only("fluent-bundle", &["bot/text"]),
    only("resvg", &["bot/pictures"]),
    only("skrifa", &["bot/pictures"]),
    only("poise", &["bot/discord"]),
    only("octocrab", &["bot/github"]),
    only("bollard", &["instance/sandbox", "mcp-servers/docker"]),
    only("agent-client-protocol", &["instance/agents"]),
    // The fake Discord checks requests against the service's own description.
    only("jsonschema", &["policies/approvals", "mcp-servers/guard", "bot/testkit", "deploy/quarterdeck"]),
    only("unicode-security", &["policies/approvals"]),
    only("cedar-policy", &["policies/engine"]),
    only("rmcp", &["mcp-servers/", "deploy/bench"]),
    only("hyper-rustls", &["instance/gateway"]),
    // In tests of bot/discord: the library's limiter is on for one name alone, which leads to the fake there, over TLS.
    only(
        "rustls",
        &["instance/gateway", "instance/uplink", "mcp-servers/proxmox", "mcp-servers/guard", "bot/discord"],
    ),
    only("reqwest", &["instance/uplink", "mcp-servers/proxmox", "mcp-servers/guard", "bot/discord"]),
    only("hpke", &["instance/wire"]),
    only("zstd", &["instance/uplink", "bot/hub", "deploy/bench"]),
    only("jsonwebtoken", &["mcp-servers/guard"]),
    only("argon2", &["policies/people"]),
    only("indicatif", &["deploy/quarterdeck"]),
    only("config", &["deploy/config"]),
    only("aide", &["instance/team"]),
    Vendor { name: "fantoccini", crates: &["deploy/quarterdeck"], tests_only: true },
];

const fn only(name: &'static str, crates: &'static [&'static str]) -> Vendor {
    Vendor { name, crates, tests_only: false }
}

/// Every declared dependency on a listed vendor crate.
pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        for dependency in &package.dependencies {
            let Some(vendor) = VENDORS.iter().find(|vendor| vendor.name == dependency.name) else { continue };
            if vendor.allows(&package.folder, dependency.dev) {
                continue;
            }
            let tests = if vendor.tests_only { "the tests of " } else { "" };
            let text = format!(
                "{} may only be imported by {tests}{}; go through that crate's port, or list the new place in \
                 deploy/xtask/src/tidy/vendors.rs and say why",
                vendor.name,
                vendor.crates.join(", ")
            );
            violations.push(Violation::new(&manifest, tree.line_of(&manifest, &dependency.name), text));
        }
    }
    violations
}

impl Vendor {
    fn allows(&self, folder: &str, dev: bool) -> bool {
        let is_its_place =
            |place: &&'static str| *place == folder || (place.ends_with('/') && folder.starts_with(*place));
        (dev || !self.tests_only) && self.crates.iter().any(is_its_place)
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::{
        tidy::tree::Tree,
        workspace::{Dependency, Package},
    };

    fn found(folder: &str, vendor: &str, dev: bool) -> Vec<String> {
        let package = Package {
            name: "qd-it".to_owned(),
            folder: folder.to_owned(),
            dependencies: vec![Dependency { name: vendor.to_owned(), folder: None, dev }],
            features: vec![],
            tests: vec![],
        };
        check(&[package], &Tree::from([])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_vendor_crate_outside_its_place_is_found() {
        assert_eq!(
            found("bot/hub", "octocrab", false),
            [
                "bot/hub/Cargo.toml:1: octocrab may only be imported by bot/github; go through that crate's port, or list \
              the new place in deploy/xtask/src/tidy/vendors.rs and say why"
            ]
        );
        assert_eq!(found("instance/team", "bollard", true).len(), 1);
        assert_eq!(found("bot/core", "rmcp", false).len(), 1);
        assert!(found("mcp-servers/guard", "rmcp", false).is_empty());
        assert!(found("instance/git", "git2", false).is_empty());
        assert!(found("bot/hub", "serde", false).is_empty());
    }

    #[test]
    fn what_only_tests_may_import_stays_out_of_the_binary() {
        assert!(found("deploy/quarterdeck", "fantoccini", true).is_empty());
        assert_eq!(found("deploy/quarterdeck", "fantoccini", false).len(), 1);
    }
}
