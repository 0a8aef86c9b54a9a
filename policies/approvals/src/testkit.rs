//! The contract of a surface for cards, as a test that every one of them runs: `contract(&mut scene).await`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use async_trait::async_trait;
use qd_types::ApprovalId;

use crate::{
    CardSurface, SurfaceError,
    confirm::{Confirm, Way},
    face::Face,
};

/// What a person sees of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The service's id of it.
    pub receipt: String,
    /// Its text, as the service keeps it.
    pub text: String,
    /// Whether one can vote on it.
    pub buttons: bool,
}

/// A surface together with a look at what people see, and a switch for its faults.
#[async_trait]
pub trait Scene: Send {
    /// The surface.
    fn surface(&self) -> &dyn CardSurface;
    /// A recipient that takes cards.
    fn recipient(&self) -> &str;
    /// Another one that takes cards: where they go that the first one does not take.
    fn elsewhere(&self) -> &str;
    /// A recipient that refuses them.
    fn forbidden(&self) -> &str;
    /// Every card that people see there.
    async fn seen(&self, recipient: &str) -> Vec<Seen>;
    /// How often somebody was mentioned.
    async fn mentions(&self) -> usize;
    /// The surface's process ends and starts again.
    async fn restart(&mut self);
    /// Takes a recipient away, with all that stands there: a channel is deleted.
    async fn delete(&mut self, recipient: &str);
}

/// Runs the contract. Panics where the surface breaks it.
pub async fn contract(scene: &mut dyn Scene) {
    let id: ApprovalId = "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let other: ApprovalId = "alpha/01BX5ZZKBKACTAV9WEVGEMMVRZ".parse().unwrap();
    let recipient = scene.recipient().to_owned();
    let open = face(None);

    let receipt = scene.surface().show(&recipient, &id, &open).await.unwrap();
    assert!(!receipt.trim().is_empty(), "a card that is shown has the service's id");
    let [card] = <[Seen; 1]>::try_from(scene.seen(&recipient).await).unwrap();
    assert_eq!(card.receipt, receipt);
    assert!(card.buttons, "an open card can be voted on");
    assert!(card.text.contains("9be1 40c7 d2aa"), "the digest stands on the card");
    assert_eq!(scene.mentions().await, 0, "an agent's words mention nobody");

    scene.restart().await;
    let again = scene.surface().show(&recipient, &id, &open).await.unwrap();
    assert_eq!(again, receipt, "a card that was shown is found again, and not shown twice");
    let second = scene.surface().show(&recipient, &other, &open).await.unwrap();
    assert_ne!(second, receipt, "each approval has a card of its own");

    scene.surface().escalate(&recipient, &receipt, &[qd_types::Role::Owner]).await.unwrap();
    assert_eq!(scene.mentions().await, 1, "a role is mentioned when it is late, and not before");

    let ended = face(Some("Granted. ines said yes."));
    for _ in 0..2 {
        scene.surface().close(&recipient, &receipt, &ended).await.unwrap();
    }
    let cards = scene.seen(&recipient).await;
    let closed = cards.iter().find(|card| card.receipt == receipt).unwrap();
    assert!(
        !closed.buttons && closed.text.contains("ines said yes"),
        "it says who decided, and has no buttons"
    );
    assert!(cards.iter().any(|card| card.receipt == second && card.buttons), "the other one stays open");

    let refused = scene.surface().show(scene.forbidden(), &id, &open).await;
    assert!(matches!(refused, Err(SurfaceError::Refused { .. })), "{refused:?}");

    // A card that stands in two places is two cards, and each has an end of its own.
    let elsewhere = scene.elsewhere().to_owned();
    let copy = scene.surface().show(&elsewhere, &other, &open).await.unwrap();
    assert_ne!(copy, second, "each place has a card of its own");
    scene.surface().close(&elsewhere, &copy, &ended).await.unwrap();
    assert!(scene.seen(&elsewhere).await.iter().all(|card| !card.buttons), "the copy is closed");
    let cards = scene.seen(&recipient).await;
    assert!(cards.iter().any(|card| card.receipt == second && card.buttons), "and only the copy is");

    // What is gone takes no card, and says so: the next place is tried.
    scene.delete(&recipient).await;
    let gone = scene.surface().show(&recipient, &other, &ended).await;
    assert!(matches!(gone, Err(SurfaceError::Refused { .. })), "a deleted channel refuses: {gone:?}");
    let closed = scene.surface().close(&recipient, &second, &ended).await;
    assert!(matches!(closed, Err(SurfaceError::Refused { .. })), "its cards are gone with it: {closed:?}");
}

fn face(ended: Option<&str>) -> Face {
    Face {
        title: "Do container.restart".to_owned(),
        fields: vec![("On", "billing-db".to_owned()), ("Digest", "9be1 40c7 d2aa".to_owned())],
        words: vec![("The agent", "@everyone @here <@1> please **approve**".to_owned())],
        warnings: vec![],
        confirm: ended.is_none().then_some(Confirm { way: Way::Button, typed: false }),
        ended: ended.map(str::to_owned),
    }
}
