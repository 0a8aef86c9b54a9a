//! Issues, comments, labels, milestones, reactions.

use serde_json::{Value, json};

use super::{
    super::{
        repo::{Comment, Issue, Label, Milestone, Reaction, Repo},
        world::World,
    },
    extend, node,
};

/// <https://docs.github.com/en/rest/reactions/reactions#about-reactions>
pub(in super::super) const REACTIONS: [&str; 8] =
    ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

impl World {
    pub(in super::super) fn label(&self, repo: &Repo, label: &Label) -> Value {
        json!({
            "id": label.id, "node_id": node("LA", label.id),
            "url": self.at(repo, &format!("/labels/{}", label.name)), "name": label.name,
            "description": label.description, "color": label.color, "default": false,
        })
    }

    /// The labels of an issue. In lists of pull requests a description is never null.
    fn labels_of(&self, repo: &Repo, issue: &Issue) -> Vec<Value> {
        issue.labels.iter().filter_map(|name| repo.label(name)).map(|label| self.label(repo, label)).collect()
    }

    pub(in super::super) fn milestone(&self, repo: &Repo, number: u64) -> Value {
        let Some(it) = repo.milestones.get(&number) else { return Value::Null };
        self.milestone_shape(repo, it)
    }

    fn milestone_shape(&self, repo: &Repo, it: &Milestone) -> Value {
        let count = |open| {
            let all = repo.issues.values().filter(|issue| issue.milestone == Some(it.number));
            all.filter(|issue| issue.open == open && !issue.deleted).count()
        };
        json!({
            "url": self.at(repo, &format!("/milestones/{}", it.number)),
            "html_url": self.page(repo, &format!("/milestone/{}", it.number)),
            "labels_url": self.at(repo, &format!("/milestones/{}/labels", it.number)),
            "id": it.id, "node_id": node("MI", it.id), "number": it.number, "title": it.title,
            "description": it.description, "creator": self.actor(&it.creator), "open_issues": count(true),
            "closed_issues": count(false), "state": if it.open { "open" } else { "closed" },
            "created_at": it.created, "updated_at": it.updated, "due_on": it.due, "closed_at": it.closed,
        })
    }

    pub(in super::super) fn reaction(&self, it: &Reaction) -> Value {
        json!({"id": it.id, "node_id": node("REA", it.id), "user": self.actor(&it.by), "content": it.content,
            "created_at": it.at})
    }

    pub(in super::super) fn rollup(url: &str, reactions: &[Reaction]) -> Value {
        let mut shape = json!({"url": format!("{url}/reactions"), "total_count": reactions.len()});
        for content in REACTIONS {
            shape[content] = json!(reactions.iter().filter(|it| it.content == content).count());
        }
        shape
    }

    /// What issues and pull requests have in common.
    pub(in super::super) fn common(&self, repo: &Repo, issue: &Issue) -> Value {
        let assignees: Vec<Value> = issue.assignees.iter().map(|login| self.user(login)).collect();
        json!({
            "number": issue.number, "title": issue.title, "body": issue.body, "user": self.actor(&issue.author),
            "state": if issue.open { "open" } else { "closed" }, "locked": issue.locked,
            "active_lock_reason": null, "labels": self.labels_of(repo, issue),
            "assignee": assignees.first(), "assignees": assignees,
            "milestone": issue.milestone.map_or(Value::Null, |number| self.milestone(repo, number)),
            "created_at": issue.created, "updated_at": issue.updated, "closed_at": issue.closed,
            "author_association": self.association(repo, &issue.author),
        })
    }

    pub(in super::super) fn issue(&self, repo: &Repo, number: u64) -> Value {
        let issue = repo.issues.get(&number).expect("an issue that was found");
        let comments = repo.comments.values().filter(|comment| comment.number == number).count();
        let url = self.at(repo, &format!("/issues/{number}"));
        let pull = repo.pulls.get(&number);
        let kind = if pull.is_some() { "pull" } else { "issues" };
        let mut shape = self.common(repo, issue);
        let more = json!({
            "id": issue.id, "node_id": node("I", issue.id), "url": url, "comments": comments,
            "repository_url": self.at(repo, ""), "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"),
            "html_url": self.page(repo, &format!("/{kind}/{number}")),
            "timeline_url": format!("{url}/timeline"), "state_reason": issue.reason,
            "closed_by": issue.closed_by.as_ref().map(|by| self.actor(by)),
            "performed_via_github_app": null, "reactions": Self::rollup(&url, &issue.reactions),
        });
        extend(&mut shape, more);
        if let Some(pull) = pull {
            let page = self.page(repo, &format!("/pull/{number}"));
            shape["draft"] = json!(pull.draft);
            shape["pull_request"] = json!({
                "url": self.at(repo, &format!("/pulls/{number}")), "html_url": page,
                "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
                "merged_at": pull.merged.as_ref().map(|merged| merged.at),
            });
        }
        shape
    }

    pub(in super::super) fn comment(&self, repo: &Repo, it: &Comment) -> Value {
        let url = self.at(repo, &format!("/issues/comments/{}", it.id));
        let kind = if repo.pulls.contains_key(&it.number) { "pull" } else { "issues" };
        let app = match &it.author {
            super::super::repo::Actor::App(id) => self.app_by_id(*id),
            super::super::repo::Actor::Person(_) => Value::Null,
        };
        json!({
            "id": it.id, "node_id": node("IC", it.id), "url": url,
            "html_url": self.page(repo, &format!("/{kind}/{}#issuecomment-{}", it.number, it.id)),
            "issue_url": self.at(repo, &format!("/issues/{}", it.number)), "body": it.body,
            "user": self.actor(&it.author), "created_at": it.created, "updated_at": it.updated,
            "author_association": self.association(repo, &it.author), "performed_via_github_app": app,
            "reactions": Self::rollup(&url, &it.reactions),
        })
    }
}
