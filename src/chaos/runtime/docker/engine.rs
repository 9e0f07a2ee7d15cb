//! What is asked of the Docker engine, and what its answers mean.

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{InspectContainerOptions, StartContainerOptions};
use jiff::Timestamp;
use serde_json::Value;

use crate::chaos::runtime::{Instance, RuntimeError};

/// How long the engine may take to answer.
const PATIENCE_SECONDS: u64 = 20;

/// The name of a container without its slash.
pub fn name_of(inspected: &Value) -> String {
    let name = inspected.pointer("/Name").and_then(Value::as_str).unwrap_or_default();
    name.trim_start_matches('/').to_owned()
}

/// A container as it is now.
pub fn instance(inspected: &Value) -> Instance {
    let state = |field: &str| inspected.pointer(&format!("/State/{field}"));
    let running = state("Running").and_then(Value::as_bool) == Some(true);
    let started = state("StartedAt").and_then(Value::as_str).unwrap_or_default().to_owned();
    let since = started.parse::<Timestamp>().ok();
    let uptime =
        since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since)).ok());
    let health = inspected.pointer("/State/Health/Status").and_then(Value::as_str);
    Instance {
        pid: state("Pid")
            .and_then(Value::as_u64)
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| running && *pid > 0),
        started,
        uptime: uptime.unwrap_or_default(),
        restarts: inspected.pointer("/RestartCount").and_then(Value::as_u64).unwrap_or(0),
        healthy: health.filter(|health| *health != "none").map(|health| health == "healthy"),
    }
}

/// Why a container that is no store is left alone all the same.
pub fn unsuitable(inspected: &Value, instance: &Instance) -> Option<String> {
    let state = inspected.pointer("/State/Status").and_then(Value::as_str).unwrap_or_default();
    if state != "running" {
        return Some(format!("it is {state}"));
    }
    if instance.healthy == Some(false) {
        return Some("its own health check does not pass".into());
    }
    let removed = inspected.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool);
    (removed == Some(true)).then(|| "it would be removed when it ends (--rm)".into())
}

/// Why a container's restart policy would not bring it back after a SIGKILL.
pub fn no_restart(inspected: &Value) -> Option<String> {
    let policy = inspected.pointer("/HostConfig/RestartPolicy/Name").and_then(Value::as_str);
    match policy.unwrap_or_default() {
        "always" | "unless-stopped" => None,
        "on-failure" => {
            let most = inspected.pointer("/HostConfig/RestartPolicy/MaximumRetryCount");
            let most = most.and_then(Value::as_u64).unwrap_or(0);
            let used = inspected.pointer("/RestartCount").and_then(Value::as_u64).unwrap_or(0);
            (most > 0 && used >= most).then(|| "its restart policy has no tries left".into())
        }
        _ => Some("it has no restart policy: nothing would bring it back".into()),
    }
}

/// Connects to an engine on this machine.
///
/// # Errors
/// When it is elsewhere, or does not answer.
pub async fn connect(host: &str) -> Result<Docker, RuntimeError> {
    let version = bollard::API_DEFAULT_VERSION;
    let docker = match host.split_once("://") {
        Some(("unix", _)) => Docker::connect_with_unix(host, PATIENCE_SECONDS, version),
        Some((scheme, _)) => {
            return Err(RuntimeError::new(format!(
                "Docker engine {host}: only engines on this machine (unix://) can be used, not \
                 {scheme}://"
            )));
        }
        None => {
            return Err(RuntimeError::new(format!("Docker engine {host}: expected unix:///...")));
        }
    };
    let docker = docker.map_err(failed)?;
    docker.negotiate_version().await.map_err(|error| {
        RuntimeError::new(format!("no Docker engine answers at {host}: {}", describe(&error)))
    })
}

/// Everything that the engine says of a container.
///
/// # Errors
/// When it says nothing.
pub async fn inspect(docker: &Docker, id: &str) -> Result<Value, RuntimeError> {
    let inspected = docker.inspect_container(id, None::<InspectContainerOptions>).await;
    serde_json::to_value(inspected.map_err(failed)?).map_err(|e| RuntimeError::new(e.to_string()))
}

/// The engine's error in words.
pub fn failed(error: bollard::errors::Error) -> RuntimeError {
    RuntimeError::new(format!("Docker engine: {}", describe(&error)))
}

fn describe(error: &bollard::errors::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    crate::platform::text::excerpt(&reason.to_string())
}

/// Starts a container that is not running. One that is gone needs nothing.
///
/// # Errors
/// When it is there and does not start.
pub async fn start(host: &str, container: &str) -> Result<(), RuntimeError> {
    let docker = connect(host).await?;
    match is_down(&docker, container).await? {
        true => {
            let started = docker.start_container(container, None::<StartContainerOptions>).await;
            started.map_err(failed)
        }
        false => Ok(()),
    }
}

/// Says so if a container is not running.
pub async fn still_down(host: &str, container: &str) -> Vec<String> {
    let down = match connect(host).await {
        Ok(docker) => is_down(&docker, container).await,
        Err(error) => Err(error),
    };
    match down {
        Ok(false) => Vec::new(),
        Ok(true) => vec![format!("container {container} is down")],
        Err(error) => vec![format!("container {container} cannot be looked at: {error}")],
    }
}

async fn is_down(docker: &Docker, container: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_container(container, None::<InspectContainerOptions>).await {
        Ok(inspected) => {
            let state = inspected.state.unwrap_or_default();
            Ok(state.running != Some(true) && state.restarting != Some(true))
        }
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}
