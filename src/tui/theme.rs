//! Styles by meaning, from a theme file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::run::event::Verdict;

/// The built-in theme, the same file that is shipped to be copied.
const DEFAULT: &str = include_str!("../../themes/default.yaml");

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// The file cannot be read.
    #[error("cannot read theme {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something in it is wrong.
    #[error("theme: {0}")]
    Content(String),
}

/// Styles by meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Theme {
    /// Plain text.
    pub text: Style,
    /// What matters less.
    pub dim: Style,
    /// Headings.
    pub title: Style,
    /// Lines between things.
    pub rule: Style,
    /// What is active.
    pub accent: Style,
    /// Good.
    pub ok: Style,
    /// Needs a look.
    pub warning: Style,
    /// Bad.
    pub bad: Style,
    /// The selected row.
    pub selected: Style,
    /// Bars and curves.
    pub bar: Style,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Slots {
    text: Option<Slot>,
    dim: Option<Slot>,
    title: Option<Slot>,
    rule: Option<Slot>,
    accent: Option<Slot>,
    ok: Option<Slot>,
    warning: Option<Slot>,
    bad: Option<Slot>,
    selected: Option<Slot>,
    bar: Option<Slot>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Slot {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    underlined: bool,
    reversed: bool,
}

impl Theme {
    /// The theme of a file on top of the built-in one; without colours where none are wanted.
    ///
    /// # Errors
    /// When the file cannot be read, or names what is no slot or colour.
    pub fn load(file: Option<&Path>, no_color: bool) -> Result<Self, ThemeError> {
        let mut theme = Self::default().patched(DEFAULT)?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| ThemeError::Read {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
            theme = theme.patched(&text)?;
        }
        Ok(if no_color { theme.without_colors() } else { theme })
    }

    /// The style of a verdict.
    pub const fn verdict(&self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Pass => self.ok,
            Verdict::Skipped => self.dim,
            Verdict::Inconclusive | Verdict::Invalid => self.warning,
            Verdict::Fail | Verdict::Aborted => self.bad,
        }
    }

    fn patched(mut self, text: &str) -> Result<Self, ThemeError> {
        let slots: Slots =
            serde_yaml::from_str(text).map_err(|error| ThemeError::Content(error.to_string()))?;
        let pairs = [
            (&mut self.text, slots.text),
            (&mut self.dim, slots.dim),
            (&mut self.title, slots.title),
            (&mut self.rule, slots.rule),
            (&mut self.accent, slots.accent),
            (&mut self.ok, slots.ok),
            (&mut self.warning, slots.warning),
            (&mut self.bad, slots.bad),
            (&mut self.selected, slots.selected),
            (&mut self.bar, slots.bar),
        ];
        for (style, slot) in pairs {
            if let Some(slot) = slot {
                *style = slot.style()?;
            }
        }
        Ok(self)
    }

    fn without_colors(self) -> Self {
        let plain = |style: Style| Style { fg: None, bg: None, ..style };
        Self {
            text: plain(self.text),
            dim: plain(self.dim),
            title: plain(self.title),
            rule: plain(self.rule),
            accent: plain(self.accent),
            ok: plain(self.ok),
            warning: plain(self.warning),
            bad: plain(self.bad),
            selected: plain(self.selected),
            bar: plain(self.bar),
        }
    }
}

impl Slot {
    fn style(&self) -> Result<Style, ThemeError> {
        let color = |name: &Option<String>| {
            name.as_deref()
                .map(|name| {
                    Color::from_str(name).map_err(|_| {
                        ThemeError::Content(format!(
                            "`{name}` is no colour: expected red, #ff0000 or 9"
                        ))
                    })
                })
                .transpose()
        };
        let mut modifiers = Modifier::empty();
        modifiers.set(Modifier::BOLD, self.bold);
        modifiers.set(Modifier::UNDERLINED, self.underlined);
        modifiers.set(Modifier::REVERSED, self.reversed);
        let mut style = Style::new().add_modifier(modifiers);
        style.fg = color(&self.fg)?;
        style.bg = color(&self.bg)?;
        Ok(style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_changes_only_what_it_names() {
        let built_in = Theme::load(None, false).expect("shipped");
        let patched = built_in.patched("ok: { fg: blue }").expect("valid");
        assert_eq!(patched.ok.fg, Some(Color::Blue));
        assert_eq!(patched.bad, built_in.bad);
        assert!(built_in.patched("okay: {}").is_err());
        assert!(built_in.patched("ok: { fg: nocolour }").is_err());
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let theme = Theme::load(None, true).expect("shipped");
        assert_eq!((theme.bad.fg, theme.ok.fg, theme.selected.bg), (None, None, None));
        assert!(theme.bad.add_modifier.contains(Modifier::BOLD), "meaning stays");
    }
}
