//! Pull requests, reviews, comments on lines.

use serde_json::{Value, json};

use super::{
    super::{
        repo::{Remark, Repo, Review},
        world::World,
    },
    extend, node,
};

impl World {
    /// `pull-request-simple`.
    pub(in super::super) fn pull(&self, repo: &Repo, number: u64) -> Value {
        let pull = repo.pulls.get(&number).expect("a pull request that was found");
        let issue = repo.issues.get(&number).expect("a pull request has an issue");
        let (url, page) =
            (self.at(repo, &format!("/pulls/{number}")), self.page(repo, &format!("/pull/{number}")));
        let end = |of: &Repo, name: &str, sha: &str| {
            json!({"label": format!("{}:{name}", of.owner), "ref": name, "sha": sha,
                "user": self.user(&of.owner), "repo": self.repository(of)})
        };
        let from = self.repos.get(&pull.from).unwrap_or(repo);
        let issue_url = self.at(repo, &format!("/issues/{number}"));
        let statuses = self.at(repo, &format!("/statuses/{}", pull.head_sha));
        let test_merge = pull.tested.as_ref().map(|(_, merge)| merge.clone()).filter(|sha| !sha.is_empty());
        let merge = pull.merged.as_ref().map(|merged| merged.sha.clone()).or(test_merge);
        let mut shape = self.common(repo, issue);
        let more = json!({
            "id": pull.id, "node_id": node("PR", pull.id), "url": url, "html_url": page,
            "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
            "issue_url": issue_url, "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": self.at(repo, "/pulls/comments{/number}"),
            "comments_url": format!("{issue_url}/comments"), "statuses_url": statuses,
            "head": end(from, &pull.head, &pull.head_sha), "base": end(repo, &pull.base, &pull.base_sha),
            "draft": pull.draft, "auto_merge": null, "merge_commit_sha": merge,
            "merged_at": pull.merged.as_ref().map(|merged| merged.at),
            "requested_reviewers": pull.reviewers.iter().map(|login| self.user(login)).collect::<Vec<_>>(),
            "requested_teams": [],
            "_links": {
                "self": {"href": url}, "html": {"href": page}, "issue": {"href": issue_url},
                "comments": {"href": format!("{issue_url}/comments")},
                "review_comments": {"href": format!("{url}/comments")},
                "review_comment": {"href": self.at(repo, "/pulls/comments{/number}")},
                "commits": {"href": format!("{url}/commits")}, "statuses": {"href": statuses},
            },
        });
        extend(&mut shape, more);
        // The description of simple pull requests wants a text.
        for label in shape["labels"].as_array_mut().into_iter().flatten() {
            if label["description"].is_null() {
                label["description"] = json!("");
            }
        }
        shape
    }

    /// `pull-request`: with what is worked out. None of `mergeable` is "not known yet".
    pub(in super::super) fn full_pull(
        &self,
        repo: &Repo,
        number: u64,
        mergeable: Option<bool>,
        state: &str,
    ) -> Value {
        let mut shape = self.pull(repo, number);
        let pull = repo.pulls.get(&number).expect("a pull request that was found");
        let base = repo.git.merge_base(&pull.base_sha, &pull.head_sha).unwrap_or_default();
        let files = repo.git.diff(&base, &pull.head_sha);
        let commits = repo.git.log(&format!("{base}..{}", pull.head_sha)).len();
        let more = json!({
            "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": null,
            "mergeable_state": state,
            "merged_by": pull.merged.as_ref().map(|merged| self.actor(&merged.by)),
            "comments": repo.comments.values().filter(|it| it.number == number).count(),
            "review_comments": repo.remarks.values().filter(|it| it.number == number).count(),
            "maintainer_can_modify": false, "commits": commits, "changed_files": files.len(),
            "additions": files.iter().map(|file| file.additions).sum::<u64>(),
            "deletions": files.iter().map(|file| file.deletions).sum::<u64>(),
        });
        extend(&mut shape, more);
        shape
    }

    /// `pull-request-minimal`: beside checks.
    pub(in super::super) fn pulls_of(&self, repo: &Repo, head: &str) -> Vec<Value> {
        let short = json!({"id": repo.id, "url": self.at(repo, ""), "name": repo.name});
        let open = |number: &u64| repo.issues.get(number).is_some_and(|issue| issue.open);
        let of = repo.pulls.iter().filter(|(number, pull)| pull.head_sha == head && open(number));
        of.map(|(number, pull)| {
            json!({
                "id": pull.id, "number": number, "url": self.at(repo, &format!("/pulls/{number}")),
                "head": {"ref": pull.head, "sha": pull.head_sha, "repo": short},
                "base": {"ref": pull.base, "sha": pull.base_sha, "repo": short},
            })
        })
        .collect()
    }

    pub(in super::super) fn review(&self, repo: &Repo, it: &Review) -> Value {
        let pull = self.at(repo, &format!("/pulls/{}", it.number));
        let page = self.page(repo, &format!("/pull/{}#pullrequestreview-{}", it.number, it.id));
        let mut shape = json!({
            "id": it.id, "node_id": node("PRR", it.id), "user": self.actor(&it.author), "body": it.body,
            "state": it.state, "commit_id": it.commit, "html_url": page, "pull_request_url": pull,
            "author_association": self.association(repo, &it.author),
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
        });
        if it.state != "PENDING" {
            shape["submitted_at"] = json!(it.at);
        }
        shape
    }

    /// `pull-request-review-comment`.
    pub(in super::super) fn remark(&self, repo: &Repo, it: &Remark) -> Value {
        let url = self.at(repo, &format!("/pulls/comments/{}", it.id));
        let pull = self.at(repo, &format!("/pulls/{}", it.number));
        let page = self.page(repo, &format!("/pull/{}#discussion_r{}", it.number, it.id));
        let mut shape = json!({
            "id": it.id, "node_id": node("PRRC", it.id), "url": url, "html_url": page,
            "pull_request_url": pull, "pull_request_review_id": it.review, "body": it.body,
            "user": self.actor(&it.author), "path": it.path, "commit_id": it.commit,
            "original_commit_id": it.commit, "diff_hunk": "@@ -1 +1 @@",
            "created_at": it.created, "updated_at": it.updated, "side": "RIGHT",
            "subject_type": if it.line.is_some() { "line" } else { "file" },
            "author_association": self.association(repo, &it.author),
            "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
            "reactions": Self::rollup(&url, &it.reactions),
        });
        if let Some(line) = it.line {
            let more = json!({"line": line, "original_line": line, "position": 1, "original_position": 1,
                "start_line": null, "original_start_line": null, "start_side": null});
            extend(&mut shape, more);
        }
        if let Some(first) = it.answers {
            shape["in_reply_to_id"] = json!(first);
        }
        shape
    }
}
