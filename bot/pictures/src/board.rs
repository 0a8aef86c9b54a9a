//! A board: two columns of cards, what moves above what rests. One thing asks for attention: what waits for a person, or is
//! broken.

use qd_core::picture::{Board, Card, Column, Tone};

use crate::{
    fonts::Weight,
    svg::{Canvas, EDGE, Rect, Type, WIDTH},
};

const GAP: f32 = 12.0;
const PAD: f32 = 10.0;
const COLUMN: f32 = (WIDTH - 2.0 * EDGE - GAP) / 2.0;

const TEAM: Type = Type::new(16.0, Weight::SemiBold, "ink");
const BACKLOG: Type = Type::new(12.0, Weight::Regular, "soft").at_end();
const CAUTION: Type = Type::new(12.0, Weight::SemiBold, "brass");
const HEAD: Type = Type::new(13.0, Weight::SemiBold, "ink");
const COUNT: Type = Type::new(13.0, Weight::Regular, "faint");
const TITLE: Type = Type::new(13.0, Weight::SemiBold, "ink");
const ID: Type = Type::new(11.0, Weight::Regular, "faint");
const TAG: Type = Type::new(11.0, Weight::Regular, "soft");
const QUIET: Type = Type::new(11.5, Weight::Regular, "soft");
const ASKS: Type = Type::new(11.5, Weight::SemiBold, "brass");
const RED: Type = Type::new(11.5, Weight::SemiBold, "bad");
const MORE: Type = Type::new(11.5, Weight::Regular, "faint");

/// Lines of a title and of a sentence.
const TITLE_LINES: usize = 2;
const SENTENCE_LINES: usize = 3;

pub(crate) fn svg(board: &Board) -> String {
    let mut canvas = Canvas::default();
    canvas.mark(EDGE + 5.0, EDGE + 10.0);
    canvas.text(EDGE + 17.0, EDGE + 15.5, TEAM, board.team.as_str());
    canvas.text(WIDTH - EDGE, EDGE + 15.0, BACKLOG, &board.backlog);
    let mut top = EDGE + 30.0;
    if let Some(caution) = &board.caution {
        top += self::caution(&mut canvas, caution, top) + 8.0;
    }
    let mut below = [top; 2];
    for (index, column) in board.columns.iter().enumerate() {
        let side = index % 2;
        let x = if side == 0 { EDGE } else { EDGE + COLUMN + GAP };
        if let Some(y) = below.get_mut(side) {
            *y = self::column(&mut canvas, column, x, *y) + GAP;
        }
    }
    let bottom = below.into_iter().fold(top, f32::max);
    canvas.finish(bottom - GAP + EDGE)
}

/// Draws it and says how high it is.
fn caution(canvas: &mut Canvas, text: &str, y: f32) -> f32 {
    let width = WIDTH - 2.0 * EDGE;
    let lines = CAUTION.lines(text, width - 2.0 * PAD, 2);
    let height = 10.0 + 16.0 * count(lines.len());
    canvas.rect(Rect { x: EDGE, y, width, height }, 8.0, "brass-bg", Some("brass-line"));
    for (index, line) in lines.iter().enumerate() {
        canvas.text(EDGE + PAD, y + 17.0 + 16.0 * count(index), CAUTION, line);
    }
    height
}

/// Draws it and says where it ends.
fn column(canvas: &mut Canvas, column: &Column, x: f32, y: f32) -> f32 {
    canvas.text(x + 2.0, y + 13.0, HEAD, &column.title);
    canvas.text(x + 10.0 + HEAD.width(&column.title), y + 13.0, COUNT, &column.count.to_string());
    let mut at = y + 22.0;
    for card in &column.cards {
        at += self::card(canvas, card, x, at) + 7.0;
    }
    if let Some(more) = &column.more {
        canvas.text(x + 2.0, at + 11.0, MORE, &MORE.cut(more, COLUMN - 2.0));
        at += 18.0;
    }
    at
}

/// Draws it and says how high it is.
fn card(canvas: &mut Canvas, card: &Card, x: f32, y: f32) -> f32 {
    let (inner, width) = (x + PAD, COLUMN - 2.0 * PAD);
    let (says, ground, edge) = match card.tone {
        Tone::Quiet => (QUIET, "panel", "line"),
        Tone::Asks => (ASKS, "brass-bg", "brass-line"),
        Tone::Red => (RED, "panel", "bad"),
    };
    let title = TITLE.lines(&card.title, width, TITLE_LINES);
    let sentence = says.lines(&card.sentence, width, SENTENCE_LINES);
    let line = if card.line.is_some() { 12.0 } else { 0.0 };
    let said = if sentence.is_empty() { 0.0 } else { 4.0 + 15.0 * count(sentence.len()) };
    let height = 8.0 + 17.0 * count(title.len()) + line + 19.0 + said + 6.0;
    canvas.rect(Rect { x, y, width: COLUMN, height }, 8.0, ground, Some(edge));
    let mut at = y + 8.0;
    for text in &title {
        at += 17.0;
        canvas.text(inner, at - 4.0, TITLE, text);
    }
    if let Some(line) = card.line {
        canvas.line(inner, at + 5.0, width, line);
        at += 12.0;
    }
    at += 19.0;
    let id = card.feature.to_string();
    canvas.text(inner, at - 4.0, ID, &id);
    if let Some(agent) = &card.agent {
        let from = inner + ID.width(&id) + 8.0;
        let agent = TAG.cut(agent, inner + width - from - 12.0);
        let tag = Rect { x: from, y: at - 15.0, width: TAG.width(&agent) + 12.0, height: 16.0 };
        canvas.rect(tag, 4.0, "sunk", None);
        canvas.text(from + 6.0, at - 4.0, TAG, &agent);
    }
    at += 4.0;
    for text in &sentence {
        at += 15.0;
        canvas.text(inner, at - 4.0, says, text);
    }
    height
}

/// A small number as a length.
fn count(number: usize) -> f32 {
    f32::from(u16::try_from(number).unwrap_or(u16::MAX))
}
