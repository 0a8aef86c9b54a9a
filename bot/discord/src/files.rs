//! What people attach to what they write: text goes along in full where it fits, all else by its name and its address. How much of
//! it, is limited; what is left out is said.

use std::time::Duration;

use qd_text::say;
use serenity::all::Attachment;

use crate::Discord;

/// Files of one message that go along.
const FILES: usize = 4;
/// Largest text that is read, in bytes.
const LARGEST: u32 = 64 << 10;
/// All that an agent is told at once, in characters: a passage of the uplink.
const PASSAGE: usize = 4000;
/// Longest wait for one file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where Discord keeps attachments. <https://docs.discord.com/developers/reference#cdn-formatting>
const HOSTS: [&str; 2] = ["https://cdn.discordapp.com/", "https://media.discordapp.net/"];
/// Names of texts of which Discord does not say that they are.
const TEXTS: [&str; 12] =
    ["txt", "log", "md", "json", "toml", "yaml", "yml", "diff", "patch", "rs", "csv", "xml"];

/// What goes along.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Along {
    /// For the agent, below what was written.
    pub(crate) text: String,
    /// For whoever wrote it: what became of which file.
    pub(crate) said: Vec<String>,
}

impl Discord {
    /// What people attached. `room` is how much of the passage what they wrote takes, in characters.
    pub(crate) async fn along(&self, files: &[Attachment], written: usize) -> Along {
        let mut along = Along::default();
        for (index, file) in files.iter().enumerate() {
            if index == FILES {
                along.said.push(say!("discord-files-too-many", more = files.len() - FILES, may = FILES));
                break;
            }
            let name = &file.filename;
            let room = PASSAGE.saturating_sub(written + along.text.chars().count() + name.len() + 40);
            match self.text_of(file).await.filter(|text| text.chars().count() <= room) {
                Some(text) => {
                    along
                        .text
                        .push_str(&format!("\n\n{}\n{text}", say!("discord-file-attached", name = name)));
                    along.said.push(say!("discord-file-whole", name = name));
                }
                None if file.url.chars().count() + 60 <= room => {
                    let kind = file.content_type.clone().unwrap_or_else(|| say!("discord-file"));
                    let size = file.size.div_ceil(1024);
                    let link =
                        say!("discord-file-link", name = name, kind = kind, size = size, url = file.url);
                    along.text.push_str(&format!("\n\n{link}"));
                    along.said.push(say!("discord-file-linked", name = name));
                }
                None => along.said.push(say!("discord-file-no-room", name = name)),
            }
        }
        along
    }

    /// The text of a file, if it is one and small.
    async fn text_of(&self, file: &Attachment) -> Option<String> {
        let ours = self.inner.config.address.as_ref().is_some_and(|address| file.url.starts_with(address));
        let known = ours || HOSTS.iter().any(|host| file.url.starts_with(host));
        if !known || !is_text(file) || file.size > LARGEST {
            return None;
        }
        let bytes = tokio::time::timeout(PATIENCE, file.download()).await.ok()?.ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(text.trim_end().to_owned())
    }
}

fn is_text(file: &Attachment) -> bool {
    let kind = file.content_type.as_deref().unwrap_or_default();
    let ending = file.filename.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    kind.starts_with("text/")
        || kind.starts_with("application/json")
        || (kind.is_empty() && ending.is_some_and(|ending| TEXTS.contains(&ending.as_str())))
}
