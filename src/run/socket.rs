//! Where the control socket of a run is. A socket's path may have 107 bytes at most, so it goes to
//! `XDG_RUNTIME_DIR` first, else into the run's folder, else to a private folder below `/tmp`;
//! `runs/<id>/control.sock` always leads there.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::state_dir::private_dir;

/// Longest path of a socket (`sun_path` less its zero byte).
const MAX_PATH_BYTES: usize = 107;
/// A socket of this age is bound and listens, if its engine lives.
const FRESH: Duration = Duration::from_secs(60);
/// Name in the run's folder.
const SOCKET_NAME: &str = "control.sock";

/// A listening control socket; its files go when it is dropped.
pub struct ControlSocket {
    listener: UnixListener,
    run_dir: PathBuf,
    run_id: String,
    /// Device and inode of the socket.
    bound: (u64, u64),
    files: Vec<PathBuf>,
}

impl ControlSocket {
    /// Listens for the clients of a run.
    ///
    /// # Errors
    /// When no place takes it.
    pub fn bind(run_dir: &Path, run_id: &str) -> io::Result<Self> {
        let in_run = run_dir.join(SOCKET_NAME);
        let path = choose_path(&in_run, run_id)?;
        if path != in_run {
            path.parent().into_iter().for_each(remove_dead);
        }
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let mut files = vec![path.clone()];
        if path != in_run {
            let _ = fs::remove_file(&in_run);
            std::os::unix::fs::symlink(&path, &in_run)?;
            files.push(in_run);
        }
        let bound = identity(&path)?;
        Ok(Self { listener, run_dir: run_dir.to_owned(), run_id: run_id.to_owned(), bound, files })
    }

    /// The next client.
    ///
    /// # Errors
    /// When it cannot be let in.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Listens anew when clients do not find it any more, and tells whether it had to: the end of a
    /// user's last login session takes `XDG_RUNTIME_DIR` along, and the run goes on.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn stay_findable(&mut self) -> io::Result<bool> {
        if identity(&self.run_dir.join(SOCKET_NAME)).is_ok_and(|found| found == self.bound) {
            return Ok(false);
        }
        let anew = Self::bind(&self.run_dir, &self.run_id)?;
        // They may have the names of the new ones.
        self.files.clear();
        *self = anew;
        Ok(true)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}

/// Connects to the engine of a run.
///
/// # Errors
/// When no engine listens.
pub async fn connect(run_dir: &Path) -> io::Result<UnixStream> {
    let in_run = run_dir.join(SOCKET_NAME);
    // The path in the run's folder may itself be too long to connect through.
    let path = fs::read_link(&in_run).unwrap_or(in_run);
    UnixStream::connect(path).await
}

/// Removes the socket of a run whose engine is dead.
pub(super) fn remove(run_dir: &Path) {
    let in_run = run_dir.join(SOCKET_NAME);
    if let Ok(path) = fs::read_link(&in_run) {
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_file(in_run);
}

/// Removes the sockets that killed engines left in a folder of ours.
fn remove_dead(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FRESH));
        let refused = || {
            let connected = std::os::unix::net::UnixStream::connect(&path);
            connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        if path.extension().is_some_and(|extension| extension == "sock") && old && refused() {
            let _ = fs::remove_file(&path);
        }
    }
}

fn choose_path(in_run: &Path, run_id: &str) -> io::Result<PathBuf> {
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        let folder = runtime.join("shakedown");
        let path = folder.join(format!("{run_id}.sock"));
        // One that is not there is not ours to make: the next login would hide it.
        let usable = runtime.is_absolute() && runtime.is_dir() && fits(&path);
        if usable && private_dir(&folder).is_ok() {
            return Ok(path);
        }
    }
    if fits(in_run) {
        return Ok(in_run.to_owned());
    }
    let uid = rustix::process::getuid().as_raw();
    let folder = PathBuf::from(format!("/tmp/shakedown-{uid}"));
    // Somebody else may have made something of that name in a place that everybody can write to: it is
    // looked at before it is touched, and again when it is there.
    is_ours(&folder, uid)?;
    private_dir(&folder)?;
    is_ours(&folder, uid)?;
    Ok(folder.join(format!("{run_id}.sock")))
}

fn is_ours(folder: &Path, uid: u32) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(metadata) if metadata.uid() != uid || !metadata.is_dir() => {
            Err(io::Error::other(format!("{} is not ours: remove it", folder.display())))
        }
        _ => Ok(()),
    }
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= MAX_PATH_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener as StdListener;
    use std::time::SystemTime;

    #[test]
    fn dead_sockets_go_and_live_or_fresh_ones_stay() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| temp.path().join(name);
        let aged = |name: &str| {
            let listener = StdListener::bind(at(name)).expect("bound");
            let touched = std::process::Command::new("touch")
                .args(["-d", "1 hour ago"])
                .arg(at(name))
                .status();
            assert!(touched.expect("touch runs").success());
            listener
        };
        let _live = aged("live.sock");
        drop(aged("dead.sock"));
        drop(StdListener::bind(at("fresh.sock")).expect("bound"));
        fs::write(at("other.txt"), "").expect("written");
        let file = fs::File::open(at("other.txt")).expect("there");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("aged");
        remove_dead(temp.path());
        let mut left: Vec<_> = fs::read_dir(temp.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
            .collect();
        left.sort();
        assert_eq!(left, ["fresh.sock", "live.sock", "other.txt"]);
    }

    #[tokio::test]
    async fn a_socket_that_somebody_removed_is_listened_on_anew() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let mut socket = ControlSocket::bind(temp.path(), "run").expect("bound");
        assert!(!socket.stay_findable().expect("found"));
        for file in socket.files.clone() {
            fs::remove_file(file).expect("there");
        }
        connect(temp.path()).await.expect_err("nobody finds it");
        assert!(socket.stay_findable().expect("bound anew"));
        let client = connect(temp.path()).await.expect("found again");
        socket.accept().await.expect("let in");
        drop((client, socket));
        let left = fs::read_dir(temp.path()).expect("readable").count();
        assert_eq!(left, 0, "what was bound first and then goes");
    }

    #[test]
    fn what_is_not_a_folder_of_ours_is_not_touched() {
        use std::os::unix::fs::symlink;
        let temp = tempfile::tempdir().expect("temporary folder");
        let uid = rustix::process::getuid().as_raw();
        symlink(temp.path(), temp.path().join("link")).expect("made");
        assert!(is_ours(&temp.path().join("link"), uid).is_err());
        assert!(is_ours(temp.path(), uid + 1).is_err());
        is_ours(temp.path(), uid).expect("ours");
        is_ours(&temp.path().join("nothing"), uid).expect("nobody's");
    }
}
