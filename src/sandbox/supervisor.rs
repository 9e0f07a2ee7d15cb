//! The supervisor: starts the practice services and stores as child processes, and starts them again
//! when they end, by Docker's rule.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admin::{self, ChildState, ChildStatus, Children};
use super::link::{self, Links};
use super::port::Reserved;
use super::restart::Backoff;
use super::settings::{Endpoints, Options, StoreSource};
use super::stores::{self, local, local::Installed};
use crate::config::{ServiceKind, StoreKind, Stores};

/// Runs a sandbox; `ready` is called once, when all of it listens. Returns when `stop` does, or
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
    // Kept to the end: what dies comes back where it was.
    let mut reserved = Vec::new();
    let mut reserve = || {
        let port = Reserved::new()?;
        let number = port.number()?;
        reserved.push(port);
        io::Result::Ok(number)
    };
    let mut ports = Vec::new();
    for service in ServiceKind::ALL {
        ports.push((service, reserve()?));
    }
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let mut endpoints = Endpoints {
        chat: url(ports[0].1),
        rag: url(ports[1].1),
        mcp: url(ports[2].1),
        admin: url(admin_listener.local_addr()?.port()),
        stores: Stores::default(),
    };
    // It goes after the children that write there.
    let folder = stores::Folder::new()?;
    let mut tasks = JoinSet::new();
    let links = Links::default();
    let mut peers = Vec::new();
    for (from, to) in link::PAIRS {
        let to_port = ports.iter().find(|(of, _)| *of == to).map_or(0, |(_, port)| *port);
        let (port, carry) = links.lay(from, to, to_port).await?;
        tasks.spawn(carry);
        peers.push((from, url(port)));
    }
    let mut listening: Vec<(&str, u16)> = Vec::new();
    let services = Children::default();
    for (at, (service, port)) in ports.iter().copied().enumerate() {
        let peer = peers.iter().find(|(of, _)| *of == service).map(|(_, peer)| peer.as_str());
        let arguments = service_arguments(service, port, options, at, peer);
        let member = Supervised { executable: executable.to_owned(), arguments, at, folder: None };
        services.lock().push(ChildState::new(service.name(), url(port)));
        tasks.spawn(keep_running(member, services.clone()));
        listening.push((service.name(), port));
    }
    let credentials = stores::Credentials::new()?;
    let store_children = Children::default();
    let mut starting = Vec::new();
    for (at, (kind, installed)) in choose(options.stores).into_iter().enumerate() {
        // An installed server insists on having its port to itself.
        let mut take = || if installed.is_some() { Reserved::new()?.number() } else { reserve() };
        let port = take()?;
        let second_port = if kind == StoreKind::Qdrant { Some(take()?) } else { None };
        let label = installed.as_ref().map_or(stores::label(kind), |one| one.label.as_str());
        let store = stores::address(kind, port, second_port, &credentials, label);
        let mut arguments = store_arguments(kind, port, second_port, &credentials);
        let folder = folder.path().join(kind.name());
        arguments.extend(["--folder".to_owned(), folder.display().to_string()]);
        if let Some(installed) = &installed {
            arguments.extend(["--program".to_owned(), installed.program.display().to_string()]);
            starting.push((kind, folder.clone()));
        }
        // The others keep all of it in memory.
        let writes = installed.is_some() || kind == StoreKind::Postgres;
        let folder = writes.then_some(folder);
        let member = Supervised { executable: executable.to_owned(), arguments, at, folder };
        store_children.lock().push(ChildState::new(kind.name(), store.url.clone()));
        tasks.spawn(keep_running(member, store_children.clone()));
        listening.push((kind.name(), port));
        listening.extend(second_port.map(|port| (kind.name(), port)));
        *endpoints.stores.slot(kind) = Some(store);
    }
    let admin = axum::serve(admin_listener, admin::router(services, store_children, links));
    tokio::select! {
        served = admin.into_future() => served,
        never = async {
            wait_until_listening(&listening, &starting, options.stores.ready_within()).await?;
            ready(&endpoints);
            std::future::pending::<io::Result<()>>().await
        } => never,
        () = stop => Ok(()),
    }
    // Dropping the tasks drops the children, which kills them.
}

/// The stores that a sandbox has, with the installed servers among them.
fn choose(source: StoreSource) -> Vec<(StoreKind, Option<Installed>)> {
    let installed = |kind| if source == StoreSource::Local { local::find(kind) } else { None };
    let all = StoreKind::ALL.into_iter().map(|kind| (kind, installed(kind)));
    all.filter(|(kind, installed)| installed.is_some() || stores::EMBEDDED.contains(kind)).collect()
}

/// A child: what it is started with, and its place in the list of its kind.
struct Supervised {
    executable: PathBuf,
    arguments: Vec<String>,
    at: usize,
    /// Where it writes, made anew for each start.
    folder: Option<PathBuf>,
}

fn service_arguments(
    service: ServiceKind,
    port: u16,
    options: &Options,
    at: usize,
    peer: Option<&str>,
) -> Vec<String> {
    let mut arguments = vec!["sandbox-service".to_owned(), service.name().to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--port", port.to_string());
    add("--seed", options.seed.wrapping_add(at as u64).to_string());
    add("--latency-scale", options.latency_scale.to_string());
    add("--parent", std::process::id().to_string());
    if let Some(peer) = peer {
        add("--peer", peer.to_owned());
    }
    arguments
}

fn store_arguments(
    store: StoreKind,
    port: u16,
    second_port: Option<u16>,
    credentials: &stores::Credentials,
) -> Vec<String> {
    let mut arguments = vec!["sandbox-store".to_owned(), store.name().to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--port", port.to_string());
    if let Some(port) = second_port {
        add("--second-port", port.to_string());
    }
    add("--password-file", credentials.password_file().display().to_string());
    add("--parent", std::process::id().to_string());
    arguments
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
    /// Whether it ends by itself, in better order than a killed one, when this process does.
    fn quits(&self) -> bool {
        let is = |word: &str| self.arguments.iter().any(|argument| argument == word);
        is(StoreKind::Postgres.name()) && is("--program")
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments);
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
            std::fs::DirBuilder::new().mode(0o700).create(folder)?;
            // The embedded PostgreSQL unpacks itself into the cache, and its data beside.
            command.env("TMPDIR", folder).env("XDG_CACHE_HOME", folder);
        }
        // The child sees the end of its standard input when this process is gone.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(!self.quits()).spawn()
    }
}

async fn wait_until_listening(
    ports: &[(&str, u16)],
    starting: &[(StoreKind, PathBuf)],
    within: Duration,
) -> io::Result<()> {
    let deadline = Instant::now() + within;
    let pause = async |name: &str| {
        if Instant::now() >= deadline {
            let message = format!("the sandbox's {name} did not come up");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(())
    };
    for (name, port) in ports {
        while TcpStream::connect(loopback(*port)).await.is_err() {
            pause(name).await?;
        }
    }
    for (kind, folder) in starting {
        while !local::is_ready(*kind, folder) {
            pause(kind.name()).await?;
        }
    }
    Ok(())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
