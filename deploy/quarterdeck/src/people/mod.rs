//! People in a running fleet: the database, who keeps it, the routes and the pages.

pub mod ballots;
pub mod heads;
mod host;
pub mod pages;
pub mod rights;
mod roster;
pub mod routes;
pub mod voucher;
pub mod words;

pub use roster::{Roster, SIGNED_IN, lends_to_services, person_at};
pub use routes::{Desk, doors, routes};
