//! Rules as data: what people see of what happens, where, in which form, when, and how much of it. The default is a file in
//! this crate; the configuration replaces single lines of it. Approvals have no rule: they always are cards.

pub(crate) mod digest;
mod facts;
pub(crate) mod features;
pub(crate) mod pictures;
pub(crate) mod pipeline;
pub(crate) mod query;
pub(crate) mod risk;
mod schedule;

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::{budget::Budget, chat::Channel};

pub use digest::{Decisions, TeamStands};
pub use facts::{Day, Digest, Fact, Facts, Noted, Pipeline, PipelineKind, Stands, Told};
pub use risk::{Risk, risks};
pub use schedule::{Daily, TeamHour, Weekly};

const DEFAULT: &str = include_str!("default.toml");

/// In which form something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One message, edited as things go on.
    Living,
    /// One message per cause, closed when it is over.
    Alert,
    /// A line in the next digest, or a digest itself.
    Digest,
    /// Not at all.
    Nothing,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Living => "living",
            Self::Alert => "alert",
            Self::Digest => "digest",
            Self::Nothing => "nothing",
        }
    }
}

/// Where one kind of event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where.
    pub channel: Channel,
    /// How.
    pub form: Form,
}

/// Where each kind of event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// A feature that was begun.
    pub feature: Route,
    /// A team, as it stands, with its board.
    pub instance: Route,
    /// How a team did in the last days.
    pub charts: Route,
    /// What needs a person.
    pub alert: Route,
    /// A workflow on the default branch.
    pub workflow: Route,
    /// A deployment to an environment.
    pub environment: Route,
    /// What is said to all teams.
    pub announcement: Route,
    /// Progress of a milestone.
    pub milestone: Route,
    /// The stand-up of a team.
    pub standup: Route,
    /// The week of the fleet.
    pub weekly: Route,
}

impl Routes {
    /// Each kind, its route, and the forms that it can take.
    fn all(&self) -> [(&'static str, Route, &'static [Form]); 10] {
        use Form::{Alert, Digest, Living, Nothing};
        [
            ("feature", self.feature, &[Living, Nothing]),
            ("instance", self.instance, &[Living, Nothing]),
            ("charts", self.charts, &[Living, Nothing]),
            // What needs a person is told in any case.
            ("alert", self.alert, &[Alert, Digest]),
            ("workflow", self.workflow, &[Alert, Digest, Nothing]),
            ("environment", self.environment, &[Alert, Digest, Nothing]),
            ("announcement", self.announcement, &[Living]),
            ("milestone", self.milestone, &[Living, Digest, Nothing]),
            ("standup", self.standup, &[Digest, Nothing]),
            ("weekly", self.weekly, &[Digest, Nothing]),
        ]
    }
}

/// When digests are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// The stand-up of each team.
    pub standup: Daily,
    /// The week of the fleet.
    pub weekly: Weekly,
}

/// From when on something is a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Hours without a change, of a feature that runs.
    pub no_progress_hours: u32,
    /// Percent of what a usual day costs, that a day has cost.
    pub cost_percent: u32,
    /// Hours that a request to people is open.
    pub approval_hours: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Routes,
    digests: Digests,
    risks: Thresholds,
    budget: Budget,
}

/// How what happens becomes what people see. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Distil {
    /// What goes where.
    pub routes: Routes,
    /// When digests are due.
    pub digests: Digests,
    /// What counts as a risk.
    pub risks: Thresholds,
    /// How much is said in each channel.
    pub budget: Budget,
    /// The fleet's time zone: of the hours of digests, and of the times in them.
    pub zone: Arc<TimeZone>,
}

/// Rules that make no sense. The message names the key and what would make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DistilError(String);

impl Distil {
    /// The default with `own` in place of its lines: a table with any of `rules`, `digests`, `risks` and `budget`, as they
    /// stand below `chat` in the configuration.
    pub fn new(own: &Value, zone: TimeZone) -> Result<Self, DistilError> {
        let mut all: Value = toml::from_str(DEFAULT).map_err(|error| DistilError(error.to_string()))?;
        if !own.is_null() {
            lay_over(&mut all, own);
        }
        let file: File = serde_path_to_error::deserialize(all)
            .map_err(|error| DistilError(format!("chat.{}: {}", error.path(), error.inner())))?;
        let File { rules, digests, risks, budget } = file;
        for (kind, route, forms) in rules.all() {
            if !forms.contains(&route.form) {
                let can: Vec<&str> = forms.iter().map(|form| form.as_str()).collect();
                return Err(DistilError(format!(
                    "chat.rules.{kind}.form: {kind} can't be {}, it is {}",
                    route.form.as_str(),
                    can.join(" or "),
                )));
            }
            if matches!(route.channel, Channel::Approvals | Channel::Fallback) {
                return Err(DistilError(format!(
                    "chat.rules.{kind}.channel: #{} is for cards; there is dev, alerts and standup",
                    route.channel.as_str(),
                )));
            }
        }
        budget.check().map_err(|problem| DistilError(format!("chat.budget.{problem}")))?;
        let thresholds = [
            ("no_progress_hours", risks.no_progress_hours),
            ("cost_percent", risks.cost_percent),
            ("approval_hours", risks.approval_hours),
        ];
        if let Some((key, _)) = thresholds.iter().find(|(_, value)| *value == 0) {
            return Err(DistilError(format!("chat.risks.{key}: it is at least 1, not 0")));
        }
        Ok(Self { routes: rules, digests, risks, budget, zone: Arc::new(zone) })
    }
}

/// Puts what somebody gave in the place of what stands there; what they left out stays.
fn lay_over(all: &mut Value, own: &Value) {
    match (all, own) {
        (Value::Object(all), Value::Object(own)) => {
            for (key, value) in own {
                if !value.is_null() {
                    lay_over(all.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (all, own) => *all = own.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(own: &Value) -> String {
        match Distil::new(own, TimeZone::UTC) {
            Ok(distil) => {
                let rules: Vec<String> = distil
                    .routes
                    .all()
                    .iter()
                    .map(|(kind, route, _)| {
                        format!("{kind} {} {}", route.channel.as_str(), route.form.as_str())
                    })
                    .collect();
                rules.join("\n")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_default_makes_sense_and_single_lines_are_replaced() {
        insta::assert_snapshot!(check(&json!({})), @"
        feature dev living
        instance standup living
        charts standup living
        alert alerts alert
        workflow alerts alert
        environment alerts alert
        announcement dev living
        milestone standup digest
        standup standup digest
        weekly standup digest
        ");
        let own =
            json!({ "rules": { "instance": { "channel": "dev", "form": "nothing" } }, "digests": null });
        assert!(check(&own).contains("instance dev nothing"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let rule = |kind: &str, channel: &str, form: &str| {
            check(&json!({ "rules": { kind: { "channel": channel, "form": form } } }))
        };
        insta::assert_snapshot!(rule("featuer", "dev", "living"), @"chat.rules.featuer: unknown field `featuer`, expected one of `feature`, `instance`, `charts`, `alert`, `workflow`, `environment`, `announcement`, `milestone`, `standup`, `weekly`");
        insta::assert_snapshot!(rule("feature", "def", "living"), @"chat.rules.feature.channel: unknown variant `def`, expected one of `dev`, `alerts`, `approvals`, `standup`, `fallback`");
        insta::assert_snapshot!(rule("feature", "dev", "alive"), @"chat.rules.feature.form: unknown variant `alive`, expected one of `living`, `alert`, `digest`, `nothing`");
        insta::assert_snapshot!(rule("alert", "alerts", "nothing"), @"chat.rules.alert.form: alert can't be nothing, it is alert or digest");
        insta::assert_snapshot!(rule("feature", "approvals", "living"), @"chat.rules.feature.channel: #approvals is for cards; there is dev, alerts and standup");
        insta::assert_snapshot!(check(&json!({ "digests": { "standup": "9 o'clock" } })), @r#"chat.digests.standup: "9 o'clock" is no time of a day, like 09:00, and not never"#);
        insta::assert_snapshot!(check(&json!({ "digests": { "weekly": "someday 09:00" } })), @r#"chat.digests.weekly: "someday 09:00" is no hour of a week, like mon 09:00, and not never"#);
        insta::assert_snapshot!(check(&json!({ "risks": { "approval_hours": 0 } })), @"chat.risks.approval_hours: it is at least 1, not 0");
        insta::assert_snapshot!(check(&json!({ "budget": { "per_minute": 600 } })), @"chat.budget.per_minute: it is 1 to 60, not 600");
        insta::assert_snapshot!(check(&json!({ "budget": { "burst": 1 } })), @"chat.budget.burst: it is 4 to 60, one for each class, not 1");
    }
}
