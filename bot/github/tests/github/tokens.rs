//! Tokens: minted for one repository and one purpose, used again, and made anew when they end.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use qd_core::forge::{Forge as _, ForgeError};
use qd_git::{Access, Git};
use qd_testkit::ForgeHarness as _;

use crate::support::{ACME, PLACE, World, options};

const MINT: &str = "POST /app/installations/{installation_id}/access_tokens";

#[tokio::test]
async fn a_token_is_used_again_until_shortly_before_its_end() {
    let world = World::new().await;
    for _ in 0..3 {
        world.main().await;
    }
    assert_eq!(world.fake.calls().get(MINT), Some(&1));
    world.fake.drive().revokes_tokens();
    world.main().await;
    assert_eq!(world.fake.calls().get(MINT), Some(&2), "one that was revoked is made anew");
}

#[tokio::test]
async fn a_push_credential_pushes_and_does_nothing_else() {
    let world = World::new().await;
    let base = world.main().await;
    let head = world.push("qd/one", &base, &[("one.txt", "one\n")]).await;
    let credential = world.forge.push_credential(&world.repository).await.unwrap();
    let ends = credential.ends.unwrap() - jiff::Timestamp::now().as_second();
    assert!((3_000..=3_600).contains(&ends), "{ends}");

    let clone = Git::new().open(&world.folder.path().join("clone")).await.unwrap();
    let remote = world.forge.remote(&world.repository).unwrap();
    let without = clone.push(&remote, &head, "qd/two", None).await;
    assert!(without.is_err(), "without a credential nobody pushes");
    let password = credential.password.clone().into();
    let access = Access::basic(&credential.address, &credential.user, &password);
    assert!(!format!("{access:?}").contains(&credential.password));
    let pushed = clone.with_access(access).push(&remote, &head, "qd/two", None).await.unwrap();
    assert_eq!(pushed, qd_git::Push::Done);
    assert_eq!(world.forge.branch_head(&world.repository, "qd/two").await, Ok(head));

    let issues = format!("{}/repos/{PLACE}/issues", world.fake.api_url());
    let asked = tokio::process::Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", r#"{"title":"x"}"#, "-H"])
        .arg(format!("Authorization: Bearer {}", credential.password))
        .args(["-H", "User-Agent: test", "-H", "Content-Type: application/json", &issues])
        .stdin(Stdio::null())
        .output()
        .await;
    let status = String::from_utf8(asked.unwrap().stdout).unwrap();
    assert_eq!(status, "403", "it opens no issue");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let mut few = options();
    few.permissions.remove("checks");
    let world = World::with(few, |config| config.allow_unprotected = true).await;
    let refused = world.forge.issues(&world.repository).await;
    let Err(ForgeError::Refused { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("checks: write"), "{reason}");
    let lacks = world.forge.lacks(&PLACE.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(lacks.permissions, ["checks: write (writes the check quarterdeck)"]);
    assert_eq!(lacks.events, [""; 0]);

    world.fake.drive().suspends(true);
    let world = World::new().await;
    world.fake.drive().suspends(true);
    let refused = world.forge.issues(&world.repository).await;
    let Err(ForgeError::Refused { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains(&format!("the installation at {ACME} is suspended")), "{reason}");
}

/// The arguments of processes that name `folder`, looked at again and again until `stop`.
fn arguments(folder: &Path, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<BTreeSet<String>> {
    let folder = folder.to_str().unwrap().to_owned();
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !stop.load(Ordering::Relaxed) {
            for process in std::fs::read_dir("/proc").unwrap().flatten() {
                let Ok(words) = std::fs::read(process.path().join("cmdline")) else { continue };
                let words = String::from_utf8_lossy(&words).replace('\0', " ");
                if words.contains(&folder) {
                    seen.insert(words);
                }
            }
        }
        seen
    })
}

/// Nothing of a token lies in a file, and no process has it among its arguments.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_in_no_file_and_no_argument() {
    let world = World::new().await;
    let opened = world.green("qd/one").await;
    let base = world.main().await;
    let mirrors = world.folder.path().join("mirrors");
    let stop = Arc::new(AtomicBool::new(false));
    let watching = arguments(&mirrors, Arc::clone(&stop));
    let head = &opened.head;
    world.forge.rebuild_merge(&world.repository, opened.number, head, head, &base).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let seen = watching.join().unwrap();
    assert!(seen.iter().any(|words| words.contains(" fetch ")), "{seen:#?}");
    let telling = ["x-access-token", "Authorization", "extraHeader", "ghs_", "eC1hY2Nlc3MtdG9rZW4"];
    for words in &seen {
        assert!(!telling.iter().any(|word| words.contains(word)), "{words}");
    }
    let (mut folders, mut looked) = (vec![mirrors], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!telling.iter().any(|word| text.contains(word)), "{}", path.display());
            looked += 1;
        }
    }
    assert!(looked > 3, "the mirror is there");
}
