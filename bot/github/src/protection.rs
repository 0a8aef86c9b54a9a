//! Whether a repository's target is protected against everything but the merge train: by rulesets, by the classic protection
//! of branches, or by both. Not what protects it: people set that up.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use qd_core::forge::ForgeError;
use qd_types::RepositoryName;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{GitHub, app::Scope, client::CallError, forge::Here};

/// The check that turns green by a grant alone.
pub const CHECK: &str = "quarterdeck";

/// How long an answer counts.
const COUNTS: Duration = Duration::from_secs(600);

/// What a target lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// It can be pushed to.
    NoPullRequest,
    /// What is behind it can be merged.
    NotUpToDate,
    /// The check is not required.
    NoCheck,
    /// The check is required, and may come from anybody.
    AnybodysCheck,
    /// The App may go around it.
    Bypass,
    /// Whether the App may go around it is not shown.
    BypassHidden,
    /// The classic protection is not shown.
    Hidden,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPullRequest => "it can be pushed to without a pull request: require one before merging",
            Self::NotUpToDate => "a branch that is behind it can be merged: require branches to be up to date",
            Self::NoCheck => "the check quarterdeck is not required: require it, with this App as its source",
            Self::AnybodysCheck => {
                "the check quarterdeck may come from anybody: name this App as its source (a personal token can't be one)"
            }
            Self::Bypass => "the App is on the list of those who may bypass the rules: take it off",
            Self::BypassHidden => {
                "it is not shown whether the App may bypass the rules: give the App the permission administration: read"
            }
            Self::Hidden => {
                "its classic protection is not shown: give the App the permission administration: read, or protect it by a \
                 ruleset"
            }
        })
    }
}

/// How a target is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// What is lacking. Nothing, if all holds.
    pub gaps: Vec<Gap>,
    /// Whether merges go through the repository's own queue.
    pub merge_queue: bool,
}

/// Answers that still count.
#[derive(Debug, Default)]
pub(crate) struct Protections(Mutex<BTreeMap<(RepositoryName, String), (Instant, Protection)>>);

/// A rule that holds for a branch (docs.github.com, "Get rules for a branch").
#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Value,
    #[serde(default)]
    ruleset_id: Option<u64>,
}

/// Who may go around a ruleset (docs.github.com, "Get a repository ruleset").
#[derive(Deserialize)]
struct Ruleset {
    bypass_actors: Option<Vec<Actor>>,
    current_user_can_bypass: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    actor_id: Option<u64>,
    actor_type: String,
}

/// What a source of rules asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Asks {
    pull_request: bool,
    up_to_date: bool,
    check: bool,
    check_from_app: bool,
}

impl Asks {
    fn and(self, other: Self) -> Self {
        Self {
            pull_request: self.pull_request || other.pull_request,
            up_to_date: self.up_to_date || other.up_to_date,
            check: self.check || other.check,
            check_from_app: self.check_from_app || other.check_from_app,
        }
    }

    fn is_all(self) -> bool {
        self.pull_request && self.up_to_date && self.check_from_app
    }

    /// What required checks ask for. `source` is the key under which each says from which App it has to come.
    fn checks(list: &Value, source: &str, app: Option<u64>) -> Self {
        let each = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = each.iter().find(|check| check.get("context").and_then(Value::as_str) == Some(CHECK));
        let from = ours.and_then(|check| check.get(source)).and_then(Value::as_u64);
        Self { check: ours.is_some(), check_from_app: app.is_some() && from == app, ..Self::default() }
    }
}

impl Here<'_> {
    /// How the target is protected; refused if it is not, and that is not allowed.
    pub(crate) async fn protected(&self, target: &str) -> Result<Protection, ForgeError> {
        let found = self.protection(target).await.map_err(|error| self.said(error, None))?;
        let Some(first) = found.gaps.first().filter(|_| !self.github.allow_unprotected) else {
            return Ok(found);
        };
        Err(ForgeError::Refused {
            reason: format!(
                "{target} of {} is not protected: {first}. Protect it (quarterdeck doctor names all that is missing), or set \
                 github.allow_unprotected",
                self.place
            ),
        })
    }

    pub(crate) async fn protection(&self, target: &str) -> Result<Protection, CallError> {
        let key = (self.repository.clone(), target.to_owned());
        let known = |protections: &Protections| {
            let all = protections.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).filter(|(at, _)| at.elapsed() < COUNTS).map(|(_, known)| known.clone())
        };
        if let Some(known) = known(&self.github.protections) {
            return Ok(known);
        }
        let found = self.look(target).await?;
        let mut all = self.github.protections.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, (Instant::now(), found.clone()));
        Ok(found)
    }

    async fn look(&self, target: &str) -> Result<Protection, CallError> {
        let app = self.github.tokens.own().await?.app;
        let branch = crate::forge::part_of_branch(target);
        let rules: Vec<Rule> = match self.list(&format!("/rules/branches/{branch}")).await {
            Ok(rules) => rules,
            // An own server from before there were rulesets.
            Err(CallError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let merge_queue = rules.iter().any(|rule| rule.kind == "merge_queue");
        let mut asks = Asks { up_to_date: merge_queue, ..Asks::default() };
        let mut gaps = Vec::new();
        let mut rulesets = Vec::new();
        for rule in &rules {
            let asked = match rule.kind.as_str() {
                "pull_request" => Asks { pull_request: true, ..Asks::default() },
                "required_status_checks" => {
                    let at = |key: &str| rule.parameters.get(key).unwrap_or(&Value::Null);
                    let strict = at("strict_required_status_checks_policy").as_bool().unwrap_or_default();
                    let checks = Asks::checks(at("required_status_checks"), "integration_id", app);
                    Asks { up_to_date: strict, ..checks }
                }
                _ => continue,
            };
            asks = asks.and(asked);
            rulesets.extend(rule.ruleset_id.filter(|id| !rulesets.contains(id)));
        }
        for id in rulesets {
            gaps.extend(self.bypass(id, app).await?);
        }
        if !asks.is_all() {
            match self.classic(&branch, app).await {
                Ok((classic, bypass)) => {
                    asks = asks.and(classic);
                    gaps.extend(bypass.then_some(Gap::Bypass));
                }
                Err(CallError::Forbidden(_)) => gaps.push(Gap::Hidden),
                Err(error) => return Err(error),
            }
        }
        let lacking = [
            (!asks.pull_request, Gap::NoPullRequest),
            (!asks.up_to_date, Gap::NotUpToDate),
            (!asks.check, Gap::NoCheck),
            (asks.check && !asks.check_from_app, Gap::AnybodysCheck),
        ];
        let mut all: Vec<Gap> = lacking.into_iter().filter_map(|(lacks, gap)| lacks.then_some(gap)).collect();
        for gap in gaps {
            if !all.contains(&gap) {
                all.push(gap);
            }
        }
        Ok(Protection { gaps: all, merge_queue })
    }

    /// Whether the App may go around a ruleset. Its list is shown to those alone who may change it; to others GitHub says how
    /// they stand themselves.
    async fn bypass(&self, id: u64, app: Option<u64>) -> Result<Option<Gap>, CallError> {
        let path = format!("/rulesets/{id}?includes_parents=true");
        let ruleset: Ruleset = match self.get(&path).await {
            Ok(ruleset) => ruleset,
            Err(CallError::NotFound(_) | CallError::Forbidden(_)) => return Ok(Some(Gap::BypassHidden)),
            Err(error) => return Err(error),
        };
        if let Some(actors) = &ruleset.bypass_actors {
            let is_us = |actor: &Actor| actor.actor_type == "Integration" && actor.actor_id == app;
            if app.is_some() && actors.iter().any(is_us) {
                return Ok(Some(Gap::Bypass));
            }
        }
        Ok(match (ruleset.current_user_can_bypass.as_deref(), ruleset.bypass_actors) {
            (Some("never"), _) => None,
            (Some(_), _) => Some(Gap::Bypass),
            (None, Some(_)) if app.is_some() => None,
            (None, _) => Some(Gap::BypassHidden),
        })
    }

    /// The classic protection (docs.github.com, "Get branch protection"), and whether the App is on its bypass list.
    async fn classic(&self, branch: &str, app: Option<u64>) -> Result<(Asks, bool), CallError> {
        let found: Result<Value, _> =
            self.to(Scope::Protection).get(&format!("/branches/{branch}/protection")).await;
        let found = match found {
            Ok(found) => found,
            Err(CallError::NotFound(_)) => return Ok((Asks::default(), false)),
            Err(error) => return Err(error),
        };
        let at = |path: &str| found.pointer(path).unwrap_or(&Value::Null);
        let checks = Asks::checks(at("/required_status_checks/checks"), "app_id", app);
        let asks = Asks {
            pull_request: at("/required_pull_request_reviews").is_object(),
            up_to_date: at("/required_status_checks/strict").as_bool().unwrap_or_default(),
            ..checks
        };
        let apps = at("/required_pull_request_reviews/bypass_pull_request_allowances/apps");
        let apps = apps.as_array().map(Vec::as_slice).unwrap_or_default();
        let bypass = app.is_some() && apps.iter().any(|one| one.get("id").and_then(Value::as_u64) == app);
        Ok((asks, bypass))
    }
}

impl GitHub {
    /// How the target of a repository is protected.
    pub async fn protection(
        &self,
        repository: &RepositoryName,
        target: &str,
    ) -> Result<Protection, ForgeError> {
        let here = self.here(repository)?;
        here.protection(target).await.map_err(|error| here.said(error, None))
    }
}
