//! The tools against a cluster of the test’s own.
