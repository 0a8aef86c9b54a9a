//! Any text as a comment: what is read as a command stands in it, and all of it quoted says nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qd_github::webhook::commands;

fuzz_target!(|body: &str| {
    let body = body.replace('\r', "\n");
    for command in commands(&body, "ship-it") {
        assert!(command.lines().all(|line| body.contains(line.trim())));
    }
    let quoted: String = body.lines().map(|line| format!("> {line}\n")).collect();
    assert!(commands(&quoted, "ship-it").is_empty());
});
