//! Other people's servers, as processes of the test.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::serve::until;

/// A server that runs in a folder of its own, and ends with the test.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts the first of these programs that is here, and waits until it listens at all of these addresses.
    /// None if none of them is here, which is said.
    pub(crate) fn start(
        name: &str,
        programs: &[impl AsRef<Path>],
        arguments: &[&str],
        folder: TempDir,
        addresses: &[SocketAddr],
    ) -> Option<Self> {
        let spawn = |program: &Path| {
            Command::new(program)
                .args(arguments)
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.path().join("stderr")).unwrap())
                .spawn()
        };
        let found = programs.iter().find_map(|program| match spawn(program.as_ref()) {
            Ok(child) => Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{name}: {error}"),
        });
        let Some(child) = found else {
            println!("skipped: {name}: it is not here, and `make test` could not install it");
            return None;
        };
        let mut server = Self { child, folder };
        until(&format!("{name} listens"), || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("{name} ended: {status}");
            }
            addresses.iter().all(|address| TcpStream::connect(address).is_ok())
        });
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            // It has ended already.
        }
        if thread::panicking() {
            let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
            println!("--- {said:.2000}");
        }
    }
}
