//! The pure parser of commands: one grammar for chat, comments and the command line.
