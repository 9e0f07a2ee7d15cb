//! A file for node_exporter's textfile collector, written when a run ends.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::exposition::render;
use super::page::Format;
use crate::run::companion::{Companion, CompanionContext, Stage};

/// Writes the metrics of a run when it ends.
pub struct Textfile {
    path: PathBuf,
}

impl Textfile {
    /// A file at this place.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Companion for Textfile {
    fn name(&self) -> &'static str {
        "the textfile of metrics"
    }

    fn ends_with(&self) -> Stage {
        Stage::Over
    }

    async fn accompany(&self, mut context: CompanionContext) {
        context.until(Stage::Over).await;
        let text = context.events.with_state(|state| render(state, Format::Classic));
        if let Err(error) = write(&self.path, &text) {
            log::error!("metrics not written to {}: {error}", self.path.display());
        }
    }
}

/// The collector reads whole files only: it looks for `.prom`, which the file is called when it is
/// whole, and it runs as somebody else.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = std::fs::write(&temporary, text)
        .and_then(|()| std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644)))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_and_others_may_read_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("shakedown.prom");
        write(&path, "a 1\n").expect("written");
        write(&path, "a 2\n").expect("written again");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "a 2\n");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing beside");
        assert!(write(&folder.path().join("no/such/folder.prom"), "x").is_err());
    }
}
