//! Goals: what an agent proposes for one, a tree of features as a task list, and the checks on it before a person reads it.

use qd_types::{FeatureId, InstanceName};

use crate::{
    FieldError, Size,
    exchange::{self, Format, Link, Plan},
};

/// Most features of one proposal. More is a programme: plan its parts.
pub const MAX_PROPOSED: usize = 60;

/// The task list in what an agent said: its last fenced block that holds one, else everything from the first item or
/// heading on.
pub fn proposal(said: &str) -> String {
    let mut fenced: Option<String> = None;
    let mut open: Option<(String, String)> = None;
    for line in said.lines() {
        let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
        open = match open.take() {
            None if ticks >= 3 => Some(("`".repeat(ticks), String::new())),
            None => None,
            Some((fence, body)) if line.trim() == fence => {
                if has_items(&body) {
                    fenced = Some(body);
                }
                None
            }
            Some((fence, body)) => Some((fence, body + line + "\n")),
        };
    }
    fenced.unwrap_or_else(|| {
        let from = said.lines().position(|line| is_item(line) || line.starts_with('#'));
        said.lines().skip(from.unwrap_or(0)).map(|line| format!("{line}\n")).collect()
    })
}

fn has_items(text: &str) -> bool {
    text.lines().any(is_item)
}

fn is_item(line: &str) -> bool {
    line.trim_start().strip_prefix(['-', '*', '+']).is_some_and(|rest| rest.starts_with(" ["))
}

/// Reads a proposal for a goal: references resolved, no circles, every feature with a size that one run can do, all of
/// it parts of the goal.
pub fn read(goal: &FeatureId, own: &InstanceName, text: &str) -> Result<Plan, FieldError> {
    let mut batch = exchange::read(Format::Markdown, text)?;
    batch.items.iter_mut().for_each(settle_id);
    if batch.items.len() > MAX_PROPOSED {
        let problem = format!(
            "has {} features, and {MAX_PROPOSED} fit: propose the first milestones, the others later",
            batch.items.len()
        );
        return Err(refuse(problem));
    }
    let parents: Vec<Option<usize>> = batch.items.iter().map(|item| item.parent).collect();
    for (index, item) in batch.items.iter().enumerate() {
        let (place, title) = (&item.place, &item.wanted.title);
        let has_parts = parents.contains(&Some(index));
        match item.wanted.size {
            None if !has_parts => {
                let problem = format!("{place}: {title:?} has no size: add one, like (size m)");
                return Err(refuse(problem));
            }
            Some(Size::Xl) if !has_parts => {
                let problem = format!("{place}: {title:?} is xl, too big for one run: split it");
                return Err(refuse(problem));
            }
            _ => {}
        }
    }
    let mut plan = batch.plan(own, &format!("plan of {goal}"))?;
    for item in &mut plan.items {
        item.epic.get_or_insert_with(|| Link::Board(goal.clone()));
    }
    Ok(plan)
}

/// An agent gives ids to all, also where nothing refers to them: they are no part of the title.
fn settle_id(item: &mut exchange::Item) {
    let lone = item.wanted.title.strip_suffix(')').and_then(|title| title.rsplit_once(" ("));
    if let Some((title, Ok(id))) = lone.map(|(title, id)| (title.to_owned(), id.parse())) {
        item.id = Some(id);
        item.wanted.title = title;
    }
}

fn refuse(problem: impl Into<String>) -> FieldError {
    FieldError { field: "plan", problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "## Read\n\n- [ ] Read lines (P-1, size s)\n- [ ] Read files (P-2, size m, after P-1)\n\n## Write\n\n- [ ] Write (P-3)\n  - [ ] Write lines (size s, after P-2)\n";

    fn own() -> InstanceName {
        "alpha".parse().unwrap()
    }

    fn goal() -> FeatureId {
        "A-7".parse().unwrap()
    }

    #[test]
    fn a_proposal_is_found_in_what_an_agent_says() {
        let said = format!("I looked at it.\n\n```sh\nls\n```\n\n```markdown\n{TREE}```\n\nThat is all.");
        assert_eq!(proposal(&said), TREE);
        assert_eq!(proposal(&format!("Here:\n\n{TREE}")), TREE);
        assert_eq!(proposal("No idea."), "No idea.\n");
    }

    #[test]
    fn a_tree_becomes_parts_of_its_goal() {
        let plan = read(&goal(), &own(), TREE).unwrap();
        let shown: Vec<String> = plan
            .items
            .iter()
            .map(|item| {
                let milestone = item.wanted.milestone.as_deref().unwrap_or("");
                format!("{} [{milestone}] in {:?} after {:?}", item.wanted.title, item.epic, item.depends_on)
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        Read lines [Read] in Some(Board(FeatureId { prefix: "A", number: 7 })) after []
        Read files [Read] in Some(Board(FeatureId { prefix: "A", number: 7 })) after [(Item(0), Done)]
        Write [Write] in Some(Board(FeatureId { prefix: "A", number: 7 })) after []
        Write lines [Write] in Some(Item(2)) after [(Item(1), Done)]
        "#);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refused = |text: &str| read(&goal(), &own(), text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("- [ ] One"), @r#"plan: line 1: "One" has no size: add one, like (size m)"#);
        insta::assert_snapshot!(refused("- [ ] One (size xl)"), @r#"plan: line 1: "One" is xl, too big for one run: split it"#);
        insta::assert_snapshot!(refused("- [ ] One (P-1, size s, after P-2)\n- [ ] Two (P-2, size s, after P-1)"), @"import: line 1 would make a circle: line 1 waits for line 2 waits for line 1. Take one of these out");
        insta::assert_snapshot!(refused("No idea."), @"import: holds no feature: it needs at least one line like - [ ] What is wanted");
        insta::assert_snapshot!(refused(&"- [ ] More (size s)\n".repeat(61)), @"plan: has 61 features, and 60 fit: propose the first milestones, the others later");
    }
}
