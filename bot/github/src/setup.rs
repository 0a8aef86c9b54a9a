//! Making an App by manifest.
