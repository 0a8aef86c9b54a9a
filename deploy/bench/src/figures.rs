//! Figures as a table for people and as JSON for whoever compares them.

use std::{path::Path, process::Command};

use serde_json::{Map, Value, json};

use crate::Failure;

/// What was measured.
#[derive(Default)]
pub struct Figures {
    rows: Vec<(String, f64, &'static str, usize, String)>,
}

impl Figures {
    /// A figure, with its unit, the number of samples behind it, and what to know about it.
    pub fn add(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        samples: usize,
        note: impl Into<String>,
    ) {
        let value = (value * 100.0).round() / 100.0;
        let note = note.into();
        eprintln!("{name}: {value} {unit}; {note}");
        self.rows.push((name.to_owned(), value, unit, samples, note));
    }

    /// The table.
    pub fn print(&self) {
        println!("{:<34} {:>10} {:<6} {:>8}  note", "figure", "value", "unit", "samples");
        for (name, value, unit, samples, note) in &self.rows {
            println!("{name:<34} {value:>10} {unit:<6} {samples:>8}  {note}");
        }
    }

    /// The same as JSON.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let figures: Map<String, Value> = self
            .rows
            .iter()
            .map(|(name, value, unit, samples, note)| {
                (name.clone(), json!({ "value": value, "unit": unit, "samples": samples, "note": note }))
            })
            .collect();
        let output = Command::new("git").args(["rev-parse", "HEAD"]).output()?;
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let all = json!({ "commit": commit, "machine": machine(), "figures": figures });
        Ok(std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?)
    }
}

fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.split_once(':').map(|(_, value)| value.trim().to_owned())
            })
            .unwrap_or_default()
    };
    json!({
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
