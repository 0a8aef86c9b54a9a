//! The servers that a repository names in its `.mcp.json`. Nothing of it is believed: who reads it here starts nothing.

use std::collections::BTreeMap;

use qd_approvals::inert;
use qd_git::Git;
use qd_types::{CommitId, RepositoryName};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use std::path::Path;

use super::outside::{Outside, Way};

/// The file.
pub const FILE: &str = ".mcp.json";

/// Longest file, in bytes. Nobody reads more before they trust it.
const LONGEST: usize = 64 * 1024;

/// Most servers in one.
const MOST: usize = 32;

/// What a file says, as of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of them, as lower-case hex.
    pub hash: String,
}

impl Content {
    /// Of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, hash }
    }

    /// The file of a repository at a commit, without what lies in a check-out; `None` if there is none.
    pub async fn at(folder: &Path, commit: &CommitId) -> Result<Option<Self>, String> {
        let failed = |error: qd_git::GitError| format!("{FILE} can't be read: {error}");
        let repository = Git::new().open(folder).await.map_err(failed)?;
        let Some(found) = repository.commit(commit).await.map_err(failed)? else {
            return Err(format!("{FILE} can't be read: there is no commit {}", commit.short()));
        };
        let bytes = repository.blob_at(&found.tree, FILE).await.map_err(failed)?;
        Ok(bytes.map(Self::new))
    }

    /// The same on a branch, with the branch's commit.
    pub async fn on(folder: &Path, branch: &str) -> Result<Option<(CommitId, Self)>, String> {
        let failed = |error: qd_git::GitError| format!("{FILE} can't be read: {error}");
        let repository = Git::new().open(folder).await.map_err(failed)?;
        let commit = repository.resolve(&format!("refs/heads/{branch}")).await.map_err(failed)?;
        let Some(commit) = commit else { return Err(format!("there is no branch {branch}")) };
        Ok(Self::at(folder, &commit).await?.map(|content| (commit, content)))
    }

    /// The servers that it names, under the names that they have here. The error is a sentence without its stop.
    pub fn servers(&self, repository: &RepositoryName) -> Result<Vec<Declared>, String> {
        if self.bytes.len() > LONGEST {
            return Err(format!("{FILE} has {} bytes, and at most {LONGEST} are taken", self.bytes.len()));
        }
        let file: File = serde_json::from_slice(&self.bytes).map_err(|error| {
            format!("{FILE} is not well formed: {}", inert::plain(&error.to_string(), 200))
        })?;
        if file.servers.len() > MOST {
            return Err(format!("{FILE} names {} servers, and at most {MOST} are taken", file.servers.len()));
        }
        Ok(file.servers.into_iter().map(|(name, how)| Declared::new(repository, name, how)).collect())
    }
}

/// A server that a repository names.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// What the repository calls it.
    pub name: String,
    /// What it is called here: the repository's name comes first.
    pub here: String,
    /// How it is started, or a sentence, without its stop, that says why it is not.
    pub outside: Result<Outside, String>,
}

/// The part of the file that counts.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "mcpServers", default)]
    servers: BTreeMap<String, How>,
}

#[derive(Deserialize)]
struct How {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    url: Option<String>,
    headers: Option<Value>,
}

impl Declared {
    fn new(repository: &RepositoryName, name: String, how: How) -> Self {
        let here = format!("{repository}-{name}");
        let outside = match qd_config::no_name(&here) {
            Some(problem) => Err(problem),
            None => way(how).map(|way| Outside::new(here.clone(), way)),
        };
        Self { name, here, outside }
    }
}

/// A program that lies in the repository would change without the file: it is not started. Nor is anything filled in.
fn way(how: How) -> Result<Way, String> {
    let filled = |text: &str| text.contains("${");
    match (how.command, how.url) {
        (Some(command), None) => {
            let texts = how.args.iter().chain(how.env.values()).chain([&command]);
            if let Some(text) = texts.into_iter().find(|text| filled(text)) {
                return Err(format!(
                    "{:?} would have to be filled in, and nothing is",
                    inert::plain(text, 80)
                ));
            }
            let relative = |text: &str| text.starts_with("./") || text.starts_with("../");
            let inside = if command.contains('/') && !command.starts_with('/') {
                Some(&command)
            } else {
                how.args.iter().find(|arg| relative(arg))
            };
            if let Some(inside) = inside {
                return Err(format!(
                    "{:?} lies in the repository, where it changes without {FILE}: name a program that is installed",
                    inert::plain(inside, 80)
                ));
            }
            Ok(Way::Program { command, args: how.args, env: how.env })
        }
        (None, Some(_)) if how.headers.is_some() => {
            Err("it has headers, and no credentials are taken from a repository".to_owned())
        }
        (None, Some(url)) if filled(&url) => {
            Err("its url would have to be filled in, and nothing is".to_owned())
        }
        (None, Some(url)) => Ok(Way::Url(url)),
        _ => Err("it has no command and no url, or both".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        let content = Content::new(text.as_bytes().to_vec());
        let servers = content.servers(&"site".parse().unwrap());
        let said = |server: Declared| match server.outside {
            Ok(outside) => format!("{}: {}", server.here, outside.way),
            Err(problem) => format!("{}: no: {problem}", server.here),
        };
        servers.map_or_else(|error| vec![error], |servers| servers.into_iter().map(said).collect())
    }

    #[test]
    fn what_lies_in_the_repository_or_has_to_be_filled_in_is_not_started() {
        let text = r#"{"mcpServers": {
            "a": {"command": "npx", "args": ["-y", "files"], "env": {"A": "1"}},
            "b": {"command": "./tools/server"},
            "c": {"command": "sh", "args": ["../server.sh"]},
            "d": {"command": "npx", "env": {"KEY": "${KEY}"}},
            "e": {"type": "http", "url": "https://tools.example.org/mcp"},
            "f": {"url": "https://tools.example.org", "headers": {"Authorization": "x"}},
            "g": {},
            "h__i": {"command": "npx"}
        }}"#;
        insta::assert_snapshot!(servers(text).join("\n"), @r#"
        site-a: npx -y files A=1
        site-b: no: "./tools/server" lies in the repository, where it changes without .mcp.json: name a program that is installed
        site-c: no: "../server.sh" lies in the repository, where it changes without .mcp.json: name a program that is installed
        site-d: no: "${KEY}" would have to be filled in, and nothing is
        site-e: https://tools.example.org/mcp
        site-f: no: it has headers, and no credentials are taken from a repository
        site-g: no: it has no command and no url, or both
        site-h__i: no: site-h__i has two _ side by side, which clients put between a server and its tool
        "#);
        insta::assert_snapshot!(servers("{").join("\n"), @".mcp.json is not well formed: EOF while parsing an object at line 1 column 1");
    }

    #[test]
    fn another_content_has_another_hash() {
        assert_eq!(Content::new(b"{}".to_vec()), Content::new(b"{}".to_vec()));
        assert_ne!(Content::new(b"{}".to_vec()).hash, Content::new(b"{} ".to_vec()).hash);
    }
}
