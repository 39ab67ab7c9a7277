//! The socket that the service listens on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on an address of this machine, or on all: on one socket for IPv4 and IPv6, or on IPv4 alone where there is no
/// IPv6. Must run inside tokio.
///
/// # Errors
/// When the address or the port cannot be had.
pub fn listen(host: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    if let Some(host) = host {
        return bind((host, port).into());
    }
    bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| match error.kind() {
        // Another process has the port.
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => bind((Ipv4Addr::UNSPECIFIED, port).into()),
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // Some systems take IPv6 alone by default.
        socket.set_only_v6(false)?;
    }
    // The port of an instance that has just ended is free.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    /// Whether this machine has IPv6.
    fn has_ipv6() -> bool {
        std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    #[tokio::test]
    async fn without_a_host_both_kinds_of_addresses_are_listened_on() {
        let listener = listen(None, 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
        assert_eq!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.is_ok(), has_ipv6());
    }

    #[tokio::test]
    async fn a_host_is_the_only_address_that_is_listened_on() {
        let listener = listen(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.is_err());
        if has_ipv6() {
            let listener = listen(Some(Ipv6Addr::LOCALHOST.into()), 0).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_port_that_another_process_has_is_a_fault() {
        let port = listen(None, 0).unwrap().local_addr().unwrap().port();
        let taken = listen(None, port).unwrap();
        assert_eq!(listen(None, port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(taken);
    }
}
