//! The channels in a terminal: messages as they come and change, and commands, a line each.

use std::{io, sync::Arc};

use qd_core::chat::{Commands, Given, Proof};
use qd_types::Person;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{Console, Posted, text};

/// Shows and listens until the input ends.
pub async fn run(
    console: Console,
    commands: Arc<dyn Commands>,
    person: Person,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut lines = input.lines();
    let mut ticks = console.ticks();
    let mut seen = 0;
    loop {
        ticks.borrow_and_update();
        let layout = console.layout();
        for message in console.changed(seen).await.map_err(io::Error::other)? {
            seen = message.change;
            let name = layout.name(message.channel).unwrap_or(message.channel.as_str());
            output.write_all(block(&message, name).as_bytes()).await?;
        }
        output.flush().await?;
        tokio::select! {
            changed = ticks.changed() => changed.map_err(io::Error::other)?,
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                if !line.trim().is_empty() {
                    let said = commands.command(&person, &Given::on_console(Proof::Socket), &line).await;
                    output.write_all(format!("{}\n", text::plain(&said)).as_bytes()).await?;
                }
            }
        }
    }
}

fn block(message: &Posted, name: &str) -> String {
    let mark = if message.edits > 0 { "~" } else { "" };
    let name = format!("{mark}#{name}");
    let mut lines = text::plain(&message.text);
    if !message.picture.is_empty() {
        lines.push_str(&format!("\n{}", message.picture));
    }
    if let Some(ways) = ways(message) {
        lines.push_str(&format!("\n{ways}"));
    }
    lines.lines().map(|line| format!("{name:<11} | {line}\n")).collect()
}

/// What can be typed about a message: its buttons, with the mark of the reaction that does the same.
fn ways(message: &Posted) -> Option<String> {
    let ways: Vec<String> = message
        .buttons
        .iter()
        .map(|button| {
            let mark = message.reactions.iter().find(|reaction| reaction.command == button.command);
            let mark = mark.map_or_else(String::new, |reaction| format!("{} ", reaction.mark));
            text::plain(&format!("{mark}{}", button.command))
        })
        .collect();
    (!ways.is_empty()).then(|| ways.join(" · "))
}
