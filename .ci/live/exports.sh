#!/usr/bin/env bash
# What others are to read, read by their own programs: the Grafana dashboards by the types that Grafana
# publishes (built from the Go module proxy), `slo export --format sloth` by Sloth where that is on the
# PATH, and the Prometheus rules that Sloth makes of it by promtool; the JUnit report by the schema that
# Jenkins holds such files to, which the sources of pytest bring along (PyPI). Prints what ran and what did not;
# fails when a part that can be had refuses what it is given.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
work=$(mktemp -d /tmp/shakedown-exports.XXXXXX)
trap 'rm -rf "$work"' EXIT
ran=() skipped=()
# As the tests build it: a plain build has other features, and compiles hundreds of dependencies anew.
cargo test --quiet --locked --test schemas --no-run
program="$CARGO_TARGET_DIR/debug/shakedown"
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
    "$program" slo export --format sloth >"$work/sloth.yml"
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
# The schema, out of sources that are what they were; nothing is kept of it here.
schema="$HOME/.cache/shakedown-ci/junit-10.xsd"
sources=https://files.pythonhosted.org/packages/a3/5c/00a0e072241553e1a7496d638deababa67c5058571567b92a7eaa258397c/pytest-8.4.2.tar.gz
digest=86c0d0b93306b961d58d62a4db4879f27fe25513d4b969df351abdddb3c30e01
if [ ! -e "$schema" ] && curl -sSfL -m 60 -o "$work/sources.tar.gz" "$sources" 2>/dev/null; then
    sha256sum --quiet --check <<<"$digest  $work/sources.tar.gz" || refused "PyPI gives other sources than it did"
    tar -xzf "$work/sources.tar.gz" -C "$work" --strip-components=3 pytest-8.4.2/testing/example_scripts/junit-10.xsd
    mkdir -p "$(dirname "$schema")"
    mv "$work/junit-10.xsd" "$schema"
fi
if ! command -v xmllint >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libxml2-utils >/dev/null 2>&1 || true
fi
if ! command -v xmllint >/dev/null; then
    skipped+=("JUnit by its schema (no xmllint)")
elif [ ! -e "$schema" ]; then
    skipped+=("JUnit by its schema (PyPI does not give it)")
else
    (
        cd "$work"
        export XDG_STATE_HOME="$work/state"
        # Cases that pass, are skipped and (where the machine is not too busy to say) fail: no median is below a microsecond.
        "$program" locust --headless --set phases.full.mixed=5s \
            --set 'workloads.mixed.thresholds={response_time: [p(50)<0.001]}' >run.log 2>&1 || true
        "$program" report --format junit >report.xml 2>>run.log || true
    )
    grep -q "<skipped " "$work/report.xml" || { cat "$work/run.log"; refused "there is no JUnit report of a run"; }
    xmllint --noout --schema "$schema" "$work/report.xml" || refused "the JUnit report is not by its schema"
    ! sed 's/ tests="/ tested="/' "$work/report.xml" | xmllint --noout --schema "$schema" - 2>/dev/null ||
        refused "a JUnit report that is wrong passes"
    ran+=("JUnit by the schema of Jenkins")
fi
skipped+=("openslo and pyrra (their programs are in no registry)")
join() { local IFS=';'; echo "$*"; }
echo "live exports: ran: $(join "${ran[@]:-none}"); skipped: $(join "${skipped[@]}")"
