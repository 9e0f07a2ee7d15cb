#!/usr/bin/env bash
# Monitoring on the real thing: installs Prometheus and Alertmanager from Debian's packages, starts them
# on loopback ports of their own, and lets a run of the sandbox be watched by them: promtool accepts the
# shipped rules and what is exported, Prometheus scrapes /metrics, alerts arrive at Alertmanager and are
# resolved, every expression of the dashboards finds something, silences are made and ended, an alert of
# the platform's own is seen to fire in chaos, and an objective is judged over its whole window. Prints what ran and what was skipped; fails when a part that
# can be installed did not run. Leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
work=$(mktemp -d /tmp/shakedown-monitoring.XXXXXX)
log="$work/install.log"
pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ready() { # URL
    for _ in $(seq 100); do
        curl -fs -o /dev/null "$1" && return 0
        sleep 0.1
    done
    return 1
}

missing=()
command -v prometheus >/dev/null || missing+=(prometheus)
command -v prometheus-alertmanager >/dev/null || missing+=(prometheus-alertmanager)
command -v prometheus-node-exporter >/dev/null || missing+=(prometheus-node-exporter)
command -v curl >/dev/null || missing+=(curl)
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "live monitoring: ran: none; skipped: ${missing[*]} (only root can install them)"
        exit 0
    fi
    echo "live monitoring: installing: ${missing[*]}"
    apt-get update -qq >"$log" 2>&1 || true
    # The packages start services of their own; nothing of theirs is wanted here.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.shakedown && chmod +x /usr/sbin/policy-rc.d.shakedown
    had_policy=0
    [ -e /usr/sbin/policy-rc.d ] && had_policy=1 || mv /usr/sbin/policy-rc.d.shakedown /usr/sbin/policy-rc.d
    installed=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1 && installed=1
    [ "$had_policy" -eq 1 ] || rm -f /usr/sbin/policy-rc.d
    rm -f /usr/sbin/policy-rc.d.shakedown
    if [ "$installed" -ne 1 ]; then
        echo "live monitoring: FAILED: ${missing[*]} cannot be installed"
        tail -5 "$log"
        exit 1
    fi
fi

echo "live monitoring: promtool on the shipped rules"
promtool check rules docs/monitoring/prometheus-rules.yaml

export LIVE_METRICS="127.0.0.1:$(free_port)"
prometheus_port=$(free_port)
alertmanager_port=$(free_port)
exporter_port=$(free_port)
export LIVE_PROMETHEUS="http://127.0.0.1:$prometheus_port"
export LIVE_ALERTMANAGER="http://127.0.0.1:$alertmanager_port"
# Where the practice platform is, which the tests start, and the alert that such a platform would have.
export LIVE_TARGETS="$work/platform.json"
echo '[]' >"$LIVE_TARGETS"
# The last run, which is read from a file.
export LIVE_TEXTFILES="$work/textfiles"
mkdir "$LIVE_TEXTFILES"
cat >"$work/platform-rules.yml" <<YAML
groups:
  - name: platform
    rules:
      - alert: ServiceRestarted
        expr: changes(process_start_time_seconds{job="platform"}[1m]) > 0
        labels: { severity: page }
YAML
cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$PWD/docs/monitoring/prometheus-rules.yaml, $work/platform-rules.yml]
alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:$alertmanager_port"] }] }] }
scrape_configs:
  - job_name: shakedown
    static_configs: [{ targets: ["$LIVE_METRICS"] }]
  - job_name: node
    static_configs: [{ targets: ["127.0.0.1:$exporter_port"] }]
  - job_name: platform
    file_sd_configs: [{ files: ["$LIVE_TARGETS"], refresh_interval: 1s }]
YAML
cat >"$work/alertmanager.yml" <<YAML
route: { receiver: none, group_wait: 1s }
receivers: [{ name: none }]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address="127.0.0.1:$prometheus_port" >"$work/prometheus.log" 2>&1 &
pids+=($!)
prometheus-alertmanager --config.file="$work/alertmanager.yml" --storage.path="$work/alerts" \
    --web.listen-address="127.0.0.1:$alertmanager_port" --cluster.listen-address= >"$work/alertmanager.log" 2>&1 &
pids+=($!)
prometheus-node-exporter --web.listen-address="127.0.0.1:$exporter_port" --collector.disable-defaults \
    --collector.textfile --collector.textfile.directory="$LIVE_TEXTFILES" >"$work/exporter.log" 2>&1 &
pids+=($!)
if ! ready "$LIVE_PROMETHEUS/-/ready" || ! ready "$LIVE_ALERTMANAGER/-/ready"; then
    echo "live monitoring: FAILED: the servers do not come up"
    tail -5 "$work"/*.log
    exit 1
fi
# A test that was built before needs no lock of cargo's, which may be somebody else's for minutes.
if [ -n "${MONITORING_TEST:-}" ]; then
    timeout 900 "$MONITORING_TEST" --ignored --test-threads 1
else
    timeout 900 cargo test --locked --test live_monitoring -- --ignored --test-threads 1
fi
echo "live monitoring: ran: promtool, prometheus, alertmanager, node_exporter; skipped: grafana (no package)"
