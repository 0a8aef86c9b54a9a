//! The contract of a surface, run by a small one in memory; and the face of a card.

#![cfg(feature = "testkit")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod support;

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use insta::assert_snapshot;
use qd_approvals::{
    CardSurface, SurfaceError,
    face::Face,
    testkit::{Scene, Seen, contract},
};
use qd_types::{ApprovalId, Ballot, Role};
use support::{World, binding, restart};

/// A wall with notes on it. It mentions whoever stands behind an @.
#[derive(Default)]
struct Wall {
    notes: Mutex<BTreeMap<String, (String, bool)>>,
    called: Mutex<usize>,
    torn_down: Mutex<Vec<String>>,
}

impl Wall {
    fn is_up(&self, hall: &str) -> Result<(), SurfaceError> {
        let gone = hall == "locked" || self.torn_down.lock().unwrap().iter().any(|gone| gone == hall);
        let refused = || SurfaceError::Refused { place: format!("board {hall}"), problem: "no key".into() };
        if gone { Err(refused()) } else { Ok(()) }
    }
}

#[async_trait]
impl CardSurface for Wall {
    fn name(&self) -> &'static str {
        "board"
    }

    async fn show(&self, recipient: &str, id: &ApprovalId, face: &Face) -> Result<String, SurfaceError> {
        self.is_up(recipient)?;
        let text = face.markdown();
        let says = |part: &str| part.starts_with(char::is_alphanumeric);
        *self.called.lock().unwrap() += text.split('@').skip(1).filter(|part| says(part)).count();
        let receipt = format!("{recipient}/{}", id.key());
        self.notes.lock().unwrap().entry(receipt.clone()).or_insert((text, true));
        Ok(receipt)
    }

    async fn close(&self, recipient: &str, receipt: &str, face: &Face) -> Result<(), SurfaceError> {
        self.is_up(recipient)?;
        self.notes.lock().unwrap().insert(receipt.to_owned(), (face.markdown(), false));
        Ok(())
    }

    async fn escalate(&self, _: &str, _: &str, _: &[Role]) -> Result<(), SurfaceError> {
        *self.called.lock().unwrap() += 1;
        Ok(())
    }
}

#[async_trait]
impl Scene for Wall {
    fn surface(&self) -> &dyn CardSurface {
        self
    }

    fn recipient(&self) -> &str {
        "hall"
    }

    fn elsewhere(&self) -> &str {
        "stairs"
    }

    fn forbidden(&self) -> &str {
        "locked"
    }

    async fn seen(&self, recipient: &str) -> Vec<Seen> {
        let mut notes = self.notes.lock().unwrap().clone();
        notes.retain(|receipt, _| receipt.starts_with(recipient));
        let seen = |(receipt, (text, buttons)): (String, (String, bool))| Seen { receipt, text, buttons };
        notes.into_iter().map(seen).collect()
    }

    async fn mentions(&self) -> usize {
        *self.called.lock().unwrap()
    }

    async fn restart(&mut self) {}

    async fn delete(&mut self, recipient: &str) {
        self.torn_down.lock().unwrap().push(recipient.to_owned());
    }
}

#[tokio::test]
async fn a_surface_keeps_the_contract() {
    contract(&mut Wall::default()).await;
}

#[tokio::test]
async fn the_face_of_a_card() {
    let mut world = World::new();
    let mut subject = restart();
    binding(&mut subject).target = "billing\u{202E}bd".into();
    let mut ask = world.ask_of(subject);
    ask.words = Some("It hangs.\n@everyone **please**".into());
    let qd_approvals::Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
    world.deliver(&id).await;
    let face = |world: &World| {
        let (id, run) = (id.clone(), world.now);
        let (executor, people) = (world.executor.clone(), world.people.clone());
        let db = world.db().clone();
        async move {
            // A page reads: nothing is written for it.
            let read =
                db.read(move |c| qd_approvals::Approvals::reading(c, &executor, &people, run)?.show(&id));
            Face::of(&read.await.unwrap())
        }
    };
    assert_snapshot!(face(&world).await.plain(), @r#"
    Call restart of server docker
    Team: alpha, run A-1.1
    On: billing⟨U+202E⟩bd
    With: docker.restart
    Arguments: {"container":"billing-db","replicas":1}
    For: theo
    Decide: 1 owner or operator, not the requester
    Until: 2026-11-22 12:00 UTC
    Digest: 46b2 5372 815a
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.
    ✅ or ❌, or a button.

    The agent wrote: “It hangs. @everyone **please**”
    "#);
    assert_snapshot!(face(&world).await.markdown().replace('\u{200B}', "·"), @r#"
    Call restart of server docker
    Team: alpha, run A\-1\.1
    On: billing⟨U\+202E⟩bd
    With: docker.restart
    Arguments: \{\"container\"\:·\"billing\-db\",\"replicas\"\:·1\}
    For: theo
    Decide: 1 owner or operator, not the requester
    Until: 2026\-11\-22 12\:·00 UTC
    Digest: 46b2 5372 815a
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U\+…⟩.
    ✅ or ❌, or a button.

    The agent wrote:
    > It hangs.
    > @·everyone \*\*please\*\*
    "#);
    world.vote(&id, "ines", "board", Ballot::Deny).await;
    let closed = face(&world).await;
    assert_eq!((closed.confirm, closed.ended.as_deref()), (None, Some("Denied. ines said no.")));
}
