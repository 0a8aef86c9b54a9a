//! Any bytes as a client's message: whatever the screen lets through means one thing to every reader.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use qd_guard::{screen::screen, strict};

fuzz_target!(|message: &[u8]| {
    match screen(message) {
        // Its own substitute is a good message.
        Cow::Owned(other) => assert!(strict::parse(&other).is_ok()),
        // As it came: it is either no JSON at all, or JSON that two readers read in the same way.
        Cow::Borrowed(same) => {
            assert_eq!(same, message);
            if let Ok(value) = strict::parse(message) {
                let again = serde_json::to_vec(&value).unwrap_or_default();
                assert_eq!(strict::parse(&again), Ok(value));
            }
        }
    }
});
