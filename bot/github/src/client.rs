//! One request to GitHub, with its manners.
