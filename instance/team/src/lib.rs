//! The instance itself: scheduler, runs, reconciler, uplink and local API.
