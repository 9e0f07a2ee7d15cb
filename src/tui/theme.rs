//! Styles by meaning, from a theme file.

use std::path::Path;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::config::{ConfigError, Positions, read_text, read_yaml};
use crate::run::event::Verdict;

/// The built-in theme, the same file that is shipped to be copied.
const DEFAULT: &str = include_str!("../../themes/default.yaml");

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// The file cannot be read, or names what is no slot.
    #[error("theme {0}")]
    File(#[from] ConfigError),
    /// A colour is none.
    #[error("theme {file}{at}: `{color}` is no colour: expected red, #ff0000 or 9")]
    Color {
        /// The file.
        file: String,
        /// Where in it, as `:line:column`.
        at: String,
        /// What was written.
        color: String,
    },
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
        let mut theme = Self::default().patched("built-in", DEFAULT)?;
        if let Some(path) = file {
            theme = theme.patched(&path.display().to_string(), &read_text(path)?)?;
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

    fn patched(mut self, file: &str, text: &str) -> Result<Self, ThemeError> {
        let (slots, places): (Slots, Positions) = read_yaml(file, text)?;
        let pairs = [
            ("text", &mut self.text, slots.text),
            ("dim", &mut self.dim, slots.dim),
            ("title", &mut self.title, slots.title),
            ("rule", &mut self.rule, slots.rule),
            ("accent", &mut self.accent, slots.accent),
            ("ok", &mut self.ok, slots.ok),
            ("warning", &mut self.warning, slots.warning),
            ("bad", &mut self.bad, slots.bad),
            ("selected", &mut self.selected, slots.selected),
            ("bar", &mut self.bar, slots.bar),
        ];
        for (name, style, slot) in pairs {
            let Some(slot) = slot else { continue };
            *style = slot.style().map_err(|(key, color)| ThemeError::Color {
                file: file.to_owned(),
                at: places
                    .of(&format!("{name}.{key}"))
                    .map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column)),
                color,
            })?;
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
    /// The style, or the key whose colour is none, with what was written there.
    fn style(&self) -> Result<Style, (&'static str, String)> {
        let color = |key, name: &Option<String>| {
            let parsed = name.as_deref().map(|name| {
                Color::from_str(name).map_err(|_| (key, name.chars().take(40).collect()))
            });
            parsed.transpose()
        };
        let mut modifiers = Modifier::empty();
        modifiers.set(Modifier::BOLD, self.bold);
        modifiers.set(Modifier::UNDERLINED, self.underlined);
        modifiers.set(Modifier::REVERSED, self.reversed);
        let mut style = Style::new().add_modifier(modifiers);
        style.fg = color("fg", &self.fg)?;
        style.bg = color("bg", &self.bg)?;
        Ok(style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_changes_only_what_it_names() {
        let built_in = Theme::load(None, false).expect("shipped");
        let patched = built_in.patched("t", "ok: { fg: blue }").expect("valid");
        assert_eq!(patched.ok.fg, Some(Color::Blue));
        assert_eq!(patched.bad, built_in.bad);
        let refused = |text| built_in.patched("mine.yaml", text).expect_err("accepted").to_string();
        let unknown = refused("warnng: {}");
        assert!(unknown.contains("mine.yaml:1:1: unknown field `warnng`"), "{unknown}");
        assert!(unknown.contains("did you mean `warning`?"), "{unknown}");
        let color = refused("ok: { bold: true }\nbad: { fg: nocolour }");
        assert_eq!(
            color,
            "theme mine.yaml:2:12: `nocolour` is no colour: expected red, #ff0000 or 9"
        );
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let theme = Theme::load(None, true).expect("shipped");
        assert_eq!((theme.bad.fg, theme.ok.fg, theme.selected.bg), (None, None, None));
        assert!(theme.bad.add_modifier.contains(Modifier::BOLD), "meaning stays");
    }
}
