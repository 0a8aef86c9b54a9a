//! Placeholder for compiling the rest; being replaced.
/// x
pub struct RouterOptions { 
/// x
pub console: bool }
/// x
pub fn router(_: Vec<qd_team::Team>, _: RouterOptions) -> axum::Router { axum::Router::new() }
