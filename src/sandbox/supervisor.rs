//! The supervisor: starts the practice services as child processes, and starts them again when they
//! end, by Docker's rule.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admin::{self, ChildState, ChildStatus, Children};
use super::link::{self, Links};
use super::restart::Backoff;
use super::settings::{Endpoints, Options};
use crate::config::ServiceKind;

/// How long the services may take until they listen.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Runs a sandbox; `ready` is called once, when every service listens. Returns when `stop` does, or
/// on an error; the children are gone then. Must run on the main thread: the kernel ties the
/// children to the thread that started them.
///
/// # Errors
/// When ports cannot be had, or the services do not come up.
pub async fn supervise(
    executable: &Path,
    options: &Options,
    ready: impl FnOnce(&Endpoints),
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let admin_listener = TcpListener::bind(loopback(0)).await?;
    let mut ports = Vec::new();
    for service in ServiceKind::ALL {
        ports.push((service, free_port().await?));
    }
    let children = Children::default();
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let endpoints = Endpoints {
        chat: url(ports[0].1),
        rag: url(ports[1].1),
        mcp: url(ports[2].1),
        admin: url(admin_listener.local_addr()?.port()),
    };
    let mut tasks = JoinSet::new();
    let links = Links::default();
    let mut peers = Vec::new();
    for (from, to) in link::PAIRS {
        let to_port = ports.iter().find(|(of, _)| *of == to).map_or(0, |(_, port)| *port);
        let (port, carry) = links.lay(from, to, to_port).await?;
        tasks.spawn(carry);
        peers.push((from, url(port)));
    }
    for (at, (service, port)) in ports.iter().copied().enumerate() {
        let peer = peers.iter().find(|(of, _)| *of == service).map(|(_, peer)| peer.clone());
        children.lock().push(ChildState {
            name: service,
            url: url(port),
            pid: None,
            started_unix_ms: 0,
            restarts: 0,
            status: ChildStatus::Restarting,
        });
        let (executable, options) = (executable.to_owned(), options.clone());
        tasks.spawn(keep_running(
            Supervised { executable, options, service, port, at, peer },
            children.clone(),
        ));
    }
    let admin = axum::serve(admin_listener, admin::router(children, links));
    tokio::select! {
        served = admin.into_future() => served,
        never = async {
            wait_until_listening(&ports).await?;
            ready(&endpoints);
            std::future::pending::<io::Result<()>>().await
        } => never,
        () = stop => Ok(()),
    }
    // Dropping the tasks drops the children, which kills them.
}

struct Supervised {
    executable: PathBuf,
    options: Options,
    service: ServiceKind,
    port: u16,
    at: usize,
    peer: Option<String>,
}

async fn keep_running(supervised: Supervised, children: Children) {
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        if let Ok(mut child) = supervised.start() {
            {
                let mut list = children.lock();
                let state = &mut list[supervised.at];
                state.pid = child.id();
                state.status = ChildStatus::Running;
                state.started_unix_ms = unix_millis();
            }
            // Waiting would close it, and the child take that for the end of its parent.
            let lifeline = child.stdin.take();
            let _ = child.wait().await;
            drop(lifeline);
        }
        {
            let mut list = children.lock();
            let state = &mut list[supervised.at];
            state.pid = None;
            state.status = ChildStatus::Restarting;
        }
        tokio::time::sleep(backoff.after(began.elapsed())).await;
        children.lock()[supervised.at].restarts += 1;
    }
}

impl Supervised {
    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.executable);
        command
            .arg("sandbox-service")
            .arg(self.service.name())
            .args(["--port", &self.port.to_string()])
            .args(["--seed", &(self.options.seed.wrapping_add(self.at as u64)).to_string()])
            .args(["--latency-scale", &self.options.latency_scale.to_string()])
            .args(["--parent", &std::process::id().to_string()]);
        if let Some(peer) = &self.peer {
            command.args(["--peer", peer]);
        }
        // The child sees the end of its standard input when this process is gone.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn()
    }
}

async fn wait_until_listening(ports: &[(ServiceKind, u16)]) -> io::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    for (service, port) in ports {
        while TcpStream::connect(loopback(*port)).await.is_err() {
            if Instant::now() >= deadline {
                let message = format!("the sandbox's {service} service did not come up");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// A port that is free now. It is kept across restarts, so that a dead service refuses connections
/// as a dead container does, and comes back where it was.
async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(loopback(0)).await?.local_addr()?.port())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
