//! Answers: free text, or a value that the question's own JSON schema takes.

use qd_types::Question;
use serde_json::Value;

/// Longest answer, in bytes of its JSON: it goes into an agent's prompt.
const MAX_ANSWER: usize = 8 * 1024;

/// What somebody wrote as an answer, as the question takes it: the text itself, or the value that it spells.
///
/// # Errors
/// Why it is no answer, for the person who wrote it.
pub fn read(question: &Question, text: &str) -> Result<Value, String> {
    let as_text = Value::String(text.to_owned());
    let Some(problem) = unfit(question, Some(&as_text)) else { return Ok(as_text) };
    let value = serde_json::from_str(text).ok().filter(|value| unfit(question, Some(value)).is_none());
    value.ok_or(problem)
}

/// The texts that the question lets one choose from; none if it takes others as well.
pub fn choices(question: &Question) -> Vec<&str> {
    let listed = question.answer.as_ref().and_then(|schema| schema.get("enum")).and_then(Value::as_array);
    let texts = listed.map(|listed| listed.iter().map(Value::as_str).collect::<Option<Vec<&str>>>());
    texts.flatten().unwrap_or_default()
}

/// Why a question can't be asked, or `None`. A schema is taken only if it is whole: nothing is fetched for it.
pub(crate) fn unaskable(question: &Question) -> Option<String> {
    let schema = question.answer.as_ref()?;
    jsonschema::validator_for(schema).err().map(|error| format!("Its answers can't be checked: {error}."))
}

/// Why this is not an answer, or `None`.
pub(crate) fn unfit(question: &Question, answer: Option<&Value>) -> Option<String> {
    let Some(answer) = answer else {
        return Some("It is a question, and takes an answer.".to_owned());
    };
    if answer.to_string().len() > MAX_ANSWER {
        return Some(format!("An answer takes at most {MAX_ANSWER} bytes."));
    }
    match &question.answer {
        None => match answer {
            Value::String(text) if !text.trim().is_empty() => None,
            _ => Some("The answer is a text that is not empty.".to_owned()),
        },
        Some(schema) => match jsonschema::validator_for(schema) {
            Err(error) => Some(format!("Its answers can't be checked: {error}.")),
            Ok(validator) => validator
                .validate(answer)
                .err()
                .map(|error| format!("That is not one of its answers: {error}.")),
        },
    }
}
