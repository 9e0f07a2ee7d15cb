//! Definitions for other tools: one file a format. What a format cannot express is left out, with a
//! comment that says so.

mod openslo;
mod prometheus;
mod pyrra;
mod queries;
mod sloth;

use crate::config::{Slo, SloDefinitions};

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
    let (slos, left_out): (Vec<&Slo>, Vec<&Slo>) =
        definitions.slos.iter().partition(|slo| expressible(slo, format));
    let body = match format {
        Format::OpenSlo => openslo::write(&slos, definitions),
        Format::Sloth => sloth::write(&slos, definitions),
        Format::Pyrra => pyrra::write(&slos, definitions),
        Format::PrometheusRules => prometheus::write(&slos, definitions),
    };
    let left_out: Vec<&str> = left_out.iter().map(|slo| slo.id.as_str()).collect();
    let mut text = String::from("# Written by shakedown slo export.\n");
    if !left_out.is_empty() {
        text += &format!("# Not expressible in this format: {}.\n", left_out.join(", "));
    }
    text + &body
}

/// Whether an objective is a ratio of events that a Prometheus counts. Pyrra has metrics where others
/// have queries.
fn expressible(slo: &Slo, format: Format) -> bool {
    let counted = match &slo.prometheus {
        Some(_) => format != Format::Pyrra || queries::buckets(slo).is_some(),
        None => slo.store.is_none(),
    };
    counted && slo.allowed_bad().is_some_and(|share| share > 0.0)
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
    use crate::config::{LoadedSlos, PrometheusSli, SHIPPED_SLOS};

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

    #[test]
    fn an_objective_of_a_step_is_not_that_of_its_service() {
        let definitions = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        for format in Format::ALL {
            let text = export(&definitions, format).replace('\\', "");
            for step in ["query", "ingest"] {
                let labels = format!("service=\"rag\",step=~\"{step}.*\"");
                assert!(text.contains(&labels), "{}: {text}", format.name());
            }
        }
    }

    #[test]
    fn what_says_itself_how_it_is_measured_is_measured_so() {
        let mut definitions =
            LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        definitions.slos.retain(|slo| ["availability", "postgres_p99"].contains(&slo.id.as_str()));
        let sli = |good: Option<&str>, buckets: Option<&str>| PrometheusSli {
            good: good.map(Into::into),
            total: good.map(|_| "sum(increase(all[{{window}}]))".into()),
            buckets: buckets.map(Into::into),
        };
        definitions.slos[0].prometheus = Some(sli(Some("sum(increase(fine[{{window}}]))"), None));
        definitions.slos[1].prometheus = Some(sli(None, Some("pg_bucket{db=\"app\"}")));
        let written = Format::ALL.map(|format| export(&definitions, format));
        for (text, format) in written.iter().zip(Format::ALL) {
            assert!(!text.contains("http_request"), "{text}");
            let text = text.replace('\\', "");
            assert!(text.contains("pg_bucket{db=\"app\",le=\"0.1\"}"), "{text}");
            let left_out = text.contains("in this format: availability.");
            assert_eq!(left_out, format == Format::Pyrra, "{text}");
        }
        let sloth = &written[1];
        assert!(sloth.contains("increase(fine[{{.window}}])"), "{sloth}");
        let rules = &written[3];
        assert!(rules.contains("increase(all[1h])") && !rules.contains("{{window}}"), "{rules}");
    }
}
