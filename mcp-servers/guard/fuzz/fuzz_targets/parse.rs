//! Any bytes as the arguments of a tool: what gets past the parser is what was sent.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use qd_guard::{Server, ToolError};

#[path = "../small.rs"]
mod small;

static SERVER: LazyLock<Result<Server, ToolError>> = LazyLock::new(small::server);

fuzz_target!(|text: &[u8]| {
    match &*SERVER {
        Ok(server) => small::holds(server, text),
        Err(error) => panic!("{error}"),
    }
});
