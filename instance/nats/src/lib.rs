#![doc = include_str!("../README.md")]

mod carrier;
mod names;
mod serve;
mod server;
mod users;

pub use carrier::NatsCarrier;
pub use names::Names;
pub use serve::NatsServer;
pub use server::{Address, NatsError, Server, probe};
pub use users::{UserKey, bot_user, instance_user};

/// The header of a call that is none of the gate's calls: what it asks for.
const ASKS: &str = "Quarterdeck-Asks";
/// What a call asks for that is for orders.
const ORDERS: &str = "orders";
/// What a call asks for that wants to see the bot's card.
const CARD: &str = "card";
/// What a call asks for that holds a sealed request to join.
const JOIN: &str = "join";
/// The header of a call by which its answer is found.
const TOKEN: &str = "Quarterdeck-Token";
/// The header of an answer that is an unsigned refusal.
const REFUSED: &str = "Quarterdeck-Refused";
/// The header of an answer: which process of the bot gave it. One that is new sends orders only to who asks it to.
const PROCESS: &str = "Quarterdeck-Process";
/// The header of an order: its epoch and number.
const PLACE: &str = "Quarterdeck-Place";

/// 16 random bytes as hex.
fn fresh() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(qd_wire::signed::hex(&bytes))
}
