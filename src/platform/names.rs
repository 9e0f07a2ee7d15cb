//! The addresses of a host, kept for a while.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a failed look-up is the answer for all who ask, at most.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// The addresses of one host; shared by all who connect to it.
pub struct Addresses {
    host: String,
    port: u16,
    ttl: Duration,
    /// Held while the name is looked up, so that a crowd of users asks once.
    known: Mutex<Option<(Instant, Found)>>,
    turn: AtomicUsize,
}

type Found = Result<Arc<[SocketAddr]>, Missing>;

/// A failed look-up, in a form that many can have.
#[derive(Clone)]
struct Missing {
    code: Option<i32>,
    kind: io::ErrorKind,
    words: String,
}

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        Self { code: error.raw_os_error(), kind: error.kind(), words: error.to_string() }
    }
}

impl From<Missing> for io::Error {
    fn from(missing: Missing) -> Self {
        match missing.code {
            Some(code) => Self::from_raw_os_error(code),
            None => Self::new(missing.kind, missing.words),
        }
    }
}

impl Addresses {
    /// Those of a host, kept for so long after each look-up.
    pub fn of(host: &str, port: u16, ttl: Duration) -> Self {
        let (known, turn) = (Mutex::default(), AtomicUsize::new(0));
        Self { host: host.to_owned(), port, ttl, known, turn }
    }

    /// All addresses, in the order in which they should be tried: with each call another one of the
    /// resolver's preferred family is first, so that load meets every server behind a name.
    ///
    /// # Errors
    /// When the name has none.
    pub async fn in_turn(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let addresses = self.look_up().await?;
        Ok(rotated(&addresses, self.turn.fetch_add(1, Ordering::Relaxed)))
    }

    async fn look_up(&self) -> io::Result<Arc<[SocketAddr]>> {
        let mut known = self.known.lock().await;
        if let Some((at, found)) = &*known {
            let kept = if found.is_ok() { self.ttl } else { self.ttl.min(FAILURE_KEPT) };
            if at.elapsed() < kept {
                return found.clone().map_err(io::Error::from);
            }
        }
        let found = self.ask_resolver().await.map_err(Missing::from);
        *known = Some((Instant::now(), found.clone()));
        found.map_err(io::Error::from)
    }

    async fn ask_resolver(&self) -> io::Result<Arc<[SocketAddr]>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let found: Arc<[SocketAddr]> = found.collect();
        if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
    }
}

fn rotated(addresses: &[SocketAddr], turn: usize) -> Vec<SocketAddr> {
    let preferred =
        addresses.iter().take_while(|address| address.is_ipv4() == addresses[0].is_ipv4()).count();
    let mut all = addresses.to_vec();
    if preferred > 1 {
        all[..preferred].rotate_left(turn % preferred);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_preferred_family_has_its_turn_and_none_is_left_out() {
        let all: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "1.1.1.1:1"].map(|a| a.parse().expect("address")).to_vec();
        assert_eq!(rotated(&all, 0), all);
        assert_eq!(rotated(&all, 1), [all[1], all[0], all[2]]);
        assert_eq!(rotated(&all, 2), all);
        assert!(rotated(&[], 1).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_again_only_after_its_time() {
        let kept = Addresses::of("localhost", 80, Duration::from_secs(60));
        let first = kept.look_up().await.expect("localhost");
        tokio::time::advance(Duration::from_millis(59_900)).await;
        assert!(Arc::ptr_eq(&first, &kept.look_up().await.expect("kept")));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(!Arc::ptr_eq(&first, &kept.look_up().await.expect("its time is over")));
        let fresh = Addresses::of("localhost", 80, Duration::ZERO);
        let first = fresh.look_up().await.expect("localhost");
        assert!(!Arc::ptr_eq(&first, &fresh.look_up().await.expect("again")));
    }
}
