//! The engine through its public face: the default bundle's matrix, what is refused, what rules may do, and reloading.

mod bundle;
mod decide;
mod matrix;
mod reload;
mod rules;
mod world;
