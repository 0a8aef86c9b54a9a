//! The fields of a feature as a form has them: all text, exactly as it was typed. Not what is wanted: that is what the
//! text is read into, once.

use std::str::FromStr;

use maud::{Markup, html};
use qd_api::Problem;
use qd_board::{
    Budget, EditFeature, PlanMode, Size, Wanted,
    wanted::{DEFAULT_PRIORITY, MAX_TITLE},
};
use qd_types::IdError;
use serde::{Deserialize, Serialize};

macro_rules! typed {
    ($($name:ident => $field:literal),+ $(,)?) => {
        /// What stands in a form, each with the field of [`Wanted`] that it is a part of.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub(crate) struct Typed { $(pub(crate) $name: String),+ }

        impl Typed {
            /// The fields of [`Wanted`] that differ from `was`.
            fn changed(&self, was: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name != was.$name { names.push($field); })+
                names.dedup();
                names
            }

            /// What was typed, over what holds now: a field that was left as it `was` shows the newer value.
            pub(crate) fn over(self, was: &Self, now: Self) -> Self {
                Self { $($name: if self.$name == was.$name { now.$name } else { self.$name }),+ }
            }

            /// A browser sends line ends as CRLF.
            pub(crate) fn tidy(mut self) -> Self {
                $(self.$name = self.$name.replace("\r\n", "\n");)+
                self
            }
        }
    };
}

typed! {
    title => "title",
    description => "description",
    priority => "priority",
    labels => "labels",
    depends_on => "depends_on",
    size => "size",
    due => "due",
    checks => "checks",
    paths => "paths",
    epic => "epic",
    milestone => "milestone",
    project => "project",
    assignee => "assignee",
    agent => "agent",
    model => "model",
    plan => "plan",
    minutes => "budget",
    tokens => "budget",
    money => "budget",
}

/// Which form: a new feature shows size, due date and checks at once, an edit below "More".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// A feature is filed, in this repository.
    New { repository: &'a str },
    /// One is edited.
    Edit,
}

impl Typed {
    /// What stands in the form for what is wanted.
    pub(crate) fn of(wanted: &Wanted) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Self {
            title: wanted.title.clone(),
            description: wanted.description.clone(),
            priority: wanted.priority.to_string(),
            labels: wanted.labels.join(", "),
            depends_on: joined(&wanted.depends_on),
            size: wanted.size.map_or_else(String::new, |size| size.to_string()),
            due: wanted.due.map_or_else(String::new, |due| due.to_string()),
            checks: wanted.checks.join("\n"),
            paths: wanted.paths.join("\n"),
            epic: wanted.epic.as_ref().map_or_else(String::new, ToString::to_string),
            milestone: text(&wanted.milestone),
            project: text(&wanted.project),
            assignee: wanted.assignee.as_ref().map_or_else(String::new, ToString::to_string),
            agent: text(&wanted.agent),
            model: text(&wanted.model),
            plan: wanted.plan.as_str().to_owned(),
            minutes: wanted.budget.minutes.map_or_else(String::new, |minutes| minutes.to_string()),
            tokens: wanted.budget.tokens.map_or_else(String::new, |tokens| tokens.to_string()),
            money: wanted.budget.cents.map_or_else(String::new, money),
        }
    }

    /// Reads what was typed. A refusal names the field.
    pub(crate) fn wanted(&self) -> Result<Wanted, Problem> {
        let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Wanted {
            title: self.title.clone(),
            description: self.description.clone(),
            priority: number("Priority", &self.priority)?.unwrap_or(DEFAULT_PRIORITY),
            labels: words(&self.labels),
            depends_on: words(&self.depends_on)
                .iter()
                .map(|word| read("Waits for", word))
                .collect::<Result<_, _>>()?,
            size: maybe("Size", &self.size)?,
            due: date(&self.due)?,
            checks: lines(&self.checks),
            paths: lines(&self.paths),
            epic: maybe("Part of", &self.epic)?,
            milestone: named(&self.milestone),
            project: named(&self.project),
            assignee: maybe("Assigned to", &self.assignee)?,
            agent: named(&self.agent),
            model: named(&self.model),
            plan: maybe("Plan", &self.plan)?.unwrap_or_default(),
            budget: Budget {
                minutes: number("Minutes", &self.minutes)?,
                tokens: number("Tokens", &self.tokens)?,
                cents: cents(&self.money)?,
            },
            ..Wanted::default()
        })
    }

    /// The edit that leads from `was`, the form as it was shown, to what was typed. What a person left as it was is not
    /// part of their edit, and clashes with nobody's.
    pub(crate) fn edit(&self, was: &Self, version: u64) -> Result<EditFeature, Problem> {
        let values = serde_json::to_value(self.wanted()?).unwrap_or_default();
        let changed = self.changed(was).into_iter();
        Ok(changed.fold(EditFeature::of(Some(version)), |edit, field| edit.set(field, values.get(field))))
    }
}

fn joined<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

pub(crate) fn invalid(detail: String) -> Problem {
    Problem { kind: "invalid".into(), status: 422, detail, hint: None }
}

fn read<T: FromStr<Err = IdError>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: IdError| invalid(format!("{name}: {error}.")))
}

fn maybe<T: FromStr<Err = IdError>>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(|text| read(name, text)).transpose()
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| invalid(format!("{name}: {text:?} is not a whole number that fits.")))
}

fn date(text: &str) -> Result<Option<jiff::civil::Date>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| invalid(format!("Due: {text:?} is not a day, like 2026-12-24.")))
}

/// "5.00".
pub(crate) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn cents(text: &str) -> Result<Option<u64>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = || {
        let whole: u64 = whole.parse().ok()?;
        let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<2}").parse().ok()? };
        whole.checked_mul(100)?.checked_add(part)
    };
    Some(text)
        .filter(|_| digits(whole) && digits(part) && part.len() <= 2)
        .and_then(|_| amount())
        .map(Some)
        .ok_or_else(|| invalid(format!("Money: {text:?} is not an amount, like 5 or 5.00.")))
}

/// What a priority means.
pub(crate) fn priority(priority: u8) -> String {
    match priority {
        0 => "0, most urgent".to_owned(),
        DEFAULT_PRIORITY => format!("{priority}, as usual"),
        4 => "4, least urgent".to_owned(),
        other => other.to_string(),
    }
}

/// What a size means.
fn size(size: Size) -> String {
    let means = match size {
        Size::Xs => "minutes",
        Size::S => "an hour or so",
        Size::M => "half a day",
        Size::L => "a day or two",
        Size::Xl => "more",
    };
    format!("{}, {means}", size.as_str().to_uppercase())
}

/// What a way of planning means.
pub(crate) fn plan(plan: PlanMode) -> &'static str {
    match plan {
        PlanMode::None => "Works at once",
        PlanMode::First => "Plans first, then works",
        PlanMode::Approve => "Plans, and a person accepts the plan",
        PlanMode::Goal => "Is a goal: proposes features, a person accepts them",
        PlanMode::Page => "Is a goal: proposes features as a page, its pull request is merged",
        PlanMode::Answer => "Is a question: its run only reads, its answer is the end",
    }
}

fn choice(name: &str, label: &str, chosen: &str, options: &[(String, String)]) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                @for (value, text) in options {
                    option value=(value) selected[value == chosen] { (text) }
                }
            }
        }
    }
}

fn line(name: &str, label: &str, value: &str) -> Markup {
    html! { label { (label) input name=(name) value=(value) autocomplete="off"; } }
}

fn count(name: &str, label: &str, value: &str) -> Markup {
    html! { label { (label) input name=(name) value=(value) inputmode="decimal" autocomplete="off"; } }
}

/// The inputs of the form: what is common first, the rest below "More".
pub(crate) fn inputs(typed: &Typed, purpose: Purpose<'_>, more: bool) -> Markup {
    let priorities: Vec<(String, String)> =
        (0..=4).map(|level: u8| (level.to_string(), priority(level))).collect();
    let chosen =
        if typed.priority.is_empty() { DEFAULT_PRIORITY.to_string() } else { typed.priority.clone() };
    let new = purpose != Purpose::Edit;
    html! {
        label { "Title" input name="title" value=(typed.title) required maxlength=(MAX_TITLE) autofocus[new] autocomplete="off"; }
        label { "Description, Markdown" textarea name="description" { (typed.description) } }
        @let level = choice("priority", "Priority", &chosen, &priorities);
        @if new { div.fields { (level) (size_and_due(typed)) } }
        div.fields {
            @if !new { (level) }
            (line("labels", "Labels, with commas", &typed.labels))
            (line("depends_on", "Waits for, like A-1, A-2@review", &typed.depends_on))
        }
        @if new { (checks(typed)) }
        details.more open[more] {
            summary { "More" }
            div.stack {
                @if !new { div.fields { (size_and_due(typed)) } (checks(typed)) }
                label { "Paths that it will touch, one per line" textarea.short name="paths" { (typed.paths) } }
                div.fields {
                    (line("epic", "Part of, like A-7", &typed.epic))
                    (line("milestone", "Milestone", &typed.milestone))
                    (line("project", "Project", &typed.project))
                    (line("assignee", "Assigned to, a person", &typed.assignee))
                    (line("agent", "Agent", &typed.agent))
                    (line("model", "Model", &typed.model))
                    @if let Purpose::New { repository } = purpose {
                        (line("repository", "Repository, if there are several", repository))
                    }
                }
                (choice("plan", "Plan", &typed.plan, &[PlanMode::None, PlanMode::First, PlanMode::Approve, PlanMode::Goal, PlanMode::Page, PlanMode::Answer]
                    .map(|mode| (mode.as_str().to_owned(), plan(mode).to_owned()))))
                div.fields {
                    (count("minutes", "At most, minutes", &typed.minutes))
                    (count("tokens", "At most, tokens", &typed.tokens))
                    (count("money", "At most, money", &typed.money))
                }
            }
        }
    }
}

fn size_and_due(typed: &Typed) -> Markup {
    let mut sizes = vec![(String::new(), "Not said".to_owned())];
    sizes.extend(Size::ALL.map(|each| (each.to_string(), size(each))));
    html! {
        (choice("size", "Size", &typed.size, &sizes))
        label { "Due" input type="date" name="due" value=(typed.due); }
    }
}

fn checks(typed: &Typed) -> Markup {
    html! {
        label {
            "Checks besides the repository’s, one command per line"
            textarea.short.mono name="checks" { (typed.checks) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            title: "Split the importer".into(),
            description: "Two\nlines".into(),
            checks: vec!["cargo test".into(), "true".into()],
            size: Some(Size::M),
            labels: vec!["api".into(), "web".into()],
            depends_on: vec!["A-1".parse().unwrap(), "A-2@review".parse().unwrap()],
            paths: vec!["src/a.rs".into()],
            epic: Some("A-7".parse().unwrap()),
            milestone: Some("1.0".into()),
            plan: PlanMode::Approve,
            assignee: Some("mira".parse().unwrap()),
            due: Some("2026-12-24".parse().unwrap()),
            budget: Budget { cents: Some(505), tokens: Some(1000), minutes: Some(30) },
            ..Wanted::default()
        }
    }

    #[test]
    fn what_a_form_shows_is_read_back_as_it_was() {
        assert_eq!(Typed::of(&wanted()).wanted().unwrap(), wanted());
        assert_eq!(Typed::of(&Wanted::default()).wanted().unwrap(), Wanted::default());
    }

    #[test]
    fn an_edit_holds_what_changed_and_nothing_else() {
        let was = Typed::of(&wanted());
        let edit = |typed: &Typed| {
            let edit = serde_json::to_string(&typed.edit(&was, 3).unwrap()).unwrap();
            let mut edit: serde_json::Value = serde_json::from_str(&edit).unwrap();
            // The order of keys depends on what else is built.
            edit.sort_all_objects();
            edit.to_string()
        };
        insta::assert_snapshot!(edit(&was), @r#"{"version":3}"#);
        let typed = Typed {
            due: String::new(),
            tokens: String::new(),
            checks: "true\r\n\r\n".into(),
            size: "xl".into(),
            ..was.clone()
        };
        insta::assert_snapshot!(edit(&typed.tidy()), @r#"{"budget":{"cents":505,"minutes":30,"tokens":null},"checks":["true"],"due":null,"size":"xl","version":3}"#);
    }

    #[test]
    fn what_others_changed_meanwhile_is_shown_and_what_was_typed_is_kept() {
        let was = Typed::of(&wanted());
        let now = Typed { title: "Another title".into(), labels: "ops".into(), ..was.clone() };
        let typed = Typed { labels: "api".into(), ..was.clone() };
        let shown = typed.over(&was, now);
        assert_eq!((shown.title.as_str(), shown.labels.as_str()), ("Another title", "api"));
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        let refused = |typed: Typed| typed.wanted().unwrap_err().detail;
        insta::assert_snapshot!(refused(Typed { depends_on: "A-1, soon".into(), ..Typed::default() }), @r#"Waits for: "soon" is not a feature id: like A-142."#);
        insta::assert_snapshot!(refused(Typed { due: "soon".into(), ..Typed::default() }), @r#"Due: "soon" is not a day, like 2026-12-24."#);
        insta::assert_snapshot!(refused(Typed { minutes: "-1".into(), ..Typed::default() }), @r#"Minutes: "-1" is not a whole number that fits."#);
        insta::assert_snapshot!(refused(Typed { money: "1.234".into(), ..Typed::default() }), @r#"Money: "1.234" is not an amount, like 5 or 5.00."#);
        insta::assert_snapshot!(refused(Typed { size: "huge".into(), ..Typed::default() }), @r#"Size: "huge" is not a size: xs, s, m, l or xl."#);
    }

    #[test]
    fn money_is_exact() {
        let read = |text: &str| cents(text).ok().flatten();
        assert_eq!(
            [read("5"), read("5.0"), read("5.05"), read("0.5")].map(Option::unwrap),
            [500, 500, 505, 50]
        );
        assert_eq!(
            [read("+5"), read("5."), read("."), read("99999999999999999999")],
            [None, Some(500), None, None]
        );
    }
}
