//! Messages as Discord takes them. Everything is an embed: embeds ping nobody. What a message is known by stands in its
//! footer, so that it is found again without a record of our own.

use qd_core::chat::{Button, Message};
use qd_text::say;
use qd_types::ApprovalId;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    rooms::{CHOSEN, Words},
    slash,
};

/// Longest content, in characters. <https://docs.discord.com/developers/resources/message#create-message>
pub(crate) const CONTENT: usize = 2000;
/// Longest description of an embed, in characters.
const DESCRIPTION: usize = 4096;
/// Longest `custom_id` and placeholder, in characters.
const HUNDRED: usize = 100;
/// Longest label of a button, in characters.
pub(crate) const LABEL: usize = 80;
/// Bytes of a moment without its zone: `2026-11-21 14:00`.
const MOMENT: usize = 16;
/// Buttons in a row.
const ROW: usize = 5;

/// What a message is about, as the local pages colour it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing is asked.
    Quiet,
    /// People are asked.
    Asks,
    /// Something is wrong.
    Alert,
}

impl Tone {
    /// The colour of an embed, as a number. Discord's stripe is seen on light and on dark ground: it is the one for light.
    pub(crate) fn colour(self) -> u32 {
        let token = match self {
            Self::Quiet => "faint",
            Self::Asks => "brass-line",
            Self::Alert => "bad",
        };
        let hex = qd_look::colour(qd_look::Theme::Light, token).unwrap_or_default();
        u32::from_str_radix(hex.trim_start_matches('#'), 16).unwrap_or_default()
    }
}

/// Before the key of an approval, in a button that opens a modal.
pub(crate) const TYPED: &str = "typed ";
/// Before the key of an approval, in the buttons that are a yes and a no.
const APPROVE: &str = "approve ";
const DENY: &str = "deny ";
/// Before the key of an approval, in a button that gives its details.
pub(crate) const DETAILS: &str = "details ";

/// Text of at most so many characters, cut where a character ends.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A message, for a create or an edit.
pub(crate) fn message(message: &Message) -> Value {
    let approval = message.key.approval();
    let open = !message.buttons.is_empty() || !message.reactions.is_empty();
    let tone = match (open, message.text.starts_with('⚠')) {
        (true, _) => Tone::Asks,
        (false, true) => Tone::Alert,
        (false, false) => Tone::Quiet,
    };
    json!({
        "embeds": [{
            "description": cut(&timed(&slash::spoken(&message.text)), DESCRIPTION),
            "color": tone.colour(),
            "footer": {"text": message.key.0},
        }],
        "components": rows(&buttons(approval.as_ref(), message)),
        "allowed_mentions": {"parse": []},
    })
}

/// What an agent says in a channel, for a create.
pub(crate) fn words(words: &Words<'_>, footer: &str) -> Value {
    let how = match (words.asks, words.choices) {
        (false, _) => String::new(),
        (true, []) => format!("\n{}", say!("discord-asks")),
        (true, _) => format!("\n{}", say!("discord-asks-choice")),
    };
    let most = DESCRIPTION.saturating_sub(how.chars().count());
    let choice = |(number, label): (usize, &String)| Button {
        label: label.clone(),
        command: format!("{CHOSEN}{number}"),
    };
    let buttons: Vec<Button> = words.choices.iter().enumerate().map(choice).collect();
    json!({
        "embeds": [{
            "description": cut(words.text, most) + &how,
            "color": if words.asks { Tone::Asks } else { Tone::Quiet }.colour(),
            "footer": {"text": footer},
        }],
        "components": rows(&buttons),
        "allowed_mentions": {"parse": []},
    })
}

/// Moments as Discord's own, so that everybody reads them in their own zone: `2026-11-21 14:00 UTC` becomes `<t:…:f>`. Of a moment
/// that ends something, the time left stands behind it. What others wrote can't look like one that way: its `<` is escaped.
fn timed(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(" UTC") {
        let (before, after) = rest.split_at(at);
        let begin = before.len().checked_sub(MOMENT).filter(|begin| before.is_char_boundary(*begin));
        let moment = begin.and_then(|begin| before.split_at_checked(begin)).and_then(|(before, moment)| {
            let read = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M", moment).ok()?;
            let second = read.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
            let left = if before.ends_with("until ") { format!(" (<t:{second}:R>)") } else { String::new() };
            Some(format!("{before}<t:{second}:f>{left}"))
        });
        match moment {
            Some(shown) => out.push_str(&shown),
            None => {
                out.push_str(before);
                out.push_str(" UTC");
            }
        }
        rest = after.strip_prefix(" UTC").unwrap_or_default();
    }
    out + rest
}

/// The buttons of the message, and those that only Discord has: a modal where a name is to be typed, and the details.
fn buttons(approval: Option<&ApprovalId>, message: &Message) -> Vec<Button> {
    let mut buttons = message.buttons.clone();
    if buttons.is_empty() {
        return buttons;
    }
    if let Some(key) = approval.map(ApprovalId::key) {
        if asks_name(&message.text) && !buttons.iter().any(|button| button.command.starts_with(APPROVE)) {
            buttons.insert(0, Button { label: say!("button-approve"), command: format!("{TYPED}{key}") });
        }
        buttons.push(Button { label: say!("button-details"), command: format!("{DETAILS}{key}") });
    }
    buttons
}

/// Whether the card asks for the name of what it is done to. A question has no yes but its answer.
fn asks_name(text: &str) -> bool {
    target(text).is_some()
}

/// The name of what a card's act is done to, from its line `On: …`, as people read it.
pub(crate) fn target(text: &str) -> Option<String> {
    let on = || text.lines().filter_map(|line| line.strip_prefix("On: "));
    // Facts may have such a line as well; the one that says what to type is meant.
    let typed = on().find_map(|line| line.split_once(". Type: ").map(|(name, _)| name));
    let name = typed.or_else(|| on().next())?;
    Some(name.replace(['\\', '\u{200b}'], ""))
}

fn rows(buttons: &[Button]) -> Value {
    let button = |button: &Button| {
        let style = match button.command.as_str() {
            command if command.starts_with(APPROVE) || command.starts_with(TYPED) => 3,
            command if command.starts_with(DENY) => 4,
            _ => 2,
        };
        // A command that does not fit is typed: half of one would be another.
        let fits = button.command.chars().count() <= HUNDRED;
        fits.then(|| json!({"type": 2, "style": style, "label": cut(&button.label, LABEL), "custom_id": button.command}))
    };
    let shown: Vec<Value> = buttons.iter().filter_map(button).collect();
    let rows = shown.chunks(ROW).take(5).map(|row| json!({"type": 1, "components": row}));
    rows.collect()
}

/// An answer for one person alone.
pub(crate) fn private(text: &str) -> Value {
    let text = if text.trim().is_empty() { say!("discord-done") } else { timed(&slash::spoken(text)) };
    json!({"content": slash::fit(&text, CONTENT), "allowed_mentions": {"parse": []}, "flags": 64})
}

/// The modal in which a question is answered, known by the command that the answer stands behind.
pub(crate) fn question(command: &str) -> Value {
    json!({
        "custom_id": command,
        "title": say!("discord-answer"),
        "components": [{"type": 1, "components": [{
            "type": 4, "custom_id": "words", "style": 2, "label": say!("discord-answer-words"),
            "required": true, "max_length": 3500,
        }]}],
    })
}

/// The modal in which a name is typed out.
pub(crate) fn modal(key: &str, target: Option<&str>) -> Value {
    let shown = target.map_or_else(|| say!("discord-name-on-card"), str::to_owned);
    json!({
        "custom_id": format!("{TYPED}{key}"),
        "title": say!("discord-for-good"),
        "components": [{"type": 1, "components": [{
            "type": 4, "custom_id": "name", "style": 1, "label": say!("discord-type-name"),
            "placeholder": cut(&shown, HUNDRED), "required": true,
        }]}],
    })
}

/// What keeps a message from being created twice when its creation is tried again. `round` counts those that were deleted.
pub(crate) fn nonce(key: &str, round: u32) -> String {
    let digest = Sha256::digest(format!("{round}:{key}").as_bytes());
    digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use qd_core::chat::{Channel, MessageKey, ballots};
    use qd_types::{Confirm, Way};

    use super::*;

    fn shown(text: &str, way: Way) -> String {
        let id: ApprovalId = "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let (buttons, reactions) = ballots(&id, Confirm { way, typed: way == Way::Typed });
        let key = MessageKey::of_approval(&id);
        let card = Message {
            channel: Channel::Approvals,
            about: None,
            key,
            text: text.into(),
            picture: None,
            buttons,
            reactions,
            mentions: Vec::new(),
        };
        serde_json::to_string_pretty(&message(&card)).unwrap()
    }

    #[test]
    fn a_card_has_its_buttons_and_its_marker() {
        insta::assert_snapshot!(shown("**Merge 4f2a91c into main** (A-142, alpha)", Way::Button), @r#"
        {
          "embeds": [
            {
              "description": "**Merge 4f2a91c into main** (A-142, alpha)",
              "color": 11039770,
              "footer": {
                "text": "approval:bot/01ARZ3NDEKTSV4RRFFQ69G5FAV"
              }
            }
          ],
          "components": [
            {
              "type": 1,
              "components": [
                {
                  "type": 2,
                  "style": 3,
                  "label": "Approve",
                  "custom_id": "approve 01ARZ3NDEKTSV4RRFFQ69G5FAV"
                },
                {
                  "type": 2,
                  "style": 4,
                  "label": "Deny",
                  "custom_id": "deny 01ARZ3NDEKTSV4RRFFQ69G5FAV"
                },
                {
                  "type": 2,
                  "style": 2,
                  "label": "Details",
                  "custom_id": "details 01ARZ3NDEKTSV4RRFFQ69G5FAV"
                }
              ]
            }
          ],
          "allowed_mentions": {
            "parse": []
          }
        }
        "#);
    }

    #[test]
    fn colours_are_those_of_the_pages() {
        let all = [Tone::Quiet, Tone::Asks, Tone::Alert].map(|tone| format!("{:06x}", tone.colour()));
        insta::assert_snapshot!(all.join(" "), @"626a76 a8741a a92f28");
    }

    #[test]
    fn where_a_name_is_typed_the_button_opens_a_modal() {
        let text = "**Delete**\nOn: vm-117/pre\\_upgrade. Type: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV vm";
        assert!(shown(text, Way::Typed).contains("typed 01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert_eq!(target(text).as_deref(), Some("vm-117/pre_upgrade"));
        let facts = "On: ines. Arguments: {}.\nOn: ines. Type: approve 01ARZ3 ines";
        assert_eq!(target(facts).as_deref(), Some("ines"));
        insta::assert_snapshot!(modal("01ARZ3", target(text).as_deref()), @r#"{"custom_id":"typed 01ARZ3","title":"This takes the name, typed out","components":[{"type":1,"components":[{"type":4,"custom_id":"name","style":1,"label":"Type the name to approve","placeholder":"vm-117/pre_upgrade","required":true}]}]}"#);
    }

    #[test]
    fn moments_are_read_in_everybodys_own_zone() {
        insta::assert_snapshot!(timed("Decide until 2026-11-21 14:00 UTC: 2 owners. UTC"), @"Decide until <t:1795269600:f> (<t:1795269600:R>): 2 owners. UTC");
        insta::assert_snapshot!(timed("äöü 2026-13-21 14:00 UTC"), @"äöü 2026-13-21 14:00 UTC");
        let answer = private("alpha is silent since 2026-11-21 14:00 UTC (last heard with 1 run).");
        insta::assert_snapshot!(answer["content"].as_str().unwrap(), @"alpha is silent since <t:1795269600:f> (last heard with 1 run).");
    }

    #[test]
    fn texts_are_cut_where_a_character_ends() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        let long = private(&"✔".repeat(3000));
        assert_eq!(long["content"].as_str().unwrap().chars().count(), 2000);
        assert_eq!(nonce("a", 0).len(), 24);
        assert_ne!(nonce("a", 0), nonce("a", 1));
    }
}
