#!/usr/bin/env bash
# The HTML report of a whole run, opened in a real browser: no console messages, no requests, a policy that
# holds, light and dark, white on paper; its markup by the W3C's checker (npm's vnu-jar) where there is
# Java. Installs what it can, and says what was skipped and why where it cannot.
# LIVE_PICTURES=FOLDER keeps the pictures that were taken.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/shakedown-ci/target}"

find_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return 0
    done
    return 1
}
skip() {
    echo "live report: ran: none; skipped: the report in a browser ($*)"
    exit 0
}

if ! LIVE_CHROMIUM=$(find_browser); then
    command -v apt-get >/dev/null || skip "no Chromium here, and no apt-get to install it with"
    [ "$(id -u)" -eq 0 ] || skip "no Chromium here, and only root can install it"
    echo "live report: installing: chromium"
    log=$(mktemp)
    apt-get update -qq >"$log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >>"$log" 2>&1 ||
        skip "Chromium cannot be installed: $(tail -1 "$log")"
    LIVE_CHROMIUM=$(find_browser) || skip "the package of Chromium brought no browser"
fi
export LIVE_CHROMIUM
if ! command -v pdftoppm >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends poppler-utils >/dev/null 2>&1 ||
        skip "the pages that are printed cannot be looked at, poppler-utils cannot be installed"
fi
left_out=none
checker="$HOME/.cache/shakedown-ci/vnu"
jar="$checker/node_modules/vnu-jar/build/dist/vnu.jar"
if ! command -v java >/dev/null; then
    left_out="NOT RUN: the W3C's checker (no Java here)"
elif [ ! -e "$jar" ] && ! npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$checker" vnu-jar@26.9.27 >/dev/null 2>&1; then
    left_out="NOT RUN: the W3C's checker (npm has no vnu-jar to give)"
else
    export LIVE_VNU="$jar"
fi
timeout 900 cargo test --locked --test live_report -- --ignored
echo "live report: ran: the report in $("$LIVE_CHROMIUM" --version 2>/dev/null); skipped: $left_out"
