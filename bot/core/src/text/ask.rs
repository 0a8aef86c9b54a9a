//! The words for questions to a team, and for what became of them.

use qd_text::say;
use qd_types::InstanceName;
use qd_wire::v1::{Answer, Asked, FeatureReport, Reply};

use super::{careful, inert, picture, why};

/// Longest question that is shown, in characters.
const QUESTION: usize = 240;
/// Longest answer that is shown, in characters.
const ANSWER: usize = 1200;
/// Longest reason that is shown, in characters.
const WHY: usize = 300;

fn head(by: &str, team: &InstanceName, question: &str) -> String {
    say!("ask-head", by = inert(by, QUESTION), team = team, question = inert(question, QUESTION))
}

/// A question that was given to a team.
pub fn asked(by: &str, team: &InstanceName, question: &str, sent: &str) -> String {
    format!("{}\n{sent}", head(by, team, question))
}

/// A question that stands on a team's board.
pub fn stands(asked: &Asked, team: &InstanceName, report: &FeatureReport) -> String {
    let head = head(asked.by.as_str(), team, &report.title);
    format!("{head}\n{}", say!("ask-stands", sentence = why(report), feature = report.feature))
}

/// What became of a question; `found` is what a search found, where no agent could answer.
pub fn answered(team: &InstanceName, answer: &Answer, found: &str) -> String {
    let head = head(answer.asked.by.as_str(), team, answer.question.as_str());
    let mut text = match &answer.reply {
        Reply::NoAgent => format!("{head}\n{found}"),
        Reply::Unknown { why } => {
            format!("{head}\n{}", say!("ask-unknown", team = team, why = inert(why.as_str(), WHY)))
        }
        Reply::Said { text, cites } => {
            let said = inert(text.as_str(), ANSWER);
            let cites: Vec<String> = cites.iter().map(|cited| inert(cited, WHY)).collect();
            let stands = match cites.is_empty() {
                true => say!("ask-cites-nothing"),
                false => say!("ask-cites", cites = cites.join(", ")),
            };
            format!("{head}\n> {said}\n{stands}{}", careful([text.as_str()]))
        }
    };
    let run = answer.run.as_ref().map(ToString::to_string);
    let took = answer.seconds.map(picture::took);
    let spent = answer.spent.as_ref().map(qd_types::Spent::said);
    let facts: Vec<String> = [run, took, spent].into_iter().flatten().collect();
    if !facts.is_empty() {
        text.push_str(&format!("\n{}", facts.join(" · ")));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;

    fn check(reply: Reply) -> String {
        let answer = Answer {
            asked: Asked { id: "01K".into(), by: "mira".parse().unwrap() },
            question: "Why is @everyone **blocked**?".into(),
            feature: Some("A-4".parse().unwrap()),
            run: Some("A-4.1".parse().unwrap()),
            reply,
            spent: None,
            seconds: Some(130),
        };
        answered(&"alpha".parse().unwrap(), &answer, "Nothing.").replace('\u{200b}', "~")
    }

    #[test]
    fn an_answer_is_quoted_with_what_it_stands_on_or_said_to_be_none() {
        let said = |text: &str, cites: &[&str]| {
            let cites = cites.iter().map(|cited| (*cited).to_owned()).collect();
            check(Reply::Said { text: text.into(), cites })
        };
        insta::assert_snapshot!(said("It waits for A-1:\n# now @here", &["A-1", "src/a.rs:3"]), @r#"
        **mira asks alpha:** Why is @~everyone \*\*blocked\*\*?
        > It waits for A-1: \# now @~here
        It names: A-1, src/a.rs:3.
        A-4.1 · 2 min
        "#);
        insta::assert_snapshot!(said("It is so.", &[]), @r#"
        **mira asks alpha:** Why is @~everyone \*\*blocked\*\*?
        > It is so.
        ⚠ It names nothing that there is: nothing shows that it is so.
        A-4.1 · 2 min
        "#);
        insta::assert_snapshot!(check(Reply::Unknown { why: "Its budget is *used up*.".into() }), @r#"
        **mira asks alpha:** Why is @~everyone \*\*blocked\*\*?
        alpha does not know: Its budget is \*used up\*.
        A-4.1 · 2 min
        "#);
        insta::assert_snapshot!(check(Reply::NoAgent), @r#"
        **mira asks alpha:** Why is @~everyone \*\*blocked\*\*?
        Nothing.
        A-4.1 · 2 min
        "#);
    }
}
