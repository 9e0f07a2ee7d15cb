//! A page of metrics, as OpenMetrics 1.0 or in Prometheus' classic text format.

use std::fmt::Write as _;

/// How the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0: ends with `# EOF`.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which node_exporter's textfile collector reads.
    Classic,
}

impl Format {
    /// The media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

pub(super) struct Page {
    format: Format,
    text: String,
}

impl Page {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// One family: its name without `_total`, what it means, and its samples.
    pub(super) fn family(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(String, String)>, f64)>,
    ) {
        let samples: Vec<_> = samples.into_iter().filter(|(_, value)| value.is_finite()).collect();
        if samples.is_empty() {
            return;
        }
        let full = if kind == Kind::Counter { format!("{name}_total") } else { name.to_owned() };
        // OpenMetrics names a counter's family without its suffix, the classic format with it.
        let family = if self.format == Format::OpenMetrics { name } else { &full };
        let word = if kind == Kind::Counter { "counter" } else { "gauge" };
        let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {word}");
        if self.format == Format::OpenMetrics
            && let Some(unit) = ["seconds", "ratio", "bytes"].iter().find(|u| name.ends_with(*u))
        {
            let _ = writeln!(self.text, "# UNIT {family} {unit}");
        }
        for (labels, value) in samples {
            let pairs: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let braces =
                if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(self.text, "{full}{braces} {value}");
        }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text += "# EOF\n";
        }
        self.text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(super) fn labels(of: Labels<'_>) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
