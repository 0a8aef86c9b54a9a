//! The App's own token, and the short ones of its installations.
