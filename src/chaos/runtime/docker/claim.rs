//! A lease on an engine, by a labelled volume: whoever made it has the engine to himself, from
//! whatever directory or machine, until it is given back or has expired by the engine's own clock.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;

use super::engine::{Engine, failed};
use super::image;
use crate::chaos::runtime::RuntimeError;
use crate::platform::docker::is_absent;
use crate::platform::text::excerpt;
use crate::run::event::host_name;

/// Nobody else's volume has this name.
const VOLUME: &str = "shakedown-lease";
const RUN: &str = "shakedown.run";
const OWNER: &str = "shakedown.owner";
const EXPIRES: &str = "shakedown.expires";

/// Takes an engine for a run, for no longer than this; a lease of its own that is half spent is renewed.
///
/// # Errors
/// When another run has it.
pub async fn take(engine: &Engine, run_id: &str, length: Duration) -> Result<(), RuntimeError> {
    for _ in 0..2 {
        let expires = engine.now().as_second().saturating_add_unsigned(length.as_secs());
        let labels = [(RUN, run_id.to_owned()), (OWNER, owner()), (EXPIRES, expires.to_string())];
        let request = VolumeCreateRequest {
            name: Some(VOLUME.into()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            ..VolumeCreateRequest::default()
        };
        // Of two who ask, the second is given what the first made.
        let volume = engine.docker.create_volume(request).await.map_err(failed)?;
        match standing(&volume.labels, run_id, engine.now().as_second(), length) {
            Standing::Ours => return Ok(()),
            Standing::Over => remove(engine).await?,
            Standing::Taken(by) => {
                let url = &engine.address.url;
                return Err(RuntimeError::new(format!(
                    "the Docker engine at {url} is being broken by {by}: abort that run, or, if it \
                     is dead, `shakedown recover` on its machine"
                )));
            }
        }
    }
    Err(RuntimeError::new("another run took the Docker engine at the same moment"))
}

/// Gives an engine back: its lease, and the helper image. One that another run has is left alone.
///
/// # Errors
/// When the engine does not answer, or keeps something.
pub async fn give_back(engine: &Engine, run_id: &str) -> Result<(), RuntimeError> {
    match holder(engine).await? {
        Some(other) if other != run_id => Ok(()),
        held => {
            // Also without a lease: an import may come to be after its owner and the lease are gone.
            image::remove(engine).await?;
            if held.is_some() { remove(engine).await } else { Ok(()) }
        }
    }
}

/// What a run has of an engine, in words: its lease, and the helper image unless it is another run's.
///
/// # Errors
/// When the engine does not answer.
pub async fn kept(engine: &Engine, run_id: &str) -> Result<Vec<String>, RuntimeError> {
    match holder(engine).await? {
        Some(other) if other != run_id => Ok(Vec::new()),
        held => {
            let mut kept = image::names(engine).await?;
            kept.extend(held.map(|_| "the lease on the Docker engine".to_owned()));
            Ok(kept)
        }
    }
}

/// The run that has the engine, if one has.
async fn holder(engine: &Engine) -> Result<Option<String>, RuntimeError> {
    match engine.docker.inspect_volume(VOLUME).await {
        Ok(volume) => Ok(Some(volume.labels.get(RUN).cloned().unwrap_or_default())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn remove(engine: &Engine) -> Result<(), RuntimeError> {
    match engine.docker.remove_volume(VOLUME, None::<RemoveVolumeOptions>).await {
        Err(error) if !is_absent(&error) => Err(failed(error)),
        _ => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Ours,
    Over,
    Taken(String),
}

/// A lease that says nothing of its end has one that is not known: it is respected. One's own is over when
/// less than half of its length is left.
fn standing(
    labels: &HashMap<String, String>,
    run_id: &str,
    now: i64,
    length: Duration,
) -> Standing {
    let label = |key: &str| labels.get(key).map(|value| excerpt(value));
    let run = label(RUN).unwrap_or_else(|| "?".into());
    let expires = label(EXPIRES).and_then(|text| text.parse::<i64>().ok());
    let left = expires.map(|expires| expires.saturating_sub(now));
    let needed = if run == run_id { length.as_secs() as i64 / 2 } else { 0 };
    match left {
        Some(left) if left <= needed => Standing::Over,
        _ if run == run_id => Standing::Ours,
        left => {
            let owner = label(OWNER).unwrap_or_else(|| "?".into());
            let left = left.map(|left| format!(", for {left} s at most"));
            Standing::Taken(format!("run {run} of {owner}{}", left.unwrap_or_default()))
        }
    }
}

fn owner() -> String {
    format!("{} (process {})", host_name(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_its_end_by_the_engines_clock() {
        let labels: HashMap<String, String> = [(RUN, "r1"), (OWNER, "bastion"), (EXPIRES, "1000")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let standing = |run_id, now| standing(&labels, run_id, now, Duration::from_secs(400));
        assert_eq!(standing("r1", 700), Standing::Ours);
        assert_eq!(standing("r1", 800), Standing::Over, "half of it is spent");
        assert_eq!(standing("r2", 1000), Standing::Over);
        let taken = standing("r2", 900);
        assert!(matches!(&taken, Standing::Taken(by) if by.contains("r1 of bastion, for 100 s")));
        let endless = super::standing(&HashMap::new(), "r2", 9, Duration::ZERO);
        assert!(matches!(endless, Standing::Taken(_)));
    }
}
