#!/usr/bin/env bash
# The HTML report in a real browser: no message on its console, no request to anywhere. Installs
# Chromium where it is missing; with SHAKEDOWN_PICTURES=DIR keeps pictures of the report there.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"
work=$(mktemp -d /tmp/shakedown-html.XXXXXX)
trap 'rm -rf "$work"' EXIT

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ] && [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >"$work/apt.log" 2>&1 || true
    browser=$(command -v chromium || true)
fi
if [ -z "$browser" ]; then
    echo "html report in a browser: skipped, no Chromium here and none can be installed"
    exit 0
fi

cargo build --locked --quiet
program="$CARGO_TARGET_DIR/debug/shakedown"
export XDG_STATE_HOME="$work/state"
(cd "$work" && "$program" run --headless --only mixed,chaos --seed 7 \
    --set phases.full.mixed=5s --set chaos.experiments='[kill]' >"$work/run.log" 2>&1) || true
report=$(ls "$work"/runs/*/report.html)
view() { # NAME, more flags: opens the report
    local name=$1
    shift
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-sync \
        --disable-background-networking --disable-component-update --user-data-dir="$work/profile-$name" \
        --enable-logging=stderr --log-net-log="$work/net-$name.json" "$@" "file://$report" \
        >"$work/out-$name" 2>"$work/console-$name"
}
view dom --dump-dom
view light --window-size=1200,2400 --screenshot="$work/light.png"
view print --no-pdf-header-footer --print-to-pdf="$work/report.pdf"
if grep -h 'CONSOLE' "$work"/console-*; then
    echo "html report in a browser: the console has something to say"
    exit 1
fi
# What the page itself asked for: requests that name it as their initiator, other than for itself.
python3 - "$work" <<'PY'
import glob, json, sys
asked = set()
for name in glob.glob(sys.argv[1] + "/net-*.json"):
    text = open(name).read()
    try:
        log = json.loads(text)
    except ValueError:  # the browser was ended before it closed its log
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    for event in log["events"]:
        params = event.get("params") or {}
        if str(params.get("initiator", "")).startswith(("file:", "null")) and "url" in params:
            asked.add(params["url"])
asked = {url for url in asked if not url.startswith(("file:", "data:", "chrome"))}
sys.exit(f"html report in a browser: it asked for {sorted(asked)}" if asked else 0)
PY
grep -q 'What decided it\|<h1>pass' "$work/out-dom" || { echo "html report in a browser: not shown"; exit 1; }
[ -s "$work/light.png" ] && [ -s "$work/report.pdf" ]
if [ -n "${SHAKEDOWN_PICTURES:-}" ]; then
    mkdir -p "$SHAKEDOWN_PICTURES"
    cp "$work/light.png" "$work/report.pdf" "$SHAKEDOWN_PICTURES/"
fi
echo "html report in a browser: $("$browser" --version 2>/dev/null | cut -d' ' -f1-2): no console message, no request"
