//! Issues, labels, milestones, comments, reactions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{
    repo::{Actor, Comment, Issue, Label, Milestone, Reaction},
    world::World,
};

/// An issue, or that part of a pull request.
#[derive(Debug, Default)]
pub(in super::super) struct NewIssue {
    pub(in super::super) title: String,
    pub(in super::super) body: Option<String>,
    pub(in super::super) labels: Vec<String>,
    pub(in super::super) assignees: Vec<String>,
    pub(in super::super) milestone: Option<u64>,
}

impl World {
    /// Keeps the part that issues and pull requests share, under the next number.
    pub(in super::super) fn add_issue(&mut self, repo: u64, by: &Actor, new: NewIssue) -> u64 {
        let (id, now) = (self.id(), self.now());
        let labels: BTreeSet<String> =
            new.labels.iter().map(|name| self.ensure_label(repo, by, name)).collect();
        self.made(id);
        let repo = self.repo_mut(repo);
        let number = repo.next_number();
        let issue = Issue {
            id,
            number,
            title: new.title,
            body: new.body,
            author: by.clone(),
            open: true,
            reason: None,
            locked: false,
            labels,
            assignees: new.assignees.into_iter().collect(),
            milestone: new.milestone,
            created: now,
            updated: now,
            closed: None,
            closed_by: None,
            reactions: Vec::new(),
            edited: None,
            deleted: false,
        };
        repo.issues.insert(number, issue);
        number
    }

    pub(in super::super) fn open_issue(&mut self, repo: u64, by: &Actor, new: NewIssue) -> u64 {
        let number = self.add_issue(repo, by, new);
        self.tell_issue(repo, number, "opened", by, json!({}));
        let labels: Vec<String> = self.repo(repo).issues[&number].labels.iter().cloned().collect();
        for name in labels {
            self.tell_label(repo, number, "labeled", by, &name);
        }
        number
    }

    /// An event of an issue, or of a pull request where it is one.
    pub(in super::super) fn tell_issue(
        &mut self,
        repo: u64,
        number: u64,
        action: &str,
        by: &Actor,
        more: Value,
    ) {
        let held = self.repo(repo);
        let mut fields = more;
        let event = if held.pulls.contains_key(&number) {
            let pull = &held.pulls[&number];
            let can = pull.tested.as_ref().map(|(_, merge)| !merge.is_empty());
            fields["pull_request"] = self.full_pull(held, number, can, "unknown");
            fields["number"] = json!(number);
            "pull_request"
        } else {
            fields["issue"] = self.issue(held, number);
            "issues"
        };
        self.emit(repo, event, action, by, fields);
    }

    fn tell_label(&mut self, repo: u64, number: u64, action: &str, by: &Actor, name: &str) {
        let held = self.repo(repo);
        let label = held.label(name).map_or(Value::Null, |label| self.label(held, label));
        self.tell_issue(repo, number, action, by, json!({"label": label}));
    }

    /// The name of a label as it is written there; one that is not there is made, as GitHub does.
    /// <https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue>
    pub(in super::super) fn ensure_label(&mut self, repo: u64, by: &Actor, name: &str) -> String {
        if let Some(known) = self.repo(repo).label(name) {
            return known.name.clone();
        }
        self.add_label(repo, by, name, "ededed", None);
        name.to_owned()
    }

    pub(in super::super) fn add_label(
        &mut self,
        repo: u64,
        by: &Actor,
        name: &str,
        color: &str,
        description: Option<String>,
    ) {
        let id = self.id();
        let label = Label { id, name: name.to_owned(), color: color.to_owned(), description };
        self.repo_mut(repo).labels.push(label.clone());
        let shape = self.label(self.repo(repo), &label);
        self.emit(repo, "label", "created", by, json!({"label": shape}));
    }

    /// Makes the labels of an issue these, telling of each that comes and goes.
    pub(in super::super) fn set_labels(&mut self, repo: u64, by: &Actor, number: u64, names: &[String]) {
        let wanted: BTreeSet<String> = names.iter().map(|name| self.ensure_label(repo, by, name)).collect();
        let now = self.now();
        let Some(issue) = self.repo_mut(repo).issues.get_mut(&number) else { return };
        let had = std::mem::replace(&mut issue.labels, wanted.clone());
        issue.updated = now;
        for name in wanted.difference(&had) {
            self.tell_label(repo, number, "labeled", by, name);
        }
        for name in had.difference(&wanted) {
            self.tell_label(repo, number, "unlabeled", by, name);
        }
    }

    pub(in super::super) fn edit_issue(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        title: Option<String>,
        body: Option<Option<String>>,
    ) {
        let now = self.now();
        let Some(issue) = self.repo_mut(repo).issues.get_mut(&number) else { return };
        let mut changes = json!({});
        if let Some(title) = title.filter(|title| *title != issue.title) {
            changes["title"] = json!({"from": std::mem::replace(&mut issue.title, title)});
        }
        if let Some(body) = body.filter(|body| *body != issue.body) {
            changes["body"] = json!({"from": std::mem::replace(&mut issue.body, body).unwrap_or_default()});
        }
        if changes != json!({}) {
            (issue.updated, issue.edited) = (now, Some(now));
            self.tell_issue(repo, number, "edited", by, json!({"changes": changes}));
        }
    }

    /// Opens or closes an issue or a pull request.
    pub(in super::super) fn set_open(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        open: bool,
        reason: Option<String>,
    ) {
        let now = self.now();
        let Some(issue) = self.repo_mut(repo).issues.get_mut(&number) else { return };
        if issue.open == open {
            return;
        }
        (issue.open, issue.updated) = (open, now);
        issue.closed = (!open).then_some(now);
        issue.closed_by = (!open).then(|| by.clone());
        issue.reason = Some(reason.unwrap_or_else(|| if open { "reopened" } else { "completed" }.to_owned()));
        self.tell_issue(repo, number, if open { "reopened" } else { "closed" }, by, json!({}));
    }

    pub(in super::super) fn set_milestone(&mut self, repo: u64, by: &Actor, number: u64, to: Option<u64>) {
        let now = self.now();
        let Some(issue) = self.repo_mut(repo).issues.get_mut(&number) else { return };
        let had = std::mem::replace(&mut issue.milestone, to);
        issue.updated = now;
        if had == to {
            return;
        }
        if let Some(old) = had {
            let shape = self.milestone(self.repo(repo), old);
            self.tell_issue(repo, number, "demilestoned", by, json!({"milestone": shape}));
        }
        if let Some(new) = to {
            let shape = self.milestone(self.repo(repo), new);
            self.tell_issue(repo, number, "milestoned", by, json!({"milestone": shape}));
        }
    }

    pub(in super::super) fn set_assignees(&mut self, repo: u64, by: &Actor, number: u64, logins: &[String]) {
        let wanted: BTreeSet<String> = logins.iter().cloned().collect();
        let Some(issue) = self.repo_mut(repo).issues.get_mut(&number) else { return };
        let had = std::mem::replace(&mut issue.assignees, wanted.clone());
        let (come, gone) = (wanted.difference(&had), had.difference(&wanted));
        let told = come.map(|it| (it, "assigned")).chain(gone.map(|it| (it, "unassigned")));
        for (login, action) in told {
            let assignee = self.user(login);
            self.tell_issue(repo, number, action, by, json!({"assignee": assignee}));
        }
    }

    pub(in super::super) fn add_milestone(
        &mut self,
        repo: u64,
        by: &Actor,
        title: &str,
        description: Option<String>,
        due: Option<String>,
    ) -> u64 {
        let (id, now) = (self.id(), self.now());
        self.made(id);
        let held = self.repo_mut(repo);
        let number = held.milestones.keys().next_back().copied().unwrap_or(0) + 1;
        let milestone = Milestone {
            id,
            number,
            title: title.to_owned(),
            description,
            due,
            open: true,
            creator: by.clone(),
            created: now,
            updated: now,
            closed: None,
        };
        held.milestones.insert(number, milestone);
        self.tell_milestone(repo, number, "created", by);
        number
    }

    pub(in super::super) fn tell_milestone(&mut self, repo: u64, number: u64, action: &str, by: &Actor) {
        let shape = self.milestone(self.repo(repo), number);
        let mut fields = json!({"milestone": shape});
        if action == "edited" {
            fields["changes"] = json!({});
        }
        self.emit(repo, "milestone", action, by, fields);
    }

    pub(in super::super) fn add_comment(&mut self, repo: u64, by: &Actor, number: u64, body: &str) -> u64 {
        let (id, now) = (self.id(), self.now());
        self.made(id);
        let comment = Comment {
            id,
            number,
            body: body.to_owned(),
            author: by.clone(),
            created: now,
            updated: now,
            reactions: Vec::new(),
        };
        let held = self.repo_mut(repo);
        held.comments.insert(id, comment);
        if let Some(issue) = held.issues.get_mut(&number) {
            issue.updated = now;
        }
        self.tell_comment(repo, id, "created", by, json!({}));
        id
    }

    fn tell_comment(&mut self, repo: u64, id: u64, action: &str, by: &Actor, more: Value) {
        let held = self.repo(repo);
        let Some(comment) = held.comments.get(&id) else { return };
        let mut fields = more;
        fields["comment"] = self.comment(held, comment);
        fields["issue"] = self.issue(held, comment.number);
        self.emit(repo, "issue_comment", action, by, fields);
    }

    pub(in super::super) fn edit_comment(&mut self, repo: u64, by: &Actor, id: u64, body: &str) {
        let now = self.now();
        let Some(comment) = self.repo_mut(repo).comments.get_mut(&id) else { return };
        comment.updated = now;
        let from = std::mem::replace(&mut comment.body, body.to_owned());
        self.tell_comment(repo, id, "edited", by, json!({"changes": {"body": {"from": from}}}));
    }

    pub(in super::super) fn delete_comment(&mut self, repo: u64, by: &Actor, id: u64) {
        self.tell_comment(repo, id, "deleted", by, json!({}));
        self.repo_mut(repo).comments.remove(&id);
    }

    /// A new reaction; a second one of the same person with the same content is the first.
    pub(in super::super) fn reaction_to(
        id: u64,
        at: jiff::Timestamp,
        reactions: &mut Vec<Reaction>,
        by: &Actor,
        content: &str,
    ) -> (Reaction, bool) {
        if let Some(known) = reactions.iter().find(|it| it.by == *by && it.content == content) {
            return (known.clone(), false);
        }
        let new = Reaction { id, content: content.to_owned(), by: by.clone(), at };
        reactions.push(new.clone());
        (new, true)
    }
}
