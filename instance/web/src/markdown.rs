//! What people wrote, as markup. Raw HTML stays text; a link goes to the web or nowhere.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Event, Options, Parser, Tag, html};

/// Markdown as safe markup.
pub(crate) fn render(text: &str) -> Markup {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id })
        }
        // A picture would be fetched from somebody's server as soon as the page is looked at.
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id })
        }
        Event::End(pulldown_cmark::TagEnd::Image) => Event::End(pulldown_cmark::TagEnd::Link),
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    PreEscaped(out.replace("<a href=", "<a rel=\"noopener nofollow\" href="))
}

fn safe(url: pulldown_cmark::CowStr<'_>) -> pulldown_cmark::CowStr<'_> {
    let lower = url.to_ascii_lowercase();
    if lower.starts_with("https://") || lower.starts_with("http://") { url } else { "#".into() }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn what_outsiders_write_is_inert() {
        let check = |text: &str| render(text).into_string().trim().to_owned();
        insta::assert_snapshot!(check("<script>alert(1)</script>"), @"&lt;script&gt;alert(1)&lt;/script&gt;");
        insta::assert_snapshot!(check("[x](javascript:alert(1)) `a<b`"), @r##"<p><a rel="noopener nofollow" href="#">x</a> <code>a&lt;b</code></p>"##);
        insta::assert_snapshot!(check("![t](https://x.test/p.png)"), @r#"<p><a rel="noopener nofollow" href="https://x.test/p.png">t</a></p>"#);
    }
}
