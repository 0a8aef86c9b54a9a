//! The embedded Chat: channels as a web page and in the terminal.
