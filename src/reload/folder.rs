//! One look at the folder of policies: every file that counts, and a refusal for every file that
//! somebody might think counts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    files::{FileError, Opened},
    policy::Source,
};

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Largest sum of all files, in bytes.
pub const FOLDER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Most entries that are looked at in a folder and all below, to see whether policies are in it.
const ENTRIES_MAX: usize = 10_000;

/// The policies and tests of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Policies and tests, by name.
    pub sources: Vec<Source>,
}

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no.
    #[error("`{path}` cannot be read: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file where a folder has to be.
    #[error("`{path}` is a file: policies are read as a folder, here `{folder}`")]
    NotFolder {
        /// The file.
        path: String,
        /// The folder that it is in.
        folder: String,
    },
    /// There is nothing to load, and nothing loaded is nothing let through.
    #[error("there is no policy in `{path}`: policies are files that end in `.yaml`")]
    NoPolicy {
        /// The folder.
        path: String,
    },
    /// A file that looks like a policy and would not be loaded.
    #[error(
        "`{path}` would not be loaded, for its name ends in `.{extension}`: {}",
        if *is_there {
            format!("`{meant}` is there, too, so take one of them out of the folder")
        } else {
            format!("rename it to `{meant}`")
        }
    )]
    WrongExtension {
        /// The file.
        path: String,
        /// How its name ends.
        extension: String,
        /// What it should be called.
        meant: String,
        /// Whether another file has that name, which a renaming would overwrite.
        is_there: bool,
    },
    /// A folder with policies in it that would not be loaded.
    #[error(
        "`{path}` would not be loaded, for folders are not searched: move it up, or give the folder a name that begins with `.`"
    )]
    Subfolder {
        /// A policy in the folder.
        path: String,
    },
    /// Something with the name of a policy that is not a file: to read it may never end.
    #[error(
        "`{path}` has the name of a policy, and is {kind}, not a file: take it out of the folder"
    )]
    NotFile {
        /// Its path.
        path: String,
        /// What it is: a pipe, a socket or a device.
        kind: &'static str,
    },
    /// A file of a test that is not in the folder of the policies.
    #[error("`{path}` leads out of the folder of the policies")]
    Outside {
        /// The link.
        path: String,
    },
    /// A folder, pipe, socket or device in the place of a file of a test.
    #[error("`{path}` is {kind}, not a file")]
    NotRegular {
        /// Its path.
        path: String,
        /// What is in its place.
        kind: &'static str,
    },
    /// A file that is too large.
    #[error("`{path}` is larger than {FILE_BYTES_MAX} bytes: spread it over several files")]
    FileTooLarge {
        /// The file.
        path: String,
    },
    /// Files that are too large together.
    #[error("the files in `{path}` are larger than {FOLDER_BYTES_MAX} bytes together")]
    FolderTooLarge {
        /// The folder.
        path: String,
    },
    /// A folder with more entries than anybody would put there on purpose.
    #[error("`{path}` has more than {ENTRIES_MAX} entries: is this the folder that is meant?")]
    TooManyEntries {
        /// The folder.
        path: String,
    },
    /// A file that is not text.
    #[error("`{path}` is not UTF-8 text from byte {at} on: save it as UTF-8")]
    NotText {
        /// The file.
        path: String,
        /// The first byte that is wrong, counted from 0.
        at: usize,
    },
    /// A name that cannot be shown.
    #[error("the name of `{path}` is not UTF-8 text")]
    NameNotText {
        /// The file, as far as it can be shown.
        path: String,
    },
}

/// Reads `*.yaml` in a folder, in the order of their names.
///
/// Symbolic links are followed, names that begin with a dot are left out: that is how Kubernetes
/// mounts a `ConfigMap`. A file that somebody forgot to name rightly is an error, for what it says must
/// not be missing in silence.
pub fn read_folder(folder: &Path) -> Result<Folder, ReadError> {
    let mut files = Vec::new();
    let is_file = fs::metadata(folder).is_ok_and(|metadata| !metadata.is_dir());
    if is_file {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        return Err(ReadError::NotFolder { path: shown(folder), folder: shown(above) });
    }
    let top = entries(folder, ENTRIES_MAX)?;
    let mut entries_left = ENTRIES_MAX - top.len();
    for path in top {
        let name = file_name(&path)?;
        let metadata = fs::metadata(&path).map_err(|error| io_error(&path, error))?;
        if metadata.is_dir() {
            refuse_subfolder(&path, &mut entries_left)?;
            continue;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            // Whether it is a file is asked when it is open: by then it may be something else.
            Some("yaml") => files.push((name, path)),
            Some(extension) if is_like_yaml(extension) => {
                let meant = path.with_extension("yaml");
                return Err(ReadError::WrongExtension {
                    path: shown(&path),
                    extension: extension.to_owned(),
                    is_there: fs::symlink_metadata(&meant).is_ok(),
                    meant: meant
                        .file_name()
                        .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                });
            }
            Some(_) | None => {}
        }
    }
    files.sort();
    let mut sources = Vec::with_capacity(files.len());
    let mut bytes = 0;
    for (_, path) in files {
        let source = read_file(&path)?;
        bytes += source.text.len() as u64;
        if bytes > FOLDER_BYTES_MAX {
            return Err(ReadError::FolderTooLarge { path: shown(folder) });
        }
        sources.push(source);
    }
    if sources.iter().all(Source::is_test) {
        return Err(ReadError::NoPolicy { path: shown(folder) });
    }
    Ok(Folder { sources })
}

/// What a folder holds, without names that begin with a dot.
fn entries(folder: &Path, entries_max: usize) -> Result<Vec<PathBuf>, ReadError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| io_error(folder, error))? {
        let entry = entry.map_err(|error| io_error(folder, error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > entries_max {
            return Err(ReadError::TooManyEntries { path: shown(folder) });
        }
    }
    paths.sort();
    Ok(paths)
}

/// Folders are not searched for policies; one with policies in it, however deep, is a mistake.
///
/// A folder that is reached by a symbolic link is not gone into below the first: links can make
/// circles.
fn refuse_subfolder(folder: &Path, entries_left: &mut usize) -> Result<(), ReadError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let paths = entries(&folder, *entries_left)?;
        *entries_left -= paths.len();
        for path in paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension.is_some_and(is_like_yaml) {
                return Err(ReadError::Subfolder { path: shown(&path) });
            }
            let metadata = fs::symlink_metadata(&path).map_err(|error| io_error(&path, error))?;
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

fn is_like_yaml(extension: &str) -> bool {
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

/// Reads a file below a folder of policies that a test of theirs names, by its path from there. Folders below are
/// fine for such files, and links that stay inside.
pub fn read_below(folder: &Path, path: &str) -> Result<String, ReadError> {
    let named = folder.join(path);
    let resolved = |path: &Path| fs::canonicalize(path).map_err(|error| io_error(path, error));
    let (below, file) = (resolved(folder)?, resolved(&named)?);
    if !file.starts_with(&below) {
        return Err(ReadError::Outside { path: shown(&named) });
    }
    read_text(&file, &named, |path, kind| ReadError::NotRegular { path, kind })
}

fn read_file(path: &Path) -> Result<Source, ReadError> {
    read_text(path, path, |path, kind| ReadError::NotFile { path, kind })
        .map(|text| Source { name: shown(path), text })
}

/// Reads a file; errors call it `named`, and `not_file` makes one of its name and of what it is instead.
fn read_text(
    path: &Path,
    named: &Path,
    not_file: fn(String, &'static str) -> ReadError,
) -> Result<String, ReadError> {
    let read = Opened::at(path).and_then(|opened| opened.read(FILE_BYTES_MAX));
    let bytes = read.map_err(|error| match error {
        FileError::Io(error) => io_error(named, error),
        FileError::NotFile(kind) => not_file(shown(named), kind),
        FileError::TooLarge(_) => ReadError::FileTooLarge { path: shown(named) },
    })?;
    String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        path: shown(named),
        at: error.utf8_error().valid_up_to(),
    })
}

fn file_name(path: &Path) -> Result<String, ReadError> {
    path.file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| ReadError::NameNotText { path: shown(path) })
}

fn io_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io { path: shown(path), source }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a folder with these files; a name that ends in `/` makes a folder.
    fn check(files: &[(&str, &[u8])], expected: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let prefix = format!("{}/", folder.path().display());
        let read = read_folder(folder.path()).map(|folder| {
            let names = folder.sources.iter().map(|source| source.name.replace(&prefix, ""));
            names.collect::<Vec<_>>()
        });
        let read = read.map_err(|error| {
            error.to_string().replace(&prefix, "").replace(prefix.trim_end_matches('/'), "FOLDER")
        });
        let expected: Result<Vec<String>, String> = expected
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
            .map_err(str::to_owned);
        assert_eq!(read, expected);
    }

    #[test]
    fn reads_policies_and_tests_by_name() {
        check(
            &[("b.yaml", b"2"), ("a.yaml", b"1"), ("a.test.yaml", b"3"), ("README.md", b"4")],
            Ok(&["a.test.yaml", "a.yaml", "b.yaml"]),
        );
    }

    #[test]
    fn leaves_out_what_begins_with_a_dot() {
        check(
            &[("a.yaml", b""), (".b.yaml", b""), ("..data/c.yaml", b""), (".d.yml", b"")],
            Ok(&["a.yaml"]),
        );
    }

    #[test]
    fn a_forgotten_file_is_an_error() {
        check(
            &[("a.yaml", b""), ("b.yml", b"")],
            Err("`b.yml` would not be loaded, for its name ends in `.yml`: rename it to `b.yaml`"),
        );
        check(
            &[("a.yaml", b""), ("b.test.YAML", b"")],
            Err(
                "`b.test.YAML` would not be loaded, for its name ends in `.YAML`: rename it to `b.test.yaml`",
            ),
        );
        check(
            &[("a.yaml", b""), ("more/b.yaml", b"")],
            Err(
                "`more/b.yaml` would not be loaded, for folders are not searched: move it up, or give the folder a name that begins with `.`",
            ),
        );
        check(&[("a.yaml", b""), ("docs/b.md", b"")], Ok(&["a.yaml"]));
        // Renamed, it would overwrite the other.
        check(
            &[("b.yaml", b""), ("b.yml", b"")],
            Err(
                "`b.yml` would not be loaded, for its name ends in `.yml`: `b.yaml` is there, too, so take one of them out of the folder",
            ),
        );
    }

    #[test]
    fn a_file_two_folders_down_is_forgotten_too() {
        check(
            &[("a.yaml", b""), ("s/t/b.yaml", b"")],
            Err(
                "`s/t/b.yaml` would not be loaded, for folders are not searched: move it up, or give the folder a name that begins with `.`",
            ),
        );
        check(&[("a.yaml", b""), ("s/.t/b.yaml", b""), ("s/t/.b.yaml", b"")], Ok(&["a.yaml"]));
    }

    #[test]
    fn entries_of_all_folders_are_bounded_together() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("s/t")).unwrap();
        fs::write(folder.path().join("s/t/a.txt"), "").unwrap();
        let subfolder = folder.path().join("s");
        refuse_subfolder(&subfolder, &mut 2).unwrap();
        let error = refuse_subfolder(&subfolder, &mut 1).unwrap_err();
        assert!(matches!(error, ReadError::TooManyEntries { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_with_the_name_of_a_policy_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("pipe", folder.path().join("a.yaml")).unwrap();
        let error = read_folder(folder.path()).unwrap_err();
        assert!(matches!(error, ReadError::NotFile { kind: "a pipe", .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_circle_of_folders_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("s")).unwrap();
        fs::write(folder.path().join("a.yaml"), "tamis: 1").unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("s/up")).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap().sources.len(), 1);
    }

    #[test]
    fn a_folder_without_policy_is_an_error() {
        let none = "there is no policy in `FOLDER`: policies are files that end in `.yaml`";
        check(&[], Err(none));
        check(&[("a.test.yaml", b"")], Err(none));
    }

    #[test]
    fn what_is_not_text_is_an_error() {
        check(
            &[("a.yaml", b"tamis: \xff")],
            Err("`a.yaml` is not UTF-8 text from byte 7 on: save it as UTF-8"),
        );
    }

    #[test]
    fn sizes_are_bounded() {
        let largest = vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap()];
        check(&[("a.yaml", &largest)], Ok(&["a.yaml"]));
        let larger = vec![b'#'; largest.len() + 1];
        check(
            &[("a.yaml", &larger)],
            Err("`a.yaml` is larger than 1048576 bytes: spread it over several files"),
        );
        let names: Vec<String> = (0..17).map(|n| format!("{n:02}.yaml")).collect();
        let files: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), largest.as_slice())).collect();
        check(&files, Err("the files in `FOLDER` are larger than 16777216 bytes together"));
    }

    #[test]
    fn entries_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(entries(folder.path(), 2).unwrap().len(), 2);
        let error = entries(folder.path(), 1).unwrap_err();
        assert!(matches!(error, ReadError::TooManyEntries { .. }), "{error}");
        assert!(error.to_string().ends_with("is this the folder that is meant?"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_no_text_is_an_error() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"\xff.yaml")), "tamis: 1").unwrap();
        let error = read_folder(folder.path()).unwrap_err();
        assert!(matches!(error, ReadError::NameNotText { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_a_test_is_below_the_folder() {
        use std::os::unix::fs::symlink;

        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("policies");
        fs::create_dir_all(folder.join("fixtures/more")).unwrap();
        fs::create_dir(folder.join("..data")).unwrap();
        for (name, text) in [
            ("a.json", "1"),
            ("fixtures/more/b.json", "2"),
            ("..data/c.json", "3"),
            ("../secret.json", "4"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        fs::write(folder.join("text.json"), b"\"\xff\"").unwrap();
        let large = usize::try_from(FILE_BYTES_MAX).unwrap() + 1;
        fs::write(folder.join("large.json"), "1".repeat(large)).unwrap();
        symlink("..data/c.json", folder.join("c.json")).unwrap();
        symlink("../secret.json", folder.join("out.json")).unwrap();
        symlink("../..", folder.join("fixtures/up")).unwrap();
        symlink("/dev/zero", folder.join("zero.json")).unwrap();
        symlink("loop.json", folder.join("loop.json")).unwrap();
        let pipe = folder.join("pipe.json");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let prefix = format!("{}/", folder.display());
        let read = |path| {
            read_below(&folder, path).map_err(|error| error.to_string().replace(&prefix, ""))
        };
        for (path, text) in [("a.json", "1"), ("fixtures/more/b.json", "2"), ("c.json", "3")] {
            assert_eq!(read(path).as_deref(), Ok(text), "{path}");
        }
        for (path, why) in [
            ("none.json", "`none.json` cannot be read: No such file or directory (os error 2)"),
            ("out.json", "`out.json` leads out of the folder of the policies"),
            ("../secret.json", "`../secret.json` leads out of the folder of the policies"),
            (
                "fixtures/up/secret.json",
                "`fixtures/up/secret.json` leads out of the folder of the policies",
            ),
            ("zero.json", "`zero.json` leads out of the folder of the policies"),
            ("pipe.json", "`pipe.json` is a pipe, not a file"),
            ("fixtures", "`fixtures` is a folder, not a file"),
            ("text.json", "`text.json` is not UTF-8 text from byte 1 on: save it as UTF-8"),
            (
                "large.json",
                "`large.json` is larger than 1048576 bytes: spread it over several files",
            ),
        ] {
            assert_eq!(read(path), Err(why.to_owned()), "{path}");
        }
        assert!(read("loop.json").unwrap_err().starts_with("`loop.json` cannot be read: "));
    }

    #[test]
    fn a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "tamis: 1").unwrap();
        let (file, folder) = (file.display(), folder.path().display());
        let error = read_folder(Path::new(&file.to_string())).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("`{file}` is a file: policies are read as a folder, here `{folder}`")
        );
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("policies");
        let error = read_folder(&missing).unwrap_err();
        assert!(matches!(error, ReadError::Io { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..2026")).unwrap();
        fs::write(folder.path().join("..2026/a.yaml"), "tamis: 1").unwrap();
        std::os::unix::fs::symlink("..2026", folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
        let read = read_folder(folder.path()).unwrap();
        assert_eq!(read.sources.len(), 1);
        assert_eq!(read.sources[0].text, "tamis: 1");
        std::os::unix::fs::symlink("nowhere.yaml", folder.path().join("b.yaml")).unwrap();
        assert!(matches!(read_folder(folder.path()), Err(ReadError::Io { .. })));
    }
}
