//! The README's attack table: each of its tests is there, under that name.

use std::{collections::BTreeMap, fs, path::Path};

const README: &str = include_str!("../../README.md");

/// All files of Rust below a folder: their texts, by the names of the modules.
fn modules(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            modules(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            found.entry(name).or_default().push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_row_of_the_attack_table_is_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeMap::new();
    for folder in ["mcp-servers", "deploy/quarterdeck"] {
        modules(&root.join(folder), &mut found);
    }
    let (_, table) = README.split_once("| attack | test |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 15, "{}", rows.len());
    for row in rows {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            let (module, test) = name.split_once("::").unwrap();
            let is_there = found.get(module).is_some_and(|text| text.contains(&format!("fn {test}(")));
            assert!(is_there, "{name} is no test: {row}");
        }
    }
}
