//! Tokens, components and assets of every page.
