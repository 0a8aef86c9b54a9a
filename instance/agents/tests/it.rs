//! What the agents, the checks and the transcript do, with real processes.

#[cfg(test)]
mod it {
    mod acp;
    mod check;
    mod command;
    mod demo;
    mod leftover;
    mod real;
    mod registry;
    mod scripted;
    mod support;
    mod transcript;
}
