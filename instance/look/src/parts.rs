//! Components. Each gives markup and has no colour of its own.

use jiff::Timestamp;
use maud::{Markup, html};
use qd_types::{Line, Mark};

/// The class of a mark.
pub fn mark_class(mark: Mark) -> &'static str {
    match mark {
        Mark::Open => "",
        Mark::Now => "now",
        Mark::Waits => "waits",
        Mark::Done => "done",
        Mark::Failed => "failed",
    }
}

/// The nine bars, with their text alternative.
pub fn line(line: &Line) -> Markup {
    html! {
        span.line role="img" aria-label=(line.describe()) title=(line.describe()) {
            @for mark in line.0 { i class=(mark_class(mark)) {} }
        }
    }
}

/// A moment: how long ago, with the absolute time behind it.
pub fn ago(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-relative { (at.strftime("%Y-%m-%d %H:%M")) } }
}

/// A moment, in full: for one that is to come.
pub fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-moment { (at.strftime("%Y-%m-%d %H:%M")) } }
}

/// The time of day.
pub fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%H:%M:%S")) } }
}

/// An action that takes a reason.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What it is called.
    pub label: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Class of its button: `go`, `no` or none.
    pub class: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// What else the form sends.
    pub hidden: &'a Markup,
}

/// A button that opens a small form, which sends a `reason`.
pub fn asked(asked: &Asked<'_>) -> Markup {
    html! {
        details.pop {
            summary class={ "btn " (asked.class) } data-key=(asked.key) { (asked.label) " " kbd { (asked.key) } }
            form.stack.panel method="post" action=(asked.action) {
                (asked.hidden)
                label { "Why, for the history" input name="reason" data-focus autocomplete="off"; }
                div.acts { button class={ "btn " (asked.class) } { (asked.label) } }
            }
        }
    }
}

/// A list of facts; those without a value are left out.
pub fn facts(rows: &[(&str, Option<Markup>)]) -> Markup {
    html! {
        dl {
            @for (name, value) in rows {
                @if let Some(value) = value { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// Nothing is there, and what to do about it.
pub fn empty(text: &str) -> Markup {
    html! { p.soft { (text) } }
}

/// A page that says what went wrong and what to do.
pub fn trouble(title: &str, detail: &str, hint: Option<&str>) -> Markup {
    html! {
        div.page.one {
            section.panel {
                h1 { (title) }
                p { (detail) }
                @if let Some(hint) = hint { p.soft { (hint) } }
            }
        }
    }
}
