//! The facts of a feature, as a list: what people said about it and what is known. Not why it waits: that is derived.

use jiff::civil::Date;
use maud::{Markup, html};
use qd_api::FeatureView;
use qd_board::{Budget, PlanMode, why::minutes};
use qd_look::parts;

use crate::{board, fields};

fn linked<T: ToString>(base: &str, ids: &[T]) -> Option<Markup> {
    (!ids.is_empty()).then(|| {
        html! {
            @for (index, id) in ids.iter().enumerate() {
                @let text = id.to_string();
                @if index > 0 { ", " }
                a.link href={ (base) "features/" (text.split('@').next().unwrap_or_default()) } { (text) }
            }
        }
    })
}

fn budget(budget: &Budget) -> Option<String> {
    let parts = [
        budget.minutes.map(|limit| minutes(u64::from(limit) * 60)),
        budget.tokens.map(|tokens| format!("{} tokens", grouped(tokens))),
        budget.cents.map(fields::money),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("at most {}", parts.join(", ")))
}

/// "200,000".
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// All of them; those that nobody gave are left out.
pub(crate) fn list(base: &str, view: &FeatureView, today: Date) -> Markup {
    let feature = &view.feature;
    let wanted = &feature.wanted;
    let text = |text: String| Some(html! { (text) }).filter(|_| !text.is_empty());
    let maybe = |value: &Option<String>| value.clone().and_then(text);
    let due = wanted.due.map(|due| match board::due(view, today) {
        Some((said, true)) if said.contains(&due.to_string()) => html! { span.bad { (said) } },
        Some((said, late)) => html! { (due) br; span class=(if late { "bad" } else { "faint" }) { (said) } },
        None => html! { (due) },
    });
    let editors: Vec<&str> = feature.editors.iter().map(qd_types::PersonId::as_str).collect();
    html! {
        (parts::facts(&[
            ("Stage", text(feature.stage.to_string())),
            ("Paused", feature.paused.as_deref().and_then(|said| text(said.strip_prefix("by ").unwrap_or(said).to_owned()))),
            ("Repository", text(feature.repository.to_string())),
            ("Priority", text(fields::priority(wanted.priority))),
            ("Size", text(wanted.size.map_or_else(String::new, |size| size.as_str().to_uppercase()))),
            ("Due", due),
            ("Labels", text(wanted.labels.join(", "))),
            ("Milestone", maybe(&wanted.milestone)),
            ("Project", maybe(&wanted.project)),
            ("Part of", linked(base, wanted.epic.as_slice())),
            ("Waits for", linked(base, &wanted.depends_on)),
            ("Assigned to", wanted.assignee.as_ref().and_then(|person| text(person.to_string()))),
            ("Agent", maybe(&wanted.agent)),
            ("Model", maybe(&wanted.model)),
            ("Plan", Some(fields::plan(wanted.plan)).filter(|_| wanted.plan != PlanMode::None).and_then(|plan| text(plan.to_owned()))),
            ("Budget", budget(&wanted.budget).and_then(text)),
            ("Spent", view.spent.as_ref().and_then(|spent| text(spent.said()))),
            ("Comes from", wanted.source.as_ref().and_then(|source| text(source.to_string()))),
            ("Not before", feature.not_before.map(parts::moment)),
            ("Filed by", text(feature.author.to_string())),
            ("Edited by", text(editors.join(", "))),
            ("Filed", Some(parts::ago(feature.created_at))),
            ("Changed", Some(parts::ago(feature.updated_at))),
            ("Version", text(feature.version.to_string())),
        ]))
        @if !feature.touched.is_empty() {
            details.more {
                summary { (feature.touched.len()) " paths touched" }
                ul.plain { @for path in &feature.touched { li { code { (path) } } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_read_as_people_say_them() {
        let limits = Budget { cents: Some(505), tokens: Some(1_200_000), minutes: Some(90) };
        insta::assert_snapshot!(budget(&limits).unwrap(), @"at most 1 h 30 min, 1,200,000 tokens, 5.05");
        assert_eq!(budget(&Budget::default()), None);
    }
}
