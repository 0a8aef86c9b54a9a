//! Long operations: one place to see what is going on. What gave up comes first; all else is quiet.

use maud::{Markup, html};
use qd_api::TeamView;
use qd_board::{Desired, FailureClass, Observed, Operation};
use qd_look::parts;
use qd_team::Which;
use serde::{Deserialize, Serialize};

/// Which are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Filter {
    #[default]
    All,
    Running,
    GaveUp,
}

impl Filter {
    const EVERY: [Self; 3] = [Self::All, Self::Running, Self::GaveUp];

    /// What the team is asked for, besides what gave up.
    pub(crate) fn which(self) -> Which {
        match self {
            Self::All => Which::All,
            Self::Running => Which::Running,
            Self::GaveUp => Which::Dead,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Running => "running",
            Self::GaveUp => "gave_up",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Running => "Under way",
            Self::GaveUp => "Gave up",
        }
    }

    /// The path of the page, below the team's.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::All => "operations",
            Self::Running => "operations?which=running",
            Self::GaveUp => "operations?which=gave_up",
        }
    }

    fn none(self) -> &'static str {
        match self {
            Self::All => {
                "Nothing yet. Runs, checks, merges and maintenance stand here from when they begin, and can be stopped. What \
                 gave up can be tried again or dropped."
            }
            Self::Running => "Nothing is under way.",
            Self::GaveUp => "Nothing gave up.",
        }
    }
}

/// `dead` are all that gave up; `others` is what the filter found, which may hold them again.
pub(crate) fn page(team: &TeamView, filter: Filter, dead: &[Operation], others: &[Operation]) -> Markup {
    let base = format!("/teams/{}/", team.name);
    let others: Vec<&Operation> = others.iter().filter(|each| each.observed != Observed::Dead).collect();
    let dead = if filter == Filter::Running { &[] } else { dead };
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) (filter.path()) } data-every="15" {
            h1 { "Operations" }
            span.grow {}
            nav.nav aria-label="Which" {
                @for (each, key) in Filter::EVERY.into_iter().zip(["1", "2", "3"]) {
                    a href={ (base) (each.path()) } data-key=(key) aria-current=[(each == filter).then_some("true")] {
                        (each.title()) " " kbd { (key) }
                    }
                }
            }
        }
        div #operations .page data-live {
            @if !dead.is_empty() {
                section.panel.red { h2 { "Gave up" } (table(&base, filter, dead.iter())) }
            }
            @if !others.is_empty() {
                section.panel { (table(&base, filter, others.iter().copied())) }
            }
            @if dead.is_empty() && others.is_empty() {
                section.panel { (parts::empty(filter.none())) }
            }
        }
    }
}

fn table<'a>(base: &str, filter: Filter, list: impl Iterator<Item = &'a Operation>) -> Markup {
    html! {
        table.list.ops {
            thead { tr { th { "What" } th { "How it stands" } th { "Since" } th { "Attempt" } th {} } }
            tbody { @for operation in list { (row(base, filter, operation)) } }
        }
    }
}

fn row(base: &str, filter: Filter, operation: &Operation) -> Markup {
    let link = match (&operation.run, &operation.feature) {
        (Some(run), _) => Some(format!("{base}runs/{run}")),
        (None, Some(feature)) => Some(format!("{base}features/{feature}")),
        (None, None) => None,
    };
    html! {
        tr data-row=(operation.id) {
            td {
                @match link {
                    Some(link) => a.name href=(link) { (operation.title) },
                    None => span.name tabindex="0" { (operation.title) },
                }
                p { span.tag { (operation.kind) } " " span.id { (operation.subject) } }
            }
            td {
                p { b class=(if operation.observed == Observed::Dead { "bad" } else { "" }) { (stands(operation)) } }
                @if !operation.text.is_empty() { p.soft { (operation.text) } }
            }
            td.num { (parts::ago(operation.ended_at.unwrap_or(operation.started_at))) }
            td.num { span.only-phone { "attempt " } (operation.attempt) }
            td { (buttons(base, filter, operation)) }
        }
    }
}

fn stands(operation: &Operation) -> String {
    let says = |class: &FailureClass| !matches!(class, FailureClass::GaveUp | FailureClass::Unknown);
    let why = operation.class.filter(says).map_or_else(String::new, |class| format!(", {class}"));
    match operation.observed {
        Observed::Running if operation.desired == Desired::Stopped => "Is being stopped".to_owned(),
        Observed::Running => "Under way".to_owned(),
        Observed::Done => "Done".to_owned(),
        Observed::Failed => format!("Failed{why}"),
        Observed::Stopped => "Stopped".to_owned(),
        Observed::Dead => format!("Gave up{why}"),
        Observed::Retried => "Gave up, was tried again".to_owned(),
        Observed::Dropped => "Gave up, was dropped".to_owned(),
    }
}

fn buttons(base: &str, filter: Filter, operation: &Operation) -> Markup {
    let dead = operation.observed == Observed::Dead;
    let stops = operation.ended_at.is_none() && operation.desired != Desired::Stopped;
    let stops = operation.run.as_ref().filter(|_| stops);
    let form = |confirm: Option<String>, buttons: Markup| {
        html! {
            form.acts method="post" action={ (base) "do/operate" } data-confirm=[confirm] {
                input type="hidden" name="id" value=(operation.id);
                input type="hidden" name="which" value=(filter.word());
                (buttons)
            }
        }
    };
    html! {
        @if dead {
            (form(None, html! {
                @if operation.feature.is_some() {
                    button.btn name="verb" value="retry" data-row-key="r" { "Try again " kbd { "r" } }
                }
                button.btn.no name="verb" value="drop" data-row-key="x" { "Drop " kbd { "x" } }
            }))
        } @else if let Some(run) = stops {
            (form(Some(format!("Stop run {run}? Its work is kept.")), html! {
                button.btn.no name="verb" value="stop" data-row-key="s" { "Stop " kbd { "s" } }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qd_board::OperationKind;

    use super::*;

    fn operation(observed: Observed) -> Operation {
        Operation {
            id: 4,
            kind: OperationKind::Run,
            subject: "A-1.1".into(),
            feature: Some("A-1".parse().unwrap()),
            run: Some("A-1.1".parse().unwrap()),
            title: "A-1: Split".into(),
            desired: Desired::Done,
            observed,
            class: (observed == Observed::Dead).then_some(FailureClass::CheckFailed),
            text: String::new(),
            attempt: 1,
            started_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            ended_at: (observed != Observed::Running).then_some(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn each_state_says_what_it_is_and_offers_what_applies() {
        let states = [
            Observed::Running,
            Observed::Done,
            Observed::Failed,
            Observed::Stopped,
            Observed::Dead,
            Observed::Retried,
            Observed::Dropped,
        ];
        let said = states.map(|observed| {
            let operation = operation(observed);
            let buttons = buttons("/", Filter::All, &operation).into_string();
            let offered = ["stop", "retry", "drop"].into_iter();
            let offered: Vec<&str> =
                offered.filter(|verb| buttons.contains(&format!("value=\"{verb}\""))).collect();
            format!("{}: {offered:?}", stands(&operation))
        });
        insta::assert_snapshot!(said.join("\n"), @r#"
        Under way: ["stop"]
        Done: []
        Failed: []
        Stopped: []
        Gave up, check failed: ["retry", "drop"]
        Gave up, was tried again: []
        Gave up, was dropped: []
        "#);
        let stopping = Operation { desired: Desired::Stopped, ..operation(Observed::Running) };
        assert_eq!(stands(&stopping), "Is being stopped");
        assert_eq!(buttons("/", Filter::All, &stopping).into_string(), "");
    }
}
