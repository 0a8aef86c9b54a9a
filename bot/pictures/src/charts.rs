//! Charts, one below the other, over the same days.

use qd_core::picture::{Charts, Marks, Panel};

use crate::{
    fonts::Weight,
    svg::{Canvas, EDGE, Rect, Type, WIDTH},
};

const TITLE: Type = Type::new(16.0, Weight::SemiBold, "ink");
const HEAD: Type = Type::new(13.0, Weight::SemiBold, "ink");
const SAID: Type = Type::new(12.0, Weight::Regular, "soft");
const LABEL: Type = Type::new(11.0, Weight::Regular, "faint");
const DONE: Type = Type::new(11.0, Weight::SemiBold, "ok");
const WANTED: Type = Type::new(11.0, Weight::SemiBold, "soft");

/// Where the values begin and end; what they are called stands right of them.
const LEFT: f32 = EDGE + 4.0;
const RIGHT: f32 = WIDTH - EDGE - 76.0;
/// How high the greatest value is.
const HIGH: f32 = 84.0;

pub(crate) fn svg(charts: &Charts) -> String {
    let mut canvas = Canvas::default();
    canvas.mark(EDGE + 5.0, EDGE + 10.0);
    canvas.text(EDGE + 17.0, EDGE + 15.5, TITLE, &charts.title);
    let mut y = EDGE + 34.0;
    let days = charts.days.len();
    for panel in &charts.panels {
        y = self::panel(&mut canvas, panel, days, y) + 22.0;
    }
    let [first, last] = &charts.ends;
    canvas.text(LEFT, y - 4.0, LABEL, first);
    canvas.text(RIGHT, y - 4.0, LABEL.at_end(), last);
    canvas.finish(y + EDGE - 4.0)
}

/// Draws it and says where it ends.
fn panel(canvas: &mut Canvas, panel: &Panel, days: usize, y: f32) -> f32 {
    canvas.text(EDGE, y + 11.0, HEAD, &panel.title);
    let mut at = y + 13.0;
    for line in SAID.lines(&panel.said, WIDTH - 2.0 * EDGE, 2) {
        at += 16.0;
        canvas.text(EDGE, at, SAID, &line);
    }
    let (top, base) = (at + 16.0, at + 16.0 + HIGH);
    canvas.stroke(&[(LEFT, top), (RIGHT, top)], "line", 1.0, true);
    canvas.stroke(&[(LEFT, base), (RIGHT, base)], "line", 1.0, false);
    let plot = Plot { days, top, base, greatest: panel.marks.greatest() };
    match &panel.marks {
        Marks::BurnUp { wanted, done } => {
            let (all, merged) = (plot.line(&wanted.1), plot.line(&done.1));
            canvas.stroke(&all, "soft", 2.0, true);
            canvas.stroke(&merged, "ok", 2.5, false);
            let end = |points: &[(f32, f32)]| points.last().map_or(base, |(_, y)| *y);
            let (high, low) = apart(end(&all), end(&merged));
            named(canvas, high, WANTED, &wanted.0, wanted.1.last());
            named(canvas, low, DONE, &done.0, done.1.last());
            // The labels say the greatest value: a line of its own would stand in their way.
            return base;
        }
        Marks::Bars { each } => {
            for (index, value) in each.iter().enumerate().filter(|(_, value)| **value > 0) {
                let (x, y) = (plot.x(index), plot.y(*value).min(base - 1.5));
                let width = (plot.step() * 0.6).min(24.0);
                let bar = Rect { x: x - width / 2.0, y, width, height: base - y };
                canvas.rect(bar, 2.0, "accent", None);
            }
        }
        Marks::Dots { each, median } => {
            let y = plot.y(*median);
            canvas.stroke(&[(LEFT, y), (RIGHT, y)], "soft", 1.5, true);
            for (index, values) in each.iter().enumerate() {
                for value in values {
                    canvas.dot(plot.x(index), plot.y(*value), 3.5, "accent");
                }
            }
        }
    }
    canvas.text(RIGHT + 8.0, top + 4.0, LABEL, &LABEL.cut(&panel.top, WIDTH - EDGE - RIGHT - 8.0));
    canvas.text(RIGHT + 8.0, base + 4.0, LABEL, "0");
    base
}

/// What a line is called, and its last value, at its end.
fn named(canvas: &mut Canvas, y: f32, kind: Type, name: &str, last: Option<&u64>) {
    let room = WIDTH - EDGE - RIGHT - 8.0;
    let label = format!("{} {name}", last.copied().unwrap_or_default());
    canvas.text(RIGHT + 8.0, y + 4.0, kind, &kind.cut(&label, room));
}

/// Two labels that do not stand on each other, the upper one first.
fn apart(high: f32, low: f32) -> (f32, f32) {
    const ROOM: f32 = 14.0;
    if low - high >= ROOM { (high, low) } else { (low - ROOM, low) }
}

/// Where values stand.
#[derive(Debug, Clone, Copy)]
struct Plot {
    days: usize,
    top: f32,
    base: f32,
    greatest: u64,
}

impl Plot {
    /// Between two days.
    fn step(self) -> f32 {
        (RIGHT - LEFT) / number(self.days.max(1) as u64)
    }

    /// The middle of a day.
    fn x(self, index: usize) -> f32 {
        LEFT + self.step() * (number(index as u64) + 0.5)
    }

    fn y(self, value: u64) -> f32 {
        self.base - (self.base - self.top) * number(value) / number(self.greatest)
    }

    fn line(self, values: &[u64]) -> Vec<(f32, f32)> {
        values.iter().enumerate().map(|(index, value)| (self.x(index), self.y(*value))).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a place in a picture need not be more exact")]
fn number(value: u64) -> f32 {
    value as f32
}
