//! Any bytes as a delivery: its first line is the event, the rest is the payload that was signed. It is read without harm.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qd_github::webhook::understand;

fuzz_target!(|delivery: &[u8]| {
    let end = delivery.iter().position(|byte| *byte == b'\n').unwrap_or(delivery.len());
    let (kind, body) = delivery.split_at(end);
    understand(&String::from_utf8_lossy(kind), body);
});
