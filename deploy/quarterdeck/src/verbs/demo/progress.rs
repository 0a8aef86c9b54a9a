//! The live view in the terminal: a line per feature, edited in place. Without a terminal, a line per change.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use qd_api::FeatureView;

use crate::say;

pub(super) struct Progress {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    last: Vec<String>,
    terminal: bool,
}

impl Progress {
    pub(super) fn start(count: usize) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner:.cyan} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bars =
            (0..count).map(|_| all.add(ProgressBar::new_spinner().with_style(style.clone()))).collect();
        Self { all, bars, last: vec![String::new(); count], terminal: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, views: &[FeatureView]) {
        for ((view, bar), last) in views.iter().zip(&self.bars).zip(&mut self.last) {
            let line = line(view);
            if line != *last {
                if self.terminal {
                    bar.set_message(line.clone());
                } else {
                    say::note(&line);
                }
                *last = line;
            }
            bar.tick();
        }
    }

    /// Something that stays, above the lines.
    pub(super) fn say(&self, text: &str) {
        let printed = self.terminal && self.all.println(text).is_ok();
        if !printed {
            say::note(text);
        }
    }

    pub(super) fn finish(&mut self) {
        for (bar, last) in self.bars.iter().zip(&self.last) {
            bar.finish_with_message(last.clone());
        }
    }
}

fn line(view: &FeatureView) -> String {
    let bars = view.run.as_ref().map_or_else(|| "▱▱▱▱▱▱▱▱▱".to_owned(), |run| run.line.bars());
    format!("{:<4} {bars}  {}. {}", view.feature.id.to_string(), view.feature.wanted.title, view.sentence)
}
