//! Answers: free text, or a value that the question's own JSON schema takes.

use qd_types::Question;
use serde_json::Value;

/// Longest answer, in bytes of its JSON: it goes into an agent's prompt.
const MAX_ANSWER: usize = 8 * 1024;

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
