//! The kernel's end of nf_tables: requests of the network namespace in which the calling thread is.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use super::message::{Answer, Attributes, DUMP, Kind, answers, batch, request};

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// One read of answers; the kernel never sends more at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection to nf_tables.
pub struct Socket(OwnedFd);

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// When the kernel has no netfilter.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(NETFILTER),
        )?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// Makes all of the changes or none.
    ///
    /// # Errors
    /// When the kernel refuses one of them.
    pub fn change(&self, requests: &[(Kind, u16, Attributes)]) -> io::Result<()> {
        self.send(&batch(requests))?;
        let mut taken = 0;
        while taken < requests.len() {
            for answer in self.read()? {
                match answer {
                    Answer::Acknowledged(0) => taken += 1,
                    Answer::Acknowledged(code) => return Err(io::Error::from_raw_os_error(code)),
                    Answer::Done | Answer::Item(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Lists things.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&self, kind: Kind, attributes: &Attributes) -> io::Result<Vec<Vec<u8>>> {
        self.send(&request(kind, DUMP, 1, attributes))?;
        let mut items = Vec::new();
        loop {
            for answer in self.read()? {
                match answer {
                    Answer::Item(item) => items.push(item),
                    Answer::Done | Answer::Acknowledged(0) => return Ok(items),
                    Answer::Acknowledged(code) => return Err(io::Error::from_raw_os_error(code)),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = sendto(&self.0, bytes, SendFlags::empty(), &kernel)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn read(&self) -> io::Result<Vec<Answer>> {
        let mut buffer = vec![0; READ_BYTES];
        let (read, _) = recv(&self.0, &mut buffer, RecvFlags::empty())?;
        let answers = answers(&buffer[..read]);
        if answers.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(answers) }
    }
}
