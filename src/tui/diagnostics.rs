//! The dashboard's own diagnostics: they are kept for the log panel, since the screen is taken.

use log::{LevelFilter, Log, Metadata, Record};

/// What is kept.
const LEVEL: LevelFilter = LevelFilter::Info;

/// Hands records to the panel's widget. tui-logger's own logger has a thread that wakes a hundred times a
/// second to move them there, which costs more than drawing does: here a frame that shows them does it.
struct Diagnostics;

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LEVEL
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            tui_logger::Drain.log(record);
        }
    }

    fn flush(&self) {}
}

/// Keeps them from now on. A logger that is installed already goes on; that happens in tests only.
pub fn keep() {
    if log::set_logger(&Diagnostics).is_ok() {
        log::set_max_level(LEVEL);
    }
}

/// Moves what was kept to where the widget reads it.
pub fn collect() {
    tui_logger::move_events();
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::widgets::Widget;
    use tui_logger::TuiLoggerWidget;

    use super::*;

    #[test]
    fn what_is_kept_is_drawn_once_it_is_collected() {
        let drawn = || {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 5));
            TuiLoggerWidget::default().render(buffer.area, &mut buffer);
            buffer.content.iter().map(|cell| cell.symbol()).collect::<String>()
        };
        let mut record = Record::builder();
        let record = record.target("tui").level(log::Level::Warn);
        Diagnostics.log(&record.args(format_args!("the line is slow")).build());
        assert!(!drawn().contains("the line is slow"), "no thread moves it");
        collect();
        assert!(drawn().contains("the line is slow"), "{}", drawn());
        let quiet = record.level(log::Level::Debug);
        Diagnostics.log(&quiet.args(format_args!("details")).build());
        collect();
        assert!(!drawn().contains("details"));
    }
}
