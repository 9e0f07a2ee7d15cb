//! What an inspection of a container means.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::chaos::runtime::Instance;

/// The name of a container without its slash.
pub fn name_of(inspected: &Value) -> String {
    let name = inspected.pointer("/Name").and_then(Value::as_str).unwrap_or_default();
    name.trim_start_matches('/').to_owned()
}

/// A container as it is at this moment of its engine's clock.
pub fn instance(inspected: &Value, now: Timestamp) -> Instance {
    let state = |field: &str| inspected.pointer(&format!("/State/{field}"));
    let running = state("Running").and_then(Value::as_bool) == Some(true);
    let started = state("StartedAt").and_then(Value::as_str).unwrap_or_default().to_owned();
    let since = started.parse::<Timestamp>().ok();
    let uptime = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
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
        gone: false,
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

/// Why a container is not killed whose network namespace these others use: it gets a new one when it is
/// started again, and they are left in the old one, which leads nowhere.
pub fn stranding(lodgers: &[String]) -> Option<String> {
    let names = lodgers.join(", ");
    (!lodgers.is_empty()).then(|| {
        format!("its network namespace is used by {names}, which would be left without a network")
    })
}

/// Why a container cannot be cut off by itself: its network namespace is not its own.
pub fn no_own_network(inspected: &Value) -> Option<String> {
    let mode = inspected.pointer("/HostConfig/NetworkMode").and_then(Value::as_str);
    let mode = mode.unwrap_or_default();
    (mode == "host" || mode.starts_with("container:"))
        .then(|| format!("it has no network namespace of its own (network mode {mode})"))
}

/// TCP ports on which it may be listening.
pub fn tcp_ports(inspected: &Value) -> Vec<u16> {
    let exposed = inspected.pointer("/Config/ExposedPorts").and_then(Value::as_object);
    let keys = exposed.into_iter().flat_map(|ports| ports.keys());
    keys.filter_map(|key| key.strip_suffix("/tcp")?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_is_as_old_as_its_engines_clock_says() {
        let inspected = json!({ "State": { "Running": true, "Pid": 7, "StartedAt":
            "2026-11-24T10:00:00Z", "Health": { "Status": "starting" } }, "RestartCount": 2 });
        let now = "2026-11-24T10:00:30Z".parse().expect("time");
        let found = instance(&inspected, now);
        assert_eq!((found.pid, found.restarts, found.healthy), (Some(7), 2, Some(false)));
        assert_eq!(found.uptime, Duration::from_secs(30));
    }

    #[test]
    fn policies_are_told_apart() {
        let policy = |name: &str, most: u64, used: u64| {
            no_restart(&json!({ "RestartCount": used, "HostConfig": { "RestartPolicy":
                { "Name": name, "MaximumRetryCount": most } } }))
        };
        assert_eq!(policy("always", 0, 9), None);
        assert_eq!(policy("unless-stopped", 0, 9), None);
        assert_eq!(policy("on-failure", 0, 9), None);
        assert_eq!(policy("on-failure", 3, 2), None);
        assert!(policy("on-failure", 3, 3).is_some() && policy("no", 0, 0).is_some());
    }

    #[test]
    fn a_network_of_its_own_is_told_from_another_ones() {
        let mode = |mode: &str| json!({ "HostConfig": { "NetworkMode": mode } });
        assert_eq!(no_own_network(&mode("bridge")), None);
        assert!(no_own_network(&mode("host")).is_some());
        assert!(no_own_network(&mode("container:abc")).is_some());
        let exposed = json!({ "Config": { "ExposedPorts": { "80/tcp": {}, "53/udp": {} } } });
        assert_eq!(tcp_ports(&exposed), [80]);
    }
}
