//! What people read in a repository: its texts, from a commit, without a check-out.

use std::{collections::BTreeSet, path::Path};

use qd_types::CommitId;

use crate::{GitError, Repo};

/// A text of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// From the root.
    pub path: String,
    /// The id of its content.
    pub blob: String,
    /// Its content; none if its id was known.
    pub text: Option<String>,
}

/// Texts of one commit.
const MOST: usize = 2_000;
/// Bytes of one text.
const LARGEST: usize = 256 * 1024;
/// Bytes of all new texts together.
const ALL: usize = 32 * 1024 * 1024;

fn is_text(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| matches!(extension, "md" | "txt" | "adoc" | "rst"))
        || path.rsplit('/').next() == Some("README")
}

impl Repo {
    /// The Markdown, text, AsciiDoc and reStructuredText files of a commit, by path. Those whose content is `known` come
    /// without it.
    pub async fn texts(&self, commit: &CommitId, known: BTreeSet<String>) -> Result<Vec<Text>, GitError> {
        let commit = commit.clone();
        self.read("reading a repository's documents", move |repo| {
            let tree = repo.find_commit(git2::Oid::from_str(commit.as_str())?)?.tree()?;
            let mut found = Vec::new();
            tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
                let name = entry.name().unwrap_or_default();
                let path = format!("{folder}{name}");
                if entry.kind() == Some(git2::ObjectType::Blob) && is_text(&path) && found.len() < MOST {
                    found.push((path, entry.id()));
                }
                git2::TreeWalkResult::Ok
            })?;
            let (mut texts, mut bytes) = (Vec::new(), 0);
            for (path, id) in found {
                let blob = id.to_string();
                if known.contains(&blob) {
                    texts.push(Text { path, blob, text: None });
                    continue;
                }
                let content = repo.find_blob(id)?;
                bytes += content.size();
                if content.is_binary() || content.size() > LARGEST || bytes > ALL {
                    continue;
                }
                let text = Some(String::from_utf8_lossy(content.content()).into_owned());
                texts.push(Text { path, blob, text });
            }
            texts.sort_by(|one, other| one.path.cmp(&other.path));
            Ok(texts)
        })
        .await
    }
}
