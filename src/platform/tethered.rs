//! Programs of others that die with this process, whatever kills it. The kernel is asked for that by the
//! process that is going to be the program: this one again, which becomes it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use tokio::process::Command;

/// The hidden command that becomes a program: the parent's process id, then the program and its arguments.
pub const COMMAND: &str = "tethered";
/// This very program, even where its file was replaced since it was started.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// A command that runs a program, by its path or found on the PATH, no longer than this process lives.
/// Spawn it on a thread that lives as long as the program should.
///
/// # Errors
/// When there is no such program, or it may not be run.
pub fn tethered(program: impl AsRef<OsStr>) -> io::Result<Command> {
    let program = found(program.as_ref(), env::var_os("PATH").as_deref())?;
    let mut command = Command::new(OWN_PROGRAM);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg("--").arg(program);
    Ok(command)
}

/// The file of a program; absolute, because it may be run in another folder.
fn found(program: &OsStr, path: Option<&OsStr>) -> io::Result<PathBuf> {
    let name = Path::new(program);
    let files: Vec<PathBuf> = if name.components().count() > 1 {
        vec![name.to_owned()]
    } else {
        path.into_iter().flat_map(env::split_paths).map(|folder| folder.join(name)).collect()
    };
    let mut why = Errno::NOENT;
    for file in files.iter().filter(|file| file.is_file()) {
        match access(file, Access::EXEC_OK) {
            Ok(()) => return std::path::absolute(file),
            Err(denied) => why = denied,
        }
    }
    Err(why.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_found_where_a_shell_would_find_it() {
        let folder = tempfile::tempdir().expect("made");
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        for (place, mode) in [(&first, 0o644), (&second, 0o755)] {
            fs::create_dir(place).expect("made");
            fs::write(place.join("tool"), "#!/bin/sh\n").expect("written");
            fs::set_permissions(place.join("tool"), fs::Permissions::from_mode(mode)).expect("set");
        }
        let path = env::join_paths([&first, &second]).expect("joined");
        let of = |name: &OsStr, path: Option<&OsStr>| found(name, path).map_err(|e| e.kind());
        assert_eq!(of("tool".as_ref(), Some(path.as_os_str())), Ok(second.join("tool")));
        assert_eq!(of(second.join("tool").as_ref(), None), Ok(second.join("tool")));
        let denied = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(of("tool".as_ref(), Some(first.as_os_str())), denied);
        let absent = Err(io::ErrorKind::NotFound);
        assert_eq!(of(second.as_ref(), None), absent, "a folder is no program");
        assert_eq!(of("tool".as_ref(), None), absent);
        assert_eq!(of("other".as_ref(), Some(path.as_os_str())), absent);
        assert_eq!(of("".as_ref(), Some(path.as_os_str())), absent);
    }
}
