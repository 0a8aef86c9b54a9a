//! All words and values that a client gets for an answer.

use qd_approvals::inert;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde_json::{Map, Value, json};

use crate::{Answer, Outcome, Pending, Preview, Refusal, blocks, pipeline::OUTCOME};

/// Longest name or step, in characters.
const LINE: usize = 400;

/// An answer as the protocol has it. What is refused is an error of the tool, never one of the protocol.
pub(crate) fn result(answer: Answer) -> CallToolResult {
    match answer {
        Answer::Done { result, notes, changed } => done(result, &notes, changed),
        Answer::Pending(pending) => {
            let value = json!({
                "state": "pending", "approval": pending.approval, "decide": pending.decide,
                "target": pending.target, "people": pending.people,
            });
            told(value, vec![waiting(&pending)], &pending.notes)
        }
        Answer::Preview(preview) => {
            let mut value = json!({ "state": "preview", "target": preview.target, "plan": preview.steps });
            if let (Some(people), Some(fields)) = (&preview.people, value.as_object_mut()) {
                fields.insert("people".to_owned(), Value::from(people.as_str()));
            }
            told(value, vec![would(&preview)], &preview.notes)
        }
        Answer::Refused(refusal) => CallToolResult::error(vec![ContentBlock::text(refused(&refusal))]),
    }
}

fn told(value: Value, mut texts: Vec<String>, notes: &[String]) -> CallToolResult {
    texts.extend(notes.iter().map(|note| format!("Careful: {note}")));
    let mut result = CallToolResult::success(texts.into_iter().map(ContentBlock::text).collect());
    result.structured_content = Some(value);
    result
}

fn done(outcome: Outcome, notes: &[String], changed: bool) -> CallToolResult {
    let state = |value: Value| if changed { json!({ "state": "done", "result": value }) } else { value };
    match outcome {
        Outcome::Whole(value) => {
            let (value, blocks) = blocks::apart(value);
            let text = value.to_string();
            let mut result = told(state(value), vec![text], notes);
            result.content.extend(blocks);
            result
        }
        Outcome::Cut { begins, size, whole } => {
            let mut value = Map::new();
            value.insert("begins".to_owned(), Value::from(begins.as_str()));
            value.insert("size".to_owned(), Value::from(size));
            let rest = match &whole {
                Some(link) => {
                    value.insert("whole".to_owned(), Value::from(link.uri.as_str()));
                    format!(
                        "The result takes {size} bytes, and this is its beginning; the whole is {}.",
                        link.uri
                    )
                }
                None => {
                    format!("The result takes {size} bytes, and this is its beginning. Ask for less at once.")
                }
            };
            let mut result = told(state(Value::Object(value)), vec![rest, begins], notes);
            result.content.extend(whole.map(|link| {
                let resource = Resource::new(link.uri, "the whole result").with_mime_type("application/json");
                ContentBlock::resource_link(resource.with_size(link.size as u64))
            }));
            result
        }
    }
}

pub(crate) fn waiting(pending: &Pending) -> String {
    let (target, id) = (shown(&pending.target), &pending.approval);
    let way = if pending.asked_elsewhere {
        "They decide in chat, on the board, or with"
    } else {
        "They decide with"
    };
    format!(
        "Not done yet: people have to agree first about {target} ({}). {}\n{way}\n    {}\n\
         You can't decide this yourself. Go on with something else, and ask again with {OUTCOME} and the approval {id}.",
        pending.people, pending.standing, pending.decide
    )
}

fn would(preview: &Preview) -> String {
    let people = match &preview.people {
        Some(people) => format!("People would have to agree first ({people})."),
        None => "Nobody would be asked.".to_owned(),
    };
    let steps: Vec<String> = preview.steps.iter().map(|step| format!("\n- {}", shown(step))).collect();
    format!("Nothing was done. On {}, this would happen:{}\n{people}", shown(&preview.target), steps.concat())
}

/// A name or a step on one line: what can't be seen is written out.
fn shown(text: &str) -> String {
    inert::plain(text, LINE)
}

pub(crate) fn refused(refusal: &Refusal) -> String {
    format!("{} {}", refusal.problem, refusal.way_out).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Link, Stage};

    fn text(answer: Answer) -> String {
        serde_json::to_string_pretty(&result(answer)).unwrap()
    }

    #[test]
    fn an_answer_says_what_to_do() {
        let pending = Pending {
            approval: "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            people: "1 operator, not the requester".into(),
            target: "billing-db".into(),
            standing: "Nobody has decided yet.".into(),
            decide: "quarterdeck approvals approve alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            asked_elsewhere: true,
            notes: vec![],
        };
        insta::assert_snapshot!(waiting(&pending), @"
        Not done yet: people have to agree first about billing-db (1 operator, not the requester). Nobody has decided yet.
        They decide in chat, on the board, or with
            quarterdeck approvals approve alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV
        You can't decide this yourself. Go on with something else, and ask again with call_outcome and the approval alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV.
        ");
        // Used alone, nobody is asked but in a terminal.
        insta::assert_snapshot!(waiting(&Pending { asked_elsewhere: false, ..pending }), @"
        Not done yet: people have to agree first about billing-db (1 operator, not the requester). Nobody has decided yet.
        They decide with
            quarterdeck approvals approve alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV
        You can't decide this yourself. Go on with something else, and ask again with call_outcome and the approval alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV.
        ");
        let preview = Preview {
            target: "billing-db".into(),
            steps: vec!["Stop it.".into(), "Start it.".into()],
            people: Some("1 operator, not the requester".into()),
            notes: vec![],
        };
        insta::assert_snapshot!(would(&preview), @"
        Nothing was done. On billing-db, this would happen:
        - Stop it.
        - Start it.
        People would have to agree first (1 operator, not the requester).
        ");
        let refusal = Refusal {
            stage: Stage::Policy,
            problem: "No.".into(),
            way_out: "Finish without it.".into(),
            unsure: false,
        };
        insta::assert_snapshot!(text(refusal.into()), @r#"
        {
          "resultType": "complete",
          "content": [
            {
              "type": "text",
              "text": "No. Finish without it."
            }
          ],
          "isError": true
        }
        "#);
        let whole = Some(Link { uri: "quarterdeck://output/1".into(), size: 99 });
        let cut = Outcome::Cut { begins: "[1,".into(), size: 99, whole };
        insta::assert_snapshot!(text(Answer::Done { result: cut, notes: vec![], changed: false }), @r#"
        {
          "resultType": "complete",
          "content": [
            {
              "type": "text",
              "text": "The result takes 99 bytes, and this is its beginning; the whole is quarterdeck://output/1."
            },
            {
              "type": "text",
              "text": "[1,"
            },
            {
              "type": "resource_link",
              "uri": "quarterdeck://output/1",
              "name": "the whole result",
              "mimeType": "application/json",
              "size": 99
            }
          ],
          "structuredContent": {
            "begins": "[1,",
            "size": 99,
            "whole": "quarterdeck://output/1"
          },
          "isError": false
        }
        "#);
    }
}
