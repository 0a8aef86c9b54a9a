//! Questions that people ask the team from afar. Each is a feature of its own, in the mode of questions; what became of it is
//! told when that feature ends, in the same transaction.

use jiff::Timestamp;
use qd_board::{
    Budget, Feature, NewFeature, PlanMode, RunEnd, Source, SourceKind, Wanted, answer, wanted::MAX_TITLE,
};
use qd_types::{PersonId, RepositoryName, Stage};
use qd_wire::v1::{Answer, Asked, BoardCommand, Order, Passage, Reply, Report};
use rusqlite::Connection;

use crate::{
    StoreError, features,
    orders::refuse,
    report, rows,
    store::{self, Lens},
};

/// The label of questions: a rule can give them an agent of their own.
const LABEL: &str = "question";

/// What is wanted when somebody asks something.
pub fn wanted(question: &str, budget: Budget) -> Wanted {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = line.chars().take(MAX_TITLE).collect();
    if title.len() < line.len() {
        title.pop();
        title.push('…');
    }
    Wanted {
        title,
        description: question.to_owned(),
        // A person waits for it.
        priority: 0,
        labels: vec![LABEL.to_owned()],
        plan: PlanMode::Answer,
        budget,
        ..Wanted::default()
    }
}

/// Files a question; where no agent could look into it, that is its answer.
pub(crate) fn ask(
    c: &Connection,
    lens: &Lens,
    asked: Asked,
    question: &Passage,
    repository: Option<RepositoryName>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(budget) = lens.settings.question else {
        return tell(c, not_looked_into(asked, question, Reply::NoAgent), now);
    };
    let repository = repository.ok_or_else(|| refuse("The team has no repository to look into."))?;
    let source = Source { kind: SourceKind::Question, reference: asked.id };
    let wanted = Wanted { source: Some(source), ..wanted(question.as_str(), budget) };
    let new = NewFeature { wanted, ready: true, ..NewFeature::titled("") }.checked()?;
    features::add(c, lens, &asked.by, new, repository, now).map(drop)
}

/// Which question a feature is, if it is one that was asked from afar.
pub(crate) fn asked(source: Option<&Source>, by: &PersonId) -> Option<Asked> {
    let source = source.filter(|source| source.kind == SourceKind::Question)?;
    Some(Asked { id: source.reference.clone(), by: by.clone() })
}

/// Tells what became of a feature that was a question, if that is how it ends.
pub(crate) fn ended(
    c: &Connection,
    lens: &Lens,
    feature: &Feature,
    stage: Stage,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(asked) = asked(feature.wanted.source.as_ref(), &feature.author) else { return Ok(()) };
    if !matches!(stage, Stage::Done | Stage::Cancelled) {
        return Ok(());
    }
    let snapshot = store::snapshot(c, lens, rows::feature_by_id(c, &feature.id)?, now)?;
    let run = snapshot.run.as_ref();
    let words = run.and_then(|run| run.words.as_deref()).unwrap_or_default();
    let reply = match run.and_then(|run| run.end.as_ref()) {
        Some(RunEnd::Answered { cites, known: true }) => {
            Reply::Said { text: words.into(), cites: cites.clone() }
        }
        Some(RunEnd::Answered { known: false, .. }) => {
            Reply::Unknown { why: answer::missing(words).as_str().into() }
        }
        Some(RunEnd::Failed { reason, .. } | RunEnd::Stopped { reason }) => {
            Reply::Unknown { why: reason.as_str().into() }
        }
        _ => Reply::Unknown { why: snapshot.why.sentence.as_str().into() },
    };
    let answer = Answer {
        asked,
        question: feature.wanted.description.as_str().into(),
        feature: Some(feature.id.clone()),
        run: run.map(|run| run.id.clone()),
        reply,
        spent: snapshot.spent,
        seconds: run.map(|run| run.seconds(now)),
    };
    tell(c, answer, now)
}

/// Tells why a question is not even looked into, if it was one.
pub(crate) fn refused(c: &Connection, order: &Order, why: &str, now: Timestamp) -> Result<(), StoreError> {
    let Order::Command { by, command: BoardCommand::Ask { id, question } } = order else { return Ok(()) };
    let asked = Asked { id: id.clone(), by: by.person.id.clone() };
    tell(c, not_looked_into(asked, question, Reply::Unknown { why: why.into() }), now)
}

fn not_looked_into(asked: Asked, question: &Passage, reply: Reply) -> Answer {
    Answer { asked, question: question.clone(), feature: None, run: None, reply, spent: None, seconds: None }
}

fn tell(c: &Connection, answer: Answer, now: Timestamp) -> Result<(), StoreError> {
    let key = format!("answer:{}", answer.asked.id);
    report::push(c, Some(&key), now, &Report::Answer(Box::new(answer)))
}
