//! What a caller gets: a result, what would happen, that people have to agree first, or why not. Secrets are taken out and
//! long results cut here, so that nothing leaves without it.

use qd_types::ApprovalId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, Caller, Fault, Guard, Link, StoreError, blocks, outputs::cut};

/// Where a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its arguments.
    Parse,
    /// The token, the tool, what is the caller's business.
    Scope,
    /// How many.
    Limits,
    /// Policy.
    Policy,
    /// People.
    Approval,
    /// The tool itself.
    Effect,
    /// The guard's own store.
    Store,
}

impl Stage {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Scope => "scope",
            Self::Limits => "limits",
            Self::Policy => "policy",
            Self::Approval => "approval",
            Self::Effect => "effect",
            Self::Store => "store",
        }
    }
}

/// Why not, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub stage: Stage,
    /// What is wrong, as a sentence.
    pub problem: String,
    /// What the caller can do, as a sentence; empty if the problem says it.
    pub way_out: String,
    /// It can't be told whether it happened.
    pub unsure: bool,
}

impl Refusal {
    pub(super) fn new(stage: Stage, problem: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { stage, problem: problem.into(), way_out: way_out.into(), unsure: false }
    }

    pub(super) fn fault(fault: &Fault) -> Self {
        Self::new(Stage::Effect, &fault.problem, &fault.way_out).unsure(fault.unsure)
    }

    pub(super) fn store(error: &StoreError) -> Self {
        Self::new(Stage::Store, format!("{error}."), "Nothing was done. Tell whoever runs this server.")
    }

    /// There is no such request, or it is somebody else's.
    pub(super) fn not_asked(id: &ApprovalId) -> Self {
        let way_out = "Call the tool itself; the answer says what to ask again with.";
        Self::new(Stage::Approval, format!("You asked for no approval {id} here."), way_out)
    }

    pub(super) fn broken() -> Self {
        let way_out = "Look at what it was done to, and tell whoever runs this server.";
        Self::new(Stage::Effect, "The tool broke.", way_out).unsure(true)
    }

    pub(super) fn unsure(mut self, unsure: bool) -> Self {
        self.unsure = unsure;
        self
    }

    pub(super) fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }
}

/// People have to agree first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The id to ask again with.
    pub approval: String,
    /// Who: "1 operator, not the requester".
    pub people: String,
    /// What it is done to.
    pub target: String,
    /// Where it stands, as a sentence.
    pub standing: String,
    /// What a person runs to decide.
    pub decide: String,
    /// Whether they are asked in chat and on the board as well.
    pub asked_elsewhere: bool,
    /// What a reader should know about the arguments.
    pub notes: Vec<String>,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// To what.
    pub target: String,
    /// Step by step.
    pub steps: Vec<String>,
    /// Who would have to agree; `None` if nobody.
    pub people: Option<String>,
    /// What a reader should know about the arguments.
    pub notes: Vec<String>,
}

/// What a tool answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All of it.
    Whole(Value),
    /// It is too long for an answer.
    Cut {
        /// How its JSON begins.
        begins: String,
        /// Bytes of the whole.
        size: usize,
        /// Where the whole is; `None` if it is too long to be kept.
        whole: Option<Link>,
    },
}

/// What a caller gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It was done.
    Done {
        /// The tool's result.
        result: Outcome,
        /// What a reader should know about the arguments.
        notes: Vec<String>,
        /// Whether it changed something.
        changed: bool,
    },
    /// People have to agree first.
    Pending(Pending),
    /// Nothing was done, as was asked.
    Preview(Preview),
    /// Nothing was done, or it can't be told.
    Refused(Refusal),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Preview> for Answer {
    fn from(preview: Preview) -> Self {
        Self::Preview(preview)
    }
}

impl From<Pending> for Answer {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}

impl Answer {
    /// The word for it, as it stands in the trail.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Pending(_) => "pending",
            Self::Preview(_) => "preview",
            Self::Refused(refusal) if refusal.unsure => "unknown",
            Self::Refused(_) => "refused",
        }
    }
}

impl Guard {
    /// The answer as it may leave: without secrets, and not too long.
    pub(super) fn presented(&self, call: &Call, tool: &str, answer: Answer) -> Answer {
        let text = |text: String| self.0.redact.text(&text);
        let texts = |all: Vec<String>| all.into_iter().map(text).collect();
        match answer {
            Answer::Done { result, notes, changed } => {
                let result = match result {
                    Outcome::Whole(result) => self.capped(call, tool, result),
                    cut @ Outcome::Cut { .. } => cut,
                };
                Answer::Done { result, notes: texts(notes), changed }
            }
            Answer::Pending(pending) => {
                Pending { target: text(pending.target), notes: texts(pending.notes), ..pending }.into()
            }
            Answer::Preview(preview) => Preview {
                target: text(preview.target),
                steps: texts(preview.steps),
                notes: texts(preview.notes),
                people: preview.people,
            }
            .into(),
            Answer::Refused(refusal) => Refusal {
                problem: cut(&text(refusal.problem), self.0.settings.max_output).to_owned(),
                way_out: text(refusal.way_out),
                ..refusal
            }
            .into(),
        }
    }

    /// A result without secrets, and not too long.
    pub(super) fn capped(&self, call: &Call, tool: &str, result: Value) -> Outcome {
        let result = self.0.redact.value(result);
        let (text, max) = (result.to_string(), self.0.settings.max_output);
        if text.len() <= max || blocks::size(&result, text.len()) <= max {
            return Outcome::Whole(result);
        }
        let (begins, size) = (cut(&text, max / 2).to_owned(), text.len());
        Outcome::Cut { begins, size, whole: self.0.outputs.keep(&call.caller.key(), &call.id, tool, text) }
    }

    /// What was kept with an approval, as far as it is there for this caller.
    pub(super) fn told_again(&self, caller: &Caller, kept: &str) -> Outcome {
        let Ok(Kept { cut }) = serde_json::from_str(kept) else {
            return Outcome::Whole(serde_json::from_str(kept).unwrap_or_else(|_| Value::from(kept)));
        };
        let is_there = |uri: &String| self.0.outputs.read(&caller.key(), uri).is_some();
        let whole = cut.whole.filter(is_there).map(|uri| Link { uri, size: cut.size });
        Outcome::Cut { begins: cut.begins, size: cut.size, whole }
    }
}

/// A result that was cut, as it is kept with its approval. The whole is no longer there than any other is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    cut: Cut,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    begins: String,
    size: usize,
    whole: Option<String>,
}

impl Outcome {
    /// As it is kept with its approval: asked again, it is told again.
    pub(super) fn kept(&self) -> String {
        match self {
            Self::Whole(result) => result.to_string(),
            Self::Cut { begins, size, whole } => {
                let whole = whole.as_ref().map(|link| link.uri.clone());
                let kept = Kept { cut: Cut { begins: begins.clone(), size: *size, whole } };
                serde_json::to_string(&kept).unwrap_or_default()
            }
        }
    }
}
