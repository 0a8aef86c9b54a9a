//! Pull requests, reviews, threads, merges.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::{
        repo::{Actor, Merged, Pull, Remark, Review},
        routes::Refusal,
        shapes::node,
        world::World,
    },
    NewIssue,
};

/// A comment on a line, or an answer to one.
#[derive(Debug)]
pub(in super::super) struct NewRemark {
    pub(in super::super) path: String,
    pub(in super::super) line: Option<u64>,
    pub(in super::super) body: String,
    pub(in super::super) review: Option<u64>,
    pub(in super::super) answers: Option<u64>,
}

impl World {
    /// Opens a pull request of one branch to another; `somebody:branch` is of somebody's fork.
    pub(in super::super) fn open_pull(
        &mut self,
        repo: u64,
        by: &Actor,
        head: &str,
        base: &str,
        new: NewIssue,
        draft: bool,
    ) -> Result<u64, Refusal> {
        let held = self.repo(repo);
        let wrong = |field: &str| Refusal::invalid("PullRequest", field, "invalid");
        let (from, head) = match head.split_once(':') {
            None => (repo, head),
            Some((owner, head)) if owner.eq_ignore_ascii_case(&held.owner) => (repo, head),
            Some((owner, head)) => {
                let mut forks = self.repos.values().filter(|it| it.parent == Some(repo));
                let fork = forks.find(|it| it.owner.eq_ignore_ascii_case(owner));
                (fork.ok_or_else(|| wrong("head"))?.id, head)
            }
        };
        let head_sha = self.repo(from).branch(head).cloned().ok_or_else(|| wrong("head"))?;
        let base_sha = held.branch(base).cloned().ok_or_else(|| wrong("base"))?;
        let said = |text: String| Refusal::custom("PullRequest", &text);
        let open = |number: &u64| held.issues.get(number).is_some_and(|issue| issue.open);
        let is_twin = |it: &Pull| it.from == from && it.head == head && it.base == base;
        if held.pulls.iter().any(|(number, it)| is_twin(it) && open(number)) {
            let owner = &self.repo(from).owner;
            return Err(said(format!("A pull request already exists for {owner}:{head}.")));
        }
        if from != repo {
            held.git.fetch(&self.repo(from).git, &format!("refs/heads/{head}"));
        }
        if held.git.is_ancestor(&head_sha, &base_sha) {
            return Err(said(format!("No commits between {base} and {head}")));
        }
        let number = self.add_issue(repo, by, new);
        let id = self.id();
        self.made(id);
        let pull = Pull {
            id,
            from,
            head: head.to_owned(),
            base: base.to_owned(),
            head_sha: head_sha.clone(),
            base_sha,
            draft,
            merged: None,
            reviewers: BTreeSet::new(),
            tested: None,
            queued: None,
        };
        let held = self.repo_mut(repo);
        held.pulls.insert(number, pull);
        held.git.update_ref(&format!("refs/pull/{number}/head"), &head_sha);
        self.tell_issue(repo, number, "opened", by, json!({}));
        Ok(number)
    }

    pub(in super::super) fn set_draft(&mut self, repo: u64, by: &Actor, number: u64, draft: bool) {
        let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) else { return };
        if std::mem::replace(&mut pull.draft, draft) != draft {
            let action = if draft { "converted_to_draft" } else { "ready_for_review" };
            self.tell_issue(repo, number, action, by, json!({}));
        }
    }

    pub(in super::super) fn request_review(&mut self, repo: u64, by: &Actor, number: u64, logins: &[String]) {
        for login in logins {
            let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) else { return };
            if pull.reviewers.insert(login.clone()) {
                let reviewer = self.user(login);
                let more = json!({"requested_reviewer": reviewer});
                self.tell_issue(repo, number, "review_requested", by, more);
            }
        }
    }

    pub(in super::super) fn unrequest_review(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        logins: &[String],
    ) {
        for login in logins {
            let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) else { return };
            if pull.reviewers.remove(login) {
                let reviewer = self.user(login);
                let more = json!({"requested_reviewer": reviewer});
                self.tell_issue(repo, number, "review_request_removed", by, more);
            }
        }
    }

    fn review_fields(&self, repo: u64, number: u64) -> Value {
        json!({"pull_request": self.pull(self.repo(repo), number)})
    }

    /// Submits a review of the head as it is, or of the commit that is given.
    pub(in super::super) fn add_review(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        state: &str,
        body: &str,
        commit: Option<String>,
    ) -> u64 {
        let (id, at) = (self.id(), self.now());
        let held = self.repo_mut(repo);
        let head = held.pulls.get(&number).map(|pull| pull.head_sha.clone()).unwrap_or_default();
        let review = Review {
            id,
            number,
            body: body.to_owned(),
            author: by.clone(),
            state: state.to_owned(),
            commit: commit.unwrap_or(head),
            at,
        };
        held.reviews.insert(id, review);
        if let (Actor::Person(login), Some(pull)) = (by, held.pulls.get_mut(&number)) {
            pull.reviewers.remove(login);
        }
        if state != "PENDING" {
            self.tell_review(repo, id, "submitted", by);
        }
        id
    }

    pub(in super::super) fn tell_review(&mut self, repo: u64, id: u64, action: &str, by: &Actor) {
        let held = self.repo(repo);
        let Some(review) = held.reviews.get(&id) else { return };
        let mut fields = self.review_fields(repo, review.number);
        fields["review"] = self.review(held, review);
        // In events the state is written small. <https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review>
        fields["review"]["state"] = json!(review.state.to_lowercase());
        self.emit(repo, "pull_request_review", action, by, fields);
    }

    pub(in super::super) fn add_remark(&mut self, repo: u64, by: &Actor, number: u64, new: NewRemark) -> u64 {
        let (id, now) = (self.id(), self.now());
        self.made(id);
        let held = self.repo_mut(repo);
        let commit = held.pulls.get(&number).map(|pull| pull.head_sha.clone()).unwrap_or_default();
        let remark = Remark {
            id,
            number,
            review: new.review,
            body: new.body,
            author: by.clone(),
            path: new.path,
            line: new.line,
            commit,
            answers: new.answers,
            created: now,
            updated: now,
            resolved_by: None,
            reactions: Vec::new(),
        };
        held.remarks.insert(id, remark);
        let held = self.repo(repo);
        let shape = self.remark(held, &held.remarks[&id]);
        let mut fields = self.review_fields(repo, number);
        fields["comment"] = shape;
        self.emit(repo, "pull_request_review_comment", "created", by, fields);
        id
    }

    /// Resolves the thread that begins with this comment, or opens it again.
    pub(in super::super) fn resolve_thread(&mut self, repo: u64, by: &Actor, first: u64, resolved: bool) {
        let Some(remark) = self.repo_mut(repo).remarks.get_mut(&first) else { return };
        if remark.resolved_by.is_some() == resolved {
            return;
        }
        remark.resolved_by = resolved.then(|| by.clone());
        let number = remark.number;
        let held = self.repo(repo);
        let thread = held.remarks.values().filter(|it| it.id == first || it.answers == Some(first));
        let comments: Vec<Value> = thread.map(|it| self.remark(held, it)).collect();
        let mut fields = self.review_fields(repo, number);
        fields["thread"] = json!({"node_id": node("PRRT", first), "comments": comments});
        let action = if resolved { "resolved" } else { "unresolved" };
        self.emit(repo, "pull_request_review_thread", action, by, fields);
    }

    /// Merges, with the refusals that GitHub documents.
    /// <https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>
    pub(in super::super) fn merge(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        method: &str,
        sha: Option<&str>,
        words: (Option<String>, Option<String>),
    ) -> Result<String, Refusal> {
        let who = self.bypass_name(by);
        let held = self.repo(repo);
        let (Some(pull), Some(issue)) = (held.pulls.get(&number), held.issues.get(&number)) else {
            return Err(Refusal::not_found());
        };
        let no = |text: &str| Err(Refusal::said(405, text));
        if !issue.open || pull.merged.is_some() {
            return no("Pull Request is not mergeable");
        }
        if pull.draft {
            return no("Pull Request is still a draft");
        }
        if sha.is_some_and(|sha| sha != pull.head_sha) {
            return Err(Refusal::said(409, "Head branch was modified. Review and try the merge again."));
        }
        let Some(tree) = held.git.merge_tree(&pull.base_sha, &pull.head_sha) else {
            return no("Pull Request is not mergeable");
        };
        if let Some(obstacle) = held.obstacle(number, &who, false) {
            return no(&obstacle);
        }
        let (title, body) = words;
        let merging =
            format!("Merge pull request #{number} from {}/{}", self.repo(pull.from).owner, pull.head);
        let (parents, usual) = match method {
            "merge" => (vec![pull.base_sha.as_str(), pull.head_sha.as_str()], (merging, issue.title.clone())),
            "squash" => {
                (vec![pull.base_sha.as_str()], (format!("{} (#{number})", issue.title), String::new()))
            }
            _ => return no("Rebase merges are not allowed on this repository."),
        };
        let message = format!("{}\n\n{}", title.unwrap_or(usual.0), body.unwrap_or(usual.1));
        let login = self.login(by);
        let email = format!("{login}@users.noreply.github.com");
        let commit = held.git.commit_tree(&tree, &parents, message.trim_end(), (&login, &email));
        self.land(repo, by, number, &commit);
        Ok(commit)
    }

    /// The base moves to the commit that brings a pull request, which is merged by that.
    fn land(&mut self, repo: u64, by: &Actor, number: u64, commit: &str) {
        let at = self.now();
        let held = self.repo_mut(repo);
        let delete = held.delete_branch_on_merge;
        let Some(pull) = held.pulls.get_mut(&number) else { return };
        pull.merged = Some(Merged { sha: commit.to_owned(), at, by: by.clone() });
        let (head, base, before) = (pull.head.clone(), pull.base.clone(), pull.base_sha.clone());
        let delete = delete && pull.from == repo;
        held.git.update_ref(&format!("refs/heads/{base}"), commit);
        self.set_open(repo, by, number, false, None);
        self.close_what_it_closes(repo, by, number);
        self.moved(repo, by, &format!("refs/heads/{base}"), Some(&before), Some(commit));
        if delete {
            self.drop_branch(repo, by, &head);
        }
    }

    fn drop_branch(&mut self, repo: u64, by: &Actor, branch: &str) {
        let held = self.repo(repo);
        let old = held.branch(branch).cloned();
        let reference = format!("refs/heads/{branch}");
        held.git.delete_ref(&reference);
        self.moved(repo, by, &reference, old.as_deref(), None);
    }

    /// Puts a pull request into the merge queue of its base: a branch with the merge of both is made, on which the required
    /// checks must pass.
    /// <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue>
    pub(in super::super) fn enqueue(&mut self, repo: u64, by: &Actor, number: u64) -> Result<(), String> {
        let who = self.bypass_name(by);
        let held = self.repo(repo);
        let Some(pull) = held.pulls.get(&number) else { return Err("no such pull request".to_owned()) };
        if !held.rules(&pull.base).iter().any(|rules| rules.merge_queue) {
            return Err("The branch has no merge queue".to_owned());
        }
        if pull.draft || pull.queued.is_some() || held.issues.get(&number).is_none_or(|issue| !issue.open) {
            return Err("The pull request can not be added to the queue".to_owned());
        }
        if let Some(obstacle) = held.obstacle(number, &who, true) {
            return Err(obstacle);
        }
        let (base, base_sha, head_sha) = (pull.base.clone(), pull.base_sha.clone(), pull.head_sha.clone());
        let tree = held.git.merge_tree(&base_sha, &head_sha).ok_or("The pull request has conflicts")?;
        let message = format!("Merge pull request #{number} from {}/{}", held.owner, pull.head);
        let who = ("GitHub", "noreply@github.com");
        let commit = held.git.commit_tree(&tree, &[&base_sha, &head_sha], &message, who);
        let reference = format!("refs/heads/{}", Self::queue_branch(&base, number));
        held.git.update_ref(&reference, &commit);
        if let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) {
            pull.queued = Some(commit.clone());
        }
        self.tell_issue(repo, number, "enqueued", by, json!({}));
        self.moved(repo, by, &reference, None, Some(&commit));
        let head_commit = self.simple_commit(self.repo(repo), &commit);
        let group = json!({"head_sha": commit, "head_ref": reference, "base_ref": format!("refs/heads/{base}"),
            "base_sha": base_sha, "head_commit": head_commit});
        self.emit(repo, "merge_group", "checks_requested", by, json!({"merge_group": group}));
        // Where nothing is required there is nothing to wait for.
        if self.repo(repo).rules(&base).iter().all(|rules| rules.checks.is_empty()) {
            self.advance_queue(repo, by);
        }
        Ok(())
    }

    fn queue_branch(base: &str, number: u64) -> String {
        format!("gh-readonly-queue/{base}/pr-{number}")
    }

    /// Lands what passed in the queue, and puts out what failed there.
    pub(in super::super) fn advance_queue(&mut self, repo: u64, by: &Actor) {
        let held = self.repo(repo);
        let queued = held.pulls.iter().filter_map(|(number, pull)| {
            let group = pull.queued.clone()?;
            Some((*number, pull.base.clone(), held.checks_on(&pull.base, &group)?, group))
        });
        let ended: Vec<(u64, String, bool, String)> = queued.collect();
        for (number, base, passed, group) in ended {
            if let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) {
                pull.queued = None;
            }
            let reason = if passed { "MERGE" } else { "CI_FAILURE" };
            self.tell_issue(repo, number, "dequeued", by, json!({"reason": reason}));
            if passed {
                self.land(repo, by, number, &group);
            }
            self.drop_branch(repo, by, &Self::queue_branch(&base, number));
        }
    }

    /// Issues that the description of a pull request to the default branch closes.
    /// <https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue>
    fn close_what_it_closes(&mut self, repo: u64, by: &Actor, number: u64) {
        let held = self.repo(repo);
        if held.pulls.get(&number).is_none_or(|pull| pull.base != held.default_branch) {
            return;
        }
        let body = held.issues.get(&number).and_then(|issue| issue.body.clone()).unwrap_or_default();
        let words: Vec<&str> = body.split_whitespace().collect();
        let closing =
            ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
        for pair in words.windows(2) {
            let [word, target] = pair else { continue };
            let word = word.to_lowercase();
            let target = target.trim_end_matches(['.', ',', ';']).strip_prefix('#');
            let Some(issue) = target.and_then(|text| text.parse().ok()) else { continue };
            if closing.contains(&word.trim_end_matches(':')) && !self.repo(repo).pulls.contains_key(&issue) {
                self.set_open(repo, by, issue, false, Some("completed".to_owned()));
            }
        }
    }

    /// What somebody is called on a list of those who may pass by the rules.
    pub(in super::super) fn bypass_name(&self, by: &Actor) -> String {
        match by {
            Actor::Person(login) => login.clone(),
            Actor::App(id) => self.apps.get(id).map(|app| app.slug.clone()).unwrap_or_default(),
        }
    }
}
