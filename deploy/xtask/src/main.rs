//! The project's own chores: demo, test, tidy, bench.

fn main() {}
