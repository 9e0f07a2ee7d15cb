#!/usr/bin/env bash
# What others are to read, read by their own programs: the Grafana dashboards by the types that Grafana
# publishes (built from the Go module proxy), `slo export --format sloth` by Sloth where that is on the
# PATH, and the Prometheus rules that Sloth makes of it by promtool. Prints what ran and what did not;
# fails when a part that can be had refuses what it is given.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
work=$(mktemp -d /tmp/shakedown-exports.XXXXXX)
trap 'rm -rf "$work"' EXIT
ran=() skipped=()
refused() { # WHAT
    echo "live exports: FAILED: $1"
    exit 1
}

checker="$HOME/.cache/shakedown-ci/dashboards"
if ! command -v go >/dev/null; then
    skipped+=("dashboards by Grafana's types (no Go here)")
elif ! (cd .ci/live/dashboards && GOFLAGS=-mod=readonly timeout 600 go build -o "$checker" .) >"$work/go.log" 2>&1; then
    if grep -qiE 'proxy|dial|lookup|connect|forbidden|toolchain' "$work/go.log"; then
        skipped+=("dashboards by Grafana's types ($(tail -1 "$work/go.log" | cut -c1-120))")
    else
        cat "$work/go.log"
        refused "the reader of dashboards does not build"
    fi
else
    # What sees nothing wrong can see: a kind of value that no panel takes.
    sed 's/"w": 4/"w": "wide"/' docs/monitoring/grafana-run.json >"$work/wrong.json"
    ! "$checker" "$work/wrong.json" >/dev/null || refused "a dashboard that is wrong passes"
    "$checker" docs/monitoring/grafana-*.json || refused "Grafana's types do not take a dashboard"
    ran+=("dashboards by Grafana's types")
fi

if ! command -v sloth >/dev/null; then
    skipped+=("sloth (not on the PATH: go install github.com/slok/sloth/cmd/sloth@v0.16.0)")
else
    cargo run --quiet --locked -- slo export --format sloth >"$work/sloth.yml"
    sloth validate --input "$work/sloth.yml" >"$work/sloth.log" 2>&1 || {
        cat "$work/sloth.log"
        refused "sloth does not take its own format"
    }
    sloth generate --input "$work/sloth.yml" --out "$work/rules.yml" >"$work/sloth.log" 2>&1 || {
        cat "$work/sloth.log"
        refused "sloth makes no rules of it"
    }
    ran+=("sloth validate and generate")
    if command -v promtool >/dev/null; then
        promtool check rules "$work/rules.yml" || refused "promtool does not take what sloth made"
        ran+=("promtool on sloth's rules")
    else
        skipped+=("promtool on sloth's rules (no promtool)")
    fi
fi
skipped+=("openslo and pyrra (their programs are in no registry)")
join() { local IFS=';'; echo "$*"; }
echo "live exports: ran: $(join "${ran[@]:-none}"); skipped: $(join "${skipped[@]}")"
