#!/usr/bin/env bash
# Kills the engine at 25 random moments of each of the four experiments on a real Docker engine, half of
# them with faults held by processes and half by containers, and asserts each time, from outside, that
# nothing is left: nft, control groups, docker. Takes about half an hour. The first residue ends it; the
# last line counts. Works in a process namespace of its own: helpers of whatever else runs on this machine
# are none of its residue.
# Usage: tests/scripts/chaos_deaths.sh [POINTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${CHAOS_DEATHS_ALONE:-}" ]; then
    exec env CHAOS_DEATHS_ALONE=1 unshare --pid --fork --kill-child --mount-proc bash tests/scripts/chaos_deaths.sh "$@"
fi
export LIVE_KILL_POINTS="${1:-25}" LIVE_SECONDS="${LIVE_SECONDS:-7200}"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
code=0
bash .ci/live/docker.sh --nocapture an_engine_killed_at_any_moment_leaves_nothing 2>&1 | tee "$said" || code=$?
total=0
counts=""
for kind in kill cpu memory partition; do
    # The first stands behind the name of its test.
    n=$(grep -cE "(^|[.]{3} )$kind, .* ms in: nothing is left$" "$said" || true)
    total=$((total + n))
    counts="$counts, $kind $n"
done
wanted=$((4 * LIVE_KILL_POINTS))
echo "engines killed: $total of $wanted (${counts#, }); nothing was left after $total"
[ "$code" -eq 0 ] && [ "$total" -ge "$wanted" ]
