//! Credentials of the stores: made anew for each sandbox, and kept in files in memory that nobody else
//! can read and that are gone with the process, however it ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::config::SecretSource;

/// Access key of the object store; the other stores have a user of their own by default. No word that
/// a store says of itself: it would be taken out there, as everything secret is.
pub const ACCESS_KEY: &str = "sandbox-access-key";

/// The credentials of one sandbox. The files they are in live as long as this value.
#[derive(Debug)]
pub struct Credentials {
    access_key: File,
    password: File,
}

impl Credentials {
    /// New ones.
    ///
    /// # Errors
    /// When the kernel has no files in memory.
    pub fn new() -> io::Result<Self> {
        let password = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
        Ok(Self { access_key: hold(ACCESS_KEY)?, password: hold(&password)? })
    }

    /// Where the object store's access key is.
    pub fn access_key(&self) -> SecretSource {
        SecretSource::File(path(&self.access_key))
    }

    /// Where the password of all stores is.
    pub fn password(&self) -> SecretSource {
        SecretSource::File(path(&self.password))
    }

    /// The file with the password.
    pub fn password_file(&self) -> PathBuf {
        path(&self.password)
    }
}

fn hold(secret: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("shakedown", MemfdFlags::CLOEXEC)?);
    file.write_all(secret.as_bytes())?;
    Ok(file)
}

fn path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::without_secrets;

    #[test]
    fn a_secret_can_be_read_again_and_is_gone_with_its_holder() {
        let credentials = Credentials::new().expect("made");
        let source = credentials.password();
        assert_eq!(source.read().expect("read").expose(), source.read().expect("again").expose());
        assert_eq!(credentials.access_key().read().expect("read").expose(), ACCESS_KEY);
        assert_eq!(without_secrets("Neo4j 4.4.0 sandbox"), "Neo4j 4.4.0 sandbox");
        let file = credentials.password_file();
        let secret = source.read().expect("read").expose().to_owned();
        drop(credentials);
        assert_ne!(std::fs::read_to_string(file).unwrap_or_default(), secret);
    }
}
