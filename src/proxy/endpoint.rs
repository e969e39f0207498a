//! Where an upstream can be reached.

use std::net::SocketAddr;

/// One of the addresses that an upstream has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// None is its UNIX socket.
    pub(super) address: Option<SocketAddr>,
    /// Which of the addresses of the settings it is one of.
    pub(super) authority: usize,
}

impl Endpoint {
    /// The only one behind a UNIX socket.
    pub(super) const SOCKET: Self = Self { address: None, authority: 0 };
}
