//! Task lists. `- [ ]` is a feature, `- [x]` a done one, `- [-]` a cancelled one; an item within an item is a part of it;
//! indented text is the description; a heading is the milestone of what follows. Not all of Markdown: line by line.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use qd_types::{FeatureId, InstanceName, Stage};

use super::{
    Batch, Document, Exported, Item, VERSION, refuse,
    tokens::{self, Token},
};
use crate::{FieldError, Wanted, wanted::DEFAULT_PRIORITY};

/// Writes a board as task lists. What they have no words for (checks, paths, agents, budgets, comments) is left out.
pub fn write(document: &Document) -> String {
    let ids: HashSet<&FeatureId> = document.features.iter().map(|feature| &feature.id).collect();
    let mut children: BTreeMap<&FeatureId, Vec<&Exported>> = BTreeMap::new();
    let mut sections: Vec<(Option<&str>, Vec<&Exported>)> = vec![(None, Vec::new())];
    for feature in &document.features {
        let epic = feature.wanted.epic.as_ref();
        if let Some(epic) = epic.filter(|epic| ids.contains(epic)) {
            children.entry(epic).or_default().push(feature);
            continue;
        }
        let milestone = feature.wanted.milestone.as_deref();
        match sections.iter_mut().find(|(name, _)| *name == milestone) {
            Some((_, list)) => list.push(feature),
            None => sections.push((milestone, vec![feature])),
        }
    }
    let first = document.features.first().map(|feature| &feature.repository);
    let several = document.features.iter().any(|feature| Some(&feature.repository) != first);
    let mut writer = Writer { children, several, text: String::new() };
    let _infallible =
        writeln!(writer.text, "<!-- quarterdeck: board of {}, version {VERSION} -->", document.team);
    for (milestone, features) in sections.into_iter().filter(|(_, features)| !features.is_empty()) {
        writer.text.push('\n');
        if let Some(name) = milestone {
            let _infallible = writeln!(writer.text, "## {name}\n");
        }
        for feature in features {
            writer.item(feature, 0, milestone);
        }
    }
    writer.text
}

struct Writer<'a> {
    children: BTreeMap<&'a FeatureId, Vec<&'a Exported>>,
    several: bool,
    text: String,
}

impl Writer<'_> {
    fn item(&mut self, feature: &Exported, depth: usize, milestone: Option<&str>) {
        let wanted = &feature.wanted;
        let indent = "  ".repeat(depth);
        let mark = match feature.stage {
            Stage::Done => 'x',
            Stage::Cancelled => '-',
            _ => ' ',
        };
        let mut tokens = vec![Token::Id(feature.id.clone())];
        tokens.extend(Some(Token::Priority(wanted.priority)).filter(|_| wanted.priority != DEFAULT_PRIORITY));
        tokens.extend(wanted.size.map(Token::Size));
        tokens.extend(wanted.labels.iter().cloned().map(Token::Label));
        tokens.extend(wanted.due.map(Token::Due));
        tokens.extend(wanted.assignee.clone().map(Token::Assignee));
        tokens.extend(wanted.epic.clone().filter(|_| depth == 0).map(Token::PartOf));
        tokens.extend(wanted.depends_on.iter().cloned().map(Token::After));
        tokens.extend(Some(Token::Repository(feature.repository.clone())).filter(|_| self.several));
        let own = wanted.milestone.as_deref();
        tokens.extend(Some(Token::Milestone(wanted.milestone.clone())).filter(|_| own != milestone));
        let tokens: Vec<String> = tokens.iter().map(Token::write).collect();
        let title = &wanted.title;
        let _infallible = writeln!(self.text, "{indent}- [{mark}] {title} ({})", tokens.join(", "));
        if !wanted.description.is_empty() {
            self.text.push('\n');
            for line in wanted.description.split('\n') {
                let escape =
                    if marked(line.trim_start().trim_start_matches('\\')).is_some() { "\\" } else { "" };
                let (space, rest) = line.split_at(line.len() - line.trim_start().len());
                match line {
                    "" => self.text.push('\n'),
                    _ => {
                        let _infallible = writeln!(self.text, "{indent}  {space}{escape}{rest}");
                    }
                }
            }
            self.text.push('\n');
        }
        for part in self.children.remove(&feature.id).unwrap_or_default() {
            self.item(part, depth + 1, milestone);
        }
    }
}

/// The stage and the rest of a line that begins with a task's box.
fn marked(line: &str) -> Option<(Stage, &str)> {
    let rest = line.strip_prefix(['-', '*', '+'])?.strip_prefix(" [")?;
    let (mark, rest) = rest.split_once(']')?;
    let stage = match mark {
        " " | "" => Stage::Backlog,
        "x" | "X" => Stage::Done,
        "-" => Stage::Cancelled,
        _ => return None,
    };
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| (stage, rest.trim()))
}

/// An item that is being read.
struct Open {
    indent: usize,
    index: usize,
}

struct Reader {
    referred: HashSet<FeatureId>,
    batch: Batch,
    open: Vec<Open>,
    milestone: Option<String>,
    outside: Vec<usize>,
}

/// Reads task lists.
pub fn read(text: &str) -> Result<Batch, FieldError> {
    let text = text.replace("\r\n", "\n");
    let mut reader = Reader {
        referred: referred(&text),
        batch: Batch::default(),
        open: Vec::new(),
        milestone: None,
        outside: Vec::new(),
    };
    for (index, line) in text.split('\n').enumerate() {
        reader.line(index + 1, line)?;
    }
    let Reader { mut batch, outside, .. } = reader;
    if let Some(first) = outside.first() {
        let lines = if outside.len() == 1 { "1 line".to_owned() } else { format!("{} lines", outside.len()) };
        batch.notes.push(format!(
            "{lines} outside of every item, line {first} first, left out: indent what belongs to an item."
        ));
    }
    for item in &mut batch.items {
        item.wanted.description = item.wanted.description.trim().to_owned();
    }
    Ok(batch)
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), FieldError> {
        let (indent, rest) = indented(line);
        if let Some((stage, title)) = marked(rest) {
            return self.item(number, indent, stage, title);
        }
        if rest.is_empty() {
            if let Some(open) = self.open.last() {
                let strip = open.indent + 2;
                self.describe(strip, line);
            }
            return Ok(());
        }
        while self.open.last().is_some_and(|open| open.indent >= indent) {
            self.open.pop();
        }
        if let Some(open) = self.open.last() {
            let strip = open.indent + 2;
            self.describe(strip, line);
        } else if let Some(name) = heading(rest) {
            self.milestone = Some(name.to_owned()).filter(|name| !name.is_empty());
        } else if rest.starts_with("<!--") {
            self.batch.team = self.batch.team.take().or_else(|| team(rest));
        } else {
            self.outside.push(number);
        }
        Ok(())
    }

    fn describe(&mut self, strip: usize, line: &str) {
        let Some(item) = self.open.last().and_then(|open| self.batch.items.get_mut(open.index)) else {
            return;
        };
        let line = stripped(line, strip);
        let (space, rest) = line.split_at(line.len() - line.trim_start().len());
        let rest = match rest.strip_prefix('\\') {
            Some(bare) if marked(bare.trim_start_matches('\\')).is_some() => bare,
            _ => rest,
        };
        item.wanted.description.extend(["\n", space, rest]);
    }

    fn item(&mut self, number: usize, indent: usize, stage: Stage, text: &str) -> Result<(), FieldError> {
        while self.open.last().is_some_and(|open| open.indent >= indent) {
            self.open.pop();
        }
        let place = format!("line {number}");
        let (title, mut tokens) = tokens::split(text).map_err(|error| refuse(format!("{place}: {error}")))?;
        let mut title = title;
        if let [Token::Id(id)] = tokens.as_slice()
            && !self.is_id(id)
        {
            (title, tokens) = (text, Vec::new());
        }
        let mut item = Item {
            place,
            id: None,
            parent: self.open.last().map(|open| open.index),
            stage,
            repository: None,
            wanted: Wanted {
                title: title.to_owned(),
                milestone: self.milestone.clone(),
                ..Wanted::default()
            },
            comments: Vec::new(),
        };
        let wanted = &mut item.wanted;
        for token in tokens {
            match token {
                Token::Id(id) => item.id = Some(id),
                Token::Priority(priority) => wanted.priority = priority,
                Token::Size(size) => wanted.size = Some(size),
                Token::Label(label) => wanted.labels.push(label),
                Token::Due(due) => wanted.due = Some(due),
                Token::After(dependency) => wanted.depends_on.push(dependency),
                Token::PartOf(epic) => wanted.epic = Some(epic),
                Token::Assignee(person) => wanted.assignee = Some(person),
                Token::Repository(name) => item.repository = Some(name),
                Token::Milestone(name) => wanted.milestone = name,
            }
        }
        self.open.push(Open { indent, index: self.batch.items.len() });
        self.batch.items.push(item);
        Ok(())
    }

    /// Whether a lone id behind a title is one: "(UTF-8)" looks like it. In an export it is, elsewhere if the file
    /// refers to it.
    fn is_id(&self, id: &FeatureId) -> bool {
        self.batch.team.is_some() || self.referred.contains(id)
    }
}

/// Ids that the text names behind "after" or "part of".
fn referred(text: &str) -> HashSet<FeatureId> {
    let behind =
        |word: &'static str| text.match_indices(word).filter_map(move |(at, _)| text.get(at + word.len()..));
    let id = |rest: &str| rest.split(['@', ',', ')', ' ', '\n']).next().and_then(|id| id.parse().ok());
    behind("after ").chain(behind("part of ")).filter_map(id).collect()
}

/// Columns of white space before a line's text, and the text. A tab goes to the next multiple of four.
fn indented(line: &str) -> (usize, &str) {
    let rest = line.trim_start();
    let space = line.get(..line.len() - rest.len()).unwrap_or_default();
    let columns = space.chars().fold(0, |at, c| if c == '\t' { at / 4 * 4 + 4 } else { at + 1 });
    (columns, rest)
}

/// A line without its first columns, as far as they are white space.
fn stripped(line: &str, columns: usize) -> &str {
    let mut at = 0;
    for (index, c) in line.char_indices() {
        if at >= columns || !matches!(c, ' ' | '\t') {
            return line.get(index..).unwrap_or_default();
        }
        at = if c == '\t' { at / 4 * 4 + 4 } else { at + 1 };
    }
    ""
}

fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && (rest.is_empty() || rest.starts_with(char::is_whitespace)))
        .then(|| rest.trim())
}

/// The team in the line that an export begins with.
fn team(line: &str) -> Option<InstanceName> {
    line.strip_prefix("<!-- quarterdeck: board of ")?.split(',').next()?.parse().ok()
}
