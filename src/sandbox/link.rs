//! The network between the practice services: every connection from one service to another goes
//! through a link of the supervisor's, which can be cut (nothing passes) or made to refuse. A cut
//! ends by itself when its time is over, whatever becomes of who asked for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ServiceKind;

/// Which service may call which.
pub const PAIRS: [(ServiceKind, ServiceKind); 1] = [(ServiceKind::Rag, ServiceKind::Chat)];

/// Longest cut.
const LONGEST: Duration = Duration::from_secs(600);

/// Whether a link lets anything through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passage {
    /// Everything passes.
    #[default]
    Open,
    /// Nothing passes, and nobody is told.
    Cut,
    /// Connections are closed at once.
    Refused,
}

/// What a link is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What passes from now on.
    pub passage: Passage,
    /// For how long, milliseconds; at most ten minutes.
    #[serde(default)]
    pub for_ms: u64,
}

/// A link as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The service that calls.
    pub from: ServiceKind,
    /// The service that is called.
    pub to: ServiceKind,
    /// What passes now.
    pub passage: Passage,
    /// Connections that were held or refused so far.
    pub stopped: u64,
}

/// All links, shared between the supervisor and its endpoint.
#[derive(Clone, Default)]
pub struct Links(Arc<Mutex<BTreeMap<(ServiceKind, ServiceKind), Link>>>);

struct Link {
    /// The passage and when it ends; open ones do not.
    wanted: watch::Sender<(Passage, Option<Instant>)>,
    stopped: u64,
}

impl Links {
    /// Makes the link between two services; returns the port to which the caller has to connect.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn lay(
        &self,
        from: ServiceKind,
        to: ServiceKind,
        to_port: u16,
    ) -> std::io::Result<(u16, impl Future<Output = ()> + use<>)> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let (wanted, passage) = watch::channel((Passage::Open, None));
        self.lock().insert((from, to), Link { wanted, stopped: 0 });
        let links = self.clone();
        Ok((port, links.carry(listener, (from, to), to_port, passage)))
    }

    /// Sets a link; false when there is none.
    pub fn set(&self, from: ServiceKind, to: ServiceKind, setting: Setting) -> bool {
        let length = Duration::from_millis(setting.for_ms).min(LONGEST);
        let until = (setting.passage != Passage::Open).then(|| Instant::now() + length);
        let links = self.lock();
        let Some(link) = links.get(&(from, to)) else { return false };
        link.wanted.send_replace((setting.passage, until));
        true
    }

    /// Every link as it is.
    pub fn states(&self) -> Vec<LinkState> {
        let links = self.lock();
        let state = |((from, to), link): (&(ServiceKind, ServiceKind), &Link)| LinkState {
            from: *from,
            to: *to,
            passage: current(*link.wanted.borrow()),
            stopped: link.stopped,
        };
        links.iter().map(state).collect()
    }

    async fn carry(
        self,
        listener: TcpListener,
        pair: (ServiceKind, ServiceKind),
        to_port: u16,
        passage: watch::Receiver<(Passage, Option<Instant>)>,
    ) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: give others a chance to be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let state = current(*passage.borrow());
            if state != Passage::Open
                && let Some(link) = self.lock().get_mut(&pair)
            {
                link.stopped += 1;
            }
            if state != Passage::Refused {
                tokio::spawn(connect(stream, to_port, passage.clone()));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ServiceKind, ServiceKind), Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn current((passage, until): (Passage, Option<Instant>)) -> Passage {
    if until.is_some_and(|until| Instant::now() >= until) { Passage::Open } else { passage }
}

/// Carries one connection while its link is open; waits while it is cut; ends when it is refused.
async fn connect(
    mut near: TcpStream,
    to_port: u16,
    mut passage: watch::Receiver<(Passage, Option<Instant>)>,
) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, to_port));
    if !wait_until_open(&mut passage).await {
        return;
    }
    let Ok(mut far) = TcpStream::connect(address).await else { return };
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        if !wait_until_open(&mut passage).await {
            return;
        }
        let moved = tokio::select! {
            biased;
            _ = passage.changed() => continue,
            read = near.read(&mut up) => pass(read, &up, &mut far).await,
            read = far.read(&mut down) => pass(read, &down, &mut near).await,
        };
        if !moved {
            return;
        }
    }
}

async fn pass(read: std::io::Result<usize>, bytes: &[u8], to: &mut TcpStream) -> bool {
    match read {
        Ok(n) if n > 0 => to.write_all(&bytes[..n]).await.is_ok(),
        _ => false,
    }
}

/// Returns whether the link came to be open, or the connection is to end.
async fn wait_until_open(passage: &mut watch::Receiver<(Passage, Option<Instant>)>) -> bool {
    loop {
        let state = *passage.borrow_and_update();
        match (current(state), state.1) {
            (Passage::Open, _) => return true,
            (Passage::Refused, _) => return false,
            (Passage::Cut, until) => {
                let until = until.unwrap_or_else(Instant::now);
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    changed = passage.changed() => {
                        if changed.is_err() {
                            return false;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to an echo server, and a connection through it.
    async fn echoed() -> (Links, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        let links = Links::default();
        let (near, carry) =
            links.lay(ServiceKind::Rag, ServiceKind::Chat, port).await.expect("laid");
        tokio::spawn(carry);
        (links, near)
    }

    async fn echo(port: u16, within: Duration) -> bool {
        let exchange = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            stream.write_all(b"x").await.ok()?;
            let mut byte = [0];
            stream.read_exact(&mut byte).await.ok()
        };
        matches!(tokio::time::timeout(within, exchange).await, Ok(Some(_)))
    }

    fn set(links: &Links, passage: Passage, for_ms: u64) {
        assert!(links.set(ServiceKind::Rag, ServiceKind::Chat, Setting { passage, for_ms }));
    }

    #[tokio::test]
    async fn a_cut_holds_back_and_ends_by_itself() {
        let (links, port) = echoed().await;
        let soon = Duration::from_millis(150);
        assert!(echo(port, Duration::from_secs(5)).await);
        set(&links, Passage::Cut, 400);
        assert!(!echo(port, soon).await, "nothing passes");
        assert_eq!(links.states()[0].passage, Passage::Cut);
        assert!(links.states()[0].stopped >= 1);
        assert!(echo(port, Duration::from_secs(5)).await, "it ended by itself");
        set(&links, Passage::Refused, 60_000);
        assert!(!echo(port, soon).await);
        set(&links, Passage::Open, 0);
        assert!(echo(port, Duration::from_secs(5)).await, "healed before its time");
    }
}
