#![doc = include_str!("../README.md")]

mod board;
mod charts;
mod fonts;
mod svg;

use qd_core::picture::Picture;
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree},
};

/// Pixels to a unit.
const SCALE: f32 = 2.5;
/// Highest picture, in pixels: no data makes a larger one.
const HIGHEST: u32 = 4_000;

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture {name} can't be drawn: {problem}")]
pub struct PictureError {
    name: &'static str,
    problem: String,
}

/// The picture as SVG. Text is set in the fonts of this crate.
pub fn svg(picture: &Picture) -> String {
    match picture {
        Picture::Board(board) => board::svg(board),
        Picture::Charts(charts) => charts::svg(charts),
    }
}

/// The picture as PNG, 1,200 pixels wide. Takes tens of milliseconds: not for an async thread.
pub fn render(picture: &Picture) -> Result<Vec<u8>, PictureError> {
    let error = |problem: String| PictureError { name: picture.name(), problem };
    let options =
        Options { fontdb: fonts::database(), font_family: fonts::FAMILY.to_owned(), ..Options::default() };
    let tree = Tree::from_str(&svg(picture), &options).map_err(|problem| error(problem.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE).filter(|size| size.height() <= HIGHEST);
    let size = size.ok_or_else(|| error("it is too high".to_owned()))?;
    let mut pixels = Pixmap::new(size.width(), size.height())
        .ok_or_else(|| error("there is no room for its pixels".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|problem| error(problem.to_string()))
}
