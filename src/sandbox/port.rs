//! Ports that stay the sandbox's own while nobody listens there: a dead service refuses connections, as
//! a dead container does, and comes back where it was.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait until they are accepted.
const BACKLOG: u32 = 1024;

/// A port of the loopback address that no other program gets, neither for listening nor for a
/// connection of its own, while this lives. Bound without listening, it answers nothing by itself.
#[derive(Debug)]
pub struct Reserved {
    socket: TcpSocket,
}

impl Reserved {
    /// Reserves a port that was free.
    ///
    /// # Errors
    /// When there is none.
    pub fn new() -> io::Result<Self> {
        let socket = bound(0)?;
        Ok(Self { socket })
    }

    /// Its number.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn number(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }
}

/// Listens on a port of the loopback address, also where the parent has it [`Reserved`].
///
/// # Errors
/// When another program has it.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    bound(port)?.listen(BACKLOG)
}

fn bound(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // What lets the socket of a child, of the same user, share the port with the reservation.
    socket.set_reuseport(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_until_its_owner_listens_and_again_afterwards() {
        let reserved = Reserved::new().expect("a port");
        let port = reserved.number().expect("its number");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = async || {
            TcpStream::connect(address).await.expect_err("nobody listens").kind()
                == ErrorKind::ConnectionRefused
        };
        assert!(refused().await);
        for _ in 0..2 {
            let listener = listen(port).expect("the owner may");
            let (client, accepted) =
                tokio::join!(TcpStream::connect(address), async { listener.accept().await });
            client.and(accepted.map(drop)).expect("a connection");
            drop(listener);
            assert!(refused().await);
        }
    }

    #[tokio::test]
    async fn nobody_else_gets_a_reserved_port() {
        let reserved = Reserved::new().expect("a port");
        let port = reserved.number().expect("its number");
        let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        assert_eq!(other.expect_err("taken").kind(), ErrorKind::AddrInUse);
    }
}
