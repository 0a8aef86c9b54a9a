//! Commits, refs, files, comparisons.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{
    git::{Changed, Commit, Signature},
    repo::Repo,
    world::World,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

fn signature(it: &Signature) -> Value {
    json!({"name": it.name, "email": it.email, "date": at(it.at)})
}

fn unsigned() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}

impl World {
    fn parents(&self, repo: &Repo, commit: &Commit) -> Vec<Value> {
        let parent = |sha: &String| {
            json!({"sha": sha, "url": self.at(repo, &format!("/commits/{sha}")),
                "html_url": self.page(repo, &format!("/commit/{sha}"))})
        };
        commit.parents.iter().map(parent).collect()
    }

    /// `commit`.
    pub(in super::super) fn commit(&self, repo: &Repo, commit: &Commit) -> Value {
        let sha = &commit.sha;
        let url = self.at(repo, &format!("/commits/{sha}"));
        let account = |it: &Signature| {
            let login = it.email.split('@').next().unwrap_or_default();
            if self.accounts.contains_key(&login.to_lowercase()) { self.user(login) } else { Value::Null }
        };
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": url, "comments_url": format!("{url}/comments"),
            "html_url": self.page(repo, &format!("/commit/{sha}")),
            "author": account(&commit.author), "committer": account(&commit.committer),
            "parents": self.parents(repo, commit),
            "commit": {
                "url": self.at(repo, &format!("/git/commits/{sha}")), "author": signature(&commit.author),
                "committer": signature(&commit.committer), "message": commit.message, "comment_count": 0,
                "tree": {"sha": commit.tree, "url": self.at(repo, &format!("/git/trees/{}", commit.tree))},
                "verification": unsigned(),
            },
        })
    }

    /// `git-commit`.
    pub(in super::super) fn git_commit(&self, repo: &Repo, commit: &Commit) -> Value {
        let sha = &commit.sha;
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": self.at(repo, &format!("/git/commits/{sha}")),
            "html_url": self.page(repo, &format!("/commit/{sha}")), "author": signature(&commit.author),
            "committer": signature(&commit.committer), "message": commit.message,
            "tree": {"sha": commit.tree, "url": self.at(repo, &format!("/git/trees/{}", commit.tree))},
            "parents": self.parents(repo, commit), "verification": unsigned(),
        })
    }

    /// `simple-commit`: inside of checks, and in `push`.
    pub(in super::super) fn simple_commit(&self, repo: &Repo, sha: &str) -> Value {
        let Some(commit) = repo.git.commit(sha) else { return Value::Null };
        let who = |it: &Signature| json!({"name": it.name, "email": it.email});
        json!({"id": commit.sha, "tree_id": commit.tree, "message": commit.message,
            "timestamp": at(commit.committer.at), "author": who(&commit.author),
            "committer": who(&commit.committer)})
    }

    /// `git-ref`.
    pub(in super::super) fn reference(&self, repo: &Repo, name: &str, sha: &str) -> Value {
        let short = name.trim_start_matches("refs/");
        json!({"ref": name, "node_id": format!("REF_{short}"), "url": self.at(repo, &format!("/git/refs/{short}")),
            "object": {"type": "commit", "sha": sha, "url": self.at(repo, &format!("/git/commits/{sha}"))}})
    }

    /// `diff-entry`.
    pub(in super::super) fn changed(&self, repo: &Repo, head: &str, it: &Changed) -> Value {
        let place = format!("{head}/{}", it.path);
        let mut shape = json!({
            "sha": it.sha, "filename": it.path, "status": it.status, "additions": it.additions,
            "deletions": it.deletions, "changes": it.additions + it.deletions,
            "blob_url": self.page(repo, &format!("/blob/{place}")),
            "raw_url": self.page(repo, &format!("/raw/{place}")),
            "contents_url": self.at(repo, &format!("/contents/{}?ref={head}", it.path)),
        });
        if let Some(patch) = &it.patch {
            shape["patch"] = json!(patch);
        }
        if let Some(previous) = &it.previous {
            shape["previous_filename"] = json!(previous);
        }
        shape
    }
}
