//! Which agent and model work on a feature, and how big it is: what the feature says, else the first rule that fits, else
//! the team's default. The answer names what decided, so that `feature why` can.

use globset::{Glob, GlobSet, GlobSetBuilder};
use qd_types::RepositoryName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Feature, Size};

/// A rule. Every condition that is given has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for `feature why`.
    pub name: String,
    /// Fits if the feature has any of these labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Fits if any declared or touched path matches any of these patterns, like `docs/**`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Fits if the feature is in any of these repositories.
    #[serde(default)]
    pub repositories: Vec<RepositoryName>,
    /// Fits if the feature has any of these sizes.
    #[serde(default)]
    pub sizes: Vec<Size>,
    /// The agent that works then.
    #[serde(default)]
    pub agent: Option<String>,
    /// The model that it is told to use.
    #[serde(default)]
    pub model: Option<String>,
    /// The size that the feature has then, if no person said one.
    #[serde(default)]
    pub size: Option<Size>,
}

/// An agent and a model: a rung of the ladder that failed features climb.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// The agent.
    pub agent: String,
    /// The model that it is told to use.
    #[serde(default)]
    pub model: Option<String>,
}

/// A pattern that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule}: {pattern:?} is not a pattern of paths, like docs/**")]
pub struct RuleError {
    /// The rule.
    pub rule: String,
    /// The pattern.
    pub pattern: String,
    /// Why.
    #[source]
    pub source: globset::Error,
}

/// All rules of a team, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<(Rule, GlobSet)>,
    ladder: Vec<Rung>,
    default_agent: Option<String>,
}

/// Who works on a feature, and what decided that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// The agent's name.
    pub agent: String,
    /// The model that it is told to use.
    pub model: Option<String>,
    /// What decided: "the feature", "rule big-ones", "the team", "rung 1 of the ladder".
    pub by: String,
}

impl Rules {
    /// Reads the rules; the first that fits decides.
    pub fn new(
        rules: Vec<Rule>,
        ladder: Vec<Rung>,
        default_agent: Option<String>,
    ) -> Result<Self, RuleError> {
        let compiled = rules.into_iter().map(|rule| {
            let mut set = GlobSetBuilder::new();
            let bad = |pattern: &str, source| RuleError {
                rule: rule.name.clone(),
                pattern: pattern.to_owned(),
                source,
            };
            for pattern in &rule.paths {
                set.add(Glob::new(pattern).map_err(|error| bad(pattern, error))?);
            }
            let set = set.build().map_err(|error| bad(&rule.paths.join(", "), error))?;
            Ok((rule, set))
        });
        Ok(Self { rules: compiled.collect::<Result<_, RuleError>>()?, ladder, default_agent })
    }

    /// Rungs above the first.
    pub fn rungs(&self) -> usize {
        self.ladder.len()
    }

    /// Whether anybody works here.
    pub fn has_agent(&self) -> bool {
        self.default_agent.is_some()
    }

    /// How big the feature is, and who says so.
    pub fn size(&self, feature: &Feature) -> Option<(Size, String)> {
        if let Some(size) = feature.wanted.size {
            return Some((size, "a person".to_owned()));
        }
        self.rules.iter().find_map(|(rule, globs)| {
            let size = rule.size?;
            fits(rule, globs, feature, None).then(|| (size, format!("rule {}", rule.name)))
        })
    }

    /// Who works on the feature; none if the team has no agent.
    pub fn assign(&self, feature: &Feature) -> Option<Assignment> {
        if let Some(rung) = feature.rung.checked_sub(1).and_then(|rung| self.ladder.get(rung as usize)) {
            let by = format!("rung {} of the ladder", feature.rung);
            return Some(Assignment { agent: rung.agent.clone(), model: rung.model.clone(), by });
        }
        let wanted = &feature.wanted;
        if let Some(agent) = &wanted.agent {
            let by = "the feature".to_owned();
            return Some(Assignment { agent: agent.clone(), model: wanted.model.clone(), by });
        }
        let size = self.size(feature).map(|(size, _)| size);
        let rule = self.rules.iter().find(|(rule, globs)| {
            (rule.agent.is_some() || rule.model.is_some()) && fits(rule, globs, feature, size)
        });
        let agent = rule.and_then(|(rule, _)| rule.agent.clone()).or_else(|| self.default_agent.clone())?;
        let by = rule.map_or_else(|| "the team".to_owned(), |(rule, _)| format!("rule {}", rule.name));
        let model = wanted.model.clone().or_else(|| rule.and_then(|(rule, _)| rule.model.clone()));
        Some(Assignment { agent, model, by })
    }
}

fn fits(rule: &Rule, globs: &GlobSet, feature: &Feature, size: Option<Size>) -> bool {
    let wanted = &feature.wanted;
    let size = wanted.size.or(size);
    let labels = rule.labels.is_empty() || rule.labels.iter().any(|label| wanted.labels.contains(label));
    let sizes = rule.sizes.is_empty() || size.is_some_and(|size| rule.sizes.contains(&size));
    let paths =
        rule.paths.is_empty() || wanted.paths.iter().chain(&feature.touched).any(|path| globs.is_match(path));
    let repositories = rule.repositories.is_empty() || rule.repositories.contains(&feature.repository);
    labels && sizes && paths && repositories
}
