//! The face of a card: what is shown of a request, built from the typed action. Whatever an agent or an outsider wrote
//! stands in it quoted, cut, and marked as theirs.

use qd_types::{Action, PersonId};

use crate::{
    Record,
    confirm::Confirm,
    inert::{self, Warning},
};

/// Longest field, in characters.
const FIELD: usize = 300;

/// Longest words of an agent, in characters.
const WORDS: usize = 600;

/// What is shown, on whichever surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// What happens: `Merge 4f2a91c into main`.
    pub title: String,
    /// Name and value, in the order in which they are read. As they are: [`Face::markdown`] and [`Face::plain`] make them inert.
    pub fields: Vec<(&'static str, String)>,
    /// Whose words, and the words.
    pub words: Vec<(&'static str, String)>,
    /// What a reader should know about the names in it.
    pub warnings: Vec<Warning>,
    /// How to say yes; `None` when it is decided.
    pub confirm: Option<Confirm>,
    /// How it ended, once it has.
    pub ended: Option<String>,
}

impl Face {
    /// The face of a request as it stands.
    pub fn of(record: &Record) -> Self {
        let subject = &record.approval.subject;
        let mut fields = vec![("Team", format!("{}, run {}", subject.instance, subject.run))];
        let mut warnings = Vec::new();
        let mut people: Vec<String> = subject.requesters.iter().map(ToString::to_string).collect();
        if let Some(binding) = &subject.binding {
            people.extend(binding.askers.iter().map(ToString::to_string));
            let names: Vec<&str> = subject.requesters.iter().map(PersonId::as_str).collect();
            warnings.extend(inert::warnings(&binding.target, &names));
            fields.push(("On", binding.target.clone()));
            if let Some(tool) = &binding.tool {
                fields.push(("With", tool.name.clone()));
            }
            if !binding.arguments.is_null() {
                fields.push(("Arguments", binding.arguments.to_string()));
            }
            if let Some(old) = &binding.reopens {
                fields.push(("Opened again after", old.to_string()));
            }
        }
        fields.push(("For", people.join(", ")));
        fields.push(("Decide", subject.requirement.describe()));
        if let Some(until) = record.decide_until.filter(|_| record.state().is_open()) {
            fields.push(("Until", until.strftime("%Y-%m-%d %H:%M UTC").to_string()));
        }
        fields.push(("Digest", record.approval.digest.short()));
        let mut words = Vec::new();
        if let Action::Question(question) = &subject.action {
            words.push(("The agent", question.text.clone()));
        }
        if let Action::Plan(plan) = &subject.action {
            words.push(("The agent", plan.title.clone()));
        }
        words.extend(record.words.clone().map(|text| ("The agent", text)));
        let open = record.state().is_open();
        Self {
            title: subject.title(),
            fields,
            words,
            warnings,
            confirm: open.then_some(record.confirm),
            ended: (!open).then(|| {
                let reason = record.reason.clone().unwrap_or_default();
                format!("{:?}. {reason}", record.state())
            }),
        }
    }

    /// For a place that formats: nothing in it mentions, links or formats.
    pub fn markdown(&self) -> String {
        self.text(inert::markdown, |whose, text| inert::quoted(whose, text, WORDS))
    }

    /// For a place that formats nothing.
    pub fn plain(&self) -> String {
        self.text(inert::plain, |whose, text| format!("{whose} wrote: “{}”", inert::plain(text, WORDS)))
    }

    fn text(&self, one: impl Fn(&str, usize) -> String, words: impl Fn(&str, &str) -> String) -> String {
        let mut lines = vec![one(&self.title, FIELD)];
        lines.extend(self.fields.iter().map(|(name, value)| format!("{name}: {}", one(value, FIELD))));
        lines.extend(
            self.warnings.iter().map(|warning| format!("Careful: {}", one(&warning.to_string(), FIELD))),
        );
        lines.extend(self.confirm.map(|confirm| confirm.how().to_owned()));
        lines.extend(self.ended.as_ref().map(|ended| one(ended, FIELD)));
        // Last, and apart: what follows a quoted line would be taken for a part of it.
        lines.extend(self.words.iter().map(|(whose, text)| format!("\n{}", words(whose, text))));
        lines.join("\n")
    }
}
