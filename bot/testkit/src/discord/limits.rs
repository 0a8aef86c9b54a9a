//! What Discord refuses although its description allows it. Each rule cites where it is documented.

use serde_json::Value;

/// Characters of an embed's title, description, fields, footer and author, all embeds together.
/// <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>
const EMBEDS: usize = 6000;

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

fn at_most(wrong: &mut Vec<String>, what: &str, count: usize, most: usize) {
    if count > most {
        wrong.push(format!("{what}: {count}, at most {most}"));
    }
}

/// What is wrong with a message to be, or an edit.
pub(super) fn message(body: &Value, edit: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    // https://docs.discord.com/developers/resources/message#create-message: 2,000 characters, 10 embeds.
    at_most(&mut wrong, "content", length(&body["content"]), 2000);
    let list = |name: &str| body[name].as_array().map_or(&[] as &[Value], Vec::as_slice);
    at_most(&mut wrong, "embeds", list("embeds").len(), 10);
    let mut total = 0;
    for embed in list("embeds") {
        // https://docs.discord.com/developers/resources/message#embed-object-embed-limits
        let fields = embed["fields"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        at_most(&mut wrong, "embed title", length(&embed["title"]), 256);
        at_most(&mut wrong, "embed description", length(&embed["description"]), 4096);
        at_most(&mut wrong, "embed fields", fields.len(), 25);
        at_most(&mut wrong, "embed footer", length(&embed["footer"]["text"]), 2048);
        at_most(&mut wrong, "embed author", length(&embed["author"]["name"]), 256);
        total += length(&embed["title"]) + length(&embed["description"]) + length(&embed["footer"]["text"]);
        for field in fields {
            at_most(&mut wrong, "embed field name", length(&field["name"]), 256);
            at_most(&mut wrong, "embed field value", length(&field["value"]), 1024);
            if length(&field["name"]) == 0 || length(&field["value"]) == 0 {
                wrong.push("an embed field is empty".to_owned());
            }
            total += length(&field["name"]) + length(&field["value"]);
        }
    }
    at_most(&mut wrong, "characters of all embeds", total, EMBEDS);
    wrong.extend(components(&body["components"], false));
    // https://docs.discord.com/developers/resources/message#create-message: one of content, embeds, files, components.
    let parts = ["embeds", "components", "attachments", "sticker_ids"];
    let flagged = body["flags"].as_u64().unwrap_or(0);
    if !edit
        && length(&body["content"]) == 0
        && parts.iter().all(|part| list(part).is_empty())
        && flagged & (1 << 15) == 0
    {
        wrong.push("an empty message".to_owned());
    }
    // https://docs.discord.com/developers/resources/message#create-message-jsonform-params
    if body["enforce_nonce"] == true && body["nonce"].is_null() {
        wrong.push("enforce_nonce without a nonce".to_owned());
    }
    // Stricter than Discord: a bot that shows other people's words says whom it may ping.
    if body["allowed_mentions"].is_null() && length(&body["content"]) > 0 {
        wrong.push("content without allowed_mentions".to_owned());
    }
    // https://docs.discord.com/developers/resources/message#allowed-mentions-object-allowed-mentions-reference
    for kind in ["users", "roles"] {
        let parsed = body["allowed_mentions"]["parse"]
            .as_array()
            .is_some_and(|list| list.iter().any(|item| item == kind));
        let named = body["allowed_mentions"][kind].as_array().is_some_and(|list| !list.is_empty());
        if parsed && named {
            wrong.push(format!("allowed_mentions both parses and names {kind}"));
        }
    }
    wrong
}

/// What is wrong with a thread to be. <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
pub(super) fn thread(body: &Value) -> Vec<String> {
    let (mut wrong, name) = (Vec::new(), length(&body["name"]));
    if !(1..=100).contains(&name) {
        wrong.push(format!("a thread's name of {name} characters"));
    }
    let quiet = body["auto_archive_duration"].as_u64();
    if quiet.is_some_and(|minutes| ![60, 1440, 4320, 10_080].contains(&minutes)) {
        wrong.push(format!("auto_archive_duration {quiet:?}"));
    }
    wrong
}

/// Rows and what is in them. <https://docs.discord.com/developers/components/reference>
fn components(rows: &Value, modal: bool) -> Vec<String> {
    let (mut wrong, mut ids) = (Vec::new(), Vec::new());
    let rows = rows.as_array().map_or(&[] as &[Value], Vec::as_slice);
    at_most(&mut wrong, "action rows", rows.len(), 5);
    for row in rows {
        if row["type"] != 1 && !(modal && row["type"] == 18) {
            wrong.push(format!("a {} where a row belongs", row["type"]));
        }
        let items = row["components"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        at_most(&mut wrong, "buttons in a row", items.len(), 5);
        if items.is_empty() {
            wrong.push("an empty row".to_owned());
        }
        for item in items {
            let id = item["custom_id"].as_str().unwrap_or_default();
            match (item["type"].as_u64(), modal) {
                (Some(2), false) => {
                    // https://docs.discord.com/developers/components/reference#button
                    at_most(&mut wrong, "button label", length(&item["label"]), 80);
                    at_most(&mut wrong, "custom_id", id.chars().count(), 100);
                    if item["style"] != 5 && id.is_empty() {
                        wrong.push("a button without a custom_id".to_owned());
                    }
                }
                (Some(4), true) => {
                    // https://docs.discord.com/developers/components/reference#text-input
                    at_most(&mut wrong, "text input label", length(&item["label"]), 45);
                    at_most(&mut wrong, "text input placeholder", length(&item["placeholder"]), 100);
                    at_most(&mut wrong, "custom_id", id.chars().count(), 100);
                }
                (kind, _) => wrong.push(format!("a component of type {kind:?} here")),
            }
            if ids.contains(&id) {
                wrong.push(format!("custom_id {id} twice"));
            }
            ids.push(id);
        }
    }
    wrong
}

/// What is wrong with a modal. <https://docs.discord.com/developers/interactions/receiving-and-responding#modal>
pub(super) fn modal(data: &Value) -> Vec<String> {
    let mut wrong = components(&data["components"], true);
    at_most(&mut wrong, "modal title", length(&data["title"]), 45);
    at_most(&mut wrong, "custom_id", length(&data["custom_id"]), 100);
    if data["components"].as_array().is_none_or(Vec::is_empty) {
        wrong.push("a modal without inputs".to_owned());
    }
    wrong
}

/// What is wrong with an answer to autocomplete.
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#autocomplete>
pub(super) fn choices(data: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let choices = data["choices"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    at_most(&mut wrong, "choices", choices.len(), 25);
    for choice in choices {
        at_most(&mut wrong, "choice name", length(&choice["name"]), 100);
        at_most(&mut wrong, "choice value", length(&choice["value"]), 100);
    }
    wrong
}

/// What is wrong with the commands of a guild.
/// <https://docs.discord.com/developers/interactions/application-commands#application-command-object>
pub(super) fn commands(list: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let list = list.as_array().map_or(&[] as &[Value], Vec::as_slice);
    at_most(&mut wrong, "commands", list.len(), 100);
    for (index, item) in list.iter().enumerate() {
        if item["type"] == 3 {
            // https://docs.discord.com/developers/interactions/application-commands#message-commands
            let name = length(&item["name"]);
            if !(1..=32).contains(&name) || length(&item["description"]) > 0 || item["options"].is_array() {
                wrong.push(format!("{}: a message's command has a name and nothing else", item["name"]));
            }
            continue;
        }
        command(item, 0, &mut wrong);
        at_most(&mut wrong, "characters of a command", characters(item), 8000);
        if list.iter().take(index).any(|before| before["name"] == item["name"]) {
            wrong.push(format!("command {} twice", item["name"]));
        }
    }
    wrong
}

fn command(item: &Value, depth: usize, wrong: &mut Vec<String>) {
    let name = item["name"].as_str().unwrap_or_default();
    let letters = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_'
    };
    if name.is_empty() || name.len() > 32 || !name.chars().all(letters) {
        wrong.push(format!("{name:?} is no name of a command or option"));
    }
    let described = length(&item["description"]);
    if !(1..=100).contains(&described) {
        wrong.push(format!("{name}: a description of {described} characters"));
    }
    let options = item["options"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    at_most(wrong, "options", options.len(), 25);
    let mut optional = false;
    for option in options {
        let kind = option["type"].as_u64().unwrap_or(0);
        if kind <= 2 && depth + (2 - kind as usize) > 2 {
            wrong.push(format!("{name}: subcommands too deep"));
        }
        if kind > 2 && option["required"] == true && optional {
            wrong.push(format!("{name}: a required option after an optional one"));
        }
        optional |= kind > 2 && option["required"] != true;
        if option["autocomplete"] == true && option["choices"].as_array().is_some_and(|list| !list.is_empty())
        {
            wrong.push(format!("{name}: choices and autocomplete"));
        }
        command(option, depth + 1, wrong);
    }
}

fn characters(item: &Value) -> usize {
    let inner = item["options"].as_array().map_or(0, |options| options.iter().map(characters).sum());
    length(&item["name"]) + length(&item["description"]) + inner
}
