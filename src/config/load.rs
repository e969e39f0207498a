//! Reads settings: the file, then the variables of the environment, then all that both say.

use std::path::Path;

use crate::{
    config::{
        check::check,
        environment::KEYS,
        fields::Problems,
        overlay::{lay_over, nothing},
        settings::Settings,
        texts::Texts,
    },
    files::{FileError, Opened},
    source::{Finding, Source, arrange, finding::position, yaml},
};

/// Largest settings file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Settings {
    /// Reads a file and lays the variables that begin with `TAMIS__` over it. All that is wrong is
    /// said at once.
    pub fn load(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let name = file.display().to_string();
        let bytes = match Opened::at(file).and_then(|opened| opened.read(FILE_BYTES_MAX)) {
            Ok(bytes) => bytes,
            Err(FileError::TooLarge(_)) => return Err(SettingsError::TooLarge { name }),
            Err(source) => return Err(SettingsError::Unreadable { name, source }),
        };
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&name, &text, environment),
            Err(error) => {
                Err(SettingsError::NotText { name, at: error.utf8_error().valid_up_to() })
            }
        }
    }

    /// Does what [`Settings::load`] does with a text; `name` is what errors call it.
    pub fn parse(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        // Some editors put it there; it says nothing.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut texts = Texts::of_file(name, text);
        let mut findings = Vec::new();
        let root = yaml::read(0, text, &mut findings);
        let is_read = findings.is_empty();
        let mut root = root.unwrap_or_else(|| nothing(0..0));
        if is_read {
            texts.hide_keys(&root);
        } else {
            texts.hide_file();
            for finding in &mut findings {
                // It is not known what a quoted text is: it may be a key.
                finding.message = without_quoted(&finding.message);
                finding.help = None;
            }
        }
        let mut problems = Vec::new();
        lay_over(&mut root, environment, &mut texts, &mut problems);
        // A text of which nothing is known would lack everything, which helps nobody.
        let mut problems = Problems::of(&texts, problems);
        let settings = if is_read { check(root, &mut problems) } else { None };
        findings.extend(problems.into_findings());
        match settings {
            Some(settings) if findings.is_empty() => Ok(settings),
            Some(_) | None => Err(SettingsError::wrong(findings, texts)),
        }
    }
}

/// Why there are no settings. No text of it shows a digest of a key, or what stands in its place.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The operating system says no.
    #[error("`{name}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the operating system says, or what it is instead of a file.
        source: FileError,
    },
    /// Settings are a page, not a book.
    #[error("`{name}` is larger than {FILE_BYTES_MAX} bytes: is this the file that is meant?")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// A file that is not text.
    #[error("`{name}` is not UTF-8 text from byte {at} on: save it as UTF-8")]
    NotText {
        /// The file.
        name: String,
        /// The first byte that is wrong, counted from 0.
        at: usize,
    },
    /// What is written cannot be meant.
    #[error("{}", lines(findings, sources))]
    Wrong {
        /// All that is wrong, at least one, by place: first the file, then the variables.
        findings: Vec<Finding>,
        /// The file and the variables, as they may be shown: what can be a key is hidden.
        sources: Vec<Source>,
    },
}

impl SettingsError {
    fn wrong(mut findings: Vec<Finding>, texts: Texts) -> Self {
        for finding in &mut findings {
            finding.message = texts.clean(&finding.message);
            // The reader of YAML speaks of policies where a file has too much of something.
            finding.help = match finding.code {
                "too-deep" | "file-too-large" => {
                    Some("settings are a page: is this the file that is meant?".to_owned())
                }
                _ => finding.help.take().map(|help| texts.clean(&help)),
            };
        }
        arrange(&mut findings);
        Self::Wrong { findings, sources: texts.into_sources() }
    }
}

/// A line for each finding: its place and what is wrong, and below it what could be written instead.
fn lines(findings: &[Finding], sources: &[Source]) -> String {
    let line = |finding: &Finding| {
        let Finding { at, message, help, .. } = finding;
        let source = sources.get(at.source);
        let name = source.map_or("", |source| source.name.as_str());
        let help = help.as_ref().map_or(String::new(), |help| format!("\n  help: {help}"));
        match source.filter(|_| at.source == 0 && at.span.end > 0) {
            Some(file) => {
                let at = position(&file.text, at.span.start);
                format!("{name}:{}:{}: {message}{help}", at.line, at.column)
            }
            // A variable is one line, and what is missing stands nowhere.
            None => format!("{name}: {message}{help}"),
        }
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A message without the texts that it quotes, but for words of the settings.
fn without_quoted(message: &str) -> String {
    let is_word =
        |text: &str| KEYS.iter().any(|key| key.split(['.', '[']).any(|word| word == text));
    let parts = message.split('`').enumerate();
    let kept = parts.map(|(index, part)| if index % 2 == 1 && !is_word(part) { "*" } else { part });
    kept.collect::<Vec<_>>().join("`")
}
