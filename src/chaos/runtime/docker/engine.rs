//! A Docker engine, here or elsewhere, and what is asked of it.

use std::error::Error;
use std::io;

use bollard::Docker;
use bollard::query_parameters::{InspectContainerOptions, StartContainerOptions};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::address::Address;
use super::tunnel::Tunnel;
use crate::chaos::runtime::RuntimeError;
use crate::platform::docker::is_absent;
use crate::platform::tls;

/// How long the engine may take to answer.
const PATIENCE_SECONDS: u64 = 20;
/// Its clock is compared so often; the quickest answer counts.
const CLOCK_LOOKS: usize = 3;

/// A Docker engine.
pub struct Engine {
    /// The connection.
    pub docker: Docker,
    /// Where it is.
    pub address: Address,
    /// Its architecture, as Go names it.
    pub architecture: String,
    /// How far its clock is ahead of ours.
    pub ahead: SignedDuration,
    _tunnel: Option<Tunnel>,
}

impl Engine {
    /// Connects, and agrees on a version of the API.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(address: &Address) -> Result<Self, RuntimeError> {
        let tunnel = match address.url.starts_with("ssh://") {
            true => Some(Tunnel::open(&address.url)?),
            false => None,
        };
        let version = bollard::API_DEFAULT_VERSION;
        let socket = tunnel.as_ref().map_or_else(|| address.url.clone(), Tunnel::url);
        let docker = match (&address.tls, socket.starts_with("unix://")) {
            (_, true) => Docker::connect_with_unix(&socket, PATIENCE_SECONDS, version),
            (None, false) => Docker::connect_with_http(&socket, PATIENCE_SECONDS, version),
            (Some(files), false) => {
                tls::install_provider();
                let (key, cert, ca) = (&files.key, &files.cert, &files.ca);
                Docker::connect_with_ssl(&socket, key, cert, ca, PATIENCE_SECONDS, version)
            }
        };
        let unreachable = |error: bollard::errors::Error| {
            let trouble = tunnel.as_ref().and_then(Tunnel::trouble);
            let (url, why) = (&address.url, trouble.unwrap_or_else(|| describe(&error)));
            RuntimeError::new(format!("no Docker engine answers at {url}: {why}"))
        };
        let docker = docker.map_err(unreachable)?.negotiate_version().await.map_err(unreachable)?;
        let version = docker.version().await.map_err(unreachable)?;
        let ahead = clock_ahead(&docker).await.unwrap_or_default();
        let architecture = version.arch.unwrap_or_default();
        Ok(Self { docker, address: address.clone(), architecture, ahead, _tunnel: tunnel })
    }

    /// What its clock shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// Everything that the engine says of a container; nothing of one that is not there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn inspect(&self, id: &str) -> Result<Option<Value>, RuntimeError> {
        match self.docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(inspected) => {
                let value = serde_json::to_value(inspected);
                value.map(Some).map_err(|error| RuntimeError::new(error.to_string()))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Starts a container that is not running. One that is gone needs nothing.
    ///
    /// # Errors
    /// When it is there and does not start.
    pub async fn start(&self, container: &str) -> Result<(), RuntimeError> {
        match self.is_down(container).await? {
            true => {
                let options = None::<StartContainerOptions>;
                self.docker.start_container(container, options).await.map_err(failed)
            }
            false => Ok(()),
        }
    }

    /// Whether a container is there and neither runs nor is about to.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn is_down(&self, container: &str) -> Result<bool, RuntimeError> {
        let inspected = self.inspect(container).await?;
        Ok(inspected.is_some_and(|inspected| {
            let state = |field: &str| inspected.pointer(&format!("/State/{field}"));
            let is = |field| state(field).and_then(Value::as_bool) == Some(true);
            !is("Running") && !is("Restarting")
        }))
    }
}

/// How far an engine's clock is ahead of ours, by the quickest of some answers; half of the way is
/// taken to be that of the answer.
async fn clock_ahead(docker: &Docker) -> Option<SignedDuration> {
    let mut best: Option<(SignedDuration, SignedDuration)> = None;
    for _ in 0..CLOCK_LOOKS {
        let asked = Timestamp::now();
        let said: Timestamp = docker.info().await.ok()?.system_time?.parse().ok()?;
        let took = Timestamp::now().duration_since(asked);
        if best.is_none_or(|(quickest, _)| took < quickest) {
            best = Some((took, said.duration_since(asked) - took / 2));
        }
    }
    best.map(|(_, ahead)| ahead)
}

/// The engine's error in words.
pub fn failed(error: bollard::errors::Error) -> RuntimeError {
    RuntimeError::new(format!("Docker engine: {}", describe(&error)))
}

fn describe(error: &bollard::errors::Error) -> String {
    let mut reason: &dyn Error = error;
    let elsewhere =
        "; expected a running engine there: start it, or correct chaos.docker.host or DOCKER_HOST";
    let absent = matches!(error, bollard::errors::Error::SocketNotFoundError(_));
    let mut hint = if absent { elsewhere } else { "" };
    loop {
        if let Some(io) = reason.downcast_ref::<io::Error>() {
            hint = match io.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; this user may not use it: be root, or in the group of its socket"
                }
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => elsewhere,
                _ => hint,
            };
        }
        match reason.source() {
            Some(source) => reason = source,
            None => break,
        }
    }
    format!("{}{hint}", crate::platform::text::excerpt(&reason.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;
    use crate::chaos::runtime::docker::happenings::Happenings;
    use crate::run::event::MomentKind;

    /// The clock of this engine goes ahead of ours by so much.
    const AHEAD: SignedDuration = SignedDuration::from_secs(90);

    /// Answers as an engine does whose clock is wrong: its version, its time, and one event.
    async fn answer(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
        let mut head = vec![0; 4096];
        let read = client.read(&mut head).await.ok()?;
        let head = String::from_utf8_lossy(&head[..read]).into_owned();
        let path = head.split(' ').nth(1)?.to_owned();
        let now = Timestamp::now() + AHEAD;
        let body = if path.contains("/version") {
            r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Arch":"amd64"}"#.to_owned()
        } else if path.contains("/info") {
            format!(r#"{{"SystemTime":"{now}"}}"#)
        } else {
            let at = now.as_nanosecond();
            format!(
                r#"{{"Type":"container","Action":"die","Actor":{{"ID":"c1"}},"timeNano":{at}}}"#
            )
        };
        asked.lock().expect("not poisoned").push(path);
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}\n");
        client.write_all(answer.as_bytes()).await.ok()
    }

    #[tokio::test]
    async fn an_engine_behind_ssh_that_cannot_be_reached_says_what_came_and_what_to_try() {
        // Nothing listens at this port.
        let url = "ssh://nobody@127.0.0.1:1".to_owned();
        let error = Engine::connect(&Address { url, tls: None }).await.err().expect("closed");
        let words = error.to_string();
        assert!(
            words.starts_with("no Docker engine answers at ssh://nobody@127.0.0.1:1: "),
            "{words}"
        );
        assert!(words.contains("`ssh -l nobody -p 1 -- 127.0.0.1 docker version`"), "{words}");
        // Where there is no ssh, that is what came.
        let came = ["Connection refused", "cannot be started"].iter().any(|c| words.contains(c));
        assert!(came && words.contains("expected `ssh` to log in"), "{words}");
    }

    #[tokio::test]
    async fn moments_of_an_engine_with_another_clock_are_told_in_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("tcp://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, Arc::clone(&heard)));
            }
        });
        let engine = Engine::connect(&Address { url, tls: None }).await.expect("it answers");
        let off = (engine.ahead - AHEAD).abs();
        assert!(off < SignedDuration::from_secs(5), "{off}");
        let began = Instant::now();
        let happenings = Happenings::of(engine.docker.clone(), engine.ahead);
        let died = loop {
            if let Some(one) = happenings.since("c1", began - Duration::from_secs(5)).pop() {
                break one;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", asked.lock());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(died.what, super::super::What::Moment(MomentKind::Died));
        assert!(died.at.elapsed() < Duration::from_secs(5), "not {AHEAD} away");
        // The stream is asked for from a moment of the engine's clock, not of ours.
        let asked = asked.lock().expect("not poisoned");
        let since = asked.iter().find_map(|path| path.split_once("since=")?.1.split('.').next());
        let since: i64 = since.expect("asked").parse().expect("seconds");
        assert!(since > Timestamp::now().as_second() + 60, "{since}");
        server.abort();
    }
}
