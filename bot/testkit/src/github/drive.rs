//! What people do, and GitHub Actions, and those who own an account. Somebody who may not do a thing is a panic: a test is to
//! give people the role they need.

use serde_json::{Value, json};

use super::{
    APP, FakeGithub, OWNER, Role, Rules,
    acts::{NewIssue, NewRemark},
    repo::{Actor, Ruleset},
    world::World,
};

/// How a run of GitHub Actions ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All jobs passed.
    Green,
    /// This job failed, with this log.
    Red {
        /// The job's name.
        job: String,
        /// Its log.
        log: String,
    },
}

/// What people do to the fake.
#[derive(Debug, Clone, Copy)]
pub struct Drive<'a> {
    fake: &'a FakeGithub,
}

/// Somebody, in one repository.
#[derive(Debug, Clone)]
pub struct Person<'a> {
    fake: &'a FakeGithub,
    login: String,
    repository: String,
}

/// A run of GitHub Actions that has begun.
#[derive(Debug)]
pub struct Workflow<'a> {
    fake: &'a FakeGithub,
    repo: u64,
    /// Its id.
    pub id: u64,
}

impl<'a> Drive<'a> {
    pub(super) fn new(fake: &'a FakeGithub) -> Self {
        Self { fake }
    }

    fn change<T>(self, change: impl FnOnce(&mut World) -> T) -> T {
        self.fake.shared.change(change)
    }

    /// Somebody, acting in `acme/app`; made where the login is new. [`Person::at`] for elsewhere.
    pub fn person(self, login: &str) -> Person<'a> {
        self.change(|world| world.account(login, "User"));
        Person { fake: self.fake, login: login.to_owned(), repository: format!("{OWNER}/app") }
    }

    /// Somebody with a role in a repository from now on.
    pub fn collaborator(self, repository: &str, login: &str, role: Role) -> Person<'a> {
        self.change(|world| {
            let repo = world.named(repository);
            world.repo_mut(repo).collaborators.insert(login.to_owned(), role);
        });
        self.person(login).at(repository)
    }

    /// Somebody has no role in a repository any more.
    pub fn removes_collaborator(self, repository: &str, login: &str) {
        self.change(|world| {
            let repo = world.named(repository);
            world.repo_mut(repo).collaborators.remove(login);
        });
    }

    /// Another repository. Of an account where the App has all, it has it.
    pub fn adds_repository(self, repository: &str, private: bool) -> u64 {
        self.change(|world| {
            let id = world.add_repository(repository, private);
            let by = Actor::Person(repository.split('/').next().unwrap_or(OWNER).to_owned());
            world.emit(id, "repository", "created", &by, json!({}));
            id
        })
    }

    /// A repository is renamed; the old name is a redirect from then on.
    pub fn renames(self, repository: &str, name: &str) {
        self.change(|world| {
            let id = world.named(repository);
            let old = std::mem::replace(&mut world.repo_mut(id).name, name.to_owned());
            let full = world.repo(id).full_name();
            world.names.insert(full.to_lowercase(), id);
            let by = Actor::Person(world.repo(id).owner.clone());
            let changes = json!({"changes": {"repository": {"name": {"from": old}}}});
            world.emit(id, "repository", "renamed", &by, changes);
        });
    }

    /// A repository is deleted: 404 from then on.
    pub fn deletes_repository(self, repository: &str) {
        self.change(|world| {
            let id = world.named(repository);
            let by = Actor::Person(world.repo(id).owner.clone());
            world.emit(id, "repository", "deleted", &by, json!({}));
            world.repos.remove(&id);
        });
    }

    /// A repository is read-only from now on.
    pub fn archives(self, repository: &str) {
        self.change(|world| {
            let id = world.named(repository);
            world.repo_mut(id).archived = true;
            let by = Actor::Person(world.repo(id).owner.clone());
            world.emit(id, "repository", "archived", &by, json!({}));
        });
    }

    /// Merged branches are deleted by GitHub, or not.
    pub fn deletes_merged_branches(self, repository: &str, deletes: bool) {
        self.change(|world| {
            let id = world.named(repository);
            world.repo_mut(id).delete_branch_on_merge = deletes;
        });
    }

    /// A branch is protected the classic way; none takes that away.
    pub fn protects(self, repository: &str, branch: &str, rules: Option<Rules>) {
        self.change(|world| {
            let id = world.named(repository);
            let repo = world.repo_mut(id);
            match rules {
                Some(rules) => drop(repo.protected.insert(branch.to_owned(), rules)),
                None => {
                    repo.protected.remove(branch);
                    repo.git.protect(&format!("refs/heads/{branch}"), None, &[]);
                }
            }
            repo.lay_out();
        });
    }

    /// A ruleset for a branch: its name, `~DEFAULT_BRANCH`, or `refs/heads/main`. Patterns are not known.
    pub fn adds_ruleset(self, repository: &str, include: &str, rules: Rules) -> u64 {
        assert!(!include.contains('*'), "the fake does not know patterns: {include}");
        let plain = include.starts_with('~') || include.starts_with("refs/");
        let include = if plain { include.to_owned() } else { format!("refs/heads/{include}") };
        self.change(|world| {
            let (id, set, created) = (world.named(repository), world.id(), world.now());
            let ruleset = Ruleset {
                name: "main is green".to_owned(),
                enforcement: "active".to_owned(),
                include: vec![include],
                rules,
                created,
            };
            let repo = world.repo_mut(id);
            repo.rulesets.insert(set, ruleset);
            repo.lay_out();
            set
        })
    }

    /// What a repository of this product must have: a pull request, an up-to-date branch, the check `quarterdeck` of the App.
    pub fn protects_as_needed(self, repository: &str) -> u64 {
        let rules = Rules {
            pull_request: Some(0),
            checks: vec![("quarterdeck".to_owned(), Some(APP))],
            up_to_date: true,
            ..Rules::default()
        };
        self.adds_ruleset(repository, "~DEFAULT_BRANCH", rules)
    }

    /// The App is suspended on the account, or is let in again.
    pub fn suspends(self, suspended: bool) {
        let id = self.fake.installation_id();
        self.change(|world| {
            let now = world.now();
            world.installations.get_mut(&id).unwrap().suspended = suspended.then_some(now);
            let action = if suspended { "suspend" } else { "unsuspend" };
            world.emit_installation(id, "installation", action, json!({}));
        });
    }

    /// The App may do just this on the account from now on; tokens that are out keep what they have.
    pub fn grants(self, permissions: &[(&str, &str)]) {
        let id = self.fake.installation_id();
        self.change(|world| {
            world.installations.get_mut(&id).unwrap().permissions =
                super::granted(permissions.iter().copied());
            world.emit_installation(id, "installation", "new_permissions_accepted", json!({}));
        });
    }

    /// The App has just these repositories of the account.
    pub fn installs_on(self, repositories: &[&str]) {
        let id = self.fake.installation_id();
        self.change(|world| {
            let chosen = repositories.iter().map(|name| world.named(name)).collect();
            world.installations.get_mut(&id).unwrap().repositories = Some(chosen);
            let none: Vec<Value> = Vec::new();
            let fields = json!({"repository_selection": "selected", "repositories_added": none,
                "repositories_removed": none, "requester": null});
            world.emit_installation(id, "installation_repositories", "added", fields);
        });
    }

    /// Every token that is out ends: 401 from then on.
    pub fn revokes_tokens(self) {
        self.change(|world| world.tokens.values_mut().for_each(|token| token.revoked = true));
    }

    /// A manifest was accepted on GitHub's page; its code is worth one conversion.
    /// <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
    pub fn accepts_manifest(self, manifest: &Value) -> String {
        self.change(|world| {
            let code = format!("fake-code-{}", world.id());
            world.manifests.insert(code.clone(), manifest.clone());
            code
        })
    }

    /// Looks at the real refs again, after something was written into the bare repository by hand.
    pub fn looks_again(self, repository: &str) {
        self.change(|world| {
            let id = world.named(repository);
            let by = Actor::Person(world.repo(id).owner.clone());
            world.sync(id, &by);
        });
    }

    /// An event of a kind that the fake has no state for (`release`, `merge_group`, `deployment_review`), with these fields
    /// beside repository, sender and installation.
    pub fn tells(self, repository: &str, event: &str, action: &str, fields: Value) {
        self.change(|world| {
            let id = world.named(repository);
            let by = Actor::Person(world.repo(id).owner.clone());
            world.emit(id, event, action, &by, fields);
        });
    }

    /// GitHub sends a ping, as when a webhook is new.
    pub fn pings(self) {
        self.change(|world| {
            let deliveries = world.api("/app/hook/deliveries");
            let hook = json!({"type": "App", "id": 1, "name": "web", "active": true, "events": ["*"], "app_id": APP,
                "config": {"content_type": "json", "insecure_ssl": "0"}, "created_at": world.now(),
                "updated_at": world.now(), "deliveries_url": deliveries});
            let payload = json!({"zen": "Keep it logically awesome.", "hook_id": 1, "hook": hook});
            world.deliver(APP, "ping", None, None, &payload);
        });
    }

    /// GitHub Actions begin on the head of a branch, with these jobs.
    pub fn runs_actions(self, repository: &str, branch: &str, jobs: &[&str]) -> Workflow<'a> {
        let (repo, id) = self.change(|world| {
            let repo = world.named(repository);
            let sha = world.repo(repo).branch(branch).expect("a branch that is there").clone();
            let by = Actor::Person(world.repo(repo).owner.clone());
            (repo, world.begin_run(repo, &by, branch, &sha, jobs))
        });
        Workflow { fake: self.fake, repo, id }
    }

    /// An issue as it is.
    pub fn issue(self, repository: &str, number: u64) -> Value {
        let world = self.fake.shared.world();
        let repo = world.repo(world.named(repository));
        if repo.issues.contains_key(&number) { world.issue(repo, number) } else { Value::Null }
    }

    /// A pull request as it is, with its checks as `checks` (name to status or conclusion).
    pub fn pull_request(self, repository: &str, number: u64) -> Value {
        let world = self.fake.shared.world();
        let repo = world.repo(world.named(repository));
        let Some(pull) = repo.pulls.get(&number) else { return Value::Null };
        let mut shape = world.pull(repo, number);
        shape["merged"] = json!(pull.merged.is_some());
        for run in repo.checks.values().filter(|run| run.head == pull.head_sha) {
            shape["checks"][&run.name] = json!(run.conclusion.as_ref().unwrap_or(&run.status));
        }
        shape
    }

    /// Authors and texts of the comments of an issue or a pull request, oldest first.
    pub fn comments(self, repository: &str, number: u64) -> Vec<(u64, String, String)> {
        let world = self.fake.shared.world();
        let repo = world.repo(world.named(repository));
        let of = repo.comments.values().filter(|it| it.number == number);
        of.map(|it| (it.id, world.login(&it.author), it.body.clone())).collect()
    }

    /// Reactions to a comment: who, and what.
    pub fn reactions(self, repository: &str, comment: u64) -> Vec<(String, String)> {
        let world = self.fake.shared.world();
        let repo = world.repo(world.named(repository));
        let of = repo.comments.get(&comment).map(|it| it.reactions.as_slice()).unwrap_or_default();
        of.iter().map(|it| (world.login(&it.by), it.content.clone())).collect()
    }

    /// Where a branch stands.
    pub fn branch(self, repository: &str, branch: &str) -> Option<String> {
        let world = self.fake.shared.world();
        world.repo(world.named(repository)).branch(branch).cloned()
    }
}

impl Workflow<'_> {
    /// It ends.
    pub fn ends(&self, outcome: &Outcome) {
        self.fake.shared.change(|world| {
            let jobs = world
                .repo(self.repo)
                .jobs
                .values()
                .filter(|it| it.run == self.id && it.status != "completed");
            let jobs: Vec<(u64, String)> = jobs.map(|it| (it.id, it.name.clone())).collect();
            for (id, name) in jobs {
                match outcome {
                    Outcome::Red { job, log } if *job == name => world.end_job(self.repo, id, "failure", log),
                    _ => world.end_job(self.repo, id, "success", "All is well.\n"),
                }
            }
        });
    }
}

impl Person<'_> {
    /// The same person in another repository.
    #[must_use]
    pub fn at(mut self, repository: &str) -> Self {
        repository.clone_into(&mut self.repository);
        self
    }

    /// Does something, if the person may.
    fn does<T>(&self, needs: Role, act: impl FnOnce(&mut World, u64, &Actor) -> T) -> T {
        self.fake.shared.change(|world| {
            let id = world.named(&self.repository);
            let repo = world.repo(id);
            let role = repo.role(&self.login);
            let public = (!repo.private).then_some(Role::Read);
            assert!(
                role.or(public).is_some_and(|role| role >= needs),
                "{} may not do that in {}: it needs the role {}",
                self.login,
                self.repository,
                needs.name()
            );
            act(world, id, &Actor::Person(self.login.clone()))
        })
    }

    /// Opens an issue.
    pub fn opens_issue(&self, title: &str, body: &str) -> u64 {
        self.does(Role::Read, |world, repo, by| {
            let new =
                NewIssue { title: title.to_owned(), body: Some(body.to_owned()), ..NewIssue::default() };
            world.open_issue(repo, by, new)
        })
    }

    /// Puts a label on an issue or a pull request; made where it is new.
    pub fn labels(&self, number: u64, label: &str) {
        self.does(Role::Triage, |world, repo, by| {
            let mut all: Vec<String> = world.repo(repo).issues[&number].labels.iter().cloned().collect();
            all.push(label.to_owned());
            world.set_labels(repo, by, number, &all);
        });
    }

    /// Takes a label away.
    pub fn unlabels(&self, number: u64, label: &str) {
        self.does(Role::Triage, |world, repo, by| {
            let kept = world.repo(repo).issues[&number].labels.iter().filter(|known| *known != label);
            let kept: Vec<String> = kept.cloned().collect();
            world.set_labels(repo, by, number, &kept);
        });
    }

    /// Edits title and text of an issue: its author may, and who writes.
    pub fn edits_issue(&self, number: u64, title: &str, body: &str) {
        let own = self.is_author(number);
        self.does(if own { Role::Read } else { Role::Write }, |world, repo, by| {
            world.edit_issue(repo, by, number, Some(title.to_owned()), Some(Some(body.to_owned())));
        });
    }

    fn is_author(&self, number: u64) -> bool {
        let world = self.fake.shared.world();
        let repo = world.repo(world.named(&self.repository));
        repo.issues.get(&number).is_some_and(|issue| issue.author == Actor::Person(self.login.clone()))
    }

    /// Closes an issue or a pull request.
    pub fn closes(&self, number: u64) {
        let own = self.is_author(number);
        self.does(if own { Role::Read } else { Role::Triage }, |world, repo, by| {
            world.set_open(repo, by, number, false, None);
        });
    }

    /// Opens it again.
    pub fn reopens(&self, number: u64) {
        let own = self.is_author(number);
        self.does(if own { Role::Read } else { Role::Triage }, |world, repo, by| {
            world.set_open(repo, by, number, true, None);
        });
    }

    /// Deletes an issue: 410 from then on.
    pub fn deletes_issue(&self, number: u64) {
        self.does(Role::Admin, |world, repo, by| {
            world.tell_issue(repo, number, "deleted", by, json!({}));
            if let Some(issue) = world.repo_mut(repo).issues.get_mut(&number) {
                issue.deleted = true;
            }
        });
    }

    /// Opens a milestone.
    pub fn opens_milestone(&self, title: &str) -> u64 {
        self.does(Role::Triage, |world, repo, by| world.add_milestone(repo, by, title, None, None))
    }

    /// Puts an issue into a milestone, or out of it.
    pub fn plans(&self, number: u64, milestone: Option<u64>) {
        self.does(Role::Triage, |world, repo, by| world.set_milestone(repo, by, number, milestone));
    }

    /// Comments on an issue or a pull request. The comment's id.
    pub fn comments(&self, number: u64, body: &str) -> u64 {
        self.does(Role::Read, |world, repo, by| world.add_comment(repo, by, number, body))
    }

    /// Edits a comment of one's own, or of anybody who writes.
    pub fn edits_comment(&self, id: u64, body: &str) {
        self.does(Role::Read, |world, repo, by| world.edit_comment(repo, by, id, body));
    }

    /// Deletes a comment.
    pub fn deletes_comment(&self, id: u64) {
        self.does(Role::Read, |world, repo, by| world.delete_comment(repo, by, id));
    }

    /// Forks the repository: `eve/app`, which belongs to the person.
    #[must_use]
    pub fn forks(&self) -> Self {
        self.does(Role::Read, |world, repo, _| world.fork(repo, &self.login));
        let name = self.repository.split_once('/').map_or("", |(_, name)| name);
        self.clone().at(&format!("{}/{name}", self.login))
    }

    /// Opens a pull request; `eve:work` is a branch of a fork.
    pub fn opens_pull_request(&self, head: &str, base: &str, title: &str, body: &str) -> u64 {
        self.does(Role::Read, |world, repo, by| {
            let new =
                NewIssue { title: title.to_owned(), body: Some(body.to_owned()), ..NewIssue::default() };
            world.open_pull(repo, by, head, base, new, false).unwrap_or_else(|refusal| panic!("{refusal:?}"))
        })
    }

    fn review(&self, number: u64, state: &str, body: &str) -> u64 {
        self.does(Role::Read, |world, repo, by| {
            let own = world.repo(repo).issues[&number].author == *by;
            assert!(!own || state == "COMMENTED", "{} can not judge a pull request of their own", self.login);
            world.add_review(repo, by, number, state, body, None)
        })
    }

    /// Approves the head as it is. The review's id.
    pub fn approves(&self, number: u64, body: &str) -> u64 {
        self.review(number, "APPROVED", body)
    }

    /// Wants something changed.
    pub fn requests_changes(&self, number: u64, body: &str) -> u64 {
        self.review(number, "CHANGES_REQUESTED", body)
    }

    /// A review that judges nothing.
    pub fn reviews(&self, number: u64, body: &str) -> u64 {
        self.review(number, "COMMENTED", body)
    }

    /// Comments on a line, which begins a thread. The comment's id.
    pub fn comments_on_line(&self, number: u64, path: &str, line: u64, body: &str) -> u64 {
        self.does(Role::Read, |world, repo, by| {
            let review = Some(world.add_review(repo, by, number, "COMMENTED", "", None));
            let (path, body) = (path.to_owned(), body.to_owned());
            let new = NewRemark { path, line: Some(line), body, review, answers: None };
            world.add_remark(repo, by, number, new)
        })
    }

    /// Resolves the thread that begins with a comment.
    pub fn resolves(&self, comment: u64) {
        self.does(Role::Write, |world, repo, by| world.resolve_thread(repo, by, comment, true));
    }

    /// Commits files onto a branch and pushes; a branch that is not there starts at the default one. The commit.
    pub fn pushes(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        self.does(Role::Write, |world, repo, by| {
            let held = world.repo(repo);
            let stops =
                held.rules(branch).iter().any(|it| it.pull_request.is_some() && !it.lets(&self.login));
            assert!(!stops, "{branch} of {} is protected", self.repository);
            let old = held.branch(branch).cloned();
            let parent = old.clone().or_else(|| held.branch(&held.default_branch).cloned());
            let files: Vec<(&str, Option<&[u8]>)> =
                files.iter().map(|(path, text)| (*path, Some(text.as_bytes()))).collect();
            let email = format!("{}@users.noreply.github.com", self.login);
            let commit = held.git.write(parent.as_deref(), &files, message, (&self.login, &email));
            let reference = format!("refs/heads/{branch}");
            held.git.update_ref(&reference, &commit);
            world.moved(repo, by, &reference, old.as_deref(), Some(&commit));
            commit
        })
    }

    /// Makes a branch stand at a commit, whatever stood there.
    pub fn forces(&self, branch: &str, commit: &str) {
        self.does(Role::Write, |world, repo, by| {
            let held = world.repo(repo);
            let old = held.branch(branch).cloned();
            let reference = format!("refs/heads/{branch}");
            held.git.update_ref(&reference, commit);
            world.moved(repo, by, &reference, old.as_deref(), Some(commit));
        });
    }

    /// Deletes a branch.
    pub fn deletes_branch(&self, branch: &str) {
        self.does(Role::Write, |world, repo, by| {
            let held = world.repo(repo);
            let old = held.branch(branch).cloned();
            let reference = format!("refs/heads/{branch}");
            held.git.delete_ref(&reference);
            world.moved(repo, by, &reference, old.as_deref(), None);
        });
    }

    /// Merges a pull request, or what GitHub says to that.
    ///
    /// # Errors
    /// GitHub's words, where it may not be merged.
    pub fn merges(&self, number: u64) -> Result<String, String> {
        self.does(Role::Write, |world, repo, by| {
            world.merge(repo, by, number, "merge", None, (None, None)).map_err(|refusal| refusal.message)
        })
    }

    /// Sets a commit status, as services do that are no App.
    pub fn sets_status(&self, commit: &str, context: &str, state: &str) {
        self.does(Role::Write, |world, repo, by| {
            world.add_status(repo, by, commit, (context, state, None, None));
        });
    }
}
