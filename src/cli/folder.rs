//! What several commands need: a folder of policies, its findings, a key, a day, a request line.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    fs::{File, Metadata},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rustix::process::geteuid;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    cli::{outcome::Failure, streams::Streams},
    config,
    files::{self, FileError, Opened},
    json,
    policy::{self, Loaded, Needs, PathNeeds, PolicySet, Rank, Source, Suite},
    proxy,
    reload::{self, ReadError},
    transform::{Keys, NoKeys, RootKey},
};

/// The folder that is read where none is named.
pub(super) const DEFAULT: &str = "policies";

/// Most bytes of a key file: 64 digits and what white space an editor leaves.
const KEY_FILE_BYTES_MAX: u64 = 1 << 10;

/// A folder as it was read, and what came of it.
pub(super) struct Folder {
    pub(super) sources: Vec<Source>,
    pub(super) loaded: Loaded,
}

impl Folder {
    /// Reads and checks all files of a folder, with the loader that everything else uses. `command` is what
    /// stands before the folder's name where it is typed, such as `tamis check`.
    pub(super) fn load(path: &Path, keys: &dyn Keys, command: &str) -> Result<Self, Failure> {
        let folder = reload::read_folder(path).map_err(|error| unreadable(&error, command))?;
        let sources = folder.sources;
        let left = Cell::new(reload::FOLDER_BYTES_MAX);
        let fixture = |name: &str| {
            let text = reload::read_below(path, name).map_err(|error| error.to_string())?;
            let bytes = left.get().checked_sub(text.len() as u64);
            left.set(bytes.ok_or_else(|| {
                format!("the fixtures are larger than {} bytes together", reload::FOLDER_BYTES_MAX)
            })?);
            Ok(text)
        };
        let loaded = policy::load_with_fixtures(&sources, keys, &fixture);
        Ok(Self { sources, loaded })
    }

    /// The policies, for a command that has no use for wrong ones: their errors are said on stderr.
    pub(super) fn usable(self, streams: &mut Streams<'_>) -> Result<PolicySet, Failure> {
        self.with_tests().map(|(set, _, _)| set).map_err(|errors| {
            streams.say(errors.trim_end());
            Failure::Policies
        })
    }

    /// The policies, their tests and the sources; or the errors, for people.
    pub(super) fn with_tests(mut self) -> Result<(PolicySet, Vec<Suite>, Vec<Source>), String> {
        match self.loaded.set.take() {
            Some(set) => Ok((set, self.loaded.suites, self.sources)),
            None => Err(self.render(Some(Rank::Error))),
        }
    }

    /// The findings, or those of one rank, for people: each with an empty line behind it. Of each
    /// code the first ones, and then how many more there are.
    pub(super) fn render(&self, only: Option<Rank>) -> String {
        let findings = self.loaded.findings.iter();
        let findings = findings.filter(|finding| only.is_none_or(|rank| finding.rank == rank));
        policy::render_all(findings, &self.sources)
    }
}

/// Why a folder of policies cannot be read, and what to type instead.
fn unreadable(error: &ReadError, command: &str) -> Failure {
    let failure = Failure::cannot(error.to_string());
    match error {
        ReadError::NotFolder { path, .. } if is_settings(Path::new(path)) => failure.help(format!(
            "these are settings: `tamis serve --config {path} --check` checks them, and the policies that they name"
        )),
        ReadError::NotFolder { folder, .. } => {
            failure.help(format!("give the folder: `{command} {folder}`"))
        }
        ReadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            failure.help(format!("`{command} DIR` reads the policies in the folder DIR"))
        }
        ReadError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.help(let_read())
        }
        ReadError::Io { .. }
        | ReadError::NoPolicy { .. }
        | ReadError::WrongExtension { .. }
        | ReadError::Subfolder { .. }
        | ReadError::NotFile { .. }
        | ReadError::Outside { .. }
        | ReadError::NotRegular { .. }
        | ReadError::FileTooLarge { .. }
        | ReadError::FolderTooLarge { .. }
        | ReadError::TooManyEntries { .. }
        | ReadError::NotText { .. }
        | ReadError::NameNotText { .. } => failure,
    }
}

/// Whether a file holds settings: only they say where to listen.
fn is_settings(path: &Path) -> bool {
    let bytes = Opened::at(path).and_then(|opened| opened.read(config::FILE_BYTES_MAX));
    bytes.is_ok_and(|bytes| {
        bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"listen:"))
    })
}

/// Where the key of pseudonyms comes from.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// The file that holds the root key of pseudonyms: 64 hexadecimal digits.
    ///
    /// `(umask 077; set -C; openssl rand -hex 32 > FILE)` makes one, and overwrites none. Whoever can
    /// read it can find out whose pseudonym is whose.
    #[arg(long = "key-file", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl KeyFile {
    /// The key of the file, if one is named.
    ///
    /// It may be a pipe, as `--key-file <(pass show tamis)` is one: whoever typed it waits for it.
    pub(super) fn read(&self, streams: &mut Streams<'_>) -> Result<Option<RootKey>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let bytes = File::open(path).map_err(FileError::from).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((metadata, files::read_to_end(file, KEY_FILE_BYTES_MAX)?))
        });
        parse_key(path, bytes, streams).map(Some)
    }
}

/// The root key of the settings, if they name its file.
pub(super) fn read_root_key(
    path: Option<&Path>,
    streams: &mut Streams<'_>,
) -> Result<Option<RootKey>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let bytes = Opened::at(path).and_then(|opened| {
        let metadata = opened.metadata().clone();
        Ok((metadata, opened.read(KEY_FILE_BYTES_MAX)?))
    });
    parse_key(path, bytes, streams).map(Some)
}

/// The root key that a file holds, and a warning where too many can read it.
fn parse_key(
    path: &Path,
    read: Result<(Metadata, Vec<u8>), FileError>,
    streams: &mut Streams<'_>,
) -> Result<RootKey, Failure> {
    let name = path.display();
    let cannot =
        |why: &dyn fmt::Display| Failure::cannot(format!("cannot read the key file {name}: {why}"));
    let unreadable = |error: FileError| {
        let failure = cannot(&error);
        let kind = error.kind();
        if kind == io::ErrorKind::PermissionDenied {
            failure.help(let_read())
        } else if kind == io::ErrorKind::NotFound {
            failure.help(format!(
                "name the file of the key that is in use; if there is none yet, {MAKE_KEY} makes one"
            ))
        } else if kind == io::ErrorKind::IsADirectory {
            failure.help("name the file in it that holds the key")
        } else {
            match error {
                FileError::NotFile(_) | FileError::TooLarge(_) => failure.help(NO_KEY),
                FileError::Io(_) => failure,
            }
        }
    };
    let (metadata, bytes) = read.map_err(unreadable)?;
    let bytes = Zeroizing::new(bytes);
    if let Some(help) = proxy::open_to_others(&metadata) {
        streams.say(format_args!(
            "warning: every user of this machine can read the key file {name}\n  help: {help} {name}"
        ));
    }
    let text = str::from_utf8(&bytes).map_err(|_error| cannot(&"it is not text").help(NO_KEY))?;
    RootKey::from_hex(text).map_err(|error| cannot(&error).help(NO_KEY))
}

/// What to do about a file that this process may not read.
pub(super) fn let_read() -> String {
    format!("let the user that tamis runs as (uid {}) read it", geteuid().as_raw())
}

/// The command that makes a key, and leaves a file alone that is there.
pub(super) const MAKE_KEY: &str = "`(umask 077; set -C; openssl rand -hex 32 > FILE)`";

/// What to do about a file that is not the key.
const NO_KEY: &str = "a key file holds 64 hexadecimal digits and nothing else: name that file, or restore it; \
                      another key makes other pseudonyms";

/// The key of the file, or none at all.
pub(super) fn keys(key: Option<RootKey>) -> Box<dyn Keys> {
    match key {
        Some(key) => Box::new(key),
        None => Box::new(NoKeys),
    }
}

/// The day it is, in UTC.
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Takes `GET /customers/42` apart. What is wrong with it is said without quoting it: a request can
/// name a person.
pub(super) fn request_line(text: &str) -> Result<(&str, &str), Failure> {
    let cannot = |why: &str| {
        Failure::cannot(format!("the request is not METHOD and path: {why}"))
            .help("write both in one argument, in quotes: 'GET /customers/C-1042'")
    };
    let (method, target) =
        text.split_once(' ').ok_or_else(|| cannot("there is no space between them"))?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(cannot("the method is not a word in capitals"));
    }
    if !target.starts_with('/') {
        return Err(cannot("the path does not begin with `/`"));
    }
    if target.contains(' ') {
        return Err(cannot("there is a space in the path, which is written %20"));
    }
    Ok((method, target))
}

/// A number and what it counts: `1 error`, `2 errors`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Who reads what a command prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

/// Writes one JSON object and a line end.
pub(super) fn write_json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// How many bytes the limit is that a need has, without settings.
pub(super) fn limit_of(needs: Needs) -> Option<usize> {
    let limits = json::Limits::default();
    match needs {
        Needs::Nothing => None,
        Needs::Value => Some(limits.value_bytes_max),
        Needs::Window(_) | Needs::Array | Needs::Element => Some(limits.candidate_bytes_max),
        Needs::Document => Some(limits.document_bytes_max),
    }
}

/// What the limits are that these needs have, without settings; none if they have none.
pub(super) fn limits_in_words(needs: impl IntoIterator<Item = Needs>) -> Option<String> {
    let known = |needs: Needs| Some((needs.limit()?, limit_of(needs)?));
    let limits: BTreeMap<&str, usize> = needs.into_iter().filter_map(known).collect();
    let limits: Vec<String> = limits
        .into_iter()
        .map(|(name, bytes)| match bytes >> 10 {
            kib if kib % 1024 == 0 => format!("`{name}` is {} MiB", kib >> 10),
            kib => format!("`{name}` is {kib} KiB"),
        })
        .collect();
    (!limits.is_empty())
        .then(|| format!("Unless the settings say otherwise, {}.", limits.join(", ")))
}

/// What one path takes of memory, for machines.
#[derive(Serialize)]
pub(super) struct PathView<'a> {
    path: &'a str,
    holds: Vec<HoldView>,
}

/// One thing that is held.
#[derive(Serialize)]
struct HoldView {
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    /// The limit, without settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

impl<'a> PathView<'a> {
    pub(super) fn of(path: &'a PathNeeds) -> Self {
        let hold = |needs: &Needs| HoldView {
            class: needs.code(),
            elements: match needs {
                Needs::Window(elements) => Some(*elements),
                Needs::Nothing | Needs::Value | Needs::Array | Needs::Element | Needs::Document => {
                    None
                }
            },
            limit: needs.limit(),
            bytes: limit_of(*needs),
        };
        Self { path: &path.path, holds: path.needs.iter().map(hold).collect() }
    }
}
