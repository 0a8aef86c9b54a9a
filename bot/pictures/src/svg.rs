//! Shapes and text as SVG. What is written is always escaped; colours are tokens.

use std::fmt::Write as _;

use qd_look::{Theme, colour};
use qd_types::{Line, Mark};

use crate::fonts::{self, Weight};

/// How wide every picture is, in units.
pub(crate) const WIDTH: f32 = 480.0;
/// What stays free at its edges.
pub(crate) const EDGE: f32 = 14.0;

/// The colour of a token.
pub(crate) fn token(name: &str) -> &'static str {
    // A test looks each of them up.
    colour(Theme::Dark, name).unwrap_or("#808080")
}

/// A picture that is being drawn.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    shapes: String,
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    pub(crate) size: f32,
    pub(crate) weight: Weight,
    /// The token of its colour.
    pub(crate) ink: &'static str,
    pub(crate) anchor: Anchor,
}

/// Which end of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    End,
}

impl Type {
    pub(crate) const fn new(size: f32, weight: Weight, ink: &'static str) -> Self {
        Self { size, weight, ink, anchor: Anchor::Start }
    }

    pub(crate) const fn at_end(self) -> Self {
        Self { anchor: Anchor::End, ..self }
    }

    pub(crate) fn width(self, text: &str) -> f32 {
        fonts::width(text, self.size, self.weight)
    }

    pub(crate) fn cut(self, text: &str, most: f32) -> String {
        fonts::cut(&fonts::shown(text), self.size, self.weight, most)
    }

    pub(crate) fn lines(self, text: &str, most: f32, count: usize) -> Vec<String> {
        fonts::lines(&fonts::shown(text), self.size, self.weight, most, count)
    }
}

/// A rectangle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rect {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

impl Canvas {
    /// A filled rectangle, with an edge if one is named.
    pub(crate) fn rect(&mut self, rect: Rect, radius: f32, fill: &str, edge: Option<&str>) {
        let Rect { x, y, width, height } = rect;
        let edge = edge.map_or_else(String::new, |edge| format!(" stroke=\"{}\"", token(edge)));
        let fill = token(fill);
        self.shape(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" fill=\"{fill}\"{edge}/>"
        ));
    }

    /// A text whose baseline is `y`.
    pub(crate) fn text(&mut self, x: f32, y: f32, kind: Type, text: &str) {
        let anchor = match kind.anchor {
            Anchor::Start => "start",
            Anchor::End => "end",
        };
        let (size, weight, ink) = (kind.size, kind.weight.css(), token(kind.ink));
        let text = escape(&fonts::shown(text));
        self.shape(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" text-anchor=\"{anchor}\" fill=\"{ink}\">{text}</text>"
        ));
    }

    /// A dot.
    pub(crate) fn dot(&mut self, x: f32, y: f32, radius: f32, fill: &str) {
        let fill = token(fill);
        self.shape(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\"/>"));
    }

    /// A line through points.
    pub(crate) fn stroke(&mut self, points: &[(f32, f32)], ink: &str, width: f32, dashed: bool) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (points, ink) = (points.join(" "), token(ink));
        let dash = if dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        self.shape(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"{dash}/>"
        ));
    }

    /// The mark of the product, before a title.
    pub(crate) fn mark(&mut self, x: f32, y: f32) {
        let brass = token("brass-line");
        self.shape(format_args!(
            "<rect x=\"-4\" y=\"-4\" width=\"8\" height=\"8\" rx=\"1.5\" fill=\"{brass}\" transform=\"translate({x} {y}) rotate(45)\"/>"
        ));
    }

    /// The nine bars of a run.
    pub(crate) fn line(&mut self, x: f32, y: f32, width: f32, line: Line) {
        let gap = 3.0;
        let bar = (width - 8.0 * gap) / 9.0;
        let mut at = x;
        for mark in line.0 {
            let fill = match mark {
                Mark::Open => "line",
                Mark::Now => "accent",
                Mark::Waits => "brass-line",
                Mark::Done => "ok",
                Mark::Failed => "bad",
            };
            self.rect(Rect { x: at, y, width: bar, height: 4.0 }, 2.0, fill, None);
            at += bar + gap;
        }
    }

    fn shape(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.shapes, "{shape}");
    }

    /// The whole picture.
    pub(crate) fn finish(self, height: f32) -> String {
        let (ground, family, shapes) = (token("bg"), fonts::FAMILY, self.shapes);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" font-family=\"{family}\">\n\
             <rect width=\"{WIDTH}\" height=\"{height:.0}\" rx=\"10\" fill=\"{ground}\"/>\n{shapes}</svg>\n"
        )
    }
}

/// Text inside of an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_escaped() {
        let mut canvas = Canvas::default();
        let kind = Type::new(12.0, Weight::Regular, "ink");
        canvas.text(1.0, 2.0, kind, "</text><script>&");
        insta::assert_snapshot!(canvas.shapes, @r##"<text x="1.0" y="2.0" font-size="12" font-weight="400" text-anchor="start" fill="#e6e9ee">&lt;/text&gt;&lt;script&gt;&amp;</text>"##);
    }

    #[test]
    fn every_colour_is_a_token() {
        let here = [include_str!("svg.rs"), include_str!("board.rs"), include_str!("charts.rs")].concat();
        let named = [
            "bg",
            "panel",
            "line",
            "ink",
            "soft",
            "faint",
            "accent",
            "brass",
            "brass-line",
            "brass-bg",
            "ok",
            "bad",
            "sunk",
        ];
        for name in named {
            assert!(here.contains(&format!("\"{name}\"")), "{name} is not used");
            assert!(colour(Theme::Dark, name).is_some(), "there is no token {name}");
        }
    }
}
