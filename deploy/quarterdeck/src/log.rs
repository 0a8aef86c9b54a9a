//! The log: a sentence and its fields, on standard error or in a file. Never logged: prompts, transcripts, tokens,
//! request bodies.

use std::{fs::File, path::Path, sync::Mutex};

use qd_config::LogFormat;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts the log on standard error. An unreadable filter is `info`.
pub fn start(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if started.is_err() {
        crate::say::problem("the log was started twice");
    }
}

/// Starts the log in a file.
pub fn start_in(path: &Path) -> std::io::Result<()> {
    let file = File::create(path)?;
    let builder =
        fmt().with_env_filter(EnvFilter::new("info")).with_ansi(false).with_writer(Mutex::new(file));
    if builder.try_init().is_err() {
        crate::say::problem("the log was started twice");
    }
    Ok(())
}
