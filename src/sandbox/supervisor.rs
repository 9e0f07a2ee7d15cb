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
    // It goes after the children that write there.
    let folder = stores::Folder::new()?;
    let credentials = stores::Credentials::new()?;
    let mut family = Family::new(executable);
    let links = Links::default();
    let (ports, services) = family.start_services(options, &links).await?;
    let (addresses, store_children) =
        family.start_stores(options.stores, folder.path(), &credentials)?;
    let [chat, rag, mcp] = ports.map(url);
    let admin = url(admin_listener.local_addr()?.port());
    let endpoints = Endpoints { chat, rag, mcp, admin, stores: addresses };
    let admin = axum::serve(admin_listener, admin::router(services, store_children, links));
    tokio::select! {
        served = admin.into_future() => served,
        never = async {
            family.wait_until_listening(options.stores.ready_within()).await?;
            ready(&endpoints);
            std::future::pending::<io::Result<()>>().await
        } => never,
        () = stop => Ok(()),
    }
}

/// The children of a sandbox, and what they need to be started.
struct Family<'a> {
    executable: &'a Path,
    /// Kept to the end: what dies comes back where it was.
    reserved: Vec<Reserved>,
    /// Dropping them drops the children, which kills them.
    tasks: JoinSet<()>,
    /// Who has to listen before the sandbox is ready, and where.
    listening: Vec<(&'static str, u16)>,
    /// The installed stores, which are not ready by that alone, and their folders.
    starting: Vec<(StoreKind, PathBuf)>,
}

impl<'a> Family<'a> {
    fn new(executable: &'a Path) -> Self {
        let (reserved, tasks) = (Vec::new(), JoinSet::new());
        Self { executable, reserved, tasks, listening: Vec::new(), starting: Vec::new() }
    }

    fn reserve(&mut self) -> io::Result<u16> {
        let port = Reserved::new()?;
        let number = port.number()?;
        self.reserved.push(port);
        Ok(number)
    }

    /// Starts the services and the links between them; returns their ports in the order of
    /// [`ServiceKind::ALL`].
    async fn start_services(
        &mut self,
        options: &Options,
        links: &Links,
    ) -> io::Result<([u16; ServiceKind::ALL.len()], Children)> {
        let mut ports = [0; ServiceKind::ALL.len()];
        for port in &mut ports {
            *port = self.reserve()?;
        }
        let services = || ServiceKind::ALL.into_iter().zip(ports);
        let mut peers = Vec::new();
        for (from, to) in link::PAIRS {
            let to_port = services().find(|(of, _)| *of == to).map_or(0, |(_, port)| port);
            let (port, carry) = links.lay(from, to, to_port).await?;
            self.tasks.spawn(carry);
            peers.push((from, url(port)));
        }
        let children = Children::default();
        for (at, (service, port)) in services().enumerate() {
            let peer = peers.iter().find(|(of, _)| *of == service).map(|(_, peer)| peer.as_str());
            let arguments = service_arguments(service, port, options, at, peer);
            self.keep(service.name(), url(port), arguments, None, &children);
            self.listening.push((service.name(), port));
        }
        Ok((ports, children))
    }

    /// Starts the stores; returns where they are.
    fn start_stores(
        &mut self,
        source: StoreSource,
        folder: &Path,
        credentials: &stores::Credentials,
    ) -> io::Result<(Stores, Children)> {
        let (mut addresses, children) = (Stores::default(), Children::default());
        for (kind, installed) in choose(source) {
            // An installed server insists on having its port to itself.
            let mut take =
                || if installed.is_some() { Reserved::new()?.number() } else { self.reserve() };
            let port = take()?;
            let second_port = if kind == StoreKind::Qdrant { Some(take()?) } else { None };
            let label = installed.as_ref().map_or(stores::label(kind), |one| one.label.as_str());
            let store = stores::address(kind, port, second_port, credentials, label);
            let mut arguments = store_arguments(kind, port, second_port, credentials);
            let folder = folder.join(kind.name());
            arguments.extend(["--folder".to_owned(), folder.display().to_string()]);
            if let Some(installed) = &installed {
                let program = installed.program.display().to_string();
                arguments.extend(["--program".to_owned(), program]);
                self.starting.push((kind, folder.clone()));
            }
            // The others keep all of it in memory.
            let writes = installed.is_some() || kind == StoreKind::Postgres;
            let folder = writes.then_some(folder);
            self.keep(kind.name(), store.url.clone(), arguments, folder, &children);
            let ports = std::iter::once(port).chain(second_port);
            self.listening.extend(ports.map(|port| (kind.name(), port)));
            *addresses.slot(kind) = Some(store);
        }
        Ok((addresses, children))
    }

    /// Starts one, and again whenever it ends.
    fn keep(
        &mut self,
        name: &str,
        url: String,
        arguments: Vec<String>,
        folder: Option<PathBuf>,
        children: &Children,
    ) {
        let at = {
            let mut list = children.lock();
            list.push(ChildState::new(name, url));
            list.len() - 1
        };
        let member = Supervised { executable: self.executable.to_owned(), arguments, at, folder };
        self.tasks.spawn(keep_running(member, children.clone()));
    }

    async fn wait_until_listening(&self, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        let pause = async |name: &str| {
            if Instant::now() >= deadline {
                let message = format!("the sandbox's {name} did not come up");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        };
        for (name, port) in &self.listening {
            while TcpStream::connect(loopback(*port)).await.is_err() {
                pause(name).await?;
            }
        }
        for (kind, folder) in &self.starting {
            while !local::is_ready(*kind, folder) {
                pause(kind.name()).await?;
            }
        }
        Ok(())
    }
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

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
