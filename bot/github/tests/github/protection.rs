//! What keeps the target from being pushed to: said, and refused where it is lacking.

use qd_core::forge::{Forge as _, ForgeError};
use qd_github::protection::Gap;
use qd_testkit::{
    ForgeHarness as _,
    github::{APP, Rules, SLUG},
};

use crate::support::{PLACE, World, options};

async fn gaps(world: &World) -> Vec<Gap> {
    world.forge.protection(&world.repository, "main").await.unwrap().gaps
}

fn full() -> Rules {
    Rules {
        pull_request: Some(0),
        up_to_date: true,
        checks: vec![("quarterdeck".into(), Some(APP))],
        ..Rules::default()
    }
}

#[tokio::test]
async fn an_unprotected_target_is_refused_with_what_is_missing() {
    let world = World::with(options(), |_| {}).await;
    assert_eq!(gaps(&world).await, [Gap::NoPullRequest, Gap::NotUpToDate, Gap::NoCheck]);
    let base = world.main().await;
    world.push("qd/one", &base, &[("one.txt", "one\n")]).await;
    let refused = world.forge.open_pull_request(&world.proposal("qd/one")).await;
    let Err(ForgeError::Refused { reason }) = refused else { panic!("{refused:?}") };
    insta::assert_snapshot!(reason, @"main of acme/app is not protected: it can be pushed to without a pull request: require one before merging. Protect it (quarterdeck doctor names all that is missing), or set github.allow_unprotected");
}

#[tokio::test]
async fn rulesets_and_classic_protection_count_alike() {
    for classic in [false, true] {
        let world = World::with(options(), |_| {}).await;
        if classic {
            world.fake.drive().protects(PLACE, "main", Some(full()));
        } else {
            world.fake.drive().adds_ruleset(PLACE, "refs/heads/main", full());
        }
        assert_eq!(gaps(&world).await, [], "classic: {classic}");
    }
}

#[tokio::test]
async fn the_two_are_added_up() {
    let world = World::with(options(), |_| {}).await;
    let pull_request = Rules { pull_request: Some(0), ..Rules::default() };
    world.fake.drive().adds_ruleset(PLACE, "refs/heads/main", pull_request);
    world.fake.drive().protects(PLACE, "main", Some(Rules { pull_request: None, ..full() }));
    assert_eq!(gaps(&world).await, []);
}

#[tokio::test]
async fn each_gap_is_found() {
    let found = async |rules: Rules| {
        let world = World::with(options(), |_| {}).await;
        world.fake.drive().adds_ruleset(PLACE, "refs/heads/main", rules);
        gaps(&world).await
    };
    assert_eq!(found(Rules { pull_request: None, ..full() }).await, [Gap::NoPullRequest]);
    assert_eq!(found(Rules { up_to_date: false, ..full() }).await, [Gap::NotUpToDate]);
    let anybody = vec![("quarterdeck".to_owned(), None)];
    assert_eq!(found(Rules { checks: anybody, ..full() }).await, [Gap::AnybodysCheck]);
    let other = vec![("test".to_owned(), Some(APP))];
    assert_eq!(found(Rules { checks: other, ..full() }).await, [Gap::NoCheck]);
    assert_eq!(found(Rules { bypass: vec![SLUG.into()], ..full() }).await, [Gap::Bypass]);
}
