//! File upload: where a service's description has none there is nothing to test; a service without a
//! description is not known to have none.

use super::Outcome;
use crate::security::prober::{ProbeError, Prober, Question};

/// Looks for uploads in what the services say of themselves.
pub async fn probe(prober: &Prober) -> Result<Outcome, ProbeError> {
    let mut described = 0;
    for service in prober.services() {
        let answer = prober.ask(&Question::get(service, "/openapi.json")).await?;
        if !answer.is_success() {
            continue;
        }
        described += 1;
        if answer.body.contains("multipart/form-data") {
            let why = format!("{service} takes uploads: this version has no attacks for them yet");
            return Ok(Outcome::not_tested(why));
        }
    }
    if described < prober.services().count() {
        let why = "not every service describes itself (openapi.json): uploads are not known";
        return Ok(Outcome::not_tested(why));
    }
    Ok(Outcome::not_applicable(format!("none of {described} services describes an upload")))
}
