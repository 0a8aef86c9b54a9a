//! The port over real git, in throw-away folders.

mod create;
mod keep;
mod site;
mod work;
