//! An engine behind SSH: a private socket here, whose every connection is one to
//! `docker system dial-stdio` there, by the user's own `ssh` with its configuration and agent.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::chaos::runtime::RuntimeError;
use crate::platform::text::excerpt;

/// How long `ssh` may take to connect, seconds.
const CONNECTS_WITHIN: u32 = 10;
/// Connections share one login for so long after the last, seconds.
const SHARED_FOR: u32 = 60;

/// More of what `ssh` complains of is not read.
const MAX_COMPLAINT_BYTES: u64 = 2000;
/// Its end is waited for so long once it has said everything, and what is left of its complaint for so
/// long after that: a login that is shared goes on, and holds on to where it would complain.
const COMPLAINS_WITHIN: Duration = Duration::from_millis(300);

/// A way to an engine; it ends with this value.
pub struct Tunnel {
    folder: PathBuf,
    task: AbortHandle,
    by_hand: String,
    complaint: Complaint,
}

/// What the last `ssh` that failed said.
#[derive(Clone, Default)]
struct Complaint(Arc<Mutex<Option<String>>>);

impl Complaint {
    fn set(&self, words: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
        let command = destination.command(&folder.join("master"));
        let complaint = Complaint::default();
        let task = tokio::spawn(serve(listener, command, complaint.clone())).abort_handle();
        Ok(Self { folder, task, by_hand: destination.by_hand(), complaint })
    }

    /// What `ssh` said when it failed last, what was expected, and how to try that; none as long as it
    /// has not failed.
    pub fn trouble(&self) -> Option<String> {
        let said = self.complaint.get()?;
        Some(format!(
            "{said}; expected `ssh` to log in without a question and `docker system dial-stdio` to run \
             there: try `{}`",
            self.by_hand
        ))
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

async fn serve(listener: UnixListener, command: Vec<String>, complaint: Complaint) {
    while let Ok((stream, _)) = listener.accept().await {
        let (command, complaint) = (command.clone(), complaint.clone());
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &command, &complaint).await {
                log::warn!("ssh to the Docker engine: {error}");
            }
        });
    }
}

async fn carry(stream: UnixStream, command: &[String], complaint: &Complaint) -> io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let ssh = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut ssh = ssh.inspect_err(|error| {
        complaint.set(format!("`{program}` cannot be started: {error}"));
    })?;
    let (Some(mut input), Some(mut output), Some(errors)) =
        (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
    else {
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
        // Whoever asked the engine learns that it is gone by the end of this stream, and asks why then.
        if copied.is_ok()
            && let Ok(Ok(status)) = timeout(COMPLAINS_WITHIN, ssh.wait()).await
            && !status.success()
        {
            let mut said = Vec::new();
            let mut errors = errors.take(MAX_COMPLAINT_BYTES);
            let _ = timeout(COMPLAINS_WITHIN, errors.read_to_end(&mut said)).await;
            let said = excerpt(String::from_utf8_lossy(&said).trim());
            let said = if said.is_empty() { "nothing".into() } else { said };
            complaint.set(format!("ssh ended with {status} and said: {said}"));
        }
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

    fn command(&self, master: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["ssh".into(), "-T".into()];
        for option in [
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={CONNECTS_WITHIN}"),
            "ControlMaster=auto".into(),
            format!("ControlPath={}", master.display()),
            format!("ControlPersist={SHARED_FOR}"),
        ] {
            arguments.extend(["-o".into(), option]);
        }
        arguments.extend(self.login());
        arguments.extend(["--", self.host, "docker", "system", "dial-stdio"].map(str::to_owned));
        arguments
    }

    fn login(&self) -> impl Iterator<Item = String> {
        let user = self.user.map(|user| ["-l".to_owned(), user.to_owned()]);
        let port = self.port.map(|port| ["-p".to_owned(), port.to_string()]);
        user.into_iter().chain(port).flatten()
    }

    /// What an operator can try.
    fn by_hand(&self) -> String {
        let login: String = self.login().map(|word| word + " ").collect();
        format!("ssh {login}-- {} docker version", self.host)
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
        assert_eq!(parsed.by_hand(), "ssh -l ops -p 2222 -- db1 docker version");
        let words = parsed.command(Path::new("/tmp/m")).join(" ");
        assert!(words.ends_with("-l ops -p 2222 -- db1 docker system dial-stdio"), "{words}");
        for wrong in ["ssh://", "ssh://-oProxyCommand=x", "ssh://a@", "ssh://-x@b", "ssh://h:x"] {
            assert!(Destination::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Asks an engine through a way that is made by this command; returns the end of what came.
    async fn asked_by(command: &[&str]) -> (Vec<u8>, Option<String>) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let listener = UnixListener::bind(folder.path().join("engine")).expect("bound");
        let complaint = Complaint::default();
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let task = tokio::spawn(serve(listener, command, complaint.clone()));
        let mut asking =
            UnixStream::connect(folder.path().join("engine")).await.expect("connected");
        let _ = asking.write_all(b"GET /version HTTP/1.1\r\n").await;
        let mut came = Vec::new();
        let _ = asking.read_to_end(&mut came).await;
        task.abort();
        (came, complaint.get())
    }

    #[tokio::test]
    async fn what_ssh_complains_of_is_known_when_the_connection_ends() {
        let refused = "ssh: connect to host 127.0.0.1 port 1: Connection refused";
        let script = format!("read -r _; printf '%s\\r\\n\\033[31m' '{refused}' >&2; exit 255");
        let (came, complaint) = asked_by(&["sh", "-c", &script]).await;
        assert!(came.is_empty());
        let said = complaint.expect("it failed");
        assert!(said.contains("status: 255") && said.contains(refused), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
        let (_, complaint) = asked_by(&["/nowhere/ssh"]).await;
        assert!(complaint.expect("it failed").contains("cannot be started"));
        let (came, complaint) = asked_by(&["sh", "-c", "read -r _; printf answer"]).await;
        assert_eq!((&came[..], complaint), (&b"answer"[..], None));
    }
}
