//! No credentials, and such as are malformed, foreign or of another kind.

use reqwest::header::AUTHORIZATION;

use super::Attack;
use crate::run::event::Finding;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::BYPASS;

/// What is sent in the place of a bearer token.
const BEARERS: [(&str, &str); 9] = [
    ("an empty authorization", ""),
    ("an empty bearer token", "Bearer "),
    ("a foreign bearer token", "Bearer shakedown-is-not-known-here"),
    ("the bearer token null", "Bearer null"),
    ("the bearer token undefined", "Bearer undefined"),
    ("the bearer token true", "Bearer true"),
    ("a foreign token of another scheme", "Token shakedown-is-not-known-here"),
    ("a foreign user", "Basic c2hha2Vkb3duOnNoYWtlZG93bg=="),
    ("the user admin", "Basic YWRtaW46YWRtaW4="),
];
/// What is sent in the place of a key in a header of its own.
const KEYS: [(&str, &str); 5] = [
    ("an empty key", ""),
    ("a foreign key", "shakedown-is-not-known-here"),
    ("the key null", "null"),
    ("the key undefined", "undefined"),
    ("the key test", "test"),
];

impl Attack<'_> {
    /// Every way of not having the right credentials. The first that is let in tells enough.
    pub async fn wrong_credentials(&self) -> Result<Option<Finding>, ProbeError> {
        let name = self.context.prober.credentials(self.operation.request.service);
        let name = name.map_or(AUTHORIZATION, |(name, _)| name);
        let values: &[(&str, &str)] = if name == AUTHORIZATION { &BEARERS } else { &KEYS };
        let attempts =
            values.iter().map(|(words, value)| (*words, self.bare().with(name.as_str(), value)));
        let attempts: Vec<(&str, Request)> =
            [("no credentials", self.bare())].into_iter().chain(attempts).collect();
        for (words, request) in attempts {
            if let Some(answer) = self.gets_in(&request).await? {
                let title = format!("answered with {words}");
                return Ok(Some(self.finding(&BYPASS, words, title, &request, &answer)));
            }
        }
        Ok(None)
    }
}
