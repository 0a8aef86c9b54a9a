//! The embedded forge: the contract, and what only this adapter promises. One binary, so that it links once.

mod contract;
mod crash;
mod race;
mod repositories;
mod support;
