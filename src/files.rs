//! Opens what a setting or a policy names as a file, and reads it: only if it is a file, and never more of
//! it than fits.
//!
//! To open a named pipe waits until somebody writes to it, which may be never, and a device may have no end.
//! So nothing is asked of the name, behind which there may be something else a moment later: it is opened
//! without waiting, and the open handle is asked what it is.
//!
//! What this cannot help against is a file whose file system hangs, as one of another machine may. Who reads
//! files while requests are served does so on a thread that nobody waits for.
//!
//! ```
//! use std::path::Path;
//! use tamis::files::{FileError, Opened};
//!
//! let text = Opened::at(Path::new("Cargo.toml"))?.read(1 << 20)?;
//! assert!(text.starts_with(b"[workspace]"));
//! let device = Opened::at(Path::new("/dev/zero")).unwrap_err();
//! assert!(matches!(device, FileError::NotFile("a device")));
//! # Ok::<(), FileError>(())
//! ```

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// A file that is open for reading.
#[derive(Debug)]
pub struct Opened {
    file: File,
    metadata: Metadata,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else, in words.
    #[error("it is {0}, not a file")]
    NotFile(&'static str),
    /// It has more bytes than it may have.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

impl FileError {
    /// The kind of the error, as the standard library sorts those of the operating system.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Io(error) => error.kind(),
            Self::NotFile(what) if *what == FOLDER => io::ErrorKind::IsADirectory,
            Self::NotFile(_) => io::ErrorKind::InvalidInput,
            Self::TooLarge(_) => io::ErrorKind::FileTooLarge,
        }
    }
}

impl Opened {
    /// Opens a file, through symbolic links, without waiting. What is not a file is refused.
    pub fn at(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(bits(flags)).open(path);
        let file = opened.map_err(|error| match fs::metadata(path) {
            // A socket cannot be opened, and the system's words for that are about devices.
            Ok(metadata) if metadata.file_type().is_socket() => FileError::NotFile("a socket"),
            Ok(_) | Err(_) => FileError::Io(error),
        })?;
        let metadata = file.metadata()?;
        match kind(metadata.file_type()) {
            None => Ok(Self { file, metadata }),
            Some(kind) => Err(FileError::NotFile(kind)),
        }
    }

    /// What the file system says of it.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All of it, `bytes_max` bytes at most.
    pub fn read(self, bytes_max: u64) -> Result<Vec<u8>, FileError> {
        read_to_end(self.file, bytes_max)
    }
}

/// All that comes, `bytes_max` bytes at most, in memory that is taken once: what a file of a usual size holds
/// is not left behind where it was smaller.
pub fn read_to_end(from: impl io::Read, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    // One byte more than allowed tells a file of the largest size from a larger one.
    let most = bytes_max.saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(most.min(USUAL_BYTES)).unwrap_or_default());
    from.take(most).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(FileError::TooLarge(bytes_max)) } else { Ok(bytes) }
}

/// Most bytes for which memory is taken before it is known how many come.
const USUAL_BYTES: u64 = 4 << 10;

/// What a folder is, in words.
const FOLDER: &str = "a folder";

/// What it is in words, if it is not a file.
pub fn kind(of: FileType) -> Option<&'static str> {
    match of {
        of if of.is_file() => None,
        of if of.is_dir() => Some(FOLDER),
        of if of.is_fifo() => Some("a pipe"),
        of if of.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Flags of `open`, as the standard library takes them.
pub fn bits(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, process::Command};

    use super::*;

    fn check(path: &Path, expected: &str) {
        let error = Opened::at(path).unwrap_err();
        assert_eq!(error.to_string(), expected, "{}", path.display());
    }

    #[test]
    fn only_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(Opened::at(&at(name)).unwrap().read(4).unwrap(), b"text");
        }
        // Nobody writes to it, so that to open it in the usual way would never end.
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _listener = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("pipe", at("link to a pipe")).unwrap();
        check(&at("pipe"), "it is a pipe, not a file");
        check(&at("link to a pipe"), "it is a pipe, not a file");
        check(&at("socket"), "it is a socket, not a file");
        check(folder.path(), "it is a folder, not a file");
        check(Path::new("/dev/zero"), "it is a device, not a file");
        check(&at("none"), "No such file or directory (os error 2)");
        for (path, kind) in [
            (folder.path(), io::ErrorKind::IsADirectory),
            (&at("pipe"), io::ErrorKind::InvalidInput),
            (&at("none"), io::ErrorKind::NotFound),
        ] {
            assert_eq!(Opened::at(path).unwrap_err().kind(), kind, "{}", path.display());
        }
    }

    #[test]
    fn no_more_is_read_than_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [0, 1, 8192, 10_000] {
            fs::write(&path, vec![b'x'; bytes]).unwrap();
            let read = |most: usize| Opened::at(&path).unwrap().read(most as u64);
            assert_eq!(read(bytes).unwrap().len(), bytes);
            if let Some(less) = bytes.checked_sub(1) {
                let error = read(less).unwrap_err();
                assert_eq!(error.to_string(), format!("it is larger than {less} bytes"));
            }
        }
        // A file that says it has no bytes can have many.
        assert!(matches!(read_to_end(io::repeat(0), 100), Err(FileError::TooLarge(100))));
    }
}
