//! Prometheus' HTTP API: a question, and the values of its answer.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;

use crate::config::{PrometheusSource, Secret};
use crate::platform::client;
use crate::platform::text::{excerpt, with_causes};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A Prometheus server that can be asked.
pub(super) struct Prometheus {
    client: Client,
    url: String,
    bearer: Option<Secret>,
    pub(super) source: PrometheusSource,
}

/// Why it could not be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
#[error("Prometheus: {0}")]
pub(super) struct PrometheusError(pub(super) String);

/// A value, and the upper bound of the bucket that it belongs to, where it is of a histogram.
pub(super) struct Value {
    pub(super) le: Option<f64>,
    pub(super) value: f64,
}

impl Prometheus {
    /// Makes ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// When its token cannot be read.
    pub(super) fn new(source: &PrometheusSource) -> Result<Self, PrometheusError> {
        let wrong = |error: &dyn std::fmt::Display| PrometheusError(error.to_string());
        let client = client::anywhere().timeout(PATIENCE).build();
        let bearer = source.bearer.as_ref().map(crate::config::SecretSource::read).transpose();
        Ok(Self {
            client: client.map_err(|error| wrong(&error))?,
            url: format!("{}/api/v1/query", source.url.trim_end_matches('/')),
            bearer: bearer.map_err(|error| wrong(&error))?,
            source: source.clone(),
        })
    }

    /// The values of an expression.
    pub(super) async fn query(&self, query: &str) -> Result<Vec<Value>, PrometheusError> {
        let wrong =
            |error: reqwest::Error| PrometheusError(excerpt(&with_causes(&error.without_url())));
        let mut request = self.client.post(&self.url).form(&[("query", query)]);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        let mut response = request.send().await.map_err(wrong)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(wrong)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(PrometheusError("its answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        read(&body).unwrap_or_else(|| {
            let status = status.as_u16();
            Err(PrometheusError(format!("status {status}, and no JSON of its API")))
        })
    }
}

/// What an answer says; none when it is none of the API.
pub(super) fn read(body: &[u8]) -> Option<Result<Vec<Value>, PrometheusError>> {
    serde_json::from_slice(body).ok().map(values)
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: std::collections::BTreeMap<String, String>,
    value: (f64, String),
}

fn values(answer: Answer) -> Result<Vec<Value>, PrometheusError> {
    if answer.status != "success" {
        return Err(PrometheusError(excerpt(&answer.error)));
    }
    let series = answer.data.result.into_iter();
    let value = |series: Series| {
        let le = series.metric.get("le").and_then(|le| number(le));
        number(&series.value.1).filter(|value| value.is_finite()).map(|value| Value { le, value })
    };
    Ok(series.filter_map(value).collect())
}

/// Samples are strings, with `NaN` and `+Inf` among them.
pub(super) fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_are_no_numbers_are_no_data() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"le":"+Inf"},"value":[1.5,"7"]},{"metric":{},"value":[1.5,"NaN"]}]}}"#;
        let read = values(serde_json::from_str(text).expect("JSON")).expect("success");
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].le, read[0].value), (Some(f64::INFINITY), 7.0));
        let error = serde_json::from_str(
            r#"{"status":"error","errorType":"bad_data","error":"parse\u001b[2J"}"#,
        );
        let error = values(error.expect("JSON")).err().expect("refused").to_string();
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}
