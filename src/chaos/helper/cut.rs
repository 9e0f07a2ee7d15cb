//! A network namespace cut off from others, from within: what could be reached before, whether it
//! can be reached now, and how soon it can be again.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Measured;
use crate::chaos::firewall::Firewall;
use crate::chaos::sockets;

/// How long connections are counted before the cut.
const COUNTED_BEFORE: Duration = Duration::from_secs(2);
/// How long a connection to a peer may take while nothing is cut.
const CONNECTS_WITHIN: Duration = Duration::from_millis(500);
/// How long it may take while it is: whoever measures must not be held up.
const TRIED_FOR: Duration = Duration::from_millis(200);
/// How long after the cut fresh connections are waited for.
const RECONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// No more addresses than this are tried.
const MAX_TRIED: usize = 4;

/// A cut that is there.
pub struct CutOff {
    by: Firewall,
    table: String,
    reachable: Vec<SocketAddr>,
    opened_before: f64,
    opens: u64,
    since: Instant,
}

impl CutOff {
    /// Looks who can be reached, counts, and cuts.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(
        by: Firewall,
        table: &str,
        peers: &[IpAddr],
        ports: &[SocketAddr],
        reject: bool,
        length: Duration,
    ) -> io::Result<Self> {
        let (began, opens) = (Instant::now(), sockets::opened());
        let mut known = sockets::peers(peers);
        known.extend(ports);
        known.sort_unstable();
        known.dedup();
        known.retain(|address| peers.contains(&address.ip()));
        known.truncate(MAX_TRIED);
        std::thread::sleep(COUNTED_BEFORE);
        let opened = sockets::opened().saturating_sub(opens);
        let opened_before = opened as f64 / began.elapsed().as_secs_f64();
        known.retain(|address| TcpStream::connect_timeout(address, CONNECTS_WITHIN).is_ok());
        by.cut(table, peers, reject, length)?;
        Ok(Self {
            by,
            table: table.to_owned(),
            reachable: known,
            opened_before,
            opens: sockets::opened(),
            since: Instant::now(),
        })
    }

    /// What the cut does. One address is tried each time, so that this is over soon.
    pub fn measure(&self) -> Measured {
        // What was begun since, without what is begun here.
        let opened = sockets::opened().saturating_sub(self.opens);
        let passed = self.since.elapsed().as_secs_f64().max(0.001);
        let opened = (opened as f64 / passed - self.tries_a_second()).max(0.0);
        let can = |address: &&SocketAddr| TcpStream::connect_timeout(address, TRIED_FOR).is_ok();
        Measured {
            packets: self.by.stopped(&self.table).unwrap_or(0),
            reachable_before: self.reachable.len() as u64,
            reachable: self.reachable.iter().filter(can).count() as u64,
            opened_before: self.opened_before,
            opened,
            ..Measured::default()
        }
    }

    fn tries_a_second(&self) -> f64 {
        self.reachable.len() as f64 / super::SAY_EVERY.as_secs_f64()
    }

    /// Ends the cut; returns how long it took until everybody could be reached again.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn put_back(&self) -> io::Result<Option<Duration>> {
        self.by.remove(&self.table)?;
        let ended = Instant::now();
        let mut missing = self.reachable.clone();
        while !missing.is_empty() && ended.elapsed() < RECONNECTS_WITHIN {
            missing.retain(|address| TcpStream::connect_timeout(address, CONNECTS_WITHIN).is_err());
        }
        let all = missing.is_empty() && !self.reachable.is_empty();
        Ok(all.then(|| ended.elapsed()))
    }
}
