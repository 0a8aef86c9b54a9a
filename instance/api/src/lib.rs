#![doc = include_str!("../README.md")]

mod client;
mod cost;
mod fleet;
mod lesson;
mod words;

pub use client::{Client, ClientError, Target, Within};
pub use cost::{CostBudget, CostBy, CostRow, CostView};
pub use fleet::{FleetQuestion, FleetView};
pub use lesson::{LessonState, LessonView, ProposeLesson};
pub use words::*;
