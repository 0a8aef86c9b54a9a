//! Many clients at once: nothing is lost, and what can't be merged is refused.

use qd_api::{ClientError, FeatureView};
use qd_board::EditFeature;

use crate::support::{Project, config};

const CLIENTS: usize = 32;
const EDITS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_clients_edit_one_feature_and_nothing_is_lost() {
    let project = Project::new(&[("README.md", "# Busy\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    let up = project.up(&[]);
    let new = qd_board::NewFeature::titled("Busy");
    let _: FeatureView = up.client("alpha", None).post("features", &new).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let mut client = up.client("alpha", None);
        tasks.push(tokio::spawn(async move {
            let mut refused = 0;
            for edit in 0..EDITS {
                loop {
                    let seen: FeatureView = client.get("features/A-1").await.unwrap();
                    let description =
                        format!("{}\nclient {number} edit {edit}", seen.feature.wanted.description);
                    let edit = EditFeature::of(Some(seen.feature.version)).set("description", description);
                    match client.patch::<_, FeatureView>("features/A-1", &edit).await {
                        Ok(_) => break,
                        Err(ClientError::Problem { problem }) if problem.kind == "stale" => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            refused
        }));
    }
    let mut refused = 0;
    for task in tasks {
        refused += task.await.unwrap();
    }
    let after: FeatureView = up.client("alpha", None).get("features/A-1").await.unwrap();
    let mut lines: Vec<&str> = after.feature.wanted.description.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), CLIENTS * EDITS, "every edit is there, {refused} were refused and made again");
    assert_eq!(after.feature.version, 1 + (CLIENTS * EDITS) as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_different_fields_from_the_same_version_are_merged() {
    let project = Project::new(&[("README.md", "# Busy\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    let new = qd_board::NewFeature::titled("Busy");
    let _: FeatureView = client.post("features", &new).await.unwrap();
    let title = EditFeature::of(Some(1)).set("title", "Renamed");
    let priority = EditFeature::of(Some(1)).set("priority", 0);
    let _: FeatureView = client.patch("features/A-1", &title).await.unwrap();
    let after: FeatureView = client.patch("features/A-1", &priority).await.unwrap();
    assert_eq!((after.feature.wanted.title.as_str(), after.feature.wanted.priority), ("Renamed", 0));
    let again = client.patch::<_, FeatureView>("features/A-1", &title).await.unwrap_err();
    assert_eq!(again.to_string(), "A-1 was changed meanwhile: title by ines, version 3 now.");
}
