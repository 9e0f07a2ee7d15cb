//! A network that is cut in the middle: an error in time, and clean stores once it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shakedown::backup::stores;
use shakedown::config::{Store, StoreKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::bystanders::{assert_same, fingerprint, plant};
use super::drill_of::{Drill, Intake, live, skip};

/// Time in which an answer must have come, or an error.
const IN_TIME: Duration = Duration::from_secs(60);
/// Limit of one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What lies between a drill and its store: it can be cut, and mended.
#[derive(Default)]
pub struct Network {
    is_cut: AtomicBool,
    cut: Notify,
}

impl Network {
    /// A way to a store through this network.
    pub async fn before(self: &Arc<Self>, store: &Store) -> Store {
        let (scheme, rest) = store.url.split_once("://").expect("a scheme");
        let (there, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = listener.local_addr().expect("an address");
        tokio::spawn(Arc::clone(self).carry(listener, there.to_owned()));
        Store { url: format!("{scheme}://{here}/{path}"), ..store.clone() }
    }

    async fn carry(self: Arc<Self>, listener: TcpListener, there: String) {
        while let Ok((mut near, _)) = listener.accept().await {
            if self.is_cut.load(Ordering::Acquire) {
                continue;
            }
            let (network, there) = (Arc::clone(&self), there.clone());
            tokio::spawn(async move {
                let cut = network.cut.notified();
                let Ok(mut far) = TcpStream::connect(there).await else { return };
                tokio::select! {
                    () = cut => {}
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                }
            });
        }
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.cut.notify_waiters();
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::Release);
    }
}

/// A drill whose network is cut in the middle of a backup, and in the middle of a restore.
pub async fn network_cut(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    // gRPC has a port of its own, which this way does not lead to.
    if kind == StoreKind::Qdrant {
        return eprintln!("qdrant: not run: it is reached over two ports");
    }
    plant(kind, &store).await;
    let mut drill = Drill::new(kind, &store, 300).await;
    let before = fingerprint(kind, &store, drill.names.run()).await;
    let network = Arc::new(Network::default());
    let far = network.before(&store).await;
    drill.store = stores::open(kind, &far, &drill.names, PATIENCE).await.expect("reachable");
    let records = drill.fill().await;
    let half = records.len() as u64 / 2;

    let mut intake = Intake::new(drill.folder.path(), "cut");
    let between = Arc::clone(&network);
    intake.at = Box::new(move |number| {
        if number == half {
            between.cut();
        }
    });
    let began = Instant::now();
    let error = drill.store.read(&mut intake).await.expect_err("cut in mid-backup");
    eprintln!("{kind}: in mid-backup: {error} after {:?}", began.elapsed());
    assert!(began.elapsed() < IN_TIME, "{kind}: it took {:?}", began.elapsed());
    network.mend();

    drill.store.destroy().await.expect("the same drill cleans up over the mended network");
    drill.assert_absent().await;
    drill.store.prepare().await.expect("prepared");
    let mut written = 0;
    let cut_on_the_way = records.iter().cloned().inspect(|_| {
        written += 1;
        if written == half {
            network.cut();
        }
    });
    let began = Instant::now();
    let error = drill.write(cut_on_the_way).await.expect_err("cut in mid-restore");
    eprintln!("{kind}: in mid-restore: {error} after {:?}", began.elapsed());
    assert!(began.elapsed() < IN_TIME, "{kind}: it took {:?}", began.elapsed());
    network.mend();
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
    assert_same(&before, &fingerprint(kind, &store, drill.names.run()).await, kind.name());
}
