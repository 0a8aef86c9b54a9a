//! What a repository tells agents that work on it: Markdown files, each with a head that says for which features. A file
//! without a head is for all of them.
//!
//! ```text
//! ---
//! paths: src/api/**, docs/api.md
//! labels: api
//! ---
//! Every route has an example.
//! ```

use globset::{Glob, GlobSetBuilder};

use crate::Feature;

/// What such a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// It is for features that declare or touched a path of these patterns. Empty: for all.
    pub paths: Vec<String>,
    /// It is for features with any of these labels. Empty: for all.
    pub labels: Vec<String>,
    /// What agents are told.
    pub text: String,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The head does not end.
    #[error("its head has no end: close it with a line ---")]
    Open,
    /// A line of the head is not known.
    #[error("its head says {0:?}; known are `paths: PATTERN, PATTERN` and `labels: LABEL, LABEL`")]
    Line(String),
    /// A pattern can't be read.
    #[error("its pattern {pattern:?} can't be read")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
}

impl Context {
    /// Reads a file.
    ///
    /// # Errors
    /// If its head is not one: then nobody knows for whom it is.
    pub fn read(text: &str) -> Result<Self, ContextError> {
        let mut context = Self::default();
        let mut lines = text.lines();
        if text.lines().next().map(str::trim_end) != Some("---") {
            context.text = text.trim().to_owned();
            return Ok(context);
        }
        lines.next();
        loop {
            let line = lines.next().ok_or(ContextError::Open)?.trim();
            let values = |values: &str| -> Vec<String> {
                values
                    .split(',')
                    .map(|value| value.trim().to_owned())
                    .filter(|value| !value.is_empty())
                    .collect()
            };
            match line.split_once(':') {
                _ if line == "---" => break,
                _ if line.is_empty() => {}
                Some(("paths", patterns)) => context.paths = values(patterns),
                Some(("labels", labels)) => context.labels = values(labels),
                _ => return Err(ContextError::Line(line.to_owned())),
            }
        }
        context.text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
        Ok(context)
    }

    /// Whether it is for this feature.
    ///
    /// # Errors
    /// If a pattern can't be read.
    pub fn is_for(&self, feature: &Feature) -> Result<bool, ContextError> {
        let mut globs = GlobSetBuilder::new();
        let bad = |pattern: &str, source| ContextError::Pattern { pattern: pattern.to_owned(), source };
        for pattern in &self.paths {
            globs.add(Glob::new(pattern).map_err(|source| bad(pattern, source))?);
        }
        let globs = globs.build().map_err(|source| bad(&self.paths.join(", "), source))?;
        let wanted = &feature.wanted;
        let paths = self.paths.is_empty()
            || wanted.paths.iter().chain(&feature.touched).any(|path| globs.is_match(path));
        let labels = self.labels.is_empty() || self.labels.iter().any(|label| wanted.labels.contains(label));
        Ok(paths && labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        match Context::read(text) {
            Ok(Context { paths, labels, text }) => format!("{paths:?} {labels:?} {text:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_head_says_for_whom_it_is() {
        insta::assert_snapshot!(of("Use tabs.\n"), @r#"[] [] "Use tabs.""#);
        insta::assert_snapshot!(of("---\npaths: src/**, *.md\nlabels: api\n---\nMind the routes.\n---\n"), @r#"["src/**", "*.md"] ["api"] "Mind the routes.\n---""#);
        insta::assert_snapshot!(of("---\npath: src/**\n---\nx"), @r#"its head says "path: src/**"; known are `paths: PATTERN, PATTERN` and `labels: LABEL, LABEL`"#);
        insta::assert_snapshot!(of("---\nlabels: api\n"), @"its head has no end: close it with a line ---");
    }
}
