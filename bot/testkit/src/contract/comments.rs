//! Comments: one per marker, edited in place, on pull requests and issues alike.

use qd_core::forge::Marker;

use crate::{
    ForgeHarness,
    scene::{Scene, unique},
};

/// The first call writes, the next ones edit; the marker is the same on two threads without mixing them up.
pub async fn a_comment_is_written_once_per_marker(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let marker = Marker(unique("marker"));
    let pull_request = scene.pull_request().await.number;
    let issue = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    for number in [pull_request, issue] {
        assert_eq!(forge.comments(here, number).await.unwrap(), []);
        let first = forge.put_comment(here, number, &marker, "1 of 9 steps").await.unwrap();
        assert_eq!(first.body, "1 of 9 steps");
        let edited = forge.put_comment(here, number, &marker, "2 of 9 steps").await.unwrap();
        assert_eq!((edited.id, edited.body.as_str()), (first.id, "2 of 9 steps"));
        assert!(edited.at >= first.at);
        assert_eq!(forge.comments(here, number).await.unwrap(), [edited]);
    }
}

/// In the order in which they were written, not edited.
pub async fn comments_are_listed_oldest_first(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let number = scene.pull_request().await.number;
    let markers: Vec<Marker> = (0..3).map(|_| Marker(unique("marker"))).collect();
    for (marker, body) in markers.iter().zip(["one", "two", "three"]) {
        forge.put_comment(here, number, marker, body).await.unwrap();
    }
    forge.put_comment(here, number, &markers[0], "one, edited").await.unwrap();
    let listed = forge.comments(here, number).await.unwrap();
    let bodies: Vec<&str> = listed.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, ["one, edited", "two", "three"]);
}
