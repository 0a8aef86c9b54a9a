//! What is written is read back, and what can't be read says where and why.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{Dependency, Size, Until};

fn exported(number: u32, title: &str) -> Exported {
    Exported {
        id: FeatureId::new("A", number).unwrap(),
        stage: Stage::Backlog,
        repository: "sample".parse().unwrap(),
        wanted: Wanted { title: title.into(), ..Wanted::default() },
        comments: Vec::new(),
    }
}

fn document(features: Vec<Exported>) -> Document {
    Document { version: VERSION, team: alpha(), features }
}

fn alpha() -> InstanceName {
    "alpha".parse().unwrap()
}

fn plan(format: Format, text: &str) -> Result<Plan, FieldError> {
    read(format, text)?.plan(&alpha(), "tasks.md")
}

/// What a file is read as, a line per item; or why it is not.
fn said(text: &str) -> String {
    let plan = match plan(Format::Markdown, text) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    let line = |item: &Planned| {
        let wanted = &item.wanted;
        let (epic, needs) = (&item.epic, &item.depends_on);
        let rest = serde_json::json!({
            "due": wanted.due, "labels": wanted.labels, "milestone": wanted.milestone, "p": wanted.priority,
            "size": wanted.size, "text": wanted.description, "who": wanted.assignee,
        });
        format!("{}: {} {} {epic:?} {needs:?} {rest}", item.place, item.stage, item.reference)
    };
    plan.items.iter().map(line).chain(plan.notes).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_board_is_written_as_task_lists() {
    let mut epic = exported(1, "Split the importer (again)");
    epic.wanted.description = "First the parser.\n\n- [ ] is not a part\n    code".into();
    epic.wanted.priority = 0;
    let mut part = exported(2, "The parser");
    part.wanted = Wanted { epic: Some(epic.id.clone()), size: Some(Size::M), ..part.wanted };
    part.stage = Stage::Done;
    let mut later = exported(3, "The writer");
    later.wanted.milestone = Some("Spring".into());
    later.wanted.labels = vec!["io, slow".into(), "ui".into()];
    later.wanted.due = Some("2026-12-24".parse().unwrap());
    later.wanted.depends_on = vec!["A-1".parse().unwrap(), "A-2@review".parse().unwrap()];
    let mut gone = exported(4, "The reader");
    gone.stage = Stage::Cancelled;
    gone.wanted = Wanted { epic: Some(later.id.clone()), ..gone.wanted };
    gone.wanted.assignee = Some("mira".parse().unwrap());
    insta::assert_snapshot!(write_markdown(&document(vec![epic, part, later, gone])), @r"
    <!-- quarterdeck: board of alpha, version 1 -->

    - [ ] Split the importer (again) (A-1, p0)

      First the parser.

      \- [ ] is not a part
          code

      - [x] The parser (A-2, size m)

    ## Spring

    - [ ] The writer (A-3, #io\, slow, #ui, due 2026-12-24, after A-1, after A-2@review)
      - [-] The reader (A-4, @mira, no milestone)
    ");
}

#[test]
fn task_lists_are_read_as_people_write_them() {
    insta::assert_snapshot!(said("\
# Spring

Some words.

* [ ] Read files (#IO, p1)

    In chunks.

    - not a task
\t- [ ] Open them
\t- [X] Close them (due 2026-12-24, @mira)
  Back to the first.
- [ ] Decode text (UTF-8)
- [ ] Write files (B-7, size s)
- [ ] Say so (after B-7@review)
- [ ] Twice
- [ ] Twice
"), @r#"
    line 5: backlog tasks.md: Read files None [] {"due":null,"labels":["io"],"milestone":"Spring","p":1,"size":null,"text":"In chunks.\n\n  - not a task\nBack to the first.","who":null}
    line 10: backlog tasks.md: Read files / Open them Some(Item(0)) [] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":null}
    line 11: done tasks.md: Read files / Close them Some(Item(0)) [] {"due":"2026-12-24","labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":"mira"}
    line 13: backlog tasks.md: Decode text (UTF-8) None [] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":null}
    line 14: backlog tasks.md: B-7 None [] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":"s","text":"","who":null}
    line 15: backlog tasks.md: Say so None [(Item(4), Review)] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":null}
    line 16: backlog tasks.md: Twice None [] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":null}
    line 17: backlog tasks.md: Twice #2 None [] {"due":null,"labels":[],"milestone":"Spring","p":2,"size":null,"text":"","who":null}
    1 line outside of every item, line 3 first, left out: indent what belongs to an item.
    "#);
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    insta::assert_snapshot!(said("# Only words\n"), @"import: holds no feature: it needs at least one line like - [ ] What is wanted");
    insta::assert_snapshot!(said("- [ ] One\n- [ ]\n"), @"import: line 2: title: is empty: say in one line what is wanted");
    insta::assert_snapshot!(said("- [ ] One (p1, p7)\n"), @r#"import: line 1: "p7" is not known in parentheses behind a title. There are an id like A-3, p0 to p4, size m, #label, due 2026-12-24, after A-1, after A-1@review, part of A-1, @person, in REPOSITORY, milestone NAME and no milestone"#);
    insta::assert_snapshot!(said("- [ ] One (A-1, p1)\n- [ ] Two (A-1, p2)\n"), @"import: line 2: A-1 stands at line 1 too: give every item an id of its own");
    insta::assert_snapshot!(said("- [ ] One (A-1, after A-2)\n- [ ] Two (A-2, after A-3)\n- [ ] Three (A-3, after A-2)\n"), @"import: line 2 would make a circle: line 2 waits for line 3 waits for line 2. Take one of these out");
    insta::assert_snapshot!(said("- [ ] One (A-1)\n  - [ ] Two (A-2)\n- [ ] Three (A-1)\n"), @r#"
    line 1: backlog tasks.md: One (A-1) None [] {"due":null,"labels":[],"milestone":null,"p":2,"size":null,"text":"","who":null}
    line 2: backlog tasks.md: One (A-1) / Two (A-2) Some(Item(0)) [] {"due":null,"labels":[],"milestone":null,"p":2,"size":null,"text":"","who":null}
    line 3: backlog tasks.md: Three (A-1) None [] {"due":null,"labels":[],"milestone":null,"p":2,"size":null,"text":"","who":null}
    "#);
    insta::assert_snapshot!(said("- [ ] One (A-1, part of A-1)\n"), @"import: line 1 would make a circle: line 1 is a part of line 1. Take one of these out");
    insta::assert_snapshot!(said("<!-- quarterdeck: board of beta, version 1 -->\n- [ ] One (after A-9)\n"), @"import: line 2: it is after A-9, and the file has no A-9: export that too, or take it out");
}

#[test]
fn a_document_that_is_none_says_so() {
    let said = |text: &str| plan(Format::Json, text).unwrap_err().to_string();
    insta::assert_snapshot!(said("[]"), @r#"import: is no document of a board, {"version": 1, "features": [...]}: invalid length 0, expected an object at line 1 column 2"#);
    insta::assert_snapshot!(said(r#"{"version": 2, "new": 1}"#), @"import: is version 2, this program reads version 1");
    insta::assert_snapshot!(said(r#"{"version": 1, "features": []}"#), @r#"import: holds no feature: it needs a list "features" with at least one feature"#);
    insta::assert_snapshot!(said(r#"{"version": 1, "features": [{"id": "A-7", "titel": "x"}]}"#), @r#"import: features[0] (A-7): a feature: has no field "titel": there are agent, assignee, attachments, budget, checks, depends_on, description, due, epic, labels, milestone, model, paths, plan, priority, project, size, source, title, id, stage, repository, comments"#);
    insta::assert_snapshot!(said(r#"{"version": 1, "features": [{"title": "x", "size": "huge"}]}"#), @"import: features[0]: unknown variant `huge`, expected one of `xs`, `s`, `m`, `l`, `xl`");
    insta::assert_snapshot!(said(r#"{"version": 1, "features": [{"title": ""}]}"#), @"import: features[0]: title: is empty: say in one line what is wanted");
}

fn text(pattern: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(pattern).unwrap()
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        text("[a-zA-Z0-9(),#@\\\\.-]([a-zA-Z0-9(),#@\\\\ .\\[\\]-]{0,20}[a-z)(\\\\])?"),
        text("[^\\p{C}\\s,]{1,8}"),
    ]
}

prop_compose! {
    fn wanted()(
        title in words(),
        lines in prop::collection::vec(prop_oneof![
            words(), text(" {0,5}\\\\{0,2}[-*+] \\[[ x]\\] [a-z]{1,4}"), text("[ \t]{0,4}"), text("#{0,3} [a-z]{0,4}"),
        ], 0..5),
        priority in 0_u8..=4,
        size in prop::option::of(prop::sample::select(Size::ALL.to_vec())),
        labels in prop::collection::vec(words().prop_map(|label| label.replace(',', ";")), 0..3),
        milestone in prop::option::of(prop_oneof![Just("Spring".to_owned()), Just("# (a), b".to_owned()), words()]),
        due in prop::option::of((1_i8..=12, 1_i8..=28)),
        assignee in prop::option::of(text("[a-z][a-z0-9_-]{0,5}")),
    ) -> Wanted {
        Wanted {
            title,
            description: lines.join("\n"),
            priority,
            size,
            labels,
            milestone,
            due: due.map(|(month, day)| jiff::civil::date(2026, month, day)),
            assignee: assignee.map(|name| name.parse().unwrap()),
            ..Wanted::default()
        }
    }
}

/// A board on which epics and dependencies lead anywhere before.
fn features() -> impl Strategy<Value = Vec<Exported>> {
    let one =
        (wanted(), prop::option::of(any::<u32>()), prop::collection::vec(any::<u32>(), 0..3), 0_usize..4);
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let mut features: Vec<Exported> = Vec::new();
        for (index, (wanted, epic, needs, stage)) in all.into_iter().enumerate() {
            let number = index as u32 + 1;
            let before =
                |pick: u32| (index > 0).then(|| FeatureId::new("A", pick % index as u32 + 1).unwrap());
            let mut feature = exported(number, "x");
            feature.stage = [Stage::Backlog, Stage::Ready, Stage::Done, Stage::Cancelled][stage];
            feature.repository = if stage == 1 { "other" } else { "sample" }.parse().unwrap();
            let until = |pick: u32| if pick.is_multiple_of(2) { Until::Done } else { Until::Review };
            let needs = needs
                .into_iter()
                .filter_map(|pick| Some(Dependency { feature: before(pick)?, until: until(pick) }));
            feature.wanted = Wanted { epic: epic.and_then(before), depends_on: needs.collect(), ..wanted };
            feature.wanted = feature.wanted.checked().unwrap();
            features.push(feature);
        }
        features
    })
}

/// What was planned, as what it was written from.
fn back(plan: Plan, batch: &Batch) -> Vec<Exported> {
    let id = |link: Link| match link {
        Link::Item(index) => batch.items[index].id.clone().unwrap(),
        Link::Board(id) => id,
    };
    let mut all: Vec<Exported> = plan
        .items
        .into_iter()
        .zip(&batch.items)
        .map(|(planned, item)| {
            let depends_on = planned.depends_on.into_iter();
            let depends_on = depends_on.map(|(link, until)| Dependency { feature: id(link), until });
            let wanted = Wanted {
                epic: planned.epic.map(id),
                depends_on: depends_on.collect(),
                source: None,
                ..planned.wanted
            };
            Exported {
                id: item.id.clone().unwrap(),
                stage: planned.stage,
                repository: planned.repository.unwrap_or_else(|| "sample".parse().unwrap()),
                wanted,
                comments: planned.comments,
            }
        })
        .collect();
    all.sort_by_key(|feature| feature.id.number());
    all
}

proptest! {
    #[test]
    fn json_is_read_as_it_was_written(mut features in features(), text in words()) {
        let comment = Comment { author: "theo".parse().unwrap(), at: Timestamp::UNIX_EPOCH, text };
        features[0].comments.push(comment);
        features[0].wanted.checks = vec!["cargo test".into()];
        features[0].wanted.budget.minutes = Some(3);
        let text = serde_json::to_string_pretty(&document(features.clone())).unwrap();
        let batch = read(Format::Json, &text).unwrap();
        prop_assert_eq!(back(batch.clone().plan(&alpha(), "x").unwrap(), &batch), features);
    }

    #[test]
    fn markdown_is_read_as_it_was_written(mut features in features()) {
        let text = write_markdown(&document(features.clone()));
        let batch = read(Format::Markdown, &text).unwrap();
        prop_assert!(batch.notes.is_empty(), "{:?}\n{}", batch.notes, text);
        let one = features.iter().all(|feature| feature.repository == features[0].repository);
        for feature in &mut features {
            // What a list has no words for.
            if feature.stage == Stage::Ready {
                feature.stage = Stage::Backlog;
            }
            if one {
                feature.repository = "sample".parse().unwrap();
            }
        }
        prop_assert_eq!(back(batch.clone().plan(&alpha(), "x").unwrap(), &batch), features, "{}", text);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "([ \t]{0,4}([-*] \\[[ x]\\] )?[a-z(),#\\\\@12 -]{0,12}\n){0,8}") {
        let _said = said(&text);
    }
}
