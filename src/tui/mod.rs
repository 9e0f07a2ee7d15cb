//! The dashboard: a client of a run that folds its events into a state of its own and draws it.

mod app;
mod diagnostics;
mod event_loop;
mod fate;
mod format;
mod frames;
mod glyphs;
mod input;
mod keymap;
pub mod lines;
mod operate;
mod panels;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod view;

use std::path::{Path, PathBuf};

use crate::config::OnDetach;
use crate::run::client::EngineClient;
use crate::run::event::RunVerdict;

pub use fate::Fate;
pub use theme::ThemeError;

/// How the dashboard looks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most frames per second.
    pub fps: u8,
    /// ASCII only.
    pub ascii: bool,
    /// No colours.
    pub no_color: bool,
    /// A theme on top of the built-in one.
    pub theme: Option<PathBuf>,
    /// Where the run's report is written, to be named when it is over.
    pub report: PathBuf,
    /// What the run does when nobody watches it.
    pub on_detach: OnDetach,
}

/// How the dashboard ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// The operator left, or his terminal did; and what becomes of the run.
    Detached(Fate),
    /// The run is over, or was aborted before it began.
    Finished(Option<RunVerdict>),
    /// The engine is gone, or never came; why, in words.
    Disconnected(String),
}

/// Why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The theme cannot be used.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The terminal cannot be used.
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Whether a theme can be used, asked before anything is started.
///
/// # Errors
/// When it cannot be read, or does not say what a theme says.
pub fn check_theme(path: &Path) -> Result<(), ThemeError> {
    theme::Theme::load(Some(path), false).map(drop)
}

/// Shows what a client hears until the operator leaves.
///
/// # Errors
/// When the theme or the terminal cannot be used.
pub async fn run(client: EngineClient, options: Options) -> Result<Ended, TuiError> {
    let theme = theme::Theme::load(options.theme.as_deref(), options.no_color)?;
    let signals = input::Signals::catch()?;
    diagnostics::keep();
    let mut canvas = terminal::TtyCanvas::take()?;
    let mut app = app::App::new(client, theme, glyphs::Glyphs { ascii: options.ascii });
    app.zone = jiff::tz::TimeZone::system();
    app.report = options.report.display().to_string();
    app.on_detach = options.on_detach;
    let keys = input::TtyKeys::new(signals);
    Ok(event_loop::run(app, &mut canvas, keys, options.fps).await)
}
