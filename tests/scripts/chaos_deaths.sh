#!/usr/bin/env bash
# Kills the engine at 25 random moments of each of the four experiments on a real Docker engine, half of
# them with faults held by processes and half by containers, and asserts each time, from outside, that
# nothing is left: nft, control groups, docker. Takes about half an hour.
# Usage: tests/scripts/chaos_deaths.sh [POINTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
export LIVE_KILL_POINTS="${1:-25}" LIVE_SECONDS="${LIVE_SECONDS:-7200}"
exec bash .ci/live/docker.sh --nocapture an_engine_killed_at_any_moment_leaves_nothing
