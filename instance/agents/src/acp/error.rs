//! What can go wrong between us and an agent that speaks the protocol.

use std::{path::PathBuf, time::Duration};

use crate::process::{Ended, Seconds};

/// Why a session or a turn failed. An agent's own words are quoted.
#[derive(Debug, thiserror::Error)]
pub enum AcpError {
    /// The connection could not be set up.
    #[error("the connection could not be set up")]
    NoConnection,
    /// It does not answer.
    #[error("it did not answer {method} within {}; is it an ACP agent, and does it start without questions?", Seconds(*.limit))]
    Silent {
        /// The method.
        method: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// It answers with an error.
    #[error("it answered {method} with an error: {message:?} ({code}){}", hint(*.code))]
    Refused {
        /// The method.
        method: &'static str,
        /// Its words, at most 500 characters.
        message: String,
        /// The code, as in JSON-RPC.
        code: i32,
    },
    /// It ended before it answered.
    #[error("it {ended} before it answered {method}{}", said(.words))]
    Died {
        /// The method.
        method: &'static str,
        /// How it ended.
        ended: Ended,
        /// The last of what it wrote on its standard error.
        words: String,
    },
    /// Its turn ended for a reason that nobody knows.
    #[error("its turn ended with the stop reason {0:?}, which is unknown")]
    StopReason(String),
    /// It refused to go on.
    #[error("it refused to go on{}", said(.0))]
    Refusal(String),
    /// It was asked for something that it does not offer.
    #[error("it has no {what} {wanted:?}; it offers {}", offers(.offered))]
    NotOffered {
        /// "model" or "mode".
        what: &'static str,
        /// What was wanted.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// Its configuration needs the model.
    #[error("it is told where its model is together with the model, and no model is chosen: choose one")]
    NeedsModel,
    /// A value for this placeholder can't be written into its configuration.
    #[error("the value for {0} holds a character that would break its configuration")]
    OddValue(&'static str),
    /// A file of its configuration could not be written.
    #[error("its configuration {path} could not be written")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// What people can do about an error with this code.
fn hint(code: i32) -> &'static str {
    match code {
        -32000 => "; it wants a login or a key: see its entry in agents.toml",
        -32601 => "; it does not know the method",
        _ => "",
    }
}

fn said(words: &str) -> String {
    if words.trim().is_empty() { String::new() } else { format!("; it said {:?}", words.trim()) }
}

fn offers(offered: &[String]) -> String {
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}
