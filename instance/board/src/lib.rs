//! The board's domain, pure: features, runs, steps, what a feature waits for, and the scheduler's choice.
