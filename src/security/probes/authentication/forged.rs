//! Forged tokens, where the credentials are a JSON web token.

use super::Attack;
use super::jwt::Token;
use crate::config::ServiceKind;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::ProbeError;
use crate::security::rules::{EXPIRED, UNSIGNED, WEAK_KEY};

/// How long ago a token is made to have expired.
const AN_HOUR: i64 = 3600;

impl Attack<'_> {
    /// Forgeries by none, stripped and ignored signatures, keys that can be guessed, and time.
    pub async fn forged_tokens(&self) -> Result<Vec<Finding>, ProbeError> {
        let service = self.operation.request.service;
        let Some((name, value)) = self.context.prober.credentials(service) else {
            return Ok(Vec::new());
        };
        let (scheme, text) = value.rsplit_once(' ').unwrap_or(("", &value));
        let Some(token) = Token::parse(text) else { return Ok(Vec::new()) };
        let with = |text: &str| {
            let value =
                if scheme.is_empty() { text.to_owned() } else { format!("{scheme} {text}") };
            self.bare().with(name.as_str(), &value)
        };
        let mut findings = Vec::new();
        for (words, forged) in token.forgeries() {
            let request = with(&forged);
            if let Some(answer) = self.gets_in(&request).await? {
                let title = format!("answered with {words}");
                findings.push(self.finding(&UNSIGNED, words, title, &request, &answer));
                // Who takes one takes most of them.
                break;
            }
        }
        let now = jiff::Timestamp::now().as_second();
        if let Some(key) = token.weak_key(text) {
            let expired = token.signed(key.as_bytes(), |claims| {
                claims.insert("exp".into(), (now - AN_HOUR).into());
            });
            if let Some(expired) = expired {
                let request = with(&expired);
                if let Some(answer) = self.gets_in(&request).await? {
                    let title = "answered with a token that has expired".to_owned();
                    findings.push(self.finding(&EXPIRED, "exp", title, &request, &answer));
                }
            }
        } else if token.expires().is_some_and(|at| at < now - AN_HOUR) {
            // The configured token itself is out of date, and is taken.
            let request = self.operation.request.clone();
            if let Some(answer) = self.gets_in(&request).await? {
                let title = "answered with a token that has expired".to_owned();
                findings.push(self.finding(&EXPIRED, "exp", title, &request, &answer));
            }
        }
        Ok(findings)
    }
}

/// Whether the configured credentials are a token whose key can be guessed. Worked out here: nothing has
/// to be asked.
pub fn weak_key(service: ServiceKind, credentials: &str) -> Option<Finding> {
    let text = credentials.rsplit(' ').next().unwrap_or_default();
    let key = Token::parse(text)?.weak_key(text)?;
    let mut finding = WEAK_KEY.finding(Severity::Critical, service.name(), Some("signing key"));
    finding.title = "tokens are signed with a key that can be guessed".into();
    finding.confidence = Confidence::Confirmed;
    finding.evidence = format!(
        "the signature of the configured token is that of one of the keys everybody tries ({} \
         characters)",
        key.chars().count()
    );
    Some(finding)
}
