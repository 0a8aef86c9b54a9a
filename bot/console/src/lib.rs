//! Placeholder for compiling the rest; being replaced.
use std::{path::Path, sync::Arc};
use qd_core::chat::{Chat, ChatError, Commands, Delivered, Message};
/// x
#[derive(Clone)]
pub struct Console;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ConsoleError;
impl Console {
    /// x
    pub fn open(_: &Path) -> Result<Self, ConsoleError> { Ok(Self) }
}
#[async_trait::async_trait]
impl Chat for Console {
    async fn put(&self, _: &Message) -> Result<Delivered, ChatError> { Ok(Delivered { id: "1".into(), at: jiff::Timestamp::now() }) }
}
/// x
pub fn router(_: Console, _: Arc<dyn Commands>) -> axum::Router { axum::Router::new() }
/// x
pub mod terminal {
    use super::*;
    /// x
    pub async fn run(_: Console, _: Arc<dyn Commands>, _: qd_types::Person, _: impl tokio::io::AsyncBufRead + Unpin, _: impl tokio::io::AsyncWrite + Unpin) -> std::io::Result<()> { Ok(()) }
}
