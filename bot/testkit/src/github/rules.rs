//! What keeps a pull request from being merged, and a branch from being pushed.
//! <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-protected-branches/about-protected-branches>

use super::{
    repo::{Actor, Repo, Rules},
    world::World,
};

/// Whether somebody's last word on a pull request is an approval of what it is now.
fn approvals(repo: &Repo, number: u64) -> (usize, bool) {
    let mut last = std::collections::BTreeMap::new();
    for review in repo.reviews.values().filter(|review| review.number == number) {
        // A plain comment takes nothing back.
        if matches!(review.state.as_str(), "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED") {
            last.insert(format!("{:?}", review.author), review);
        }
    }
    let may_write = |actor: &Actor| match actor {
        Actor::Person(login) => repo.role(login).is_some_and(|role| role >= super::Role::Write),
        Actor::App(_) => false,
    };
    let approved = last.values().filter(|it| it.state == "APPROVED" && may_write(&it.author)).count();
    (approved, last.values().any(|it| it.state == "CHANGES_REQUESTED" && may_write(&it.author)))
}

/// How a required check stands: passed, red, or not there yet.
fn check(repo: &Repo, sha: &str, name: &str, app: Option<u64>) -> Option<bool> {
    let mut runs = repo.checks.values().filter(|run| run.head == sha && run.name == name);
    let newest = runs.rfind(|run| app.is_none_or(|app| app == run.app));
    if let Some(run) = newest {
        let passed = matches!(run.conclusion.as_deref(), Some("success" | "neutral" | "skipped"));
        return (run.status == "completed").then_some(passed);
    }
    let mut statuses = repo.statuses.iter().filter(|it| it.sha == sha && it.context == name);
    let newest = statuses.rfind(|_| app.is_none())?;
    (newest.state != "pending").then_some(newest.state == "success")
}

impl Repo {
    /// Why a pull request may not be merged now, in GitHub's words; nothing where it may.
    /// What keeps it from being merged past the queue does not keep it from going through.
    pub(super) fn obstacle(&self, number: u64, by: &str, by_queue: bool) -> Option<String> {
        let pull = self.pulls.get(&number)?;
        self.rules(&pull.base).into_iter().filter(|rules| !rules.lets(by)).find_map(|rules| {
            if rules.merge_queue && !by_queue {
                return Some("Changes must be made through the merge queue".to_owned());
            }
            let (approved, refused) = approvals(self, number);
            if let Some(needed) = rules.pull_request
                && approved < needed as usize
            {
                let many = if needed == 1 { "review is" } else { "reviews are" };
                return Some(format!(
                    "At least {needed} approving {many} required by reviewers with write access."
                ));
            }
            if rules.pull_request.is_some() && refused {
                return Some("Changes have been requested.".to_owned());
            }
            if rules.resolved_threads && self.has_open_threads(number) {
                return Some(
                    "A conversation must be resolved before this pull request can be merged.".to_owned(),
                );
            }
            if rules.up_to_date && !rules.checks.is_empty() && self.is_behind(number) {
                return Some(
                    "Required status check is expected: the head branch is not up to date with the \
                             base branch"
                        .to_owned(),
                );
            }
            let missing =
                |(name, app): &&(String, Option<u64>)| check(self, &pull.head_sha, name, *app) != Some(true);
            let (name, app) = rules.checks.iter().find(missing)?;
            Some(match check(self, &pull.head_sha, name, *app) {
                Some(_) => format!("Required status check \"{name}\" is failing."),
                None => format!("Required status check \"{name}\" is expected."),
            })
        })
    }

    /// How all that a branch requires stands on a commit: passed, red, or not there yet.
    pub(super) fn checks_on(&self, branch: &str, sha: &str) -> Option<bool> {
        let mut required = self.rules(branch).into_iter().flat_map(|rules| &rules.checks);
        required.try_fold(true, |passed, (name, app)| Some(passed && check(self, sha, name, *app)?))
    }

    /// Whether the base has moved past what the head is built on.
    pub(super) fn is_behind(&self, number: u64) -> bool {
        self.pulls.get(&number).is_some_and(|pull| !self.git.is_ancestor(&pull.base_sha, &pull.head_sha))
    }

    fn has_open_threads(&self, number: u64) -> bool {
        let mut threads = self.remarks.values().filter(|it| it.number == number && it.answers.is_none());
        threads.any(|it| it.resolved_by.is_none())
    }

    /// Puts the refusals of a push beside the refs, for git's hook.
    pub(super) fn lay_out(&self) {
        let branches: std::collections::BTreeSet<String> = self
            .protected
            .keys()
            .cloned()
            .chain(self.rulesets.values().flat_map(|set| set.include.iter().map(|name| self.branch_of(name))))
            .collect();
        for branch in branches {
            let rules = self.rules(&branch);
            let stops: Vec<&&Rules> =
                rules.iter().filter(|it| it.pull_request.is_some() || !it.checks.is_empty()).collect();
            let reference = format!("refs/heads/{branch}");
            let bypass: Vec<String> = stops.first().map(|it| it.bypass.clone()).unwrap_or_default();
            let classic = self.protected.contains_key(&branch);
            let text = stops.first().map(|it| refusal(it, &reference, classic));
            self.git.protect(&reference, text.as_deref(), &bypass);
        }
    }

    fn branch_of(&self, include: &str) -> String {
        match include {
            "~DEFAULT_BRANCH" => self.default_branch.clone(),
            name => name.trim_start_matches("refs/heads/").to_owned(),
        }
    }
}

impl Rules {
    /// Whether somebody is on the list of those for whom they do not hold.
    pub(super) fn lets(&self, who: &str) -> bool {
        self.bypass.iter().any(|known| known == who)
    }
}

/// What a refused push is told.
/// <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/troubleshooting-rules>
fn refusal(rules: &Rules, reference: &str, classic: bool) -> String {
    let head = if classic {
        format!("error: GH006: Protected branch update failed for {reference}.\n")
    } else {
        format!("error: GH013: Repository rule violations found for {reference}.\n")
    };
    let mut reasons = String::new();
    if rules.pull_request.is_some() {
        reasons.push_str("\n- Changes must be made through a pull request.\n");
    }
    let names: Vec<String> = rules.checks.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    match names.as_slice() {
        [] => {}
        [one] => reasons.push_str(&format!("\n- Required status check {one} is expected.\n")),
        many => reasons.push_str(&format!(
            "\n- {} of {} required status checks are expected.\n",
            many.len(),
            many.len()
        )),
    }
    head + &reasons
}

impl World {
    /// Whether a pull request can be merged without conflicts, worked out by git; with the test merge that GitHub keeps at
    /// `refs/pull/N/merge`.
    pub(super) fn test_merge(&mut self, repo: u64, number: u64) -> Option<bool> {
        let held = self.repo(repo);
        let pull = held.pulls.get(&number)?;
        let key = format!("{} {}", pull.base_sha, pull.head_sha);
        if let Some((known, merge)) = &pull.tested
            && *known == key
        {
            return Some(!merge.is_empty());
        }
        let tree = held.git.merge_tree(&pull.base_sha, &pull.head_sha);
        let message = format!("Merge {} into {}", pull.head_sha, pull.base_sha);
        let merge = tree.map(|tree| {
            let who = ("GitHub", "noreply@github.com");
            let sha = held.git.commit_tree(&tree, &[&pull.base_sha, &pull.head_sha], &message, who);
            held.git.update_ref(&format!("refs/pull/{number}/merge"), &sha);
            sha
        });
        let can = merge.is_some();
        let pull = self.repo_mut(repo).pulls.get_mut(&number)?;
        pull.tested = Some((key, merge.unwrap_or_default()));
        Some(can)
    }

    /// `mergeable_state`. <https://docs.github.com/en/graphql/reference/enums#mergestatestatus>
    pub(super) fn merge_state(&self, repo: u64, number: u64, can: Option<bool>, by: &str) -> &'static str {
        let repo = self.repo(repo);
        let Some(pull) = repo.pulls.get(&number) else { return "unknown" };
        match can {
            _ if pull.merged.is_some() => "unknown",
            None => "unknown",
            Some(false) => "dirty",
            Some(true) if pull.draft => "draft",
            Some(true) => {
                let strict = repo.rules(&pull.base).iter().any(|rules| rules.up_to_date);
                if strict && repo.is_behind(number) {
                    return "behind";
                }
                if repo.obstacle(number, by, false).is_some() {
                    return "blocked";
                }
                let red = repo.checks.values().filter(|run| run.head == pull.head_sha);
                let red = red.filter(|run| run.conclusion.as_deref() != Some("success")).count();
                if red > 0 { "unstable" } else { "clean" }
            }
        }
    }
}
