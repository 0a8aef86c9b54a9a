//! The README's table of the tools that users come from: complete, and every tool that it names here is one.

use std::{collections::BTreeSet, sync::Arc};

use qd_mcp_proxmox::{Cluster, Config, NoHub};

/// Texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn all_of_the_peers_tools_are_somewhere() {
    let unset = Config::from_env(|_| None).unwrap_err();
    let server = qd_mcp_proxmox::server("proxmox", Cluster::not_configured(unset), Arc::new(NoHub)).unwrap();
    server.verify().unwrap();
    let known: BTreeSet<String> = server.known_tools().into_iter().map(|tool| tool.name).collect();
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("| there (`proxmox_…`) | here |\n| --- | --- |\n").unwrap();
    let (mut there, mut without) = (BTreeSet::new(), 0);
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        for tool in quoted(cells[0]) {
            assert!(there.insert(tool), "{tool} stands there twice");
        }
        if cells[1].trim().starts_with("none: ") {
            without += quoted(cells[0]).len();
            continue;
        }
        let here: Vec<&str> = quoted(cells[1]);
        assert!(!here.is_empty() && here.iter().all(|tool| known.contains(*tool)), "{row}");
    }
    assert_eq!((there.len(), without), (67, 2));
    // Every tool has a row in the table of tools.
    let (_, table) = readme.split_once("| tool | tier | what it does |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<String> =
        rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap_or_default())).map(str::to_owned).collect();
    let missing: Vec<&String> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
