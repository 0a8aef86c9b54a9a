//! The port through which cards are shown. A surface (console, Discord, GitHub, the local board) implements it; who runs it
//! asks `cards_due` what is to be done and says `delivered`, `undeliverable` or `closed` afterwards.

use async_trait::async_trait;
use qd_types::ApprovalId;

use crate::face::Face;

/// Why a surface did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurfaceError {
    /// It can't be shown there: no such channel, no right to write. The next place is tried.
    #[error("the card can't be shown on {place}: {problem}")]
    Refused {
        /// Surface and recipient.
        place: String,
        /// Why.
        problem: String,
    },
    /// The service does not answer, or asks to wait: try again later. It can't be told whether the card is there.
    #[error("{place} does not answer: {problem}")]
    Later {
        /// Surface and recipient.
        place: String,
        /// Why.
        problem: String,
    },
}

/// A place where people see requests and vote on them.
#[async_trait]
pub trait CardSurface: Send + Sync {
    /// Its name, as it stands in votes and places: `discord`, `github`, `console`, `board`.
    fn name(&self) -> &'static str;

    /// Shows a request and returns the service's id of the card. Shown again for the same approval and recipient, after a
    /// crash say, it finds the card by its marker and returns the same id: there are never two.
    async fn show(&self, recipient: &str, id: &ApprovalId, face: &Face) -> Result<String, SurfaceError>;

    /// Edits a card to say how it ended, without its buttons. Again, it changes nothing.
    async fn close(&self, recipient: &str, receipt: &str, face: &Face) -> Result<(), SurfaceError>;

    /// Mentions who should decide, once, beside the card.
    async fn escalate(
        &self,
        recipient: &str,
        receipt: &str,
        roles: &[qd_types::Role],
    ) -> Result<(), SurfaceError>;
}
