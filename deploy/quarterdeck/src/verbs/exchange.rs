//! `export` and `import`: the board as a file, and files onto the board.

use std::path::Path;

use qd_api::ImportFile;
use qd_board::exchange::{Document, Format, Imported};

use super::{Done, connect, explain};
use crate::{
    cli::{Common, ImportFlags, StageArg},
    context::UserError,
    say,
};

pub(super) async fn export(common: &Common, format: Format, stage: Option<StageArg>) -> Done {
    let mut client = connect(common)?;
    let stage = stage.map_or_else(String::new, |stage| format!("&stage={}", qd_types::Stage::from(stage)));
    let path = format!("export?format={format}{stage}");
    match format {
        Format::Json => say::json(&client.get::<Document>(&path).await.map_err(explain)?),
        Format::Markdown => say::line(client.text(&path).await.map_err(explain)?.trim_end()),
    }
    Ok(())
}

pub(super) async fn import(common: &Common, flags: ImportFlags) -> Done {
    let mut client = connect(common)?;
    let text = read(&flags.file)?;
    let format = flags.format.unwrap_or_else(|| guess(&flags.file, &text));
    let name = if flags.file == "-" { None } else { Path::new(&flags.file).file_name() };
    let file = ImportFile {
        format,
        text,
        name: name.map(|name| name.to_string_lossy().into_owned()),
        ready: flags.ready,
        dry_run: flags.dry_run,
    };
    let imported: Imported = client.post("import", &file).await.map_err(explain)?;
    if common.json {
        say::json(&imported);
    } else {
        show(&imported);
    }
    Ok(())
}

pub(super) fn read(file: &str) -> Result<String, UserError> {
    let read = match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let what = if file == "-" { "standard input" } else { file };
    read.map_err(|error| UserError::failed(format!("{what} can't be read: {error}")))
}

/// By the file's name, else by how its text begins.
fn guess(file: &str, text: &str) -> Format {
    let kind = Path::new(file).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "json" => Format::Json,
        "md" | "markdown" | "txt" => Format::Markdown,
        _ if text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).starts_with('{') => Format::Json,
        _ => Format::Markdown,
    }
}

fn show(imported: &Imported) {
    for filed in &imported.filed {
        say::line(&format!("{:<7} {:<9} {}", filed.id.to_string(), filed.stage.as_str(), filed.title));
    }
    for skipped in &imported.skipped {
        say::line(&format!("skipped {} is {}: {}", skipped.title, skipped.id, skipped.why));
    }
    imported.notes.iter().for_each(|note| say::line(note));
    let (filed, skipped) = (imported.filed.len(), imported.skipped.len());
    let would = if imported.dry_run { " would be" } else { "" };
    let dry = if imported.dry_run { " Nothing was written." } else { "" };
    say::line(&format!("{filed}{would} filed, {skipped} skipped.{dry}"));
}
