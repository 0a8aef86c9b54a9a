//! The message file.

pub(crate) use qd_text::say;
