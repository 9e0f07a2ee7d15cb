//! Definitions for other tools: one file a format. What a format cannot express is left out, with a
//! comment that says so.

mod openslo;
mod prometheus;
mod pyrra;
mod sloth;

use crate::config::{Slo, SloDefinitions, SloKind};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenSLO v1.
    OpenSlo,
    /// Sloth `prometheus/v1`.
    Sloth,
    /// Pyrra `pyrra.dev/v1alpha1`.
    Pyrra,
    /// Prometheus alerting rules.
    PrometheusRules,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OpenSlo, Self::Sloth, Self::Pyrra, Self::PrometheusRules];

    /// The word for it on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSlo => "openslo",
            Self::Sloth => "sloth",
            Self::Pyrra => "pyrra",
            Self::PrometheusRules => "prometheus-rules",
        }
    }
}

/// The definitions in a format, as YAML.
pub fn export(definitions: &SloDefinitions, format: Format) -> String {
    let body = match format {
        Format::OpenSlo => openslo::write(definitions),
        Format::Sloth => sloth::write(definitions),
        Format::Pyrra => pyrra::write(definitions),
        Format::PrometheusRules => prometheus::write(definitions),
    };
    let left_out = definitions.slos.iter().filter(|slo| !expressible(slo));
    let left_out: Vec<&str> = left_out.map(|slo| slo.id.as_str()).collect();
    let mut text = String::from("# Written by shakedown slo export.\n");
    if !left_out.is_empty() {
        text += &format!("# Not expressible as a ratio of events: {}.\n", left_out.join(", "));
    }
    text + &body
}

/// Whether an objective is a ratio of requests, which every format can say.
fn expressible(slo: &Slo) -> bool {
    slo.store.is_none() && slo.allowed_bad().is_some_and(|share| share > 0.0)
}

/// The metric that the platform is expected to have, as the conventions of Prometheus name it.
fn selector(slo: &Slo, more: &str) -> String {
    let service = slo.service.map(|service| format!("service=\"{service}\""));
    let labels: Vec<String> =
        service.into_iter().chain((!more.is_empty()).then(|| more.to_owned())).collect();
    labels.join(",")
}

/// PromQL for bad and all events of an objective over a window.
fn queries(slo: &Slo, window: &str) -> (String, String) {
    let sum = |metric: &str, labels: &str| format!("sum(rate({metric}{{{labels}}}[{window}]))");
    match slo.kind {
        SloKind::Latency => {
            let limit = slo.below.map_or(0.0, |below| below.get().as_secs_f64());
            let all = sum("http_request_duration_seconds_count", &selector(slo, ""));
            // Whole numbers are written both ways, by the version of client or server.
            let le = match limit.fract() {
                0.0 => format!("le=~\"{limit}|{limit}.0\""),
                _ => format!("le=\"{limit}\""),
            };
            let good = sum("http_request_duration_seconds_bucket", &selector(slo, &le));
            (format!("({all} - {good})"), all)
        }
        SloKind::ErrorRate => (
            sum("http_requests_total", &selector(slo, "code=~\"[45]..\"")),
            sum("http_requests_total", &selector(slo, "")),
        ),
        _ => (
            sum("http_requests_total", &selector(slo, "code=~\"5..\"")),
            sum("http_requests_total", &selector(slo, "")),
        ),
    }
}

/// A name as Kubernetes and its like want it.
fn dashed(id: &str) -> String {
    id.replace('_', "-")
}

/// The target as a percentage, without the noise of binary fractions.
fn target_percent(slo: &Slo) -> f64 {
    let percent = (1.0 - slo.allowed_bad().unwrap_or(0.0)) * 100.0;
    (percent * 1e6).round() / 1e6
}

/// A document of serde's as YAML.
fn yaml(value: &serde_json::Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};

    #[test]
    fn rules_can_be_told_apart_and_can_fire() {
        let definitions = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let text = export(&definitions, Format::PrometheusRules);
        let read: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let groups = read["groups"].as_array().expect("groups");
        let rules = |id: &str| {
            let group = groups.iter().find(|group| group["name"] == format!("slo-{id}"));
            group.expect("a group")["rules"].as_array().expect("rules").clone()
        };
        let all: Vec<_> = groups.iter().flat_map(|g| g["rules"].as_array()).flatten().collect();
        let names: std::collections::BTreeSet<String> =
            all.iter().map(|rule| format!("{} {}", rule["alert"], rule["labels"])).collect();
        assert_eq!(names.len(), all.len(), "{text}");
        assert_eq!(rules("availability").len(), 4);
        // A budget of an hour has no rate over a day.
        let [p99] = &rules("p99")[..] else { panic!("one rule: {text}") };
        assert_eq!(p99["alert"], "SloMissed_p99");
        assert!(p99["expr"].as_str().is_some_and(|e| e.ends_with("[1h]))) > 0.010000")), "{p99}");
    }

    #[test]
    fn every_format_is_yaml_and_says_what_it_leaves_out() {
        let definitions = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        for format in Format::ALL {
            let text = export(&definitions, format);
            assert!(text.contains("data_loss") && text.starts_with('#'), "{text}");
            for document in text.split("\n---\n") {
                let read: Result<serde_json::Value, _> = serde_yaml::from_str(document);
                assert!(read.is_ok(), "{}: {document}", format.name());
            }
            // The target, or its burn threshold: 14.4 times half a percent.
            let target = ["99.5", "0.995", "> 0.072"].iter().any(|target| text.contains(target));
            assert!(target, "{text}");
        }
    }
}
