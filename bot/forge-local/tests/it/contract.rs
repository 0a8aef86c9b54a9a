//! The contract of the port, and the answers that people get from this adapter.

use qd_core::forge::{Forge as _, ForgeError, Marker, NewIssue};

use crate::support::{World, git};

qd_testkit::forge_contract!(World::new().await);

#[tokio::test]
async fn all_contracts_hold_on_one_repository() {
    qd_testkit::contract::forge(&World::new().await).await;
}

#[tokio::test]
async fn numbers_start_at_one_in_every_repository() {
    let world = World::new().await;
    world.forge.add_repository(&"other".parse().unwrap(), None, "main").await.unwrap();
    for name in ["sample", "other"] {
        let new = NewIssue {
            repository: name.parse().unwrap(),
            title: "First".into(),
            body: String::new(),
            labels: vec![],
            milestone: None,
            marker: Marker("first".into()),
        };
        assert_eq!(world.forge.open_issue(&new).await.unwrap().number, 1, "{name}");
    }
}

#[tokio::test]
async fn a_merged_branch_goes_unless_it_is_needed() {
    let world = World::new().await;
    let one = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    world.merge(&one, &base).await.unwrap();
    let gone = world.forge.branch_head(&world.repository, "qd/one").await;
    assert_eq!(gone, Err(ForgeError::NotFound { what: "branch qd/one of sample".into() }));

    let two = world.green("qd/two", "two.txt").await;
    let mut on_two = qd_core::forge::NewPullRequest {
        repository: world.repository.clone(),
        branch: "qd/three".into(),
        target: "qd/two".into(),
        title: "Three".into(),
        body: String::new(),
        draft: false,
        labels: Vec::new(),
        milestone: None,
        marker: Marker("three".into()),
    };
    qd_testkit::ForgeHarness::push(&world, "qd/three", &two.head, &[("three.txt", "")]).await;
    world.forge.open_pull_request(&on_two).await.unwrap();
    let base = world.main().await;
    world.merge(&two, &base).await.unwrap();
    assert_eq!(world.forge.branch_head(&world.repository, "qd/two").await, Ok(two.head));

    on_two.marker = Marker("again".into());
    let reason = world.forge.open_pull_request(&on_two).await.unwrap_err().to_string();
    insta::assert_snapshot!(reason, @"pull request 3 from qd/three to qd/two is open: push to its branch, or close it first");
}

#[tokio::test]
async fn the_commit_says_who_made_it_and_why() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let merged = world.merge(&opened, &base).await.unwrap();
    let shown = git(&world.bare(), &["log", "-1", "--format=%an <%ae>%n%cn <%ce>%n%B", merged.as_str()]);
    insta::assert_snapshot!(shown, @r"
    Quarterdeck <quarterdeck@localhost>
    Quarterdeck <quarterdeck@localhost>
    Write one.txt

    Pull-Request: 1
    Approval: bot/01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
}

#[tokio::test]
async fn refusals_name_the_thing_and_the_way_out() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let propose = async |branch: &str, target: &str, title: &str| {
        let new = qd_core::forge::NewPullRequest {
            repository: world.repository.clone(),
            branch: branch.into(),
            target: target.into(),
            title: title.into(),
            body: String::new(),
            draft: false,
            labels: Vec::new(),
            milestone: None,
            marker: Marker("refused".into()),
        };
        world.forge.open_pull_request(&new).await.unwrap_err().to_string()
    };
    qd_testkit::ForgeHarness::point(&world, "qd/even", &base).await;
    let told = [
        propose("qd/gone", "main", "Title").await,
        propose("qd/one", "release", "Title").await,
        propose("main", "main", "Title").await,
        propose("qd/even", "main", "Title").await,
        propose("qd/one", "main", "").await,
        propose("qd/one", "main", &"t".repeat(300)).await,
        propose("qd/one", "main", "Title").await,
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    sample has no branch qd/gone: push it first
    sample has no branch release: name a target that is there
    main can't be merged into itself: name another target
    main holds all of qd/even: commit something to it first
    the title of a pull request is empty: say in one line what it is about
    the title of a pull request has 300 characters, more than the 256 that fit: shorten it
    pull request 1 from qd/one to main is open: push to its branch, or close it first
    ");

    let later = qd_testkit::ForgeHarness::push(&world, "qd/one", &opened.head, &[("two.txt", "")]).await;
    let mut pushed = world.reread(&opened).await;
    assert_eq!(pushed.head, later);
    pushed.head = opened.head.clone();
    let anonymous = |text: String| text.replace(later.as_str(), "<later>").replace(later.short(), "<later>");
    let mut told = vec![anonymous(world.merge(&pushed, &base).await.unwrap_err().to_string())];
    pushed.head = later.clone();
    told.push(anonymous(world.merge(&pushed, &base).await.unwrap_err().to_string()));
    world.forge.close_pull_request(&world.repository, opened.number).await.unwrap();
    told.push(world.merge(&pushed, &base).await.unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @r"
    the head of the branch is <later>
    pull request 1 has no checks on <later>: run them and report how they end
    pull request 1 is closed: open another one
    ");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let comment =
        world.forge.put_comment(&world.repository, opened.number, &Marker("m".into()), "text").await;
    let World { folder, forge, repository } = world;
    drop(forge);
    let forge = qd_forge_local::LocalForge::open(&folder.path().join("state")).await.unwrap();
    assert_eq!(forge.pull_requests(&repository).await.unwrap(), std::slice::from_ref(&opened));
    assert_eq!(forge.comments(&repository, opened.number).await.unwrap(), [comment.unwrap()]);
    assert_eq!(forge.checks(&repository, &opened.head).await.unwrap().len(), 1);
}
