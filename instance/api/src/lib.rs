//! The local API's words and its client.
