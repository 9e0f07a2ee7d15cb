//! An engine behind SSH: a private socket here, whose every connection is one to
//! `docker system dial-stdio` there, by the user's own `ssh` with its configuration and agent.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::task::AbortHandle;

use crate::chaos::runtime::RuntimeError;

/// How long `ssh` may take to connect, seconds.
const CONNECTS_WITHIN: u32 = 10;
/// Connections share one login for so long after the last, seconds.
const SHARED_FOR: u32 = 60;

/// A way to an engine; it ends with this value.
pub struct Tunnel {
    folder: PathBuf,
    task: AbortHandle,
}

impl Tunnel {
    /// Opens a way to `ssh://[USER@]HOST[:PORT]`.
    ///
    /// # Errors
    /// When the destination is not understood, or there is no private folder for the socket.
    pub fn open(url: &str) -> Result<Self, RuntimeError> {
        let destination = Destination::parse(url)?;
        let failed = |error: io::Error| RuntimeError::new(format!("{url}: {error}"));
        let folder = private_folder().map_err(failed)?;
        let listener = UnixListener::bind(folder.join("engine")).map_err(failed)?;
        let arguments = destination.arguments(&folder.join("master"));
        let task = tokio::spawn(serve(listener, arguments)).abort_handle();
        Ok(Self { folder, task })
    }

    /// The socket here, as an address of an engine.
    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.join("engine").display())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Short, because a socket's path may not be long, and this user's alone.
fn private_folder() -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("shakedown-{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

async fn serve(listener: UnixListener, arguments: Vec<String>) {
    while let Ok((stream, _)) = listener.accept().await {
        let arguments = arguments.clone();
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &arguments).await {
                log::warn!("ssh to the Docker engine: {error}");
            }
        });
    }
}

async fn carry(stream: UnixStream, arguments: &[String]) -> io::Result<()> {
    let mut ssh = Command::new("ssh")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(mut output)) = (ssh.stdin.take(), ssh.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let (mut from, mut to) = stream.into_split();
    let upwards = async {
        let copied = copy(&mut from, &mut input).await;
        drop(input);
        copied
    };
    let downwards = async {
        let copied = copy(&mut output, &mut to).await;
        let _ = to.shutdown().await;
        copied
    };
    // The engine's end decides: it may go on answering after we have said everything.
    tokio::select! {
        copied = downwards => copied.map(drop),
        copied = async { upwards.await?; std::future::pending::<io::Result<u64>>().await } => {
            copied.map(drop)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Destination<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Destination<'a> {
    fn parse(url: &'a str) -> Result<Self, RuntimeError> {
        let wrong = || {
            RuntimeError::new(format!("{url}: expected ssh://USER@HOST or ssh://USER@HOST:PORT"))
        };
        let rest = url.strip_prefix("ssh://").ok_or_else(wrong)?.trim_end_matches('/');
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(u, r)| (Some(u), r));
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => {
                (host, Some(port.parse().map_err(|_| wrong())?))
            }
            _ => (rest.trim_start_matches('[').trim_end_matches(']'), None),
        };
        // What begins with a dash would be an option.
        let plain = |word: &str| {
            !word.is_empty() && !word.starts_with('-') && !word.contains(char::is_whitespace)
        };
        if !plain(host) || !user.is_none_or(plain) {
            return Err(wrong());
        }
        Ok(Self { user, host, port })
    }

    fn arguments(&self, master: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["-T".into()];
        for option in [
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={CONNECTS_WITHIN}"),
            "ControlMaster=auto".into(),
            format!("ControlPath={}", master.display()),
            format!("ControlPersist={SHARED_FOR}"),
        ] {
            arguments.extend(["-o".into(), option]);
        }
        if let Some(user) = self.user {
            arguments.extend(["-l".into(), user.into()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".into(), port.to_string()]);
        }
        arguments.extend(["--", self.host, "docker", "system", "dial-stdio"].map(str::to_owned));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_understood_and_never_an_option() {
        let parsed = Destination::parse("ssh://ops@db1:2222").expect("understood");
        assert_eq!(parsed, Destination { user: Some("ops"), host: "db1", port: Some(2222) });
        let bare = Destination::parse("ssh://db1/").expect("understood");
        assert_eq!(bare, Destination { user: None, host: "db1", port: None });
        let words = parsed.arguments(Path::new("/tmp/m")).join(" ");
        assert!(words.ends_with("-l ops -p 2222 -- db1 docker system dial-stdio"), "{words}");
        for wrong in ["ssh://", "ssh://-oProxyCommand=x", "ssh://a@", "ssh://-x@b", "ssh://h:x"] {
            assert!(Destination::parse(wrong).is_err(), "{wrong}");
        }
    }
}
