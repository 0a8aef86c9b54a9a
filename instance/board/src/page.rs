//! A plan as a page of the repository: what people read, change and merge. Each goal has a section of its own on it, between
//! two marks; what stands there is a task list and nothing else, so that whatever is merged can be filed. Beside the marks
//! people may write what they like.

use qd_types::{FeatureId, InstanceName};

use crate::{FieldError, Wanted, exchange::Plan, goal};

/// Where plans are kept in a repository.
pub const FOLDER: &str = "docs/plans";
/// Most bytes of a page.
pub const MAX_BYTES: usize = 256 * 1024;

/// What every mark begins with.
const MARK: &str = "<!-- quarterdeck: ";
const END: &str = "<!-- quarterdeck: end of the plan -->";
/// Longest name of a page's file, without its ending.
const SLUG: usize = 60;

/// Whose section it is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The team.
    pub team: &'a InstanceName,
    /// Its goal.
    pub goal: &'a FeatureId,
}

impl Owner<'_> {
    fn begin(&self) -> String {
        format!("{MARK}plan {} of {} -->", self.goal, self.team)
    }
}

/// Where the plan of a goal is kept: all goals of a project share a page.
pub fn path(goal: &FeatureId, wanted: &Wanted) -> String {
    let name = slug(wanted.project.as_deref().unwrap_or(&wanted.title));
    let name = if name.is_empty() { slug(&goal.to_string()) } else { name };
    format!("{FOLDER}/{name}.md")
}

/// A name as the name of a file: small letters, digits, and dashes between them.
fn slug(name: &str) -> String {
    let small = name.to_lowercase();
    let words = small.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    joined.get(..SLUG).unwrap_or(&joined).trim_end_matches('-').to_owned()
}

/// The page with this text as the owner's section; a new page where there was none.
pub fn write(
    before: Option<&str>,
    owner: Owner<'_>,
    wanted: &Wanted,
    text: &str,
) -> Result<String, FieldError> {
    let section = format!("{}\n\n{}\n\n{END}\n", owner.begin(), text.trim());
    let page = match before {
        None => {
            let title = wanted.project.as_deref().unwrap_or(&wanted.title);
            format!(
                "# Plan: {title}\n\nThe features of a plan are filed once, when its pull request is merged, as this page then \
                 has them. Until then it is\nchanged there: one item for each feature, what belongs to it indented below, a \
                 heading for a milestone, and in brackets\nan id within the plan, the size, and what it waits for.\n\n{section}"
            )
        }
        Some(before) => match find(before, owner)? {
            Some((from, to)) => {
                let lines: Vec<&str> = before.lines().collect();
                let part = |range: &[&str]| range.iter().map(|line| format!("{line}\n")).collect::<String>();
                let above = part(lines.get(..from).unwrap_or_default());
                let below = part(lines.get(to + 1..).unwrap_or_default());
                format!("{above}{section}{below}")
            }
            None => format!("{}\n\n{section}", before.trim_end()),
        },
    };
    if page.len() > MAX_BYTES {
        return Err(refuse(format!("makes a page of {} bytes, and {MAX_BYTES} fit", page.len())));
    }
    Ok(page)
}

/// The owner's section of a page; none if it has none.
pub fn section(page: &str, owner: Owner<'_>) -> Result<Option<String>, FieldError> {
    let within = |(from, to): (usize, usize)| {
        let lines = page.lines().skip(from + 1).take(to - from - 1);
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        text.trim().to_owned()
    };
    Ok(find(page, owner)?.map(within))
}

/// Reads the owner's section of a page as features of its goal. Strictly: what is no part of an item or a heading is an
/// error, which names the line of the page.
pub fn read(page: &str, owner: Owner<'_>) -> Result<Plan, FieldError> {
    let Some((from, to)) = find(page, owner)? else {
        return Err(refuse(format!("has no line {:?}: it begins its part of the page", owner.begin())));
    };
    // Empty lines in front keep the numbers of lines those of the page.
    let lines = page.lines().enumerate().take(to).map(|(at, line)| if at <= from { "" } else { line });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    if let Some(mark) = text.lines().position(|line| line.trim_start().starts_with(MARK)) {
        return Err(refuse(format!("line {} is a mark: it can't stand within a plan", mark + 1)));
    }
    let plan = goal::read(owner.goal, owner.team, &text)?;
    match plan.notes.first() {
        Some(note) => Err(refuse(note.trim_end_matches('.').to_owned())),
        None => Ok(plan),
    }
}

/// The lines of the owner's marks, from 0.
fn find(page: &str, owner: Owner<'_>) -> Result<Option<(usize, usize)>, FieldError> {
    let begin = owner.begin();
    let mut begins = page.lines().enumerate().filter(|(_, line)| line.trim() == begin).map(|(at, _)| at);
    let Some(from) = begins.next() else { return Ok(None) };
    if let Some(again) = begins.next() {
        let problem =
            format!("begins at line {} and again at line {}: keep one of them", from + 1, again + 1);
        return Err(refuse(problem));
    }
    let mut marks = page.lines().enumerate().skip(from + 1).filter(|(_, line)| line.trim().starts_with(MARK));
    match marks.next() {
        Some((to, line)) if line.trim() == END => Ok(Some((from, to))),
        _ => Err(refuse(format!("begins at line {} and has no end: put {END:?} behind it", from + 1))),
    }
}

fn refuse(problem: impl Into<String>) -> FieldError {
    FieldError { field: "plan", problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "## Read\n\n- [ ] Read lines (P-1, size s)\n\n  From a file.\n\n- [ ] Write lines (P-2, size m, after P-1)";

    fn check(run: impl FnOnce(Owner<'_>, &Wanted) -> String) -> String {
        let (team, goal) = ("alpha".parse().unwrap(), "A-7".parse().unwrap());
        let wanted = Wanted { title: "Lines, in & out!".into(), ..Wanted::default() };
        run(Owner { team: &team, goal: &goal }, &wanted)
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let page = check(|owner, wanted| {
            let page = write(None, owner, wanted, TEXT).unwrap();
            assert_eq!(section(&page, owner).unwrap().as_deref(), Some(TEXT));
            assert_eq!(read(&page, owner).unwrap().items.len(), 2);
            page
        });
        insta::assert_snapshot!(page, @"
        # Plan: Lines, in & out!

        The features of a plan are filed once, when its pull request is merged, as this page then has them. Until then it is
        changed there: one item for each feature, what belongs to it indented below, a heading for a milestone, and in brackets
        an id within the plan, the size, and what it waits for.

        <!-- quarterdeck: plan A-7 of alpha -->

        ## Read

        - [ ] Read lines (P-1, size s)

          From a file.

        - [ ] Write lines (P-2, size m, after P-1)

        <!-- quarterdeck: end of the plan -->
        ");
    }

    #[test]
    fn what_others_wrote_on_the_page_stays() {
        let again = check(|owner, wanted| {
            let other: FeatureId = "A-8".parse().unwrap();
            let other = Owner { goal: &other, ..owner };
            let page = write(Some("# Ours\n\nBy hand.\n"), owner, wanted, "- [ ] One (size s)").unwrap();
            let page = write(Some(&page), other, wanted, "- [ ] Two (size s)").unwrap();
            write(Some(&format!("{page}\nThe end.\n")), owner, wanted, "- [ ] Three (size s)").unwrap()
        });
        insta::assert_snapshot!(again, @"
        # Ours

        By hand.

        <!-- quarterdeck: plan A-7 of alpha -->

        - [ ] Three (size s)

        <!-- quarterdeck: end of the plan -->

        <!-- quarterdeck: plan A-8 of alpha -->

        - [ ] Two (size s)

        <!-- quarterdeck: end of the plan -->

        The end.
        ");
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_line() {
        let refused = |page: &str| check(|owner, _| read(page, owner).unwrap_err().to_string());
        let within = |text: &str| {
            format!(
                "# Plan\n\n<!-- quarterdeck: plan A-7 of alpha -->\n\n{text}\n\n<!-- quarterdeck: end of the plan -->\n"
            )
        };
        insta::assert_snapshot!(refused("# Plan\n"), @r#"plan: has no line "<!-- quarterdeck: plan A-7 of alpha -->": it begins its part of the page"#);
        insta::assert_snapshot!(refused(&within("- [ ] One")), @r#"plan: line 5: "One" has no size: add one, like (size m)"#);
        insta::assert_snapshot!(refused(&within("Well.\n\n- [ ] One (size s)")), @"plan: 1 line outside of every item, line 5 first, left out: indent what belongs to an item");
        insta::assert_snapshot!(refused(&within("- [ ] One (size s)\n  <!-- quarterdeck: plan A-8 of alpha -->")), @r#"plan: begins at line 3 and has no end: put "<!-- quarterdeck: end of the plan -->" behind it"#);
        insta::assert_snapshot!(refused(&(within("- [ ] One (size s)") + &within(""))), @"plan: begins at line 3 and again at line 10: keep one of them");
    }

    #[test]
    fn a_page_is_named_by_its_project_or_its_goal() {
        let path = |title: &str, project: Option<&str>| {
            let wanted =
                Wanted { title: title.into(), project: project.map(str::to_owned), ..Wanted::default() };
            path(&"A-7".parse().unwrap(), &wanted)
        };
        assert_eq!(path("Lines, in & out!", None), "docs/plans/lines-in-out.md");
        assert_eq!(path("Lines", Some("The Importer")), "docs/plans/the-importer.md");
        assert_eq!(path("导入", None), "docs/plans/a-7.md");
        assert_eq!(path("../../etc/passwd", None), "docs/plans/etc-passwd.md");
        assert_eq!(path(&"long ".repeat(40), None).len(), "docs/plans/.md".len() + 59);
    }
}
