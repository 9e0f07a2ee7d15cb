//! Where the control socket of a run is. A socket's path may have 107 bytes at most, so it goes to
//! `XDG_RUNTIME_DIR` first, else into the run's folder, else to a private folder below `/tmp`;
//! `runs/<id>/control.sock` always leads there.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::state_dir::private_dir;

/// Longest path of a socket (`sun_path` less its zero byte).
const MAX_PATH_BYTES: usize = 107;
/// Name in the run's folder.
const SOCKET_NAME: &str = "control.sock";

/// A listening control socket; its files go when it is dropped.
pub struct ControlSocket {
    /// The listener.
    pub listener: UnixListener,
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
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let mut files = vec![path.clone()];
        if path != in_run {
            let _ = fs::remove_file(&in_run);
            std::os::unix::fs::symlink(&path, &in_run)?;
            files.push(in_run);
        }
        Ok(Self { listener, files })
    }
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

fn choose_path(in_run: &Path, run_id: &str) -> io::Result<PathBuf> {
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        let folder = runtime.join("shakedown");
        let path = folder.join(format!("{run_id}.sock"));
        if runtime.is_absolute() && fits(&path) && private_dir(&folder).is_ok() {
            return Ok(path);
        }
    }
    if fits(in_run) {
        return Ok(in_run.to_owned());
    }
    let uid = rustix::process::getuid().as_raw();
    let folder = PathBuf::from(format!("/tmp/shakedown-{uid}"));
    private_dir(&folder)?;
    // Somebody else may have made a folder of that name in a place that everybody can write to.
    let metadata = fs::symlink_metadata(&folder)?;
    if metadata.uid() != uid || !metadata.is_dir() {
        return Err(io::Error::other(format!("{} is not ours: remove it", folder.display())));
    }
    Ok(folder.join(format!("{run_id}.sock")))
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= MAX_PATH_BYTES
}
