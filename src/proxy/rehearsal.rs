//! Finds out what would keep `serve` from starting, and disturbs no process that runs: nothing is made,
//! removed, listened on or connected to.

use std::{
    fmt::Display, fs, io, net::SocketAddr, os::unix::fs::FileTypeExt as _, path::Path,
    time::Duration,
};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use tokio::{
    net::{TcpSocket, lookup_host},
    runtime,
    task::JoinSet,
    time::timeout,
};

use crate::{
    config::{Authority, Place, Places, Settings},
    proxy::{AccessLog, server, signals},
};

/// What was found, in words for people.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// What would keep it from starting.
    pub errors: Vec<String>,
    /// What would not, or not for sure.
    pub warnings: Vec<String>,
}

/// Looks at all that a process with these settings needs at its start, but for certificates, keys and policies.
pub fn rehearse(settings: &Settings) -> Rehearsal {
    let mut found = Rehearsal::default();
    match AccessLog::check(&settings.access_log) {
        Ok(None) => {}
        Ok(Some(warning)) => {
            found.warnings.push(format!("the access log `{}`: {warning}", settings.access_log));
        }
        Err(error) => {
            found
                .errors
                .push(format!("cannot open the access log `{}`: {error}", settings.access_log));
        }
    }
    found.listen(&settings.admin, bind(settings.admin));
    for listener in &settings.listen {
        match &listener.place {
            Place::Network(address) => found.listen(address, bind(*address)),
            Place::Unix { path, .. } => found.listen(&path.display(), check_unix(path)),
        }
    }
    if let Some(socket) = &settings.upgrade_socket
        && let Err(error) = server::check_upgrade_socket(socket)
    {
        found.errors.push(error.to_string());
    }
    for (name, upstream) in &settings.upstreams {
        if let Places::Unix(path) = &upstream.places
            && let Err(error) = fs::metadata(path)
        {
            let path = path.display();
            found.warnings.push(format!("upstream `{name}`: `{path}`: {error}"));
        }
    }
    match look_up(settings) {
        Ok(unknown) => found.warnings.extend(unknown),
        Err(error) => found.errors.push(format!("cannot start a thread: {error}")),
    }
    found
}

impl Rehearsal {
    /// Whoever uses an address now may be the process whose place this one is to take.
    fn listen(&mut self, address: &dyn Display, tried: io::Result<()>) {
        match tried {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => self.warnings.push(format!(
                "{address} is in use: `serve` cannot listen there until whoever does has ended"
            )),
            Err(error) => self.errors.push(format!("cannot listen on {address}: {error}")),
        }
    }
}

/// Takes an address for a moment, and does not listen: nobody can connect.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As a listener has it: connections that are just ending do not keep it from starting.
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// Whether the file of a UNIX socket could be made, in the place of one on which nobody listens.
fn check_unix(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(server::no_socket()),
        // To connect would be noticed.
        Ok(_) if signals::is_listened_on(path) => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// Which names of upstreams stand for nothing now.
fn look_up(settings: &Settings) -> io::Result<Vec<String>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let within = settings.timeouts.connect;
    let unknown = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (name, upstream) in &settings.upstreams {
            let Places::Network(authorities) = &upstream.places else { continue };
            for authority in authorities {
                let (name, authority) = (name.clone(), authority.clone());
                asked.spawn(async move {
                    let why = why_unknown(&authority, within).await?;
                    Some(format!(
                        "upstream `{name}`: the address of `{authority}` is not found: {why}"
                    ))
                });
            }
        }
        asked.join_all().await
    });
    // A name server that does not answer is not waited for.
    runtime.shutdown_background();
    let mut unknown: Vec<String> = unknown.into_iter().flatten().collect();
    unknown.sort();
    Ok(unknown)
}

async fn why_unknown(authority: &Authority, within: Duration) -> Option<String> {
    match timeout(within, lookup_host((authority.host(), authority.port()))).await {
        Ok(Ok(mut found)) => found.next().is_none().then(|| "it has none".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("nobody has answered within {within:?}")),
    }
}
