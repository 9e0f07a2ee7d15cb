//! Faults that can be turned on in a running service, by `POST /sandbox/knobs`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What can be turned; a field that is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Factor on every latency, 0-1000.
    pub latency_scale: Option<f64>,
    /// Share of requests answered with 503, 0-1.
    pub error_rate: Option<f64>,
    /// From now on, nothing is answered for so many milliseconds (at most ten minutes).
    pub freeze_ms: Option<u64>,
    /// Bearer token that requests must carry; empty for none.
    pub auth_token: Option<String>,
}

/// The knobs of one service.
#[derive(Debug)]
pub struct Knobs(Mutex<Turned>);

#[derive(Clone, Debug)]
struct Turned {
    latency_scale: f64,
    error_rate: f64,
    frozen_until: Option<Instant>,
    auth_token: String,
}

impl Knobs {
    /// A healthy service with this factor on its latencies.
    pub fn new(latency_scale: f64) -> Self {
        Self(Mutex::new(Turned {
            latency_scale,
            error_rate: 0.0,
            frozen_until: None,
            auth_token: String::new(),
        }))
    }

    /// Turns what is set.
    ///
    /// # Errors
    /// In words, when a value is out of its range; nothing is turned then.
    pub fn turn(&self, settings: &Settings) -> Result<(), String> {
        let within = |value: Option<f64>, max: f64| value.is_none_or(|v| (0.0..=max).contains(&v));
        if !within(settings.latency_scale, 1000.0) {
            return Err("latency_scale: expected 0 to 1000".into());
        }
        if !within(settings.error_rate, 1.0) {
            return Err("error_rate: expected 0 to 1".into());
        }
        if settings.freeze_ms.is_some_and(|ms| ms > 600_000) {
            return Err("freeze_ms: expected at most 600000".into());
        }
        let mut turned = self.lock();
        if let Some(scale) = settings.latency_scale {
            turned.latency_scale = scale;
        }
        if let Some(rate) = settings.error_rate {
            turned.error_rate = rate;
        }
        if let Some(ms) = settings.freeze_ms {
            turned.frozen_until = Some(Instant::now() + Duration::from_millis(ms));
        }
        if let Some(token) = &settings.auth_token {
            turned.auth_token.clone_from(token);
        }
        Ok(())
    }

    /// How they are turned; the token itself is not told.
    pub fn settings(&self) -> Settings {
        let turned = self.lock();
        let left = turned.frozen_until.map(|until| until.saturating_duration_since(Instant::now()));
        Settings {
            latency_scale: Some(turned.latency_scale),
            error_rate: Some(turned.error_rate),
            freeze_ms: left.map(|left| left.as_millis() as u64),
            auth_token: (!turned.auth_token.is_empty()).then(|| "***".into()),
        }
    }

    /// Factor on every latency.
    pub fn latency_scale(&self) -> f64 {
        self.lock().latency_scale
    }

    /// Share of requests to be answered with 503.
    pub fn error_rate(&self) -> f64 {
        self.lock().error_rate
    }

    /// When the freeze ends, if there is one.
    pub fn frozen_until(&self) -> Option<Instant> {
        self.lock().frozen_until
    }

    /// Whether a request with this Authorization header may come in.
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        let turned = self.lock();
        turned.auth_token.is_empty()
            || authorization.and_then(|value| value.strip_prefix("Bearer "))
                == Some(turned.auth_token.as_str())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_turn_nothing() {
        let knobs = Knobs::new(1.0);
        let wrong =
            Settings { latency_scale: Some(2.0), error_rate: Some(1.5), ..Settings::default() };
        assert!(knobs.turn(&wrong).is_err());
        assert_eq!(knobs.latency_scale(), 1.0);
    }

    #[test]
    fn a_token_admits_its_bearer_only() {
        let knobs = Knobs::new(1.0);
        assert!(knobs.admits(None));
        let token = Settings { auth_token: Some("s3".into()), ..Settings::default() };
        knobs.turn(&token).expect("valid");
        assert!(!knobs.admits(None) && !knobs.admits(Some("Bearer x")));
        assert!(knobs.admits(Some("Bearer s3")));
        assert_eq!(knobs.settings().auth_token.as_deref(), Some("***"));
    }
}
