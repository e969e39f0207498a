//! The file at whose end the access log is written, and what becomes of it meanwhile.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, OFlags, accessat, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use crate::files;

/// Most symbolic links that lead to a file that is not there yet.
const LINKS_MAX: usize = 8;

/// Where lines go. It must not keep bytes back.
pub(super) trait Sink: Send {
    /// Writes as many of these bytes as it can.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Where it stands before something is written.
    fn place(&mut self) -> Place {
        Place::Same
    }

    /// Writes to whatever has the name from now on. On an error it goes on as before.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Whether nobody could find again what is written, for the file is deleted.
    fn is_deleted(&self) -> bool {
        false
    }
}

/// Where a sink stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it was.
    Same,
    /// There, but what had been written is gone: it was cut to so many bytes.
    Truncated(u64),
    /// Its name is now another file's, or nobody's.
    Elsewhere,
}

/// What was given to the process open, such as stdout: it has no name to be opened by again.
impl Sink for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }
}

/// A file by its name.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    id: Id,
    /// How long it is at least; none, if it has no length, as a pipe.
    end: Option<u64>,
}

/// What tells a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl LogFile {
    /// Opens a file to write at its end; if it is not there, it is made for its owner only. It may be a pipe
    /// that somebody reads, or a device such as the one behind `/dev/stdout`. Nothing is waited for.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = files::bits(OFlags::NONBLOCK | OFlags::NOCTTY);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        let file = options.open(path).map_err(|error| in_words(path, error))?;
        let metadata = file.metadata()?;
        if metadata.file_type().is_block_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a disk"));
        }
        // From here on it is a thread of its own that waits.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        let mut end = metadata.is_file().then_some(metadata.len());
        if let Some(end) = &mut end
            && is_torn(path, &metadata)
        {
            // Whoever wrote it last was cut off within a line. Ours is not to become the rest of it.
            let mut file = &file;
            *end += u64::from(file.write_all(b"\n").is_ok());
        }
        Ok(Self { path: path.to_owned(), file, id: Id::of(&metadata), end })
    }

    /// What would keep [`LogFile::open`] from opening this, and what people should know although nothing does.
    /// Nothing is opened or made, so that nobody notices who reads or writes there.
    pub(super) fn check(path: &Path) -> io::Result<Option<&'static str>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return may_write(&folder_of(path)?, Access::WRITE_OK | Access::EXEC_OK)
                    .map(|()| None);
            }
            Err(error) => return Err(error),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        if kind.is_block_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a disk"));
        }
        if kind.is_socket() {
            return Err(in_words(path, Errno::NXIO.into()));
        }
        may_write(path, Access::WRITE_OK)?;
        Ok(kind
            .is_fifo()
            .then_some("it is a pipe, and somebody has to read it before tamis starts"))
    }
}

impl Sink for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::Write::write(&mut self.file, bytes)?;
        if let Some(end) = &mut self.end {
            *end += written as u64;
        }
        Ok(written)
    }

    fn place(&mut self) -> Place {
        // A name that leads nowhere, or that cannot be asked for, is no name of this file.
        if fs::metadata(&self.path).map(|found| Id::of(&found)).ok() != Some(self.id) {
            return Place::Elsewhere;
        }
        let length = self.file.metadata().map(|metadata| metadata.len());
        match (&mut self.end, length) {
            (Some(end), Ok(length)) if length < *end => {
                *end = length;
                Place::Truncated(length)
            }
            (Some(_) | None, Ok(_) | Err(_)) => Place::Same,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

/// Whether a file ends within a line.
fn is_torn(path: &Path, metadata: &Metadata) -> bool {
    let Some(last) = metadata.len().checked_sub(1) else { return false };
    // Whom it is written for, and nobody else, may not be allowed to read it: then it is not known.
    let flags = files::bits(OFlags::NONBLOCK | OFlags::NOCTTY);
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else {
        return false;
    };
    let mut byte = [0];
    let is_same = file.metadata().is_ok_and(|found| Id::of(&found) == Id::of(metadata));
    is_same && file.read_exact_at(&mut byte, last).is_ok() && byte != *b"\n"
}

/// What the system says about devices, said about pipes and sockets.
fn in_words(path: &Path, error: io::Error) -> io::Error {
    if Errno::from_io_error(&error) != Some(Errno::NXIO) {
        return error;
    }
    let kind = fs::metadata(path).map(|metadata| metadata.file_type());
    let words = match kind {
        Ok(kind) if kind.is_fifo() => "it is a pipe, and nobody reads it",
        Ok(kind) if kind.is_socket() => {
            "it is a socket: if it is stdout, write `access_log: stdout`"
        }
        Ok(_) | Err(_) => return error,
    };
    io::Error::new(error.kind(), words)
}

/// Whether this process may do this with a file or folder.
fn may_write(path: &Path, access: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, access, AtFlags::EACCESS)?)
}

/// The folder in which a file would be made, through links that lead to it.
fn folder_of(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new(".")).to_owned();
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) if fs::metadata(&folder)?.is_dir() => return Ok(folder),
            Err(_) => return Err(Errno::NOTDIR.into()),
        }
    }
    Err(Errno::LOOP.into())
}
