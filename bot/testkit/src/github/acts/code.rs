//! Branches that move: what was pushed is told, pull requests follow their branches, stale reviews are dismissed.

use serde_json::json;

use super::super::{
    repo::{Actor, Merged, Suite},
    world::World,
};

const ZERO: &str = "0000000000000000000000000000000000000000";

impl World {
    /// Looks at the real refs again and tells of all that moved.
    pub(in super::super) fn sync(&mut self, repo: u64, by: &Actor) {
        let held = self.repo(repo);
        let (old, new) = (held.refs.clone(), held.git.refs());
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            if old.get(name) != new.get(name) {
                self.moved(
                    repo,
                    by,
                    name,
                    old.get(name).map(String::as_str),
                    new.get(name).map(String::as_str),
                );
            }
        }
    }

    /// A ref has moved, come or gone.
    pub(in super::super) fn moved(
        &mut self,
        repo: u64,
        by: &Actor,
        name: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        let now = self.now();
        let held = self.repo_mut(repo);
        held.pushed = now;
        match after {
            Some(sha) => drop(held.refs.insert(name.to_owned(), sha.to_owned())),
            None => drop(held.refs.remove(name)),
        }
        self.tell_push(repo, by, name, before, after);
        let Some(branch) = name.strip_prefix("refs/heads/").map(str::to_owned) else { return };
        if let Some(sha) = after {
            self.open_suites(repo, by, &branch, sha);
        }
        // Pull requests of this repository, and of the one that it is a fork of.
        let parent = self.repo(repo).parent;
        for target in [Some(repo), parent].into_iter().flatten() {
            let Some(held) = self.repos.get(&target) else { continue };
            let is_open = |number: &u64| held.issues.get(number).is_some_and(|issue| issue.open);
            let open: Vec<u64> = held.pulls.keys().copied().filter(is_open).collect();
            for number in open {
                self.follow(target, by, number, repo, &branch, before, after);
            }
        }
    }

    /// A pull request follows its branches.
    #[allow(
        clippy::too_many_arguments,
        reason = "which pull request, and which branch moved from where to where"
    )]
    fn follow(
        &mut self,
        repo: u64,
        by: &Actor,
        number: u64,
        moved: u64,
        branch: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        let Some(pull) = self.repo(repo).pulls.get(&number) else { return };
        let is_head = pull.from == moved && pull.head == branch;
        let is_base = repo == moved && pull.base == branch;
        if is_head && moved != repo && after.is_some() {
            self.repo(repo).git.fetch(&self.repo(moved).git, &format!("refs/heads/{branch}"));
        }
        let held = self.repo_mut(repo);
        let Some(pull) = held.pulls.get_mut(&number) else { return };
        let Some(sha) = after else {
            if is_head || is_base {
                self.set_open(repo, by, number, false, None);
            }
            return;
        };
        if is_base {
            pull.base_sha = sha.to_owned();
            // Whose head is in the base counts as merged.
            // <https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request/about-pull-request-merges#indirect-merges>
            let head = pull.head_sha.clone();
            if held.git.is_ancestor(&head, sha) {
                let at = self.now();
                if let Some(pull) = self.repo_mut(repo).pulls.get_mut(&number) {
                    pull.merged = Some(Merged { sha: sha.to_owned(), at, by: by.clone() });
                }
                self.set_open(repo, by, number, false, None);
            }
        } else if is_head {
            pull.head_sha = sha.to_owned();
            held.git.update_ref(&format!("refs/pull/{number}/head"), sha);
            self.dismiss_stale(repo, by, number);
            let more = json!({"before": before.unwrap_or(ZERO), "after": sha});
            self.tell_issue(repo, number, "synchronize", by, more);
        }
    }

    fn dismiss_stale(&mut self, repo: u64, by: &Actor, number: u64) {
        let held = self.repo(repo);
        let base = held.pulls.get(&number).map(|pull| pull.base.clone()).unwrap_or_default();
        if !held.rules(&base).iter().any(|rules| rules.dismiss_stale_reviews) {
            return;
        }
        let approvals = held.reviews.values().filter(|it| it.number == number && it.state == "APPROVED");
        let stale: Vec<u64> = approvals.map(|it| it.id).collect();
        for id in stale {
            if let Some(review) = self.repo_mut(repo).reviews.get_mut(&id) {
                review.state = "DISMISSED".to_owned();
            }
            self.tell_review(repo, id, "dismissed", by);
        }
    }

    /// Every App that writes checks gets a suite for what is pushed.
    /// <https://docs.github.com/en/rest/guides/using-the-rest-api-to-interact-with-checks#about-check-suites>
    fn open_suites(&mut self, repo: u64, by: &Actor, branch: &str, sha: &str) {
        let apps: Vec<u64> = self.apps.keys().copied().collect();
        for app in apps {
            let writes = self.installation_of(app, repo).is_some_and(|it| {
                it.suspended.is_none()
                    && World::holds(&it.permissions, "checks", super::super::world::Level::Write)
            });
            if writes {
                let suite = self.suite_for(repo, app, sha, Some(branch));
                self.tell_suite(repo, suite, "requested", by);
            }
        }
    }

    /// The suite of an App on a commit, made where it is new.
    pub(in super::super) fn suite_for(
        &mut self,
        repo: u64,
        app: u64,
        sha: &str,
        branch: Option<&str>,
    ) -> u64 {
        let known = self.repo(repo).suites.values().find(|it| it.app == app && it.head == sha);
        if let Some(known) = known {
            return known.id;
        }
        let (id, now) = (self.id(), self.now());
        let held = self.repo_mut(repo);
        let of = held.refs.iter().find(|(_, known)| *known == sha).map(|(name, _)| name.clone());
        let branch = branch.map(str::to_owned);
        let branch = branch.or_else(|| of.map(|name| name.trim_start_matches("refs/heads/").to_owned()));
        let suite = Suite { id, app, head: sha.to_owned(), branch, created: now, updated: now };
        held.suites.insert(id, suite);
        id
    }

    /// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>
    fn tell_push(&mut self, repo: u64, by: &Actor, name: &str, before: Option<&str>, after: Option<&str>) {
        let held = self.repo(repo);
        let range = match (before, after) {
            (Some(before), Some(after)) => format!("{before}..{after}"),
            (None, Some(after)) => format!("{after}^!"),
            _ => String::new(),
        };
        let commit = |sha: &str| {
            let mut shape = self.simple_commit(held, sha);
            shape["url"] = json!(self.page(held, &format!("/commit/{sha}")));
            shape["distinct"] = json!(true);
            let parent = held.git.commit(sha).and_then(|commit| commit.parents.first().cloned());
            let changed = parent.map(|parent| held.git.diff(&parent, sha)).unwrap_or_default();
            for (field, status) in [("added", "added"), ("removed", "removed"), ("modified", "modified")] {
                let paths = changed.iter().filter(|it| it.status == status).map(|it| it.path.clone());
                shape[field] = json!(paths.collect::<Vec<_>>());
            }
            shape
        };
        let shas = if range.is_empty() { Vec::new() } else { held.git.log(&range) };
        // At most 2048 are told, oldest first; the fake's are fewer.
        let commits: Vec<_> = shas.iter().rev().take(2_048).map(|sha| commit(sha)).collect();
        let forced = matches!((before, after), (Some(old), Some(new)) if !held.git.is_ancestor(old, new));
        let (old, new) = (before.unwrap_or(ZERO), after.unwrap_or(ZERO));
        let login = self.login(by);
        let fields = json!({
            "ref": name, "before": old, "after": new, "created": before.is_none(), "deleted": after.is_none(),
            "forced": forced, "base_ref": null, "head_commit": after.map(commit), "commits": commits,
            "compare": self.page(held, &format!("/compare/{old}...{new}")),
            "pusher": {"name": login, "email": format!("{login}@users.noreply.github.com")},
        });
        self.emit(repo, "push", "", by, fields);
    }
}
