//! `lesson`: list, add, remove.

use qd_api::{LessonState, LessonView, ProposeLesson};

use super::{Done, connect, encoded, explain};
use crate::{
    cli::{Common, LessonVerb},
    say,
};

pub(super) async fn lesson(common: &Common, verb: LessonVerb) -> Done {
    let mut client = connect(common)?;
    let shown: Vec<LessonView> = match verb {
        LessonVerb::List => client.get("lessons").await.map_err(explain)?,
        LessonVerb::Add { text, repository } => {
            let new = ProposeLesson { text, repository, run: None };
            vec![client.post("lessons", &new).await.map_err(explain)?]
        }
        LessonVerb::Remove { key } => {
            client.post(&format!("lessons/{}/remove", encoded(&key)), &()).await.map_err(explain)?
        }
    };
    if common.json {
        say::json(&shown);
    } else if shown.is_empty() {
        say::line("There are no lessons. Propose one with: quarterdeck lesson add TEXT");
    } else {
        shown.iter().for_each(|view| say::line(&row(view)));
    }
    Ok(())
}

fn row(view: &LessonView) -> String {
    let state = match view.state {
        LessonState::Kept => String::new(),
        LessonState::Asked => " (people are asked: quarterdeck approvals)".to_owned(),
        LessonState::Denied => {
            format!(" (not taken: {})", view.reason.as_deref().unwrap_or("people said no"))
        }
    };
    format!("{} {:<12} {}{state}", view.key, view.repository, view.text)
}
