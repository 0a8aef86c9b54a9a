//! Plans as pages of the repository: proposed by pull request, changed there by people, and filed once when they are merged,
//! whoever merges them and whatever is killed.

use std::{path::PathBuf, time::Duration};

use qd_api::{ApprovalView, Client, FeatureView};
use qd_types::{ApprovalState, Stage};

use crate::support::{Project, Up, approve, config, git, open_approval, until};

const PAGE: &str = "docs/plans/lines-in-and-out.md";
/// Proposes two features; after an edit that can't be read, one. Leaves a file behind that no plan holds.
const PROPOSES: &str = r#"p=$(cat); echo stray > stray.txt; case "$p" in
*'has no size'*) printf -- '## First\n\n- [ ] Read any lines (P-1, size s)\n';;
*'Propose features'*) printf -- '## First\n\n- [ ] Read lines (P-1, size s)\n\n  From a file.\n\n- [ ] Write lines (P-2, size m, after P-1)\n';;
*) sleep 600;; esac"#;

fn project() -> Project {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config(PROPOSES, None)).unwrap();
    project
}

/// What ines is asked about the plan, once it is not `before`.
async fn card(client: &mut Client, before: Option<&ApprovalView>) -> ApprovalView {
    for _ in 0..900 {
        if let Some(view) = open_approval(client, "A-1").await
            && before.is_none_or(|before| before.approval.id != view.approval.id)
        {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    panic!("nobody was asked: {}", view.sentence);
}

async fn planned(client: &mut Client) -> FeatureView {
    until(client, "A-1", |view| view.feature.stage == Stage::Backlog && view.feature.held.is_some()).await
}

/// A check-out of the forge's repository, where a person works.
struct Person {
    folder: PathBuf,
    branch: String,
}

impl Person {
    fn at(project: &Project) -> Self {
        let folder = project.folder().join("../person");
        let forge = project.forge("project");
        git(&project.folder(), &["clone", "--quiet", forge.to_str().unwrap(), folder.to_str().unwrap()]);
        let heads = git(&forge, &["for-each-ref", "--format=%(refname:short)", "refs/heads/qd"]);
        Self { folder, branch: heads.lines().next().unwrap().to_owned() }
    }

    fn page(&self) -> String {
        git(&self.folder, &["checkout", "--quiet", &self.branch]);
        std::fs::read_to_string(self.folder.join(PAGE)).unwrap()
    }

    fn pushes(&self, path: &str, text: &str) {
        git(&self.folder, &["fetch", "--quiet"]);
        git(&self.folder, &["checkout", "--quiet", "-B", &self.branch, &format!("origin/{}", self.branch)]);
        std::fs::write(self.folder.join(path), text).unwrap();
        git(&self.folder, &["add", "--all"]);
        git(&self.folder, &["commit", "--quiet", "--message=Mine"]);
        git(&self.folder, &["push", "--quiet", "origin", &self.branch]);
    }

    fn merges_by_hand(&self) {
        git(&self.folder, &["fetch", "--quiet"]);
        git(&self.folder, &["checkout", "--quiet", "main"]);
        git(&self.folder, &["merge", "--quiet", "--squash", &format!("origin/{}", self.branch)]);
        git(&self.folder, &["commit", "--quiet", "--message=By hand"]);
        git(&self.folder, &["push", "--quiet", "origin", "main"]);
    }
}

async fn parts(client: &mut Client) -> String {
    let parts: Vec<FeatureView> = client.get("features/A-1/parts").await.unwrap();
    let line = |view: &FeatureView| {
        let wanted = &view.feature.wanted;
        let after: Vec<String> = wanted.depends_on.iter().map(ToString::to_string).collect();
        format!(
            "{} {} [{}] after {after:?}",
            view.feature.id,
            wanted.title,
            wanted.milestone.as_deref().unwrap_or("")
        )
    };
    parts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn starts(project: &Project) -> (Up, Client) {
    let up = project.up(&[]);
    let client = up.client("alpha", None);
    project.ok(&["plan", "Lines in and out", "--page"]);
    (up, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_proposed_as_a_page_changed_by_people_and_filed_as_it_is_merged() {
    let project = project();
    let (up, mut client) = starts(&project);
    let first = card(&mut client, None).await;
    assert!(first.facts.contains("Passed on exactly this commit: plan."), "{}", first.facts);
    let person = Person::at(&project);
    insta::assert_snapshot!(person.page(), @"
    # Plan: Lines in and out

    The features of a plan are filed once, when its pull request is merged, as this page then has them. Until then it is
    changed there: one item for each feature, what belongs to it indented below, a heading for a milestone, and in brackets
    an id within the plan, the size, and what it waits for.

    <!-- quarterdeck: plan A-1 of alpha -->

    ## First

    - [ ] Read lines (P-1, size s)

      From a file.

    - [ ] Write lines (P-2, size m, after P-1)

    <!-- quarterdeck: end of the plan -->
    ");
    assert!(!person.folder.join("stray.txt").exists(), "what the agent left behind is no part of it");
    let refused = project.run(&["plan", "accept", "A-1"]);
    let refused = String::from_utf8(refused.stderr).unwrap();
    insta::assert_snapshot!(refused, @"quarterdeck: Its plan is a page: it is accepted by merging its pull request. Look at where it stands now.");

    // What a person pushes is asked about anew, and what is merged is filed.
    let mine = person.page().replace("Write lines", "Write many lines");
    person.pushes(PAGE, &mine);
    let second = card(&mut client, Some(&first)).await;
    assert!(second.words.clone().unwrap().contains("Write many lines"), "{:?}", second.words);
    let before: ApprovalView = client.get(&format!("approvals/{}", first.approval.id.key())).await.unwrap();
    assert!(!before.approval.state.is_open(), "{:?}", before.approval.state);
    approve(&mut client, "A-1").await;
    let goal = planned(&mut client).await;
    insta::assert_snapshot!(goal.sentence, @"Planned: 2 features. Done when they are.");
    insta::assert_snapshot!(parts(&mut client).await, @r#"
    A-2 Read lines [First] after []
    A-3 Write many lines [First] after ["A-2"]
    "#);
    let main = git(&project.forge("project"), &["show", &format!("main:{PAGE}")]);
    assert!(main.contains("Write many lines"), "{main}");
    let done: ApprovalView = client.get(&format!("approvals/{}", second.approval.id.key())).await.unwrap();
    assert_eq!(done.approval.state, ApprovalState::Executed);
    drop(up);
    let up = project.up(&[]);
    assert_eq!(parts(&mut up.client("alpha", None)).await.lines().count(), 2, "not again after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_cant_be_filed_goes_back_to_the_agent_and_the_branch_holds_nothing_else() {
    let project = project();
    let (_up, mut client) = starts(&project);
    let first = card(&mut client, None).await;
    let person = Person::at(&project);
    person.pushes(PAGE, &person.page().replace("(P-1, size s)", "(P-1)"));
    let second = card(&mut client, Some(&first)).await;
    assert!(second.words.clone().unwrap().contains("Read any lines"), "{:?}", second.words);
    git(&person.folder, &["fetch", "--quiet"]);
    let history = git(&person.folder, &["log", "--format=%s", &format!("origin/{}", person.branch)]);
    assert!(
        history.lines().any(|line| line == "Mine"),
        "what a person pushed stays in the history: {history}"
    );
    person.pushes("sneaked.txt", "more than a plan\n");
    let failed = until(&mut client, "A-1", |view| view.feature.stage == Stage::Ready).await;
    insta::assert_snapshot!(failed.sentence, @"Somebody pushed sneaked.txt to the branch of a plan, which holds docs/plans/lines-in-and-out.md and nothing else. Needs a person.");
    assert_eq!(parts(&mut client).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_somebody_merges_by_hand_is_filed_once() {
    let project = project();
    let (up, mut client) = starts(&project);
    let asked = card(&mut client, None).await;
    Person::at(&project).merges_by_hand();
    planned(&mut client).await;
    assert_eq!(parts(&mut client).await.lines().count(), 2);
    let key = asked.approval.id.key();
    for _ in 0..100 {
        let view: ApprovalView = client.get(&format!("approvals/{key}")).await.unwrap();
        if !view.approval.state.is_open() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let view: ApprovalView = client.get(&format!("approvals/{key}")).await.unwrap();
    // Withdrawn when it was filed, or lapsed because main had moved: whichever is seen first.
    let state = view.approval.state;
    assert!(matches!(state, ApprovalState::Withdrawn | ApprovalState::Lapsed), "{state:?}");
    drop(up);
    let up = project.up(&[]);
    assert_eq!(parts(&mut up.client("alpha", None)).await.lines().count(), 2, "once");
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_merged_page_is_filed_once_whatever_is_killed() {
    use std::os::unix::process::ExitStatusExt as _;

    for failpoint in ["page_merged", "page_filed"] {
        let project = project();
        let mut up = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
        let mut client = up.client("alpha", None);
        project.ok(&["plan", "Lines in and out", "--page"]);
        card(&mut client, None).await;
        approve(&mut client, "A-1").await;
        let death = tokio::task::block_in_place(|| up.wait_death());
        assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
        drop(up);
        let up = project.up(&[]);
        let mut client = up.client("alpha", None);
        planned(&mut client).await;
        assert_eq!(parts(&mut client).await.lines().count(), 2, "{failpoint}: filed once");
    }
}
