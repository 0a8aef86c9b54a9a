//! A thread on the message of each feature, if the configuration wants it: there people talk to its team. The thread has the id
//! of its message. Without it nothing is lost, so that a problem is only noted.

use std::sync::PoisonError;

use qd_core::chat::Message;
use qd_text::say;
use serde_json::{Value, json};
use serenity::all::{ChannelId, MessageId};

use crate::{
    Discord, Threads,
    calls::{Problem, call},
    render,
};

/// Longest name, in characters. <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
const NAME: usize = 100;
/// Minutes without a word after which Discord puts a thread away; a word brings it back.
const QUIET: u32 = 7 * 24 * 60;

impl Discord {
    pub(crate) fn has_threads(&self) -> bool {
        self.inner.config.threads != Threads::Off
    }

    /// Hangs a thread on the message of a feature, once.
    pub(crate) async fn hang(&self, channel: u64, message: &Message, id: u64) {
        let key = message.key.0.as_str();
        if !self.has_threads() || message.key.feature().is_none() || self.registry().thread(key).is_some() {
            return;
        }
        if !self.inner.hung.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let body = json!({"name": name(&message.text), "auto_archive_duration": QUIET});
        let (to, on) = (ChannelId::new(channel), MessageId::new(id));
        match call(|| self.inner.http.create_thread_from_message(to, on, &body, None)).await {
            Ok(_) | Err(Problem::HasThread) => self.registry().hangs(key, id),
            Err(problem) => {
                if matches!(problem, Problem::Later(_)) {
                    self.inner.hung.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                }
                tracing::warn!(message = key, problem = problem.text(), "a feature has no thread");
            }
        }
    }

    /// Puts a question into the thread of its feature as well: a reply to it there answers it.
    pub(crate) async fn ask_in_thread(&self, message: &Message, body: Value) {
        let Some(about) = message.about.as_ref().filter(|about| about.asks) else { return };
        let Some(feature) = &about.feature else { return };
        let key = qd_core::chat::MessageKey::of_feature(&about.team, feature);
        let Some(thread) = self.registry().thread(&key.0) else { return };
        if let Err(problem) = self.place(thread, &message.key.0, body, &[]).await {
            if problem == Problem::NoChannel {
                self.registry().no_thread(thread);
            }
            let message = message.key.0.as_str();
            tracing::warn!(message, problem = problem.text(), "a question does not stand in its thread");
        }
    }
}

/// What a thread is called: what stands out in the first line of the feature's message.
fn name(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let title = line.split("**").nth(1).unwrap_or(line).replace(['\\', '\u{200b}'], "");
    let title = if title.trim().is_empty() { say!("discord-thread") } else { title };
    render::cut(title.trim(), NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_called_as_its_feature() {
        insta::assert_snapshot!(name("**A-142 Split the \\_importer\\_** · alpha · claude\n`▰▱` runs"), @"A-142 Split the _importer_");
        insta::assert_snapshot!(name(""), @"A feature");
        assert_eq!(name(&format!("**{}** · alpha", "ä".repeat(300))).chars().count(), NAME);
    }
}
